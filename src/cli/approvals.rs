//! What waits for a person, and their word on it: what `pending`, `approve` and `reject` do, on the
//! command line and at the prompt.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::pending::approve::{Approvable, reason_of};
use crate::app::pending::proposal;
use crate::app::pending::{check_waits, failed};
use crate::app::shown::pending::{listed, saved};
use crate::app::workspace::time_zone;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::proposals;
use crate::cli::render::table::Column;
use crate::cli::render::text::{count, visible};
use crate::cli::show;
use crate::host::{Approver, Nobody, Report};
use crate::journal::kept::{KeptSet, KeptState};
use crate::model::User;

/// Lists what waits; with `all`, also what was decided.
pub(crate) fn list(context: &Context<'_>, all: bool) -> Result<Exit, AppError> {
    let zone = time_zone(&context.app.workspace)?;
    let sets = context.app.held_sets(all, context.now())?;
    // An agent sees what it has drafted itself.
    let acts = context.agent_name();
    let mut shown = Vec::new();
    for set in sets {
        let saved = saved(&set)?;
        let is_own = acts.is_none() || saved.agent.as_deref() == acts;
        if is_own && (all || set.state == KeptState::Pending) {
            shown.push((set, saved));
        }
    }
    let journal = context.state_folder()?.open_to_read()?;
    let actor = |set: &KeptSet| {
        let run = journal.as_ref().and_then(|journal| journal.run(set.run.as_str()).ok());
        run.map(|run| (run.start.actor.to_string(), run.start.upn)).unwrap_or_default()
    };
    let rows: Vec<_> = shown
        .iter()
        .map(|(set, saved)| {
            let (_, upn) = actor(set);
            let who = saved.agent.as_ref().map_or(upn.clone(), |agent| format!("{agent} ({upn})"));
            let time = |at| show::moment(at, &zone);
            vec![
                show::short_id(context.ui, set.run.as_str()),
                time(set.at),
                saved.skill.clone(),
                who,
                set.changes.to_string(),
                set.state.name().to_owned(),
                set.expires_at.map(time).unwrap_or_default(),
            ]
        })
        .collect();
    let mut values: Vec<_> =
        shown.iter().map(|(set, saved)| listed(set, saved, &actor(set))).collect();
    let mut rows = rows;
    for proposal in context.app.proposals(acts, all, context.now())? {
        let time = |at| show::moment(at, &zone);
        rows.push(vec![
            proposal.id.clone(),
            time(proposal.at),
            format!("{} (proposed)", proposal.name),
            format!("{} ({})", proposal.agent, proposal.actor_upn),
            String::new(),
            proposal.state.name().to_owned(),
            time(proposal.expires_at),
        ]);
        values.push(proposal::listed(&proposal));
    }
    let columns = [
        Column::whole("ID"),
        Column::whole("WHEN"),
        Column::title("SKILL"),
        Column::new("WHO"),
        Column::right("CHANGES"),
        Column::new("STATE"),
        Column::new("EXPIRES"),
    ];
    show::list(context.ui, &columns, &rows, &values, "Nothing waits for approval.");
    Ok(Exit::Done)
}

/// Shows all of one set.
pub(crate) fn show_one(context: &Context<'_>, id: &str) -> Result<Exit, AppError> {
    if let Some(proposal) = context.app.proposal(id, context.agent_name(), context.now())? {
        return proposals::show_one(context, &proposal);
    }
    let set = context.app.kept_set(id, context.agent_name(), context.now())?;
    show_set(context, &set)?;
    Ok(Exit::Done)
}

/// Shows a set with its verdicts and its digest.
fn show_set(context: &Context<'_>, set: &KeptSet) -> Result<(), AppError> {
    let saved = saved(set)?;
    let journal = context.state_folder()?.open_to_read()?;
    let run = journal.and_then(|journal| journal.run(set.run.as_str()).ok());
    let actor = run.as_ref().map(|run| (run.start.actor.to_string(), run.start.upn.clone()));
    let mut shown = listed(set, &saved, &actor.unwrap_or_default());
    let report = held_report(context, set)?;
    shown["verdicts"] = report["verdicts"].clone();
    let changes = context.look({
        let set = saved.change_set;
        move |session| Ok(crate::host::preview_of(session, &set))
    })?;
    if context.ui.json() {
        shown["changes"] = serde_json::to_value(&changes.changes).unwrap_or_default();
        context.ui.json_report(&shown);
        return Ok(());
    }
    tell_changes(context, &changes, &report["verdicts"])?;
    context.ui.note(&format!("{}, {}", count(set.changes as usize, "change"), set.state.name()));
    context.ui.answer(&set.digest);
    Ok(())
}

/// Returns the report of the run that held a set last.
fn held_report(context: &Context<'_>, set: &KeptSet) -> Result<Value, AppError> {
    let Some(journal) = context.state_folder()?.open_to_read()? else { return Ok(Value::Null) };
    journal.held_report(&set.run).map_err(|error| failed(&error))
}

/// Tells a person the changes of a set, and why it was held.
fn tell_changes(context: &Context<'_>, changes: &Report, verdicts: &Value) -> Result<(), AppError> {
    let zone = time_zone(&context.app.workspace)?;
    show::all_changes(context.ui, changes, &zone);
    for verdict in verdicts.as_array().into_iter().flatten() {
        let text = |name: &str| visible(verdict[name].as_str().unwrap_or_default());
        let change =
            verdict["change"].as_u64().map(|n| format!("change {n}: ")).unwrap_or_default();
        context.ui.note(&format!(
            "{} {change}{} ({})",
            text("verdict"),
            text("reason"),
            text("source")
        ));
    }
    Ok(())
}

fn me(context: &Context<'_>) -> Result<User, AppError> {
    Ok(context.with_host(None, async |host| host.me().await)??)
}

/// Approves a set and applies it, or a proposed skill and puts it in force.
pub(crate) fn approve(
    context: &Context<'_>,
    id: &str,
    note: Option<&str>,
    digest: Option<&str>,
) -> Result<Exit, AppError> {
    context.for_people("approve")?;
    let note = note.map(reason_of).transpose()?;
    let now = context.now();
    if let Some(proposal) = context.app.proposal(id, None, now)? {
        return proposals::approve(context, proposal, &me(context)?, note, digest);
    }
    let set = context.app.kept_set(id, None, now)?;
    check_waits(&set)?;
    let me = me(context)?;
    let wish = context.app.to_approve(set, (&me, None), digest)?;
    if wish.is_own {
        return apply_approved(context, wish, Some((&me, note)), digest);
    }
    // It is applied under the sign-in of whoever drafted it, and this is another. Nobody approves what
    // they have not been shown.
    let Approvable { mut set, saved, .. } = wish;
    let drafted = saved.change_set;
    let changes = context.look(move |session| Ok(crate::host::preview_of(session, &drafted)))?;
    if !context.ui.json() {
        tell_changes(context, &changes, &held_report(context, &set)?["verdicts"])?;
        if digest.is_none() && !context.confirms("Approve? [y/N] ") {
            context.ui.note("Not approved: it goes on waiting.");
            return Ok(Exit::Denied);
        }
    }
    context.app.decide(&mut set, (&me, true, note), now)?;
    context.ui.note_run();
    context.ui.note(&format!(
        "Approved. It is applied under the sign-in of whoever drafted it: `planwright apply {}`.",
        set.run
    ));
    if context.ui.json() {
        context.ui.json_report(&json!({
            "id": set.run.as_str(),
            "state": set.state.name(),
            "digest": set.digest,
            "changes": changes.changes,
        }));
    }
    Ok(Exit::Done)
}

/// Applies a set that is approved, by `by` in this moment or by somebody before.
pub(crate) fn apply_approved(
    context: &Context<'_>,
    wish: Approvable,
    by: Option<(&User, Option<String>)>,
    digest: Option<&str>,
) -> Result<Exit, AppError> {
    // Whoever approves is asked about what differs; whoever only carries it out has no say.
    let other: Arc<dyn Approver> = if by.is_some() {
        context.asking(Some("It is no longer what was held. This is what would be applied now:"))
    } else {
        Arc::new(Nobody)
    };
    let Approvable { set, saved, start, .. } = wish;
    let applying = context.app.begin_approved(set, &saved, by, context.now())?;
    let approver = applying.approver(digest, other);
    let agent = saved.agent.clone();
    let applied = context.with_approver(agent.as_deref(), approver, async |host| {
        applying.apply(host, saved, start).await
    });
    let applied = applied.and_then(|applied| applied.map_err(AppError::from));
    let finished = context.app.end_approved(applying, applied, context.now())?;
    Ok(context.show(&finished, None))
}

/// Rejects a set, or a proposed skill.
pub(crate) fn reject(context: &Context<'_>, id: &str, reason: &str) -> Result<Exit, AppError> {
    context.for_people("reject")?;
    let reason = reason_of(reason)?;
    let now = context.now();
    if let Some(proposal) = context.app.proposal(id, None, now)? {
        return proposals::reject(context, proposal, &me(context)?, reason);
    }
    let mut set = context.app.kept_set(id, None, now)?;
    check_waits(&set)?;
    let me = me(context)?;
    context.app.decide(&mut set, (&me, false, Some(reason)), now)?;
    context.ui.note_run();
    context.ui.note("Rejected: nothing was written.");
    if context.ui.json() {
        context.ui.json_value(&json!({ "id": set.run.as_str(), "state": set.state.name() }));
    }
    Ok(Exit::Done)
}

//! `planwright runs`: what was done, run by run.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::workspace::time_zone;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::render::text::{count, shortened, visible};
use crate::cli::show;
use crate::host::{Failure, candidates};
use crate::journal::{Error, Journal, Run, RunSummary, Standing};
use crate::model::time::day_of_moment;

/// List runs, and show what one did
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  planwright runs\n  planwright runs show 0199f3c2"
)]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    List(ListArgs),
    /// Show the changes of a run and their outcomes
    Show {
        /// Run id, the beginning of one, or `last`: the last run that wrote something
        run: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show at most N runs
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

pub(crate) fn failed(error: &crate::journal::Error) -> AppError {
    Failure::from_error("journal", error, error.hint()).into()
}

/// Opens the journal to read; `None` if there is none yet.
pub(crate) fn journal(context: &Context<'_>) -> Result<Option<Journal>, AppError> {
    Ok(context.state_folder()?.open_to_read()?)
}

pub(crate) fn runs(context: &Context<'_>, args: &RunsArgs) -> Result<Exit, AppError> {
    match &args.command {
        None => list(context, &args.list),
        Some(RunsCommand::List(args)) => list(context, args),
        Some(RunsCommand::Show { run }) => show(context, run),
    }
}

/// The most runs in which those of an agent are looked for.
const MAX_SEARCHED: usize = 10_000;

fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, AppError> {
    // An agent sees its own runs: those of others tell of plans that it may not see.
    let acts = context.agent_name();
    let runs = match journal(context)? {
        Some(journal) => journal
            .runs(if acts.is_some() { MAX_SEARCHED } else { args.limit }, None)
            .map_err(|error| failed(&error))?,
        None => Vec::new(),
    };
    let is_own = |run: &RunSummary| acts.is_none() || run.agent.as_deref() == acts;
    let runs: Vec<RunSummary> = runs.into_iter().filter(is_own).take(args.limit).collect();
    let zone = time_zone(&context.app.workspace)?;
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            let who = run
                .agent
                .as_ref()
                .map_or(run.upn.clone(), |agent| format!("{agent} ({})", run.upn));
            vec![
                run.id.to_string(),
                zone.to_datetime(run.at).strftime("%Y-%m-%d %H:%M").to_string(),
                run.skill.clone(),
                who,
                run.status.map_or("unfinished", |status| status.name()).replace('_', " "),
                run.changes.to_string(),
            ]
        })
        .collect();
    let values: Vec<_> = runs
        .iter()
        .map(|run| {
            json!({
                "run_id": run.id.to_string(),
                "at": run.at,
                "skill": run.skill,
                "actor": { "upn": run.upn, "agent": run.agent },
                "purpose": run.purpose.name(),
                "parent": run.parent.as_ref().map(ToString::to_string),
                "status": run.status.map(crate::journal::RunStatus::name),
                "changes": run.changes,
            })
        })
        .collect();
    let columns = [
        Column::new("RUN"),
        Column::new("WHEN"),
        Column::new("SKILL"),
        Column::new("WHO"),
        Column::new("STATUS"),
        Column::right("CHANGES"),
    ];
    show::list(context.ui, &columns, &rows, &values, "No runs yet.");
    Ok(Exit::Done)
}

fn show(context: &Context<'_>, id: &str) -> Result<Exit, AppError> {
    let Some(journal) = journal(context)? else {
        return Err(AppError::new("not_found", "no run has been recorded yet"));
    };
    // Of the runs of others an agent does not even learn how many begin so.
    let id = match context.agent_name() {
        None => id.trim().to_owned(),
        Some(acts) => match journal.run_of_agent(id.trim(), acts) {
            Ok(run) => run.to_string(),
            Err(Error::NoRun(_)) => {
                return Err(AppError::new("not_found", format!("the agent has no run `{id}`")));
            }
            Err(error) => return Err(failed(&error)),
        },
    };
    let run = journal.run(&id).map_err(|error| failed(&error))?;
    if context.ui.json() {
        context.ui.json_report(&run_json(&run));
        return Ok(Exit::Done);
    }
    let zone = time_zone(&context.app.workspace)?;
    let start = &run.start;
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            context.ui.answer(&format!("  {name:<12} {}", visible(value)));
        }
    };
    context.ui.answer(&start.id.to_string());
    line("skill", &start.skill);
    line("when", &format!("{} ({})", start.at, day_of_moment(start.at, &zone)));
    line("who", &start.upn);
    line("agent", start.agent.as_deref().unwrap_or_default());
    line("service", &start.service);
    line("purpose", start.purpose.name());
    line("of run", &start.parent.as_ref().map(ToString::to_string).unwrap_or_default());
    let status = run.finish.as_ref().map_or("unfinished", |finish| finish.status.name());
    line("status", status);
    for round in &run.rounds {
        context.ui.answer("");
        for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
            let standing = match trail.standing() {
                Standing::Untouched => "not sent",
                Standing::InDoubt => "in doubt",
                Standing::Settled => "sent",
            };
            let (op, entity) = (change.op().name(), change.entity().name());
            let text = format!("{op} {entity} {}  [{standing}]", change.title());
            context.ui.answer(&format!("  {:>3} {}", change.n, visible(&text)));
            for (field, values) in change.fields() {
                let value = |value: &Value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let text = format!("{field}: {} → {}", value(&values.before), value(&values.after));
                context.ui.answer(&format!("      {}", visible(&shortened(&text, 100))));
            }
            if !change.takes_along.is_empty() {
                let along = count(change.takes_along.len(), "task");
                context.ui.answer(&format!("      with {along}"));
            }
            let may_be = candidates(&run, change.n);
            if trail.standing() == Standing::InDoubt && !may_be.is_empty() {
                let text = format!("may have been created as {}", may_be.join(", "));
                context.ui.answer(&format!("      {}", visible(&text)));
            }
            for attempt in &trail.attempts {
                let outcome = attempt.outcome().map_or("no answer", |outcome| outcome.name());
                let intent = &attempt.intent;
                let text = format!("{} {} → {outcome}", intent.method, intent.path);
                context.ui.answer(&format!("      {}", visible(&text)));
            }
        }
    }
    Ok(Exit::Done)
}

fn run_json(run: &Run) -> Value {
    let rounds: Vec<_> = run
        .rounds
        .iter()
        .map(|round| {
            let changes = round.change_set.changes().iter().zip(&round.trails);
            let changes: Vec<_> = changes
                .map(|(change, trail)| {
                    let attempts: Vec<_> = trail
                        .attempts
                        .iter()
                        .map(|attempt| {
                            json!({
                                "step": attempt.intent.step.step,
                                "attempt": attempt.intent.attempt,
                                "at": attempt.at,
                                "method": attempt.intent.method,
                                "path": attempt.intent.path,
                                "request_id": attempt.intent.request_id,
                                "outcome": attempt.outcome().map(crate::journal::Outcome::name),
                            })
                        })
                        .collect();
                    json!({
                        "n": change.n,
                        "op": change.op(),
                        "entity": change.entity(),
                        "id": change.id().to_string(),
                        "title": change.title(),
                        "plan": change.plan(),
                        "attempts": attempts,
                    })
                })
                .collect();
            json!({
                "round": round.number,
                "at": round.at,
                "outcome": round.outcome.name(),
                "digest": round.digest,
                "verdicts": round.rulings,
                "changes": changes,
            })
        })
        .collect();
    json!({
        "run_id": run.start.id.to_string(),
        "at": run.start.at,
        "service": run.start.service,
        "actor": { "id": run.start.actor, "upn": run.start.upn, "agent": run.start.agent },
        "purpose": run.start.purpose.name(),
        "parent": run.start.parent.as_ref().map(ToString::to_string),
        "skill": run.start.skill,
        "skill_digest": run.start.skill_digest,
        "params": run.start.params,
        "policies": run.start.policies,
        "status": run.finish.as_ref().map(|finish| finish.status.name()),
        "rounds": rounds,
        "report": run.finish.as_ref().map(|finish| &finish.report),
    })
}

//! `planwright policy`: the policies in force, their checks, and an explanation of their verdicts.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::shown::scripts::{in_force, own_first, policy};
use crate::change::{Change, Field};
use crate::cli::command::runs;
use crate::cli::command::skill::{checked_file, findings, place, print_source};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::render::text::{BOLD, DIM, RED, YELLOW, paint, shortened, visible};
use crate::cli::show;
use crate::host::similar::similar;
use crate::journal::{Round, Run};
use crate::policy::{Ruling, Verdict};
use crate::script::Manifest;
use crate::script::finding::Role;
use crate::script::policy::problem;

pub(crate) mod scaffold;

/// List, show, create and check policies, and explain their verdicts
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// List the policies of the workspace, and the runs they are in force for
    List,
    Show(ShowArgs),
    New(scaffold::NewArgs),
    Check(CheckArgs),
    Explain(ExplainArgs),
}

/// Show what a policy says, and the runs it is in force for
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright policy show agent_rules\n  planwright policy show agent_rules --source"
)]
pub(crate) struct ShowArgs {
    /// Policy by name
    name: String,
    /// Print the script itself
    #[arg(long)]
    source: bool,
}

/// Check policies without running them: syntax, imports, calls, and that they judge at all
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright policy check                every policy of the workspace, and those in force\n  planwright policy check office_hours"
)]
pub(crate) struct CheckArgs {
    /// Policies by name, scripts by path (default: all of the workspace)
    names: Vec<String>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

/// Show which rules fired in a run, on which line, and what they had read
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright policy explain last\n  planwright policy explain 0199f3c2 --json"
)]
pub(crate) struct ExplainArgs {
    /// Run id, the end of one, or `last`: the last run that was judged
    run: String,
}

pub(crate) fn run(context: &Context<'_>, command: &PolicyCommand) -> Result<Exit, AppError> {
    match command {
        PolicyCommand::List => Ok(list(context)),
        PolicyCommand::Show(args) => show_one(context, args),
        PolicyCommand::New(args) => scaffold::new(context, args),
        PolicyCommand::Check(args) => check(context, args),
        PolicyCommand::Explain(args) => explain(context, args),
    }
}

fn list(context: &Context<'_>) -> Exit {
    let workspace = &context.app.workspace;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    let all = in_force(&context.app.workspace);
    for name in own_first(workspace, "policies", all.keys()) {
        let (file, whom) = (format!("policies/{name}.rhai"), &all[name]);
        let text = workspace.policies.get(name);
        let summary = text.and_then(|text| Manifest::parse(text).ok());
        let summary = summary.map(|manifest| manifest.summary().to_owned()).unwrap_or_default();
        let problem = problem(name, workspace);
        // A policy that is in force but missing comes from nowhere.
        let place = text.map_or_else(|| "-".to_owned(), |_| place(workspace, &file));
        let shown = match &problem {
            Some(failure) => format!("broken, and denies: {}", failure.message),
            None => summary.clone(),
        };
        let force = if whom.is_empty() { "-".to_owned() } else { whom.join(", ") };
        rows.push(vec![name.clone(), force, shown, place]);
        values.push(policy(workspace, name, whom));
    }
    let columns = [
        Column::whole("POLICY"),
        Column::new("IN FORCE FOR"),
        Column::title("WHAT IT SAYS"),
        Column::optional("SOURCE"),
    ];
    show::list(context.ui, &columns, &rows, &values, "No policies in this workspace.");
    Exit::Done
}

fn show_one(context: &Context<'_>, args: &ShowArgs) -> Result<Exit, AppError> {
    let (workspace, name) = (&context.app.workspace, args.name.as_str());
    let Some(text) = workspace.policies.get(name) else {
        return Err(unknown(context, name));
    };
    let file = format!("policies/{name}.rhai");
    if args.source {
        print_source(context, name, &file, text);
        return Ok(Exit::Done);
    }
    let description = Manifest::parse(text)?.description;
    let whom = in_force(&context.app.workspace).remove(name).unwrap_or_default();
    if context.ui.json() {
        context.ui.json_value(&json!({
            "name": name,
            "description": description,
            "in_force_for": whom,
            "error": problem(name, workspace),
            "source": workspace.source_of(&file),
        }));
        return Ok(Exit::Done);
    }
    context.ui.answer(&visible(name));
    context.ui.answer("");
    description.lines().for_each(|line| context.ui.answer(&visible(line)));
    context.ui.answer("");
    let whom = if whom.is_empty() { "nobody".to_owned() } else { whom.join(", ") };
    context.ui.answer(&visible(&format!("in force for {whom}; {}", place(workspace, &file))));
    context.ui.answer(&format!("\nplanwright policy show {name} --source"));
    Ok(Exit::Done)
}

fn unknown(context: &Context<'_>, name: &str) -> AppError {
    let near = similar(name, context.app.workspace.policies.keys().map(String::as_str));
    let error = AppError::new("not_found", format!("there is no policy `{name}`"));
    match near.first() {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`planwright policy list` lists the policies"),
    }
}

fn check(context: &Context<'_>, args: &CheckArgs) -> Result<Exit, AppError> {
    let workspace = &context.app.workspace;
    let mut scripts = Vec::new();
    let all = in_force(&context.app.workspace);
    let names: Vec<String> = match args.names.as_slice() {
        [] => {
            // What is shipped was checked where it was made.
            let is_own = |name: &&String| workspace.is_own(&format!("policies/{name}.rhai"));
            all.keys().filter(is_own).cloned().collect()
        }
        names => names.to_vec(),
    };
    for name in names {
        if let Some(text) = workspace.policies.get(&name) {
            scripts.push((Role::Policy, format!("policies/{name}.rhai"), text.clone()));
        } else if let Some(file) = checked_file(&name)? {
            scripts.push((Role::Policy, file.1, file.2));
        } else if all.contains_key(&name) {
            let message =
                format!("the policy `{name}` is in force but missing: every run is denied");
            let near = similar(&name, workspace.policies.keys().map(String::as_str));
            let error = AppError::new("not_found", message);
            return Err(match near.first() {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("policies are in scripts/policies of the workspace"),
            });
        } else {
            return Err(unknown(context, &name));
        }
    }
    findings(context, scripts, args.strict)
}

/// Resolves a run; `last` is the last that was judged, even if it wrote nothing.
fn judged(context: &Context<'_>, id: &str) -> Result<Run, AppError> {
    let failed = |error: crate::journal::Error| runs::failed(&error);
    let Some(journal) = context.state_folder()?.open_to_read()? else {
        return Err(AppError::new("not_found", "no run has been recorded yet"));
    };
    if id != "last" {
        let id = runs::own(context, &journal, id)?;
        return journal.run(&id).map_err(failed);
    }
    let acts = context.agent_name();
    let all = journal.runs(50, None).map_err(failed)?;
    for summary in all.into_iter().filter(|it| acts.is_none() || it.agent.as_deref() == acts) {
        let run = journal.run(summary.id.as_str()).map_err(failed)?;
        if run.rounds.iter().any(|round| !round.change_set.is_empty()) {
            return Ok(run);
        }
    }
    Err(AppError::new("not_found", "none of the last runs was judged")
        .hint("`planwright runs` lists them; a run without changes is not judged"))
}

fn explain(context: &Context<'_>, args: &ExplainArgs) -> Result<Exit, AppError> {
    let run = judged(context, args.run.trim())?;
    if context.ui.json() {
        let rounds: Vec<_> = run.rounds.iter().map(round_json).collect();
        context.ui.json_report(&json!({
            "run_id": run.start.id.to_string(),
            "skill": run.start.skill,
            "policies": run.start.policies,
            "rounds": rounds,
        }));
        return Ok(Exit::Done);
    }
    let ui = context.ui;
    let title = format!("{} {}", run.start.skill, run.start.id);
    ui.answer(&paint(BOLD, &visible(&title)));
    for (name, digest) in &run.start.policies {
        let digest: String = digest.chars().take(19).collect();
        ui.answer(&format!("  {} {}", visible(name), paint(DIM, &visible(&digest))));
    }
    for round in &run.rounds {
        ui.answer("");
        let n = crate::cli::render::text::count(round.change_set.changes().len(), "change");
        ui.answer(&format!("{n}: {}", round.outcome.name().replace('_', " ")));
        let rulings = rulings_of(round);
        if rulings.is_empty() {
            ui.answer("  No rule fired.");
        }
        for ruling in &rulings {
            basis_lines(round, ruling).iter().for_each(|line| ui.answer(line));
        }
    }
    Ok(Exit::Done)
}

fn rulings_of(round: &Round) -> Vec<Ruling> {
    serde_json::from_value(round.rulings.clone()).unwrap_or_default()
}

fn change_of<'a>(round: &'a Round, ruling: &Ruling) -> Option<&'a Change> {
    round.change_set.changes().iter().find(|change| Some(change.n) == ruling.change)
}

fn basis_lines(round: &Round, ruling: &Ruling) -> Vec<String> {
    let style = if ruling.verdict == Verdict::Deny { RED.bold() } else { YELLOW.bold() };
    let mut lines = vec![format!(
        "  {} {} {}",
        paint(style, ruling.verdict.name()),
        visible(&ruling.reason),
        paint(DIM, &format!("({})", visible(&ruling.source)))
    )];
    if let Some(at) = &ruling.at {
        let place = format!("{}:{}", at.file, at.line);
        lines.push(format!("      {} {}", visible(&place), paint(DIM, &visible(&at.source))));
    }
    let change = change_of(round, ruling);
    if let Some(change) = change {
        let (op, entity) = (change.op().name(), change.entity().name());
        let text = format!("{op} {entity} {}", change.title());
        lines.push(format!("      change {}: {}", change.n, visible(&text)));
    }
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for saw in &ruling.saw {
        let own = change.filter(|change| change.id().as_str() == saw.id);
        match (own, Field::parse(&saw.field)) {
            (Some(change), Some(field)) => {
                let value = shortened(&change.known_value(field).to_string(), 70);
                lines.push(format!("      read {}: {}", visible(&saw.field), visible(&value)));
            }
            _ => *others.entry(&saw.field).or_default() += 1,
        }
    }
    for (field, n) in others {
        lines.push(format!("      read {} of {n} others", visible(field)));
    }
    lines
}

fn round_json(round: &Round) -> Value {
    let rulings: Vec<_> = rulings_of(round)
        .iter()
        .map(|ruling| {
            let mut value = json!(ruling);
            if let Some(change) = change_of(round, ruling) {
                value["title"] = change.title().into();
                value["op"] = change.op().name().into();
                value["entity"] = change.entity().name().into();
                let own = ruling.saw.iter().filter(|read| read.id == change.id().as_str());
                let saw = own.filter_map(|read| {
                    let field = Field::parse(&read.field)?;
                    Some((read.field.clone(), change.known_value(field)))
                });
                value["values"] = Value::Object(saw.collect());
            }
            value
        })
        .collect();
    json!({
        "round": round.number,
        "outcome": round.outcome.name(),
        "change_set_digest": round.digest,
        "changes": round.change_set.changes().len(),
        "verdicts": rulings,
    })
}

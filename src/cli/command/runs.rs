//! `planwright runs`: what was done, run by run.

use clap::{Args, Subcommand};

use crate::app::error::AppError;
use crate::app::shown::runs::{listed, whole};
use crate::app::workspace::time_zone;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::report::View;
use crate::cli::render::table::Column;
use crate::cli::render::text::visible;
use crate::cli::show;
use crate::host::{ChangeReport, Failure, Report, candidates};
use crate::journal::{Error, Journal, RunSummary, Standing};
use crate::policy::Verdict;

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
        /// Run id, the end of one, or `last`: the last run that wrote something
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
                show::short_id(context.ui, run.id.as_str()),
                show::moment(run.at, &zone),
                run.skill.clone(),
                who,
                run.status.map_or("unfinished", |status| status.name()).replace('_', " "),
                run.changes.to_string(),
            ]
        })
        .collect();
    let values: Vec<_> = runs.iter().map(listed).collect();
    let columns = [
        Column::whole("RUN"),
        Column::whole("WHEN"),
        Column::title("SKILL"),
        Column::new("WHO"),
        Column::new("STATUS"),
        Column::right("CHANGES"),
    ];
    show::list(context.ui, &columns, &rows, &values, "No runs yet.");
    Ok(Exit::Done)
}

/// Returns the run that is meant; of the runs of others an agent does not even learn how many begin so.
///
/// # Errors
/// The agent has no such run, or several.
pub(crate) fn own(context: &Context<'_>, journal: &Journal, id: &str) -> Result<String, AppError> {
    let Some(acts) = context.agent_name() else { return Ok(id.trim().to_owned()) };
    match journal.run_of_agent(id.trim(), acts) {
        Ok(run) => Ok(run.to_string()),
        Err(Error::NoRun(_)) => {
            Err(AppError::new("not_found", format!("the agent has no run `{id}`")))
        }
        Err(error) => Err(failed(&error)),
    }
}

fn show(context: &Context<'_>, id: &str) -> Result<Exit, AppError> {
    let Some(journal) = journal(context)? else {
        return Err(AppError::new("not_found", "no run has been recorded yet"));
    };
    let id = own(context, &journal, id)?;
    let run = journal.run(&id).map_err(|error| failed(&error))?;
    if context.ui.json() {
        context.ui.json_report(&whole(&run));
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
    line("when", &show::moment(start.at, &zone));
    line("who", &start.upn);
    line("agent", start.agent.as_deref().unwrap_or_default());
    line("service", &start.service);
    line("purpose", start.purpose.name());
    line("of run", &start.parent.as_ref().map(ToString::to_string).unwrap_or_default());
    let status = run.finish.as_ref().map_or("unfinished", |finish| finish.status.name());
    line("status", status);
    let mut names = Report::new(String::new(), String::new(), None);
    let kept = run.finish.as_ref().and_then(|finish| finish.report["names"].as_object());
    for (id, name) in kept.into_iter().flatten() {
        names.names.insert(id.clone(), name.as_str().unwrap_or_default().to_owned());
    }
    let view = View { report: &names, zone: &zone };
    for round in &run.rounds {
        context.ui.answer("");
        for (change, trail) in round.change_set.changes().iter().zip(&round.trails) {
            let standing = match trail.standing() {
                Standing::Untouched => "not sent",
                Standing::InDoubt => "in doubt",
                Standing::Settled => "sent",
            };
            let mut lines = view.change(&ChangeReport::planned(change, Verdict::Allow)).into_iter();
            let first = lines.next().unwrap_or_default();
            context.ui.answer(&format!("  {:>3} {first}  [{standing}]", change.n));
            lines.for_each(|line| context.ui.answer(&format!("  {line}")));
            let may_be = candidates(&run, change);
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

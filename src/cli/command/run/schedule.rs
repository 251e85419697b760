//! `planwright schedule`: the skills that run by the clock.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::inbox::listed;
use crate::app::schedules::{ScheduleView, iso};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::render::text::visible;
use crate::cli::show;
use crate::model::User;

/// List the schedules, show their next times, run and pause them
#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// List the schedules of the workspace
    #[command(
        after_help = "A schedule is a table [schedules.NAME] in planwright.toml, or `schedule` below `[skill]` in a skill\nof your own. `planwright serve` and `planwright work --schedules` fire them.\n\n  [schedules.nightly]\n  skill = \"weekly_report\"\n  cron = \"0 2 * * MON-FRI\"\n\nExamples:\n  planwright schedule list\n  planwright schedule list --json"
    )]
    List,
    /// Show when the schedules are due next
    #[command(
        after_help = "With --json, times are ISO 8601 with their offset.\n\nExamples:\n  planwright schedule next\n  planwright schedule next nightly --count 5\n  planwright schedule next --json"
    )]
    Next(NextArgs),
    /// Run a schedule now, in addition to its times
    #[command(
        after_help = "It is put into the inbox of the agent that the schedule runs as, and `planwright work` runs it.\n\nExample:\n  planwright schedule run nightly"
    )]
    Run {
        /// Name of the schedule
        name: String,
    },
    /// Keep a schedule from firing until it is resumed
    #[command(
        after_help = "Times that come while it is paused are left out.\n\nExample:\n  planwright schedule pause nightly --reason \"The board is being moved\""
    )]
    Pause(PauseArgs),
    /// Let a schedule fire again
    #[command(after_help = "Example:\n  planwright schedule resume nightly")]
    Resume {
        /// Name of the schedule
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct NextArgs {
    /// Name of the schedule (default: all)
    name: Option<String>,
    /// Number of times of each
    #[arg(short, long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=100))]
    count: u16,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Name of the schedule
    name: String,
    /// Reason, for whoever looks at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context<'_>, command: &ScheduleCommand) -> Result<Exit, AppError> {
    match command {
        ScheduleCommand::List => list(context),
        ScheduleCommand::Next(args) => next(context, args),
        ScheduleCommand::Run { name } => run_now(context, name),
        ScheduleCommand::Pause(args) => pause(context, args),
        ScheduleCommand::Resume { name } => resume(context, name),
    }
}

fn me(context: &Context<'_>) -> Result<User, AppError> {
    Ok(context.with_host(None, async |host| host.me().await)??)
}

fn list(context: &Context<'_>) -> Result<Exit, AppError> {
    let views = context.app.schedules(context.now())?;
    let rows: Vec<Vec<String>> = views.iter().map(row).collect();
    let values: Vec<Value> = views.iter().map(ScheduleView::listed).collect();
    let columns = [
        Column::new("NAME"),
        Column::new("SKILL"),
        Column::new("TIMES"),
        Column::new("ZONE"),
        Column::new("AS"),
        Column::new("NEXT"),
        Column::new("LAST"),
    ];
    show::list(
        context.ui,
        &columns,
        &rows,
        &values,
        "Nothing runs by the clock. `[schedules.NAME]` with `skill` and `cron` in planwright.toml makes something do so.",
    );
    Ok(Exit::Done)
}

fn row(view: &ScheduleView) -> Vec<String> {
    let next = match (&view.next, &view.paused) {
        (_, Some(pause)) => {
            let why = pause.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!("paused by {}{why}", pause.by)
        }
        (Some(next), None) => next.strftime("%a %Y-%m-%d %H:%M %:z").to_string(),
        (None, None) => "never".to_owned(),
    };
    let last = view.last.as_ref().map(|last| format!("{} {}", last.due, last.state));
    vec![
        view.name.clone(),
        view.skill.clone(),
        view.cron.clone(),
        view.time_zone.clone(),
        view.agent.clone(),
        next,
        last.unwrap_or_default(),
    ]
}

fn next(context: &Context<'_>, args: &NextArgs) -> Result<Exit, AppError> {
    let name = args.name.as_deref();
    let times = context.app.next_times(name, usize::from(args.count), context.now())?;
    let rows: Vec<Vec<String>> = times
        .iter()
        .map(|(view, due)| {
            let time = due.strftime("%a %Y-%m-%d %H:%M %:z").to_string();
            vec![time, view.name.clone(), view.skill.clone(), view.agent.clone()]
        })
        .collect();
    let values: Vec<Value> = times
        .iter()
        .map(|(view, due)| {
            json!({ "name": view.name, "at": iso(due), "skill": view.skill, "as": view.agent })
        })
        .collect();
    let columns = ["NEXT", "NAME", "SKILL", "AS"].map(Column::new);
    show::list(context.ui, &columns, &rows, &values, "Nothing is due.");
    Ok(Exit::Done)
}

fn run_now(context: &Context<'_>, name: &str) -> Result<Exit, AppError> {
    context.for_people("schedule run")?;
    let entry = context.app.run_schedule(&me(context)?, name)?;
    context.ui.note(&visible(&format!(
        "Submitted {} to {}; `planwright work` runs it.",
        entry.skill,
        entry.receiver()
    )));
    if context.ui.json() {
        context.ui.json_value(&listed(&entry));
    } else {
        context.ui.answer(&entry.id);
    }
    Ok(Exit::Done)
}

fn pause(context: &Context<'_>, args: &PauseArgs) -> Result<Exit, AppError> {
    context.for_people("schedule pause")?;
    context.app.pause_schedule(&me(context)?, &args.name, args.reason.as_deref())?;
    context.ui.note(&visible(&format!("{} is paused: it does not fire.", args.name)));
    answer(context, &args.name, true)
}

fn resume(context: &Context<'_>, name: &str) -> Result<Exit, AppError> {
    context.for_people("schedule resume")?;
    let was = context.app.resume_schedule(&me(context)?, name)?;
    let said = if was { "fires again" } else { "was not paused" };
    context.ui.note(&visible(&format!("{name} {said}.")));
    answer(context, name, false)
}

fn answer(context: &Context<'_>, name: &str, is_paused: bool) -> Result<Exit, AppError> {
    if context.ui.json() {
        context.ui.json_value(&json!({ "name": name, "paused": is_paused }));
    }
    Ok(Exit::Done)
}

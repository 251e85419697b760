//! `planwright agent`: the agents of the workspace, what each may do, and their pauses.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::shown::agents::{listed, pause_of, policies};
use crate::app::sign_in;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::render::text::visible;
use crate::cli::show;
use crate::host::similar::{did_you_mean, similar};
use crate::journal::paused::Paused;
use crate::script::Config;
use crate::script::workspace::config::{AgentConfig, MayApply};

/// List the agents, show what each may do, and pause them
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// List the agents in planwright.toml
    #[command(
        after_help = "Where planwright.toml lists no agents, any name acts under the shipped rules.\n\nExamples:\n  planwright agent list\n  planwright agent list --json"
    )]
    List,
    /// Show what one agent may do
    #[command(after_help = "Example:\n  planwright agent show rook")]
    Show {
        /// Name of the agent
        name: String,
    },
    /// Keep an agent from writing: at once, in every process of the state folder
    #[command(
        after_help = "A run in flight stops before its next write, and can be resumed when the pause is lifted.\n\nExamples:\n  planwright agent pause rook --reason \"It moves the wrong tasks\"\n  planwright agent pause --all"
    )]
    Pause(PauseArgs),
    /// Lift the pause of an agent
    #[command(
        after_help = "A pause of all agents is lifted with `--all`.\n\nExamples:\n  planwright agent resume rook\n  planwright agent resume --all"
    )]
    Resume(WhichArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Reason, which the agent can read
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WhichArgs {
    /// Name of the agent
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// All agents
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(context: &Context<'_>, command: &AgentCommand) -> Result<Exit, AppError> {
    // It tells of plans that an agent may not see, and takes rights away or gives them back.
    context.for_people("agent")?;
    match command {
        AgentCommand::List => list(context),
        AgentCommand::Show { name } => show_one(context, name),
        AgentCommand::Pause(args) => pause(context, args),
        AgentCommand::Resume(args) => resume(context, args),
    }
}

fn list(context: &Context<'_>) -> Result<Exit, AppError> {
    let config = &context.app.workspace.config;
    let paused = context.app.paused()?;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for (name, agent) in &config.agents {
        let limits = config.limits_of(Some(name));
        let caps = limits.caps();
        let plans = agent.plans.as_ref().map_or("all".to_owned(), |plans| plans.join(", "));
        let names = policies(config, agent).join(", ");
        let is_paused = pause_of(&paused, name).is_some();
        let apply = if is_paused { "paused" } else { may_apply(agent) };
        let most = format!("{} changes, {} deletions", caps.max_changes, caps.max_deletes);
        let profile = agent.profile.clone().unwrap_or_else(|| "(default)".to_owned());
        rows.push(vec![name.clone(), profile, plans, names, apply.to_owned(), most]);
        values.push(listed(config, name, agent, &paused));
    }
    let columns = ["AGENT", "PROFILE", "PLANS", "POLICIES", "MAY APPLY", "A RUN MAKES AT MOST"]
        .map(Column::title);
    let empty = "No agents are configured: any name acts under the shipped rules.";
    show::list(context.ui, &columns, &rows, &values, empty);
    for pause in &paused {
        context.ui.note(&told(pause));
    }
    Ok(Exit::Done)
}

fn told(pause: &Paused) -> String {
    let who = pause.agent.as_ref().map_or("All agents are".to_owned(), |name| format!("{name} is"));
    let why = pause.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    visible(&format!("{who} paused since {}{why}.", pause.at.strftime("%Y-%m-%d %H:%M UTC")))
}

const fn may_apply(agent: &AgentConfig) -> &'static str {
    match (agent.may_apply, agent.force) {
        (MayApply::Yes, true) => "yes, deletions too",
        (MayApply::Yes, false) => "yes",
        (MayApply::No, _) => "preview only",
        (MayApply::Approved, true) => "if approved, deletions too",
        (MayApply::Approved, false) => "if approved",
    }
}

fn show_one(context: &Context<'_>, name: &str) -> Result<Exit, AppError> {
    let config = &context.app.workspace.config;
    // Where no agents are configured, any name acts.
    let unnamed = AgentConfig::default();
    let agent = match config.agents.get(name) {
        Some(agent) => agent,
        None if config.agents.is_empty() => &unnamed,
        None => return Err(unknown(config, name)),
    };
    let shown = listed(config, name, agent, &context.app.paused()?);
    if context.ui.json() {
        context.ui.json_value(&shown);
        return Ok(Exit::Done);
    }
    let some = |list: Option<&Vec<String>>| list.map_or("all".to_owned(), |list| list.join(", "));
    let limits = config.limits_of(Some(name));
    let caps = limits.caps();
    let pause = context.app.paused()?;
    let rows: Vec<Vec<String>> = [
        ("agent", name.to_owned()),
        ("profile", signs_in_as(context, agent)?),
        ("plans", some(agent.plans.as_ref())),
        ("policies", policies(config, agent).join(", ")),
        ("skills", some(agent.skills.as_ref())),
        ("code of its own", if agent.scripts { "yes" } else { "no" }.to_owned()),
        ("may apply", may_apply(agent).to_owned()),
        ("changes", format!("{} a run, {} a day", caps.max_changes, limits.changes_per_day())),
        ("deletions", format!("{} a run", caps.max_deletes)),
        ("runs", format!("{} an hour", limits.runs_per_hour())),
        ("paused", pause_of(&pause, name).map_or("no".to_owned(), told)),
    ]
    .into_iter()
    .map(|(what, text)| vec![what.to_owned(), text])
    .collect();
    let columns = ["SETTING", "VALUE"].map(Column::whole);
    show::list(context.ui, &columns, &rows, &[], "");
    Ok(Exit::Done)
}

/// Returns the profile with which an agent signs in, and who that is.
fn signs_in_as(context: &Context<'_>, agent: &AgentConfig) -> Result<String, AppError> {
    let Some(name) = &agent.profile else { return Ok("the default one".to_owned()) };
    let known = sign_in::all(&context.app.settings)?;
    let found = known.into_iter().find(|(profile, _)| profile.name == *name);
    Ok(match found {
        Some((profile, _)) => format!("{name}, signed in as {}", profile.who()),
        None if name == "embedded" => format!("{name}, the demo board on this machine"),
        None => format!("{name}, which does not exist: `planwright auth login --profile {name}`"),
    })
}

fn unknown(config: &Config, name: &str) -> AppError {
    let error = AppError::new("agent", format!("there is no agent `{name}`"));
    match similar(name, config.agents.keys().map(String::as_str)).as_slice() {
        [] => error.hint("`planwright agent list` lists the agents"),
        near => error.hint(did_you_mean(near)),
    }
}

fn pause(context: &Context<'_>, args: &PauseArgs) -> Result<Exit, AppError> {
    let name = args.which.name.as_deref();
    context.app.pause(name, (None, args.reason.as_deref()), context.now())?;
    let who = name.map_or("All agents are".to_owned(), |name| format!("{name} is"));
    context.ui.note(&visible(&format!("{who} paused: nothing more is written.")));
    answer(context, name, true)
}

fn resume(context: &Context<'_>, args: &WhichArgs) -> Result<Exit, AppError> {
    let name = args.name.as_deref();
    let was = context.app.unpause(name, None, context.now())?;
    let who = name.unwrap_or("all agents");
    let said = if was { "The pause is lifted for" } else { "There was no pause for" };
    context.ui.note(&visible(&format!("{said} {who}.")));
    let all = context.app.paused()?;
    // Lifting the pause of one leaves that of all in force.
    if let Some(left) = name.and_then(|name| pause_of(&all, name)) {
        context.ui.note(&format!("{} `planwright agent resume --all` lifts that.", told(left)));
    } else if name.is_none() && !all.is_empty() {
        // The other way round as well: one that was paused by name stays so.
        for left in &all {
            let agent = left.agent.as_deref().unwrap_or_default();
            context.ui.note(&visible(&format!(
                "{} `planwright agent resume {agent}` lifts that.",
                told(left)
            )));
        }
    } else {
        context.ui.note("`planwright resume` finishes what was cut off.");
    }
    answer(context, name, name.is_some_and(|name| pause_of(&all, name).is_some()))
}

fn answer(context: &Context<'_>, name: Option<&str>, is_paused: bool) -> Result<Exit, AppError> {
    context.ui.note_run();
    if context.ui.json() {
        context.ui.json_value(&json!({
            "agent": name, "all": name.is_none(), "paused": is_paused,
        }));
    }
    Ok(Exit::Done)
}

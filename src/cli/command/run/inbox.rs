//! `planwright submit` and `planwright inbox`: skills that a worker is to run as an agent.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::inbox::{Wish, listed, whole};
use crate::app::workspace::time_zone;
use crate::cli::command::run::key_value;
use crate::cli::command::skill;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::render::text::visible;
use crate::cli::sheet::data;
use crate::cli::show;
use crate::journal::inbox::{EntryState, InboxEntry, Page};
use crate::model::User;
use crate::model::time::Calendar;

/// The interval at which an entry is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// Submit a skill, to be run by a worker as an agent
#[derive(Debug, Args)]
#[command(
    after_help = "`planwright work` runs what was submitted, under the grants, limits and policies of the agent that\nit is for. People may submit to any agent, an agent to those whose `inbox` in planwright.toml\nnames it.\n\nExamples:\n  planwright submit capture_action_item -p title=\"Order toner\" --to rook\n  planwright submit weekly_report --to rook --key week-14 --wait"
)]
pub(crate) struct SubmitArgs {
    /// Skill by name
    #[arg(value_name = "SKILL")]
    skill: String,
    /// Parameter of the skill; one of the type `data` takes a file: `-p rows=@tasks.csv`
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    param: Vec<(String, String)>,
    /// Agent that is to run it (default: whoever submits it)
    #[arg(long, value_name = "AGENT")]
    to: Option<String>,
    /// Submit it once: what you have submitted under this key is not submitted again
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Wait until it is over, and end as its run did
    #[arg(long)]
    wait: bool,
}

/// List what was submitted, show it, and cancel it
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "An agent sees what it has sent, and what is for it.\n\nExamples:\n  planwright inbox\n  planwright inbox list --open\n  planwright inbox show 0199f3c2\n  planwright inbox cancel 0199f3c2"
)]
pub(crate) struct InboxArgs {
    #[command(subcommand)]
    command: Option<InboxCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// List what was submitted
    List(ListArgs),
    /// Show all of one entry
    Show {
        /// Id of the entry, or the end of it
        id: String,
    },
    /// Cancel an entry that nobody has begun
    Cancel {
        /// Id of the entry, or the end of it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show only what is waiting or running
    #[arg(long)]
    open: bool,
    /// List at most N entries, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Only list what was submitted before this entry: the next page
    #[arg(long, value_name = "ID")]
    before: Option<String>,
}

pub(crate) fn submit(context: &Context<'_>, args: &SubmitArgs) -> Result<Exit, AppError> {
    // An agent learns nothing of what it may not have; a person is told what there is.
    if let Some(agent) = context.agent_name() {
        context.app.check_grants(Some(agent), args.to.as_deref(), &args.skill)?;
    }
    if !context.app.workspace.skills.contains_key(&args.skill) {
        return Err(skill::unknown(context, &args.skill));
    }
    let manifest = context.app.manifest_of(&args.skill)?;
    let calendar = Calendar::at(context.now(), time_zone(&context.app.workspace)?);
    let wish = Wish {
        skill: args.skill.clone(),
        params: manifest.taken(&data::given(&manifest, &args.param)?, &calendar)?,
        to: args.to.clone(),
        key: args.key.clone(),
        visitor: None,
    };
    let me = me(context)?;
    // From here on it is in the inbox, whether or not that can be told.
    context.ui.note_run();
    let mut entry = context.app.submit((&me, context.agent_name()), wish, context.now())?;
    context.ui.note(&visible(&format!(
        "Submitted {} to {}: {}.",
        entry.skill,
        entry.receiver(),
        entry.state
    )));
    if args.wait {
        if !entry.state.is_over() {
            context.ui.note("Waiting; `planwright work` runs what was submitted.");
        }
        let stop = context.interrupt();
        while !entry.state.is_over() {
            if stop.is_set() {
                return Ok(Exit::Interrupted);
            }
            context.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = stop.wait() => {}
                }
            });
            entry = context.app.inbox_entry(&entry.id, None)?;
        }
        tell(context, &entry);
    }
    if context.ui.json() {
        let short = json!({ "id": entry.id, "state": entry.state.name() });
        let shown = if args.wait { whole(&entry) } else { short };
        context.ui.json_value(&shown);
    } else {
        context.ui.answer(&entry.id);
    }
    Ok(if args.wait { exit_of(&entry) } else { Exit::Done })
}

/// Returns the exit of a command that waits for an entry: that of its run.
fn exit_of(entry: &InboxEntry) -> Exit {
    match entry.state {
        EntryState::Cancelled => Exit::Input,
        _ => Exit::of_outcome(entry.outcome, entry.code.as_deref()),
    }
}

fn me(context: &Context<'_>) -> Result<User, AppError> {
    let agent = context.agent_name();
    Ok(context.with_host(agent, async |host| host.me().await)??)
}

/// Tells a person what became of an entry.
pub(crate) fn tell(context: &Context<'_>, entry: &InboxEntry) {
    let why = entry.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let run = entry.run.as_ref().map(|run| format!(" (run {run})")).unwrap_or_default();
    let (skill, from, to) = (&entry.skill, entry.sender(), entry.receiver());
    let text = format!("{} {skill}, from {from} for {to}{why}{run}", entry.state);
    context.ui.note(&visible(&text));
}

pub(crate) fn inbox(context: &Context<'_>, args: &InboxArgs) -> Result<Exit, AppError> {
    match &args.command {
        None => list(context, &args.list),
        Some(InboxCommand::List(args)) => list(context, args),
        Some(InboxCommand::Show { id }) => show_one(context, id),
        Some(InboxCommand::Cancel { id }) => cancel(context, id),
    }
}

fn list(context: &Context<'_>, args: &ListArgs) -> Result<Exit, AppError> {
    let zone = time_zone(&context.app.workspace)?;
    let agent = context.agent_name();
    let before = args.before.as_deref().map(|id| context.app.inbox_entry(id, agent)).transpose()?;
    let page = Page {
        agent,
        open: args.open,
        before: before.as_ref().map(|entry| entry.id.as_str()),
        limit: args.limit,
    };
    let (mut entries, is_more) = context.app.inbox(&page)?;
    // The oldest first, as they are worked on.
    entries.reverse();
    let time = |at: Timestamp| show::moment(at, &zone);
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                show::short_id(context.ui, &entry.id),
                time(entry.created_at),
                entry.skill.clone(),
                entry.sender().to_owned(),
                entry.receiver().to_owned(),
                entry.state.name().to_owned(),
                entry.attempts.to_string(),
                entry.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let values: Vec<Value> = entries.iter().map(listed).collect();
    let columns = [
        Column::whole("ID"),
        Column::whole("WHEN"),
        Column::title("SKILL"),
        Column::new("FROM"),
        Column::new("TO"),
        Column::new("STATE"),
        Column::right("ATTEMPTS"),
        Column::new("REASON"),
    ];
    show::list(context.ui, &columns, &rows, &values, "Nothing was submitted.");
    if let Some(first) = entries.first().filter(|_| is_more) {
        context.ui.note(&format!("There are older ones: `--before {}` lists them.", first.id));
    }
    Ok(Exit::Done)
}

fn show_one(context: &Context<'_>, id: &str) -> Result<Exit, AppError> {
    let entry = context.app.inbox_entry(id, context.agent_name())?;
    let shown = whole(&entry);
    if context.ui.json() {
        context.ui.json_value(&shown);
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = shown
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            vec![name.replace('_', " "), text]
        })
        .collect();
    show::list(context.ui, &["WHAT", "VALUE"].map(Column::whole), &rows, &[], "");
    Ok(Exit::Done)
}

fn cancel(context: &Context<'_>, id: &str) -> Result<Exit, AppError> {
    let me = me(context)?;
    let entry = context.app.cancel_entry(id, (&me, context.agent_name()), context.now())?;
    context.ui.note_run();
    context.ui.note("Cancelled: nobody had begun it.");
    if context.ui.json() {
        context.ui.json_value(&json!({ "id": entry.id, "state": entry.state.name() }));
    }
    Ok(Exit::Done)
}

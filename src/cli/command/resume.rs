//! `planwright resume`: runs that were cut off, carried on.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};

use crate::app::agent::known_agent;
use crate::app::error::AppError;
use crate::cli::command::runs::{failed, journal};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::LongArgs;
use crate::cli::render::text::visible;
use crate::host::{Decisions, Start};
use crate::journal::{Purpose, RunStatus};

/// The runs that are looked through for agents with a sign-in of their own.
const MAX_RUNS: usize = 1000;

/// Resume runs that were cut off
#[derive(Debug, Args)]
#[command(
    after_help = "First, Planwright checks what happened to each unanswered request; then what is left is\nreviewed and applied. Deletions need `--force` again. If nobody can tell whether something was\ncreated, look at the board and answer with `--made` or `--not-made`.\n\nExamples:\n  planwright resume                          resume everything that was cut off\n  planwright resume 0199f3c2                 resume one run\n  planwright resume 0199f3c2 --made 3=ABCD   change 3 did create the entity ABCD"
)]
pub(crate) struct ResumeArgs {
    /// Run id, or the end of one (default: all runs that were cut off)
    run: Option<String>,
    /// Say that change N, in doubt, created the entity ID
    #[arg(long, value_name = "N=ID", value_parser = parse_made, requires = "run")]
    made: Vec<(usize, String)>,
    /// Say that change N, in doubt, created nothing
    #[arg(long, value_name = "N", requires = "run")]
    not_made: Vec<usize>,
    /// Show what is left and stop
    #[arg(short = 'n', long, conflicts_with_all = ["made", "not_made"])]
    dry_run: bool,
    /// Allow deletions
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn parse_made(text: &str) -> Result<(usize, String), String> {
    let parts = text.split_once('=').and_then(|(n, id)| Some((n.parse().ok()?, id.to_owned())));
    parts.filter(|(_, id)| !id.is_empty()).ok_or_else(|| {
        "expected the number of a change and an id, as in `--made 3=ABCD`".to_owned()
    })
}

pub(crate) fn resume(context: &Context<'_>, args: &ResumeArgs) -> Result<Exit, AppError> {
    let ids: Vec<String> = match &args.run {
        Some(id) => vec![id.clone()],
        None => {
            let mut all = context.with_host(None, async |host| host.unfinished().await)??;
            for agent in with_own_sign_in(context)? {
                // What it has left belongs to another identity, which may not be signed in any more.
                let asked = context.with_host(Some(&agent), async |host| host.unfinished().await);
                match asked.and_then(|found| Ok(found?)) {
                    Ok(found) => all.extend(found),
                    Err(error) => {
                        context.ui.note(&format!("Cannot look for runs of {}:", visible(&agent)));
                        context.ui.error(&error);
                    }
                }
            }
            let mut seen = BTreeSet::new();
            let ids = all.iter().map(ToString::to_string);
            ids.filter(|id| seen.insert(id.clone())).collect()
        }
    };
    if ids.is_empty() {
        context.ui.note("No run was cut off.");
        if context.ui.json() {
            context.ui.json_value(&json!([]));
        }
        return Ok(Exit::Done);
    }
    context.ui.note_run();
    let (mut exit, mut reports) = (Exit::Done, Vec::new());
    let many = args.run.is_none();
    for id in ids {
        // A run that cannot be resumed must not hold up the others.
        let one = match resume_one(context, args, &id) {
            Ok(finished) if context.ui.json() && many => {
                reports.push(serde_json::to_value(&finished.report).unwrap_or_default());
                Exit::of_report(&finished.report)
            }
            Ok(finished) => context.show(&finished, None),
            Err(error) if many => {
                let exit = Exit::of_failure(&error.failure);
                if context.ui.json() {
                    reports.push(json!({ "run_id": id, "error": error.failure }));
                } else {
                    context.ui.note(&format!("Cannot resume run {id}:"));
                    context.ui.error(&error);
                }
                exit
            }
            Err(error) => return Err(error),
        };
        // The exit code is that of the last run that did not end well.
        if one != Exit::Done {
            exit = one;
        }
    }
    if context.ui.json() && many {
        context.ui.json_report(&reports);
    }
    Ok(exit)
}

/// Returns the agents with a sign-in of their own that have a run on record which has not ended. For a
/// person only: an agent resumes what is its own.
fn with_own_sign_in(context: &Context<'_>) -> Result<BTreeSet<String>, AppError> {
    let journal = if context.agent_name().is_some() { None } else { journal(context)? };
    let Some(journal) = journal else { return Ok(BTreeSet::new()) };
    let runs = journal.runs(MAX_RUNS, None).map_err(|error| failed(&error))?;
    let open = runs.into_iter().filter(|run| {
        !matches!(
            run.status,
            Some(RunStatus::Applied | RunStatus::Previewed | RunStatus::NoChanges)
        )
    });
    let agents = open.filter_map(|run| run.agent);
    Ok(agents.filter(|agent| context.app.own_profile(Some(agent)).is_some()).collect())
}

pub(crate) fn resume_one(
    context: &Context<'_>,
    args: &ResumeArgs,
    id: &str,
) -> Result<crate::host::Finished, AppError> {
    if !args.made.is_empty() || !args.not_made.is_empty() {
        context.for_people("resume --made")?;
    }
    // A run is resumed for the agent that it was started for, with the grants of today.
    let acts = context.agent_name();
    let none = || AppError::new("not_found", format!("the agent has no run `{id}`"));
    let (whole, agent) = match (journal(context)?, acts) {
        (Some(journal), Some(acts)) => {
            let run = journal.run_of_agent(id, acts).map_err(|_| none())?;
            (run.to_string(), Some(acts.to_owned()))
        }
        (Some(journal), None) => {
            let start = journal.run(id).map_err(|error| failed(&error))?.start;
            (start.id.to_string(), start.agent)
        }
        (None, Some(_)) => return Err(none()),
        (None, None) => (id.to_owned(), None),
    };
    let id = whole.as_str();
    let start = Start {
        purpose: Purpose::Resume,
        skill: "resume".into(),
        skill_digest: None,
        params: Value::Null,
        agent: match acts {
            Some(acts) => context.app.agent(Some(acts))?,
            None => known_agent(&context.app.workspace, agent.as_deref())?,
        },
        force: args.force,
        dry_run: args.dry_run,
    };
    let decided = Decisions {
        made: args.made.iter().cloned().collect(),
        not_made: args.not_made.iter().copied().collect(),
    };
    let agent = agent.as_deref();
    let finished =
        context.with_host(agent, async |host| host.resume(id, decided, start).await)??;
    // The run may have been one that carries an approved set out, or one whose rest waits.
    context.app.settle_all(context.now())?;
    Ok(finished)
}

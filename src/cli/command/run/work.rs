//! `planwright work`: a worker that runs what was submitted.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::app::App;
use crate::app::engine::{Clockwork, Engine};
use crate::app::error::AppError;
use crate::app::inbox::listed;
use crate::app::inbox::worker::Worker;
use crate::app::workspace::{log_problems, watched};
use crate::cli::command::run::inbox::tell;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::LongArgs;
use crate::cli::render::text::json_safe;

/// The interval at which the inbox is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The time that what is under way has to end in.
const STOPPING: Duration = Duration::from_secs(10);

/// Run what was submitted
///
/// Each entry is a run of the agent that it is for, under its grants, limits and policies. What is held
/// waits for a person. Several workers share one inbox; if one is killed, another carries on what it
/// had begun.
#[derive(Debug, Args)]
#[command(
    after_help = "An entry is tried three times, as long as it was only the service or the sign-in that failed.\nWhat is for an agent that is paused waits until the pause is lifted.\n\nExamples:\n  planwright work --once          run all that waits, and end\n  planwright work                 go on until Ctrl-C\n  planwright work --as rook       only what is for rook\n  planwright work --schedules     fire schedules and triggers, too"
)]
pub(crate) struct WorkArgs {
    /// End when nothing is waiting any more
    #[arg(long)]
    once: bool,
    /// Also fire the schedules and triggers of the workspace; with --once, those that are due now
    #[arg(long)]
    schedules: bool,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

/// Keeps everything running until Ctrl-C.
fn go_on(context: &Context<'_>) -> Result<Exit, AppError> {
    let App { settings, workspace, interrupt } = &context.app;
    let app = App {
        settings: settings.clone(),
        workspace: workspace.clone(),
        interrupt: Arc::clone(interrupt),
    };
    let stop = context.interrupt();
    context.block_on(async {
        let engine = Engine::start(Arc::new(app), context.watch(), None).await?;
        context.ui.note("Schedules and triggers fire; Ctrl-C ends it.");
        stop.wait().await;
        engine.stop(STOPPING).await;
        Ok(Exit::Done)
    })
}

pub(crate) fn work(context: &Context<'_>, args: &WorkArgs) -> Result<Exit, AppError> {
    let stop = context.interrupt();
    if args.schedules {
        context.for_people("work --schedules")?;
        if !args.once {
            return go_on(context);
        }
    }
    let watcher = Arc::new(watched(&context.app.workspace)?);
    log_problems(&watcher);
    if args.schedules {
        context.block_on(async {
            let clockwork =
                Clockwork::open(&context.app, Arc::clone(&watcher), context.watch()).await?;
            clockwork.tick(context.now()).await?;
            clockwork.look_once().await
        })?;
    }
    let (connection, agent) = (context.connect()?, context.agent_name());
    let worker = context.block_on(Worker::open(
        &context.app,
        (connection, watcher),
        agent,
        context.watch(),
    ))?;
    context.ui.note_run();
    let mut done: Vec<Value> = Vec::new();
    let is_list = args.once && context.ui.json();
    while !stop.is_set() {
        match context.block_on(worker.step(!args.once))? {
            Some(entry) if is_list => done.push(listed(&entry)),
            Some(entry) if context.ui.json() => {
                // A line for each: whoever reads along need not wait for the end.
                context.ui.answer(&json_safe(&listed(&entry).to_string()));
            }
            Some(entry) => tell(context, &entry),
            None if args.once => break,
            None => context.block_on(async {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = stop.wait() => {}
                }
            }),
        }
    }
    if is_list {
        context.ui.json_value(&done);
    }
    Ok(if args.once && stop.is_set() { Exit::Interrupted } else { Exit::Done })
}

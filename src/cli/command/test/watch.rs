//! `planwright test --watch`: the tests, run again whenever the workspace changes.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use crate::app::error::AppError;
use crate::cli::command::test::{TestArgs, chosen, play, show};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::text::{BOLD, RED, paint, visible};
use crate::host::Stop;
use crate::script::reload::{Options, Reloaded, Watcher};

pub(crate) fn run(context: &Context<'_>, args: &TestArgs) -> Result<Exit, AppError> {
    if context.ui.json() {
        return Err(AppError::usage(
            "`--watch` is for people: it cannot be combined with `--json`",
        ));
    }
    let Some(root) = &context.app.workspace.root else {
        let message = "there is nothing to watch: the workspace is the built-in one";
        return Err(AppError::usage(message)
            .hint("run it below a folder with a planwright.toml, or add `--workspace DIR`"));
    };
    let watcher = Watcher::start(root, Options::default())?;
    let (tell, mut events) = mpsc::unbounded_channel::<Reloaded>();
    // The loop may have ended: nobody receives any more.
    watcher.subscribe(move |event| drop(tell.send(event.clone())));
    let interrupt = context.interrupt();
    let mut exit = Exit::Interrupted;
    let mut is_first = true;
    loop {
        let generation = watcher.current().generation;
        match once(context, args, &watcher, &interrupt) {
            // The run was cut off: the outcome of the one before still holds.
            Ok(None) => return Ok(exit),
            Ok(Some(ended)) => exit = ended,
            // At the start it is a typo. Later on a file was deleted, which may come back.
            Err(error) if is_first => return Err(error),
            Err(error) => {
                exit = Exit::of_failure(&error.failure);
                context.ui.error(&error);
            }
        }
        is_first = false;
        context
            .ui
            .note(&format!("Watching {}; stop with Ctrl-C.", visible(&root.to_string_lossy())));
        let mut changed = Vec::new();
        loop {
            let event = context.block_on(async {
                tokio::select! {
                    () = interrupt.wait() => None,
                    event = events.recv() => event,
                }
            });
            let Some(event) = event else { return Ok(exit) };
            changed.extend(event.changed);
            // An event that the last run has seen already is no news; several at once need one run.
            if event.generation > generation && events.is_empty() {
                break;
            }
        }
        changed.sort();
        changed.dedup();
        let what = match changed.as_slice() {
            [] => "the workspace has changed".to_owned(),
            files => format!("changed: {}", files.join(", ")),
        };
        context.ui.answer(&format!("\n{}\n", paint(BOLD, &format!("── {} ──", visible(&what)))));
    }
}

/// Runs the tests on the version in force; `None` if that was cut off.
fn once(
    context: &Context<'_>,
    args: &TestArgs,
    watcher: &Watcher,
    interrupt: &Arc<Stop>,
) -> Result<Option<Exit>, AppError> {
    let began = Instant::now();
    let bundle = watcher.current();
    for problem in &bundle.problems {
        let mark = paint(RED.bold(), "broken");
        context.ui.note(&format!("{mark} {}", visible(&problem.to_string())));
    }
    let files = chosen(&bundle.workspace, &args.paths)?;
    let played = play(context, &bundle.workspace, interrupt, files, args.jobs, None)?;
    if interrupt.is_set() {
        return Ok(None);
    }
    show(context, &played, began.elapsed());
    let passed = played.iter().all(|test| test.passed);
    Ok(Some(if passed { Exit::Done } else { Exit::Input }))
}

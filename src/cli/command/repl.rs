//! `planwright repl`: the start of a prompt on the board, with a terminal or without.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use crate::app::agent::check_may_run;
use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::repl::{Repl, editor, history_of, piped};
use crate::cli::ui;
use crate::host::StopReason;

const EXAMPLES: &str = "\
Examples:
  planwright repl --plan \"BOS Operations\"
    board.tasks.filter(|t| t.is_overdue())
    let t = board.task(\"Label the spare laptops\")
    t.due = today().next(\"friday\")
    :apply
    :undo
  planwright repl < lines.txt      run lines without a prompt; the first error ends it

Nothing is written before `:apply`. `:help` lists the commands, Tab completes.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplArgs {
    /// Plan to make available as `board`: title or id
    #[arg(long)]
    plan: Option<String>,
}

pub(crate) fn run(context: &Context<'_>, args: &ReplArgs) -> Result<Exit, AppError> {
    check_may_run(&context.app.workspace.config, context.agent_name(), None)?;
    let connection = context.connect()?;
    let file = history_of(context, &connection)?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    // Ctrl-C stops a running line; a second one ends the program. While nothing runs, it goes to
    // the editor, or ends the program if there is none.
    let busy = Arc::new(AtomicBool::new(is_terminal));
    let (interrupt, is_busy) = (context.interrupt_flag(), Arc::clone(&busy));
    context.handle().spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if interrupt.is_set() || !is_busy.load(Ordering::SeqCst) {
                ui::leave();
            }
            interrupt.set(StopReason::Cancelled);
        }
    });
    let mut repl = Repl::open(context, connection, context.agent_name())?;
    if let Some(plan) = &args.plan {
        repl.use_plan(plan)?;
    }
    if is_terminal {
        editor::run(&mut repl, context.ui, &file)
    } else {
        piped::run(&mut repl, &busy)
    }
}

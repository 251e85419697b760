//! The commands, and the dispatch to them. One file each, so that a command is easy to find.

pub(crate) mod api;
pub(crate) mod apply;
pub(crate) mod audit;
pub(crate) mod board_file;
pub(crate) mod bucket;
pub(crate) mod delta;
pub(crate) mod directory;
pub(crate) mod emulator;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod repl;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod setup;
pub(crate) mod skill;
pub(crate) mod task;
pub(crate) mod test;
pub(crate) mod transfer;
pub(crate) mod undo;

use clap::CommandFactory as _;

use crate::app::error::AppError;
use crate::app::faces::Faces;
use crate::cli::args::{Cli, Command};
use crate::cli::command::setup::{agent, auth, config, doctor, explain, init, manual};
use crate::cli::context::{Context, for_people};
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

pub(crate) fn run(cli: &Cli, ui: &Ui, faces: Faces) -> Result<Exit, AppError> {
    // The first ones do without a workspace, which may be missing, broken or not trusted yet.
    if let Command::Completions { shell } = &cli.command {
        let mut text = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "planwright", &mut text);
        ui.answer(String::from_utf8_lossy(&text).trim_end());
        return Ok(Exit::Done);
    }
    if let Command::Worker = &cli.command {
        return Ok(worker());
    }
    let acts = cli.global.agent.as_deref();
    match &cli.command {
        Command::Man(args) => return manual::run(Cli::command(), ui, args),
        Command::Explain(args) => return explain::run(ui, args),
        Command::Doctor(_) => return doctor::run(&cli.global, ui),
        Command::Init(args) => {
            // Whoever makes a workspace, or trusts one, decides what agents may do.
            for_people(acts, "init")?;
            return init::run(ui, args);
        }
        Command::Auth(command) => {
            for_people(acts, "auth")?;
            return auth::run(&cli.global, ui, command);
        }
        Command::Config(command) => {
            for_people(acts, "config")?;
            return config::run(&cli.global, ui, command);
        }
        Command::State(command) => return setup::state::run(&cli.global, ui, command),
        Command::Mcp(args) => return setup::mcp::run(&cli.global, ui, args, faces),
        Command::Serve(args) => return setup::serve::run(&cli.global, ui, args, faces),
        _ => {}
    }
    let context = Context::new(&cli.global, cli.command.scripts(), cli.command.progress(), ui)?;
    match &cli.command {
        Command::Run(args) => run::run(&context, args),
        Command::Submit(args) => run::inbox::submit(&context, args),
        Command::Inbox(args) => run::inbox::inbox(&context, args),
        Command::Work(args) => run::work::work(&context, args),
        Command::Schedule(command) => run::schedule::run(&context, command),
        Command::Repl(args) => repl::run(&context, args),
        Command::Pull(args) => board_file::pull(&context, args),
        Command::Diff(args) => board_file::diff(&context, args),
        Command::Apply(args) => apply::run(&context, args),
        Command::Pending(args) => apply::pending::pending(&context, args),
        Command::Approve(args) => apply::pending::approve(&context, args),
        Command::Reject(args) => apply::pending::reject(&context, args),
        Command::Plan(command) => plan::run(&context, command),
        Command::Bucket(command) => bucket::run(&context, command),
        Command::Task(command) => task::run(&context, command),
        Command::User(command) => directory::user(&context, command),
        Command::Group(command) => directory::group(&context, command),
        Command::Runs(args) => runs::runs(&context, args),
        Command::Resume(args) => resume::resume(&context, args),
        Command::Undo(args) => undo::undo(&context, args),
        Command::Redo(args) => undo::redo(&context, args),
        Command::Audit(command) => audit::audit(&context, command),
        Command::Delta(args) => delta::run(&context, args),
        Command::Skill(command) => skill::run(&context, command),
        Command::Policy(command) => policy::run(&context, command),
        Command::Test(args) => test::run(&context, args),
        Command::Api(args) => api::run(&context, args),
        Command::Agent(command) => agent::run(&context, command),
        Command::Emulator(args) => emulator::run(&context, args),
        Command::Completions { .. }
        | Command::Worker
        | Command::Man(_)
        | Command::Explain(_)
        | Command::Doctor(_)
        | Command::Auth(_)
        | Command::Init(_)
        | Command::Mcp(_)
        | Command::Serve(_)
        | Command::State(_)
        | Command::Config(_) => Ok(Exit::Done),
    }
}

/// Runs the other end of an isolated run: it has no settings and no runtime, only the pipe.
fn worker() -> Exit {
    if crate::script::serve() == std::process::ExitCode::SUCCESS { Exit::Done } else { Exit::Input }
}

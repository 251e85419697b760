//! The command line, a face of the program: it translates what was typed, calls the host and
//! renders the answer.
//!
//! A command has no logic of its own. Only [`ui`] prints; only [`settings`] reads the
//! environment.

mod args;
mod context;
mod files;
mod options;
mod process;
mod resolve;
mod sheet;
mod show;

mod command;

mod exit;
mod progress;
mod render;
mod repl;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

/// Runs the program with the arguments of the process, name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    process::keep_memory_private();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match args::Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            if error.kind() == ErrorKind::DisplayHelp {
                help_of_skill(&arguments);
            }
            // Nothing is parsed yet, so the flag is looked up among the raw arguments.
            let json = arguments.iter().any(|argument| argument == "--json");
            return ui::print_usage(&error, json);
        }
    };
    let ui = ui::Ui::new(&cli.global);
    ui.start_logging(cli.global.verbose);
    let code = match command::run(&cli, &ui) {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            exit::Exit::of_failure(&error.failure)
        }
    };
    // An answer that could not be written must not look like success.
    if ui.has_failed() && code == exit::Exit::Done {
        return exit::Exit::Input.into();
    }
    code.into()
}

/// Shows the parameters of the named skill above the help of `run`.
fn help_of_skill(arguments: &[OsString]) {
    // clap stops at `--help`, so the command is parsed again without it.
    let rest = arguments.iter().filter(|argument| *argument != "--help" && *argument != "-h");
    let Ok(cli) = args::Cli::try_parse_from(rest) else { return };
    let ui = ui::Ui::new(&cli.global);
    let args::Command::Run(args) = &cli.command else { return };
    let progress = cli.command.progress();
    if let Ok(context) = context::Context::new(&cli.global, 0, progress, &ui) {
        command::run::help(&context, args);
    }
}

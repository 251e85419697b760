//! The command line, a face of the program: it translates what was typed, calls the host and
//! renders the answer.
//!
//! A command has no logic of its own. Only [`ui`] prints; only [`settings`] reads the
//! environment.

mod approvals;
mod approver;
mod args;
mod context;
mod files;
mod logging;
mod options;
mod process;
mod proposals;
mod resolve;
mod secret;
mod sheet;
mod show;
mod templates;

mod command;

mod exit;
mod progress;
mod render;
mod repl;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, Parser as _};

use crate::app::agent::is_refusal;
use crate::app::agent::refusals;
use crate::app::error::AppError;
use crate::app::faces::Faces;
use crate::host::similar::one_slip_from;
use crate::host::{StateFolder, SystemClock};
use crate::model::Clock as _;

/// Runs the program with the arguments of the process, name first, and the faces that it can start.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>, faces: Faces) -> ExitCode {
    process::keep_memory_private();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = args::Cli::parse_with_origins(&arguments).or_else(|error| {
        // `help` knows commands only, no options.
        match asks_help_for_help(&error) {
            true => args::Cli::parse_with_origins(&without_help_options(&arguments)),
            false => Err(error),
        }
    });
    let cli = match parsed {
        Ok(cli) => cli,
        Err(mut error) => {
            if error.kind() == ErrorKind::DisplayHelp {
                help_of_skill(&arguments);
            }
            // Nothing is parsed yet, so the flag is looked up among the raw arguments.
            let json = arguments.iter().any(|argument| argument == "--json");
            let hint = parameter_hint(&error, &arguments);
            if let Some(hint) = &hint {
                let hints = ContextValue::StyledStrs(vec![hint.clone().into()]);
                error.insert(ContextKind::Suggested, hints);
            }
            let near = nearest_commands(&error);
            if !near.is_empty() {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(near));
            }
            let color = options::Color::among(&arguments).choice();
            return ui::print_usage(&error, json, color, hint.as_deref());
        }
    };
    let ui = ui::Ui::new(&cli.global);
    let _logging = logging::Logging::start(&cli.global);
    let code = match command::run(&cli, &ui, faces) {
        Ok(code) => code,
        Err(error) => {
            ui.error(&error);
            note_refusal(&cli, &error);
            exit::Exit::of_failure(&error.failure)
        }
    };
    // An answer that could not be written must not look like success. A run is no answer: its code says
    // what it wrote.
    if ui.has_failed() && code == exit::Exit::Done {
        return exit::Exit::Input.into();
    }
    code.into()
}

/// Records what an agent was refused, where there is a journal already. The refusal stands whether or
/// not that can be done.
fn note_refusal(cli: &args::Cli, error: &AppError) {
    let Some(agent) = cli.global.agent.as_deref().filter(|_| is_refusal(&error.failure)) else {
        return;
    };
    let noted = cli.global.settings().state_dir().and_then(|folder| {
        let state = StateFolder::new(folder);
        if state.open_to_read()?.is_none() {
            return Ok(());
        }
        let what = ("command line", &error.failure, 0);
        refusals::note_refusal(&state, agent, what, SystemClock.now())
    });
    if let Err(error) = noted {
        tracing::warn!(error = %error.failure.message, "a refusal is not on record");
    }
}

/// Returns whether the error is one of `help --help`.
fn asks_help_for_help(error: &clap::Error) -> bool {
    let given = error.get(ContextKind::InvalidSubcommand);
    error.kind() == ErrorKind::InvalidSubcommand
        && matches!(given, Some(ContextValue::String(given)) if given == "--help" || given == "-h")
}

fn without_help_options(arguments: &[OsString]) -> Vec<OsString> {
    let is_option = |argument: &&OsString| *argument == "--help" || *argument == "-h";
    arguments.iter().filter(|argument| !is_option(argument)).cloned().collect()
}

/// Returns the commands that are one slip of the finger from a wrong one. clap compares by common
/// letters alone, and takes `rn` for `runs`.
fn nearest_commands(error: &clap::Error) -> Vec<String> {
    let (
        ErrorKind::InvalidSubcommand,
        Some(ContextValue::String(given)),
        Some(ContextValue::StyledStr(usage)),
    ) = (error.kind(), error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::Usage))
    else {
        return Vec::new();
    };
    // The usage names the command in which the wrong one was looked for.
    let usage = usage.to_string();
    let words = usage.split_whitespace().skip_while(|word| *word != "planwright").skip(1);
    let root = args::Cli::command();
    let mut command = &root;
    for word in words.take_while(|word| word.starts_with(char::is_alphabetic)) {
        let Some(inner) = command.find_subcommand(word) else { break };
        command = inner;
    }
    one_slip_from(given, command.get_subcommands().map(clap::Command::get_name))
}

/// Returns the way to give a parameter to a skill, for an option or argument that `run` does not
/// have.
fn parameter_hint(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let is_of_run = || error.render().to_string().contains("Usage: planwright run ");
    if error.kind() != ErrorKind::UnknownArgument || !is_of_run() {
        return None;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if let Some((name, _)) = given.split_once('=').filter(|_| !given.starts_with('-')) {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        return (!name.is_empty() && name.chars().all(is_name))
            .then(|| format!("a parameter of the skill is given as `-p {given}`"));
    }
    let name = given.strip_prefix("--")?.split('=').next().filter(|name| !name.is_empty())?;
    let mut texts = arguments.iter().filter_map(|argument| argument.to_str());
    let found = texts.find_map(|text| {
        let value = text.strip_prefix("--")?.strip_prefix(name)?;
        if value.is_empty() { Some(None) } else { value.strip_prefix('=').map(Some) }
    })?;
    // The value may be the next argument, unless that is an option, too.
    let value = found.or_else(|| texts.next().filter(|text| !text.starts_with("--")));
    Some(format!("a parameter of the skill is given as `-p {name}={}`", value.unwrap_or("…")))
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

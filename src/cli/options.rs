//! The options that several commands share. The doc comments are the help of the program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anstream::ColorChoice;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ValueEnum};

use crate::app::settings::Settings;
use crate::auth::Known;
use crate::cli::secret;

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Global {
    /// Profile to use, of those that `auth list` shows; `embedded` is the demo board on this machine
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub(crate) profile: Option<String>,
    /// Address of the Graph service, version included
    #[arg(long, global = true, value_name = "URL", env = "PLANWRIGHT_GRAPH_URL")]
    #[arg(hide_short_help = true)]
    pub(crate) graph_url: Option<String>,
    /// Use Graph's beta, which Microsoft may change without notice: recurring tasks, moving
    /// tasks between plans, archives, rosters, `delta`
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) beta: bool,
    /// Folder for state that is kept between runs
    #[arg(long, global = true, value_name = "DIR", env = "PLANWRIGHT_STATE_DIR")]
    #[arg(hide_short_help = true)]
    pub(crate) state_dir: Option<PathBuf>,
    /// Folder with planwright.toml and scripts
    #[arg(long, global = true, value_name = "DIR", env = "PLANWRIGHT_WORKSPACE")]
    #[arg(hide_short_help = true)]
    pub(crate) workspace: Option<PathBuf>,
    /// Act for an agent, within what planwright.toml grants it; reads show what it may see
    #[arg(long = "as", global = true, value_name = "AGENT", env = "PLANWRIGHT_AGENT")]
    pub(crate) agent: Option<String>,
    /// Apply what is held for approval without asking
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print JSON reports in full, however large
    #[arg(long, global = true, requires = "json", hide_short_help = true)]
    pub(crate) full: bool,
    /// Print tab-separated values
    #[arg(long, global = true, conflicts_with = "json", hide_short_help = true)]
    pub(crate) plain: bool,
    /// Log to stderr; repeat it to log every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count, hide_short_help = true)]
    pub(crate) verbose: u8,
    /// Choose how log lines are written; JSON is one object a line, with the time
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    #[arg(env = "PLANWRIGHT_LOG_FORMAT", hide_short_help = true)]
    pub(crate) log_format: LogFormat,
    /// Choose when to use colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_short_help = true
    )]
    pub(crate) color: Color,
    /// The origins of the options that were given.
    #[arg(skip)]
    pub(crate) origins: BTreeMap<&'static str, Origin>,
    /// The keys of sign-ins that a command has made already.
    #[arg(skip)]
    pub(crate) known: Known,
}

/// Reads an address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it is an IP address with a port, such as 127.0.0.1:7526".to_owned())
}

/// The ways to write log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The origins that a setting can have, besides its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
}

/// The options of which it is told where they came from, by their ids.
const TOLD: [&str; 5] = ["profile", "graph_url", "beta", "state_dir", "workspace"];

/// Returns where the options came from, as long as nothing has taken them out of the matches.
pub(crate) fn origins(matches: &ArgMatches) -> BTreeMap<&'static str, Origin> {
    let origin = |id: &'static str| match matches.value_source(id)? {
        ValueSource::CommandLine => Some((id, Origin::Flag)),
        ValueSource::EnvVariable => Some((id, Origin::Environment)),
        _ => None,
    };
    TOLD.into_iter().filter_map(origin).collect()
}

/// Options of commands that may take long.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LongArgs {
    /// How to show progress on stderr
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressWhen,
}

/// Ways to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressWhen {
    /// A bar on a terminal, while many changes are applied
    Auto,
    /// A line of JSON for each step
    Json,
    /// Nothing
    Never,
}

/// Formats of lists and answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Human,
    Json,
    Plain,
}

/// Choices of colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Returns the choice for a stream.
    pub(crate) const fn choice(self) -> ColorChoice {
        match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        }
    }

    /// Finds the choice among arguments that could not be parsed.
    pub(crate) fn among(arguments: &[OsString]) -> Self {
        let of = |text: &str| <Self as ValueEnum>::from_str(text, true).ok();
        let mut found = Self::Auto;
        let mut arguments = arguments.iter().filter_map(|argument| argument.to_str());
        while let Some(argument) = arguments.next() {
            let given = match argument.strip_prefix("--color=") {
                Some(text) => Some(text),
                None if argument == "--color" => arguments.next(),
                None => None,
            };
            found = given.and_then(of).unwrap_or(found);
        }
        found
    }
}

/// Options of all commands that can write.
#[derive(Debug, Clone, Args)]
pub(crate) struct WriteArgs {
    /// Show what would change and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Allow deletions
    #[arg(long)]
    pub(crate) force: bool,
    /// Save the change set to a file instead of applying it; see `planwright apply`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

impl Global {
    /// Returns the settings that all faces share.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            profile: self.profile.clone(),
            graph_url: self.graph_url.clone(),
            beta: self.beta,
            state_dir: self.state_dir.clone(),
            workspace: self.workspace.clone(),
            prompt: Some(secret::ask),
            of_agent: None,
            known: self.known.clone(),
        }
    }
}

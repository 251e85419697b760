//! What can be typed; no logic. Doc comments are the help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::command::{
    api, apply, board_file, bucket, config, delta, emulator, history, person, plan, policy, repl,
    run, skill, task, test,
};

const EXAMPLES: &str = "\
Examples:
  planwright run morning_triage --dry-run     show what a skill would change
  planwright run morning_triage               change it
  planwright task list --plan \"BOS Operations\" --open
  planwright task complete \"Check the fire extinguishers\"

Without a tenant everything works on the embedded demo board.";

/// Automate Microsoft Planner, safely
#[derive(Debug, Parser)]
#[command(name = "planwright", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Global {
    /// Profile to use: `embedded` is the demo board on this machine
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Address of the Graph service, version included
    #[arg(long, global = true, value_name = "URL", env = "PLANWRIGHT_GRAPH_URL")]
    pub(crate) graph_url: Option<String>,
    /// Use Graph's beta, which Microsoft may change without notice: recurring tasks, moving
    /// tasks between plans, archives, rosters, `delta`
    #[arg(long, global = true)]
    pub(crate) beta: bool,
    /// Folder for what is kept between runs
    #[arg(long, global = true, value_name = "DIR", env = "PLANWRIGHT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Folder with planwright.toml and scripts
    #[arg(long, global = true, value_name = "DIR", env = "PLANWRIGHT_WORKSPACE")]
    pub(crate) workspace: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print the whole of a report as JSON, however large it is
    #[arg(long, global = true, requires = "json")]
    pub(crate) full: bool,
    /// Print tab-separated values
    #[arg(long, global = true, conflicts_with = "json")]
    pub(crate) plain: bool,
    /// Say more on stderr; twice for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// Options of what may take long.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LongArgs {
    /// How to tell how far it is, on stderr
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressWhen,
}

impl Command {
    /// Returns how many kinds of scripts it runs at once: a skill with the policies that judge it.
    pub(crate) const fn scripts(&self) -> usize {
        match self {
            Self::Run(_) => 2,
            Self::Repl(_) | Self::Apply(_) | Self::Resume(_) | Self::Undo(_) | Self::Test(_) => 1,
            _ => 0,
        }
    }

    /// Returns how to tell how far it is.
    pub(crate) const fn progress(&self) -> ProgressWhen {
        match self {
            Self::Run(args) => args.long.progress,
            Self::Diff(args) => args.long.progress,
            Self::Apply(args) => args.long.progress,
            Self::Resume(args) => args.long.progress,
            Self::Undo(args) => args.long.progress,
            Self::Plan(plan::PlanCommand::Copy(args)) => args.long.progress,
            Self::Plan(plan::PlanCommand::Import(args)) => args.long.progress,
            _ => ProgressWhen::Auto,
        }
    }
}

/// How to tell how far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressWhen {
    /// A bar on a terminal, while many changes are applied
    Auto,
    /// A line of JSON for each step
    Json,
    /// Not at all
    Never,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Options of everything that can write.
#[derive(Debug, Clone, Args)]
pub(crate) struct WriteArgs {
    /// Show what would change and stop
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Allow deletions
    #[arg(long)]
    pub(crate) force: bool,
    /// Act for an agent, within what planwright.toml grants it
    #[arg(long = "as", value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Save the change set to a file instead of applying it; see `planwright apply`
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a skill, a script or a board file
    Run(run::RunArgs),
    /// Explore and change a board at a prompt
    Repl(repl::ReplArgs),
    /// Write a plan down as a file to edit
    Pull(board_file::PullArgs),
    /// Show what a board file would change
    Diff(board_file::DiffArgs),
    /// Apply a saved change set
    Apply(apply::ApplyArgs),
    /// List runs, and show what one did
    Runs(history::RunsArgs),
    /// Carry on runs that were cut off
    Resume(history::ResumeArgs),
    /// Take back what a run has written
    Undo(history::UndoArgs),
    /// List and change plans
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// List and change buckets
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    /// List and change tasks
    #[command(subcommand)]
    Task(Box<task::TaskCommand>),
    /// Look up people
    #[command(subcommand)]
    User(person::UserCommand),
    /// Look up groups
    #[command(subcommand)]
    Group(person::GroupCommand),
    /// Show what has changed on your plans since you asked last (beta)
    Delta(delta::DeltaArgs),
    /// List, show, make and check skills
    #[command(subcommand)]
    Skill(skill::SkillCommand),
    /// List and check policies, and explain what they said
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Run the tests of skills and policies
    Test(test::TestArgs),
    /// Print what scripts can call
    Api(api::ApiArgs),
    /// Show, check and export the record of everything that was done
    #[command(subcommand)]
    Audit(history::AuditCommand),
    /// See and set what holds for you in every workspace
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Serve the embedded Planner to other programs
    Emulator(emulator::EmulatorArgs),
    /// Run scripts that are told to it on a pipe: the process in which every script runs
    #[command(hide = true)]
    Worker,
    /// Print completions for a shell
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

//! The command line as clap sees it, without logic. The doc comments are the help of the program.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::command::setup::{
    agent, auth, config, doctor, explain, init, manual, mcp, serve, state,
};
use crate::cli::command::{
    api, apply, audit, board_file, bucket, delta, directory, emulator, plan, policy, repl, resume,
    run, runs, skill, task, test, undo,
};
use crate::cli::options::{Global, ProgressWhen, origins};

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

impl Cli {
    /// Parses a command line; knows of the global options whether they were typed.
    pub(crate) fn parse_with_origins(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        if arguments.iter().any(is_id_with_hyphen) {
            command = taking_hyphens(command);
        }
        let mut matches = command.try_get_matches_from(arguments)?;
        let origins = origins(&matches);
        let mut cli = Self::from_arg_matches_mut(&mut matches)
            .map_err(|error| error.format(&mut Self::command()))?;
        cli.global.origins = origins;
        Ok(cli)
    }
}

/// Returns whether an argument is one of Planner's ids (28 characters) that begins with a hyphen, as
/// one of sixty-four does. No option looks like that.
fn is_id_with_hyphen(argument: &OsString) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    argument.to_str().is_some_and(|text| {
        text.len() == 28
            && text.starts_with('-')
            && !text.starts_with("--")
            && text.bytes().all(fits)
    })
}

/// Returns a command whose arguments may begin with a hyphen.
fn taking_hyphens(command: clap::Command) -> clap::Command {
    let takes = |argument: clap::Arg| match argument.get_action().takes_values() {
        true => argument.allow_hyphen_values(true),
        false => argument,
    };
    command.mut_args(takes).mut_subcommands(taking_hyphens)
}

impl Command {
    /// Returns the number of script processes to start early: for a skill, and for the policies
    /// that judge it.
    pub(crate) const fn scripts(&self) -> usize {
        match self {
            Self::Run(_) | Self::Work(_) => 2,
            Self::Repl(_)
            | Self::Apply(_)
            | Self::Approve(_)
            | Self::Resume(_)
            | Self::Undo(_)
            | Self::Redo(_)
            | Self::Test(_) => 1,
            _ => 0,
        }
    }

    /// Returns the choice of progress for this command.
    pub(crate) const fn progress(&self) -> ProgressWhen {
        match self {
            Self::Run(args) => args.long.progress,
            Self::Work(args) => args.long.progress,
            Self::Diff(args) => args.long.progress,
            Self::Apply(args) => args.long.progress,
            Self::Approve(args) => args.long.progress,
            Self::Resume(args) => args.long.progress,
            Self::Undo(args) => args.long.progress,
            Self::Redo(args) => args.long.progress,
            Self::Plan(plan::PlanCommand::Copy(args)) => args.long.progress,
            Self::Plan(plan::PlanCommand::Import(args)) => args.long.progress,
            _ => ProgressWhen::Auto,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a skill, a script or a board file
    Run(run::RunArgs),
    /// Submit a skill, to be run by a worker as an agent
    Submit(run::inbox::SubmitArgs),
    /// List what was submitted, show it, and cancel it
    Inbox(run::inbox::InboxArgs),
    /// Run what was submitted
    Work(run::work::WorkArgs),
    /// List the schedules, show their next times, run and pause them
    #[command(subcommand)]
    Schedule(run::schedule::ScheduleCommand),
    /// Explore and change a board at a prompt
    Repl(repl::ReplArgs),
    /// Write a plan to a file for editing
    Pull(board_file::PullArgs),
    /// Show what a board file would change
    Diff(board_file::DiffArgs),
    /// Apply a saved change set
    Apply(apply::ApplyArgs),
    /// List runs, and show what one did
    Runs(runs::RunsArgs),
    /// List what waits for approval
    Pending(apply::pending::PendingArgs),
    /// Approve a set that is held, and apply it
    Approve(apply::pending::ApproveArgs),
    /// Reject a set that is held
    Reject(apply::pending::RejectArgs),
    /// Resume runs that were cut off
    Resume(resume::ResumeArgs),
    /// Undo what a run wrote
    Undo(undo::UndoArgs),
    /// Redo what an undo took back
    Redo(undo::RedoArgs),
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
    User(directory::UserCommand),
    /// Look up groups
    #[command(subcommand)]
    Group(directory::GroupCommand),
    /// Show what has changed in your plans since you last asked (beta)
    Delta(delta::DeltaArgs),
    /// List, show, create and check skills
    #[command(subcommand)]
    Skill(skill::SkillCommand),
    /// List, show, create and check policies, and explain their verdicts
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Run the tests of skills and policies
    Test(test::TestArgs),
    /// Print what scripts can call
    Api(api::ApiArgs),
    /// Show, check and export the record of everything that was done
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Sign in and out, and show who is signed in
    #[command(subcommand)]
    Auth(auth::AuthCommand),
    /// Make a folder a workspace, with an example to begin with
    Init(init::InitArgs),
    /// Check what Planwright needs, and say what to do about it
    Doctor(doctor::DoctorArgs),
    /// Explain an error code or an exit code
    Explain(explain::ExplainArgs),
    /// List the agents, show what each may do, and pause them
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    /// Show the settings in force, and which workspaces you trust
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Back up, restore and prune the state folder
    #[command(subcommand)]
    State(state::StateCommand),
    /// Serve an AI agent over the Model Context Protocol
    Mcp(mcp::McpArgs),
    /// Serve schedules, an API, and a page for the browser
    Serve(serve::ServeArgs),
    /// Serve the embedded Planner to other programs
    Emulator(emulator::EmulatorArgs),
    /// Run the scripts that arrive on a pipe, isolated from the main process
    #[command(hide = true)]
    Worker,
    /// Print the manual page
    Man(manual::ManArgs),
    /// Print completions for a shell
    Completions {
        /// Shell to complete for
        shell: clap_complete::Shell,
    },
}

//! `planwright apply`: a saved change set, judged again, then applied.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::change::Saved;
use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::host::{Failure, Start};

/// Apply a saved change set
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright run morning_triage --out triage.json\n  planwright apply triage.json"
)]
pub(crate) struct ApplyArgs {
    /// File that `--out` wrote
    file: PathBuf,
    /// Judge it again, show it, and stop
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) fn run(context: &Context<'_>, args: &ApplyArgs) -> Result<Exit, CommandError> {
    let shown = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| {
        CommandError::new("io", format!("can not read `{shown}`")).caused_by(&error)
    })?;
    let saved = Saved::parse(&text).map_err(|error| {
        let failure = Failure::of(
            "saved",
            &error,
            Some("write one with `planwright run SKILL --out FILE`".to_owned()),
        );
        CommandError { failure: Failure { message: format!("`{shown}`: {error}"), ..failure } }
    })?;
    let agent = saved.agent.clone();
    let start = Start {
        skill: saved.skill.clone(),
        skill_digest: saved.skill_digest.clone(),
        params: Value::Null,
        agent: context.agent(agent.as_deref())?,
        force: saved.force,
        dry_run: args.dry_run,
    };
    let finished =
        context.with_host(agent.as_deref(), async |host| host.apply_saved(saved, start).await)?;
    Ok(context.show(&finished, None))
}

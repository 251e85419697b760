//! `planwright apply`: a saved change set, judged again and then applied, because rules and board
//! may have changed since it was saved.

pub(crate) mod pending;

use std::path::Path;

use clap::Args;

use crate::app::applied_mark::AppliedMark;
use crate::app::error::AppError;
use crate::app::pending::approve::Approvable;
use crate::app::pending::{check_not_applied, check_waits};
use crate::app::seal;
use crate::change::{Saved, SavedError};
use crate::cli::approvals::apply_approved;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::options::LongArgs;
use crate::host::{Failure, Start, Status};
use crate::journal::kept::KeptState;

/// Apply a saved change set
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright run morning_triage --out triage.json\n  planwright apply triage.json\n  planwright apply 0199f3c2"
)]
pub(crate) struct ApplyArgs {
    /// File that `--out` wrote, or the id of a run with `--dry-run`
    #[arg(value_name = "FILE|ID")]
    set: String,
    /// Judge it again, show it, and stop
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Allow deletions; the file itself cannot
    #[arg(long)]
    force: bool,
    /// Apply a file that was changed, or saved elsewhere, as your own changes
    #[arg(long)]
    unsealed: bool,
    #[command(flatten)]
    pub(crate) long: LongArgs,
}

pub(crate) fn run(context: &Context<'_>, args: &ApplyArgs) -> Result<Exit, AppError> {
    let path = Path::new(&args.set);
    // A file wins: an id is never one by chance.
    if !path.exists() && looks_like_id(&args.set) {
        return apply_kept(context, args);
    }
    // A bare word that is no file was meant as the id of a run.
    if !path.exists() && path.components().count() == 1 && path.extension().is_none() {
        return Err(neither(&args.set, "a run"));
    }
    let saved = read(context, args, path)?;
    let agent = agent_of(&saved, context.agent_name())?;
    let start = context.app.start_of_saved(&saved, agent.as_deref())?;
    let start = Start { force: args.force, dry_run: args.dry_run, ..start };
    apply(context, args, saved, start)
}

fn neither(text: &str, run: &str) -> AppError {
    AppError::new("not_found", format!("`{text}` is neither a file nor {run}"))
        .hint("`planwright runs` lists the runs, `planwright pending` what waits")
}

/// Returns whether a text can be the id of a run, or the beginning of one.
fn looks_like_id(text: &str) -> bool {
    text.len() >= 4 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Applies the preview of a run, or a set that somebody else has approved.
fn apply_kept(context: &Context<'_>, args: &ApplyArgs) -> Result<Exit, AppError> {
    // What a person drafted would be applied as theirs, and what another agent did as its.
    let found = context.app.kept_set(&args.set, context.agent_name(), context.now());
    let set = found.map_err(|error| match error.failure.code.as_str() {
        "not_found" if context.agent_name().is_none() => {
            neither(&args.set, "a run whose changes can be applied")
        }
        _ => error,
    })?;
    let (saved, start) = context.app.start_of(&set)?;
    match set.state {
        KeptState::Previewed => {
            let force = args.force || (saved.force && context.agent_name().is_some());
            let start = Start { force, dry_run: args.dry_run, ..start };
            apply(context, args, saved, start)
        }
        // A look at it uses no approval up.
        KeptState::Approved if args.dry_run => {
            apply(context, args, saved, Start { dry_run: true, ..start })
        }
        KeptState::Approved => {
            let wish = Approvable { set, saved, start, is_own: true };
            apply_approved(context, wish, None, None)
        }
        KeptState::Pending if context.agent_name().is_some() => {
            Err(AppError::new("held", format!("`{}` is held: a person must approve it", set.run)))
        }
        KeptState::Pending => Err(AppError::new("held", format!("`{}` is held", set.run))
            .hint(format!("`planwright approve {}` applies it", set.run))),
        _ => {
            check_not_applied(&set)?;
            check_waits(&set).map(|()| Exit::Done)
        }
    }
}

fn apply(
    context: &Context<'_>,
    args: &ApplyArgs,
    saved: Saved,
    start: Start,
) -> Result<Exit, AppError> {
    let agent = start.agent.as_ref().map(|agent| agent.name.clone());
    let mark = AppliedMark::take(&context.app, &saved, &args.set, args.dry_run)?;
    let applied =
        context.with_host(agent.as_deref(), async |host| host.apply_saved(saved, start).await);
    let finished = match applied {
        Ok(finished) => finished,
        // It was not even begun.
        Err(error) => {
            mark.keep_if(false);
            return Err(error);
        }
    };
    // A set that was refused or only previewed can be applied later.
    let written = matches!(finished.report.status, Status::Applied | Status::Partial);
    mark.keep_if(written);
    Ok(context.show(&finished, None))
}

/// Reads the set, either sealed or as one of the person's own.
fn read(context: &Context<'_>, args: &ApplyArgs, path: &Path) -> Result<Saved, AppError> {
    if args.unsealed && context.agent_name().is_some() {
        let message = "an agent can apply only sealed sets: `--unsealed` is for people";
        return Err(AppError::usage(message));
    }
    let named = |error: &SavedError, code: &str| {
        let failure = Failure::from_error(code, error, None);
        let message = format!("`{}`: {error}", path.display());
        AppError { failure: Failure { message, ..failure } }
    };
    let saved = Saved::parse(&files::read(path)?).map_err(|error| {
        named(&error, "saved").hint("write one with `planwright run SKILL --out FILE`")
    })?;
    if args.unsealed {
        return Ok(saved.as_own());
    }
    match saved.verify(&seal::key(&context.app.settings)?) {
        Ok(()) => Ok(saved),
        // A refusal does not tell an agent what would allow it.
        Err(error) if context.agent_name().is_some() => Err(named(&error, "unsealed")),
        Err(error) => Err(named(&error, "unsealed").hint(
            "`--unsealed` applies it as your own changes; if it was saved with another state folder, name that with `--state-dir DIR`",
        )),
    }
}

/// Returns the agent for whom the set is applied: the one that drafted it, or the one that applies
/// it.
fn agent_of(saved: &Saved, acts: Option<&str>) -> Result<Option<String>, AppError> {
    match (saved.agent.as_deref(), acts) {
        (Some(of), Some(by)) if of != by => {
            let message = format!("the set belongs to the agent `{of}`: `{by}` cannot apply it");
            Err(AppError::new("agent", message))
        }
        (Some(agent), _) | (None, Some(agent)) => Ok(Some(agent.to_owned())),
        (None, None) => Ok(None),
    }
}

//! `planwright api`: everything that scripts can call, from the metadata of the code itself, so
//! that it is never out of date.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::reference;
use crate::host::similar::{did_you_mean, nearest};
use crate::script::catalog::{Member, catalog};

const EXAMPLES: &str = "\
Examples:
  planwright api                      what a skill can call, in short
  planwright api --all                everything, as Markdown
  planwright api Task                 the members of a task
  planwright api assign               every member of that name
  planwright api --json               as data
  planwright api --format rhai > planwright.d.rhai";

/// Print what scripts can call
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApiArgs {
    /// Type or name to show (default: what a skill can call)
    name: Option<String>,
    /// Show everything, including what only policies and tests can call
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// Format to print
    #[arg(long, default_value = "md", conflicts_with = "json")]
    format: Format,
}

/// Forms of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Markdown, for people
    Md,
    /// JSON
    Json,
    /// Definitions in Rhai, for editors
    Rhai,
}

pub(crate) fn run(context: &Context<'_>, args: &ApiArgs) -> Result<Exit, AppError> {
    let all = catalog().members();
    let members: Vec<&Member> = match &args.name {
        None => all.iter().collect(),
        Some(name) => meant(name)?,
    };
    match (args.format, context.ui.json()) {
        (Format::Json, _) | (_, true) => {
            let version = env!("CARGO_PKG_VERSION");
            context.ui.json_value(&json!({ "version": version, "members": members }));
        }
        (Format::Md, _) if args.all => context.ui.answer(reference::whole(&members).trim_end()),
        (Format::Md, _) if args.name.is_none() => {
            context.ui.answer(reference::short(&members).trim_end());
        }
        (Format::Md, _) => context.ui.answer(reference::tables(&members, 2).trim()),
        (Format::Rhai, _) => context.ui.answer(reference::definitions(&members).trim_end()),
    }
    Ok(Exit::Done)
}

/// Finds the members of a type, or those with a name, ignoring case.
fn meant(name: &str) -> Result<Vec<&'static Member>, AppError> {
    let found = catalog().find(name);
    if !found.is_empty() {
        return Ok(found);
    }
    if catalog().is_of_language(name) {
        return Err(AppError::new(
            "not_found",
            format!("`{name}` is one of the language's own functions, and can be used"),
        )
        .hint("they are described at https://rhai.rs/book/language/"));
    }
    let all = catalog().members();
    let names =
        all.iter().flat_map(|member| [Some(member.name.as_str()), member.on.as_deref()]).flatten();
    let error = AppError::new("not_found", format!("scripts have no `{name}`"));
    Err(match nearest(name, names).as_slice() {
        [] => error.hint("`planwright api` shows everything"),
        near => error.hint(did_you_mean(near)),
    })
}

//! `planwright skill new`: a skill with its test and its page, ready to run, or a copy of another.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::command::skill::unknown;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::templates::{CONFIG, SKILL, SKILL_PAGE, SKILL_TEST, is_usable};
use crate::script::workspace::CONFIG_FILE;

/// Create a skill, with a test and a page of its own
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright skill new due_soon\n  planwright skill check due_soon\n  planwright test due_soon\n  planwright run due_soon --dry-run\n  planwright skill new our_triage --from morning_triage\n\nOutside a workspace, it makes one here: a planwright.toml. `planwright init` makes a whole one."
)]
pub(crate) struct NewArgs {
    /// Name of the skill: lower-case letters, digits and `_`
    name: String,
    /// Begin with the source of another skill, shipped or your own
    #[arg(long, value_name = "SKILL")]
    from: Option<String>,
}

pub(crate) fn new(context: &Context<'_>, args: &NewArgs) -> Result<Exit, AppError> {
    // It is in force at once; an agent proposes one.
    context.for_people("skill new")?;
    let name = args.name.as_str();
    check_name("skill", name)?;
    if context.app.workspace.is_shipped(&format!("skills/{name}.rhai")) {
        return Err(shadows("skill", name).hint(format!(
            "name yours differently: `planwright skill new my_{name} --from {name}`"
        )));
    }
    let texts = match &args.from {
        Some(from) => {
            let skill = context.app.workspace.skills.get(from);
            let skill = skill.ok_or_else(|| unknown(context, from))?;
            vec![(format!("scripts/skills/{name}.rhai"), skill.clone())]
        }
        None => vec![
            (format!("scripts/skills/{name}.rhai"), SKILL.replace("NAME", name)),
            (format!("scripts/tests/{name}.rhai"), SKILL_TEST.replace("NAME", name)),
            (format!("docs/skills/{name}.md"), SKILL_PAGE.replace("NAME", name)),
        ],
    };
    let test =
        if args.from.is_some() { String::new() } else { format!("planwright test {name}\n") };
    let next = format!(
        "planwright skill check {name}\n{test}planwright run {name} --dry-run\nplanwright api            everything that scripts can call"
    );
    create(context, name, texts, &next)
}

/// Refuses a name that a skill or policy cannot have.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), AppError> {
    if is_usable(name) {
        return Ok(());
    }
    let message = format!("`{name}` cannot be the name of a {what}");
    Err(AppError::usage(message).hint("use lower-case letters, digits and `_`, as in due_soon"))
}

/// Writes new files into the workspace, or makes a workspace here; says what was written, and what
/// to type `next`.
/// Returns the error of a name under which something is shipped: a file of that name would take its
/// place at once.
pub(crate) fn shadows(what: &str, name: &str) -> AppError {
    let message =
        format!("`{name}` is a shipped {what}, and a file of that name would take its place");
    AppError::new("exists", message)
}

pub(crate) fn create(
    context: &Context<'_>,
    name: &str,
    texts: Vec<(String, String)>,
    next: &str,
) -> Result<Exit, AppError> {
    let root = context.app.workspace.root.clone();
    let is_new = root.is_none();
    let root = match root {
        Some(root) => root,
        None => std::env::current_dir()?,
    };
    let mut all: Vec<(PathBuf, String)> = Vec::new();
    if is_new {
        all.push((CONFIG_FILE.into(), CONFIG.to_owned()));
    }
    all.extend(texts.into_iter().map(|(path, text)| (PathBuf::from(path), text)));
    files::write_new(&root, &all)?;
    if context.ui.json() {
        let paths: Vec<_> = all.iter().map(|(path, _)| path).collect();
        context.ui.json_value(&json!({ "name": name, "files": paths }));
        return Ok(Exit::Done);
    }
    if is_new {
        context.ui.note("Made this folder a workspace.");
    }
    for (path, _) in &all {
        context.ui.answer(&path.display().to_string());
    }
    context.ui.note(&format!("\n{next}"));
    Ok(Exit::Done)
}

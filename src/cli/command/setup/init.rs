//! `planwright init`: a workspace to begin with.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::render::text::visible;
use crate::cli::templates::{CONFIG, SKILL, SKILL_TEST};
use crate::cli::ui::Ui;
use crate::script::workspace::CONFIG_FILE;

/// The example: a skill, and its test.
const EXAMPLE: &str = "due_soon";

/// The folders of scripts.
const FOLDERS: [&str; 4] = ["skills", "policies", "lib", "tests"];

/// Make a folder a workspace, with an example to begin with
#[derive(Debug, Args)]
#[command(
    after_help = "It writes planwright.toml with commented settings, the folders scripts/skills, policies, lib and\ntests, and one skill with its test. Nothing that is there is overwritten.\n\nExamples:\n  planwright init\n  planwright init ~/planner"
)]
pub(crate) struct InitArgs {
    /// Folder, made if it is missing (default: the working folder)
    dir: Option<PathBuf>,
}

/// Runs the command without a workspace: there is none yet.
pub(crate) fn run(ui: &Ui, args: &InitArgs) -> Result<Exit, AppError> {
    let root = args.dir.as_deref().unwrap_or(Path::new("."));
    if root.join(CONFIG_FILE).exists() {
        let message = format!("`{}` is a workspace already", root.display());
        return Err(AppError::new("exists", message)
            .hint("nothing was written; `planwright doctor` says how it stands"));
    }
    let all: Vec<(PathBuf, String)> = vec![
        (format!("scripts/skills/{EXAMPLE}.rhai").into(), SKILL.replace("NAME", EXAMPLE)),
        (format!("scripts/tests/{EXAMPLE}.rhai").into(), SKILL_TEST.replace("NAME", EXAMPLE)),
        // Last: a folder with this file is a workspace, and should be a whole one.
        (CONFIG_FILE.into(), CONFIG.to_owned()),
    ];
    files::write_new(root, &all)?;
    for folder in FOLDERS {
        files::make_folder(&root.join("scripts").join(folder))?;
    }
    let name = root.to_string_lossy().into_owned();
    let quoted = shlex::try_quote(&name).map_or_else(|_| name.clone(), Cow::into_owned);
    let mut next = vec![
        format!("planwright test {EXAMPLE}"),
        format!("planwright run {EXAMPLE} --dry-run"),
        "planwright doctor".to_owned(),
    ];
    if args.dir.is_some() {
        next.insert(0, format!("cd {quoted}"));
    }
    if ui.json() {
        let paths: Vec<_> = all.iter().map(|(path, _)| path).collect();
        ui.json_value(&json!({ "workspace": name, "files": paths, "next": next }));
        return Ok(Exit::Done);
    }
    for (path, _) in &all {
        ui.answer(&visible(&root.join(path).to_string_lossy()));
    }
    ui.note("\nMade a workspace. What to type next:\n");
    next.iter().for_each(|line| ui.note(&format!("  {}", visible(line))));
    Ok(Exit::Done)
}

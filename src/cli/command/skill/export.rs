//! `planwright skill export`: skills for AI agents that read the Agent Skills format, a folder with a
//! page that says what a skill is for and how to run it.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::command::skill::{trial, unknown};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::render::text::{shortened, visible, visible_lines};
use crate::script::Manifest;

/// The skill that teaches writing skills.
const WRITING: &str = include_str!("writing.md");
/// Its name.
const WRITING_NAME: &str = "write-planwright-skills";
/// The most characters of a description in the head of a page.
const MAX_DESCRIPTION: usize = 1_000;

/// Export a skill for AI agents, in the Agent Skills format
#[derive(Debug, Args)]
#[command(
    after_help = "It writes a folder with a SKILL.md. That format has `-` where names here have `_`.\n\nExamples:\n  planwright skill export weekly_report --out ~/.claude/skills\n  planwright skill export --writing --out ~/.claude/skills    how to write skills"
)]
pub(crate) struct ExportArgs {
    /// Skill by name
    #[arg(required_unless_present = "writing", conflicts_with = "writing")]
    name: Option<String>,
    /// Export the one that teaches writing skills
    #[arg(long)]
    writing: bool,
    /// Folder to put it into (default: the working folder)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn export(context: &Context<'_>, args: &ExportArgs) -> Result<Exit, AppError> {
    let (folder, text) = match &args.name {
        None => (WRITING_NAME.to_owned(), WRITING.to_owned()),
        Some(name) => {
            let source = context.app.workspace.skills.get(name);
            let manifest = Manifest::parse(source.ok_or_else(|| unknown(context, name))?)?;
            let folder = name.replace('_', "-");
            let text = page(&folder, name, &manifest);
            (folder, text)
        }
    };
    let root = args.out.clone().unwrap_or_default();
    let path = PathBuf::from(folder).join("SKILL.md");
    files::write_new(&root, &[(path.clone(), text)])?;
    let path = root.join(path);
    if context.ui.json() {
        context.ui.json_value(&json!({ "files": [path] }));
    } else {
        context.ui.answer(&path.display().to_string());
    }
    Ok(Exit::Done)
}

/// Returns the page of a skill.
fn page(title: &str, name: &str, manifest: &Manifest) -> String {
    let summary = visible(manifest.summary());
    let about = format!("{summary} A skill of Planwright, on Microsoft Planner.");
    // A text of JSON is one of YAML, too.
    let about = json!(shortened(about.trim(), MAX_DESCRIPTION));
    let trial = trial(name, manifest);
    let real = trial.trim_end_matches(" --dry-run");
    let mut page = format!("---\nname: {title}\ndescription: {about}\n---\n\n# {name}\n\n");
    let _infallible = writeln!(page, "{}\n", visible_lines(&manifest.description));
    let _infallible = writeln!(
        page,
        "## Run it\n\nFirst show what it would change, and let whoever asked see it:\n\n```sh\n{trial}\n```\n\nThen do it:\n\n```sh\n{real}\n```\n"
    );
    page.push_str(
        "`--json` prints the report as JSON. Exit codes: 0 done, 3 denied by a rule, 4 somebody else has changed\nthe same, 7 held until a person approves it, 8 done in part.\n",
    );
    if manifest.params.iter().flatten().next().is_none() {
        return page;
    }
    page.push_str("\n## Parameters\n\nEach is given as `-p NAME=VALUE`.\n\n");
    page.push_str("| name | type | default | what it is |\n| --- | --- | --- | --- |\n");
    for (param_name, param) in manifest.params.iter().flatten() {
        let default = param.default.as_ref().map_or("required".to_owned(), ToString::to_string);
        let cell = |text: &str| visible(text).replace('|', "\\|");
        let (kind, what) = (param.kind.name(), cell(&param.description));
        let _infallible =
            writeln!(page, "| `{param_name}` | {kind} | {} | {what} |", cell(&default));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_head_and_tells_how_to_run_the_skill() {
        let source = "//! Says: \"hello\".\n//!\n//! ```toml\n//! [params]\n//! who = { type = \"string\", description = \"a|b\" }\n//! ```\n";
        let page = page("say-hello", "say_hello", &Manifest::parse(source).unwrap());
        assert!(
            page.starts_with("---\nname: say-hello\ndescription: \"Says: \\\"hello\\\"."),
            "{page}"
        );
        assert!(
            page.contains("planwright run say_hello -p ") && page.contains("--dry-run"),
            "{page}"
        );
        assert!(page.contains("| `who` | string | required | a\\|b |"), "{page}");
    }

    #[test]
    fn the_page_on_writing_is_named_as_its_folder() {
        assert!(WRITING.contains(&format!("\nname: {WRITING_NAME}\n")));
    }
}

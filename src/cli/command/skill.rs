//! `planwright skill`: the skills of the workspace, listed, shown, checked and created.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::shown::scripts::{listed, own_first};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files;
use crate::cli::render::failure;
use crate::cli::render::table::Column;
use crate::cli::render::text::{count, visible};
use crate::cli::show;
use crate::host::similar::similar;
use crate::script::finding::{Role, Severity};
use crate::script::lint;
use crate::script::workspace::manifest::ParamKind;
use crate::script::{Manifest, Workspace};

pub(crate) mod export;
mod propose;
pub(crate) mod scaffold;

/// List, show, create, check and propose skills
#[derive(Debug, Subcommand)]
pub(crate) enum SkillCommand {
    /// List the skills of the workspace
    List,
    Show(ShowArgs),
    New(scaffold::NewArgs),
    Check(CheckArgs),
    Export(export::ExportArgs),
    Propose(propose::ProposeArgs),
}

/// Show what a skill does, and its parameters
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright skill show capture_action_item\n  planwright skill show capture_action_item --source\n  planwright skill show lib/dates --source"
)]
pub(crate) struct ShowArgs {
    /// Skill by name; with `--source` also a library, as `lib/dates`
    name: String,
    /// Print the script itself
    #[arg(long)]
    source: bool,
}

/// Check scripts without running them: syntax, imports, calls, parameters
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright skill check                 every skill, library and test of the workspace\n  planwright skill check due_soon\n  planwright skill check ./fix.rhai --json"
)]
pub(crate) struct CheckArgs {
    /// Skills by name, scripts by path (default: everything in the workspace)
    names: Vec<String>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(context: &Context<'_>, command: &SkillCommand) -> Result<Exit, AppError> {
    match command {
        SkillCommand::List => Ok(list(context)),
        SkillCommand::Show(args) if args.source => source(context, &args.name),
        SkillCommand::Show(args) => {
            let name = args.name.as_str();
            let Some(text) = context.app.workspace.skills.get(name) else {
                return Err(unknown(context, name));
            };
            let manifest = Manifest::parse(text)?;
            if context.ui.json() {
                context.ui.json_value(&listed(&context.app.workspace, name));
                return Ok(Exit::Done);
            }
            show(context, name, &manifest);
            context.ui.answer(&format!("\n{}", trial(name, &manifest)));
            Ok(Exit::Done)
        }
        SkillCommand::New(args) => scaffold::new(context, args),
        SkillCommand::Check(args) => check(context, args),
        SkillCommand::Export(args) => export::export(context, args),
        SkillCommand::Propose(args) => propose::propose(context, args),
    }
}

fn list(context: &Context<'_>) -> Exit {
    let workspace = &context.app.workspace;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    for name in own_first(workspace, "skills", workspace.skills.keys()) {
        let file = format!("skills/{name}.rhai");
        let text = workspace.skills.get(name).map(String::as_str).unwrap_or_default();
        let value = listed(workspace, name);
        // One broken skill must not hide the others.
        let summary = match Manifest::parse(text) {
            Ok(manifest) => manifest.summary().to_owned(),
            Err(failure) => format!("broken: {}", failure.message),
        };
        rows.push(vec![name.clone(), summary, place(workspace, &file)]);
        values.push(value);
    }
    let columns =
        [Column::whole("SKILL"), Column::title("WHAT IT DOES"), Column::optional("SOURCE")];
    show::list(context.ui, &columns, &rows, &values, "No skills in this workspace.");
    Exit::Done
}

/// Returns where a script comes from, for people: its path in the workspace, or `shipped`.
pub(crate) fn place(workspace: &Workspace, file: &str) -> String {
    match workspace.root {
        Some(_) if workspace.is_own(file) => format!("scripts/{file}"),
        _ => "shipped".to_owned(),
    }
}

/// Prints the source of a skill, or of a library.
fn source(context: &Context<'_>, name: &str) -> Result<Exit, AppError> {
    let workspace = &context.app.workspace;
    let library = name.strip_prefix("lib/").map(|name| name.trim_end_matches(".rhai"));
    let text = match library {
        Some(library) => workspace.libraries.get(library),
        None => workspace.skills.get(name),
    };
    let Some(text) = text else { return Err(unknown(context, name)) };
    let file = match library {
        Some(library) => format!("lib/{library}.rhai"),
        None => format!("skills/{name}.rhai"),
    };
    print_source(context, name, &file, text);
    Ok(Exit::Done)
}

/// Prints the text of a script.
pub(crate) fn print_source(context: &Context<'_>, name: &str, file: &str, text: &str) {
    if context.ui.json() {
        let source = context.app.workspace.source_of(file);
        context.ui.json_value(&json!({ "name": name, "source": source, "text": text }));
    } else {
        context.ui.document(text);
    }
}

/// Returns the command that tries a skill out, with a value for each parameter that it requires.
pub(crate) fn trial(name: &str, manifest: &Manifest) -> String {
    let quoted = |text: &str| {
        shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
    };
    let mut command = format!("planwright run {}", quoted(name));
    let required = manifest.params.iter().flatten().filter(|(_, param)| param.default.is_none());
    for (name, param) in required {
        let value = match param.kind {
            ParamKind::String => "…",
            ParamKind::Int => "1",
            ParamKind::Float => "1.5",
            ParamKind::Bool => "true",
            ParamKind::Date => "2026-12-24",
            ParamKind::List => "a,b",
            ParamKind::Data => "@FILE",
        };
        command.push_str(" -p ");
        command.push_str(&quoted(&format!("{name}={value}")));
    }
    command.push_str(" --dry-run");
    command
}

/// Shows the description and the parameters of a skill.
pub(crate) fn show(context: &Context<'_>, name: &str, manifest: &Manifest) {
    context.ui.answer(&visible(name));
    context.ui.answer("");
    manifest.description.lines().for_each(|line| context.ui.answer(&visible(line)));
    let params = manifest.params.iter().flatten();
    let rows: Vec<_> = params
        .map(|(name, param)| {
            let default =
                param.default.as_ref().map_or("(required)".to_owned(), ToString::to_string);
            vec![name.clone(), param.kind.name().to_owned(), default, param.description.clone()]
        })
        .collect();
    if !rows.is_empty() {
        let names = ["PARAMETER", "TYPE", "DEFAULT", ""].map(Column::whole);
        context.ui.answer("");
        show::list(context.ui, &names, &rows, &[], "");
    }
    // Of these two nobody can guess how they are given.
    for kind in [ParamKind::List, ParamKind::Data] {
        let is_there = manifest.params.iter().flatten().any(|(_, param)| param.kind == kind);
        if let Some(remark) = kind.remark().filter(|_| is_there) {
            context.ui.answer("");
            context.ui.answer(remark);
        }
    }
}

/// A script to check: its role, its name in messages, its text.
pub(crate) type Checked = (Role, String, String);

fn check(context: &Context<'_>, args: &CheckArgs) -> Result<Exit, AppError> {
    let workspace = &context.app.workspace;
    let mut scripts: Vec<Checked> = Vec::new();
    for name in &args.names {
        scripts.push(checked(context, name)?);
    }
    if args.names.is_empty() {
        let skills = workspace.skills.iter();
        scripts.extend(
            skills.map(|(name, text)| (Role::Skill, format!("skills/{name}.rhai"), text.clone())),
        );
        let libraries = workspace.libraries.iter();
        scripts.extend(
            libraries.map(|(name, text)| (Role::Library, format!("lib/{name}.rhai"), text.clone())),
        );
        let tests = workspace.tests.iter();
        scripts.extend(
            tests.map(|(name, text)| (Role::Test, format!("tests/{name}.rhai"), text.clone())),
        );
        // What is shipped was checked where it was made.
        scripts.retain(|(_, file, _)| workspace.is_own(file));
    }
    findings(context, scripts, args.strict)
}

/// Checks scripts and shows the findings.
pub(crate) fn findings(
    context: &Context<'_>,
    scripts: Vec<Checked>,
    strict: bool,
) -> Result<Exit, AppError> {
    let (mut n_errors, mut n_warnings) = (0, 0);
    let n_scripts = scripts.len();
    let mut checked_scripts = Vec::new();
    for (role, file, text) in scripts {
        let found = lint::check(role, &file, &text, context.app.workspace.libraries_of(&file));
        for finding in &found {
            let is_error = finding.severity == Severity::Error;
            *(if is_error { &mut n_errors } else { &mut n_warnings }) += 1;
            if !context.ui.json() {
                context.ui.note(&failure::finding(finding));
                context.ui.note("");
            }
        }
        checked_scripts.push(json!({ "file": file, "findings": found }));
    }
    let is_fine = n_errors == 0 && !(strict && n_warnings > 0);
    if context.ui.json() {
        context.ui.json_report(&json!({ "ok": is_fine, "scripts": checked_scripts }));
    } else {
        let text = format!(
            "Checked {}: {}, {}.",
            count(n_scripts, "script"),
            count(n_errors, "error"),
            count(n_warnings, "warning")
        );
        context.ui.answer(&text);
    }
    Ok(if is_fine { Exit::Done } else { Exit::Input })
}

/// Finds a skill by name, or a script by path, whose folder decides its role.
fn checked(context: &Context<'_>, name: &str) -> Result<Checked, AppError> {
    if let Some(text) = context.app.workspace.skills.get(name) {
        return Ok((Role::Skill, format!("skills/{name}.rhai"), text.clone()));
    }
    checked_file(name)?.ok_or_else(|| unknown(context, name))
}

/// Reads a script by its path, if there is one.
pub(crate) fn checked_file(name: &str) -> Result<Option<Checked>, AppError> {
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "rhai") || path.is_file() {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let (role, folder) = match folder {
            Some("policies") => (Role::Policy, "policies/"),
            Some("lib") => (Role::Library, "lib/"),
            Some("tests") => (Role::Test, "tests/"),
            Some("skills") => (Role::Skill, "skills/"),
            _ => (Role::Skill, ""),
        };
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok(Some((role, format!("{folder}{file}"), files::read_script(path)?)));
    }
    Ok(None)
}

pub(crate) fn unknown(context: &Context<'_>, name: &str) -> AppError {
    let near = similar(name, context.app.workspace.skills.keys().map(String::as_str));
    let error = AppError::new("not_found", format!("there is no skill `{name}`"));
    match near.first() {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`planwright skill list` lists the skills"),
    }
}

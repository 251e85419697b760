//! `planwright skill`: what can be run.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::render::table::{Column, show_list};
use crate::host::error::nearest;
use crate::script::Manifest;

/// List skills and show what they take
#[derive(Debug, Subcommand)]
pub(crate) enum SkillCommand {
    /// List the skills of the workspace
    List,
    /// Show what a skill does and takes
    Show {
        /// Skill by name
        name: String,
    },
}

fn params_json(manifest: &Manifest) -> Value {
    let params = manifest.params.iter().flatten().map(|(name, param)| {
        let default = param.default.as_ref().and_then(|it| serde_json::to_value(it).ok());
        let value = json!({
            "type": param.kind.name(),
            "description": param.description,
            "default": default,
        });
        (name.clone(), value)
    });
    Value::Object(params.collect())
}

pub(crate) fn run(context: &Context<'_>, command: &SkillCommand) -> Result<Exit, CommandError> {
    let skills = &context.workspace.skills;
    match command {
        SkillCommand::List => {
            let mut rows = Vec::new();
            let mut values = Vec::new();
            for (name, text) in skills {
                // One broken skill must not hide the others.
                let (summary, value) = match Manifest::parse(text) {
                    Ok(manifest) => (
                        manifest.summary().to_owned(),
                        json!({
                            "name": name,
                            "description": manifest.description,
                            "params": params_json(&manifest),
                        }),
                    ),
                    Err(failure) => (
                        format!("broken: {}", failure.message),
                        json!({ "name": name, "error": failure }),
                    ),
                };
                rows.push(vec![name.clone(), summary]);
                values.push(value);
            }
            let columns = [Column::new("SKILL"), Column::new("WHAT IT DOES")];
            show_list(context.ui, &columns, &rows, &values, "No skills in this workspace.");
            Ok(Exit::Done)
        }
        SkillCommand::Show { name } => {
            let Some(text) = skills.get(name) else {
                let near = nearest(name, skills.keys().map(String::as_str));
                let error = CommandError::new("not_found", format!("there is no skill `{name}`"));
                return Err(match near.first() {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                });
            };
            let manifest = Manifest::parse(text)?;
            if context.ui.json() {
                context.ui.json_value(&json!({
                    "name": name,
                    "description": manifest.description,
                    "params": params_json(&manifest),
                }));
                return Ok(Exit::Done);
            }
            context.ui.answer(&format!("{name}\n\n{}", manifest.description));
            let params = manifest.params.iter().flatten();
            let rows: Vec<_> = params
                .map(|(name, param)| {
                    let default =
                        param.default.as_ref().map_or("(required)".to_owned(), ToString::to_string);
                    vec![
                        name.clone(),
                        param.kind.name().to_owned(),
                        default,
                        param.description.clone(),
                    ]
                })
                .collect();
            if !rows.is_empty() {
                let names = ["PARAMETER", "TYPE", "DEFAULT", ""].map(Column::new);
                context.ui.answer("");
                show_list(context.ui, &names, &rows, &[], "");
            }
            context.ui.answer(&format!("\nplanwright run {name} --dry-run"));
            Ok(Exit::Done)
        }
    }
}

//! `planwright plan label`: the names of labels.

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::resolve::resolve_plan;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  planwright plan label \"BOS Operations\" 7 Legal")]
pub(crate) struct PlanLabelArgs {
    /// Plan title or id
    plan: String,
    /// Label: its number, 1 to 25, or current name
    label: String,
    /// New name; an empty one removes the name
    name: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn plan_label(context: &Context<'_>, args: &PlanLabelArgs) -> Result<Exit, AppError> {
    let (plan, label, name) = (args.plan.clone(), args.label.clone(), args.name.clone());
    context.edit(&args.write, "plan label", move |session| {
        let plan = resolve_plan(session, Some(&plan))?;
        let category = session.find_label(&plan.id, &label)?;
        session.editor()?.edit_plan_details(&plan.id, |details| {
            if name.is_empty() {
                details.labels.remove(&category);
            } else {
                details.labels.insert(category, name);
            }
        })?;
        Ok(json!({ "id": plan.id }))
    })
}

//! `planwright plan share`: with whom a plan is shared.

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::resolve::resolve_plan;

#[derive(Debug, Args)]
pub(crate) struct ShareArgs {
    /// Plan title or id
    plan: String,
    /// Person: name, address or id
    user: String,
    /// Stop sharing instead
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn share(context: &Context<'_>, args: &ShareArgs) -> Result<Exit, AppError> {
    let (plan, user, remove) = (args.plan.clone(), args.user.clone(), args.remove);
    context.edit(&args.write, "plan share", move |session| {
        let plan = resolve_plan(session, Some(&plan))?;
        let user = session.find_user(&user)?.id;
        session.editor()?.edit_plan_details(&plan.id, |details| {
            if remove {
                details.shared_with.remove(&user);
            } else {
                details.shared_with.insert(user);
            }
        })?;
        Ok(json!({ "id": plan.id }))
    })
}

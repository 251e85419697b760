//! `planwright plan add-member`: the members of a roster (beta).

use clap::Args;
use serde_json::json;

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::resolve::resolve_plan;

#[derive(Debug, Args)]
pub(crate) struct MemberArgs {
    /// Plan title or id
    plan: String,
    /// Person: name, address or id
    user: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn add_member(context: &Context<'_>, args: &MemberArgs) -> Result<Exit, AppError> {
    let (plan, user) = (args.plan.clone(), args.user.clone());
    context.edit(&args.write, "plan add-member", move |session| {
        let plan = resolve_plan(session, Some(&plan))?;
        let user = session.find_user(&user)?;
        session.editor()?.add_member(&plan.id, &user)?;
        Ok(json!({ "id": plan.id }))
    })
}

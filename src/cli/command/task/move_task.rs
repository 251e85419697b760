//! `planwright task move`: into another bucket or plan, or next to another task.

use clap::Args;

use crate::app::error::AppError;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::resolve::parse_neighbour;
use crate::host::Column;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright task move \"Order toner\" Done\n  planwright task move \"Order toner\" --before \"Renew the domain\""
)]
pub(crate) struct MoveArgs {
    /// Task title or id
    task: String,
    /// Bucket name or id
    #[arg(required_unless_present_any = ["before", "after", "to_plan"])]
    bucket: Option<String>,
    /// Put it right before this task, in its bucket
    #[arg(long, value_name = "TASK", conflicts_with_all = ["bucket", "after"])]
    before: Option<String>,
    /// Put it right after this task, in its bucket
    #[arg(long, value_name = "TASK", conflicts_with = "bucket")]
    after: Option<String>,
    /// Move it to this plan, into the bucket if one is named (beta)
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["before", "after"])]
    to_plan: Option<String>,
    #[command(flatten)]
    common: TaskTarget,
}

pub(crate) fn move_to(context: &Context<'_>, args: &MoveArgs) -> Result<Exit, AppError> {
    let bucket = args.bucket.clone();
    let neighbour = parse_neighbour(args.before.as_ref(), args.after.as_ref());
    let to_plan = args.to_plan.clone();
    args.common.edit(context, "task move", &args.task, move |session, id| {
        if let Some(plan) = to_plan {
            let plan = session.find_plan(&plan)?;
            let bucket = bucket.map(|name| session.find_bucket(&plan, &name)).transpose()?;
            return Ok(session.editor()?.move_task_to_plan(id, &plan, bucket.as_ref())?);
        }
        let plan = session.task_field(id, crate::change::TaskField::PLAN)?;
        // The report needs the names of the buckets.
        session.buckets(&plan)?;
        if let Some((other, side)) = neighbour {
            let other = session.find_task(&plan, &other)?;
            session.editor()?.move_task_next_to(id, &other, side, Column::Bucket)?;
        }
        if let Some(bucket) = bucket {
            let bucket = session.find_bucket(&plan, &bucket)?;
            session.editor()?.move_task(id, &bucket)?;
        }
        Ok(())
    })
}

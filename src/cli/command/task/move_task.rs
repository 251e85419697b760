//! `planwright task move`: into another bucket or plan, or next to another task.

use clap::Args;

use crate::app::error::AppError;
use crate::change::TaskField;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::resolve::{parse_neighbour, resolve_task};
use crate::host::{Column, Failure, Session};
use crate::model::TaskId;
use crate::model::order::Side;

const EXAMPLES: &str = "\
Examples:
  planwright task move \"Order toner\" Done
  planwright task move \"Order toner\" \"Check the fire extinguishers\" \"This Week\"
  planwright task move \"Order toner\" --before \"Check the fire extinguishers\"";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MoveArgs {
    /// Task title or id
    task: String,
    /// More tasks, then the bucket, by name or id; with `--before` and `--after` only tasks
    #[arg(
        value_name = "TASK|BUCKET",
        required_unless_present_any = ["before", "after", "to_plan"]
    )]
    rest: Vec<String>,
    /// Put them right before this task, in its bucket
    #[arg(long, value_name = "TASK", conflicts_with = "after")]
    before: Option<String>,
    /// Put them right after this task, in its bucket
    #[arg(long, value_name = "TASK")]
    after: Option<String>,
    /// Move them to this plan, into the bucket if one is named (beta)
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["before", "after"])]
    to_plan: Option<String>,
    #[command(flatten)]
    common: TaskTarget,
}

/// The place that tasks are moved to.
#[derive(Debug, Clone)]
enum Goal {
    Bucket(String),
    Beside(String, Side),
    Plan(String, Option<String>),
}

pub(crate) fn move_to(context: &Context<'_>, args: &MoveArgs) -> Result<Exit, AppError> {
    let mut tasks = vec![args.task.clone()];
    tasks.extend(args.rest.iter().cloned());
    // The last of several is the bucket, unless a task says where the others go.
    let bucket = |tasks: &mut Vec<String>| if tasks.len() > 1 { tasks.pop() } else { None };
    let neighbour = parse_neighbour(args.before.as_ref(), args.after.as_ref());
    let goal = match (neighbour, &args.to_plan) {
        (Some((other, side)), _) => {
            // Each goes right after the other task, so the last one has to go first.
            if side == Side::After {
                tasks.reverse();
            }
            Goal::Beside(other, side)
        }
        (None, Some(plan)) => Goal::Plan(plan.clone(), bucket(&mut tasks)),
        (None, None) => match bucket(&mut tasks) {
            Some(bucket) => Goal::Bucket(bucket),
            None => return Err(AppError::usage("name the bucket to move it to")),
        },
    };
    args.common.edit_some(context, "task move", move |session, plan| {
        for task in &tasks {
            move_one(session, &resolve_task(session, plan, task)?, &goal)?;
        }
        Ok(())
    })
}

fn move_one(session: &Session, id: &TaskId, goal: &Goal) -> Result<(), Failure> {
    if let Goal::Plan(plan, bucket) = goal {
        let plan = session.find_plan(plan)?;
        let bucket = bucket.as_ref().map(|name| session.find_bucket(&plan, name)).transpose()?;
        return Ok(session.editor()?.move_task_to_plan(id, &plan, bucket.as_ref())?);
    }
    let plan = session.task_field(id, TaskField::PLAN)?;
    // The report needs the names of the buckets.
    session.buckets(&plan)?;
    match goal {
        Goal::Beside(other, side) => {
            let other = session.find_task(&plan, other)?;
            session.editor()?.move_task_next_to(id, &other, *side, Column::Bucket)?;
        }
        Goal::Bucket(bucket) => {
            let bucket = session.find_bucket(&plan, bucket)?;
            session.editor()?.move_task(id, &bucket)?;
        }
        Goal::Plan(..) => {}
    }
    Ok(())
}

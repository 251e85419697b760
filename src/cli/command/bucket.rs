//! `planwright bucket`: commands on buckets, run like skills, so that the same rules hold for them.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::shown::entity;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::render::card;
use crate::cli::render::table::Column;
use crate::cli::resolve::parse_neighbour;
use crate::cli::resolve::resolve_plan;
use crate::cli::show;
use crate::host::{Failure, Session};
use crate::model::{Bucket, BucketId};

/// List and change buckets
#[derive(Debug, Subcommand)]
pub(crate) enum BucketCommand {
    /// List the buckets of a plan
    #[command(after_help = "Example:\n  planwright bucket list --plan \"BOS Operations\"")]
    List {
        /// Plan title or id; not needed if there is only one
        #[arg(long)]
        plan: Option<String>,
    },
    /// Show a bucket with its tasks
    #[command(after_help = "Example:\n  planwright bucket get Inbox --plan \"BOS Operations\"")]
    Get {
        /// Bucket name or id
        bucket: String,
        /// Plan title or id; not needed if there is only one
        #[arg(long)]
        plan: Option<String>,
    },
    /// Create a bucket, after the others
    Create(CreateArgs),
    /// Rename a bucket
    Update(UpdateArgs),
    /// Move a bucket next to another
    Move(MoveArgs),
    /// Delete a bucket with its tasks
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  planwright bucket create Waiting --plan \"BOS Operations\"")]
pub(crate) struct CreateArgs {
    /// Name of the bucket
    #[arg(required_unless_present = "name_option")]
    name: Option<String>,
    /// Name of the bucket
    #[arg(long = "name", id = "name_option", value_name = "NAME", conflicts_with = "name")]
    name_option: Option<String>,
    /// Plan title or id; not needed if there is only one
    #[arg(long)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright bucket update Waiting --name Blocked --plan \"BOS Operations\""
)]
pub(crate) struct UpdateArgs {
    /// Bucket name or id
    bucket: String,
    /// New name
    #[arg(long)]
    name: String,
    /// Plan title or id; not needed if there is only one, or with an id
    #[arg(long)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  planwright bucket move Inbox --after \"This Week\" --plan \"BOS Operations\""
)]
pub(crate) struct MoveArgs {
    /// Bucket name or id
    bucket: String,
    /// Put it right before this bucket
    #[arg(
        long,
        value_name = "BUCKET",
        conflicts_with = "after",
        required_unless_present = "after"
    )]
    before: Option<String>,
    /// Put it right after this bucket
    #[arg(long, value_name = "BUCKET")]
    after: Option<String>,
    /// Plan title or id; not needed if there is only one, or with an id
    #[arg(long)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Its tasks are deleted with it, so it needs `--force`.\n\nExample:\n  planwright bucket delete Blocked --plan \"BOS Operations\" --force --dry-run"
)]
pub(crate) struct DeleteArgs {
    /// Bucket name or id
    bucket: String,
    /// Plan title or id; not needed if there is only one, or with an id
    #[arg(long)]
    plan: Option<String>,
    #[command(flatten)]
    write: WriteArgs,
}

/// Resolves a bucket: by id anywhere, or by name in the plan.
fn resolve_bucket(session: &Session, plan: Option<&str>, text: &str) -> Result<BucketId, Failure> {
    // A text in the form of an id may still be a name, so a miss is no error yet.
    if plan.is_none()
        && crate::model::id::looks_like_planner_id(text)
        && let Ok(id) = BucketId::parse(text)
        && let Ok(bucket) = session.bucket(&id)
    {
        return Ok(bucket.id);
    }
    let plan = resolve_plan(session, plan)?;
    session.find_bucket(&plan.id, text).map_err(|error| Failure::from(&error))
}

pub(crate) fn run(context: &Context<'_>, command: &BucketCommand) -> Result<Exit, AppError> {
    match command {
        BucketCommand::List { plan } => {
            let plan = plan.clone();
            let buckets = context.look(move |session| {
                let plan = resolve_plan(session, plan.as_deref())?;
                let read = || {
                    let ids = session.buckets(&plan.id)?;
                    ids.iter()
                        .map(|id| Ok((session.bucket(id)?, session.tasks_in(id)?.len())))
                        .collect::<Result<Vec<_>, crate::host::Error>>()
                };
                let buckets = read().map_err(|error| Failure::from(&error))?;
                Ok((plan.title.clone(), buckets))
            })?;
            let (title, buckets) = buckets;
            let columns = [Column::title("NAME"), Column::right("TASKS"), Column::optional("ID")];
            let rows: Vec<_> = buckets
                .iter()
                .map(|(bucket, n)| vec![bucket.name.clone(), n.to_string(), bucket.id.to_string()])
                .collect();
            let value = |bucket: &Bucket| {
                let mut value = entity::bucket(bucket);
                value["planTitle"] = json!(title);
                value
            };
            let values: Vec<_> = buckets.iter().map(|(bucket, _)| value(bucket)).collect();
            show::list(context.ui, &columns, &rows, &values, "No buckets in this plan.");
            Ok(Exit::Done)
        }
        BucketCommand::Get { bucket, plan } => {
            let (name, plan) = (bucket.clone(), plan.clone());
            let shown = context.look(move |session| {
                let id = resolve_bucket(session, plan.as_deref(), &name)?;
                card::bucket(session, &id)
            })?;
            show::card(context.ui, &shown);
            Ok(Exit::Done)
        }
        BucketCommand::Create(args) => {
            let name = args.name.clone().or_else(|| args.name_option.clone()).unwrap_or_default();
            let plan = args.plan.clone();
            context.edit(&args.write, "bucket create", move |session| {
                let plan = resolve_plan(session, plan.as_deref())?;
                let id = session.editor()?.create_bucket(&plan.id, &name)?;
                Ok(json!({ "id": id }))
            })
        }
        BucketCommand::Update(args) => {
            let (text, name, plan) = (args.bucket.clone(), args.name.clone(), args.plan.clone());
            context.edit(&args.write, "bucket update", move |session| {
                let id = resolve_bucket(session, plan.as_deref(), &text)?;
                session.editor()?.edit_bucket(&id, |bucket| bucket.name = name)?;
                Ok(json!({ "id": id }))
            })
        }
        BucketCommand::Move(args) => {
            let (text, plan) = (args.bucket.clone(), args.plan.clone());
            let neighbour = parse_neighbour(args.before.as_ref(), args.after.as_ref());
            context.edit(&args.write, "bucket move", move |session| {
                let id = resolve_bucket(session, plan.as_deref(), &text)?;
                let plan = session.bucket_field(&id, crate::change::BucketField::PLAN)?;
                if let Some((other, side)) = neighbour {
                    session.editor()?.move_bucket(
                        &id,
                        &session.find_bucket(&plan, &other)?,
                        side,
                    )?;
                }
                Ok(json!({ "id": id }))
            })
        }
        BucketCommand::Delete(args) => {
            let (text, plan) = (args.bucket.clone(), args.plan.clone());
            context.edit(&args.write, "bucket delete", move |session| {
                let id = resolve_bucket(session, plan.as_deref(), &text)?;
                session.editor()?.delete_bucket(&id)?;
                Ok(json!({ "id": id }))
            })
        }
    }
}

//! `planwright plan`: commands on plans, run like skills, so that the same rules hold for them.

mod label;
mod member;
mod share;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::error::AppError;
use crate::app::shown::entity;
use crate::cli::command::transfer;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::options::WriteArgs;
use crate::cli::render::card;
use crate::cli::render::table::Column;
use crate::cli::resolve::resolve_plan;
use crate::cli::show;

/// List and change plans
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// List the plans you can access
    List,
    /// Show a plan with its buckets and labels
    Get {
        /// Plan title or id
        plan: String,
    },
    /// Create a plan in a group you are a member of
    Create(CreateArgs),
    /// Rename a plan
    Update(UpdateArgs),
    /// Show the labels of a plan and with whom it is shared
    Details {
        /// Plan title or id
        plan: String,
    },
    /// Copy a plan with its buckets, labels and tasks
    Copy(transfer::CopyArgs),
    /// Print a plan with everything in it as JSON, CSV or Markdown, or write it as XLSX
    Export(transfer::ExportArgs),
    /// Add the tasks of a JSON, CSV or XLSX file to a plan
    Import(transfer::ImportArgs),
    /// Name a label of a plan
    Label(label::PlanLabelArgs),
    /// Share a plan with a person: it then shows in their list
    Share(share::ShareArgs),
    /// Archive a plan, with everything in it (beta)
    Archive(ArchiveArgs),
    /// Restore an archived plan (beta)
    Unarchive(ArchiveArgs),
    /// Add a person to the roster of a plan (beta)
    AddMember(member::MemberArgs),
    /// Delete a plan with everything in it
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  planwright plan create \"Office Move\" --group BOS")]
pub(crate) struct CreateArgs {
    /// Title of the plan
    #[arg(required_unless_present = "title_option")]
    title: Option<String>,
    /// Title of the plan
    #[arg(long = "title", id = "title_option", value_name = "TITLE", conflicts_with = "title")]
    title_option: Option<String>,
    /// Group that will contain it: name or id
    #[arg(long, required_unless_present = "roster")]
    group: Option<String>,
    /// Put it in a roster of its own instead, with you as the first member (beta)
    #[arg(long, conflicts_with = "group")]
    roster: bool,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    /// Plan title or id
    plan: String,
    /// Reason, kept with the plan
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Plan title or id
    plan: String,
    /// New title
    #[arg(long)]
    title: String,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Plan title or id
    plan: String,
    #[command(flatten)]
    write: WriteArgs,
}

pub(crate) fn run(context: &Context<'_>, command: &PlanCommand) -> Result<Exit, AppError> {
    match command {
        PlanCommand::List => {
            let plans = context.look(|session| {
                let mut rows = Vec::new();
                for id in session.plans()? {
                    let plan = session.plan(&id)?;
                    let groups = session.groups().unwrap_or_default();
                    let group =
                        groups.into_iter().find(|group| Some(&group.id) == plan.group.as_ref());
                    rows.push((plan, group.map(|group| group.name).unwrap_or_default()));
                }
                Ok(rows)
            })?;
            let columns = [Column::title("TITLE"), Column::new("GROUP"), Column::optional("ID")];
            let rows: Vec<_> = plans
                .iter()
                .map(|(plan, group)| vec![plan.title.clone(), group.clone(), plan.id.to_string()])
                .collect();
            let values: Vec<_> = plans.iter().map(|(plan, _)| entity::plan(plan)).collect();
            show::list(context.ui, &columns, &rows, &values, "There are no plans you can access.");
            Ok(Exit::Done)
        }
        PlanCommand::Get { plan } => {
            let name = plan.clone();
            let shown = context.look(move |session| card::plan(session, &name))?;
            show::card(context.ui, &shown);
            Ok(Exit::Done)
        }
        PlanCommand::Create(args) => {
            let title =
                args.title.clone().or_else(|| args.title_option.clone()).unwrap_or_default();
            let group = args.group.clone();
            context.edit(&args.write, "plan create", move |session| {
                let id = match group {
                    Some(group) => session.editor()?.create_plan(&group, &title)?,
                    None => session.editor()?.create_roster_plan(&title)?,
                };
                Ok(json!({ "id": id }))
            })
        }
        PlanCommand::Update(args) => {
            let (name, title) = (args.plan.clone(), args.title.clone());
            context.edit(&args.write, "plan update", move |session| {
                let plan = resolve_plan(session, Some(&name))?;
                session.editor()?.edit_plan(&plan.id, |plan| plan.title = title)?;
                Ok(json!({ "id": plan.id }))
            })
        }
        PlanCommand::Details { plan } => {
            let name = plan.clone();
            let shown = context.look(move |session| card::plan_details(session, &name))?;
            show::card(context.ui, &shown);
            Ok(Exit::Done)
        }
        PlanCommand::Copy(args) => transfer::copy(context, args),
        PlanCommand::Export(args) => transfer::export(context, args),
        PlanCommand::Import(args) => transfer::import(context, args),
        PlanCommand::Label(args) => label::plan_label(context, args),
        PlanCommand::Share(args) => share::share(context, args),
        PlanCommand::Archive(args) => archive(context, args, true),
        PlanCommand::Unarchive(args) => archive(context, args, false),
        PlanCommand::AddMember(args) => member::add_member(context, args),
        PlanCommand::Delete(args) => {
            let name = args.plan.clone();
            context.edit(&args.write, "plan delete", move |session| {
                let plan = resolve_plan(session, Some(&name))?;
                session.editor()?.delete_plan(&plan.id)?;
                Ok(json!({ "id": plan.id }))
            })
        }
    }
}

fn archive(context: &Context<'_>, args: &ArchiveArgs, away: bool) -> Result<Exit, AppError> {
    let (name, reason) = (args.plan.clone(), args.reason.clone());
    let command = if away { "plan archive" } else { "plan unarchive" };
    context.edit(&args.write, command, move |session| {
        let plan = resolve_plan(session, Some(&name))?;
        session.editor()?.archive_plan(&plan.id, away, &reason)?;
        Ok(json!({ "id": plan.id }))
    })
}

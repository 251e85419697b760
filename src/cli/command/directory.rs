//! `planwright user` and `planwright group`: people and groups, which Planwright never changes.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::render::table::Column;
use crate::cli::show;
use crate::host::Session;
use crate::model::{Group, User};

/// Look up people
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List the members of your groups
    List,
    /// Show a user
    Get {
        /// Sign-in name, address, id, name of a colleague, or `me`
        user: String,
    },
}

/// Look up the groups that you are a member of
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List your groups
    List,
    /// Show a group
    Get {
        /// Name or id
        group: String,
    },
    /// List the members of a group
    Members {
        /// Name or id
        group: String,
    },
}

fn user_json(user: &User) -> Value {
    json!({
        "id": user.id,
        "displayName": user.name,
        "userPrincipalName": user.upn,
        "mail": user.mail,
    })
}

fn group_json(group: &Group) -> Value {
    json!({ "id": group.id, "displayName": group.name, "mail": group.mail })
}

fn show_users(context: &Context<'_>, users: &[User]) {
    let columns = [Column::title("NAME"), Column::title("SIGN-IN NAME"), Column::optional("ID")];
    let row = |user: &User| vec![user.name.clone(), user.upn.clone(), user.id.to_string()];
    let rows: Vec<_> = users.iter().map(row).collect();
    let values: Vec<_> = users.iter().map(user_json).collect();
    show::list(context.ui, &columns, &rows, &values, "No users.");
}

fn show_groups(context: &Context<'_>, groups: &[Group]) {
    let columns = [Column::title("NAME"), Column::optional("ID")];
    let rows: Vec<_> =
        groups.iter().map(|group| vec![group.name.clone(), group.id.to_string()]).collect();
    let values: Vec<_> = groups.iter().map(group_json).collect();
    show::list(
        context.ui,
        &columns,
        &rows,
        &values,
        "You are not in any group that can hold plans.",
    );
}

pub(crate) fn user(context: &Context<'_>, command: &UserCommand) -> Result<Exit, AppError> {
    match command {
        UserCommand::List => {
            let users = context.look(|session| Ok(session.colleagues()?))?;
            show_users(context, &users);
        }
        UserCommand::Get { user } => {
            let text = user.clone();
            let user = context.look(move |session| Ok(session.find_user(&text)?))?;
            if context.ui.json() {
                context.ui.json_value(&user_json(&user));
            } else {
                show_users(context, &[user]);
            }
        }
    }
    Ok(Exit::Done)
}

pub(crate) fn group(context: &Context<'_>, command: &GroupCommand) -> Result<Exit, AppError> {
    match command {
        GroupCommand::List => {
            let groups = context.look(|session| Ok(session.groups()?))?;
            show_groups(context, &groups);
        }
        GroupCommand::Get { group } => {
            let text = group.clone();
            let group = context.look(move |session| Ok(session.find_group(&text)?))?;
            if context.ui.json() {
                context.ui.json_value(&group_json(&group));
            } else {
                show_groups(context, &[group]);
            }
        }
        GroupCommand::Members { group } => {
            let text = group.clone();
            let members =
                move |session: &Session| Ok(session.members(&session.find_group(&text)?)?);
            show_users(context, &context.look(members)?);
        }
    }
    Ok(Exit::Done)
}

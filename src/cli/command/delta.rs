//! `planwright delta`: the changes since the last time, from the delta queries of the beta.
//!
//! The position where the next round begins is kept in the state folder, for each service and user.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::app::state_dir;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::files::{self, Access};
use crate::cli::render::table::Column;
use crate::cli::show;
use crate::graph::delta::{DeltaChange, DeltaItem, Round};
use crate::model::User;

/// Show what has changed in your plans since you last asked (beta)
#[derive(Debug, Args)]
#[command(
    after_help = "The first time there is nothing to show; from then on, changes are tracked.\n\nExample:\n  planwright --beta delta"
)]
pub(crate) struct DeltaArgs {
    /// Show the same changes again next time
    #[arg(long)]
    peek: bool,
    /// Forget the position, and start again
    #[arg(long, conflicts_with = "peek")]
    restart: bool,
}

/// The result of a round.
struct Found {
    round: Round,
    began: bool,
    too_old: bool,
}

pub(crate) fn run(context: &Context<'_>, args: &DeltaArgs) -> Result<Exit, AppError> {
    context.for_people("delta")?;
    let folder = context.app.settings.state_dir()?.join("delta");
    let (found, place) = context.with_host(None, async |host| {
        if !host.client.base().is_beta() {
            return Err(AppError::from(crate::host::Error::NeedsBeta("delta")));
        }
        let place = place(&folder, &host.service, &host.me().await?);
        let known = if args.restart { None } else { files::read(&place).ok() };
        let mut found = Found {
            began: known.is_none(),
            too_old: false,
            round: match host.client.delta(known.as_deref()).await {
                // 410 Gone: the service has forgotten the position.
                Err(error) if error.is_gone() => Round { items: Vec::new(), link: String::new() },
                other => other?,
            },
        };
        if found.round.link.is_empty() {
            found.too_old = true;
            found.round = host.client.delta(None).await?;
        }
        Ok((found, place))
    })??;
    // A first position is kept even by `--peek`, or there would never be a next round.
    if !args.peek || found.began || found.too_old {
        state_dir::make_private(&folder)?;
        files::write(&place, &found.round.link, Access::Owner)?;
    }
    show(context, &found);
    Ok(Exit::Done)
}

/// Returns the file that keeps the position of a service and user.
fn place(folder: &std::path::Path, service: &str, me: &User) -> PathBuf {
    let plain = |ch: char| if ch.is_ascii_alphanumeric() { ch } else { '_' };
    let service: String = service.chars().map(plain).collect();
    folder.join(format!("{service}-{}", me.id))
}

fn show(context: &Context<'_>, found: &Found) {
    let ui = context.ui;
    if ui.json() {
        ui.json_value(&json!({
            "began": found.began || found.too_old,
            "too_old": found.too_old,
            "changes": found.round.items,
        }));
        return;
    }
    if found.too_old {
        ui.note("The last position is too old: some changes are unknown. Read the boards again.");
    }
    if found.began || found.too_old {
        ui.note("From now on, changes are tracked.");
        return;
    }
    let columns = [
        Column::new("WHAT"),
        Column::new("HAPPENED"),
        Column::title("TITLE"),
        Column::new("FIELDS"),
        Column::optional("ID"),
    ];
    let rows: Vec<_> = found.round.items.iter().map(row).collect();
    show::list(ui, &columns, &rows, &[], "Nothing has changed.");
}

fn row(item: &DeltaItem) -> Vec<String> {
    let happened = match item.change {
        DeltaChange::Created => "created",
        DeltaChange::Updated => "updated",
        DeltaChange::Deleted => "deleted",
    };
    let text = |name: &str| item.fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let fields = match item.change {
        DeltaChange::Updated => item.fields.keys().cloned().collect::<Vec<_>>().join(", "),
        DeltaChange::Created | DeltaChange::Deleted => String::new(),
    };
    vec![
        item.kind.trim_start_matches("planner").to_owned(),
        happened.to_owned(),
        text("title").or_else(|| text("name")).unwrap_or_default(),
        fields,
        item.id.clone(),
    ]
}

//! `planwright task repeat`: how a task recurs (beta).

use clap::Args;

use crate::app::error::AppError;
use crate::cli::command::task::target::TaskTarget;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::resolve::parse_date;
use crate::host::Error;
use crate::model::recurrence::Given;
use crate::model::time::moment_of_day;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  planwright --beta task repeat \"Order toner\" monthly\n  planwright --beta task repeat \"Order toner\" weekly --on monday --on friday\n  planwright --beta task repeat \"Order toner\" --stop"
)]
pub(crate) struct RepeatArgs {
    /// Task title or id
    task: String,
    /// Frequency: daily, weekly, monthly or yearly
    #[arg(required_unless_present = "stop")]
    how: Option<String>,
    /// Repeat every N days, weeks, months or years
    #[arg(long, value_name = "N")]
    interval: Option<u32>,
    /// Day of the week; may be repeated
    #[arg(long, value_name = "DAY")]
    on: Vec<String>,
    /// Occurrence of the day in the month: first, second, third, fourth or last
    #[arg(long, value_name = "WHICH")]
    index: Option<String>,
    /// Day of the month
    #[arg(long, value_name = "N")]
    day: Option<u32>,
    /// First day; if absent, the start or due date of the task, or today
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Stop the recurrence
    #[arg(long, conflicts_with_all = ["how", "interval", "on", "index", "day", "from"])]
    stop: bool,
    #[command(flatten)]
    common: TaskTarget,
}

pub(crate) fn repeat(context: &Context<'_>, args: &RepeatArgs) -> Result<Exit, AppError> {
    let (how, interval, on) = (args.how.clone(), args.interval, args.on.clone());
    let (index, day_of_month, from) = (args.index.clone(), args.day, args.from.clone());
    args.common.edit(context, "task repeat", &args.task, move |session, id| {
        let Some(kind) = how else { return Ok(session.editor()?.set_recurrence(id, None)?) };
        let task = session.task(id)?;
        let from = from.map(|day| parse_date(session, &day)).transpose()?.flatten();
        let today = moment_of_day(session.today()).unwrap_or(session.facts().now);
        let start = from.or(task.start).or(task.due).unwrap_or(today);
        let given = Given { kind, interval, days: on, index, day_of_month, month: None, start };
        let recurrence = given.recurrence().map_err(Error::Invalid)?;
        Ok(session.editor()?.set_recurrence(id, Some(recurrence))?)
    })
}

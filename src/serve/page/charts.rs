//! Small charts, drawn on the server: one bar a day, with what was refused and what met a conflict.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::journal::{RunStatus, RunSummary};
use crate::serve::page::layout::Times;

/// The days that a chart shows, and the height of its tallest bar.
const DAYS: i64 = 14;
const HEIGHT: usize = 40;

/// A day of a chart. All sizes are in the units of its drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) height: usize,
    pub(crate) tip: String,
}

/// A chart of one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chart {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) total: usize,
    pub(crate) bars: Vec<Bar>,
}

fn chart(
    (name, kind): (&'static str, &'static str),
    days: &[Date],
    counts: &BTreeMap<Date, usize>,
) -> Chart {
    let of_day = |day: &Date| counts.get(day).copied().unwrap_or(0);
    let most = days.iter().map(of_day).max().unwrap_or(0).max(1);
    let bar = |(at, day): (usize, &Date)| {
        let n = of_day(day);
        // A day with anything at all is seen.
        let height = if n == 0 { 1 } else { (n * HEIGHT / most).max(3) };
        let tip = format!("{}: {n}", day.strftime("%-d %b"));
        Bar { x: at * 10, y: HEIGHT - height, height, tip }
    };
    let total = days.iter().map(of_day).sum();
    Chart { name, kind, total, bars: days.iter().enumerate().map(bar).collect() }
}

/// Draws the runs of the last two weeks.
pub(crate) fn of_runs(runs: &[RunSummary], times: &Times) -> Vec<Chart> {
    let today = times.today();
    let day = |back: i64| today.checked_sub(back.days()).unwrap_or(today);
    let days: Vec<Date> = (0..DAYS).rev().map(day).collect();
    let count = |counts: &dyn Fn(&RunSummary) -> bool| {
        let mut all: BTreeMap<Date, usize> = BTreeMap::new();
        for run in runs.iter().filter(|run| counts(run)) {
            *all.entry(times.zone.to_datetime(run.at).date()).or_default() += 1;
        }
        all
    };
    let refused =
        |run: &RunSummary| matches!(run.status, Some(RunStatus::Denied | RunStatus::Held));
    let troubled = |run: &RunSummary| {
        let troubles = [RunStatus::Conflict, RunStatus::Partial, RunStatus::Failed];
        run.status.is_some_and(|status| troubles.contains(&status))
    };
    vec![
        chart(("Runs", "all"), &days, &count(&|_| true)),
        chart(("Held or denied", "held"), &days, &count(&refused)),
        chart(("Conflicts and failures", "bad"), &days, &count(&troubled)),
    ]
}

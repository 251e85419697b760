//! Small charts, drawn on the server: one bar a day, of runs, of what was refused and what met a conflict, and
//! of how long runs took.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

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
    /// The figure of all days together.
    pub(crate) total: String,
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
    let total: usize = days.iter().map(of_day).sum();
    let bars = days.iter().enumerate().map(bar).collect();
    Chart { name, kind, total: total.to_string(), bars }
}

/// Draws how long a run took that stands in the middle of its day.
pub(crate) fn of_times(runs: &[(Timestamp, SignedDuration)], times: &Times) -> Chart {
    let days = days(times);
    let mut by_day: BTreeMap<Date, Vec<u64>> = BTreeMap::new();
    for (at, time) in runs {
        let day = times.zone.to_datetime(*at).date();
        if days.contains(&day) {
            let time = u64::try_from(time.as_millis()).unwrap_or(0);
            by_day.entry(day).or_default().push(time);
        }
    }
    let all: Vec<u64> = by_day.values().flatten().copied().collect();
    let middles: BTreeMap<Date, usize> = by_day
        .into_iter()
        .filter_map(|(day, all)| Some((day, usize::try_from(middle(all)?).ok()?)))
        .collect();
    let mut chart = chart(("Median run", "time"), &days, &middles);
    for (bar, day) in chart.bars.iter_mut().zip(&days) {
        if let Some(time) = middles.get(day) {
            bar.tip = format!("{}: {}", day.strftime("%-d %b"), told(*time as u64));
        }
    }
    chart.total = middle(all).map_or_else(|| "–".to_owned(), told);
    chart
}

fn middle(mut all: Vec<u64>) -> Option<u64> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

/// Returns a time for people.
fn told(millis: u64) -> String {
    if millis < 1_000 {
        return format!("{millis} ms");
    }
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

/// Returns the days that are shown, the last of which is today.
fn days(times: &Times) -> Vec<Date> {
    let today = times.today();
    let day = |back: i64| today.checked_sub(back.days()).unwrap_or(today);
    (0..DAYS).rev().map(day).collect()
}

/// Draws the runs of the last two weeks.
pub(crate) fn of_runs(runs: &[RunSummary], times: &Times) -> Vec<Chart> {
    let days = days(times);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_few_characters() {
        let all = [0, 999, 1_000, 61_250].map(told);
        assert_eq!(all, ["0 ms", "999 ms", "1.0 s", "61.2 s"]);
        assert_eq!((middle(vec![]), middle(vec![9, 1, 5])), (None, Some(5)));
    }
}

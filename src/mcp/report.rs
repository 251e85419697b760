//! A report as a model reads it: what happened, in as few lines as will do.

use std::fmt::Write as _;

use serde_json::Value;

use crate::app::shown::{shortened, visible};
use crate::host::{Report, Status};
use crate::mcp::answer::{Answer, for_agent, told};

/// The most changes that are told one by one.
const MAX_CHANGES: usize = 40;
/// The most lines of output, and of verdicts.
const MAX_LINES: usize = 40;
/// The most characters of a value.
const MAX_VALUE: usize = 120;
/// The most characters of the result.
const MAX_RESULT: usize = 4_000;

/// Makes the result of a run.
pub(crate) fn answer(mut report: Report) -> Answer {
    report.error = report.error.as_ref().map(for_agent);
    for change in &mut report.changes {
        change.error = change.error.as_ref().map(for_agent);
    }
    let is_error = matches!(
        report.status,
        Status::Denied | Status::Conflict | Status::Partial | Status::Failed
    );
    let data = serde_json::to_value(&report).unwrap_or_default();
    let mut lines = vec![head(&data)];
    lines.extend(changes(&data["changes"]));
    lines.extend(verdicts(&data["verdicts"]));
    for (name, mark) in [("warnings", "warning: "), ("output", "")] {
        let all = data[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown = all.iter().take(MAX_LINES).filter_map(Value::as_str);
        // The output of a script is its own words, line by line. Each line that is not its first is
        // marked, so that no title in it can pass for a line of ours.
        lines.extend(shown.map(|line| {
            format!("{mark}{}", line.split('\n').map(visible).collect::<Vec<_>>().join("\n  | "))
        }));
        lines.extend(left_out(all.len(), MAX_LINES, "lines"));
    }
    if !data["result"].is_null() {
        lines.push(format!("result: {}", value(&data["result"], MAX_RESULT)));
    }
    lines.extend(report.error.as_ref().map(told));
    if let Some(id) = &report.pending {
        lines.push(format!(
            "pending {id}: a person must approve it; nothing is written until then. Call change_set with this id to learn what came of it."
        ));
    } else if report.status == Status::Previewed {
        let id = &report.run_id;
        lines.push(format!("Nothing was written. apply_change_set with id {id} applies it."));
    }
    Answer { text: lines.join("\n"), data, is_error }
}

fn head(report: &Value) -> String {
    let n = report["changes"].as_array().map_or(0, Vec::len);
    let text = |name: &str| report[name].as_str().unwrap_or_default();
    let plural = if n == 1 { "change" } else { "changes" };
    format!("{}: {n} {plural} (run {})", text("status"), text("run_id"))
}

fn left_out(n: usize, shown: usize, what: &str) -> Option<String> {
    (n > shown).then(|| format!("… and {} more {what}", n - shown))
}

/// Returns the changes of a report, a line each.
pub(crate) fn changes(changes: &Value) -> Vec<String> {
    let all = changes.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines: Vec<String> = all.iter().take(MAX_CHANGES).map(change).collect();
    lines.extend(left_out(all.len(), MAX_CHANGES, "changes"));
    lines
}

fn change(change: &Value) -> String {
    let text = |name: &str| visible(change[name].as_str().unwrap_or_default());
    let fields = change["fields"].as_object();
    let fields: Vec<String> = fields
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let after = value(&field["after"], MAX_VALUE);
            match &field["before"] {
                Value::Null => format!("{name} = {after}"),
                before => format!("{name}: {} → {after}", value(before, MAX_VALUE)),
            }
        })
        .collect();
    let mut line =
        format!("{}. {} {} \"{}\"", change["n"], text("op"), text("entity"), text("title"));
    if !fields.is_empty() {
        line.push_str(": ");
        line.push_str(&fields.join("; "));
    }
    if !matches!(change["status"].as_str(), Some("planned") | None) {
        let _infallible = write!(line, " [{}]", text("status"));
    }
    line
}

/// Returns verdicts, a line each.
pub(crate) fn verdicts(verdicts: &Value) -> Vec<String> {
    let all = verdicts.as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |ruling: &Value| {
        let text = |name: &str| visible(ruling[name].as_str().unwrap_or_default());
        let whom = ruling["change"].as_u64().map(|n| format!("change {n}: ")).unwrap_or_default();
        format!("{} {whom}{} ({})", text("verdict"), text("reason"), text("source"))
    };
    let mut lines: Vec<String> = all.iter().take(MAX_LINES).map(line).collect();
    lines.extend(left_out(all.len(), MAX_LINES, "verdicts"));
    lines
}

/// Returns a value as text on one line.
fn value(value: &Value, most: usize) -> String {
    let text = match value {
        Value::String(text) => format!("\"{text}\""),
        other => other.to_string(),
    };
    shortened(&visible(&text), most)
}

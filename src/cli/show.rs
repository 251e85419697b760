//! Printing of answers: lists, cards, reports. `render/` makes the text, so that it stays free of
//! side effects.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::app::shown::tasks::Row;
use crate::change::Op;
use crate::cli::options::Format;
use crate::cli::render::card::Card;
use crate::cli::render::failure;
use crate::cli::render::report::{MAX_SHOWN, View, verdict_line};
use crate::cli::render::table::{Column, fitted};
use crate::cli::render::task_list::{self, TaskColumn};
use crate::cli::render::text::{BOLD, DIM, YELLOW, paint, visible, visible_lines};
use crate::cli::ui::Ui;
use crate::host::{Report, Status};
use crate::journal;

/// Shows a list in the chosen format. A person sees `empty` if there are no rows.
pub(crate) fn list(
    ui: &Ui,
    columns: &[Column],
    rows: &[Vec<String>],
    values: &[Value],
    empty: &str,
) {
    match ui.format {
        Format::Json => ui.json_value(&values),
        Format::Plain => {
            for row in rows {
                ui.answer(&row.iter().map(|cell| visible(cell)).collect::<Vec<_>>().join("\t"));
            }
        }
        Format::Human if rows.is_empty() => ui.note(empty),
        Format::Human => {
            let text = fitted(columns, rows, Ui::width(), |_, _| false);
            text.lines().for_each(|line| ui.answer(line.trim_end()));
        }
    }
}

/// Returns the id of a run as it stands in a list: for people the end, which tells it from those of
/// the same minute and is taken wherever an id is.
pub(crate) fn short_id(ui: &Ui, id: &str) -> String {
    match ui.format {
        Format::Human => journal::short_id(id).to_owned(),
        Format::Json | Format::Plain => id.to_owned(),
    }
}

/// Returns a moment as lists show it, in the zone of the workspace.
pub(crate) fn moment(at: Timestamp, zone: &TimeZone) -> String {
    zone.to_datetime(at).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Shows tasks in the chosen format, with the columns asked for or the usual ones.
pub(crate) fn tasks(ui: &Ui, rows: &[Row], zone: &TimeZone, asked: Option<&[TaskColumn]>) {
    let shown = task_list::table(rows, zone, asked, ui.format == Format::Plain);
    if ui.format != Format::Human || rows.is_empty() {
        let values: Vec<Value> = match ui.format {
            Format::Json => rows.iter().map(|row| row.value(None)).collect(),
            Format::Plain | Format::Human => Vec::new(),
        };
        return list(ui, &shown.columns, &shown.cells, &values, "No tasks.");
    }
    let is_red = |row: usize, column: usize| shown.is_overdue(row, column);
    let text = fitted(&shown.columns, &shown.cells, Ui::width(), is_red);
    text.lines().for_each(|line| ui.answer(line));
    if shown.has_marks() {
        ui.note("! overdue");
    }
}

/// Shows an entity in the chosen format.
pub(crate) fn card(ui: &Ui, card: &Card) {
    match ui.format {
        Format::Json => ui.json_value(&card.value),
        Format::Plain => {
            ui.answer(&format!("title\t{}", visible(&card.title)));
            for (name, value) in &card.lines {
                ui.answer(&format!("{name}\t{}", visible(value)));
            }
            if !card.body.is_empty() {
                ui.answer(&format!("body\t{}", visible(card.body.trim_end())));
            }
        }
        Format::Human => {
            ui.answer(&paint(BOLD, &card.title));
            for (name, value) in card.lines.iter().filter(|(_, value)| !value.is_empty()) {
                ui.answer(&format!("  {} {}", paint(DIM, &format!("{name:<12}")), visible(value)));
            }
            if !card.body.is_empty() {
                ui.answer("");
                ui.answer(&visible_lines(card.body.trim_end()));
            }
        }
    }
}

/// Shows a report: the script's own output and result on stdout, the rest on stderr; its changes
/// only if they were not shown before.
pub(crate) fn report(
    ui: &Ui,
    report: &Report,
    saved: Option<&Path>,
    zone: &TimeZone,
    is_shown: bool,
) {
    let view = View { report, zone };
    for line in &report.output {
        ui.script_text(line);
    }
    if !is_shown {
        changes(ui, report, zone);
    }
    for warning in &report.warnings {
        ui.note(&format!("{} {}", paint(YELLOW.bold(), "warning:"), visible(warning)));
    }
    if let Some(error) = &report.error {
        ui.note(&failure::text(error));
    }
    ui.note(&view.summary(saved));
    result(ui, report);
}

/// Shows the changes of a report with the verdicts on them, for people; of many, the first.
pub(crate) fn changes(ui: &Ui, report: &Report, zone: &TimeZone) {
    first_changes(ui, report, zone, MAX_SHOWN);
}

/// Shows all changes of a report with the verdicts on them, to somebody who decides on them.
pub(crate) fn all_changes(ui: &Ui, report: &Report, zone: &TimeZone) {
    first_changes(ui, report, zone, usize::MAX);
}

fn first_changes(ui: &Ui, report: &Report, zone: &TimeZone, most: usize) {
    let view = View { report, zone };
    for change in report.changes.iter().take(most) {
        view.change(change).iter().for_each(|line| ui.note(line));
    }
    if report.changes.len() > most {
        ui.note(&format!("  … and {} more; `--json` shows all", report.changes.len() - most));
    }
    for ruling in report.verdicts.iter().filter(|ruling| ruling.change.is_none()) {
        ui.note(&verdict_line("", ruling, report.status == Status::Applied));
    }
}

/// Shows what the program returned.
fn result(ui: &Ui, report: &Report) {
    match &report.result {
        Value::Null => {}
        // Before it is created, an entity has only a provisional id, which is of no use outside the run.
        Value::String(text)
            if report.status != Status::Applied && crate::model::id::is_marker(text) => {}
        Value::String(text) => ui.script_text(text.trim_end()),
        // A command that creates answers with the id alone, so that a shell can use it.
        Value::Object(map) if map.len() == 1 && map.contains_key("id") => {
            let made = report.changes.iter().any(|change| change.op == Op::Create);
            // A task that was found by its key is the answer, too.
            let found = report.status == Status::NoChanges && report.skill.ends_with(" create");
            let answers = found || (made && report.status == Status::Applied);
            if let (true, Some(id)) = (answers, map["id"].as_str()) {
                ui.answer(&visible(id));
            }
        }
        other => {
            let text = serde_json::to_string_pretty(other).unwrap_or_default();
            if report.status == Status::Applied || !text.contains("⟦new:") {
                ui.answer(&visible_lines(&text));
            }
        }
    }
}

//! The report of a run for a person: its changes, the verdicts on them, its outcome.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::change::{Entity, FieldChange, FieldConflict, Op};
use crate::cli::render::text::{
    BOLD, CYAN, DIM, GREEN, RED, YELLOW, count, paint, shortened, visible,
};
use crate::host::apply::outcome::ChangeStatus;
use crate::host::{ChangeReport, Report, Status};
use crate::model::time::day_of_date;
use crate::model::{Priority, Progress};
use crate::policy::{Ruling, Verdict};

/// Longest value that is shown in a diff.
const MAX_VALUE: usize = 70;
/// Characters shown before the place where a long text was changed.
const BEFORE_CHANGE: usize = 20;
/// Most changes that are shown one by one.
pub(crate) const MAX_SHOWN: usize = 60;

/// Returns the changes of a report that `wanted` selects, as lines; with numbers if `numbered`.
pub(crate) fn changes(
    report: &Report,
    zone: &TimeZone,
    numbered: bool,
    wanted: impl Fn(&ChangeReport) -> bool,
) -> Vec<String> {
    let view = View { report, zone };
    let mut lines = Vec::new();
    for change in report.changes.iter().filter(|change| wanted(change)) {
        let of_change = view.change(change);
        let number = if numbered { format!("{:>3} ", change.n) } else { "  ".to_owned() };
        let indent = " ".repeat(number.len());
        for (n, line) in of_change.into_iter().enumerate() {
            let before = if n == 0 { paint(DIM, &number) } else { indent.clone() };
            lines.push(format!("{before}{line}"));
        }
    }
    lines
}

/// Returns the sides of a conflict in words: the value that was read, the present one, the edited
/// one.
pub(crate) fn sides(
    report: &Report,
    zone: &TimeZone,
    change: &ChangeReport,
    conflict: &FieldConflict,
) -> [String; 3] {
    View { report, zone }.sides(change, conflict)
}

/// Returns the word that people know a field by.
pub(crate) fn field_word(conflict: &FieldConflict) -> &'static str {
    word_for(conflict.field.name())
}

/// Renders a ruling. One that held what was written since was answered by a person's yes.
pub(crate) fn verdict_line(indent: &str, ruling: &Ruling, is_written: bool) -> String {
    let (style, word) = match ruling.verdict {
        Verdict::Hold if is_written => (GREEN, "approved:"),
        Verdict::Deny => (RED.bold(), "denied"),
        Verdict::Hold => (YELLOW.bold(), "held"),
        Verdict::Warn => (YELLOW.bold(), "warning"),
        Verdict::Allow => (GREEN, "allowed"),
    };
    format!(
        "{indent}{} {} {}",
        paint(style, word),
        visible(&ruling.reason),
        paint(DIM, &format!("({})", ruling.source))
    )
}

pub(crate) struct View<'a> {
    pub(crate) report: &'a Report,
    pub(crate) zone: &'a TimeZone,
}

impl View<'_> {
    pub(crate) fn change(&self, change: &ChangeReport) -> Vec<String> {
        let (style, sign) = match change.op {
            Op::Create => (GREEN, "+"),
            Op::Update => (YELLOW, "~"),
            Op::Delete => (RED, "-"),
        };
        let plan = self.report.names.get(&change.plan).map_or("", String::as_str);
        let place = if plan.is_empty() || plan == change.title {
            String::new()
        } else {
            format!("  {plan}")
        };
        let along = match change.takes_along {
            0 => String::new(),
            n => format!(" with {}", count(n, "task")),
        };
        let mut lines = vec![format!(
            "{} {} {}{}{}{}",
            paint(style.bold(), sign),
            if change.entity == Entity::PlanDetails { "plan" } else { change.entity.name() },
            paint(BOLD, &shortened(&change.title, MAX_VALUE)),
            along,
            paint(DIM, &place),
            Self::status(change),
        )];
        for (name, field) in &change.fields {
            if change.op == Op::Create && matches!(*name, "title" | "name") {
                continue;
            }
            self.field(change, name, field, &mut lines);
        }
        for ruling in self.report.verdicts.iter().filter(|ruling| ruling.change == Some(change.n)) {
            lines.push(verdict_line("    ", ruling, self.is_written(change)));
        }
        for conflict in &change.conflict {
            lines.push(self.conflict(change, conflict));
        }
        // An error of the whole run is shown once, below all changes.
        if let Some(error) = &change.error
            && self.report.error.as_ref() != Some(error)
        {
            lines.push(format!("    {}", paint(RED, &error.message)));
        }
        lines
    }

    /// Returns whether a change was sent, so that nothing holds it any more.
    fn is_written(&self, change: &ChangeReport) -> bool {
        let was_sent = !matches!(change.status, ChangeStatus::Planned | ChangeStatus::Skipped);
        match self.report.status {
            Status::Applied => true,
            Status::Partial => was_sent,
            _ => false,
        }
    }

    fn status(change: &ChangeReport) -> String {
        let (style, word) = match change.status {
            ChangeStatus::Planned | ChangeStatus::Applied => return String::new(),
            ChangeStatus::Skipped => (DIM, "skipped"),
            ChangeStatus::Conflict => (RED, "conflict"),
            ChangeStatus::Failed => (RED, "failed"),
            ChangeStatus::Unknown => (RED, "unknown"),
        };
        format!("  {}", paint(style, &format!("[{word}]")))
    }

    fn field(
        &self,
        change: &ChangeReport,
        name: &str,
        field: &FieldChange,
        lines: &mut Vec<String>,
    ) {
        if name == "orderHint" || name.ends_with("TaskBoardFormat") {
            lines.push(format!("    {}", paint(DIM, moved_where(name))));
            return;
        }
        let label = paint(DIM, &format!("{:<12}", word_for(name)));
        if let (Value::Object(after), true) = (&field.after, name != "recurrence") {
            let empty = serde_json::Map::new();
            let before = field.before.as_object().unwrap_or(&empty);
            for (key, value) in after {
                if before.get(key) != Some(value) {
                    let sign = if before.contains_key(key) { "~" } else { "+" };
                    let text = self.entry(change, name, key, value);
                    lines.push(format!("    {label} {} {text}", paint(GREEN, sign)));
                }
            }
            for (key, value) in before.iter().filter(|(key, _)| !after.contains_key(*key)) {
                let text = self.entry(change, name, key, value);
                lines.push(format!("    {label} {} {text}", paint(RED, "-")));
            }
            return;
        }
        let line = if field.before.is_null() && change.op == Op::Create {
            format!("    {label} {}", visible(&self.value(name, &field.after)))
        } else {
            let [before, after] =
                around_change([&field.before, &field.after].map(|value| self.whole(name, value)));
            format!("    {label} {} {} {}", paint(DIM, &before), paint(DIM, "→"), visible(&after))
        };
        lines.push(line);
    }

    fn conflict(&self, change: &ChangeReport, conflict: &FieldConflict) -> String {
        let [base, theirs, ours] = self.sides(change, conflict);
        format!(
            "    {} {}: was {base}, is now {theirs}, edited to {ours}",
            paint(RED.bold(), "conflict"),
            word_for(conflict.field.name()),
        )
    }

    fn sides(&self, change: &ChangeReport, conflict: &FieldConflict) -> [String; 3] {
        let name = conflict.field.name();
        let values = [&conflict.base, &conflict.theirs, &conflict.ours];
        if values.iter().any(|value| value.is_object()) {
            return values.map(|value| self.side(change, name, value));
        }
        around_change(values.map(|value| self.whole(name, value))).map(|text| visible(&text))
    }

    fn side(&self, change: &ChangeReport, name: &str, value: &Value) -> String {
        match value {
            Value::Object(map) => {
                let entries: Vec<_> =
                    map.iter().map(|(key, value)| self.entry(change, name, key, value)).collect();
                if entries.is_empty() { "none".to_owned() } else { entries.join(", ") }
            }
            other => visible(&self.value(name, other)),
        }
    }

    /// Renders one entry of a map: an assignee, a label, a checklist item.
    fn entry(&self, change: &ChangeReport, name: &str, key: &str, value: &Value) -> String {
        let names = &self.report.names;
        let text = match name {
            "assignments" | "sharedWith" | "members" => names.get(key).cloned(),
            "categoryDescriptions" => value.as_str().map(|label| format!("{key} {label}")),
            "appliedCategories" => names.get(&format!("{}/{key}", change.plan)).cloned(),
            "references" => {
                let alias = value.get("alias").and_then(Value::as_str);
                let url = crate::model::link::decode(key);
                Some(alias.map_or_else(|| url.clone(), |alias| format!("{url} ({alias})")))
            }
            "checklist" => value.get("title").and_then(Value::as_str).map(|title| {
                let done = value.get("isChecked") == Some(&Value::Bool(true));
                format!("[{}] {title}", if done { "x" } else { " " })
            }),
            _ => None,
        };
        visible(&shortened(&text.unwrap_or_else(|| key.to_owned()), MAX_VALUE))
    }

    fn value(&self, name: &str, value: &Value) -> String {
        shortened(&self.whole(name, value), MAX_VALUE)
    }

    /// Renders a value in full.
    fn whole(&self, name: &str, value: &Value) -> String {
        match (name, value) {
            (_, Value::Null) => "none".to_owned(),
            ("percentComplete", Value::Number(n)) => {
                let percent =
                    n.as_u64().and_then(|percent| u8::try_from(percent).ok()).unwrap_or(0);
                let progress = Progress::of_percent(percent);
                let word = progress.name().replace('_', " ");
                if percent == progress.percent() { word } else { format!("{percent} %") }
            }
            ("priority", Value::Number(n)) => {
                let level =
                    n.as_u64().and_then(|level| u8::try_from(level).ok()).and_then(Priority::new);
                // A level between the named ones is shown with its number.
                let usual = |priority: Priority| Priority::parse(priority.name()) == Some(priority);
                level.map_or_else(
                    || n.to_string(),
                    |priority| {
                        if usual(priority) {
                            priority.name().to_owned()
                        } else {
                            format!("{} ({n})", priority.name())
                        }
                    },
                )
            }
            ("startDateTime" | "dueDateTime", Value::String(text)) => {
                match text.parse::<Timestamp>() {
                    Ok(moment) => day_of_date(moment, self.zone).to_string(),
                    Err(_) => text.clone(),
                }
            }
            ("recurrence", schedule @ Value::Object(_)) => {
                crate::app::shown::entity::recurrence_in_words(schedule)
            }
            ("isArchived", Value::Bool(away)) => if *away { "yes" } else { "no" }.to_owned(),
            ("bucketId" | "planId", Value::String(id)) => {
                self.report.names.get(id).cloned().unwrap_or_else(|| id.clone())
            }
            ("description", Value::String(text)) if text.is_empty() => "none".to_owned(),
            (_, Value::String(text)) => text.clone(),
            (_, other) => other.to_string(),
        }
    }

    pub(crate) fn summary(&self, saved: Option<&Path>) -> String {
        let report = self.report;
        let n = report.changes.len();
        let who = match &report.actor.agent {
            Some(agent) => format!("{} for {}", agent, report.actor.upn),
            None => report.actor.upn.clone(),
        };
        let by = if who.is_empty() { String::new() } else { format!(" as {who}") };
        let (style, text) = match report.status {
            Status::Applied if n == 0 => (GREEN, "All of it was written already.".to_owned()),
            Status::Applied => (GREEN, format!("Applied {}{by}.", count(n, "change"))),
            Status::Previewed => match saved {
                Some(file) => (
                    CYAN,
                    format!(
                        "Saved {} to {}; nothing was written. Apply with `planwright apply {}`.",
                        count(n, "change"),
                        file.display(),
                        file.display()
                    ),
                ),
                None => {
                    (CYAN, format!("Would make {}{by}; nothing was written.", count(n, "change")))
                }
            },
            Status::NoChanges => (DIM, "Nothing to change.".to_owned()),
            Status::Denied if report.is_refused_by_hand() => {
                (RED, "Not approved: nothing was written.".to_owned())
            }
            Status::Denied if report.actor.agent.is_none() => {
                let why = "`planwright policy explain last` says more.";
                (RED, format!("Denied: nothing was written. {why}"))
            }
            Status::Denied => (RED, "Denied: nothing was written.".to_owned()),
            Status::Held => (YELLOW, held(report, saved)),
            Status::Conflict => (RED, "Conflict: nothing was written.".to_owned()),
            Status::Partial
                if report.count(ChangeStatus::Unknown) > 0
                    && report.count(ChangeStatus::Applied) == 0 =>
            {
                let were = if n == 1 { "was" } else { "were" };
                (RED, format!("It is not known whether {} {were} written.", count(n, "change")))
            }
            Status::Partial if n == 0 => {
                (RED, "Applied only in part: the rest is not known.".to_owned())
            }
            Status::Partial => {
                let applied = report.count(ChangeStatus::Applied);
                let halves = report.changes.iter().filter(|change| change.in_part).count();
                let halves = match halves {
                    0 => String::new(),
                    halves => format!(", {halves} more partly"),
                };
                (RED, format!("Applied only in part: {applied} of {}{halves}.", count(n, "change")))
            }
            Status::Failed if report.count(ChangeStatus::Unknown) > 0 => {
                (RED, "Failed: it is not known what was written.".to_owned())
            }
            Status::Failed => (RED, "Failed: nothing was written.".to_owned()),
        };
        paint(style.bold(), &text)
    }
}

/// Shortens texts so that the place where they begin to differ is still there.
fn around_change<const N: usize>(texts: [String; N]) -> [String; N] {
    let is_long = |text: &String| text.chars().count() > MAX_VALUE;
    let (first, others) = match texts.split_first() {
        Some((first, others)) if texts.iter().any(is_long) => (first, others),
        _ => return texts,
    };
    let same = |other: &String| {
        first.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
    };
    let same = others.iter().map(same).min().unwrap_or(0);
    match same.saturating_sub(BEFORE_CHANGE) {
        0 => texts.map(|text| shortened(&text, MAX_VALUE)),
        left_out => texts.map(|text| {
            let rest: String = ['…'].into_iter().chain(text.chars().skip(left_out)).collect();
            shortened(&rest, MAX_VALUE)
        }),
    }
}

/// Returns how a held set can be applied all the same; an agent is not told.
fn held(report: &Report, saved: Option<&Path>) -> String {
    let how = match (&report.pending, saved) {
        (_, Some(file)) => format!(
            " Saved to {}; `planwright apply {}` asks about it.",
            file.display(),
            file.display()
        ),
        (Some(id), None) if report.actor.agent.is_some() => format!(" It waits as {id}."),
        (Some(id), None) => format!(
            " It waits: `planwright approve {id}` applies it, and so would the same command with `--yes`."
        ),
        (None, None) if report.actor.agent.is_some() => String::new(),
        (None, None) => " On a terminal you are asked; `--yes` answers in advance.".to_owned(),
    };
    let held = if report.is_dry_run { "Would be held" } else { "Held" };
    format!("{held} for approval: nothing was written.{how}")
}

/// Returns the words for a new order hint: the hint itself means nothing to a person.
fn moved_where(field: &str) -> &'static str {
    match field {
        "progressTaskBoardFormat" => "moved on the progress board",
        "assignedToTaskBoardFormat" => "moved on the assignee board",
        _ => "moved",
    }
}

fn word_for(field: &str) -> &str {
    match field {
        "bucketId" => "bucket",
        "percentComplete" => "progress",
        "startDateTime" => "start",
        "dueDateTime" => "due",
        "assignments" => "assigned",
        "appliedCategories" => "label",
        "categoryDescriptions" => "label",
        "sharedWith" => "shared with",
        "references" => "link",
        "previewType" => "preview",
        "planId" => "plan",
        "isArchived" => "archived",
        "recurrence" => "repeats",
        "members" => "member",
        "content" => "text",
        "conversationThreadId" => "comments",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_around_what_was_changed() {
        let text = "The offers are compared by price, delivery and warranty; ".repeat(3);
        let [before, after] =
            around_change([format!("{text}Ana decides"), format!("{text}Mei decides")]);
        assert_eq!(
            (before.as_str(), after.as_str()),
            ("…ivery and warranty; Ana decides", "…ivery and warranty; Mei decides")
        );
        // What differs at once begins at the beginning.
        let [none, long] = around_change(["none".to_owned(), text.clone()]);
        assert!(none == "none" && long.starts_with("The offers") && long.ends_with('…'), "{long}");
        let short = ["Ana".to_owned(), "Mei".to_owned()];
        assert_eq!(around_change(short.clone()), short);
        // What was taken away at the end shows what is left.
        let [_, cut] = around_change([format!("{text}!"), text]);
        assert_eq!(cut, "…ivery and warranty; ");
    }
}

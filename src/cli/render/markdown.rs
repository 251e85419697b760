//! A plan as Markdown, for people. Texts from the board are escaped, so that none becomes markup.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::render::text::visible;
use crate::model::time::day_of_date;
use crate::model::{PlanDocument, Priority, TaskDocument};

/// Returns a plan as Markdown; dates are those of `zone`.
pub(crate) fn write(document: &PlanDocument, zone: &TimeZone) -> String {
    let mut lines = vec![format!("# {}", escaped(&document.title))];
    for bucket in &document.buckets {
        lines.extend([String::new(), format!("## {}", escaped(&bucket.name)), String::new()]);
        bucket.tasks.iter().for_each(|entry| task(entry, zone, &mut lines));
    }
    if !document.tasks.is_empty() {
        lines.extend([String::new(), "## (no bucket)".to_owned(), String::new()]);
        document.tasks.iter().for_each(|entry| task(entry, zone, &mut lines));
    }
    lines.join("\n") + "\n"
}

fn mark(done: bool) -> &'static str {
    if done { "[x]" } else { "[ ]" }
}

fn task(task: &TaskDocument, zone: &TimeZone, lines: &mut Vec<String>) {
    let day = |moment: Timestamp| day_of_date(moment, zone);
    let mut facts = Vec::new();
    if (1..100).contains(&task.percent_complete) {
        facts.push("in progress".to_owned());
    }
    if let Some(priority) = task.priority.and_then(Priority::new)
        && priority.name() != Priority::DEFAULT.name()
    {
        facts.push(priority.name().to_owned());
    }
    facts.extend(task.start.map(|moment| format!("from {}", day(moment))));
    facts.extend(task.due.map(|moment| format!("due {}", day(moment))));
    facts.extend(task.assignees.iter().map(|assignee| escaped(assignee)));
    facts.extend(task.labels.iter().map(|label| format!("_{}_", escaped(label))));
    let facts = if facts.is_empty() { String::new() } else { format!(" — {}", facts.join(", ")) };
    let done = mark(task.percent_complete == 100);
    lines.push(format!("- {done} **{}**{facts}", escaped(task.title.trim())));
    if !task.description.trim().is_empty() {
        lines.push(String::new());
        for line in task.description.trim().lines() {
            lines.push(format!("  {}  ", escaped(line.trim())));
        }
        lines.push(String::new());
    }
    for item in &task.checklist {
        lines.push(format!("  - {} {}", mark(item.checked), escaped(&item.title)));
    }
    for link in &task.references {
        let text = escaped(link.alias.as_deref().unwrap_or(&link.url));
        lines.push(format!("  - [{text}](<{}>)", address(&link.url)));
    }
}

/// Returns a text on one line, with everything escaped that is markup in Markdown or HTML.
fn escaped(text: &str) -> String {
    let one_line = text.split(['\r', '\n']).collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(one_line.len());
    let number_ends = one_line.find(|ch: char| !ch.is_ascii_digit()).unwrap_or(0);
    for (at, ch) in visible(&one_line).char_indices() {
        let begins = at == 0 && "#-+=~".contains(ch);
        // `1.` or `1)` at the beginning would start a list.
        let numbers = at == number_ends && at > 0 && ".)".contains(ch);
        if begins || numbers || "\\`*_[]<>|&~".contains(ch) {
            out.push('\\');
        }
        out.push(ch);
    }
    out
}

/// Encodes an address so that it cannot end the angle brackets around it.
fn address(url: &str) -> String {
    visible(url).replace('<', "%3C").replace('>', "%3E").replace(' ', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LinkDocument;

    #[test]
    fn nothing_on_the_board_becomes_markup() {
        assert_eq!(escaped("# <b>*x*</b> [a](b)"), "\\# \\<b\\>\\*x\\*\\</b\\> \\[a\\](b)");
        assert_eq!(escaped("1. one\n- two"), "1\\. one - two");
        let reference =
            LinkDocument { url: "https://a.example/> x".into(), alias: None, kind: None };
        let task = TaskDocument {
            title: "a\n## b".into(),
            references: vec![reference],
            ..TaskDocument::default()
        };
        let plan = PlanDocument { title: "P".into(), tasks: vec![task], ..PlanDocument::default() };
        let text = write(&plan, &TimeZone::UTC);
        assert!(text.contains("- [ ] **a ## b**\n"), "{text}");
        assert!(text.contains("](<https://a.example/%3E%20x>)"), "{text}");
    }
}

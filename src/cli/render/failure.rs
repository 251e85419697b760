//! Errors as text: message, place, problems, causes and a hint.

use crate::cli::render::text::{BOLD, CYAN, DIM, RED, YELLOW, paint, visible};
use crate::host::Failure;
use crate::script::finding::{Finding, Severity};

/// Renders a failure; the last line has no line end.
pub(crate) fn text(failure: &Failure) -> String {
    labelled(&paint(RED.bold(), "error:"), failure)
}

/// Renders a finding of a check.
pub(crate) fn finding(finding: &Finding) -> String {
    let label = match finding.severity {
        Severity::Error => paint(RED.bold(), "error:"),
        Severity::Warning => paint(YELLOW.bold(), "warning:"),
    };
    let failure = Failure {
        message: finding.message.clone(),
        hint: finding.hint.clone(),
        at: finding.at.clone(),
        ..Failure::default()
    };
    labelled(&label, &failure)
}

fn labelled(label: &str, failure: &Failure) -> String {
    let mut lines = vec![format!("{label} {}", paint(BOLD, &failure.message))];
    if let Some(at) = &failure.at {
        let number = at.line.to_string();
        let indent = " ".repeat(number.len());
        let place = format!("{}:{}:{}", at.file, at.line, at.column);
        lines.push(format!("{indent} {} {}", paint(DIM, "-->"), visible(&place)));
        let before: String = at.source.chars().take(at.column.saturating_sub(1)).collect();
        lines.push(format!("{} {} {}", paint(DIM, &number), paint(DIM, "|"), visible(&at.source)));
        // Measured as it is shown, or wide characters would push the caret off its place.
        let shown = unicode_width::UnicodeWidthStr::width(visible(&before).as_str());
        let caret = paint(RED.bold(), "^");
        lines.push(format!("{indent} {} {}{caret}", paint(DIM, "|"), " ".repeat(shown)));
    }
    for frame in &failure.trace {
        lines.push(format!("  {} {}", paint(DIM, "in"), visible(frame)));
    }
    lines.extend(failure.problems.iter().map(|problem| format!("  {}", visible(problem))));
    for cause in &failure.causes {
        // Causes may hold several lines: a TOML error shows the place.
        let mut parts = cause.trim_end().lines();
        let first = parts.next().unwrap_or_default();
        lines.push(format!("  {} {}", paint(DIM, "caused by:"), visible(first)));
        lines.extend(parts.map(|line| format!("    {}", visible(line))));
    }
    if let Some(hint) = &failure.hint {
        lines.push(String::new());
        lines.push(format!("{} {}", paint(CYAN.bold(), "hint:"), visible(hint)));
    }
    lines.join("\n")
}

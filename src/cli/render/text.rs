//! Safe display of foreign text, and styles for our own.

use anstyle::{AnsiColor, Style};

pub(crate) use crate::app::shown::{json_safe, shortened, visible};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Makes a text visible and wraps it in a style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{}{style:#}", visible(text))
}

/// Makes a text of several lines visible, whose line ends are kept.
pub(crate) fn visible_lines(text: &str) -> String {
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// Formats a number of things: `1 change`, `2 changes`.
pub(crate) fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

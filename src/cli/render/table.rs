//! Lists as tables, laid out here because a cell may be coloured and a column may have to give way.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::cli::render::text::{RED, paint, shortened, visible};

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    right: bool,
    room: Room,
}

/// The way in which a column gives way where a terminal is too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Its cells are shortened.
    Shrinks,
    /// It stays whole: a part of an id is of no use.
    Whole,
    /// It is left out before any other is shortened.
    LeftOut,
}

impl Column {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, right: false, room: Room::Shrinks }
    }

    pub(crate) const fn right(name: &'static str) -> Self {
        Self { name, right: true, room: Room::Shrinks }
    }

    /// Returns a column that is never shortened.
    pub(crate) const fn whole(name: &'static str) -> Self {
        Self { name, right: false, room: Room::Whole }
    }

    /// Returns a column that is left out where there is no room for it.
    pub(crate) const fn optional(name: &'static str) -> Self {
        Self { name, right: false, room: Room::LeftOut }
    }
}

/// Longest cell of a table: lists are for finding, `get` shows an entity in full.
const MAX_CELL: usize = 90;
/// Narrowest column that cells are shortened to: a date with its mark still fits.
const MIN_WIDTH: usize = 12;
/// Blanks between two columns.
const GAP: usize = 2;

/// Lays out a table.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    fitted(columns, rows, None, |_, _| false)
}

/// Lays out a table within a width, if one is given; `is_red` chooses cells by row and column.
pub(crate) fn fitted(
    columns: &[Column],
    rows: &[Vec<String>],
    width: Option<usize>,
    is_red: impl Fn(usize, usize) -> bool,
) -> String {
    let shown = |cell: &String| shortened(&visible(cell), MAX_CELL);
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let head: Vec<String> = columns.iter().map(|column| column.name.to_owned()).collect();
    let mut widths: Vec<usize> = head.iter().map(|name| name.width()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    if let Some(limit) = width {
        fit(columns, &mut widths, limit);
    }
    let mut lines = vec![line(columns, &widths, &head, |_| false)];
    for (at, row) in rows.iter().enumerate() {
        lines.push(line(columns, &widths, row, |column| is_red(at, column)));
    }
    lines.join("\n")
}

/// Returns the width of a line; a column of width 0 is left out.
fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0);
    shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
}

/// Narrows columns until a line fits, the widest first.
fn fit(columns: &[Column], widths: &mut [usize], limit: usize) {
    for (at, column) in columns.iter().enumerate() {
        if column.room == Room::LeftOut && total(widths) > limit {
            widths[at] = 0;
        }
    }
    while total(widths) > limit {
        let shrinks = |at: &usize| columns[*at].room == Room::Shrinks && widths[*at] > MIN_WIDTH;
        let Some(widest) = (0..widths.len()).filter(shrinks).max_by_key(|at| widths[*at]) else {
            return;
        };
        widths[widest] -= 1;
    }
}

fn line(
    columns: &[Column],
    widths: &[usize],
    cells: &[String],
    is_red: impl Fn(usize) -> bool,
) -> String {
    let mut line = String::new();
    for (at, ((column, width), cell)) in columns.iter().zip(widths).zip(cells).enumerate() {
        if *width == 0 {
            continue;
        }
        let text = cut(cell, *width);
        let blank = " ".repeat(width.saturating_sub(text.width()));
        let text = if is_red(at) { paint(RED, &text) } else { text };
        let gap = " ".repeat(GAP);
        let parts = if column.right { [blank, text, gap] } else { [text, blank, gap] };
        line.extend(parts);
    }
    line.trim_end().to_owned()
}

/// Cuts a text to the columns that it takes on a terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for ch in text.chars() {
        used += ch.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(ch);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let title = "Compare the offers for the lease of the coffee machine";
        [[title, "2026-11-26 !", "7XlALR1cXXtV8HCrHLvxcGQAPgCj"], ["日本日本日本日本", "", "x"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn a_table_takes_no_more_than_the_terminal_has() {
        let optional = [Column::new("TITLE"), Column::new("DUE"), Column::optional("ID")];
        let wide = fitted(&optional, &rows(), Some(140), |_, _| false);
        assert!(
            wide.contains("7XlALR1cXXtV8HCrHLvxcGQAPgCj") && wide.contains("machine "),
            "{wide}"
        );
        // The id goes first, and then nothing need be shortened.
        let without = fitted(&optional, &rows(), Some(80), |_, _| false);
        assert!(!without.contains("ID") && without.contains("coffee machine  2026"), "{without}");
        for limit in 26..100 {
            let text = fitted(&optional, &rows(), Some(limit), |_, _| false);
            assert!(text.lines().all(|line| line.width() <= limit), "{limit}:\n{text}");
            assert!(text.contains("2026-11-26 !"), "{limit}:\n{text}");
        }
        let whole = [Column::new("TITLE"), Column::new("DUE"), Column::whole("ID")];
        let text = fitted(&whole, &rows(), Some(60), |_, _| false);
        assert!(text.contains("7XlALR1cXXtV8HCrHLvxcGQAPgCj") && text.contains('…'), "{text}");
    }

    #[test]
    fn colour_does_not_move_what_follows() {
        let columns = [Column::new("TITLE"), Column::right("N"), Column::new("ID")];
        let rows =
            [["a", "5", "x"], ["bbbbbb", "10", "y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&columns, &rows), "TITLE    N  ID\na        5  x\nbbbbbb  10  y");
        let text = fitted(&columns, &rows, None, |row, column| (row, column) == (0, 0));
        assert!(text.contains("\u{1b}[31ma\u{1b}[0m        5  x"), "{text:?}");
    }
}

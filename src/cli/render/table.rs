//! Lists as tables. The only user of the table library.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table};
use unicode_width::UnicodeWidthStr as _;

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
    let all: Vec<usize> = (0..columns.len()).collect();
    let text = laid_out(columns, &rows, &all, None);
    let Some(limit) = width.filter(|limit| widest(&text) > *limit) else {
        return coloured(&text, &rows, &all, is_red);
    };
    let kept: Vec<usize> =
        all.into_iter().filter(|at| columns[*at].room != Room::LeftOut).collect();
    let text = laid_out(columns, &rows, &kept, None);
    let text =
        if widest(&text) > limit { laid_out(columns, &rows, &kept, Some(limit)) } else { text };
    coloured(&text, &rows, &kept, is_red)
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.trim_end().width()).max().unwrap_or(0)
}

/// Lays out some columns; within a width, cells are cut to one line.
fn laid_out(
    columns: &[Column],
    rows: &[Vec<String>],
    kept: &[usize],
    width: Option<usize>,
) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_truncation_indicator("…");
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.set_header(kept.iter().map(|at| columns[*at].name));
    for row in rows {
        let mut line = Row::from(kept.iter().map(|at| row.get(*at).cloned().unwrap_or_default()));
        line.max_height(1);
        table.add_row(line);
    }
    let last = kept.len().saturating_sub(1);
    for ((place, at), cells) in kept.iter().enumerate().zip(table.column_iter_mut()) {
        // What follows the last column would only make lines longer.
        cells.set_padding((0, if place == last { 0 } else { 2 }));
        let column = columns[*at];
        if column.right {
            cells.set_cell_alignment(CellAlignment::Right);
        }
        let narrow = rows.iter().filter_map(|row| row.get(*at)).map(|cell| cell.width()).max();
        let narrow = narrow.unwrap_or(0).max(column.name.width());
        if column.room == Room::Whole || narrow <= MIN_WIDTH {
            cells.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.to_string()
}

/// Paints cells of a table, each of which is one line.
fn coloured(
    text: &str,
    rows: &[Vec<String>],
    kept: &[usize],
    is_red: impl Fn(usize, usize) -> bool,
) -> String {
    let mut lines = text.lines().map(|line| line.trim_end().to_owned());
    let mut painted: Vec<String> = lines.by_ref().take(1).collect();
    for (at, mut line) in lines.enumerate() {
        for column in kept.iter().filter(|column| is_red(at, **column)) {
            let cell = rows.get(at).and_then(|row| row.get(*column)).map_or("", String::as_str);
            if let Some(found) = line.rfind(cell).filter(|_| !cell.is_empty()) {
                line.replace_range(found..found + cell.len(), &paint(RED, cell));
            }
        }
        painted.push(line);
    }
    painted.join("\n")
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

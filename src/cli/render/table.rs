//! Lists as tables. The only user of the table library.

use comfy_table::{CellAlignment, ContentArrangement, Row, Table};
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
    /// It is left out before any other is shortened.
    LeftOut,
    /// Its cells are shortened.
    Shrinks,
    /// Its cells are shortened when those of the others are: people look for them.
    Title,
    /// It stays whole: a part of it is of no use.
    Whole,
}

impl Column {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, right: false, room: Room::Shrinks }
    }

    pub(crate) const fn right(name: &'static str) -> Self {
        Self { name, right: true, room: Room::Shrinks }
    }

    /// Returns a column that is shortened last.
    pub(crate) const fn title(name: &'static str) -> Self {
        Self { name, right: false, room: Room::Title }
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
/// Widest column that is never shortened: a date with its mark.
const NARROW: usize = 12;
/// The room between two columns.
const GAP: usize = 2;

/// The order in which columns become narrower, and how narrow.
const STEPS: [(Room, usize); 4] =
    [(Room::Shrinks, NARROW), (Room::Title, 24), (Room::Shrinks, 8), (Room::Title, NARROW)];

/// Lays out a table.
#[cfg(test)]
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
    let mut rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(shown).collect()).collect();
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    if let Some(limit) = width {
        let mut widths: Vec<usize> =
            (0..columns.len()).map(|at| natural(columns, &rows, at)).collect();
        narrow(columns, &mut kept, &mut widths, limit);
        for row in &mut rows {
            for (cell, width) in row.iter_mut().zip(&widths) {
                *cell = cut(cell, *width);
            }
        }
    }
    coloured(&laid_out(columns, &rows, &kept), &rows, &kept, is_red)
}

fn natural(columns: &[Column], rows: &[Vec<String>], at: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width());
    cells.max().unwrap_or(0).max(columns[at].name.width())
}

/// Leaves columns out, and makes others narrower, until they fit into `limit`, as far as they do.
fn narrow(columns: &[Column], kept: &mut Vec<usize>, widths: &mut [usize], limit: usize) {
    let is_over = |kept: &[usize], widths: &[usize]| {
        let cells: usize = kept.iter().map(|at| widths[*at]).sum();
        cells + GAP * kept.len().saturating_sub(1) > limit
    };
    while is_over(kept, widths)
        && let Some(last) = kept.iter().rposition(|at| columns[*at].room == Room::LeftOut)
    {
        kept.remove(last);
    }
    let full = widths.to_vec();
    for (room, least) in STEPS {
        let gives = |at: &&usize, widths: &[usize]| {
            columns[**at].room == room
                && full[**at] > NARROW
                && widths[**at] > least.max(columns[**at].name.width())
        };
        while is_over(kept, widths) {
            let widest = kept.iter().filter(|at| gives(at, widths)).max_by_key(|at| widths[**at]);
            let Some(widest) = widest else { break };
            widths[*widest] -= 1;
        }
    }
}

/// Cuts a text to a number of places on a terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut kept, mut taken) = (String::new(), 1);
    for ch in text.chars() {
        taken += ch.width().unwrap_or(0);
        if taken > width {
            break;
        }
        kept.push(ch);
    }
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// Lays out some columns.
fn laid_out(columns: &[Column], rows: &[Vec<String>], kept: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(kept.iter().map(|at| columns[*at].name));
    for row in rows {
        table.add_row(Row::from(kept.iter().map(|at| row.get(*at).cloned().unwrap_or_default())));
    }
    let last = kept.len().saturating_sub(1);
    for ((place, at), cells) in kept.iter().enumerate().zip(table.column_iter_mut()) {
        // What follows the last column would only make lines longer.
        cells.set_padding((0, if place == last { 0 } else { 2 }));
        if columns[*at].right {
            cells.set_cell_alignment(CellAlignment::Right);
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
        let plan = |row: &Vec<String>| [vec!["A plan with a long name".to_owned()], row.clone()];
        let rows_of = rows().iter().map(|row| plan(row).concat()).collect::<Vec<_>>();
        let columns = [
            Column::new("PLAN"),
            Column::title("TITLE"),
            Column::new("DUE"),
            Column::optional("ID"),
        ];
        let text = fitted(&columns, &rows_of, Some(84), |_, _| false);
        assert!(text.contains("A plan with a…") && text.contains("coffee machine"), "{text}");
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

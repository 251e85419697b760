//! Lists: a table, tab-separated values, or JSON.

use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde_json::Value;

use crate::cli::render::text::{shortened, visible};
use crate::cli::ui::{Format, Ui};

/// A column of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    name: &'static str,
    right: bool,
}

impl Column {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, right: false }
    }

    pub(crate) const fn right(name: &'static str) -> Self {
        Self { name, right: true }
    }
}

/// The longest cell of a table; lists are for finding, `get` shows things in full.
const MAX_CELL: usize = 90;

/// Shows a list in the format asked for. `empty` is said to a person where there is nothing.
pub(crate) fn show_list(
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
                ui.answer(&row.iter().map(|it| visible(it)).collect::<Vec<_>>().join("\t"));
            }
        }
        Format::Human if rows.is_empty() => ui.note(empty),
        Format::Human => {
            let text = table(columns, rows);
            text.lines().for_each(|line| ui.answer(line.trim_end()));
        }
    }
}

fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|it| it.name));
    for row in rows {
        table.add_row(row.iter().map(|it| shortened(&visible(it), MAX_CELL)));
    }
    for (column, it) in columns.iter().zip(table.column_iter_mut()) {
        it.set_padding((0, 2));
        if column.right {
            it.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

//! Lists as tables. The only user of the table library.

use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::cli::render::text::{shortened, visible};

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

/// Longest cell of a table: lists are for finding, `get` shows an entity in full.
const MAX_CELL: usize = 90;

/// Lays out a table.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.name));
    for row in rows {
        table.add_row(row.iter().map(|cell| shortened(&visible(cell), MAX_CELL)));
    }
    for (column, cells) in columns.iter().zip(table.column_iter_mut()) {
        cells.set_padding((0, 2));
        if column.right {
            cells.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

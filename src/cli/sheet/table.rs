//! A sheet as rows of cells, whatever kind of file it came from.

use std::borrow::Cow;

use jiff::civil::{Date, DateTime};

use crate::host::Failure;

/// The most cells of a sheet.
pub(crate) const MAX_CELLS: usize = 2_000_000;

/// The most rows of a sheet.
pub(crate) const MAX_ROWS: usize = 100_000;

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// A text; an empty one for an empty cell.
    Text(String),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A day.
    Day(Date),
    /// A day with a time.
    Moment(DateTime),
}

impl Cell {
    /// Returns it as a text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Number(number) => Cow::Owned(number_text(*number)),
            Self::Bool(flag) => Cow::Owned(flag.to_string()),
            Self::Day(day) => Cow::Owned(day.to_string()),
            Self::Moment(moment) => Cow::Owned(moment.to_string()),
        }
    }

    /// Returns whether nothing can be seen in it.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().is_empty())
    }
}

fn number_text(number: f64) -> String {
    // Beyond, not every whole number is one of these.
    if number.fract() == 0.0 && number.abs() < 1e15 {
        format!("{number:.0}")
    } else {
        number.to_string()
    }
}

/// A row with its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// The line or row on which it begins, from 1.
    pub(crate) line: u64,
    /// Its cells, from the first column on.
    pub(crate) cells: Vec<Cell>,
}

impl Row {
    /// Returns whether nothing can be seen in it.
    pub(crate) fn is_blank(&self) -> bool {
        self.cells.iter().all(Cell::is_blank)
    }

    /// Returns the number of cells up to the last one that is not empty.
    pub(crate) fn width(&self) -> usize {
        self.cells.iter().rposition(|cell| !cell.is_blank()).map_or(0, |at| at + 1)
    }
}

/// The name of the places in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The lines of a text file.
    Line,
    /// The rows of a sheet.
    Row,
}

impl Unit {
    /// Returns its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Row => "row",
        }
    }
}

/// A sheet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sheet {
    /// The name of its places.
    pub(crate) unit: Unit,
    /// Its rows, top down; empty ones may be missing.
    pub(crate) rows: Vec<Row>,
}

/// Makes the failure for a file that cannot be used.
pub(crate) fn invalid(message: impl Into<String>, hint: Option<String>) -> Failure {
    Failure { code: "invalid".into(), message: message.into(), hint, ..Failure::default() }
}

/// Takes the bytes of a file as text.
pub(crate) fn utf8(bytes: Vec<u8>) -> Result<String, Failure> {
    // What Excel writes as plain CSV is in the old encoding of the system.
    let hint = "save it as UTF-8; in Excel that is \"CSV UTF-8\"".to_owned();
    String::from_utf8(bytes).map_err(|_| invalid("not UTF-8 text", Some(hint)))
}

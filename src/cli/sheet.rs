//! Sheets: CSV and XLSX files, read as tasks or as data, and plans written as such.
//!
//! A sheet comes from somewhere else, so everything about it has a limit, and what is wrong with it
//! is said with the place where its author finds it.

// Rows of cells, whatever the file.
pub(crate) mod delimited;
pub(crate) mod table;
pub(crate) mod workbook;

// The meaning of columns, dates and cells.
pub(crate) mod columns;
pub(crate) mod dates;
pub(crate) mod people;
pub(crate) mod tasks;

// The way back, and sheets as data.
pub(crate) mod data;
pub(crate) mod write;

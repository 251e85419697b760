//! Places in scripts, as messages show them.

use std::collections::BTreeMap;

use rhai::Position;

use crate::host::failure::Place;
use crate::script::syntax::sugar::original_column;

/// The texts that positions are in, by file name.
pub(crate) type Sources = BTreeMap<String, String>;

pub(crate) fn locate(file: &str, at: Position, sources: &Sources) -> Option<Place> {
    let line = at.line()?;
    let whole = sources.get(file).map_or("", String::as_str);
    let source = sources.get(file).and_then(|text| text.lines().nth(line - 1)).unwrap_or_default();
    Some(Place {
        file: file.to_owned(),
        line,
        column: original_column(whole, line, at.position().unwrap_or(1)),
        source: source.chars().take(300).collect(),
    })
}

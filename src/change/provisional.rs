//! Provisional ids of entities that did not exist yet, and the real ids that they became.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::change::edit::Change;

/// What a text consists of.
enum Piece<'a> {
    Plain(&'a str),
    /// Between brackets, brackets included: perhaps a marker.
    Bracketed(&'a str),
}

/// Splits a text at what may be markers, in one pass.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    const CLOSE: char = '⟧';
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('⟦') {
        let (plain, from) = rest.split_at(open);
        pieces.push(Piece::Plain(plain));
        let Some(close) = from.find(CLOSE) else {
            rest = from;
            break;
        };
        let (bracketed, after) = from.split_at(close + CLOSE.len_utf8());
        // The innermost pair counts: what comes before it is text.
        let inner = bracketed.rfind('⟦').unwrap_or(0);
        let (plain, bracketed) = bracketed.split_at(inner);
        pieces.extend([Piece::Plain(plain), Piece::Bracketed(bracketed)]);
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

/// Replaces markers by ids in every text of a value, member names included.
pub(crate) fn replace_markers(value: Value, ids: &BTreeMap<String, String>) -> Value {
    let text = |text: String| {
        if !text.contains('⟦') {
            return text;
        }
        let real = |it: Piece<'_>| match it {
            Piece::Plain(it) => it.to_owned(),
            Piece::Bracketed(it) => ids.get(it).cloned().unwrap_or_else(|| it.to_owned()),
        };
        pieces(&text).into_iter().map(real).collect()
    };
    match value {
        Value::String(it) => Value::String(text(it)),
        Value::Array(items) => {
            items.into_iter().map(|it| replace_markers(it, ids)).collect::<Vec<_>>().into()
        }
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(key, it)| (text(key), replace_markers(it, ids))).collect(),
        ),
        other => other,
    }
}

/// Adds the provisional ids of the run's own that a value mentions anywhere.
pub(crate) fn mentioned(value: &Value, made: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    let mut text = |text: &str| {
        for it in pieces(text) {
            if let Piece::Bracketed(it) = it
                && made.contains(it)
            {
                found.insert(it.to_owned());
            }
        }
    };
    match value {
        Value::String(it) => text(it),
        Value::Array(items) => items.iter().for_each(|it| mentioned(it, made, found)),
        Value::Object(map) => {
            map.keys().for_each(|it| text(it));
            map.values().for_each(|it| mentioned(it, made, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a change with real ids instead of markers, wherever they stand.
///
/// # Errors
/// What comes of it is no change.
pub(crate) fn with_ids(
    change: &Change,
    ids: &BTreeMap<String, String>,
) -> Result<Change, serde_json::Error> {
    let value = serde_json::to_value(change)?;
    serde_json::from_value(replace_markers(value, ids))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn markers_are_found_wherever_they_stand_and_nothing_else_is_touched() {
        let ids = BTreeMap::from([("⟦new:1:a⟧".to_owned(), "ONE".to_owned())]);
        for (text, real) in [
            ("⟦new:1:a⟧", "ONE"),
            ("see ⟦new:1:a⟧, ⟦new:1:a⟧", "see ONE, ONE"),
            ("⟦⟦new:1:a⟧⟧", "⟦ONE⟧"),
            ("⟦new:2:a⟧ ⟦x", "⟦new:2:a⟧ ⟦x"),
            ("⟧⟦", "⟧⟦"),
            ("", ""),
        ] {
            assert_eq!(replace_markers(json!(text), &ids), json!(real));
            let (made, mut found) = (ids.keys().cloned().collect(), BTreeSet::new());
            mentioned(&json!([{ text: text }]), &made, &mut found);
            assert_eq!(found.is_empty(), text == real, "{text}");
        }
        let value = json!({ "⟦new:1:a⟧": ["⟦new:1:a⟧", 1, null] });
        assert_eq!(replace_markers(value, &ids), json!({ "ONE": ["ONE", 1, null] }));
    }
}

//! Provisional ids and the real ids that replace them, wherever a script has put them: in bodies,
//! texts and member names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::change::edit::Change;

/// A piece of a text.
enum Piece<'a> {
    Plain(&'a str),
    /// Text in brackets, brackets included: perhaps a provisional id.
    Bracketed(&'a str),
}

/// Splits a text at possible provisional ids, in one pass.
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
        // Only the innermost pair can be an id: brackets before it are plain text.
        let inner = bracketed.rfind('⟦').unwrap_or(0);
        let (plain, bracketed) = bracketed.split_at(inner);
        pieces.extend([Piece::Plain(plain), Piece::Bracketed(bracketed)]);
        rest = after;
    }
    pieces.push(Piece::Plain(rest));
    pieces
}

/// Replaces provisional ids by real ones in every text of a value, member names included.
pub(crate) fn replace_markers(value: Value, ids: &BTreeMap<String, String>) -> Value {
    let text = |text: String| {
        // Nearly all texts hold no id, and are passed on without a copy.
        if !text.contains('⟦') {
            return text;
        }
        let real = |piece: Piece<'_>| match piece {
            Piece::Plain(text) => text.to_owned(),
            Piece::Bracketed(text) => ids.get(text).cloned().unwrap_or_else(|| text.to_owned()),
        };
        pieces(&text).into_iter().map(real).collect()
    };
    match value {
        Value::String(plain) => Value::String(text(plain)),
        Value::Array(items) => {
            items.into_iter().map(|item| replace_markers(item, ids)).collect::<Vec<_>>().into()
        }
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(key, value)| (text(key), replace_markers(value, ids))).collect(),
        ),
        other => other,
    }
}

/// Collects the run's own provisional ids that a value mentions anywhere.
pub(crate) fn mentioned(value: &Value, made: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    let mut text = |text: &str| {
        for piece in pieces(text) {
            if let Piece::Bracketed(id) = piece
                && made.contains(id)
            {
                found.insert(id.to_owned());
            }
        }
    };
    match value {
        Value::String(plain) => text(plain),
        Value::Array(items) => items.iter().for_each(|item| mentioned(item, made, found)),
        Value::Object(map) => {
            map.keys().for_each(|key| text(key));
            map.values().for_each(|item| mentioned(item, made, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a change with real ids in place of provisional ones, wherever they stand.
///
/// # Errors
/// The result is not a valid change.
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

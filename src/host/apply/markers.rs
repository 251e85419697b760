//! Markers of entities that did not exist yet, and the ids they became.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Replaces markers by ids in every text of a value, member names included.
pub(crate) fn replace_markers(value: Value, ids: &BTreeMap<String, String>) -> Value {
    let text = |text: String| {
        if !text.contains("⟦new:") {
            return text;
        }
        ids.iter().fold(text, |text, (marker, id)| text.replace(marker, id))
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

/// Finds a provisional id of the run's own that nothing has replaced. A text that merely looks
/// like one is left alone.
pub(crate) fn find_marker(value: &Value, pending: &BTreeSet<String>) -> Option<String> {
    let in_text = |text: &str| {
        let looks = text.contains("⟦new:");
        pending.iter().find(|marker| looks && text.contains(marker.as_str())).cloned()
    };
    match value {
        Value::String(text) => in_text(text),
        Value::Array(items) => items.iter().find_map(|it| find_marker(it, pending)),
        Value::Object(map) => {
            map.iter().find_map(|(key, it)| in_text(key).or_else(|| find_marker(it, pending)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

//! Markers of entities that did not exist yet, and the ids they became.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::change::Change;

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

/// Returns the provisional ids of the run's own that a value mentions anywhere.
pub(crate) fn mentioned(value: &Value, made: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, made, &mut found);
    found
}

fn collect(value: &Value, made: &BTreeSet<String>, found: &mut BTreeSet<String>) {
    fn text(text: &str, made: &BTreeSet<String>, found: &mut BTreeSet<String>) {
        for rest in text.split('⟦').skip(1) {
            let marker = rest.split_once('⟧').map(|(inner, _)| format!("⟦{inner}⟧"));
            found.extend(marker.filter(|it| made.contains(it)));
        }
    }
    match value {
        Value::String(it) => text(it, made, found),
        Value::Array(items) => items.iter().for_each(|it| collect(it, made, found)),
        Value::Object(map) => {
            for (key, it) in map {
                text(key, made, found);
                collect(it, made, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns a change with real ids instead of markers, wherever they stand; `None` if there is
/// none that can be written so.
pub(crate) fn with_ids(change: &Change, ids: &BTreeMap<String, String>) -> Option<Change> {
    let value = serde_json::to_value(change).ok()?;
    serde_json::from_value(replace_markers(value, ids)).ok()
}

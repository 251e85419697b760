//! Markers of entities that did not exist yet, and the ids they became.

use std::collections::BTreeMap;

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

/// Finds an id member that is still a marker. A text that merely looks like one is left alone.
pub(crate) fn find_marker(value: &Value) -> Option<String> {
    let map = value.as_object()?;
    ["planId", "bucketId"].iter().find_map(|name| {
        let text = map.get(*name)?.as_str()?;
        text.contains("⟦new:").then(|| text.to_owned())
    })
}

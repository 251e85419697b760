//! JSON objects as the documents of entities, since `json!` only makes values.

use serde_json::{Map, Value};

/// Returns the members of an object; none for any other value.
pub(crate) fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

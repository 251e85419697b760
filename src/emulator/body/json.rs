//! JSON objects, as documents of entities.

use serde_json::{Map, Value};

pub(crate) fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

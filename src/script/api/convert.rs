//! Conversion of a script's values into plain data, so that nothing of the engine leaves its
//! thread.

use rhai::Dynamic;
use serde_json::{Number, Value};

use crate::script::api::date::{Date, Days};
use crate::script::api::handles::{Bucket, ChecklistItem, Group, Plan, Task, User};

const MAX_DEPTH: usize = 32;

/// The most data that a script can return, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// Turns a script's value into data. Handles become their ids, dates their text.
///
/// # Errors
/// Returns the path and the reason if something in it is not data: a function, a number that is not
/// finite.
pub(crate) fn to_json(value: &Dynamic) -> Result<Value, String> {
    convert(value, "the result", 0, &mut 0)
}

fn convert(value: &Dynamic, path: &str, depth: usize, size: &mut usize) -> Result<Value, String> {
    // Values can be shared, so that little memory unfolds into much data.
    *size += 8 + value.as_immutable_string_ref().map_or(0, |text| text.len());
    if *size > MAX_SIZE {
        return Err(format!("the result is larger than {} KiB", MAX_SIZE >> 10));
    }
    if depth > MAX_DEPTH {
        return Err(format!("{path} is nested deeper than {MAX_DEPTH} levels"));
    }
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = value.as_int() {
        return Ok(number.into());
    }
    if let Ok(number) = value.as_float() {
        return Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("{path} is not a finite number"));
    }
    if let Ok(ch) = value.as_char() {
        return Ok(Value::String(ch.to_string()));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::String(text.to_string()));
    }
    if let Ok(items) = value.as_array_ref() {
        let items = items.iter().enumerate();
        return items
            .map(|(at, item)| convert(item, &format!("{path}[{at}]"), depth + 1, size))
            .collect::<Result<Vec<_>, _>>()
            .map(Value::Array);
    }
    if let Ok(map) = value.as_map_ref() {
        return map
            .iter()
            .map(|(key, item)| {
                convert(item, &format!("{path}.{key}"), depth + 1, size)
                    .map(|data| (key.to_string(), data))
            })
            .collect::<Result<serde_json::Map<_, _>, _>>()
            .map(Value::Object);
    }
    let text = value
        .read_lock::<Task>()
        .map(|task| task.id.to_string())
        .or_else(|| value.read_lock::<Bucket>().map(|bucket| bucket.id.to_string()))
        .or_else(|| value.read_lock::<Plan>().map(|plan| plan.id.to_string()))
        .or_else(|| value.read_lock::<User>().map(|user| user.id.to_string()))
        .or_else(|| value.read_lock::<Date>().map(|date| date.to_string()))
        .or_else(|| value.read_lock::<ChecklistItem>().map(|item| item.key.clone()))
        .or_else(|| value.read_lock::<Group>().map(|group| group.group.id.to_string()));
    if let Some(days) = value.read_lock::<Days>() {
        return Ok(days.0.into());
    }
    text.map(Value::String).ok_or_else(|| match value.type_name() {
        "Fn" => format!("{path} is a function, not data"),
        _ => format!("{path} is not data"),
    })
}

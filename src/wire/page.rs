//! One page of a list.

use serde_json::Value;

use crate::wire::{DecodeError, Decoded};

/// A page and where the next one is (planner-api.md 8.2).
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The address of the next page, to be used verbatim, but only at the origin asked.
    pub next: Option<String>,
}

impl<T: Decoded> Page<T> {
    /// Decodes a list answer. Objects of another kind (roles among groups) are left out.
    ///
    /// # Errors
    /// The answer has no `value` list, or an item lacks what it must have.
    pub fn decode(mut value: Value) -> Result<Self, DecodeError> {
        let next = value.get("@odata.nextLink").and_then(Value::as_str).map(str::to_owned);
        let list = value.get_mut("value").map(Value::take).unwrap_or_default();
        let values: Vec<Value> = serde_json::from_value(list)?;
        let mut items = Vec::with_capacity(values.len());
        for value in values {
            match T::decode(value) {
                Ok(item) => items.push(item),
                Err(DecodeError::OtherKind) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { items, next })
    }
}

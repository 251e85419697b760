//! Canonical JSON, and digests of it: equal values must have equal hashes.
//!
//! Keys are sorted by their bytes, there is no white space, and only what must be escaped is
//! escaped; `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)` of
//! Python writes the same. Programs write fractions in different ways, so a number that is not
//! whole becomes text.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Returns a value in its canonical form.
pub(crate) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Returns the digest of a text, `sha256:…`.
pub(crate) fn digest(text: &str) -> String {
    format!("sha256:{:x}", Sha256::digest(text.as_bytes()))
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) if number.is_f64() => quote(&number.to_string(), out),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, item)) in entries.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(key, out);
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    // A string can always be written as JSON.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_at_every_level() {
        let value = json!({ "b": [{ "z": 1, "a": null }], "a": "ä\n\u{7f}", "B": 1.5 });
        let wanted = "{\"B\":\"1.5\",\"a\":\"ä\\n\u{7f}\",\"b\":[{\"a\":null,\"z\":1}]}";
        assert_eq!(canonical(&value), wanted);
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let text = "\u{1}\u{8}\u{c}\u{1f}\"\\/\u{7f}\u{2028}😀";
        // The output of Python's json.dumps with ensure_ascii=False.
        let wanted = "\"\\u0001\\b\\f\\u001f\\\"\\\\/\u{7f}\u{2028}😀\"";
        assert_eq!(canonical(&json!(text)), wanted);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_is_stable(value in any_json()) {
            let text = canonical(&value);
            let again: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical(&again), text);
        }
    }
}

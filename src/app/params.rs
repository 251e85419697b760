//! Parameters of a run, as the journal keeps them.

pub(crate) mod arguments;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The most bytes of a parameter that are kept in the journal as they are.
const MAX_KEPT: usize = 4 << 10;

/// Returns parameters as they are kept: large ones as their size and digest.
pub(crate) fn kept(params: &Map<String, Value>) -> Map<String, Value> {
    let short = |value: &Value| match value {
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            if text.len() <= MAX_KEPT {
                return value.clone();
            }
            let digest = format!("sha256:{:x}", Sha256::digest(text.as_bytes()));
            json!({ "bytes": text.len(), "digest": digest })
        }
        other => other.clone(),
    };
    params.iter().map(|(name, value)| (name.clone(), short(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_data_is_kept_as_its_digest() {
        let params = json!({ "rows": ["x".repeat(5_000)], "few": [1], "text": "y".repeat(5_000) });
        let kept = Value::Object(kept(params.as_object().unwrap()));
        assert_eq!(kept["rows"]["bytes"], 5_004);
        assert!(kept["rows"]["digest"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!((&kept["few"], &kept["text"]), (&params["few"], &params["text"]));
    }
}

//! The JSON of answers, decoded straight into types.
//!
//! A service may answer anything, and as a tree of values seven bytes of JSON take a few hundred
//! bytes of memory. So an answer stays text until its type decodes it: parts that the type skips
//! cost nothing, and parts that it keeps are counted while they are read.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The most members of a map in an entity: many times what Planner allows anywhere.
pub(crate) const MAX_MEMBERS: usize = 1000;
/// The weight of a member or an element, in bytes: about the memory it takes once decoded, in
/// addition to its text.
const MEMBER: usize = 32;

/// An answer that is JSON, not decoded yet.
#[derive(Debug, Clone)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Checks that a text is JSON.
    ///
    /// # Errors
    /// It is not.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Returns the approximate number of bytes it takes once decoded, into whatever type.
    #[must_use]
    pub fn weight(&self) -> usize {
        let (mut in_string, mut escaped, mut parts) = (false, false, 1);
        for byte in self.as_str().bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = in_string,
                b'"' => in_string = !in_string,
                // Each of these begins a member or an element; those inside of texts are text.
                b',' | b':' if !in_string => parts += 1,
                _ => {}
            }
        }
        self.as_str().len() + parts * MEMBER
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self(raw.to_owned())
    }
}

/// Returns the content of a value that is a text.
pub(crate) fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// The elements of an array of at most `MAX`, each still to be decoded.
pub(crate) struct Items<'a, const MAX: usize>(pub(crate) Vec<&'a RawValue>);

impl<'de: 'a, 'a, const MAX: usize> Deserialize<'de> for Items<'a, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<const MAX: usize>;

        impl<'de, const MAX: usize> Visitor<'de> for Elements<MAX> {
            type Value = Vec<&'de RawValue>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an array of at most {MAX} elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    // Counted while it is read, since the array may be larger than the memory.
                    if items.len() == MAX {
                        return Err(A::Error::custom(format_args!("more than {MAX} elements")));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }

        deserializer.deserialize_seq(Elements::<MAX>).map(Self)
    }
}

/// The members of an object with arbitrary names, each value still to be decoded.
#[derive(Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object of at most {MAX_MEMBERS} members")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == MAX_MEMBERS {
                        let message = format_args!("more than {MAX_MEMBERS} members");
                        return Err(A::Error::custom(message));
                    }
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Entries).map(Self)
    }
}

/// The headers of an answer in a batch that are of use.
#[derive(Default)]
pub(crate) struct Headers {
    pub(crate) retry_after: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) challenge: Option<String>,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lines;

        impl<'de> Visitor<'de> for Lines {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Headers::default();
                while let Some(name) = map.next_key::<String>()? {
                    let slot = match name.to_ascii_lowercase().as_str() {
                        "retry-after" => &mut headers.retry_after,
                        "request-id" => &mut headers.request_id,
                        "www-authenticate" => &mut headers.challenge,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    // The seconds of `Retry-After` come as text or as a number.
                    let value: &RawValue = map.next_value()?;
                    slot.get_or_insert_with(|| {
                        text(value).unwrap_or_else(|| value.get().to_owned())
                    });
                }
                Ok(headers)
            }
        }

        deserializer.deserialize_map(Lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_outside_of_texts() {
        let weight = |text: &str| Json::parse(text.to_owned()).unwrap().weight() - text.len();
        assert_eq!(weight("3"), MEMBER);
        assert_eq!(weight(r#"{"a":[1,2,{"b":"c"}]}"#), 5 * MEMBER);
        assert_eq!(weight(r#"",:\",:\\""#), MEMBER);
        assert_eq!(weight(r#"["\\",0]"#), 2 * MEMBER);
    }

    #[test]
    fn a_map_or_list_is_cut_off_while_it_is_read() {
        let list = |n| format!("[{}]", vec!["0"; n].join(","));
        let items =
            |n| serde_json::from_str::<Items<'_, 3>>(&list(n)).map(|items| items.0.len()).ok();
        assert_eq!((items(3), items(4)), (Some(3), None));
        let map = |n| {
            let members: Vec<_> = (0..n).map(|n| format!("\"{n}\":null")).collect();
            let text = format!("{{{}}}", members.join(","));
            serde_json::from_str::<Members<'_>>(&text).map(|members| members.0.len()).ok()
        };
        assert_eq!((map(MAX_MEMBERS), map(MAX_MEMBERS + 1)), (Some(MAX_MEMBERS), None));
    }

    /// Nothing recurses into what is passed over.
    #[test]
    fn no_nesting_is_too_deep_to_be_passed_over() {
        let depth = 1 << 20;
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let json = Json::parse(text).unwrap();
        assert_eq!(serde_json::from_str::<Items<'_, 1>>(json.as_str()).unwrap().0.len(), 1);
    }
}

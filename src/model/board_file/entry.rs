//! The single values of a board file: read leniently in form, strictly in meaning, since people
//! write them by hand.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::category::Category;
use crate::model::progress::{Completion, Priority, Progress};

/// An item of a checklist: its text, or a map with more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemEntry {
    /// The text, which also identifies the item.
    pub title: String,
    /// The state to set; left alone if absent.
    pub checked: Option<bool>,
}

/// A link: its address, or a map with more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkEntry {
    /// The address, which also identifies the link.
    pub url: String,
    /// The text to show for it; left alone if absent.
    pub alias: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemMap {
    title: String,
    checked: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkMap {
    url: String,
    alias: Option<String>,
}

/// A visitor that reads a text, or a map with more members than a text can express.
struct TextOr<T, M> {
    expected: &'static str,
    of_text: fn(String) -> T,
    of_map: fn(M) -> T,
}

impl<'de, T, M: Deserialize<'de>> Visitor<'de> for TextOr<T, M> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.of_text)(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(self.of_map)
    }
}

impl<'de> Deserialize<'de> for ItemEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOr {
            expected: "the text of a checklist item in quotes, or `title` and `checked`",
            of_text: |title| Self { title, checked: None },
            of_map: |ItemMap { title, checked }| Self { title, checked },
        })
    }
}

impl<'de> Deserialize<'de> for LinkEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TextOr {
            expected: "an address, or `url` and `alias`",
            of_text: |url| Self { url, alias: None },
            of_map: |LinkMap { url, alias }| Self { url, alias },
        })
    }
}

impl Serialize for ItemEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some(checked) = self.checked else { return to.serialize_str(&self.title) };
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("title", &self.title)?;
        map.serialize_entry("checked", &checked)?;
        map.end()
    }
}

impl Serialize for LinkEntry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some(alias) = &self.alias else { return to.serialize_str(&self.url) };
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("url", &self.url)?;
        map.serialize_entry("alias", alias)?;
        map.end()
    }
}

/// Reads an empty value (`~`, or nothing after the colon) as the default.
pub(crate) fn or_empty<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Reads the same for a field whose presence has a meaning of its own.
pub(crate) fn given<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    or_empty(from).map(Some)
}

/// Reads a date, or an empty value for none.
pub(crate) fn day<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<Date>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(Some(None)) };
    // The parser also takes `20261224`, or a date with a time.
    let day = text.parse().ok().filter(|_| text.len() == "2026-12-24".len());
    let wrong =
        || D::Error::custom(format!("`{text}` is not a date like 2026-12-24, or ~ for none"));
    day.ok_or_else(wrong).map(|day| Some(Some(day)))
}

/// Reads the name of a progress, or a percentage.
pub(crate) fn progress<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Completion>, D::Error> {
    struct Percent;
    impl Visitor<'_> for Percent {
        type Value = u8;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a progress: {}, or 0 to 100", Progress::NAMES.join(", "))
        }

        fn visit_u64<E: Error>(self, percent: u64) -> Result<u8, E> {
            let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
            percent.ok_or_else(|| E::custom("a progress is 0 to 100"))
        }

        fn visit_i64<E: Error>(self, percent: i64) -> Result<u8, E> {
            self.visit_u64(u64::try_from(percent).unwrap_or(u64::MAX))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u8, E> {
            let names = Progress::NAMES.join(", ");
            let wrong = || {
                E::custom(format!(
                    "`{text}` is not a progress value; it is one of {names}, or 0 to 100"
                ))
            };
            Progress::read_percent(text).ok_or_else(wrong)
        }
    }
    from.deserialize_any(Percent).map(Completion::of_percent).map(Some)
}

/// Reads the name of a priority, or its number.
pub(crate) fn priority<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Priority>, D::Error> {
    struct Level;
    impl Visitor<'_> for Level {
        type Value = Priority;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a priority: {}, or 0 to 10", Priority::NAMES.join(", "))
        }

        fn visit_u64<E: Error>(self, level: u64) -> Result<Priority, E> {
            let level = u8::try_from(level).ok().and_then(Priority::new);
            level.ok_or_else(|| E::custom("a priority is 0 to 10"))
        }

        fn visit_i64<E: Error>(self, level: i64) -> Result<Priority, E> {
            self.visit_u64(u64::try_from(level).unwrap_or(u64::MAX))
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<Priority, E> {
            let names = Priority::NAMES.join(", ");
            let wrong = || {
                E::custom(format!("`{name}` is not a priority; it is one of {names}, or 0 to 10"))
            };
            Priority::parse(name).ok_or_else(wrong)
        }
    }
    from.deserialize_any(Level).map(Some)
}

/// Reads the names of labels, by slot as Graph calls them.
pub(crate) fn labels<'de, D>(from: D) -> Result<BTreeMap<Category, String>, D::Error>
where
    D: Deserializer<'de>,
{
    let label = |(slot, name): (String, Option<String>)| {
        let wrong = || {
            let message = format!("`{slot}` is not a label; labels are category1 to category25");
            D::Error::custom(message)
        };
        Ok((Category::parse(&slot).ok_or_else(wrong)?, name.unwrap_or_default()))
    };
    or_empty::<BTreeMap<_, _>, D>(from)?.into_iter().map(label).collect()
}

pub(crate) fn write_labels<S: Serializer>(
    labels: &BTreeMap<Category, String>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(labels.iter().map(|(slot, name)| (slot.to_string(), name)))
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(crate) fn write_progress<S: Serializer>(
    progress: &Option<Completion>,
    to: S,
) -> Result<S::Ok, S::Error> {
    let Some(completion) = progress else { return to.serialize_none() };
    match completion.state() {
        Some(state) => state.name().serialize(to),
        None => completion.percent().serialize(to),
    }
}

/// Writes the name of a priority, or its number where the name stands for another level.
#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
pub(crate) fn write_priority<S: Serializer>(
    priority: &Option<Priority>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match priority {
        Some(known) if Priority::parse(known.name()) == Some(*known) => known.name().serialize(to),
        other => other.serialize(to),
    }
}

//! The audit log: a chain of records, each with the hash of the one before.
//!
//! A record is one line of canonical JSON. Its `hash` is over that line without `hash`; its `prev`
//! is the hash of the record before. So none can be changed, left out, added or moved without a
//! visible break; a missing end is found by the anchor.

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::Value;

use crate::journal::anchor::Anchor;
use crate::journal::canonical::{canonical, digest};
use crate::journal::error::Fault;
use crate::journal::row::Core;

/// The fields of a record that depend on its place in the log.
const PLACE: [&str; 4] = ["seq", "prev", "hash", "anchor"];

/// Returns the text of the record that follows `last`, and its place.
///
/// `anchor_lost` is true if nothing vouches for the end of the log before it.
pub(crate) fn sealed(mut core: Core, last: &Anchor, anchor_lost: bool) -> (String, Anchor) {
    let seq = last.seq + 1;
    core.insert("seq".into(), seq.into());
    core.insert("prev".into(), last.hash.clone().into());
    if anchor_lost {
        core.insert("anchor".into(), "missing".into());
    }
    let mut record = Value::Object(core);
    let hash = digest(&canonical(&record));
    record["hash"] = hash.clone().into();
    (canonical(&record), Anchor { seq, hash })
}

/// A record that is consistent in itself.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) place: Anchor,
    pub(crate) prev: String,
    /// True if nothing vouches for the end of the log before it.
    pub(crate) anchor_lost: bool,
    /// The record without its place.
    pub(crate) core: Core,
}

/// Reads a record; the error completes "record n …".
pub(crate) fn read(line: &[u8]) -> Result<Link, String> {
    let text = std::str::from_utf8(line).map_err(|_| "is not text")?;
    let value: Value = serde_json::from_str(text).map_err(|_| "is not JSON")?;
    // The hash is over the canonical form: in any other form, an edit of white space would pass.
    if canonical(&value) != text {
        return Err("is not in canonical form".into());
    }
    let Value::Object(mut core) = value else { return Err("is not a record".into()) };
    let claimed = core.shift_remove("hash");
    let hash = digest(&canonical(&Value::Object(core.clone())));
    if claimed != Some(Value::from(hash.clone())) {
        return Err("was changed: its hash does not match".into());
    }
    let seq = core.get("seq").and_then(Value::as_i64).ok_or("has no number")?;
    let prev = core.get("prev").and_then(Value::as_str).ok_or("has no `prev`")?.to_owned();
    let anchor_lost = core.contains_key("anchor");
    core.retain(|key, _| !PLACE.contains(&key.as_str()));
    Ok(Link { place: Anchor { seq, hash }, prev, anchor_lost, core })
}

/// A chain that is followed record by record.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// The number of the last record; its hash is `None` if the record could not be read.
    seq: i64,
    hash: Option<String>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let start = Anchor::start();
        Self { seq: start.seq, hash: Some(start.hash) }
    }

    /// Returns the number of the last record.
    pub(crate) const fn seq(&self) -> i64 {
        self.seq
    }

    /// Returns the hash of the last record, if it is known.
    pub(crate) fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    /// Follows the chain to the next record; adds what is wrong with it or before it to `problems`.
    pub(crate) fn follow(
        &mut self,
        line: &[u8],
        problems: &mut Vec<(i64, String)>,
    ) -> Option<Link> {
        let wanted = self.seq + 1;
        let link = match read(line) {
            Ok(link) => link,
            Err(what) => {
                problems.push((wanted, format!("record {wanted} {what}")));
                (self.seq, self.hash) = (wanted, None);
                return None;
            }
        };
        let seq = link.place.seq;
        if seq != wanted {
            let what = if seq > wanted {
                format!("record {wanted} is missing: record {seq} is in its place")
            } else {
                format!("record {seq} is in the place of record {wanted}")
            };
            problems.push((wanted, what));
        } else if self.hash.as_ref().is_some_and(|hash| *hash != link.prev) {
            let before = seq - 1;
            problems
                .push((seq, format!("record {seq} does not follow record {before} as it is now")));
        }
        // The chain continues from the record as found, so that one break is reported once.
        (self.seq, self.hash) = (seq, Some(link.place.hash.clone()));
        Some(link)
    }
}

/// Returns the last record's place.
pub(crate) fn last(on: &Connection) -> Result<Anchor, Fault> {
    let sql = "SELECT seq, record FROM audit ORDER BY seq DESC LIMIT 1";
    let row = on.prepare_cached(sql)?.query_row([], row_of).optional()?;
    row.map_or_else(|| Ok(Anchor::start()), |(seq, record)| place(seq, &record))
}

/// Returns the place of the record with a number, if there is one.
pub(crate) fn place_of(on: &Connection, seq: i64) -> Result<Option<Anchor>, Fault> {
    let sql = "SELECT seq, record FROM audit WHERE seq = ?1";
    let row = on.prepare_cached(sql)?.query_row([seq], row_of).optional()?;
    row.map(|(seq, record)| place(seq, &record)).transpose()
}

/// Reads the columns `seq` and `record`; the text may be damaged, so it is taken as bytes.
pub(crate) fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, Vec<u8>)> {
    let record = match row.get_ref(1)? {
        rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
            bytes.to_vec()
        }
        _ => Vec::new(),
    };
    Ok((row.get(0)?, record))
}

fn place(seq: i64, record: &[u8]) -> Result<Anchor, Fault> {
    match read(record) {
        Ok(link) if link.place.seq == seq => Ok(link.place),
        Ok(link) => Err(Fault::Damaged(format!(
            "record {seq} of the audit log says it is {}",
            link.place.seq
        ))),
        Err(what) => Err(Fault::Damaged(format!("record {seq} of the audit log {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(n: usize) -> Vec<String> {
        let mut last = Anchor::start();
        let mut lines = Vec::new();
        for at in 0..n {
            let Value::Object(core) = json!({ "kind": "config", "z": at, "a": "ä" }) else {
                continue;
            };
            let (line, place) = sealed(core, &last, false);
            lines.push(line);
            last = place;
        }
        lines
    }

    fn problems<'a>(lines: impl IntoIterator<Item = &'a String>) -> Vec<i64> {
        let (mut chain, mut problems) = (Chain::new(), Vec::new());
        for line in lines {
            chain.follow(line.as_bytes(), &mut problems);
        }
        problems.into_iter().map(|(seq, _)| seq).collect()
    }

    #[test]
    fn what_is_wrong_is_found_at_its_place() {
        let lines = log(5);
        assert!(problems(&lines).is_empty());

        let missing: Vec<_> = lines.iter().filter(|line| !line.contains("\"seq\":3,")).collect();
        assert_eq!(problems(missing), [3]);

        let mut edited = lines.clone();
        edited[2] = edited[2].replace("config", "confit");
        assert_eq!(problems(&edited), [3]);

        let mut swapped = lines.clone();
        swapped.swap(1, 2);
        assert_eq!(problems(&swapped).first(), Some(&2));

        let mut twice = lines.clone();
        twice.insert(3, twice[2].clone());
        assert_eq!(problems(&twice).first(), Some(&4));

        // Sealed again by someone who knows how: only the next record gives it away.
        let mut forged = lines;
        let link = read(forged[2].as_bytes()).unwrap();
        let mut core = link.core;
        core.insert("kind".into(), "other".into());
        let before = Anchor { seq: 2, hash: link.prev };
        forged[2] = sealed(core, &before, false).0;
        assert_eq!(problems(&forged), [4]);
    }

    #[test]
    fn one_form_only() {
        let line = log(1).remove(0);
        for other in [
            line.replace("\":", "\": "),
            line.replace('ä', "\\u00e4"),
            format!("{line} "),
            line.replacen("{\"a\":\"ä\"", "{\"a\":\"b\",\"a\":\"ä\"", 1),
        ] {
            assert_ne!(other, line);
            assert!(read(other.as_bytes()).is_err(), "{other}");
        }
    }
}

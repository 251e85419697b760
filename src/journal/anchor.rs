//! The high-water mark of the audit log, outside the database.
//!
//! A chain of hashes does not show that its end was cut off. So a small file beside the journal
//! records the length of the log. It is replaced after every commit, never before: it may be behind
//! the log, for a moment or after a crash, but never ahead of it.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::files;
use crate::journal::canonical::canonical;

/// The `prev` of the first record.
pub(crate) const START: &str =
    "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// Largest file that is read as an anchor, in bytes.
const MAX_ANCHOR: u64 = 4096;

/// A place in the audit log: the number of a record, and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The number of the record; 0 before the first.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl Anchor {
    /// Returns the place before the first record.
    #[must_use]
    pub fn start() -> Self {
        Self { seq: 0, hash: START.to_owned() }
    }

    /// Parses the text of an anchor file; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let anchor = Self::from_json(&value)?;
        (anchor.to_text() == text.trim_end_matches('\n')).then_some(anchor)
    }

    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let map = value.as_object().filter(|map| map.len() == 2)?;
        let seq = map.get("seq")?.as_i64().filter(|seq| *seq >= 0)?;
        let hash = map.get("hash")?.as_str().filter(|hash| hash.starts_with("sha256:"))?;
        Some(Self { seq, hash: hash.to_owned() })
    }

    pub(crate) fn to_value(&self) -> Value {
        json!({ "hash": self.hash, "seq": self.seq })
    }

    /// Returns the text of an anchor file, without the line end.
    #[must_use]
    pub fn to_text(&self) -> String {
        canonical(&self.to_value())
    }
}

/// The content of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    Missing,
    Unreadable,
    At(Anchor),
}

/// The file of an anchor.
#[derive(Debug)]
pub(crate) struct AnchorFile {
    path: PathBuf,
}

impl AnchorFile {
    /// Returns the anchor file of the journal at `journal`.
    pub(crate) fn beside(journal: &Path) -> Self {
        Self { path: journal.with_file_name("audit.anchor") }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read(&self) -> Reading {
        let text = files::open_own(&self.path)
            .and_then(|file| files::read_from(file, &self.path, MAX_ANCHOR));
        match text {
            Ok(text) => Anchor::parse(&text).map_or(Reading::Unreadable, Reading::At),
            Err(files::Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Reading::Missing
            }
            Err(_) => Reading::Unreadable,
        }
    }

    /// Advances the mark, unless it is already there or further.
    pub(crate) fn advance(&self, to: &Anchor) -> io::Result<()> {
        // One at a time, or an older mark could replace a newer one.
        let lock = files::open_to_write(&self.path.with_extension("anchor.lock"))?;
        lock.lock()?;
        match self.read() {
            Reading::At(now) if now.seq >= to.seq => return Ok(()),
            Reading::At(_) | Reading::Missing => {}
            // It may be evidence of tampering, so it is not overwritten.
            Reading::Unreadable => return Err(io::ErrorKind::InvalidData.into()),
        }
        let new = self.path.with_extension("anchor.new");
        let mut file = files::open_to_write(&new)?;
        file.set_len(0)?;
        file.write_all(format!("{}\n", to.to_text()).as_bytes())?;
        // Without the sync, a crash after the rename could leave an empty anchor.
        file.sync_all()?;
        drop(file);
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: i64) -> Anchor {
        Anchor { seq, hash: format!("sha256:{seq}") }
    }

    #[test]
    fn the_mark_only_moves_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = AnchorFile::beside(&dir.path().join("journal.db"));
        assert_eq!(file.read(), Reading::Missing);
        for (to, then) in [(5, 5), (3, 5), (6, 6)] {
            file.advance(&at(to)).unwrap();
            assert_eq!(file.read(), Reading::At(at(then)));
        }
        for text in ["", "{}", "{\"hash\":\"x\",\"seq\":1}", "{\"seq\":1,\"hash\":\"sha256:1\"}"] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(file.read(), Reading::Unreadable, "{text}");
            assert!(file.advance(&at(9)).is_err());
        }
    }
}

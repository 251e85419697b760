//! The plans that the names in a configuration have stood for: a small file beside the journal.
//!
//! A configuration names plans by title, and titles change. The plans that a name stood for are
//! kept, so that a plan cannot escape its settings by a new title.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, Access};
use crate::model::PlanId;

/// The plans that one name has stood for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The plans that had the title when it was first seen: only to those may the name grant
    /// access.
    pub granted: BTreeSet<PlanId>,
    /// All plans that have ever had the title when it was resolved: those the name guards.
    pub guarded: BTreeSet<PlanId>,
}

/// The names in the configuration, with the plans of each.
pub type NamedPlans = BTreeMap<String, Named>;

/// Largest file that is read, in bytes.
const MAX_NAMES: u64 = 4 << 20;

/// The file of the names.
#[derive(Debug, Clone)]
pub struct NamesFile {
    path: PathBuf,
}

impl NamesFile {
    /// Returns the file of a state folder, without opening it.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join("plans.json") }
    }

    /// Changes what is kept for the names of `whose`, in one step; returns the result.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else.
    pub fn update(
        &self,
        whose: &str,
        change: impl FnOnce(&mut NamedPlans),
    ) -> io::Result<NamedPlans> {
        if let Some(folder) = self.path.parent() {
            files::make_private(folder)?;
        }
        // One process at a time, or one could overwrite what another has just learned.
        let lock = files::open_to_write(&self.path.with_extension("json.lock"))?;
        lock.lock()?;
        let mut all = self.read()?;
        let mut named = all.get(whose).cloned().unwrap_or_default();
        let before = named.clone();
        change(&mut named);
        if named != before {
            all.insert(whose.to_owned(), named.clone());
            self.write(&all)?;
        }
        Ok(named)
    }

    fn read(&self) -> io::Result<BTreeMap<String, NamedPlans>> {
        let text = files::open_own(&self.path)
            .and_then(|file| files::read_from(file, &self.path, MAX_NAMES));
        match text {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(files::Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(BTreeMap::new())
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn write(&self, all: &BTreeMap<String, NamedPlans>) -> io::Result<()> {
        let text = serde_json::to_string_pretty(all)?;
        files::replace(&self.path, text.as_bytes(), Access::Owner).map_err(io::Error::other)
    }

    /// Returns its path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_learned_is_kept_for_each_apart_and_never_lost() {
        let dir = tempfile::tempdir().unwrap();
        let file = NamesFile::new(&dir.path().join("state"));
        let plan = |id: &str| PlanId::parse(id).unwrap();
        let learn = |whose: &str, name: &str, id: &str| {
            file.update(whose, |named| {
                named.entry(name.to_owned()).or_default().guarded.insert(plan(id));
            })
            .unwrap()
        };
        learn("rook", "Ops", "a");
        learn("mei", "Ops", "b");
        assert_eq!(learn("rook", "Ops", "c")["Ops"].guarded, [plan("a"), plan("c")].into());
        assert_eq!(file.update("mei", |_| ()).unwrap()["Ops"].guarded, [plan("b")].into());
        fs::write(file.path(), "{").unwrap();
        assert!(file.update("rook", |_| ()).is_err());
        std::thread::scope(|scope| {
            fs::remove_file(file.path()).unwrap();
            for n in 0..8 {
                let learn = &learn;
                scope.spawn(move || learn("rook", "Ops", &format!("p{n}")));
            }
        });
        assert_eq!(file.update("rook", |_| ()).unwrap()["Ops"].guarded.len(), 8);
    }
}

//! The version at which each field changed, by which two edits collide or not.
//!
//! planner-api.md 3.4. An edit against an old version is accepted as long as none of the fields it
//! sets has changed since. Fields are paths: `title`, `assignments/<user>/orderHint`. Adding or
//! removing an entry is a change of the entry's own path and so collides with everything below.

use std::collections::BTreeMap;

/// The separator of the steps of a path. Clients choose the keys, which may contain a slash.
const SEPARATOR: char = '\u{1f}';

/// Joins the steps of a field's path.
pub(crate) fn path(steps: &[&str]) -> String {
    steps.join(&SEPARATOR.to_string())
}

/// Returns the property with which a path begins.
pub(crate) fn root(path: &str) -> &str {
    path.split(SEPARATOR).next().unwrap_or(path)
}

/// The version at which each field of one object last changed.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Changes(BTreeMap<String, u64>);

impl Changes {
    /// Returns whether setting a field would overwrite a change made after a version.
    ///
    /// That is also the case when the new value equals the present one: two clients that both
    /// raise a count from 3 to 4 do not agree, and one increment would be lost.
    pub(crate) fn collides(&self, path: &str, since: u64) -> bool {
        // Below as well as above: deleting an entry discards a newer change inside it, and a change
        // inside an entry revives one that was deleted.
        let newer = |at: &str| self.0.get(at).is_some_and(|version| *version > since);
        let above = path.match_indices(SEPARATOR).filter_map(|(at, _)| path.get(..at));
        let below = format!("{path}{SEPARATOR}");
        newer(path)
            || above.into_iter().any(newer)
            || self
                .0
                .range(below.clone()..)
                .take_while(|(at, _)| at.starts_with(&below))
                .any(|(_, version)| *version > since)
    }

    /// Records that a field changed.
    pub(crate) fn record(&mut self, path: &str, version: u64) {
        // The last version is enough: every older tag collides with it.
        self.0.insert(path.to_owned(), version);
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, path};

    #[test]
    fn a_change_collides_with_itself_with_what_is_above_and_with_what_is_below() {
        let mut changes = Changes::default();
        changes.record("title", 8);
        changes.record(&path(&["checklist", "a", "isChecked"]), 12);
        changes.record(&path(&["checklist", "b"]), 16);
        let cases: [(&[&str], u64, bool); 11] = [
            (&["title"], 4, true),
            (&["title"], 8, false),
            (&["priority"], 4, false),
            (&["checklist", "a"], 8, true),
            (&["checklist", "a"], 12, false),
            (&["checklist", "a", "isChecked"], 8, true),
            (&["checklist", "a", "title"], 4, false),
            (&["checklist", "b", "title"], 12, true),
            (&["checklist", "b", "title"], 16, false),
            (&["checklist", "c"], 4, false),
            (&["check"], 4, false),
        ];
        for (steps, since, expected) in cases {
            assert_eq!(changes.collides(&path(steps), since), expected, "{steps:?} since {since}");
        }
    }
}

//! A workspace: skills, policies, libraries and configuration, read whole into memory.
//!
//! The skills, policies and libraries inside the program are in every workspace (design.md 4); a file
//! of the same name takes the place of one. What comes from inside the program imports only what comes
//! from there, so that a library of one's own can break none of it.

pub mod automation;
pub mod config;
pub mod manifest;
pub mod ownership;
pub(super) mod scan;
pub(super) mod shipped;
pub mod tables;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::failure::Place;
use crate::model::in_words;
use crate::script::source::MAX_SOURCE;
use crate::script::workspace::config::Config;
use crate::script::workspace::scan::{read_text, walk};

/// The file that marks a folder as a workspace.
pub const CONFIG_FILE: &str = "planwright.toml";

/// Scripts by kind and name, with their configuration.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder; `None` for the one inside the program.
    pub root: Option<PathBuf>,
    /// Its configuration.
    pub config: Config,
    /// Skills by name.
    pub skills: BTreeMap<String, String>,
    /// Policies by name.
    pub policies: BTreeMap<String, String>,
    /// Files of tests by name.
    pub tests: BTreeMap<String, String>,
    /// Libraries by import path.
    pub libraries: Arc<BTreeMap<String, String>>,
    /// The libraries inside the program, by import path.
    shipped_libraries: Arc<BTreeMap<String, String>>,
    /// The scripts that come from inside the program, as `skills/triage.rhai`.
    shipped: BTreeSet<String>,
}

/// The reasons why a workspace cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// No `planwright.toml` in the folder given.
    #[error("`{}` is not a workspace: it has no {CONFIG_FILE}", .0.display())]
    NotAWorkspace(PathBuf),
    /// A file or folder cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A folder, a pipe or a device is where a file should be.
    #[error(transparent)]
    NotAFile(crate::files::Error),
    /// A script is larger than any should be.
    #[error("`{}` is larger than {MAX_SOURCE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A file is not UTF-8 text.
    #[error("`{}` is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// The configuration is wrong.
    #[error("`{}`: {what}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The fault.
        what: String,
        /// The place, if the fault has one.
        at: Option<Box<Place>>,
    },
    /// A link leads back to a folder that it lies in.
    #[error("`{}` leads in a circle", .0.display())]
    Circle(PathBuf),
    /// There is more than any workspace should have; from here on nothing was read.
    #[error("the workspace has more than {limit} {what}: `{}` and what comes after it is left out", .path.display())]
    TooMuch {
        /// The first entry that was left out.
        path: PathBuf,
        /// The thing counted: "entries".
        what: &'static str,
        /// The most there may be.
        limit: u64,
    },
    /// A link leads out of the workspace.
    #[error("`{}` leads out of the workspace", .0.display())]
    Escapes(PathBuf),
}

impl Workspace {
    /// Returns the workspace inside the program, with its `agent_rules` in force.
    #[must_use]
    pub fn shipped() -> Self {
        // Its tests are its own; all else is in every workspace.
        let tests = shipped::FILES.iter().filter(|(path, _)| path.starts_with("tests/"));
        let texts = tests.map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self::of_texts(None, Config::default(), &texts)
    }

    /// Reads the workspace in a folder.
    ///
    /// # Errors
    /// It has no configuration, or something in it cannot be read.
    pub fn load(root: &Path) -> Result<Self, WorkspaceError> {
        let mut texts = BTreeMap::new();
        for (name, found) in walk(root, &mut |_, _| ()).files {
            texts.insert(name, read_text(&found?.path)?);
        }
        let Some(config) = texts.get(CONFIG_FILE) else {
            return Err(WorkspaceError::NotAWorkspace(root.to_owned()));
        };
        let config = parse_config(root, config)?;
        Ok(Self::of_texts(Some(root), config, &texts))
    }

    /// Sorts the texts of a workspace by what they are, over what is shipped; they are named as a
    /// walk names them.
    pub(crate) fn of_texts(
        root: Option<&Path>,
        config: Config,
        texts: &BTreeMap<String, String>,
    ) -> Self {
        let of = |folder: &str| -> BTreeMap<String, String> {
            let scripts = texts.iter().filter_map(|(path, text)| {
                let name = path.strip_prefix(folder)?.strip_suffix(".rhai")?;
                Some((name.to_owned(), text.clone()))
            });
            scripts.collect()
        };
        let (mut skills, mut policies, mut libraries) =
            (of("skills/"), of("policies/"), of("lib/"));
        let (mut shipped, mut shipped_libraries) = (BTreeSet::new(), BTreeMap::new());
        for &(path, text) in shipped::FILES {
            let stem = path.strip_suffix(".rhai").unwrap_or(path);
            let Some((folder, name)) = stem.split_once('/') else { continue };
            let scripts = match folder {
                "skills" => &mut skills,
                "policies" => &mut policies,
                "lib" => {
                    shipped_libraries.insert(name.to_owned(), text.to_owned());
                    &mut libraries
                }
                _ => continue,
            };
            if let Entry::Vacant(place) = scripts.entry(name.to_owned()) {
                place.insert(text.to_owned());
                shipped.insert(path.to_owned());
            }
        }
        Self {
            root: root.map(Path::to_owned),
            config,
            skills,
            policies,
            tests: of("tests/"),
            libraries: Arc::new(libraries),
            shipped_libraries: Arc::new(shipped_libraries),
            shipped,
        }
    }

    /// Returns whether a script, as `skills/triage.rhai`, comes from inside the program.
    #[must_use]
    pub fn is_shipped(&self, file: &str) -> bool {
        self.shipped.contains(file)
    }

    /// Returns whether a script is one of the workspace itself: of that inside the program, all are.
    #[must_use]
    pub fn is_own(&self, file: &str) -> bool {
        self.root.is_none() || !self.is_shipped(file)
    }

    /// Returns where a script, as `skills/triage.rhai`, comes from: its path, or `shipped`.
    #[must_use]
    pub fn source_of(&self, file: &str) -> String {
        match &self.root {
            Some(root) if !self.is_shipped(file) => {
                root.join("scripts").join(file).display().to_string()
            }
            _ => "shipped".to_owned(),
        }
    }

    /// Returns the libraries that a script, as `skills/triage.rhai`, can import.
    #[must_use]
    pub fn libraries_of(&self, file: &str) -> &Arc<BTreeMap<String, String>> {
        if self.is_shipped(file) { &self.shipped_libraries } else { &self.libraries }
    }

    /// Finds the nearest folder at or above `start` that is a workspace.
    #[must_use]
    pub fn find(start: &Path) -> Option<PathBuf> {
        // Whatever has the name: one that is no file, or a link to nothing, is an error when it is read, and
        // no reason to do without its policies.
        let has = |folder: &&Path| folder.join(CONFIG_FILE).symlink_metadata().is_ok();
        start.ancestors().find(has).map(Path::to_owned)
    }
}

/// Reads the configuration of the workspace in `root`.
///
/// # Errors
/// It is wrong; the error says where.
pub(crate) fn parse_config(root: &Path, text: &str) -> Result<Config, WorkspaceError> {
    Config::parse(text).map_err(|error| {
        let path = root.join(CONFIG_FILE);
        let at = error.span().and_then(|span| {
            let before = text.get(..span.start)?;
            let begin = before.rfind('\n').map_or(0, |at| at + 1);
            Some(Box::new(Place {
                file: path.display().to_string(),
                line: before.matches('\n').count() + 1,
                column: before.get(begin..)?.chars().count() + 1,
                source: text.get(begin..)?.lines().next().unwrap_or_default().to_owned(),
            }))
        });
        WorkspaceError::Config { path, what: in_words(error.message()), at }
    })
}

/// Reads the text of one script.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read_script(path: &Path) -> Result<String, WorkspaceError> {
    read_text(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_what_is_shipped() {
        let own = [("skills/morning_triage.rhai", "1"), ("lib/pick.rhai", "fn mine() {}")];
        let texts = own.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let texts = BTreeMap::from(texts);
        let workspace = Workspace::of_texts(Some(Path::new("w")), Config::default(), &texts);
        assert_eq!(workspace.skills["morning_triage"], "1");
        assert!(workspace.is_own("skills/morning_triage.rhai"));
        assert!(workspace.is_shipped("policies/agent_rules.rhai"));
        assert_eq!(workspace.tests.len(), 0);
        let shipped = Workspace::shipped();
        assert_eq!(workspace.skills.len(), shipped.skills.len());
        assert!(shipped.tests.contains_key("agent_rules") && shipped.is_own("lib/pick.rhai"));
        // A library of one's own is for what is one's own.
        let pick = |file: &str| workspace.libraries_of(file)["pick"].clone();
        assert_eq!(pick("skills/morning_triage.rhai"), "fn mine() {}");
        assert_eq!(pick("skills/weekly_report.rhai"), shipped.libraries["pick"]);
    }
}

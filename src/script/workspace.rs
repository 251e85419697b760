//! A workspace: skills, policies, libraries and configuration, read whole into memory.

pub mod config;
pub mod manifest;
pub mod ownership;
pub(super) mod scan;
pub(super) mod shipped;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    #[error("`{}` is wrong", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The fault, with the line.
        #[source]
        source: Box<toml::de::Error>,
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
        let texts = shipped::FILES
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
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

    /// Sorts the texts of a workspace by what they are; they are named as a walk names them.
    pub(crate) fn of_texts(
        root: Option<&Path>,
        config: Config,
        texts: &BTreeMap<String, String>,
    ) -> Self {
        let of = |folder: &str| {
            let scripts = texts.iter().filter_map(|(path, text)| {
                let name = path.strip_prefix(folder)?.strip_suffix(".rhai")?;
                Some((name.to_owned(), text.clone()))
            });
            scripts.collect()
        };
        Self {
            root: root.map(Path::to_owned),
            config,
            skills: of("skills/"),
            policies: of("policies/"),
            tests: of("tests/"),
            libraries: Arc::new(of("lib/")),
        }
    }

    /// Finds the nearest folder at or above `start` that is a workspace.
    #[must_use]
    pub fn find(start: &Path) -> Option<PathBuf> {
        start.ancestors().find(|folder| folder.join(CONFIG_FILE).is_file()).map(Path::to_owned)
    }
}

/// Reads the configuration of the workspace in `root`.
///
/// # Errors
/// It is wrong; the error says where.
pub(crate) fn parse_config(root: &Path, text: &str) -> Result<Config, WorkspaceError> {
    Config::parse(text).map_err(|source| WorkspaceError::Config {
        path: root.join(CONFIG_FILE),
        source: Box::new(source),
    })
}

/// Reads the text of one script.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read_script(path: &Path) -> Result<String, WorkspaceError> {
    read_text(path)
}

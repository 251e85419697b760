//! A workspace: skills, policies, libraries and configuration, read whole into memory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::script::config::Config;
use crate::script::engine::MAX_SOURCE;
use crate::script::shipped;

/// The file that marks a folder as a workspace.
pub const CONFIG_FILE: &str = "planwright.toml";

/// Scripts by kind and name, with their configuration.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder; `None` for the one inside the program.
    pub root: Option<PathBuf>,
    /// What it sets.
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

/// Why a workspace can not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// No `planwright.toml` in the folder given.
    #[error("`{}` is not a workspace: it has no {CONFIG_FILE}", .0.display())]
    NotAWorkspace(PathBuf),
    /// A file or folder can not be read.
    #[error("can not read `{}`", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A script is larger than any should be.
    #[error("`{}` is larger than {MAX_SOURCE} bytes", .0.display())]
    TooLarge(PathBuf),
    /// A file is no UTF-8 text.
    #[error("`{}` is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    /// The configuration is wrong.
    #[error("`{}` is wrong", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the line.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A link leads out of the workspace.
    #[error("`{}` leads out of the workspace", .0.display())]
    Escapes(PathBuf),
}

impl Workspace {
    /// Returns the workspace inside the program, with its `agent_rules` in force.
    #[must_use]
    pub fn shipped() -> Self {
        let of = |folder: &str| {
            shipped::FILES
                .iter()
                .filter_map(|(path, text)| {
                    let name = path.strip_prefix(folder)?.strip_suffix(".rhai")?;
                    Some((name.to_owned(), (*text).to_owned()))
                })
                .collect()
        };
        Self {
            root: None,
            config: Config::default(),
            skills: of("skills/"),
            policies: of("policies/"),
            tests: of("tests/"),
            libraries: Arc::new(of("lib/")),
        }
    }

    /// Reads the workspace in a folder.
    ///
    /// # Errors
    /// It has no configuration, or something in it can not be read.
    pub fn load(root: &Path) -> Result<Self, WorkspaceError> {
        let config_path = root.join(CONFIG_FILE);
        if !config_path.is_file() {
            return Err(WorkspaceError::NotAWorkspace(root.to_owned()));
        }
        let config = Config::parse(&read_text(&config_path)?).map_err(|source| {
            WorkspaceError::Config { path: config_path, source: Box::new(source) }
        })?;
        let scripts = root.join("scripts");
        let of = |folder: &str| -> Result<BTreeMap<String, String>, WorkspaceError> {
            let mut found = BTreeMap::new();
            let folder = scripts.join(folder);
            if folder.is_dir() {
                collect(root, &folder, "", &mut found)?;
            }
            Ok(found)
        };
        Ok(Self {
            root: Some(root.to_owned()),
            config,
            skills: of("skills")?,
            policies: of("policies")?,
            tests: of("tests")?,
            libraries: Arc::new(of("lib")?),
        })
    }

    /// Finds the nearest folder at or above `start` that is a workspace.
    #[must_use]
    pub fn find(start: &Path) -> Option<PathBuf> {
        start.ancestors().find(|it| it.join(CONFIG_FILE).is_file()).map(Path::to_owned)
    }
}

fn collect(
    root: &Path,
    folder: &Path,
    prefix: &str,
    found: &mut BTreeMap<String, String>,
) -> Result<(), WorkspaceError> {
    let unreadable = |source| WorkspaceError::Unreadable { path: folder.to_owned(), source };
    let real_root = root.canonicalize().map_err(unreadable)?;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let Some(name) = path.file_name().and_then(|it| it.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let real = path
            .canonicalize()
            .map_err(|source| WorkspaceError::Unreadable { path: path.clone(), source })?;
        if !real.starts_with(&real_root) {
            return Err(WorkspaceError::Escapes(path));
        }
        if real.is_dir() && prefix.len() < 100 {
            collect(root, &path, &format!("{prefix}{name}/"), found)?;
        } else if let Some(stem) = name.strip_suffix(".rhai")
            && real.is_file()
        {
            found.insert(format!("{prefix}{stem}"), read_script(&path)?);
        }
    }
    Ok(())
}

/// Reads the text of one script.
///
/// # Errors
/// It can not be read, is too large, or is no text.
pub fn read_script(path: &Path) -> Result<String, WorkspaceError> {
    let text = read_text(path)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

fn read_text(path: &Path) -> Result<String, WorkspaceError> {
    let unreadable = |source| WorkspaceError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_SOURCE).unwrap_or(u64::MAX) + 1;
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_SOURCE {
        return Err(WorkspaceError::TooLarge(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| WorkspaceError::NotText(path.to_owned()))
}

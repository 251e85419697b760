//! The scan of a workspace's folder: a walk over its files, and the reading of one.
//!
//! Editors leave their own files beside those they edit; folders may be links that are pointed
//! elsewhere while they are walked. So a walk names each file by where it really lies, and keeps
//! what tells that it changed. Nothing but plain files is ever opened. Links can multiply a few
//! folders without end, so a walk never goes into a folder that it is in, and it ends at a number
//! of entries, levels and bytes, with an error that names what it left out.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::files;
use crate::script::source::MAX_SOURCE;
use crate::script::workspace::{CONFIG_FILE, WorkspaceError};

/// The folders of scripts, below `scripts/`.
pub(crate) const FOLDERS: [&str; 4] = ["skills", "policies", "lib", "tests"];

// The most that a walk visits: entries of folders, folders in each other, and bytes of scripts.
const MAX_ENTRIES: u64 = 5_000;
const MAX_DEPTH: u64 = 12;
const MAX_BYTES: u64 = 16 << 20;

/// The facts that show, without opening a file, that it is another or has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and when the inode changed last: no program can set that back.
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    /// Returns whether the file has no text.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn from_metadata(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
impl Stamp {
    /// Returns a stamp that holds no more than a length.
    pub(crate) fn of_len(len: usize) -> Self {
        let len = u64::try_from(len).unwrap();
        Self {
            len,
            modified: None,
            #[cfg(unix)]
            inode: (0, 0, 0, 0),
        }
    }
}

/// A file, as a walk found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its path below the root as it was given, for messages.
    pub(crate) path: PathBuf,
    /// Its name in the folder where that really lies.
    pub(crate) place: PathBuf,
    /// Its real path: elsewhere if it is a link.
    pub(crate) real: PathBuf,
    pub(crate) stamp: Stamp,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// By name: `planwright.toml`, `skills/triage.rhai`, `lib/text/markdown.rhai`. A folder that
    /// cannot be listed is there too; its name ends in a slash.
    pub(crate) files: BTreeMap<String, Result<Found, WorkspaceError>>,
    /// The folders they really lie in.
    pub(crate) folders: BTreeMap<PathBuf, FolderId>,
}

/// The identity that tells a folder from another that took its name: device and inode, where there
/// are.
pub(crate) type FolderId = Option<(u64, u64)>;

fn id_of(folder: &Path) -> FolderId {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Returns whether a file is an editor's own, by its name.
pub(crate) fn is_ignored(name: &str) -> bool {
    name.starts_with(['.', '#'])
        || name.ends_with(['~', '#'])
        || [".tmp", ".part", ".swp"].iter().any(|ending| name.ends_with(ending))
        || name.contains("___jb_")
        || name == "4913"
}

/// Walks a workspace. Each folder is passed to `enter` before it is listed, so that whoever
/// watches it from then on misses nothing.
pub(crate) fn walk(root: &Path, enter: &mut dyn FnMut(&Path, FolderId)) -> Walk {
    let mut walk = Walk::default();
    let Ok(real_root) = root.canonicalize() else { return walk };
    let mut walker = Walker {
        root: &real_root,
        walk: &mut walk,
        enter,
        inside_of: Vec::new(),
        entries: 0,
        bytes: 0,
        ended: false,
    };
    walker.note_folder(&real_root);
    let config = root.join(CONFIG_FILE);
    walker.file(CONFIG_FILE, &config, &real_root.join(CONFIG_FILE));
    let scripts = root.join("scripts");
    if let Ok(real) = scripts.canonicalize() {
        walker.note_folder(&real);
    }
    for folder in FOLDERS {
        walker.folder(&format!("{folder}/"), &scripts.join(folder));
    }
    walk
}

struct Walker<'a> {
    root: &'a Path,
    walk: &'a mut Walk,
    enter: &'a mut dyn FnMut(&Path, FolderId),
    /// The folders that it is in, by where they really lie, the outermost first.
    inside_of: Vec<PathBuf>,
    entries: u64,
    bytes: u64,
    /// True once it has found more than it visits.
    ended: bool,
}

impl Walker<'_> {
    fn note_folder(&mut self, real: &Path) {
        if real.starts_with(self.root) && !self.walk.folders.contains_key(real) {
            let id = id_of(real);
            (self.enter)(real, id);
            self.walk.folders.insert(real.to_owned(), id);
        }
    }

    fn fail(&mut self, name: &str, path: &Path, source: std::io::Error) {
        // An entity that was deleted in the meantime is no error.
        if path.symlink_metadata().is_ok() {
            let error = WorkspaceError::Unreadable { path: path.to_owned(), source };
            self.walk.files.insert(name.to_owned(), Err(error));
        }
    }

    /// Returns where something really lies, if that is in the workspace.
    fn inside(&mut self, name: &str, path: &Path, place: &Path) -> Option<PathBuf> {
        match place.canonicalize() {
            Ok(real) if real.starts_with(self.root) => Some(real),
            Ok(_) => {
                let error = WorkspaceError::Escapes(path.to_owned());
                self.walk.files.insert(name.to_owned(), Err(error));
                None
            }
            Err(source) => {
                self.fail(name, path, source);
                None
            }
        }
    }

    /// Ends the walk where there is more than any workspace should have.
    fn is_over(&mut self, name: &str, path: &Path, n: u64, limit: u64, what: &'static str) -> bool {
        if n > limit && !self.ended {
            self.ended = true;
            let error = WorkspaceError::TooMuch { path: path.to_owned(), what, limit };
            self.walk.files.insert(name.to_owned(), Err(error));
        }
        self.ended
    }

    fn folder(&mut self, name: &str, path: &Path) {
        let Some(real) = self.inside(name, path, path) else { return };
        // A file may be where a folder is expected.
        if !real.is_dir() {
            return;
        }
        if self.inside_of.contains(&real) {
            self.walk.files.insert(name.to_owned(), Err(WorkspaceError::Circle(path.to_owned())));
            return;
        }
        self.inside_of.push(real.clone());
        let depth = u64::try_from(self.inside_of.len()).unwrap_or(u64::MAX);
        if !self.is_over(name, path, depth, MAX_DEPTH, "folders in each other") {
            self.entries_of(name, path, &real);
        }
        self.inside_of.pop();
    }

    fn entries_of(&mut self, name: &str, path: &Path, real: &Path) {
        if let Some(parent) = real.parent() {
            // A new folder shows in the one that it is in.
            self.note_folder(parent);
        }
        self.note_folder(real);
        let entries = match fs::read_dir(real) {
            Ok(entries) => entries,
            Err(source) => return self.fail(name, path, source),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(source) => return self.fail(name, path, source),
            };
            let own = entry.file_name();
            let Some(own) = own.to_str().filter(|name| !is_ignored(name)) else { continue };
            let (path, place) = (path.join(own), real.join(own));
            self.entries += 1;
            if self.is_over(&format!("{name}{own}"), &path, self.entries, MAX_ENTRIES, "entries") {
                return;
            }
            let is_dir = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => place.is_dir(),
                Ok(kind) => kind.is_dir(),
                Err(_) => continue,
            };
            if is_dir {
                self.folder(&format!("{name}{own}/"), &path);
            } else if own.ends_with(".rhai") {
                self.file(&format!("{name}{own}"), &path, &place);
            }
        }
    }

    fn file(&mut self, name: &str, path: &Path, place: &Path) {
        let Some(real) = self.inside(name, path, place) else { return };
        if let Some(parent) = real.parent().filter(|_| real != place) {
            self.note_folder(parent);
        }
        let metadata = match fs::metadata(&real) {
            Ok(metadata) => metadata,
            Err(source) => return self.fail(name, path, source),
        };
        self.bytes += metadata.len().min(u64::try_from(MAX_SOURCE).unwrap_or(u64::MAX));
        if self.is_over(name, path, self.bytes, MAX_BYTES, "bytes of scripts") {
            return;
        }
        if metadata.is_file() {
            let (path, place) = (path.to_owned(), place.to_owned());
            let found = Found { path, place, real, stamp: Stamp::from_metadata(&metadata) };
            self.walk.files.insert(name.to_owned(), Ok(found));
        }
    }
}

/// Reads a file that a walk found; `None` if it is not, or does not stay, as it was found.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub(crate) fn read_found(found: &Found) -> Result<Option<String>, WorkspaceError> {
    let unreadable = |source| WorkspaceError::Unreadable { path: found.path.clone(), source };
    let file = match files::open(&found.real) {
        Ok(file) => file,
        Err(files::Error::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(files::Error::Read { source, .. }) => return Err(unreadable(source)),
        Err(error) => return Err(WorkspaceError::NotAFile(error)),
    };
    let is_as_found =
        || Ok(Stamp::from_metadata(&file.metadata().map_err(unreadable)?) == found.stamp);
    if !is_as_found()? {
        return Ok(None);
    }
    let text = read_from(&file, &found.path);
    if is_as_found()? { text.map(Some) } else { Ok(None) }
}

/// Reads the text of one script.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub(crate) fn read_text(path: &Path) -> Result<String, WorkspaceError> {
    let file = files::open(path).map_err(|error| match error {
        files::Error::Read { path, source } => WorkspaceError::Unreadable { path, source },
        error => WorkspaceError::NotAFile(error),
    })?;
    read_from(&file, path)
}

fn read_from(file: &fs::File, path: &Path) -> Result<String, WorkspaceError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_SOURCE).unwrap_or(u64::MAX) + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|source| WorkspaceError::Unreadable { path: path.to_owned(), source })?;
    if bytes.len() > MAX_SOURCE {
        return Err(WorkspaceError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| WorkspaceError::NotText(path.to_owned()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

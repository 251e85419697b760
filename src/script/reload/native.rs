//! Events of the file system, as signs. Nothing depends on them but speed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, Event, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::script::reload::debounce::Sign;
use crate::script::workspace::scan::FolderId;

/// True if the system reports when a file that was written to is closed.
pub(crate) const TELLS_CLOSING: bool = cfg!(any(target_os = "linux", target_os = "android"));
/// The time an event may take before events are taken for dead.
const DEAD_AFTER: Duration = Duration::from_secs(2);

/// A message to the thread that reloads.
#[derive(Debug)]
pub(crate) enum Signal {
    /// Something happened to a file or folder.
    Sign(Sign),
    /// The root was opened: every event before that has arrived.
    Fence,
    /// Someone asks for a scan.
    Look(Option<std::sync::mpsc::Sender<()>>),
    /// The end.
    Stop,
}

/// The folders that are watched.
#[derive(Debug)]
pub(crate) struct Native {
    watcher: RecommendedWatcher,
    /// The real path of the root.
    root: PathBuf,
    armed: BTreeMap<PathBuf, FolderId>,
}

impl Native {
    /// Creates a watcher, which watches nothing yet.
    pub(crate) fn new(root: &Path, signals: &Sender<Signal>) -> Option<Self> {
        let root = root.canonicalize().ok()?;
        let (signals, fence) = (signals.clone(), root.clone());
        let tell = move |event: Result<Event, notify::Error>| {
            for signal in signals_of(event, &fence) {
                // Nobody listens any more: it is over.
                drop(signals.send(signal));
            }
        };
        match notify::recommended_watcher(tell) {
            Ok(watcher) => Some(Self { watcher, root, armed: BTreeMap::new() }),
            Err(error) => {
                tracing::warn!(%error, "no file events; scanning at intervals instead");
                None
            }
        }
    }

    /// Returns whether it watches the folder that is now the root.
    pub(crate) fn is_of(&self, root: &Path) -> bool {
        root.canonicalize().is_ok_and(|real| real == self.root)
    }

    /// Watches a folder, if it does not yet.
    pub(crate) fn arm(&mut self, folder: &Path, id: FolderId) {
        if self.armed.get(folder) == Some(&id) {
            return;
        }
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.armed.insert(folder.to_owned(), id);
            }
            // No reason to give up: the scans at intervals find what changes there, only later.
            Err(error) => tracing::debug!(%error, "a folder cannot be watched"),
        }
    }

    /// Forgets what was watched at a path: another may have its name now.
    pub(crate) fn disarm(&mut self, path: &Path) {
        self.armed.retain(|folder, _| !folder.starts_with(path));
    }

    /// Stops watching all folders but those that a walk found.
    pub(crate) fn keep(&mut self, folders: &BTreeMap<PathBuf, FolderId>) {
        let Self { watcher, armed, .. } = self;
        armed.retain(|folder, _| {
            let keep = folders.contains_key(folder);
            if !keep {
                // The folder may have been deleted, and its watch with it.
                drop(watcher.unwatch(folder));
            }
            keep
        });
    }

    /// Forgets what it watches, so that everything is watched again.
    pub(crate) fn doubt_all(&mut self) {
        self.armed.clear();
    }

    /// Waits until everything that has happened so far is known; returns false if that fails.
    ///
    /// Opening a folder is an event too, and events come in order. Someone else may open the
    /// root in the same moment, which would end the wait too early: stamps are compared as well.
    pub(crate) fn fence(&self, signals: &Receiver<Signal>, heard: &mut Vec<Signal>) -> bool {
        // A fence that is left from an earlier wait must not end this one.
        heard.extend(signals.try_iter().filter(|signal| !matches!(signal, Signal::Fence)));
        // A system that does not report closing does not report opening: no fence would come.
        if !TELLS_CLOSING {
            return true;
        }
        if std::fs::File::open(&self.root).is_err() {
            return false;
        }
        let until = Instant::now() + DEAD_AFTER;
        loop {
            match signals.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Signal::Fence) => return true,
                Ok(signal) => heard.push(signal),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

fn signals_of(event: Result<Event, notify::Error>, root: &Path) -> Vec<Signal> {
    let Ok(event) = event else { return vec![Signal::Sign(Sign::Lost)] };
    // When its queue is full, Linux drops events and says only that it did.
    if event.need_rescan() {
        return vec![Signal::Sign(Sign::Lost)];
    }
    let mut paths = event.paths.into_iter();
    let Some(path) = paths.next() else { return Vec::new() };
    let sign = match event.kind {
        // The fence opens the root itself, see `Native::fence`.
        EventKind::Access(AccessKind::Open(_)) if path == root => return vec![Signal::Fence],
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Sign::Closed(path),
        // Every scan opens folders and files: taken as signs, each would cause the next.
        EventKind::Access(_) => return Vec::new(),
        // A folder that was made just now is yet to be filled; one that is moved in is renamed.
        EventKind::Create(CreateKind::Folder) => Sign::Other,
        EventKind::Create(_) if is_complete(&path) => Sign::Whole(path),
        // On Linux a rename inside the workspace comes as `From`, as `To`, and then as `Both`: only
        // this last one tells that a file still being written has a new name.
        EventKind::Modify(ModifyKind::Name(mode)) => match (mode, paths.next()) {
            (RenameMode::Both, Some(to)) => Sign::Moved(path, to),
            (RenameMode::From, _) => Sign::Gone(path),
            _ => Sign::Whole(path),
        },
        EventKind::Modify(ModifyKind::Metadata(_)) => Sign::Other,
        EventKind::Create(_) | EventKind::Modify(_) => Sign::Written(path),
        EventKind::Remove(_) => Sign::Gone(path),
        EventKind::Any | EventKind::Other => Sign::Other,
    };
    vec![Signal::Sign(sign)]
}

/// Returns whether what was just created has its text already, as a link does.
fn is_complete(path: &Path) -> bool {
    let Ok(metadata) = path.symlink_metadata() else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        metadata.is_symlink() || (metadata.is_file() && metadata.nlink() > 1)
    }
    #[cfg(not(unix))]
    metadata.is_symlink()
}

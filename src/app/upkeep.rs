//! The upkeep of the state folder: a backup of it, its restoration, and what is pruned of it.
//!
//! A backup is one file, private to its owner: a zip with the files of the folder, copies of its databases
//! that are each one consistent state, and a list of all of them with their digests. The sign-ins, which
//! are sealed with a key of the machine, are not in it, nor locks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::app::error::AppError;
use crate::app::inbox::failed;
use crate::app::settings::Settings;
use crate::app::state_dir;
use crate::files::{self, Access};
use crate::host::StateFolder;
use crate::journal::{Alone, Journal, Note, NoteKind, Pruned, copy_database};

/// The list of what is in a backup.
const LIST: &str = "backup.json";
/// Its form.
const FORMAT: u32 = 1;
const JOURNAL: &str = "journal.db";
const ANCHOR: &str = "audit.anchor";
/// The most bytes of a backup, packed or not, and the most files.
const MAX_BYTES: u64 = 4 << 30;
const MAX_FILES: usize = 200_000;
const MAX_DEPTH: usize = 4;
/// The beginnings of the names of folders that this makes in the state folder.
const COPYING: &str = ".backup-";
const UNPACKED: &str = ".restore-";
const BEFORE: &str = "before-restore-";

/// The list of what is in a backup, as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    version: String,
    made_at: Timestamp,
    /// Digests, by name.
    files: BTreeMap<String, String>,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

fn wrote(path: &Path, error: &std::io::Error) -> AppError {
    AppError::new("io", format!("cannot write `{}`", path.display())).caused_by(error)
}

fn read(path: &Path, error: &std::io::Error) -> AppError {
    AppError::new("io", format!("cannot read `{}`", path.display())).caused_by(error)
}

/// Returns whether a file of the state folder belongs into a backup.
fn is_kept(name: &str) -> bool {
    let is_beside = ["-wal", "-shm", "-journal", ".lock", ".new", ".sealed"];
    !name.starts_with('.') && !is_beside.iter().any(|end| name.ends_with(end))
}

/// Finds the files that belong into a backup, by their names in it.
fn kept(folder: &Path) -> Result<BTreeMap<String, PathBuf>, AppError> {
    let mut found = BTreeMap::new();
    let mut open = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((folder, above, depth)) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(read(&folder, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| read(&folder, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // A link is none of ours.
            let kind = entry.file_type().map_err(|error| read(&entry.path(), &error))?;
            let is_ours = is_kept(&name) && !name.starts_with(BEFORE);
            if !is_ours || (depth == 0 && name == "locks") {
                continue;
            }
            let below = format!("{above}{name}");
            if kind.is_dir() && depth < MAX_DEPTH {
                open.push((entry.path(), format!("{below}/"), depth + 1));
            } else if kind.is_file() {
                found.insert(below, entry.path());
            }
            if found.len() > MAX_FILES {
                let message = format!("there are more than {MAX_FILES} files in the state folder");
                return Err(AppError::new("too_large", message));
            }
        }
    }
    Ok(found)
}

/// A folder of our own in the state folder, which goes when this does.
struct Scratch(PathBuf);

impl Scratch {
    fn make(state: &Path, begins: &str) -> Result<Self, AppError> {
        let folder = state.join(format!("{begins}{}", uuid::Uuid::now_v7()));
        state_dir::make_private(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_there = fs::remove_dir_all(&self.0);
    }
}

/// What a backup has.
#[derive(Debug)]
pub(crate) struct Backup {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
    /// The records of the audit log.
    pub(crate) records: i64,
}

/// Writes a backup of the state folder, while other processes may be at work in it.
///
/// # Errors
/// There is nothing to back up, or a file of the name; or something cannot be read or written.
pub(crate) fn backup(settings: &Settings, to: &Path, now: Timestamp) -> Result<Backup, AppError> {
    let state = settings.state_dir()?;
    if !state.join(JOURNAL).exists() {
        let message = format!("there is nothing in the state folder `{}`", state.display());
        return Err(AppError::new("not_found", message));
    }
    if to.symlink_metadata().is_ok() {
        let message = format!("there is a `{}` already", to.display());
        return Err(AppError::new("exists", message).hint("give each backup a name of its own"));
    }
    let scratch = Scratch::make(&state, COPYING)?;
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut list = List {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: now,
        files: BTreeMap::new(),
    };
    let mut total = 0;
    let mut add = |name: &str, bytes: &[u8]| -> Result<(), AppError> {
        total += bytes.len() as u64;
        if total > MAX_BYTES {
            let message = format!("the state folder has more than {} GiB", MAX_BYTES >> 30);
            return Err(AppError::new("too_large", message)
                .hint("`planwright state prune --older-than 90d` deletes old runs"));
        }
        list.files.insert(name.to_owned(), digest(bytes));
        pack(&mut zip, name, bytes)
    };
    let copy = scratch.0.join(JOURNAL);
    let end = Journal::copy(&state.join(JOURNAL), &copy).map_err(|error| failed(&error))?;
    add(JOURNAL, &fs::read(&copy).map_err(|error| read(&copy, &error))?)?;
    // That of the folder may be ahead of the copy by now.
    add(ANCHOR, format!("{}\n", end.to_text()).as_bytes())?;
    for (name, path) in kept(&state)? {
        if name == JOURNAL || name == ANCHOR {
            continue;
        }
        let bytes = if name.ends_with(".db") {
            let copy = scratch.0.join("other.db");
            copy_database(&path, &copy).map_err(|error| failed(&error))?;
            let bytes = fs::read(&copy).map_err(|error| read(&copy, &error))?;
            fs::remove_file(&copy).map_err(|error| wrote(&copy, &error))?;
            bytes
        } else {
            files::read_bytes_from(files::open_own(&path)?, &path, MAX_BYTES)?
        };
        add(&name, &bytes)?;
    }
    let n = list.files.len();
    let text = serde_json::to_string_pretty(&list).unwrap_or_default();
    pack(&mut zip, LIST, text.as_bytes())?;
    let bytes = zip.finish().map_err(|error| bad_zip(to, &error))?.into_inner();
    files::replace(to, &bytes, Access::Owner)?;
    Ok(Backup { files: n, bytes: bytes.len(), records: end.seq })
}

fn pack(zip: &mut ZipWriter<Cursor<Vec<u8>>>, name: &str, bytes: &[u8]) -> Result<(), AppError> {
    let options = SimpleFileOptions::default().unix_permissions(0o600).large_file(true);
    zip.start_file(name, options).map_err(|error| bad_zip(Path::new(name), &error))?;
    zip.write_all(bytes).map_err(|error| wrote(Path::new(name), &error))
}

fn bad_zip(path: &Path, error: &zip::result::ZipError) -> AppError {
    damaged(path, "it cannot be unpacked").caused_by(error)
}

fn damaged(path: &Path, what: &str) -> AppError {
    let message = format!("`{}` is no whole backup: {what}", path.display());
    AppError::new("invalid", message).hint("nothing was changed; take another backup")
}

/// Unpacks a backup into a folder, and proves that it is whole.
fn unpack(from: &Path, into: &Path) -> Result<List, AppError> {
    let bytes = files::read_bytes_from(files::open(from)?, from, MAX_BYTES)?;
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| bad_zip(from, &error))?;
    let mut left = MAX_BYTES;
    let mut take = |zip: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str| {
        let file = zip.by_name(name).map_err(|error| bad_zip(from, &error))?;
        let mut bytes = Vec::new();
        let n = file.take(left + 1).read_to_end(&mut bytes);
        n.map_err(|error| damaged(from, &format!("`{name}` cannot be read")).caused_by(&error))?;
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| damaged(from, "it is larger than a backup can be"))?;
        Ok::<_, AppError>(bytes)
    };
    let list = take(&mut zip, LIST)?;
    let list: List = serde_json::from_slice(&list)
        .map_err(|error| damaged(from, "its list cannot be read").caused_by(&error))?;
    if list.format != FORMAT {
        let message = format!("`{}` was made by Planwright {}", from.display(), list.version);
        return Err(AppError::new("invalid", message).hint("restore it with that version"));
    }
    let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
    let names = names.collect::<Result<BTreeSet<String>, _>>();
    let names = names.map_err(|error| bad_zip(from, &error))?;
    let wanted: BTreeSet<String> = list.files.keys().cloned().chain([LIST.to_owned()]).collect();
    if names != wanted || !wanted.contains(JOURNAL) || !wanted.contains(ANCHOR) {
        return Err(damaged(from, "it has other files than its list"));
    }
    for (name, wanted) in &list.files {
        if !is_plain(name) {
            return Err(damaged(from, &format!("`{name}` is no name of a file in it")));
        }
        let bytes = take(&mut zip, name)?;
        if digest(&bytes) != *wanted {
            return Err(damaged(from, &format!("`{name}` was changed")));
        }
        let path = into.join(name);
        if let Some(folder) = path.parent() {
            state_dir::make_private(folder)?;
        }
        let is_new = files::create(&path, &bytes).map_err(|error| wrote(&path, &error))?;
        if !is_new {
            return Err(damaged(from, &format!("`{name}` is in it twice")));
        }
    }
    let journal = Journal::open(&into.join(JOURNAL));
    let found = journal.and_then(|journal| journal.verify());
    let found =
        found.map_err(|error| damaged(from, "its journal cannot be read").caused_by(&error))?;
    if let Some(problem) = found.problems.first() {
        return Err(damaged(from, &problem.what));
    }
    Ok(list)
}

/// Returns whether a name leads nowhere but down, to what a backup has.
fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || " ._-@+=".contains(c);
        !part.is_empty() && part.chars().all(is_known) && is_kept(part)
    };
    name.split('/').count() <= MAX_DEPTH + 1 && name.split('/').all(is_part)
}

/// What became of the state folder.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) made_at: Timestamp,
    pub(crate) files: usize,
    /// The folder with what was there before.
    pub(crate) before: Option<PathBuf>,
}

/// Puts a backup in the place of what is in the state folder, if there is nothing, or if that was asked
/// for. What was there is moved aside. Sign-ins stay.
///
/// # Errors
/// The backup is not whole; there is something in the folder, or a process at work in it; or it cannot be
/// written.
pub(crate) fn restore(
    settings: &Settings,
    from: &Path,
    replace: bool,
    now: Timestamp,
) -> Result<Restored, AppError> {
    let state = settings.state_dir()?;
    state_dir::make_private(&state)?;
    let there = kept(&state)?;
    if !there.is_empty() && !replace {
        let message = format!("there is something in the state folder `{}`", state.display());
        return Err(AppError::new("exists", message)
            .hint("`--replace` moves it aside, or name another folder with `--state-dir DIR`"));
    }
    let unpacked = Scratch::make(&state, UNPACKED)?;
    let list = unpack(from, &unpacked.0)?;
    // Held until everything is in its place, so that nobody begins in between.
    let mut alone = Vec::new();
    for (_, path) in there.iter().filter(|(name, _)| name.ends_with(".db")) {
        match Alone::with(path) {
            Ok(Some(held)) => alone.push(held),
            Ok(None) => {
                let message = format!("another process has `{}` open", path.display());
                return Err(AppError::new("at_work", message)
                    .hint("end `planwright serve` and whatever else is at work there"));
            }
            // One that is damaged is what there are backups for.
            Err(error) => tracing::debug!(%error, "a database that cannot be opened is replaced"),
        }
    }
    // Two within a second must not move what the first has saved over each other.
    let (time, own) = (now.strftime("%Y%m%dT%H%M%SZ"), uuid::Uuid::now_v7().simple().to_string());
    let before = state.join(format!("{BEFORE}{time}-{}", own.get(24..).unwrap_or_default()));
    // The journal goes last and comes last: a folder with an anchor and without one is opened by nobody.
    let last = |name: &&String| name.as_str() == JOURNAL;
    for name in there.keys().filter(|name| !last(name)).chain(there.keys().filter(last)) {
        if name != ANCHOR {
            shift(&state.join(name), &before.join(name))?;
        }
        // Of one that is damaged: SQLite would take them for those of the next.
        for beside in ["-wal", "-shm", "-journal"].map(|end| format!("{name}{end}")) {
            if name.ends_with(".db") && state.join(&beside).exists() {
                shift(&state.join(&beside), &before.join(&beside))?;
            }
        }
    }
    if there.contains_key(ANCHOR) {
        let copy = before.join(ANCHOR);
        state_dir::make_private(&before)?;
        fs::copy(state.join(ANCHOR), &copy).map_err(|error| wrote(&copy, &error))?;
    }
    for name in list.files.keys().filter(|name| !last(name)).chain(list.files.keys().filter(last)) {
        shift(&unpacked.0.join(name), &state.join(name))?;
    }
    drop(alone);
    let note = Note {
        kind: NoteKind::Restored,
        at: now,
        run: None,
        actor: None,
        name: "planwright".to_owned(),
        detail: json!({ "made_at": list.made_at, "files": list.files.len() }),
    };
    let journal = StateFolder::new(state).open()?;
    journal.note(&note).map_err(|error| failed(&error))?;
    let before = before.exists().then_some(before);
    Ok(Restored { made_at: list.made_at, files: list.files.len(), before })
}

fn shift(from: &Path, to: &Path) -> Result<(), AppError> {
    if let Some(folder) = to.parent() {
        state_dir::make_private(folder)?;
    }
    fs::rename(from, to).map_err(|error| wrote(to, &error))
}

/// Deletes what runs have left that ended so many days ago, or says what that would be.
///
/// # Errors
/// The journal cannot be read or written.
pub(crate) fn prune(
    settings: &Settings,
    days: u32,
    dry_run: bool,
    now: Timestamp,
) -> Result<Pruned, AppError> {
    let folder = StateFolder::new(settings.state_dir()?);
    let before = days_ago(days, now);
    let Some(journal) = folder.open_to_read()? else { return Ok(Pruned::default()) };
    if dry_run {
        return journal.prunable(before).map_err(|error| failed(&error));
    }
    drop(journal);
    folder.open()?.prune(before, &note(now)).map_err(|error| failed(&error))
}

/// Returns the moment so many days ago.
pub(crate) fn days_ago(days: u32, now: Timestamp) -> Timestamp {
    let time = SignedDuration::from_hours(24 * i64::from(days));
    now.checked_sub(time).unwrap_or(Timestamp::MIN)
}

/// Makes the record that something is pruned.
pub(crate) fn note(now: Timestamp) -> Note {
    let name = "planwright".to_owned();
    Note { kind: NoteKind::Pruned, at: now, run: None, actor: None, name, detail: Value::Null }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_backup_lead_nowhere_else() {
        for name in ["journal.db", "sign-in/profiles.json", "applied/sha256-00", "history/a b"] {
            assert!(is_plain(name), "{name}");
        }
        for name in
            ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\\b", ".x", "x.sealed", "a/b/c/d/e/f"]
        {
            assert!(!is_plain(name), "{name}");
        }
    }
}

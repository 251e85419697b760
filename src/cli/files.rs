//! Files that people name: read whole and within bounds, written whole or not at all.
//!
//! A name can lead anywhere: to a pipe that nobody writes to, a device without an end, a link that
//! someone else has put there. So what is read is a regular file, and what is written comes under a
//! name that nobody can have guessed before it takes its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::script::workspace;

/// The largest file that is read: ten times that of a plan as full as it can be.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// Who may look into a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its owner alone.
    Owner,
    /// Whoever might before; of a new one, whoever may by the user's mask.
    Usual,
}

/// Opens a regular file to be read.
pub(crate) fn open(file: &Path) -> Result<File, CommandError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Opening a pipe would else wait for someone to write to it.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let opened = options.open(file).map_err(|error| unreadable(file, &error))?;
    // What was opened is looked at, not what the name leads to by now.
    let is_file = opened.metadata().map_err(|error| unreadable(file, &error))?.is_file();
    if is_file { Ok(opened) } else { Err(not_regular(file)) }
}

/// Reads a file of UTF-8 text.
pub(crate) fn read(file: &Path) -> Result<String, CommandError> {
    read_from(open(file)?, file)
}

/// Reads a file, or standard input if it is called `-`.
pub(crate) fn read_or_stdin(file: &Path) -> Result<String, CommandError> {
    if file == Path::new("-") { read_from(io::stdin().lock(), file) } else { read(file) }
}

/// Reads a script.
pub(crate) fn read_script(file: &Path) -> Result<String, CommandError> {
    open(file)?;
    Ok(workspace::read_script(file)?)
}

fn read_from(reader: impl io::Read, file: &Path) -> Result<String, CommandError> {
    let mut bytes = Vec::new();
    let result = reader.take(MAX_FILE + 1).read_to_end(&mut bytes);
    result.map_err(|error| unreadable(file, &error))?;
    let wrong = |what: &str| CommandError::new("invalid", format!("`{}`: {what}", file.display()));
    if bytes.len() as u64 > MAX_FILE {
        return Err(wrong("larger than 64 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("not UTF-8 text"))
}

/// Writes a file in place of the one of that name: a full disk must not leave half of it.
pub(crate) fn write(file: &Path, text: &str, access: Access) -> Result<(), CommandError> {
    let failed = |error: &io::Error| {
        CommandError::new("io", format!("cannot write `{}`", file.display())).caused_by(error)
    };
    // A link is replaced, not followed.
    let before = file.symlink_metadata().ok().filter(|it| !it.is_symlink());
    if before.as_ref().is_some_and(|it| !it.is_file()) {
        return Err(not_regular(file));
    }
    let (beside, mut written) = beside(file, access).map_err(|error| failed(&error))?;
    let result = (|| {
        if let (Some(before), Access::Usual) = (before, access) {
            written.set_permissions(before.permissions())?;
        }
        written.write_all(text.as_bytes())?;
        written.sync_all()?;
        std::fs::rename(&beside, file)
    })();
    if result.is_err() {
        let _nothing_else_to_do = std::fs::remove_file(&beside);
    }
    result.map_err(|error| failed(&error))
}

/// Makes a file for its owner alone, whole or not at all; one that is there stays.
pub(crate) fn create(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let (beside, mut written) = beside(file, Access::Owner)?;
    let result = written
        .write_all(bytes)
        .and_then(|()| written.sync_all())
        // In one step, and only if there is none: a rename would replace it.
        .and_then(|()| std::fs::hard_link(&beside, file));
    let _nothing_else_to_do = std::fs::remove_file(&beside);
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Makes an empty file beside another, by a name that nobody can have put a link under.
fn beside(file: &Path, access: Access) -> io::Result<(PathBuf, File)> {
    let name = file.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", uuid::Uuid::new_v4().simple()));
    let path = file.with_file_name(hidden);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if access == Access::Owner {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _by_the_folder = access;
    Ok((path.clone(), options.open(path)?))
}

fn unreadable(file: &Path, error: &io::Error) -> CommandError {
    CommandError::new("io", format!("cannot read `{}`", file.display())).caused_by(error)
}

fn not_regular(file: &Path) -> CommandError {
    let what = if file.is_dir() { "a folder" } else { "not a regular file" };
    CommandError::new("io", format!("`{}` is {what}", file.display()))
}

//! Reading and writing of the files that people name, safe against what a name can lead to.
//!
//! A name may lead to a pipe that nobody writes to, a device without an end, or a link planted by
//! somebody else. So only regular files are read, up to a limit, and a file is written under a
//! temporary name that nobody can guess before it takes its place.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::error::CommandError;
use crate::script::workspace;

/// The largest file that is read: ten times a plan that is as full as Planner allows.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// The readers of a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its owner only.
    Owner,
    /// Those who could read it before; for a new file, those whom the umask lets read it.
    Usual,
}

/// Opens a regular file for reading.
pub(crate) fn open(file: &Path) -> Result<File, CommandError> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        // Otherwise opening a pipe would wait for somebody to write to it.
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let opened = options.open(file).map_err(|error| unreadable(file, &error))?;
    // Asked of the open file: the name may lead elsewhere by now.
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

/// Writes a file, or replaces it, in one step: a full disk must not leave half of it.
pub(crate) fn write(file: &Path, text: &str, access: Access) -> Result<(), CommandError> {
    let failed = |error: &io::Error| {
        CommandError::new("io", format!("cannot write `{}`", file.display())).caused_by(error)
    };
    // A link is replaced, not followed.
    let before = file.symlink_metadata().ok().filter(|found| !found.is_symlink());
    if before.as_ref().is_some_and(|found| !found.is_file()) {
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

/// Creates a file for its owner only, in one step. An existing file stays as it is.
pub(crate) fn create(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let (beside, mut written) = beside(file, Access::Owner)?;
    let result = written
        .write_all(bytes)
        .and_then(|()| written.sync_all())
        // A rename would replace the file of another process.
        .and_then(|()| std::fs::hard_link(&beside, file));
    let _nothing_else_to_do = std::fs::remove_file(&beside);
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Creates an empty file beside another, under a name at which nobody can have planted a link.
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

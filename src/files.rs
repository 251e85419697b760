//! Files that people name, and those of the state folder, opened and replaced safely whatever a
//! name leads to.
//!
//! A name may lead to a pipe that nobody writes to, a device without an end, or a link planted by
//! somebody else. So only regular files are read, up to a limit, and a file is written under a
//! temporary name that nobody can guess before it takes its place.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The reason that a file was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is a folder, a pipe, a device or the like.
    #[error("`{}` is {}", .0.display(), if .0.is_dir() { "a folder" } else { "not a regular file" })]
    NotRegular(PathBuf),
    /// It could not be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// It could not be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// It is larger than it may be.
    #[error("`{}`: larger than {} MiB", .path.display(), .limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The number of bytes that it may have.
        limit: u64,
    },
    /// It is not UTF-8.
    #[error("`{}`: not UTF-8 text", .0.display())]
    NotText(PathBuf),
}

/// The readers of a file that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner only.
    Owner,
    /// Its owner only, unless they have already let others read it.
    OwnerUnlessShared,
    /// Those who could read it before; for a new file, those whom the umask allows.
    Usual,
}

/// A fault of a folder that must be private to its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It belongs to another user.
    Foreign,
    /// Others can write to it.
    Writable,
}

/// Opens a regular file for reading, without waiting for another process.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open(path: &Path) -> Result<File, Error> {
    open_as(path, Flags::Followed)
}

/// Opens a file of the state folder for reading: as [`open`] does, but without following a link.
///
/// # Errors
/// It cannot be opened, or is not a regular file.
pub fn open_own(path: &Path) -> Result<File, Error> {
    open_as(path, Flags::Own)
}

fn open_as(path: &Path, flags: Flags) -> Result<File, Error> {
    let unreadable = |source| Error::Read { path: path.to_owned(), source };
    let file = options(flags).read(true).open(path).map_err(unreadable)?;
    // The open file is asked, not the name, which may lead elsewhere by now.
    let is_file = file.metadata().map_err(unreadable)?.is_file();
    if is_file { Ok(file) } else { Err(Error::NotRegular(path.to_owned())) }
}

/// Reads a file of UTF-8 text of at most `limit` bytes.
///
/// # Errors
/// It is not a regular file, too large, or not text.
pub fn read(path: &Path, limit: u64) -> Result<String, Error> {
    read_from(open(path)?, path, limit)
}

/// Reads UTF-8 text of at most `limit` bytes from a reader that was opened under a name.
///
/// # Errors
/// It cannot be read, is too large, or is not text.
pub fn read_from(reader: impl io::Read, path: &Path, limit: u64) -> Result<String, Error> {
    let bytes = read_bytes_from(reader, path, limit)?;
    String::from_utf8(bytes).map_err(|_| Error::NotText(path.to_owned()))
}

/// Reads at most `limit` bytes from a reader that was opened under a name.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read_bytes_from(reader: impl io::Read, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there is too much.
    let result = reader.take(limit + 1).read_to_end(&mut bytes);
    result.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Writes a file, or replaces it, in one step: a full disk must not leave half of it.
///
/// # Errors
/// It cannot be written, or something other than a file is in its place.
pub fn replace(path: &Path, bytes: &[u8], access: Access) -> Result<(), Error> {
    let failed = |source| Error::Write { path: path.to_owned(), source };
    // A link is replaced, not followed.
    let before = path.symlink_metadata().ok().filter(|found| !found.is_symlink());
    if before.as_ref().is_some_and(|found| !found.is_file()) {
        return Err(Error::NotRegular(path.to_owned()));
    }
    // The permissions of another user's file must not decide who can read ours.
    let before = before.filter(|found| access != Access::Owner && is_own(found));
    let (beside, mut written) = beside(path, access).map_err(failed)?;
    let result = (|| {
        if let Some(before) = before {
            written.set_permissions(before.permissions())?;
        }
        written.write_all(bytes)?;
        // Without the sync, a crash after the rename could leave an empty file.
        written.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    if result.is_err() {
        let _nothing_else_to_do = std::fs::remove_file(&beside);
    }
    result.map_err(failed)
}

/// Creates a file for its owner only, in one step; returns false, and changes nothing, if there is
/// one already.
///
/// # Errors
/// It cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let (beside, mut written) = beside(path, Access::Owner)?;
    let result = written
        .write_all(bytes)
        .and_then(|()| written.sync_all())
        // A rename would replace the file of another process.
        .and_then(|()| std::fs::hard_link(&beside, path));
    let _nothing_else_to_do = std::fs::remove_file(&beside);
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true),
    }
}

/// Opens a file of the state folder for writing in place; a new one is private to its owner.
///
/// # Errors
/// It cannot be opened, or a link is in its place.
pub fn open_to_write(path: &Path) -> io::Result<File> {
    let mut options = options(Flags::Own);
    options.create(true).truncate(false).write(true);
    options.open(path)
}

/// Creates a folder unless it exists; each new folder of its path is private to its owner.
///
/// # Errors
/// It cannot be created.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

/// Returns the fault of a folder that must be private to its owner, if it exists and has one.
#[must_use]
pub fn exposure(folder: &Path) -> Option<Exposure> {
    if folder.ancestors().any(is_foreign_link) {
        return Some(Exposure::Foreign);
    }
    let found = folder.metadata().ok()?;
    if !is_own(&found) {
        return Some(Exposure::Foreign);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if found.mode() & 0o022 != 0 {
            return Some(Exposure::Writable);
        }
    }
    None
}

/// Returns whether a path is a link of another user, who can make it lead elsewhere at any time.
fn is_foreign_link(path: &Path) -> bool {
    let Ok(found) = path.symlink_metadata() else { return false };
    found.is_symlink() && !is_own(&found) && !is_of_root(&found)
}

/// Returns whether a file belongs to the administrator, whose links are the system's own.
#[cfg(unix)]
fn is_of_root(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.uid() == 0
}

#[cfg(not(unix))]
const fn is_of_root(_: &Metadata) -> bool {
    true
}

/// Returns whether a file belongs to the user of this process.
#[cfg(unix)]
#[must_use]
pub fn is_own(found: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    found.uid() == rustix::process::geteuid().as_raw()
}

/// Returns whether a file belongs to the user of this process; here the folder it is in decides.
#[cfg(not(unix))]
#[must_use]
pub fn is_own(_: &Metadata) -> bool {
    true
}

/// Ways to open a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flags {
    /// Links are followed.
    Followed,
    /// Links are not followed; a new file is private to its owner.
    Own,
}

#[cfg(unix)]
fn options(flags: Flags) -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    // Otherwise opening a pipe would wait for a process at its other end.
    let mut custom = rustix::fs::OFlags::NONBLOCK;
    if flags == Flags::Own {
        custom |= rustix::fs::OFlags::NOFOLLOW;
        options.mode(0o600);
    }
    options.custom_flags(custom.bits().cast_signed());
    options
}

/// Returns no special options: on other systems a folder decides who can open its files.
#[cfg(not(unix))]
fn options(_: Flags) -> OpenOptions {
    OpenOptions::new()
}

/// Creates an empty file beside another, under a name that nobody can guess to plant a link there.
fn beside(path: &Path, access: Access) -> io::Result<(PathBuf, File)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.part", uuid::Uuid::new_v4().simple()));
    let beside = path.with_file_name(hidden);
    let flags = if access == Access::Usual { Flags::Followed } else { Flags::Own };
    let file = options(flags).write(true).create_new(true).open(&beside)?;
    Ok((beside, file))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs::{Permissions, read_dir, set_permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for (access, text) in
            [(Access::Owner, "a"), (Access::OwnerUnlessShared, "b"), (Access::Usual, "c")]
        {
            replace(&path, text.as_bytes(), access).unwrap();
            assert_eq!((read(&path, 1).unwrap().as_str(), mode(&path)), (text, 0o600));
        }
        set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"d", Access::OwnerUnlessShared).unwrap();
        assert_eq!(mode(&path), 0o644);
        replace(&path, b"e", Access::Owner).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(!create(&path, b"f").unwrap());
        assert!(matches!(read(&path, 0), Err(Error::TooLarge { limit: 0, .. })));
        assert!(matches!(replace(dir.path(), b"", Access::Usual), Err(Error::NotRegular(_))));
        assert_eq!(read(&path, 9).unwrap(), "e");
        assert_eq!(read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_is_followed_only_where_a_person_has_named_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "theirs").unwrap();
        symlink(&file, &link).unwrap();
        assert_eq!(read(&link, 9).unwrap(), "theirs");
        assert!(open_own(&link).is_err() && open_to_write(&link).is_err());
        replace(&link, b"ours", Access::Usual).unwrap();
        assert_eq!(
            (read(&link, 9).unwrap(), read(&file, 9).unwrap()),
            ("ours".into(), "theirs".into())
        );
    }

    #[test]
    fn a_folder_is_private_if_nobody_else_can_write_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        make_private(&folder).unwrap();
        assert_eq!((mode(&folder), mode(&dir.path().join("a"))), (0o700, 0o700));
        for (bits, exposed) in
            [(0o755, None), (0o1777, Some(Exposure::Writable)), (0o770, Some(Exposure::Writable))]
        {
            set_permissions(&folder, Permissions::from_mode(bits)).unwrap();
            assert_eq!(exposure(&folder), exposed, "{bits:o}");
        }
        assert_eq!(exposure(&dir.path().join("none")), None);
    }
}

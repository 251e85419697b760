//! The files that arguments name, with the errors of this face.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::app::error::AppError;
use crate::files;
use crate::script::workspace;

pub(crate) use crate::files::Access;

/// The largest file that is read, in bytes: more than twice a plan that is as full as Planner allows.
/// A file takes many times its size in memory.
pub(crate) const MAX_FILE: u64 = 16 << 20;

/// Opens a regular file for reading.
pub(crate) fn open(file: &Path) -> Result<File, AppError> {
    Ok(files::open(file)?)
}

/// Reads a file of UTF-8 text.
pub(crate) fn read(file: &Path) -> Result<String, AppError> {
    Ok(files::read(file, MAX_FILE)?)
}

/// Reads a file, or standard input if it is called `-`.
pub(crate) fn read_or_stdin(file: &Path) -> Result<String, AppError> {
    if file != Path::new("-") {
        return read(file);
    }
    Ok(files::read_from(io::stdin().lock(), file, MAX_FILE)?)
}

/// Reads the bytes of a file, or of standard input if it is called `-`.
pub(crate) fn read_bytes_or_stdin(file: &Path) -> Result<Vec<u8>, AppError> {
    if file == Path::new("-") {
        return Ok(files::read_bytes_from(io::stdin().lock(), file, MAX_FILE)?);
    }
    Ok(files::read_bytes_from(files::open(file)?, file, MAX_FILE)?)
}

/// Reads a script.
pub(crate) fn read_script(file: &Path) -> Result<String, AppError> {
    Ok(workspace::read_script(file)?)
}

/// Writes a file, or replaces it, in one step.
pub(crate) fn write(file: &Path, text: &str, access: Access) -> Result<(), AppError> {
    write_bytes(file, text.as_bytes(), access)
}

/// Writes a file of bytes, or replaces it, in one step.
pub(crate) fn write_bytes(file: &Path, bytes: &[u8], access: Access) -> Result<(), AppError> {
    Ok(files::replace(file, bytes, access)?)
}

/// Writes files that are not there yet, and the folders they are in, below `root`.
pub(crate) fn write_new(root: &Path, files: &[(PathBuf, String)]) -> Result<(), AppError> {
    // Checked before the first write, so that nothing is left half made.
    if let Some((there, _)) = files.iter().find(|(path, _)| root.join(path).exists()) {
        let message = format!("`{}` already exists", there.display());
        return Err(
            AppError::new("exists", message).hint("choose another name; nothing was written")
        );
    }
    for (path, text) in files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        write(&path, text, Access::Usual)?;
    }
    Ok(())
}

/// Creates a folder, and those it is in, where they are missing.
pub(crate) fn make_folder(folder: &Path) -> Result<(), AppError> {
    std::fs::create_dir_all(folder).map_err(|error| {
        AppError::new("io", format!("cannot create the folder `{}`", folder.display()))
            .caused_by(&error)
    })
}

//! The key that seals saved change sets, created in the state folder when it is first needed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::state_dir;
use crate::change::SealKey;
use crate::files;

const NAME: &str = "seal.key";

/// Returns the key of the state folder.
pub(crate) fn key(settings: &Settings) -> Result<SealKey, AppError> {
    let folder = settings.state_dir()?;
    state_dir::make_private(&folder)?;
    let path = folder.join(NAME);
    match files::open_own(&path) {
        Err(files::Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)
                .map_err(io::Error::from)
                .and_then(|()| files::create(&path, &bytes).map(drop))
                .map_err(|error| broken(&path, "create").caused_by(&error))?;
            // Another process may have created it first.
            read(&path, files::open_own(&path))
        }
        opened => read(&path, opened),
    }
}

fn read(path: &Path, opened: Result<File, files::Error>) -> Result<SealKey, AppError> {
    let failed = |error: io::Error| broken(path, "read").caused_by(&error);
    let mut file = opened.map_err(|error| broken(path, "read").caused_by(&error))?;
    if !is_ours(&file).map_err(failed)? {
        let message = format!("`{}` is not private to you", path.display());
        return Err(AppError::new("io", message).hint(
            "anyone who can read it can seal change sets: remove it to have a new one created; sets sealed with the old one then need `--unsealed`",
        ));
    }
    let mut bytes = Vec::new();
    // One byte more than a key has, so that a longer file is noticed.
    (&mut file).take(33).read_to_end(&mut bytes).map_err(failed)?;
    let bytes = bytes.try_into().map_err(|_| {
        broken(path, "use").hint("it is damaged: remove it to have a new one created")
    })?;
    Ok(SealKey::new(bytes))
}

/// Returns whether nobody else can have written or read the key.
#[cfg(unix)]
fn is_ours(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let found = file.metadata()?;
    Ok(found.is_file() && files::is_own(&found) && found.mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_ours(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.is_file())
}

fn broken(path: &Path, what: &str) -> AppError {
    AppError::new("io", format!("cannot {what} the key `{}`", path.display()))
}

//! Copies of databases, each one consistent state, taken while other processes write.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::journal::error::{Error, Fault};
use crate::journal::store::{BUSY_TIMEOUT, protect};

/// Copies a database to a file that does not exist yet.
///
/// # Errors
/// It cannot be read, or the copy not be written.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copied = Connection::open_with_flags(from, read_only).map_err(Fault::from).and_then(|on| {
        on.busy_timeout(BUSY_TIMEOUT)?;
        protect(&on)?;
        let to = to.to_str().ok_or_else(|| Fault::Damaged("its name is not text".into()))?;
        on.execute("VACUUM INTO ?1", [to])?;
        Ok(())
    });
    copied.map_err(|fault| fault.of(from))
}

/// A database that no other process has open, until this is dropped.
#[derive(Debug)]
#[must_use = "others may open it when this is dropped"]
pub struct Alone {
    _connection: Connection,
}

impl Alone {
    /// Takes a database, with its log written back into it; `None` if another process has it open.
    ///
    /// # Errors
    /// It cannot be opened, or is none.
    pub fn with(path: &Path) -> Result<Option<Self>, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let taken = Connection::open_with_flags(path, flags).and_then(|on| {
            // SQLite leaves that mode only when nobody else has the file open.
            on.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
            on.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
            on.execute_batch("BEGIN EXCLUSIVE")?;
            Ok(on)
        });
        match taken {
            Ok(connection) => Ok(Some(Self { _connection: connection })),
            Err(error) if is_in_use(&error) => Ok(None),
            Err(error) => Err(Fault::from(error).of(path)),
        }
    }
}

fn is_in_use(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

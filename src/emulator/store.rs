//! The database: opening, migrating, transactions.
//!
//! It holds all state of the tenant. A request runs in one transaction, a write in an immediate
//! one, so that several processes can serve the same file. The rows are the entities' business.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The mark of an emulator database: `PwEm`.
const APPLICATION_ID: i64 = 0x5077_456D;
/// The steps from an empty database to the present one. Steps are added, never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("store/0001_initial.sql"),
    include_str!("store/0002_sign_in.sql"),
    include_str!("store/0003_changes.sql"),
    include_str!("store/0004_rosters.sql"),
    include_str!("store/0005_owners_and_consent.sql"),
    include_str!("store/0006_messages.sql"),
];
/// The time for which a request waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The place where the emulator keeps its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory, lost when the emulator ends.
    Memory,
    /// In a database file, which is created if it does not exist.
    File(PathBuf),
}

/// An error of the emulator itself; a request that fails is answered instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be created.
    #[error("cannot create the emulator's database `{}`", path.display())]
    Create {
        /// The database file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is a database of something else.
    #[error("`{}` is not an emulator database", path.display())]
    Foreign {
        /// The database file.
        path: PathBuf,
    },
    /// The file was written by a newer program.
    #[error("the emulator's database has version {found}, but this program knows only {known}")]
    Newer {
        /// The version of the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database refused.
    #[error("the emulator's database failed")]
    Database(#[from] rusqlite::Error),
    /// A directory entry or a demo object was refused by the emulator's own rules.
    #[error("the emulator refused `{subject}`: {message}")]
    Refused {
        /// The name of the object that was to be created.
        subject: String,
        /// The refusal.
        message: String,
    },
}

/// One connection, used by one request at a time.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
}

impl Store {
    /// Opens and migrates the database.
    pub(crate) fn open(storage: &Storage) -> Result<Self, Error> {
        let mut connection = match storage {
            Storage::Memory => Connection::open_in_memory()?,
            Storage::File(path) => {
                create_private(path)?;
                Connection::open(path)?
            }
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.pragma_update(None, "foreign_keys", true)?;
        migrate(&mut connection, storage)?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "normal")?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Runs a job that only reads, on one consistent state.
    pub(crate) fn read<T, E: From<rusqlite::Error>>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(TransactionBehavior::Deferred, |transaction| job(transaction))
    }

    /// Runs a job that writes; if it fails, none of its writes stay.
    pub(crate) fn write<T, E: From<rusqlite::Error>>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.transact(TransactionBehavior::Immediate, |transaction| job(transaction))
    }

    fn transact<T, E: From<rusqlite::Error>>(
        &self,
        behavior: TransactionBehavior,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A job that panicked left nothing behind: its transaction was rolled back, so that a
        // poisoned lock is still good.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(behavior)?;
        let result = job(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Makes sure the file exists, readable by its owner alone; SQLite's side files inherit that.
///
/// A file that exists is not opened here: closing a file drops every lock that the process holds
/// on it, including those of SQLite's connections. For the same reason, two calls of this function
/// wait for each other.
fn create_private(path: &Path) -> Result<(), Error> {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if path.exists() {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    options.create_new(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        // Another process was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(Error::Create { path: path.to_owned(), source }),
    }
}

fn migrate(connection: &mut Connection, storage: &Storage) -> Result<(), Error> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let foreign = || match storage {
        Storage::File(path) => Error::Foreign { path: path.clone() },
        Storage::Memory => Error::Foreign { path: PathBuf::new() },
    };
    let not_a_database = |error: rusqlite::Error| {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) {
            foreign()
        } else {
            Error::Database(error)
        }
    };
    // Immediate: of two processes that open a new file, the second finds it migrated.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(not_a_database)?;
    let pragma =
        |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(foreign());
    }
    if version > known {
        return Err(Error::Newer { found: version, known });
    }
    let done = usize::try_from(version).map_err(|_| foreign())?;
    for step in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

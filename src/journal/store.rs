//! The database file: opening, settings, migrations and transactions, with every setting that the
//! safety of the journal rests on.

pub(crate) mod prune;
pub(crate) mod snapshot;

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::files;
use crate::journal::error::{Error, Fault};

/// Marks a database as a journal: `PwJo`.
const APPLICATION_ID: i64 = 0x5077_4A6F;
/// The steps from an empty database to the present format. Steps are added, never edited: journals
/// have already gone through them.
const MIGRATIONS: &[&str] = &[
    include_str!("store/0001_initial.sql"),
    include_str!("store/0002_segment.sql"),
    include_str!("store/0003_kept_set.sql"),
    include_str!("store/0004_paused.sql"),
    include_str!("store/0005_inbox.sql"),
    include_str!("store/0006_shared.sql"),
    include_str!("store/0007_proposal.sql"),
    include_str!("store/0008_inbox_workspace.sql"),
    include_str!("store/0009_queue.sql"),
    include_str!("store/0010_pruned.sql"),
    include_str!("store/0011_pruned_agent.sql"),
];
/// Oldest usable version: in earlier ones, two connections that write and checkpoint can corrupt a
/// database.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Longest wait for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest file that is checked completely whenever it is opened, in bytes.
const CHECKED_AT_OPEN: u64 = 32 << 20;

/// One connection, used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// True if an fsync has failed: data may be lost even if later ones succeed.
    broken: AtomicBool,
}

impl Store {
    /// Opens the journal for writing; creates and migrates it as needed. `before_first` is called
    /// before a new one gets its tables.
    pub(crate) fn open(
        path: &Path,
        before_first: &dyn Fn() -> Result<(), Error>,
    ) -> Result<Self, Error> {
        check_library()?;
        let create = |path: &Path, source| Error::Create { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            files::make_private(folder).map_err(|source| create(folder, source))?;
        }
        // SQLite opens a write-protected file without an error, and fails at the first write.
        if path.exists() && fs::metadata(path).is_ok_and(|found| found.permissions().readonly()) {
            return Err(Error::ReadOnly { path: path.to_owned() });
        }
        create_database(path).map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull => Error::Full { path: path.to_owned() },
            _ => create(path, source),
        })?;
        // The mutex of the store makes the one of SQLite unnecessary.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(Fault::from)
            .and_then(|mut connection| {
                prepare(&mut connection, path, before_first)?;
                Ok(connection)
            })
            .map_err(|fault| fault.of(path))?;
        Ok(Self::from_connection(path, connection))
    }

    /// Opens a journal for reading only, even where nothing can be written.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self, Error> {
        check_library()?;
        if !path.try_exists().map_err(|source| Error::Create { path: path.to_owned(), source })? {
            return Err(Error::Absent { path: path.to_owned() });
        }
        let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, read_only)
            .map_err(Fault::from)
            .and_then(|connection| prepare_to_read(connection, path));
        let connection = match opened {
            // SQLite cannot create its side files here, so the file is opened as immutable. That is
            // safe: nobody can write to it, and no log beside it holds newer data.
            Err(Fault::Sql(error)) if is_unwritable(&error) && no_log_beside(path) => {
                let uri = std::path::absolute(path)
                    .ok()
                    .and_then(|path| url::Url::from_file_path(path).ok())
                    .map(|url| format!("{url}?immutable=1"));
                let uri = uri.ok_or_else(|| Error::ReadOnly { path: path.to_owned() })?;
                Connection::open_with_flags(uri, read_only | OpenFlags::SQLITE_OPEN_URI)
                    .map_err(Fault::from)
                    .and_then(|connection| prepare_to_read(connection, path))
            }
            opened => opened,
        };
        Ok(Self::from_connection(path, connection.map_err(|fault| fault.of(path))?))
    }

    fn from_connection(path: &Path, connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(64);
        let (connection, broken) = (Mutex::new(connection), AtomicBool::new(false));
        Self { path: path.to_owned(), connection, broken }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job`, which only reads, on one consistent state.
    pub(crate) fn read<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        self.transact(TransactionBehavior::Deferred, |transaction| job(transaction))
    }

    /// Runs `job`, which writes; when this returns, all of it is on the disk, or none.
    pub(crate) fn write<T>(
        &self,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Error::Disk { path: self.path.clone(), source: None });
        }
        self.transact(TransactionBehavior::Immediate, job)
    }

    fn transact<T>(
        &self,
        behavior: TransactionBehavior,
        job: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
    ) -> Result<T, Error> {
        // A poisoned lock is safe to take: the transaction of a job that panicked was rolled back.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let transaction = connection.transaction_with_behavior(behavior)?;
            let result = job(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|fault: Fault| {
            // After a failed fsync, the system may drop the data and report success the next time.
            if let Fault::Sql(error) = &fault
                && is_failed_sync(error)
            {
                self.broken.store(true, Ordering::SeqCst);
            }
            fault.of(&self.path)
        })
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection.lock().unwrap()
    }
}

fn is_failed_sync(error: &rusqlite::Error) -> bool {
    // SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if matches!(failure.extended_code, 1034 | 1290))
}

fn is_unwritable(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
}

fn no_log_beside(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(Path::new(&log)).map_or(true, |found| found.len() == 0)
}

fn check_library() -> Result<(), Error> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(Error::OldSqlite { found: rusqlite::version() });
    }
    Ok(())
}

/// Creates an empty database file, private to its owner, if there is none.
///
/// An existing database file must only be opened through SQLite: POSIX drops all locks of a process
/// on a file when it closes any handle of it. So a new one is closed before anything else in this
/// process can have a connection to it.
fn create_database(path: &Path) -> io::Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map(drop),
    }
}

fn prepare(
    connection: &mut Connection,
    path: &Path,
    before_first: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Fault> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    protect(connection)?;
    // Checked before anything is written: the file may belong to another program.
    let known = format_now(connection, path)?;
    if fs::metadata(path).is_ok_and(|found| found.len() <= CHECKED_AT_OPEN) {
        check_pages(connection)?;
    }
    write_ahead(connection)?;
    // With less than `full`, a write-ahead log can lose its last commits in a power failure.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Otherwise `INSERT OR REPLACE` deletes rows without firing the triggers that forbid it.
    connection.pragma_update(None, "recursive_triggers", true)?;
    // SQLite ignores a pragma that it cannot honour, so the values are read back.
    for (name, wanted) in [("synchronous", 2), ("foreign_keys", 1)] {
        if pragma(connection, name)? != wanted {
            return Err(Fault::Damaged(format!("`{name}` cannot be set")));
        }
    }
    if known < MIGRATIONS.len() {
        migrate(connection, path, MIGRATIONS, before_first)?;
    }
    Ok(())
}

fn prepare_to_read(connection: Connection, path: &Path) -> Result<Connection, Fault> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    protect(&connection)?;
    let found = format_now(&connection, path)?;
    if found < MIGRATIONS.len() {
        let (found, known) = (number(found), number(MIGRATIONS.len()));
        return Err(Fault::Told(Error::Older { path: path.to_owned(), found, known }));
    }
    Ok(connection)
}

/// Sets the options against files that are damaged or were prepared by an attacker.
fn protect(connection: &Connection) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // In mapped memory, a failing disk raises a signal instead of an error.
    connection.pragma_update_and_check(None, "mmap_size", 0, |_| Ok(()))?;
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Returns the format in one consistent read: another process may be creating the file.
fn format_now(connection: &Connection, path: &Path) -> Result<usize, Fault> {
    let at_once = connection.unchecked_transaction()?;
    format_of(&at_once, path, MIGRATIONS.len())
}

/// Returns the number of migrations that the file has gone through.
fn format_of(connection: &Connection, path: &Path, known: usize) -> Result<usize, Fault> {
    let path = || path.to_owned();
    let application = pragma(connection, "application_id")?;
    let version = pragma(connection, "user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(Fault::Told(Error::Foreign { path: path() }));
    }
    match usize::try_from(version) {
        Ok(version) if version <= known => Ok(version),
        Ok(_) => {
            let known = number(known);
            Err(Fault::Told(Error::Newer { path: path(), found: version, known }))
        }
        Err(_) => Err(Fault::Damaged(format!("its format is {version}"))),
    }
}

fn check_pages(connection: &Connection) -> Result<(), Fault> {
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(Fault::Damaged(said)) }
}

/// Switches the write-ahead log on. It retries, because SQLite does not wait for another process
/// that does the same, but reports that it is busy.
fn write_ahead(connection: &Connection) -> Result<(), Fault> {
    const NAP: Duration = Duration::from_millis(10);
    let mut tries_left = 500;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) if tries_left == 0 => {
                return Err(Fault::Damaged("its folder allows no write-ahead log".into()));
            }
            Err(error)
                if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy)
                    || tries_left == 0 =>
            {
                return Err(error.into());
            }
            Ok(_) | Err(_) => {}
        }
        tries_left -= 1;
        std::thread::sleep(NAP);
    }
}

/// Brings the file to the newest format, all at once or not at all.
fn migrate(
    connection: &mut Connection,
    path: &Path,
    steps: &[&str],
    before_first: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated it since the format was read.
    let done = format_of(&transaction, path, steps.len())?;
    if done == 0 {
        before_first()?;
    }
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", number(steps.len()))?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> (i64, i64) {
        (pragma(connection, "user_version").unwrap(), pragma(connection, "application_id").unwrap())
    }

    #[test]
    fn migrations_happen_whole_or_not_at_all() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("x");
        let first = ["CREATE TABLE a (x);"];
        migrate(&mut connection, path, &first, &|| Ok(())).unwrap();
        assert_eq!(version(&connection), (1, APPLICATION_ID));

        let broken = [first[0], "CREATE TABLE b (x); INSERT INTO a VALUES (1);", "bogus;"];
        assert!(migrate(&mut connection, path, &broken, &|| Ok(())).is_err());
        assert_eq!(version(&connection), (1, APPLICATION_ID));
        assert!(connection.execute("INSERT INTO b VALUES (1)", []).is_err());

        let never = || panic!("it is not new");
        migrate(&mut connection, path, &broken[..2], &never).unwrap();
        assert_eq!(version(&connection), (2, APPLICATION_ID));
        connection.execute("INSERT INTO b VALUES (1)", []).unwrap();

        let newer = migrate(&mut connection, path, &first, &never).unwrap_err();
        assert!(matches!(newer, Fault::Told(Error::Newer { found: 2, known: 1, .. })));
    }

    #[test]
    fn a_failed_sync_is_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("journal.db"), &|| Ok(())).unwrap();
        for (code, broken) in [(1034, true), (778, false), (13, false)] {
            let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            assert_eq!(is_failed_sync(&error), broken, "{code}");
        }
        let failing =
            || Fault::Sql(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(1034), None));
        assert!(store.write(|_| Err::<(), _>(failing())).is_err());
        let error = store.write(|_| Ok(())).unwrap_err();
        assert!(matches!(error, Error::Disk { source: None, .. }), "{error}");
    }

    #[test]
    fn the_settings_are_as_they_must_be() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("journal.db"), &|| Ok(())).unwrap();
        let connection = store.connection();
        let mode: String =
            connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
        for (name, wanted) in [
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("busy_timeout", 5000),
            ("trusted_schema", 0),
            ("cell_size_check", 1),
            ("mmap_size", 0),
            ("recursive_triggers", 1),
        ] {
            assert_eq!(pragma(&connection, name).unwrap(), wanted, "{name}");
        }
    }
}

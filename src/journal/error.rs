//! The errors of the journal, each with a hint for the person who meets it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::journal::entry::{RunId, short_id};

/// The reason that the journal failed. In each case, nothing was recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file, or the folder for it, cannot be created.
    #[error("cannot create the journal `{}`", path.display())]
    Create {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// There is no journal yet.
    #[error("there is no journal at `{}`", path.display())]
    Absent {
        /// The file looked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("`{}` is not a journal", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The journal was written by a newer program.
    #[error("the journal `{}` has format {found}, but this program knows only {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The journal was written by an older program, and is only read here.
    #[error("the journal `{}` has format {found}, but this program reads {known}", path.display())]
    Older {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The format that this program reads.
        known: i64,
    },
    /// The file or its folder cannot be written.
    #[error("the journal `{}` cannot be written", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// There is no space left.
    #[error("no space is left for the journal `{}`", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Other processes have kept the journal busy for too long.
    #[error("the journal `{}` is kept busy by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The contents are not what was written.
    #[error("the journal `{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The damage.
        what: String,
    },
    /// The audit log and its anchor contradict each other.
    #[error("the audit log in `{}` was altered: {what}", path.display())]
    Altered {
        /// The journal.
        path: PathBuf,
        /// The anchor.
        anchor: PathBuf,
        /// The contradiction.
        what: String,
    },
    /// The disk failed once; after that, no success that it reports can be trusted.
    #[error("the disk failed while the journal `{}` was written", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// The error of the database, at the moment it happens.
        source: Option<rusqlite::Error>,
    },
    /// A lock cannot be taken, for another reason than that it is held.
    #[error("cannot lock `{}`", path.display())]
    Lock {
        /// The file of the lock.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The library is too old: some versions can corrupt a journal that two processes write.
    #[error("SQLite {found} is too old for a journal: at least 3.51.3 is needed")]
    OldSqlite {
        /// The version of the library.
        found: &'static str,
    },
    /// No run has such an id.
    #[error("there is no run `{0}`")]
    NoRun(String),
    /// Several runs have ids with this beginning or end.
    #[error("the ids of {count} runs begin or end with `{part}`: {candidates}")]
    Ambiguous {
        /// The part of an id that was given.
        part: String,
        /// The number of runs.
        count: usize,
        /// The ends of their ids, the newest first.
        candidates: String,
    },
    /// A text is not the id of a run.
    #[error("`{0}` is not the id of a run")]
    InvalidRunId(String),
    /// The record does not fit what was recorded before.
    #[error("run {run}: {what}")]
    Order {
        /// The run.
        run: RunId,
        /// The contradiction, as a predicate of the run.
        what: String,
    },
    /// The agent is paused.
    #[error("the agent `{agent}` is paused{}", because(reason.as_deref()))]
    Paused {
        /// The agent.
        agent: String,
        /// The reason that a person gave.
        reason: Option<String>,
    },
    /// As much waits in the inbox of one sender as may.
    #[error("{waiting} entries of this sender wait in the inbox already, which is as much as may")]
    InboxFull {
        /// The entries that wait.
        waiting: i64,
    },
    /// As much waits in a queue as may.
    #[error("{most} runs wait already")]
    QueueFull {
        /// The limit.
        most: u32,
    },
    /// An agent has submitted as much as it may in an hour.
    #[error("this agent has submitted {most} entries in an hour, which is its limit")]
    TooOften {
        /// The limit.
        most: u64,
    },
    /// A lock has ended, and somebody else may hold it.
    #[error("another process has taken over what this one was doing")]
    LostLock,
    /// An export cannot be read or written.
    #[error("the export failed")]
    Export(#[source] std::io::Error),
    /// The database refused.
    #[error("the journal `{}` failed", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The error of the database.
        source: rusqlite::Error,
    },
}

/// The most runs that an ambiguous id is told to stand for.
const MAX_CANDIDATES: usize = 5;

impl Error {
    /// Returns the error for a part of an id that several have, the newest first.
    pub(crate) fn ambiguous(part: &str, found: &[String]) -> Self {
        let mut candidates: Vec<&str> =
            found.iter().take(MAX_CANDIDATES).map(|id| short_id(id)).collect();
        if found.len() > MAX_CANDIDATES {
            candidates.push("…");
        }
        let candidates = candidates.join(", ");
        Self::Ambiguous { part: part.to_owned(), count: found.len(), candidates }
    }

    /// Returns a stable name.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Create { .. } | Self::ReadOnly { .. } => "journal_not_writable",
            Self::Absent { .. } => "no_journal",
            Self::Foreign { .. } => "not_a_journal",
            Self::Newer { .. } | Self::Older { .. } => "journal_format",
            Self::Full { .. } => "journal_full",
            Self::Busy { .. } => "journal_busy",
            Self::Damaged { .. } => "journal_damaged",
            Self::Altered { .. } => "audit_altered",
            Self::Disk { .. } => "journal_disk",
            Self::Lock { .. } => "lock",
            Self::OldSqlite { .. } => "old_sqlite",
            Self::NoRun(_) => "no_run",
            Self::Ambiguous { .. } => "ambiguous",
            Self::InvalidRunId(_) => "invalid",
            Self::Order { .. } => "journal_order",
            Self::Paused { .. } => "paused",
            Self::InboxFull { .. } => "inbox_full",
            Self::QueueFull { .. } => "queue_full",
            Self::TooOften { .. } => "denied",
            Self::LostLock => "lost_lock",
            Self::Export(_) => "export",
            Self::Database { .. } => "journal",
        }
    }

    /// Returns a hint what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Create { .. } | Self::ReadOnly { .. } | Self::Lock { .. } => {
                "make it writable for you, or name another folder: --state-dir".to_owned()
            }
            Self::Foreign { .. } => {
                "move the file away, or name another folder: --state-dir".to_owned()
            }
            Self::Newer { .. } => {
                "use the version of planwright that wrote it, or a later one".to_owned()
            }
            Self::Older { .. } => "any command that writes brings it up to date".to_owned(),
            Self::Full { .. } => {
                "free some space; nothing more is sent before the journal can be written".to_owned()
            }
            Self::Busy { .. } => "wait for the other process, or end it".to_owned(),
            Self::Damaged { .. } => format!(
                "nothing is sent from a damaged journal: restore a copy of it, or move {} away",
                "it and the files beside it"
            ),
            Self::Altered { anchor, .. } => format!(
                "`planwright audit verify` says more; to continue with the log as it is, move `{}` away",
                anchor.display()
            ),
            Self::Disk { .. } => {
                "check the disk, then start again: `planwright resume` finishes the run".to_owned()
            }
            Self::NoRun(_) | Self::InvalidRunId(_) | Self::Absent { .. } => {
                "`planwright runs` lists them".to_owned()
            }
            Self::Ambiguous { .. } => {
                "the last characters of an id tell runs apart: `planwright runs` shows them"
                    .to_owned()
            }
            Self::InboxFull { .. } => {
                "`planwright work --once` carries them out; `planwright inbox cancel ID` takes one back".to_owned()
            }
            Self::QueueFull { .. } => "try again in a while".to_owned(),
            // A pause is lifted by a person; the one who meets it is an agent.
            Self::OldSqlite { .. }
            | Self::Paused { .. }
            | Self::TooOften { .. }
            | Self::LostLock
            | Self::Order { .. }
            | Self::Export(_)
            | Self::Database { .. } => return None,
        };
        Some(text)
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

/// An error inside the journal, before the name of the file is added.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    /// A stored value is not what it should be.
    Damaged(String),
    Told(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl Fault {
    pub(crate) fn order(run: &RunId, what: impl Into<String>) -> Self {
        Self::Told(Error::Order { run: run.clone(), what: what.into() })
    }

    /// Adds the name of the file.
    pub(crate) fn of(self, path: &Path) -> Error {
        let path = path.to_owned();
        let source = match self {
            Self::Told(error) => return error,
            Self::Damaged(what) => return Error::Damaged { path, what },
            Self::Sql(source) => source,
        };
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Error::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                Error::ReadOnly { path }
            }
            Some(ErrorCode::NotADatabase) => Error::Foreign { path },
            Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path, what: source.to_string() },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { path },
            Some(ErrorCode::SystemIoFailure) => Error::Disk { path, source: Some(source) },
            Some(_) => Error::Database { path, source },
            None => match source {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..) => {
                    Error::Damaged { path, what: source.to_string() }
                }
                source => Error::Database { path, source },
            },
        }
    }
}

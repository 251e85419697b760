//! The versioned objects of Planner, and the only SQL about them.
//!
//! An object is its document as it is answered, a version and the history of its fields. The
//! contents of a document are checked elsewhere; here it is only found, stored, listed and counted.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, params};
use serde_json::{Map, Value};

use crate::emulator::state::change_log;
use crate::emulator::state::etag;
use crate::emulator::state::field_versions::{self, Changes};

/// The kind of an object. Every kind has its own ETags (planner-api.md 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Plan,
    PlanDetails,
    Bucket,
    Task,
    TaskDetails,
    AssignedBoard,
    BucketBoard,
    ProgressBoard,
}

impl ObjectKind {
    /// The kinds that exist once for every task, with the id of the task (planner-api.md 1.1).
    pub(crate) const OF_TASK: [Self; 4] =
        [Self::TaskDetails, Self::AssignedBoard, Self::BucketBoard, Self::ProgressBoard];

    /// All kinds.
    pub(crate) const ALL: [Self; 8] = [
        Self::Plan,
        Self::PlanDetails,
        Self::Bucket,
        Self::Task,
        Self::TaskDetails,
        Self::AssignedBoard,
        Self::BucketBoard,
        Self::ProgressBoard,
    ];

    /// Returns the type token inside an ETag (planner-api.md 3.2).
    pub(crate) fn token(self) -> &'static str {
        match self {
            Self::Plan => "Plan",
            Self::PlanDetails => "PlanDetails",
            Self::Bucket => "Bucket",
            Self::Task => "Task",
            Self::TaskDetails => "TaskDetails",
            Self::AssignedBoard => "AssignedToTaskBoardTaskFormat",
            Self::BucketBoard => "BucketTaskBoardTaskFormat",
            Self::ProgressBoard => "ProgressTaskBoardTaskFormat",
        }
    }

    /// Returns the name in schema messages, which is the same word (planner-api.md 6.3).
    pub(crate) fn entity(self) -> &'static str {
        self.token()
    }

    /// Returns the collection and, for sub-objects, the segment that addresses them
    /// (planner-api.md 2.1 to 2.3).
    pub(crate) fn address(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Plan => ("plans", None),
            Self::PlanDetails => ("plans", Some("details")),
            Self::Bucket => ("buckets", None),
            Self::Task => ("tasks", None),
            Self::TaskDetails => ("tasks", Some("details")),
            Self::AssignedBoard => ("tasks", Some("assignedToTaskBoardFormat")),
            Self::BucketBoard => ("tasks", Some("bucketTaskBoardFormat")),
            Self::ProgressBoard => ("tasks", Some("progressTaskBoardFormat")),
        }
    }

    fn key(self) -> &'static str {
        self.token()
    }
}

/// One stored object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) kind: ObjectKind,
    pub(crate) id: String,
    pub(crate) plan: String,
    pub(crate) version: u64,
    pub(crate) doc: Map<String, Value>,
    pub(crate) changes: Changes,
    /// The place in lists, after which the next page continues.
    pub(crate) seq: i64,
}

/// A list of objects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scope<'a> {
    PlansOfGroup(&'a str),
    PlansSharedWith(&'a str),
    /// The plans of a user's rosters.
    RosterPlansOf(&'a str),
    BucketsOfPlan(&'a str),
    TasksOfPlan(&'a str),
    TasksOfBucket(&'a str),
    TasksAssignedTo(&'a str),
}

impl Scope<'_> {
    pub(crate) fn kind(&self) -> ObjectKind {
        match self {
            Self::PlansOfGroup(_) | Self::PlansSharedWith(_) | Self::RosterPlansOf(_) => {
                ObjectKind::Plan
            }
            Self::BucketsOfPlan(_) => ObjectKind::Bucket,
            Self::TasksOfPlan(_) | Self::TasksOfBucket(_) | Self::TasksAssignedTo(_) => {
                ObjectKind::Task
            }
        }
    }

    fn owner(&self) -> &str {
        let (Self::PlansOfGroup(id)
        | Self::PlansSharedWith(id)
        | Self::RosterPlansOf(id)
        | Self::BucketsOfPlan(id)
        | Self::TasksOfPlan(id)
        | Self::TasksOfBucket(id)
        | Self::TasksAssignedTo(id)) = self;
        id
    }

    /// Returns the source of the rows in SQL, where `?1` is the owner and `?2` the kind.
    fn source(&self) -> &'static str {
        match self {
            Self::PlansOfGroup(_) => "object o WHERE o.group_id = ?1 AND o.kind = ?2",
            Self::RosterPlansOf(_) => {
                "object o WHERE o.kind = ?2 AND o.group_id IN (SELECT m.group_id \
                 FROM group_member m JOIN directory_group g ON g.id = m.group_id \
                 WHERE m.user_id = ?1 AND g.roster = 1)"
            }
            Self::BucketsOfPlan(_) | Self::TasksOfPlan(_) => {
                "object o WHERE o.plan_id = ?1 AND o.kind = ?2"
            }
            Self::TasksOfBucket(_) => "object o WHERE o.bucket_id = ?1 AND o.kind = ?2",
            Self::PlansSharedWith(_) | Self::TasksAssignedTo(_) => {
                "object_user u JOIN object o ON o.seq = u.seq WHERE u.user_id = ?1 AND u.kind = ?2"
            }
        }
    }

    fn order(&self) -> &'static str {
        // By the column that the index of the source ends with, so that most lists need no sort.
        match self {
            Self::PlansSharedWith(_) | Self::TasksAssignedTo(_) => "u.seq",
            _ => "o.seq",
        }
    }
}

const COLUMNS: &str = "o.seq, o.id, o.plan_id, o.version, o.doc, o.changes";

fn from_row(kind: ObjectKind, row: &Row<'_>) -> rusqlite::Result<Object> {
    fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
        serde_json::from_str(row.get_ref(at)?.as_str()?).map_err(|error| {
            let kind = rusqlite::types::Type::Text;
            rusqlite::Error::FromSqlConversionFailure(at, kind, Box::new(error))
        })
    }
    Ok(Object {
        kind,
        seq: row.get(0)?,
        id: row.get(1)?,
        plan: row.get(2)?,
        version: row.get::<_, i64>(3)?.cast_unsigned(),
        doc: json(row, 4)?,
        changes: json(row, 5)?,
    })
}

fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Finds one object.
pub(crate) fn find(
    conn: &Connection,
    kind: ObjectKind,
    id: &str,
) -> rusqlite::Result<Option<Object>> {
    // By default SQLite compares bytes, as ids need: their case counts (planner-api.md trap 29).
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM object o WHERE o.id = ?1 AND o.kind = ?2"))?
        .query_row([id, kind.key()], |row| from_row(kind, row))
        .optional()
}

/// Returns at most `limit` objects of a list, from after the place `after`.
pub(crate) fn list(
    conn: &Connection,
    scope: Scope<'_>,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Object>> {
    let (source, order) = (scope.source(), scope.order());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM {source} AND {order} > ?3 ORDER BY {order} LIMIT ?4"
    ))?
    .query_map(params![scope.owner(), scope.kind().key(), after, limit], |row| {
        from_row(scope.kind(), row)
    })?
    .collect()
}

/// Counts a list.
pub(crate) fn count(conn: &Connection, scope: Scope<'_>) -> rusqlite::Result<usize> {
    let sql = format!("SELECT count(*) FROM {}", scope.source());
    number(conn, &sql, &[&scope.owner(), &scope.kind().key()])
}

/// Counts the tasks of a plan that are not completed.
pub(crate) fn count_active(conn: &Connection, plan: &str) -> rusqlite::Result<usize> {
    number(conn, "SELECT count(*) FROM object WHERE plan_id = ?1 AND active = 1", &[&plan])
}

/// Counts the tasks that a user created.
pub(crate) fn count_created(conn: &Connection, user: &str) -> rusqlite::Result<usize> {
    number(conn, "SELECT count(*) FROM object WHERE creator_id = ?1", &[&user])
}

fn number(conn: &Connection, sql: &str, params: &[&dyn ToSql]) -> rusqlite::Result<usize> {
    let count: i64 = conn.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// The values of the document that are repeated in columns, for lookups and limits.
struct Columns<'a> {
    group: Option<&'a str>,
    bucket: Option<&'a str>,
    creator: Option<&'a str>,
    active: bool,
}

impl<'a> Columns<'a> {
    fn from_doc(kind: ObjectKind, doc: &'a Map<String, Value>) -> Self {
        let none = Self { group: None, bucket: None, creator: None, active: false };
        let text = |name: &str| doc.get(name).and_then(Value::as_str);
        match kind {
            // `owner` is the id of the container, whatever its type; access goes by this column.
            ObjectKind::Plan => Self { group: text("owner"), ..none },
            ObjectKind::Task => Self {
                bucket: text("bucketId"),
                // A task of an application has no user as its creator (planner-api.md 1.14).
                creator: doc
                    .get("createdBy")
                    .and_then(|set| set.pointer("/user/id"))
                    .and_then(Value::as_str),
                // A completed task leaves the limit of active ones (planner-api.md 7.1).
                active: doc.get("percentComplete").and_then(Value::as_i64) != Some(100),
                ..none
            },
            _ => none,
        }
    }
}

/// Stores a new object.
pub(crate) fn insert(
    conn: &Connection,
    kind: ObjectKind,
    id: &str,
    plan: &str,
    doc: Map<String, Value>,
) -> rusqlite::Result<Object> {
    let columns = Columns::from_doc(kind, &doc);
    // Without a history: no tag is older than the first version, so nothing can collide.
    let changes = Changes::default();
    conn.prepare_cached(
        "INSERT INTO object (id, kind, plan_id, group_id, bucket_id, creator_id, active, version, \
         doc, changes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        id,
        kind.key(),
        plan,
        columns.group,
        columns.bucket,
        columns.creator,
        columns.active,
        etag::STEP.cast_signed(),
        json(&doc)?,
        json(&changes)?
    ])?;
    let seq = conn.last_insert_rowid();
    let (id, plan) = (id.to_owned(), plan.to_owned());
    let object = Object { kind, id, plan, version: etag::STEP, doc, changes, seq };
    change_log::created(conn, &object)?;
    Ok(object)
}

/// Stores a changed object under its next version (planner-api.md 3.4).
pub(crate) fn save(
    conn: &Connection,
    object: &mut Object,
    changed: &[String],
) -> rusqlite::Result<()> {
    // Computed fields are among them (planner-api.md 3.4).
    object.version += etag::STEP;
    for path in changed {
        object.changes.record(path, object.version);
    }
    let columns = Columns::from_doc(object.kind, &object.doc);
    conn.prepare_cached(
        "UPDATE object SET bucket_id = ?1, active = ?2, version = ?3, doc = ?4, changes = ?5, \
         plan_id = ?6, group_id = ?7 WHERE seq = ?8",
    )?
    .execute(params![
        columns.bucket,
        columns.active,
        object.version.cast_signed(),
        json(&object.doc)?,
        json(&object.changes)?,
        object.plan,
        columns.group,
        object.seq
    ])?;
    let names = changed.iter().map(|path| field_versions::root(path)).collect();
    change_log::changed(conn, object, &names)
}

/// Moves the parts of a task to the task's plan.
pub(crate) fn move_parts(conn: &Connection, task: &Object) -> rusqlite::Result<()> {
    // They have the id of the task; access to each is decided by its own `plan_id`.
    conn.prepare_cached("UPDATE object SET plan_id = ?1 WHERE id = ?2")?
        .execute([&task.plan, &task.id])?;
    Ok(())
}

/// Replaces the users that a task or plan belongs to.
pub(crate) fn set_users<'a>(
    conn: &Connection,
    kind: ObjectKind,
    seq: i64,
    users: impl Iterator<Item = &'a String>,
) -> rusqlite::Result<()> {
    conn.prepare_cached("DELETE FROM object_user WHERE seq = ?1")?.execute([seq])?;
    let mut add = conn.prepare_cached(
        "INSERT OR IGNORE INTO object_user (user_id, kind, seq) VALUES (?1, ?2, ?3)",
    )?;
    for user in users {
        add.execute(params![user, kind.key(), seq])?;
    }
    Ok(())
}

/// Deletes an object with everything in it: its sub-objects, and the tasks of a bucket
/// (planner-api.md 7.8 and 14).
pub(crate) fn delete(conn: &Connection, object: &Object) -> rusqlite::Result<()> {
    // Sub-objects have the id of their owner, and a plan counts as one of its own objects.
    let condition = match object.kind {
        ObjectKind::Plan => "o.plan_id = ?1",
        ObjectKind::Bucket => {
            "o.id = ?1 OR o.id IN (SELECT id FROM object WHERE bucket_id = ?1 AND kind = 'Task')"
        }
        _ => "o.id = ?1",
    };
    // First, because it reads the rows that are about to be deleted.
    change_log::deleted(conn, condition, &object.id)?;
    conn.prepare_cached(&format!("DELETE FROM object AS o WHERE {condition}"))?
        .execute([&object.id])?;
    Ok(())
}

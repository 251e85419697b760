//! The changes of objects, in order, for delta queries (planner-api.md 2.10).
//!
//! Written by `object`, read by `delta`. A row names the properties that changed and not their
//! values, since a reader is shown the present ones.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use crate::emulator::state::object::{Object, ObjectKind};

/// The nature of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Created,
    /// A change of these properties.
    Changed(BTreeSet<String>),
    Deleted,
}

/// One change.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) kind: ObjectKind,
    pub(crate) what: What,
}

/// The extent of a reading.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent<'a> {
    /// The user who may see all of it; `None` for an application.
    pub(crate) user: Option<&'a str>,
    pub(crate) plan: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
    pub(crate) kind: Option<ObjectKind>,
}

/// The number of old changes that may stand before they are deleted together.
const SLACK: i64 = 1000;

const INSERT: &str = "INSERT INTO object_change (id, kind, plan_id, group_id, what) \
     SELECT ?1, ?2, ?3, (SELECT group_id FROM object WHERE id = ?3 AND kind = 'Plan'), ?4";

/// Records that an object was created.
pub(crate) fn created(conn: &Connection, object: &Object) -> rusqlite::Result<()> {
    record(conn, object, "created")
}

/// Records that an object left its place and exists elsewhere: a deletion, to readers of the old
/// place.
pub(crate) fn left(conn: &Connection, object: &Object) -> rusqlite::Result<()> {
    record(conn, object, "deleted")
}

/// Records which properties of an object changed.
pub(crate) fn changed(
    conn: &Connection,
    object: &Object,
    names: &BTreeSet<&str>,
) -> rusqlite::Result<()> {
    let what = serde_json::to_string(names)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    record(conn, object, &what)
}

fn record(conn: &Connection, object: &Object, what: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(INSERT)?.execute(params![
        object.id,
        object.kind.token(),
        object.plan,
        what
    ])?;
    Ok(())
}

/// Records that the objects for which a condition on `o` and `?1` holds are about to be deleted.
/// Their parts are not recorded: they are deleted with them.
pub(crate) fn deleted(conn: &Connection, condition: &str, id: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(&format!(
        "INSERT INTO object_change (id, kind, plan_id, group_id, what) \
         SELECT o.id, o.kind, o.plan_id, p.group_id, 'deleted' FROM object o \
         LEFT JOIN object p ON p.id = o.plan_id AND p.kind = 'Plan' \
         WHERE ({condition}) AND o.kind IN ('Plan', 'Bucket', 'Task')"
    ))?
    .execute([id])?;
    Ok(())
}

/// Returns the number of the latest change.
pub(crate) fn latest(conn: &Connection) -> rusqlite::Result<i64> {
    conn.prepare_cached("SELECT coalesce(max(seq), 0) FROM object_change")?
        .query_row([], |row| row.get(0))
}

/// Deletes old changes once there are many of them: all but the latest, which the tokens within
/// their lifetime need.
pub(crate) fn trim(conn: &Connection, kept: i64) -> rusqlite::Result<()> {
    // The latest one always stays, since the next number is read from it.
    let kept = kept.max(1);
    let oldest: i64 = conn
        .prepare_cached("SELECT coalesce(min(seq), 0) FROM object_change")?
        .query_row([], |row| row.get(0))?;
    // Not at every write: many rows at once cost hardly more than one.
    if latest(conn)? - oldest >= kept + kept.min(SLACK) { prune(conn, kept) } else { Ok(()) }
}

/// Deletes all but the latest changes.
pub(crate) fn prune(conn: &Connection, kept: i64) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM object_change WHERE seq <= ?1", [latest(conn)? - kept])?;
    Ok(())
}

/// Returns at most `limit` changes after a number.
pub(crate) fn since(
    conn: &Connection,
    extent: Extent<'_>,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Row>> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, id, kind, what FROM object_change \
         WHERE seq > ?1 AND (?2 IS NULL OR plan_id = ?2) AND (?3 IS NULL OR group_id = ?3) \
         AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR group_id IN \
             (SELECT m.group_id FROM group_member m WHERE m.user_id = ?5)) \
         ORDER BY seq LIMIT ?6",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let kind = extent.kind.map(ObjectKind::token);
    let mut rows =
        statement.query(params![after, extent.plan, extent.group, kind, extent.user, limit])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let (kind, what): (String, String) = (row.get(2)?, row.get(3)?);
        let kind = ObjectKind::ALL.into_iter().find(|known| known.token() == kind);
        let Some(kind) = kind else { continue };
        let what = match what.as_str() {
            "created" => What::Created,
            "deleted" => What::Deleted,
            names => What::Changed(serde_json::from_str(names).unwrap_or_default()),
        };
        out.push(Row { seq: row.get(0)?, id: row.get(1)?, kind, what });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{latest, trim};

    #[test]
    fn old_changes_are_deleted_as_new_ones_come() {
        let insert = "INSERT INTO object_change (id, kind, plan_id, what) VALUES ('', '', '', '')";
        for (kept, bound) in [(5, 10), (2000, 3000), (0, 2)] {
            let conn = Connection::open_in_memory().unwrap();
            conn.execute_batch(include_str!("../store/0003_changes.sql")).unwrap();
            for at in 1..=5000 {
                conn.execute(insert, []).unwrap();
                trim(&conn, kept).unwrap();
                let sql = "SELECT count(*) FROM object_change";
                let count: i64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
                assert!(count >= at.min(kept) && count <= bound, "{count} of {at}");
                assert_eq!(latest(&conn).unwrap(), at);
            }
        }
    }
}

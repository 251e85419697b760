//! What a rule needs to know beside the request: who asks, when, and the state.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::id::Ids;
use crate::emulator::state::limits::Limits;
use crate::emulator::state::members;
use crate::emulator::state::object::{self, Kind, Object};
use crate::emulator::state::replica::Replica;
use crate::emulator::state::timestamp;

/// One request's surroundings, inside its transaction.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) conn: &'a Connection,
    /// The id of the signed-in user, or of the application where there is none.
    pub(crate) caller: String,
    /// The client that asks.
    pub(crate) client: String,
    /// Whether there is no user (10.8).
    pub(crate) is_app: bool,
    pub(crate) now: Timestamp,
    /// The zone that decides what today is.
    pub(crate) zone: TimeZone,
    /// What is not to be found yet; nothing while a tenant is seeded.
    pub(crate) replica: Option<&'a Replica>,
    pub(crate) ids: Arc<Ids>,
    pub(crate) limits: Limits,
    /// Whether the beta is asked.
    pub(crate) beta: bool,
    /// How many changes a delta token may lag behind.
    pub(crate) kept_changes: i64,
    /// The size of a page of plans, buckets or tasks.
    pub(crate) page_size: usize,
}

impl Call<'_> {
    /// The present moment as Planner writes it.
    pub(crate) fn moment(&self) -> Value {
        Value::String(timestamp::format(self.now))
    }

    /// The hint of an item that asked for no place.
    pub(crate) fn default_hint(&self) -> Value {
        Value::String(timestamp::default_hint(self.now))
    }

    /// The caller as an identity set; names are never filled in (planner-api.md 1.14).
    pub(crate) fn actor(&self) -> Value {
        let application = json!({ "displayName": null, "id": self.client });
        if self.is_app {
            return json!({ "application": application });
        }
        json!({
            "user": { "displayName": null, "id": self.caller },
            "application": application,
        })
    }

    /// The caller as in `lastModifiedBy`, which names no application (13.8).
    pub(crate) fn user(&self) -> Value {
        if self.is_app {
            return self.actor();
        }
        json!({ "user": { "displayName": null, "id": self.caller } })
    }

    /// Finds an object that the caller may see: steps 4 and 5 of 2.8.
    pub(crate) fn open(&self, kind: Kind, id: &str) -> Result<Object, Fault> {
        let object = object::find(self.conn, kind, id)?.ok_or_else(Fault::not_found)?;
        if self.may_access(&object.plan)? { Ok(object) } else { Err(Fault::forbidden()) }
    }

    /// Says whether the caller is a member of the group that contains a plan; an application
    /// need not be (11).
    pub(crate) fn may_access(&self, plan: &str) -> Result<bool, Fault> {
        if self.is_app {
            return Ok(object::find(self.conn, Kind::Plan, plan)?.is_some());
        }
        let is_member = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM object o JOIN group_member m ON m.group_id = o.group_id \
                 WHERE o.id = ?1 AND o.kind = 'Plan' AND m.user_id = ?2",
            )?
            .exists([plan, self.caller.as_str()])?;
        Ok(is_member)
    }

    /// Says whether the caller sees what is in a group.
    pub(crate) fn may_enter(&self, group: &str) -> Result<bool, Fault> {
        if let (Some(replica), Some(created)) = (self.replica, members::created(self.conn, group)?)
            && replica.hides_group(created, self.now)
        {
            return Ok(false);
        }
        Ok(self.is_app || members::is_member(self.conn, group, &self.caller)?)
    }

    /// Says whether an object was created so recently that it is not to be found yet.
    pub(crate) fn is_hidden(&self, kind: Kind, id: &str) -> bool {
        self.replica.is_some_and(|replica| replica.hides(kind, id, self.now))
    }

    /// The plan of a new bucket or task: unknown and inaccessible are not told apart (6.2).
    pub(crate) fn container_plan(&self, id: &str) -> Result<(), Fault> {
        if !self.is_hidden(Kind::Plan, id) && self.may_access(id)? {
            Ok(())
        } else {
            Err(Fault::forbidden_or_missing())
        }
    }
}

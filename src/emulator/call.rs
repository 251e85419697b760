//! What a rule needs to know beside the request: who asks, when, and the state.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::emulator::fault::Fault;
use crate::emulator::id::Ids;
use crate::emulator::limits::Limits;
use crate::emulator::moment;
use crate::emulator::object::{self, Kind, Object};

/// The application that signs requests when a real client would have its own id.
const APPLICATION: &str = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f";

/// One request's surroundings, inside its transaction.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) conn: &'a Connection,
    /// The id of the signed-in user.
    pub(crate) caller: String,
    pub(crate) now: Timestamp,
    pub(crate) ids: Arc<Ids>,
    pub(crate) limits: Limits,
    /// The size of a page of plans, buckets or tasks.
    pub(crate) page_size: usize,
}

impl Call<'_> {
    /// The present moment as Planner writes it.
    pub(crate) fn moment(&self) -> Value {
        Value::String(moment::format(self.now))
    }

    /// The hint of an item that asked for no place.
    pub(crate) fn default_hint(&self) -> Value {
        Value::String(moment::default_hint(self.now))
    }

    /// The caller as an identity set; names are never filled in (planner-api.md 1.14).
    pub(crate) fn actor(&self) -> Value {
        json!({
            "user": { "displayName": null, "id": self.caller },
            "application": { "displayName": null, "id": APPLICATION },
        })
    }

    /// The caller as in `lastModifiedBy`, which names no application (13.8).
    pub(crate) fn user(&self) -> Value {
        json!({ "user": { "displayName": null, "id": self.caller } })
    }

    /// Finds an object that the caller may see: steps 4 and 5 of 2.8.
    pub(crate) fn open(&self, kind: Kind, id: &str) -> Result<Object, Fault> {
        let object = object::find(self.conn, kind, id)?.ok_or_else(Fault::not_found)?;
        if self.may_access(&object.plan)? { Ok(object) } else { Err(Fault::forbidden()) }
    }

    /// Says whether the caller is a member of the group that contains a plan (11).
    pub(crate) fn may_access(&self, plan: &str) -> Result<bool, Fault> {
        let is_member = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM object o JOIN group_member m ON m.group_id = o.group_id \
                 WHERE o.id = ?1 AND o.kind = 'Plan' AND m.user_id = ?2",
            )?
            .exists([plan, self.caller.as_str()])?;
        Ok(is_member)
    }

    /// The plan of a new bucket or task: unknown and inaccessible are not told apart (6.2).
    pub(crate) fn container_plan(&self, id: &str) -> Result<(), Fault> {
        if self.may_access(id)? { Ok(()) } else { Err(Fault::forbidden_or_missing()) }
    }
}

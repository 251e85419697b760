//! The context of a rule beside the request: the caller, the time and the state.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id::Ids;
use crate::emulator::state::limits::Limits;
use crate::emulator::state::members;
use crate::emulator::state::object::{self, Object, ObjectKind};
use crate::emulator::state::order_hint::{self, Places};
use crate::emulator::state::replica::Replica;
use crate::emulator::state::timestamp;

/// The context of one request, inside its transaction.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) conn: &'a Connection,
    /// The id of the signed-in user, or of the application where there is none.
    pub(crate) caller: String,
    /// The id of the client.
    pub(crate) client: String,
    /// True for an application without a user (planner-api.md 10.8).
    pub(crate) is_app: bool,
    pub(crate) now: Timestamp,
    /// The time zone that decides which day is today.
    pub(crate) zone: TimeZone,
    /// The objects that are hidden because they are new; `None` while a tenant is seeded.
    pub(crate) replica: Option<&'a Replica>,
    pub(crate) ids: Arc<Ids>,
    /// The source of hints for items without neighbours.
    pub(crate) places: &'a Places,
    pub(crate) limits: Limits,
    /// True if the beta is addressed.
    pub(crate) beta: bool,
    /// The number of changes that a delta token may lag behind.
    pub(crate) kept_changes: i64,
    /// The size of a page of plans, buckets or tasks.
    pub(crate) page_size: usize,
}

impl Call<'_> {
    /// Returns the present moment as Planner writes it.
    pub(crate) fn moment(&self) -> Value {
        Value::String(timestamp::format(self.now))
    }

    /// Returns the hint of an item for which the client asked no place.
    pub(crate) fn default_hint(&self) -> Value {
        Value::String(order_hint::default_hint(self.now))
    }

    /// Returns the hint for a position as a client describes it; `None` if the format is invalid.
    pub(crate) fn place(&self, description: &str) -> Option<String> {
        // Two items with the same hint would have no order among themselves (planner-api.md 4.5).
        if order_hint::is_anywhere(description) {
            return Some(self.places.next(self.now));
        }
        order_hint::resolve(description)
    }

    /// Returns the caller as an identity set; names are never filled in (planner-api.md 1.14).
    pub(crate) fn actor(&self) -> Value {
        let application = json!({ "displayName": null, "id": self.client });
        if self.is_app {
            // There is no user to name (planner-api.md 1.14).
            return json!({ "application": application });
        }
        json!({
            "user": { "displayName": null, "id": self.caller },
            "application": application,
        })
    }

    /// Returns the caller as in `lastModifiedBy`, which names no application
    /// (planner-api.md 13.8).
    pub(crate) fn user(&self) -> Value {
        if self.is_app {
            return self.actor();
        }
        json!({ "user": { "displayName": null, "id": self.caller } })
    }

    /// Finds an object that the caller may see: steps 4 and 5 of planner-api.md 2.8.
    pub(crate) fn open(&self, kind: ObjectKind, id: &str) -> Result<Object, GraphError> {
        // Missing and closed are told apart, unlike on create and move (planner-api.md 6.2).
        let object = object::find(self.conn, kind, id)?.ok_or_else(GraphError::not_found)?;
        if self.may_access(&object.plan)? { Ok(object) } else { Err(GraphError::forbidden()) }
    }

    /// Returns whether the caller is a member of the group that contains a plan; an application
    /// need not be one (planner-api.md 11).
    pub(crate) fn may_access(&self, plan: &str) -> Result<bool, GraphError> {
        if self.is_app {
            // Looked up all the same: the plan that a new bucket or task names may not exist.
            return Ok(object::find(self.conn, ObjectKind::Plan, plan)?.is_some());
        }
        // By membership alone: `sharedWith` gives no access (planner-api.md 11).
        let is_member = self
            .conn
            .prepare_cached(
                "SELECT 1 FROM object o JOIN group_member m ON m.group_id = o.group_id \
                 WHERE o.id = ?1 AND o.kind = 'Plan' AND m.user_id = ?2",
            )?
            .exists([plan, self.caller.as_str()])?;
        Ok(is_member)
    }

    /// Returns whether the caller may see the contents of a group.
    pub(crate) fn may_enter(&self, group: &str) -> Result<bool, GraphError> {
        // Planner learns of a new group late and refuses even its members (planner-api.md 11).
        if let (Some(replica), Some(created)) = (self.replica, members::created(self.conn, group)?)
            && replica.hides_group(created, self.now)
        {
            return Ok(false);
        }
        Ok(self.is_app || members::is_member(self.conn, group, &self.caller)?)
    }

    /// Returns whether an object is too new to be found yet.
    pub(crate) fn is_hidden(&self, kind: ObjectKind, id: &str) -> bool {
        self.replica.is_some_and(|replica| replica.hides(kind, id, self.now))
    }

    /// Checks the plan of a new bucket or task. The refusal does not reveal whether the plan is
    /// unknown or inaccessible (planner-api.md 6.2).
    pub(crate) fn container_plan(&self, id: &str) -> Result<(), GraphError> {
        // A plan that is not visible yet is refused like one that does not exist.
        if !self.is_hidden(ObjectKind::Plan, id) && self.may_access(id)? {
            Ok(())
        } else {
            Err(GraphError::forbidden_or_missing())
        }
    }
}

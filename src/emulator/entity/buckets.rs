//! The creation of buckets (planner-api.md 1.5 and 2.2). Changes need no rule of their own.

use serde_json::{Map, Value, json};

use crate::emulator::body::json;
use crate::emulator::body::patch;
use crate::emulator::entity::tasks;
use crate::emulator::state::call::Call;
use crate::emulator::state::field_versions::Changes;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::limits;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};

/// Creates a bucket (planner-api.md 2.2 B1).
pub(crate) fn create(call: &Call<'_>, body: &Map<String, Value>) -> Result<Object, GraphError> {
    let mut body = body.clone();
    let plan = tasks::plan_of(call, "Bucket", &mut body)?;
    // The document below starts with a null, which the type does not allow (planner-api.md 1.5): a
    // missing name would be stored as one.
    if body.get("name").is_none_or(Value::is_null) {
        return Err(GraphError::null_field("Bucket", "name"));
    }
    let id = call.ids.planner();
    let doc = json!({
        "name": null,
        "planId": plan,
        "orderHint": call.default_hint(),
        "id": id,
    });
    let doc = json::into_map(doc);
    // Not stored yet: an object all the same, so that `patch` reads a POST as it does a PATCH.
    let changes = Changes::default();
    let mut bucket =
        Object { kind: ObjectKind::Bucket, id, plan, version: 0, doc, changes, seq: 0 };
    patch::apply(call, &mut bucket, &body)?;
    // Limits come after the body: steps 7 and 8 of planner-api.md 2.8.
    let buckets = object::count(call.conn, Scope::BucketsOfPlan(&bucket.plan))? + 1;
    limits::check(buckets, call.limits.buckets_in_plan, "MaximumBucketsInProject")?;
    Ok(object::insert(call.conn, ObjectKind::Bucket, &bucket.id, &bucket.plan, bucket.doc)?)
}

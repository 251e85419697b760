//! Buckets: creation (planner-api.md sections 1.5 and 2.2).

use serde_json::{Map, Value, json};

use crate::emulator::body::json;
use crate::emulator::body::patch;
use crate::emulator::entity::tasks;
use crate::emulator::state::call::Call;
use crate::emulator::state::changes::Changes;
use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::limits;
use crate::emulator::state::object::{self, Kind, Object, Scope};

/// Creates a bucket (B1).
pub(crate) fn create(call: &Call<'_>, body: &Map<String, Value>) -> Result<Object, Fault> {
    let mut body = body.clone();
    let plan = tasks::plan_of(call, "Bucket", &mut body)?;
    if body.get("name").is_none_or(Value::is_null) {
        return Err(Fault::null_field("Bucket", "name"));
    }
    let id = call.ids.planner();
    let doc = json!({
        "name": null,
        "planId": plan,
        "orderHint": call.default_hint(),
        "id": id,
    });
    let doc = json::into_map(doc);
    let changes = Changes::default();
    let mut bucket = Object { kind: Kind::Bucket, id, plan, version: 0, doc, changes, seq: 0 };
    patch::apply(call, &mut bucket, &body)?;
    let buckets = object::count(call.conn, Scope::BucketsOfPlan(&bucket.plan))? + 1;
    limits::check(buckets, call.limits.buckets_in_plan, "MaximumBucketsInProject")?;
    Ok(object::insert(call.conn, Kind::Bucket, &bucket.id, &bucket.plan, bucket.doc)?)
}

//! Bodies of writes: the fields they set, whether these collide, and their application.
//!
//! planner-api.md 2.4, 3.4, 5 and 6.3. Both POST and PATCH come here: a POST is a patch of the
//! default document. The consequences of a change (counts, completion, access) are computed by the
//! entity afterwards.

use serde_json::{Map, Value};

use crate::emulator::body::notes;
use crate::emulator::body::open_type;
use crate::emulator::body::schema::{self, Rule};
use crate::emulator::state::call::Call;
use crate::emulator::state::field_versions;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::object::{self, Object, ObjectKind};
use crate::emulator::state::timestamp;

/// The values of `plannerPreviewType` (planner-api.md 1.7).
const PREVIEW_TYPES: [&str; 5] =
    ["automatic", "noPreview", "checklist", "description", "reference"];

/// Refuses a body that sets a field which changed after the version the client saw
/// (planner-api.md 3.4).
///
/// Works on the raw body, because a conflict is reported before a mistake in the body
/// (planner-api.md 2.8).
pub(crate) fn check_collisions(
    call: &Call<'_>,
    object: &Object,
    seen: u64,
    body: &Map<String, Value>,
) -> Result<(), GraphError> {
    if seen == object.version {
        return Ok(());
    }
    let mut paths = touched(call, object.kind, body);
    if call.beta && object.kind == ObjectKind::Task {
        // Read-only in the tables, which are those of v1.0, but writable in the beta.
        let names = ["planId", "recurrence"].into_iter().filter(|name| body.contains_key(*name));
        paths.extend(names.map(|name| field_versions::path(&[name])));
    }
    if call.beta && object.kind == ObjectKind::TaskDetails {
        paths.extend(notes::touched(body));
    }
    let collides = paths.iter().any(|path| object.changes.collides(path, seen));
    if collides { Err(GraphError::conflict()) } else { Ok(()) }
}

/// Returns the paths that a body sets.
fn touched(call: &Call<'_>, kind: ObjectKind, body: &Map<String, Value>) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, value) in body.iter().filter(|(name, _)| !schema::is_annotation(name)) {
        // `apply` refuses an unknown name, after the collisions (planner-api.md 2.8).
        let Some(property) = schema::find(schema::properties(kind), name) else { continue };
        match (property.rule, value) {
            // Cannot be set, so it cannot collide; `apply` refuses a value that differs.
            (Rule::ReadOnly, _) => (),
            (
                Rule::Flags(_) | Rule::Hints | Rule::Labels | Rule::Entries(_),
                Value::Object(entries),
            ) => paths.extend(open_type::touched(call, name, property.rule, entries)),
            _ => paths.push(field_versions::path(&[name])),
        }
    }
    paths
}

/// Applies a body to a document and returns the paths that really changed.
///
/// # Errors
///
/// 400 for anything that the tables of planner-api.md 1 do not allow, 403 for a move to another
/// plan.
pub(crate) fn apply(
    call: &Call<'_>,
    object: &mut Object,
    body: &Map<String, Value>,
) -> Result<Vec<String>, GraphError> {
    let kind = object.kind;
    let mut changed = Vec::new();
    for (name, value) in body.iter().filter(|(name, _)| !schema::is_annotation(name)) {
        let Some(property) = schema::find(schema::properties(kind), name) else {
            return Err(unknown(&format!("planner{}", kind.token()), name));
        };
        let present = object.doc.get(name).unwrap_or(&Value::Null);
        let new = match property.rule {
            // Clients echo whole objects, so only a value that differs is refused
            // (planner-api.md 5.6).
            Rule::ReadOnly if present == value => continue,
            // Tasks move between plans in the beta only (planner-api.md 14), where the task is
            // moved before this point, so that `planId` is equal here.
            Rule::ReadOnly if (kind, property.name) == (ObjectKind::Task, "planId") => {
                return Err(GraphError::forbidden_or_missing());
            }
            Rule::ReadOnly => return Err(GraphError::read_only(kind.entity(), name)),
            Rule::Flags(_) | Rule::Hints | Rule::Labels | Rule::Entries(_) => {
                // PATCH never replaces a container: null for all of it is refused
                // (planner-api.md 5.2).
                let (Value::Object(entries), Some(Value::Object(present))) =
                    (value, object.doc.get_mut(name))
                else {
                    return Err(wrong_type(name));
                };
                let target = open_type::Target { entity: kind.entity(), name, rule: property.rule };
                changed.extend(target.merge(call, present, entries)?);
                continue;
            }
            rule => read(call, kind.entity(), &object.plan, name, rule, value)?,
        };
        // An equal value leaves the version as it is (planner-api.md 3.4).
        if *present != new {
            object.doc.insert(name.clone(), new);
            changed.push(field_versions::path(&[name]));
        }
    }
    Ok(changed)
}

/// Reads the value of a property that is not an open type.
pub(crate) fn read(
    call: &Call<'_>,
    entity: &str,
    plan: &str,
    name: &str,
    rule: Rule,
    value: &Value,
) -> Result<Value, GraphError> {
    let schema = |reason| Err(GraphError::schema(entity, name, reason));
    let null = || Err(GraphError::null_field(entity, name));
    Ok(match (rule, value) {
        (Rule::OptionalText | Rule::Moment | Rule::Bucket, Value::Null) => Value::Null,
        // Null clears a description, which is never answered as null (planner-api.md 1.7).
        (Rule::Description, Value::Null) => Value::String(String::new()),
        (Rule::Whole { default: Some(default), .. }, Value::Null) => Value::from(default),
        (_, Value::Null) => return null(),
        (Rule::Text, Value::String(text)) if text.is_empty() => {
            return schema("The value must not be empty.");
        }
        (Rule::Text | Rule::OptionalText | Rule::Description, Value::String(_))
        | (Rule::Boolean, Value::Bool(_)) => value.clone(),
        (Rule::Whole { min, max, .. }, Value::Number(_)) => match value.as_i64() {
            Some(number) if (min..=max).contains(&number) => value.clone(),
            Some(_) => return schema("The value is out of range."),
            None => return Err(wrong_type(name)),
        },
        (Rule::Moment, Value::String(text)) => match timestamp::parse(text) {
            // In UTC, whatever the offset that was sent (planner-api.md 7.3).
            Some(moment) => Value::String(timestamp::format(moment)),
            None => return Err(wrong_type(name)),
        },
        (Rule::Bucket, Value::String(bucket)) => {
            if !id::is_planner(bucket) {
                return Err(GraphError::malformed_id(bucket));
            }
            let found = object::find(call.conn, ObjectKind::Bucket, bucket)?;
            // An unknown bucket is refused like one of another plan (planner-api.md trap 17).
            if found.is_none_or(|found| found.plan != plan) {
                return schema("The bucket does not belong to the plan of the task.");
            }
            value.clone()
        }
        // Stored as the service resolves it. An echoed hint describes no position and is refused
        // (planner-api.md 4.4).
        (Rule::Hint, Value::String(text)) => {
            Value::String(call.place(text).ok_or_else(|| GraphError::hint(text))?)
        }
        (Rule::Preview, Value::String(text)) if PREVIEW_TYPES.contains(&text.as_str()) => {
            value.clone()
        }
        _ => return Err(wrong_type(name)),
    })
}

/// Returns the refusal of a property that the type does not have (planner-api.md 2.4).
pub(crate) fn unknown(type_name: &str, name: &str) -> GraphError {
    GraphError::bad_request(format!(
        "The property '{name}' does not exist on type 'microsoft.graph.{type_name}'. Make sure to \
         only use property names that are defined by the type."
    ))
}

/// Returns the refusal of a value of the wrong JSON type (planner-api.md 2.4).
pub(crate) fn wrong_type(name: &str) -> GraphError {
    GraphError::bad_request(format!("Invalid value specified for property '{name}'."))
}

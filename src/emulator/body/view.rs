//! The form of objects in answers: annotations, `$select`, `$expand`, lists and pages.
//!
//! planner-api.md 8. Other query options are ignored, as the service does.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::emulator::body::known::Type;
use crate::emulator::body::schema;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::etag;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};

/// The selection that a request makes.
#[derive(Debug)]
pub(crate) struct View<'a> {
    request: &'a Request,
    select: Vec<&'a str>,
    expand: Vec<&'a str>,
}

/// A navigation that `$expand` can inline.
#[derive(Debug, Clone, Copy)]
enum Navigation {
    Part(ObjectKind),
    Buckets,
    TasksOfPlan,
    TasksOfBucket,
}

impl<'a> View<'a> {
    pub(crate) fn from_request(request: &'a Request) -> Self {
        let names = |option: &str| {
            let list = request.option(option).unwrap_or_default();
            split(list).filter(|name| !name.is_empty() && *name != "*").collect()
        };
        Self { request, select: names("$select"), expand: names("$expand") }
    }

    /// Answers a GET of one object; 304 if the client has this version (planner-api.md 3.6).
    pub(crate) fn one(&self, call: &Call<'_>, object: &Object) -> Result<Handled, GraphError> {
        let tag = etag::format(object.kind, object.version);
        if etag::names(&self.request.if_none_match(), &tag) {
            return Ok(Handled::empty(304).with("etag", tag));
        }
        self.whole(call, object, 200)
    }

    /// Answers a POST with the new object.
    pub(crate) fn created(&self, call: &Call<'_>, object: &Object) -> Result<Handled, GraphError> {
        // Not in the documentation; the form is the one of planner-api.md 2.0.
        let location =
            format!("{}/planner/{}('{}')", self.request.root(), object.kind.address().0, object.id);
        Ok(self.whole(call, object, 201)?.with("location", location))
    }

    /// Answers a PATCH: with the object only if the client prefers that (planner-api.md 3.7).
    pub(crate) fn updated(&self, call: &Call<'_>, object: &Object) -> Result<Handled, GraphError> {
        if !self.request.prefers("return=representation") {
            // Without the new tag as well, which only the preference returns (planner-api.md 3.7).
            return Ok(Handled::empty(204));
        }
        let answer = self.whole(call, object, 200)?;
        Ok(answer.with("preference-applied", "return=representation"))
    }

    fn whole(&self, call: &Call<'_>, object: &Object, status: u16) -> Result<Handled, GraphError> {
        Type::Planner(object.kind, call.beta).check_selection(&self.select)?;
        let (collection, part) = object.kind.address();
        let of = match part {
            Some(part) => format!("planner/{collection}('{}')/{part}", object.id),
            None => format!("planner/{collection}"),
        };
        let mut body = Map::new();
        body.insert(
            "@odata.context".to_owned(),
            format!("{}/$metadata#{of}{}/$entity", self.request.root(), self.selection()).into(),
        );
        // After the context, which precedes the tag (planner-api.md 1.6).
        body.append(&mut self.entity(call, object)?);
        Ok(Handled::json(status, body).with("etag", etag::format(object.kind, object.version)))
    }

    /// Answers with a page of a list (planner-api.md 8.2).
    pub(crate) fn list(&self, call: &Call<'_>, scope: Scope<'_>) -> Result<Handled, GraphError> {
        Type::Planner(scope.kind(), call.beta).check_selection(&self.select)?;
        let after = skip_token(self.request)?;
        let size = call.page_size.max(1);
        // One more than a page, to know whether there is another. Hidden objects make a page
        // shorter and do not end the list: the link goes by the last row.
        let mut objects = object::list(call.conn, scope, after, size.saturating_add(1))?;
        let has_more = objects.len() > size;
        objects.truncate(size);
        let next = objects.last().filter(|_| has_more).map(|last| last.seq);
        let items: Vec<Value> = objects
            .iter()
            .filter(|object| !call.is_hidden(object.kind, &object.id))
            .map(|object| self.entity(call, object).map(Value::Object))
            .collect::<Result<_, _>>()?;
        let token = scope.kind().token();
        let context = format!("Collection(microsoft.graph.planner{token})");
        let mut body = envelope(self.request, &context, &self.select);
        // It counts this page, as the service does (planner-api.md trap 43).
        body.insert("@odata.count".to_owned(), items.len().into());
        if let Some(next) = next {
            let link = self.request.next_link(&page_token(next));
            body.insert("@odata.nextLink".to_owned(), link.into());
        }
        body.insert("value".to_owned(), items.into());
        Ok(Handled::json(200, body))
    }

    /// Returns an object as it is answered, its tag first.
    fn entity(&self, call: &Call<'_>, object: &Object) -> Result<Map<String, Value>, GraphError> {
        // The tag stays, whatever is selected (planner-api.md 8.1).
        let mut out = tagged(object);
        let doc = schema::shown(object.kind, &object.doc, call.beta);
        for (name, value) in selected(&doc, &self.select) {
            out.insert(name, value);
        }
        if let Some(container) =
            out.get_mut("container").filter(|_| object.kind == ObjectKind::Plan)
            && !self.request.prefers("include-unknown-enum-members")
        {
            hide_unknown(container);
        }
        for name in &self.expand {
            let bare = name.split('(').next().unwrap_or_default().trim();
            let Some((property, navigation)) = navigation(object.kind, bare) else {
                let type_name = format!("microsoft.graph.planner{}", object.kind.token());
                return Err(GraphError::bad_request(format!(
                    "Parsing OData Select and Expand failed: Could not find a property named \
                     '{bare}' on type '{type_name}'."
                )));
            };
            out.insert(property.to_owned(), expanded(call, object, navigation)?);
        }
        Ok(out)
    }

    /// Returns the selection as a context states it (planner-api.md 13.13).
    fn selection(&self) -> String {
        selection(&self.select)
    }
}

/// Returns a list's body up to its items.
pub(crate) fn envelope(request: &Request, of: &str, select: &[&str]) -> Map<String, Value> {
    let context = format!("{}/$metadata#{of}{}", request.root(), selection(select));
    Map::from_iter([("@odata.context".to_owned(), context.into())])
}

/// Returns the selection as a context states it: nothing, or the names in parentheses.
pub(crate) fn selection(select: &[&str]) -> String {
    if select.is_empty() { String::new() } else { format!("({})", select.join(",")) }
}

/// Returns the selected members of a document in the order of the selection, or all of them. Names
/// are matched without case, as in Graph.
pub(crate) fn selected(doc: &Map<String, Value>, select: &[&str]) -> Map<String, Value> {
    if select.is_empty() {
        return doc.clone();
    }
    let member = |name: &&str| {
        let (name, value) = doc.iter().find(|(member, _)| member.eq_ignore_ascii_case(name))?;
        Some((name.clone(), value.clone()))
    };
    select.iter().filter_map(member).collect()
}

/// Splits a `$select` or `$expand` into names; commas inside parentheses do not separate.
pub(crate) fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    list.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => (),
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
}

/// Returns an opaque token for the page after a row.
pub(crate) fn page_token(after: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{after}"))
}

/// Returns the row after which the requested page begins.
pub(crate) fn skip_token(request: &Request) -> Result<i64, GraphError> {
    let Some(token) = request.option("$skiptoken") else { return Ok(0) };
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let after = decoded.as_deref().and_then(|text| text.strip_prefix("after:")?.parse().ok());
    after.ok_or_else(|| GraphError::bad_request("The $skiptoken is not valid."))
}

fn tagged(object: &Object) -> Map<String, Value> {
    let tag = etag::format(object.kind, object.version);
    Map::from_iter([("@odata.etag".to_owned(), tag.into())])
}

/// Finds what an entity can inline under a name; names are matched without case.
fn navigation(kind: ObjectKind, name: &str) -> Option<(&'static str, Navigation)> {
    let candidates: &[(&str, Navigation)] = match kind {
        ObjectKind::Task => &[
            ("details", Navigation::Part(ObjectKind::TaskDetails)),
            ("assignedToTaskBoardFormat", Navigation::Part(ObjectKind::AssignedBoard)),
            ("bucketTaskBoardFormat", Navigation::Part(ObjectKind::BucketBoard)),
            ("progressTaskBoardFormat", Navigation::Part(ObjectKind::ProgressBoard)),
        ],
        ObjectKind::Plan => &[
            ("details", Navigation::Part(ObjectKind::PlanDetails)),
            ("buckets", Navigation::Buckets),
            ("tasks", Navigation::TasksOfPlan),
        ],
        ObjectKind::Bucket => &[("tasks", Navigation::TasksOfBucket)],
        _ => &[],
    };
    candidates.iter().find(|(candidate, _)| candidate.eq_ignore_ascii_case(name)).copied()
}

fn expanded(call: &Call<'_>, object: &Object, navigation: Navigation) -> Result<Value, GraphError> {
    let whole = |object: &Object| {
        let mut out = tagged(object);
        out.extend(schema::shown(object.kind, &object.doc, call.beta));
        Value::Object(out)
    };
    let scope = match navigation {
        // A part may lag behind its task (planner-api.md 1.12).
        Navigation::Part(kind) if call.is_hidden(kind, &object.id) => return Ok(Value::Null),
        Navigation::Part(kind) => return Ok(whole(&call.open(kind, &object.id)?)),
        Navigation::Buckets => Scope::BucketsOfPlan(&object.id),
        Navigation::TasksOfPlan => Scope::TasksOfPlan(&object.id),
        Navigation::TasksOfBucket => Scope::TasksOfBucket(&object.id),
    };
    Ok(object::list(call.conn, scope, 0, usize::MAX)?
        .iter()
        .filter(|object| !call.is_hidden(object.kind, &object.id))
        .map(whole)
        .collect())
}

/// Hides the container types that were added after v1.0 from those who do not ask for them
/// (planner-api.md 1.3).
fn hide_unknown(container: &mut Value) {
    if let Some(kind) = container.get_mut("type").filter(|kind| **kind != "group") {
        *kind = "unknownFutureValue".into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{hide_unknown, split};

    #[test]
    fn rosters_are_unknown_future_values_unless_asked_for() {
        // planner-api.md trap 32.
        let mut roster = json!({ "containerId": "x", "type": "roster" });
        hide_unknown(&mut roster);
        assert_eq!(roster["type"], "unknownFutureValue");
        let mut group = json!({ "containerId": "x", "type": "group" });
        hide_unknown(&mut group);
        assert_eq!(group["type"], "group");
    }

    #[test]
    fn lists_of_names_split_outside_parentheses() {
        let names: Vec<&str> = split("details($select=a,b), tasks,").collect();
        assert_eq!(names, ["details($select=a,b)", "tasks", ""]);
    }
}

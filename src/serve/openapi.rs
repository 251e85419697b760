//! The OpenAPI document, made from the table of routes.

use serde_json::{Map, Value, json};

use crate::app::token::serve_tokens::Role;

/// The shapes of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    Object,
    List,
    Text,
    Figures,
    Events,
}

/// A route, as far as the document tells of it.
pub(crate) struct Described {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) needs: Option<Role>,
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [(&'static str, &'static str, &'static str)],
    pub(crate) body: Option<Value>,
    pub(crate) answer: Schema,
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

/// A text that may be left out; `null` counts as left out.
fn text(what: &str) -> Value {
    json!({ "type": ["string", "null"], "description": what })
}

/// A name that may be left out.
fn name(what: &str) -> Value {
    json!({ "type": ["string", "null"], "minLength": 1, "description": what })
}

/// Returns the body of `POST runs`.
pub(crate) fn run_body() -> Value {
    let mut body = object(
        &json!({
            "skill": text("Skill by name; or give `script`"),
            "script": text("Text of a script; or give `skill`"),
            "params": { "type": ["object", "null"], "description": "Parameters, by name" },
            "dry_run": {
                "type": ["boolean", "null"], "description": "Show what would change, and stop",
            },
            "agent": name("Agent that runs it; a person if absent"),
        }),
        &[],
    );
    let either = |one: &str, other: &str| {
        let properties = json!({ one: { "type": "string" }, other: { "type": "null" } });
        json!({ "required": [one], "properties": properties })
    };
    body["oneOf"] = json!([either("skill", "script"), either("script", "skill")]);
    body
}

/// Returns the body of an approval.
pub(crate) fn approve_body() -> Value {
    let digest = text("Approve exactly what has it; if absent, what was held or proposed at first");
    object(&json!({ "digest": digest, "note": text("Reason, for the record") }), &[])
}

/// Returns the body of a rejection.
pub(crate) fn reject_body() -> Value {
    let digest = text("Reject exactly what has it; if absent, whatever waits there");
    let what = "Reason, which the one who drafted it can read";
    let note = json!({ "type": "string", "minLength": 1, "maxLength": 1000, "description": what });
    object(&json!({ "digest": digest, "note": note }), &["note"])
}

/// Returns the body of a pause.
pub(crate) fn reason_body() -> Value {
    object(&json!({ "reason": text("Reason, which the agent can read") }), &[])
}

/// Returns the body of what takes none.
pub(crate) fn no_body() -> Value {
    object(&json!({}), &[])
}

/// Returns the body of `POST inbox`.
pub(crate) fn submit_body() -> Value {
    object(
        &json!({
            "skill": { "type": "string", "minLength": 1, "description": "Skill by name" },
            "params": { "type": ["object", "null"], "description": "Parameters, by name" },
            "to": name("Agent that is to run it"),
            "key": {
                "type": ["string", "null"], "minLength": 1, "maxLength": 200, "pattern": "\\S",
                "description": "Submit it once under this key",
            },
        }),
        &["skill"],
    )
}

/// Returns the schema of a parameter of the query, by the name of its kind.
fn asked(kind: &str) -> Value {
    match kind {
        "limit" => json!({ "type": "integer", "minimum": 0, "maximum": 200, "default": 50 }),
        "seconds" => json!({ "type": "integer", "minimum": 0, "maximum": 60 }),
        "id" => {
            let id = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
            json!({ "type": "string", "format": "uuid", "pattern": id })
        }
        "place" => json!({ "type": "string", "pattern": "^[0-9]{1,9}$" }),
        "text" => json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "\\S" }),
        other => json!({ "type": other }),
    }
}

fn answer(schema: Schema) -> Value {
    match schema {
        Schema::Object => json!({ "application/json": { "schema": { "type": "object" } } }),
        Schema::List => json!({
            "application/json": { "schema": { "type": "array", "items": { "type": "object" } } }
        }),
        Schema::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Schema::Figures => json!({
            "application/openmetrics-text": { "schema": { "type": "string" } },
        }),
        Schema::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
    }
}

fn parameters(route: &Described) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?.strip_suffix('}')?;
        let schema = json!({ "type": "string", "minLength": 1, "pattern": "\\S" });
        Some(json!({ "name": name, "in": "path", "required": true, "schema": schema }))
    });
    let in_query = route.query.iter().map(|(name, kind, what)| {
        json!({ "name": name, "in": "query", "description": what, "schema": asked(kind) })
    });
    in_path.chain(in_query).collect()
}

fn operation(route: &Described) -> Value {
    let refusal = json!({ "$ref": "#/components/responses/Refusal" });
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": "Done", "content": answer(route.answer) }),
    );
    if route.path == "/api/v1/runs" && route.method == "post" {
        let content = answer(Schema::Object);
        let accepted = json!({ "description": "Accepted: `run_id`", "content": content });
        responses.insert("202".to_owned(), accepted);
        let refused = |what: &str| {
            let schema = json!({ "$ref": "#/components/schemas/Failure" });
            json!({ "description": what, "content": { "application/json": { "schema": schema } } })
        };
        responses.insert("422".to_owned(), refused("The script does not compile"));
        let mut full = refused("Too many runs wait");
        full["headers"] = json!({ "Retry-After": {
            "description": "Seconds", "schema": { "type": "integer" },
        } });
        responses.insert("503".to_owned(), full);
    }
    if route.path == "/api/v1/pending/{id}/approve" {
        // The same error as everywhere, beside the report of what was tried.
        let schema = json!({
            "allOf": [{ "$ref": "#/components/schemas/Failure" }],
            "properties": { "run_id": { "type": "string" }, "status": {
                "enum": ["held", "conflict", "denied", "partial", "failed"],
            } },
        });
        let ended = |what: &str| json!({ "description": what, "content": { "application/json": { "schema": schema } } });
        let again = "It does not wait; or it is held again, in conflict, or was not all written";
        responses.insert("403".to_owned(), ended("Not permitted; or a policy refuses it by now"));
        responses.insert("409".to_owned(), ended(again));
        responses.insert("502".to_owned(), ended("The service failed, perhaps halfway"));
    }
    responses.insert("default".to_owned(), refusal);
    let mut shown = json!({
        "summary": route.summary,
        "operationId": format!("{}{}", route.method, route.path.replace(['/', '{', '}', '.'], "_")),
        "parameters": parameters(route),
        "responses": responses,
    });
    if let Some(body) = &route.body {
        shown["requestBody"] = json!({
            // Of either of two, one must be given.
            "required": body["required"].as_array().is_some_and(|all| !all.is_empty())
                || body["oneOf"].is_array(),
            "content": { "application/json": { "schema": body } },
        });
    }
    match route.needs {
        // On the machine itself anybody may read them.
        _ if route.answer == Schema::Figures => shown["security"] = json!([{ "token": [] }, {}]),
        None => shown["security"] = json!([]),
        Some(role) => shown["x-role"] = json!(role.name()),
    }
    shown
}

/// Returns the document of all routes.
pub(crate) fn document(routes: impl Iterator<Item = Described>) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        path[route.method] = operation(&route);
    }
    let failure = json!({
        "type": "object",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": { "type": "string" },
                "message": { "type": "string" },
                "hint": { "type": "string" },
            },
        } },
    });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Planwright", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": { "Failure": failure },
            "responses": { "Refusal": {
                "description": "It was refused, or failed",
                "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Failure" },
                } },
            } },
        },
    })
}

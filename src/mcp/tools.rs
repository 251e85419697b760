//! The tools of an agent: their names, arguments and results. They are a contract (design.md 7.1).

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::app::agent::{may_run, may_script};
use crate::app::shown::{shortened, visible};
use crate::script::workspace::manifest::{Manifest, Param, ParamKind};
use crate::script::{Bundle, Skill};

/// The beginning of the name of a skill's tool.
pub(crate) const SKILL: &str = "skill_";
/// The most characters of a skill's description, and of a parameter's.
const MAX_DESCRIPTION: usize = 300;
const MAX_PARAM: usize = 120;

/// What a call can do to a board.
#[derive(Clone, Copy)]
enum Effect {
    Reads,
    Writes,
    /// It writes, and the same call again does nothing more.
    WritesOnce,
}

fn schema(value: Value) -> Arc<JsonObject> {
    Arc::new(match value {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}

fn tool(
    (name, description): (&str, &str),
    properties: &Value,
    required: &[&str],
    output: Value,
    effect: Effect,
) -> Tool {
    let input = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let reads = matches!(effect, Effect::Reads);
    let hints = ToolAnnotations::new()
        .read_only(reads)
        .destructive(!reads)
        .idempotent(!matches!(effect, Effect::Writes))
        .open_world(false);
    Tool::new(name.to_owned(), description.to_owned(), schema(input))
        .with_raw_output_schema(schema(output))
        .with_annotations(hints)
}

/// Returns the form of a report. Nothing is required: a failure has its own form.
fn report() -> Value {
    json!({
        "type": "object",
        "properties": {
            "run_id": { "type": "string" },
            "status": { "type": "string" },
            "changes": { "type": "array" },
            "verdicts": { "type": "array" },
            "output": { "type": "array" },
            "pending": { "type": ["string", "null"] },
            "error": { "type": ["object", "null"] },
        },
    })
}

fn tasks() -> Value {
    json!({
        "type": "object",
        "properties": {
            "plan": { "type": ["string", "null"] },
            "tasks": { "type": "array", "items": { "type": "object" } },
            "left_out": { "type": "integer" },
            "next_cursor": { "type": ["string", "null"] },
        },
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn flag(description: &str, default: bool) -> Value {
    json!({ "type": "boolean", "description": description, "default": default })
}

fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 })
}

/// Returns the tools of an agent, in a version of the workspace.
pub(crate) fn of(bundle: &Bundle, agent: &str) -> Vec<Tool> {
    let config = &bundle.workspace.config;
    let mut tools = Vec::new();
    if may_script(config, Some(agent)) {
        tools.push(run_script());
    }
    tools.extend(fixed());
    let granted = bundle.skills().filter(|skill| may_run(config, Some(agent), &skill.name));
    tools.extend(granted.filter(|skill| is_tool(&skill.name)).map(|skill| of_skill(skill)));
    tools
}

/// Returns whether a skill's name can be part of a tool's.
fn is_tool(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.len() + SKILL.len() <= 64 && name.bytes().all(is_plain)
}

fn run_script() -> Tool {
    tool(
        (
            "run_script",
            "Run a Rhai script on the board. By default nothing is written: the report shows what would change, and apply_change_set applies it. Learn the script API with the tool api.",
        ),
        &json!({
            "script": text("Rhai code"),
            "params": { "type": "object", "description": "read by the script as params.NAME" },
            "apply": flag("true to write; false to preview", false),
        }),
        &["script"],
        report(),
        Effect::Writes,
    )
}

fn fixed() -> Vec<Tool> {
    let filter = json!({
        "type": "object",
        "properties": {
            "bucket": { "type": "string" },
            "label": { "type": "string" },
            "assigned_to": text("name, address or `me`"),
            "text": text("in the title"),
            "due": text("as in find_tasks"),
            "progress": { "enum": ["not_started", "in_progress", "completed"] },
            "is_completed": { "type": "boolean" },
            "overdue": { "type": "boolean" },
        },
        "additionalProperties": false,
    });
    vec![
        tool(
            ("board", "Show the tasks of a plan as a compact table, open ones first."),
            &json!({
                "plan": text("title or id; the only plan if absent"),
                "bucket": text("name of a bucket"),
                "filter": filter,
                "limit": limit(),
                "cursor": text("next_cursor of the answer before"),
                "ids": flag("add full ids, which scripts take: task(id)", false),
            }),
            &[],
            tasks(),
            Effect::Reads,
        ),
        tool(
            ("find_tasks", "Find tasks in all plans, or in one."),
            &json!({
                "text": text("in the title"),
                "assigned_to": text("name, address or `me`"),
                "due": text("overdue, today, this-week, a date, or DATE..DATE"),
                "plan": text("title or id"),
                "limit": limit(),
                "ids": flag("add full ids", false),
            }),
            &[],
            tasks(),
            Effect::Reads,
        ),
        tool(
            ("api", "Show what scripts can call: an index, or one topic of it."),
            &json!({ "topic": text("a type such as Task, `global`, or a name such as assign") }),
            &[],
            json!({ "type": "object", "properties": { "topic": { "type": ["string", "null"] } } }),
            Effect::Reads,
        ),
        tool(
            (
                "change_set",
                "Show what became of a run or of a set that waits for a person, with its changes.",
            ),
            &json!({
                "id": text("run_id or pending of a report"),
                "wait_seconds": {
                    "type": "integer", "minimum": 0, "maximum": 60, "default": 0,
                    "description": "wait so long for a person's decision",
                },
            }),
            &["id"],
            json!({
                "type": "object",
                "properties": {
                    "id": { "type": "string" },
                    "state": { "type": "string" },
                    "changes": { "type": "array" },
                    "verdicts": { "type": "array" },
                    "reason": { "type": ["string", "null"] },
                },
            }),
            Effect::Reads,
        ),
        tool(
            (
                "apply_change_set",
                "Apply a preview as it was shown. It is compared with the board and judged again; what is held waits for a person.",
            ),
            &json!({ "id": text("run_id of a preview") }),
            &["id"],
            report(),
            Effect::WritesOnce,
        ),
        tool(
            (
                "undo_run",
                "Take back what a run of yours wrote. What others have changed since stays.",
            ),
            &json!({
                "run_id": text("run_id of a report, or `last`"),
                "apply": flag("false to preview", true),
            }),
            &["run_id"],
            report(),
            Effect::WritesOnce,
        ),
        tool(
            (
                "submit",
                "Have another agent run a skill, if it takes what you submit. Call it again with the same key to learn what became of it.",
            ),
            &json!({
                "skill": text("name of the skill"),
                "params": { "type": "object", "description": "parameters of the skill" },
                "to": text("name of the agent"),
                "key": text("submitted once under it"),
            }),
            &["skill", "to"],
            json!({
                "type": "object",
                "properties": {
                    "id": { "type": "string" },
                    "state": { "type": "string" },
                    "run_id": { "type": ["string", "null"] },
                    "reason": { "type": ["string", "null"] },
                },
            }),
            Effect::Writes,
        ),
        propose_skill(),
    ]
}

fn propose_skill() -> Tool {
    tool(
        (
            "propose_skill",
            "Propose a skill for a job that comes again. It is checked and its tests are run; what passes waits for a person, and is a tool once they approve it.",
        ),
        &json!({
            "name": text("small letters, digits and _"),
            "source": text("Rhai code that begins with a `//!` comment"),
            "tests": text("Rhai code with fn test_…(); without, a person is told so"),
            "reason": text("what it is for"),
        }),
        &["name", "source", "reason"],
        json!({
            "type": "object",
            "properties": {
                "id": { "type": "string" },
                "state": { "type": "string" },
                "remarks": { "type": "array" },
                "diff": { "type": "string" },
            },
        }),
        Effect::Writes,
    )
}

fn of_skill(skill: &Skill) -> Tool {
    let manifest = &skill.manifest;
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, param) in manifest.params.iter().flatten() {
        properties.insert(name.clone(), of_param(param));
        if param.default.is_none() {
            required.push(name.as_str());
        }
    }
    properties.insert(
        "apply".to_owned(),
        json!({ "type": "boolean", "default": true, "description": "false to preview" }),
    );
    let mut input = json!({ "type": "object", "properties": properties, "required": required });
    if manifest.params.is_some() {
        input["additionalProperties"] = json!(false);
    }
    let hints = ToolAnnotations::new()
        .read_only(false)
        .destructive(true)
        .idempotent(false)
        .open_world(false);
    Tool::new(format!("{SKILL}{}", skill.name), description(manifest, &skill.name), schema(input))
        .with_raw_output_schema(schema(json!({ "type": "object" })))
        .with_annotations(hints)
}

fn description(manifest: &Manifest, name: &str) -> String {
    let first = manifest.description.split("\n\n").next().unwrap_or_default();
    let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
    if first.is_empty() {
        return format!("Run the skill {name}.");
    }
    shortened(&visible(&first), MAX_DESCRIPTION)
}

fn of_param(param: &Param) -> Value {
    let kind = match param.kind {
        ParamKind::String | ParamKind::Date => json!("string"),
        ParamKind::Int => json!("integer"),
        ParamKind::Float => json!("number"),
        ParamKind::Bool => json!("boolean"),
        ParamKind::List => json!("array"),
        ParamKind::Data => json!(["array", "object"]),
    };
    let mut told = shortened(&visible(&param.description), MAX_PARAM);
    if param.kind == ParamKind::Date {
        told = format!("{told} (2026-12-24, today, friday, +3d)").trim().to_owned();
    }
    let mut schema = json!({ "type": kind });
    if !told.is_empty() {
        schema["description"] = json!(told);
    }
    let default = param.default.as_ref().and_then(|default| serde_json::to_value(default).ok());
    // An empty text stands for "nothing", whatever the type.
    if let Some(default) = default.filter(|default| *default != json!("")) {
        schema["default"] = default;
    }
    schema
}

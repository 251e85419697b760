//! What the client sends, one row for each endpoint and variant, against what planner-api.md says
//! is to be sent. The rows are typed from that page; nothing here comes from our own encoder.
//!
//! Ids of the demo board stand as names in braces; `{new}` is any id of something that
//! the run has just made, `{key1}` the first key it gave to a checklist item.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::support::{PLAN, Place, Planner};

const TASK: &str = "Answer the auditor's questions";

/// A request as it is compared: verb and path, the kind of object its tag is of, its body.
type Sent = (String, Option<String>, Value);

/// What stands for what.
struct Names(Vec<(String, String)>);

/// The hint of something on the demo board, by name.
fn hint(name: &str) -> String {
    static HINTS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let hints = HINTS.get_or_init(|| {
        let planner = Planner::demo();
        let mut hints = BTreeMap::new();
        let mut add = |value: &Value, name: String| {
            hints.insert(name, value.as_str().unwrap().to_owned());
        };
        let plan = planner.plan_id();
        let buckets = planner.get(&format!("/planner/plans/{plan}/buckets"));
        for bucket in buckets["value"].as_array().unwrap() {
            add(&bucket["orderHint"], bucket["name"].as_str().unwrap().to_lowercase());
        }
        let task = planner.task(TASK);
        let details =
            planner.get(&format!("/planner/tasks/{}/details", task["id"].as_str().unwrap()));
        for (n, (_, item)) in shown(&details).into_iter().enumerate() {
            add(&item["orderHint"], format!("item{n}"));
        }
        hints
    });
    hints[name].clone()
}

/// The checklist as it is shown: from the greatest hint down (trap 10).
fn shown(details: &Value) -> Vec<(String, Value)> {
    let mut items: Vec<_> = details["checklist"].as_object().unwrap().clone().into_iter().collect();
    items.sort_by(|a, b| b.1["orderHint"].as_str().cmp(&a.1["orderHint"].as_str()));
    items
}

impl Names {
    fn of(planner: &Planner) -> Self {
        let mut names = Vec::new();
        let mut add = |value: &Value, name: &str| {
            names.push((value.as_str().unwrap().to_owned(), format!("{{{name}}}")));
        };
        let plan = planner.plan_id();
        add(&json!(plan), "plan");
        for user in ["rook", "mei", "ana"] {
            add(&planner.get(&format!("/users/{user}@bos.example"))["id"], user);
        }
        for group in planner.get("/me/memberOf")["value"].as_array().unwrap() {
            add(&group["id"], &group["displayName"].as_str().unwrap().to_lowercase());
        }
        let buckets = planner.get(&format!("/planner/plans/{plan}/buckets"));
        for bucket in buckets["value"].as_array().unwrap() {
            add(&bucket["id"], &bucket["name"].as_str().unwrap().to_lowercase());
        }
        let plans = planner.get("/me/planner/plans");
        let mut plans = plans["value"].as_array().unwrap().iter();
        add(&plans.find(|it| it["title"] == "Website Relaunch").unwrap()["id"], "site");
        for (title, name) in [
            (TASK, "task"),
            ("Renew the liability insurance", "insurance"),
            ("Order desks for the two new colleagues", "desks"),
        ] {
            add(&planner.task(title)["id"], name);
        }
        let task = planner.task(TASK);
        let details =
            planner.get(&format!("/planner/tasks/{}/details", task["id"].as_str().unwrap()));
        for (n, (key, _)) in shown(&details).into_iter().enumerate() {
            add(&json!(key), &format!("item{n}"));
        }
        Self(names)
    }

    fn text(&self, text: &str) -> String {
        let named = self.0.iter().fold(text.to_owned(), |text, (id, name)| text.replace(id, name));
        let mut parts: Vec<String> = named.split('/').map(str::to_owned).collect();
        for part in &mut parts {
            let is_id = part.len() == 28
                && part.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_');
            if is_id || uuid::Uuid::parse_str(part).is_ok() {
                "{new}".clone_into(part);
            }
        }
        parts.join("/")
    }

    fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|it| self.value(it)).collect::<Vec<_>>().into(),
            Value::Object(map) => {
                // New checklist items are named by their order, the top one first.
                let mut new: Vec<_> =
                    map.keys().filter(|key| self.text(key.as_str()) == "{new}").collect();
                new.sort_by_key(|key| std::cmp::Reverse(map[*key]["orderHint"].to_string()));
                let entry = |(key, it): (&String, &Value)| {
                    let n = new.iter().position(|new| *new == key);
                    let name = n.map_or_else(|| self.text(key), |n| format!("{{key{}}}", n + 1));
                    (name, self.value(it))
                };
                Value::Object(map.iter().map(entry).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

/// The kind of object that a tag is of, which it says itself (planner-api.md 3.2).
fn kind_of(tag: &str) -> String {
    let body = tag.strip_prefix("W/\"").unwrap().strip_suffix('"').unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let kind = text.strip_prefix("'1-").unwrap();
    kind.split([' ', '@']).next().unwrap().to_owned()
}

/// Returns what a script makes the program send beside reads.
fn sent(planner: &Planner, script: &str, more: &[&str]) -> Vec<Sent> {
    let names = Names::of(planner);
    let place = Place::against(planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let text = format!("let p = plan(\"{PLAN}\"); let t = p.task(\"{TASK}\"); {script}");
    place.script(&text, &[&["--force"], more].concat()).code(0);
    let mut all = planner.writes();
    all.retain(|it| it.method != "GET");
    all.iter()
        .map(|it| {
            let body = it.body.as_ref().map_or(Value::Null, |it| names.value(it));
            let kind = it.if_match.as_deref().map(kind_of);
            (format!("{} {}", it.method, names.text(&it.path)), kind, body)
        })
        .collect()
}

#[track_caller]
fn check(script: &str, more: &[&str], expected: &[(&str, &str, Value)]) {
    check_on(&Planner::demo(), script, more, expected);
}

#[track_caller]
fn check_on(planner: &Planner, script: &str, more: &[&str], expected: &[(&str, &str, Value)]) {
    let expected: Vec<Sent> = expected
        .iter()
        .map(|(line, kind, body)| {
            let kind = if kind.is_empty() { None } else { Some((*kind).to_owned()) };
            ((*line).to_owned(), kind, body.clone())
        })
        .collect();
    assert_eq!(sent(planner, script, more), expected, "{script}");
}

const TYPE: &str = "@odata.type";
const ITEM: &str = "#microsoft.graph.plannerChecklistItem";
const REFERENCE: &str = "#microsoft.graph.plannerExternalReference";
const ASSIGNMENT: &str = "#microsoft.graph.plannerAssignment";

/// P1, P3, P4, P12 (planner-api.md 2.1, 13.1, 13.3, 13.4).
#[test]
fn plans() {
    check(
        "create_plan(\"BOS\", \"Dry-dock schedule\");",
        &[],
        &[(
            "POST /v1.0/planner/plans",
            "",
            json!({ "container": { "containerId": "{bos}", "type": "group" }, "title": "Dry-dock schedule" }),
        )],
    );
    check(
        "p.title = \"Dry-dock schedule 2026\";",
        &[],
        &[(
            "PATCH /v1.0/planner/plans/{plan}",
            "Plan",
            json!({ "title": "Dry-dock schedule 2026" }),
        )],
    );
    check(
        "p.set_label(1, \"\"); p.set_label(7, \"Needs survey\"); p.share_with(\"ana@bos.example\"); p.unshare_with(\"mei@bos.example\");",
        &[],
        &[(
            "PATCH /v1.0/planner/plans/{plan}/details",
            "PlanDetails",
            // Ana has it already: no change.
            json!({ "categoryDescriptions": { "category1": null, "category7": "Needs survey" },
                    "sharedWith": { "{mei}": false } }),
        )],
    );
    check(
        "create_plan(\"Website\", \"Empty\"); let e = plan(\"Website Relaunch\"); for x in e.tasks {} ",
        &[],
        &[(
            "POST /v1.0/planner/plans",
            "",
            json!({ "container": { "containerId": "{website}", "type": "group" }, "title": "Empty" }),
        )],
    );
}

/// What belongs together in a new plan is made from the plan down.
#[test]
fn a_plan_with_everything_in_it() {
    check(
        "let n = create_plan(\"BOS\", \"Fresh\"); n.set_label(3, \"Blocked\"); let b = n.create_bucket(\"First\");
         b.create_task(#{ title: \"One\", labels: \"Blocked\", description: \"Text\" });",
        &[],
        &[
            (
                "POST /v1.0/planner/plans",
                "",
                json!({ "container": { "containerId": "{bos}", "type": "group" }, "title": "Fresh" }),
            ),
            ("POST /v1.0/planner/buckets", "", json!({ "name": "First", "planId": "{new}", "orderHint": " !" })),
            (
                "PATCH /v1.0/planner/plans/{new}/details",
                "PlanDetails",
                json!({ "categoryDescriptions": { "category3": "Blocked" } }),
            ),
            (
                "POST /v1.0/planner/tasks",
                "",
                json!({ "planId": "{new}", "title": "One", "bucketId": "{new}",
                        "appliedCategories": { "category3": true } }),
            ),
            ("PATCH /v1.0/planner/tasks/{new}/details", "TaskDetails", json!({ "description": "Text" })),
        ],
    );
}

/// B1, B3, B4 (2.2, 13.5, 13.6).
#[test]
fn buckets() {
    check(
        "p.create_bucket(\"In the water\");",
        &[],
        &[(
            "POST /v1.0/planner/buckets",
            "",
            json!({ "name": "In the water", "planId": "{plan}", "orderHint": format!("{} !", hint("done")) }),
        )],
    );
    check(
        "let i = p.bucket(\"Inbox\"); i.name = \"In\";",
        &[],
        &[("PATCH /v1.0/planner/buckets/{inbox}", "Bucket", json!({ "name": "In" }))],
    );
    check(
        "p.bucket(\"Done\").move_before(p.bucket(\"This Week\"));",
        &[],
        &[(
            "PATCH /v1.0/planner/buckets/{done}",
            "Bucket",
            json!({ "orderHint": format!("{} {}!", hint("inbox"), hint("this week")) }),
        )],
    );
    // Several at once, described by what stays (4.2).
    check(
        "let i = p.bucket(\"Inbox\"); p.bucket(\"Done\").move_before(i); p.bucket(\"In Progress\").move_before(i);",
        &[],
        &[
            (
                "PATCH /v1.0/planner/buckets/{done}",
                "Bucket",
                json!({ "orderHint": format!(" {}!", hint("inbox")) }),
            ),
            (
                "PATCH /v1.0/planner/buckets/{in progress}",
                "Bucket",
                json!({ "orderHint": format!(" {}! {}!", hint("inbox"), hint("inbox")) }),
            ),
        ],
    );
    check(
        "p.bucket(\"In Progress\").delete();",
        &[],
        &[("DELETE /v1.0/planner/buckets/{in progress}", "Bucket", Value::Null)],
    );
}

/// T1 (13.7).
#[test]
fn new_tasks() {
    check(
        "p.create_task(#{ title: \"Order anodes\", bucket: \"Inbox\", priority: \"important\", due: \"2026-03-31\",
           labels: \"Marketing\", assign: \"ana@bos.example\" });",
        &[],
        &[(
            "POST /v1.0/planner/tasks",
            "",
            json!({
                "planId": "{plan}", "title": "Order anodes", "bucketId": "{inbox}", "priority": 3,
                "dueDateTime": "2026-03-31T10:00:00Z",
                "assignments": { "{ana}": { TYPE: ASSIGNMENT, "orderHint": " !" } },
                "appliedCategories": { "category3": true }
            }),
        )],
    );
    check(
        "p.create_task(#{ title: \"Bare\" });",
        &[],
        &[("POST /v1.0/planner/tasks", "", json!({ "planId": "{plan}", "title": "Bare" }))],
    );
    // The checklist is shown from the greatest hint down (trap 10): each new one goes below.
    check(
        "p.create_task(#{ title: \"Full\", start: \"2026-03-01\", progress: \"in_progress\", description: \"A\\nB\",
           checklist: [\"Quote\", \"Measure\"], references: [#{ url: \"https://a.example/x#y\", alias: \"Z\" }] });",
        &[],
        &[
            (
                "POST /v1.0/planner/tasks",
                "",
                json!({ "planId": "{plan}", "title": "Full", "percentComplete": 50, "startDateTime": "2026-03-01T10:00:00Z" }),
            ),
            (
                "PATCH /v1.0/planner/tasks/{new}/details",
                "TaskDetails",
                json!({
                    "description": "A\nB",
                    "checklist": {
                        "{key1}": { TYPE: ITEM, "title": "Quote", "isChecked": false, "orderHint": " !" },
                        "{key2}": { TYPE: ITEM, "title": "Measure", "isChecked": false, "orderHint": "  !!" }
                    },
                    "references": { "https%3A//a%2Eexample/x%23y": { TYPE: REFERENCE, "alias": "Z" } }
                }),
            ),
        ],
    );
}

/// T3, T4 (13.10, 13.11).
#[test]
fn changed_tasks() {
    check(
        "t.unassign(me()); t.assign(\"ana@bos.example\"); t.remove_label(\"Finance\"); t.add_label(\"Customers\");
         t.move_to(\"Done\"); t.complete(); t.due = ();",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{task}",
            "Task",
            json!({
                "bucketId": "{done}", "percentComplete": 100, "dueDateTime": null,
                "assignments": { "{rook}": null, "{ana}": { TYPE: ASSIGNMENT, "orderHint": " !" } },
                "appliedCategories": { "category2": false, "category6": true }
            }),
        )],
    );
    check(
        "t.title = \"Renamed\"; t.priority = 0; t.start = \"2026-03-02\"; t.conversation_thread_id = \"AAQk=\";",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{task}",
            "Task",
            json!({ "title": "Renamed", "priority": 0, "startDateTime": "2026-03-02T10:00:00Z", "conversationThreadId": "AAQk=" }),
        )],
    );
    check("t.delete();", &[], &[("DELETE /v1.0/planner/tasks/{task}", "Task", Value::Null)]);
}

/// T6 (13.8, 13.9), and the task's own tag where both change.
#[test]
fn details_of_tasks() {
    check(
        "t.description = \"Zinc\"; t.preview_type = \"description\";",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{task}/details",
            "TaskDetails",
            json!({ "description": "Zinc", "previewType": "description" }),
        )],
    );
    check(
        "let items = t.checklist; items[1].check(); items[0].remove(); items[2].title = \"Log\"; t.add_checklist_item(\"New\"); ()",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{task}/details",
            "TaskDetails",
            json!({ "checklist": {
                "{item0}": null,
                "{item1}": { TYPE: ITEM, "isChecked": true },
                "{item2}": { TYPE: ITEM, "title": "Log" },
                "{key1}": { TYPE: ITEM, "title": "New", "isChecked": false, "orderHint": format!(" {}!", hint("item2")) }
            } }),
        )],
    );
    check(
        "let items = t.checklist; items[2].move_before(items[1]);",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{task}/details",
            "TaskDetails",
            json!({ "checklist": { "{item2}": { TYPE: ITEM, "orderHint": format!("{} {}!", hint("item1"), hint("item0")) } } }),
        )],
    );
    check(
        "let r = p.task(\"Renew the liability insurance\"); r.remove_reference(\"https://broker.example.com/policies/BOS-2291.pdf\");
         r.add_reference(\"http://u@files.example.org/100%25.docx\", \"Draft\");",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{insurance}/details",
            "TaskDetails",
            json!({ "references": {
                "https%3A//broker%2Eexample%2Ecom/policies/BOS-2291%2Epdf": null,
                "http%3A//u%40files%2Eexample%2Eorg/100%2525%2Edocx": { TYPE: REFERENCE, "alias": "Draft" }
            } }),
        )],
    );
    check(
        "t.description = \"New\"; t.title = \"Both\";",
        &[],
        &[
            ("PATCH /v1.0/planner/tasks/{task}", "Task", json!({ "title": "Both" })),
            (
                "PATCH /v1.0/planner/tasks/{task}/details",
                "TaskDetails",
                json!({ "description": "New" }),
            ),
        ],
    );
}

/// T8, T10, T12 (13.12, 4.2).
#[test]
fn places_on_the_boards() {
    let planner = Planner::demo();
    let expected = sibling_after(&planner, TASK, "Renew the liability insurance");
    check_on(
        &planner,
        "let r = p.task(\"Renew the liability insurance\"); t.move_after(r);",
        &[],
        &[(
            "PATCH /v1.0/planner/tasks/{task}/bucketTaskBoardFormat",
            "BucketTaskBoardTaskFormat",
            json!({ "orderHint": expected }),
        )],
    );
    let planner = Planner::demo();
    let moved = "Order desks for the two new colleagues";
    let expected = before_in_column_of_rook(&planner, moved, TASK);
    check_on(
        &planner,
        "let o = p.task(\"Order desks for the two new colleagues\"); o.assign(me()); o.move_before(t, me());",
        &[],
        &[
            (
                "PATCH /v1.0/planner/tasks/{desks}",
                "Task",
                json!({ "assignments": { "{rook}": { TYPE: ASSIGNMENT, "orderHint": " !" } } }),
            ),
            (
                "PATCH /v1.0/planner/tasks/{desks}/assignedToTaskBoardFormat",
                "AssignedToTaskBoardTaskFormat",
                json!({ "orderHintsByAssignee": { "{rook}": expected } }),
            ),
        ],
    );
}

/// T8 and T12: the columns of progress and of nobody.
#[test]
fn places_in_the_other_columns() {
    let (desks, insurance) =
        ("Order desks for the two new colleagues", "Renew the liability insurance");
    let moves =
        format!("let a = p.task(\"{desks}\"); let b = p.task(\"{insurance}\"); a.move_after(b,");
    for (column, format, kind, name) in [
        ("progress", "progressTaskBoardFormat", "ProgressTaskBoardTaskFormat", "orderHint"),
        (
            "unassigned",
            "assignedToTaskBoardFormat",
            "AssignedToTaskBoardTaskFormat",
            "unassignedOrderHint",
        ),
    ] {
        let planner = Planner::demo();
        let expected = place_next_to(&planner, desks, insurance, true, format, |task, place| {
            let inside = match column {
                "progress" => task["percentComplete"] == 0,
                _ => task["assignments"].as_object().unwrap().is_empty(),
            };
            inside.then(|| place[name].as_str().unwrap().to_owned())
        });
        let path = format!("PATCH /v1.0/planner/tasks/{{desks}}/{format}");
        let mut body = Map::new();
        body.insert(name.to_owned(), json!(expected));
        let script = format!("{moves} \"{column}\");");
        check_on(&planner, &script, &[], &[(&path, kind, Value::Object(body))]);
    }
}

/// The hint that describes a place next to a task, given what stands in its column of the demo:
/// `hint_of` finds it in a task's place, if the task is in the column.
fn place_next_to(
    planner: &Planner,
    moved: &str,
    next_to: &str,
    after: bool,
    board: &str,
    hint_of: impl Fn(&Value, &Value) -> Option<String>,
) -> String {
    let tasks = planner.get(&format!("/planner/plans/{}/tasks", planner.plan_id()));
    let mut column = Vec::new();
    for task in tasks["value"].as_array().unwrap().iter().filter(|it| it["title"] != moved) {
        let id = task["id"].as_str().unwrap();
        let format = planner.get(&format!("/planner/tasks/{id}/{board}"));
        if let Some(hint) = hint_of(task, &format) {
            column.push((hint, task["title"].clone()));
        }
    }
    column.sort_by(|a, b| a.0.cmp(&b.0));
    let at = column.iter().position(|it| it.1 == next_to).unwrap() + usize::from(after);
    let before = at.checked_sub(1).map_or("", |it| column[it].0.as_str());
    format!("{before} {}!", column.get(at).map_or("", |it| it.0.as_str()))
}

fn sibling_after(planner: &Planner, moved: &str, after: &str) -> String {
    let inbox = planner.bucket_id("Inbox");
    place_next_to(planner, moved, after, true, "bucketTaskBoardFormat", |task, format| {
        (task["bucketId"] == inbox).then(|| format["orderHint"].as_str().unwrap().to_owned())
    })
}

fn before_in_column_of_rook(planner: &Planner, moved: &str, before: &str) -> String {
    let rook = planner.get("/me")["id"].as_str().unwrap().to_owned();
    place_next_to(planner, moved, before, false, "assignedToTaskBoardFormat", |_, format| {
        format["orderHintsByAssignee"][&rook].as_str().map(str::to_owned)
    })
}

/// 2.9, 13.21.
#[test]
fn the_beta() {
    let beta = ["--beta"];
    check(
        "p.archive(\"Season finished\");",
        &beta,
        &[(
            "POST /beta/planner/plans/{plan}/archive",
            "Plan",
            json!({ "justification": "Season finished" }),
        )],
    );
    check(
        "t.move_to_plan(plan(\"Website Relaunch\"));",
        &beta,
        &[(
            "PATCH /beta/planner/tasks/{task}",
            "Task",
            json!({ "planId": "{site}", "bucketId": null }),
        )],
    );
    check(
        "t.recurrence = #{ type: \"monthly\", start: \"2026-12-24\" };",
        &beta,
        &[(
            "PATCH /beta/planner/tasks/{task}",
            "Task",
            json!({ "recurrence": { "schedule": {
                "pattern": { "type": "absoluteMonthly", "interval": 1, "month": 0, "dayOfMonth": 24,
                             "daysOfWeek": [], "firstDayOfWeek": "sunday", "index": "first" },
                "patternStartDateTime": "2026-12-24T10:00:00Z" } } }),
        )],
    );
    check(
        "let r = create_roster_plan(\"Ours\"); r.add_member(\"ana@bos.example\");",
        &beta,
        &[
            ("POST /beta/planner/rosters", "", json!({ TYPE: "#microsoft.graph.plannerRoster" })),
            (
                "POST /beta/planner/plans",
                "",
                json!({ "container": { "containerId": "{new}", "type": "roster" }, "title": "Ours" }),
            ),
            (
                "POST /beta/planner/rosters/{new}/members",
                "",
                json!({ TYPE: "#microsoft.graph.plannerRosterMember", "userId": "{ana}" }),
            ),
        ],
    );
}

/// Reads: what each part of the board costs, and by which address.
#[test]
fn reads() {
    let planner = Planner::demo();
    let names = Names::of(&planner);
    let place = Place::against(&planner);
    let reads = |script: &str, more: &[&str]| -> Vec<String> {
        planner.exchanges();
        place.script(script, more).code(0);
        let paths = planner.exchanges().into_iter().filter(|it| it.method == "GET");
        // Parts of a batch come in any order.
        let mut paths: Vec<String> = paths.map(|it| names.text(&it.path)).collect();
        paths.sort();
        paths.dedup();
        paths.retain(|it| !it.contains("/me?$select"));
        paths
    };
    let id = names.0.iter().find(|(_, name)| name == "{plan}").unwrap().0.clone();
    let task = names.0.iter().find(|(_, name)| name == "{task}").unwrap().0.clone();
    for (script, expected) in [
        (format!("plan(\"{id}\").title"), vec!["/v1.0/planner/plans/{plan}"]),
        (
            format!("plan(\"{id}\").labels"),
            vec!["/v1.0/planner/plans/{plan}", "/v1.0/planner/plans/{plan}/details"],
        ),
        (
            format!("plan(\"{id}\").buckets.len"),
            vec!["/v1.0/planner/plans/{plan}", "/v1.0/planner/plans/{plan}/buckets"],
        ),
        (
            format!("plan(\"{id}\").tasks.len"),
            vec!["/v1.0/planner/plans/{plan}", "/v1.0/planner/plans/{plan}/tasks"],
        ),
        (format!("task(\"{task}\").title"), vec!["/v1.0/planner/tasks/{task}"]),
        (
            format!("task(\"{task}\").checklist.len"),
            vec!["/v1.0/planner/tasks/{task}", "/v1.0/planner/tasks/{task}/details"],
        ),
        ("my_tasks().len".to_owned(), vec!["/v1.0/me/planner/tasks"]),
        (
            "user(\"ana@bos.example\").name".to_owned(),
            vec!["/v1.0/users/ana@bos.example?$select=id,displayName,userPrincipalName,mail"],
        ),
        (
            "groups().len".to_owned(),
            vec!["/v1.0/me/memberOf?$select=id,displayName,mail,groupTypes"],
        ),
        (
            "group(\"BOS\").members.len".to_owned(),
            vec![
                "/v1.0/groups/{bos}/members?$select=id,displayName,userPrincipalName,mail&$top=999",
                "/v1.0/me/memberOf?$select=id,displayName,mail,groupTypes",
            ],
        ),
        (
            "plans().len".to_owned(),
            vec![
                "/v1.0/groups/{bos}/planner/plans",
                "/v1.0/groups/{website}/planner/plans",
                "/v1.0/me/memberOf?$select=id,displayName,mail,groupTypes",
                "/v1.0/me/planner/plans",
            ],
        ),
    ] {
        assert_eq!(reads(&script, &[]), expected, "{script}");
    }
    let beta = reads("plans().len", &["--beta"]);
    assert!(beta.contains(&"/beta/me/planner/rosterPlans".to_owned()), "{beta:?}");
}

/// `$batch` of reads (8.4): relative addresses, ids, at most twenty, nothing else.
#[test]
fn batches() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script =
        format!("let n = 0; for t in plan(\"{PLAN}\").tasks {{ n += t.description.len; }} n");
    place.script(&script, &[]).code(0);
    let batches: Vec<_> =
        planner.exchanges().into_iter().filter(|it| it.path.ends_with("/$batch")).collect();
    assert!(!batches.is_empty());
    for batch in batches {
        let body = batch.body.unwrap();
        assert_eq!(body.as_object().unwrap().len(), 1);
        let requests = body["requests"].as_array().unwrap();
        assert!(requests.len() <= 20);
        for (n, request) in requests.iter().enumerate() {
            let mut names: Vec<&String> = request.as_object().unwrap().keys().collect();
            names.sort();
            assert_eq!(names, ["id", "method", "url"]);
            assert_eq!(
                (&request["id"], &request["method"]),
                (&json!(n.to_string()), &json!("GET"))
            );
            let url = request["url"].as_str().unwrap();
            assert!(url.starts_with("/planner/tasks/") && url.ends_with("/details"), "{url}");
        }
    }
}

//! Tenants from texts.

use planwright::emulator::{Emulator, Options, SeedError, Storage};
use serde_json::{Value, json};

use crate::emulator_support::{Bench, TestClock, id_of};

fn empty() -> Bench {
    let clock = TestClock::new();
    let emulator = Emulator::open(Options::new(Storage::Memory, clock.clone())).unwrap();
    Bench { emulator, clock, caller: "kim@lab.example" }
}

fn lab() -> Value {
    json!({
        "users": [
            { "upn": "kim@lab.example", "name": "Kim Park", "title": "Chemist" },
            { "upn": "lee@lab.example", "name": "Lee", "id": "11111111-2222-4333-8444-555555555555" },
        ],
        "groups": [{ "name": "Lab", "description": "Us.", "members": ["kim", "lee@lab.example"] }],
        "plans": [{
            "title": "Samples",
            "group": "Lab",
            "created": "2026-01-05",
            "labels": ["Urgent", null, "Cold"],
            "shared_with": ["lee"],
            "buckets": ["Todo", "Done"],
            "tasks": [
                {
                    "title": "Freeze",
                    "bucket": "Todo",
                    "created": "2026-02-01T08:00:00Z",
                    "created_by": "lee",
                    "assignees": ["kim"],
                    "start": "-1d",
                    "due": "2026-03-31",
                    "percent": 50,
                    "priority": 1,
                    "labels": ["Cold", 25],
                    "description": "At -80.",
                    "preview": "reference",
                    "checklist": ["Label", { "title": "Box", "checked": true, "id": "box" }],
                    "references": [{ "url": "https://a.b/c?d=1#e", "alias": "C", "type": "Other" }],
                    "conversation_thread_id": "AAQk",
                },
                { "title": "Wash", "completed": "-3d", "completed_by": "kim" },
                { "title": "Plain" },
            ],
        }],
    })
}

#[test]
fn a_text_makes_users_groups_plans_and_tasks() {
    let bench = empty();
    bench.emulator.seed(&lab().to_string()).unwrap();
    assert_eq!(bench.get("/me")["jobTitle"], "Chemist");
    let groups = bench.items("/me/memberOf");
    let group = id_of(&groups[0]);
    assert_eq!(bench.items(&format!("/groups/{group}/members")).len(), 2);
    let plan = bench.items(&format!("/groups/{group}/planner/plans"))[0].clone();
    assert_eq!(plan["createdDateTime"], "2026-01-05T10:00:00Z");
    assert_eq!(plan["createdBy"]["user"]["id"], bench.get("/me")["id"]);
    let details = bench.get(&format!("/planner/plans/{}/details", id_of(&plan)));
    assert_eq!(details["categoryDescriptions"]["category3"], "Cold");
    assert_eq!(details["categoryDescriptions"]["category2"], Value::Null);
    assert_eq!(details["sharedWith"], json!({ "11111111-2222-4333-8444-555555555555": true }));

    let tasks = bench.items(&format!("/planner/plans/{}/tasks?$expand=details", id_of(&plan)));
    let [freeze, wash, plain] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!(freeze["createdDateTime"], "2026-02-01T08:00:00Z");
    assert_eq!(freeze["createdBy"]["user"]["id"], "11111111-2222-4333-8444-555555555555");
    assert_eq!(freeze["startDateTime"], "2026-03-01T10:00:00Z");
    assert_eq!(freeze["dueDateTime"], "2026-03-31T10:00:00Z");
    assert_eq!(freeze["appliedCategories"], json!({ "category3": true, "category25": true }));
    assert_eq!((&freeze["percentComplete"], &freeze["priority"]), (&json!(50), &json!(1)));
    assert_eq!(freeze["conversationThreadId"], "AAQk");
    assert_eq!(freeze["activeChecklistItemCount"], 1);
    assert_eq!(freeze["details"]["checklist"]["box"]["isChecked"], true);
    assert_eq!(freeze["details"]["references"]["https%3A//a%2Eb/c?d=1%23e"]["alias"], "C");
    assert_eq!(freeze["details"]["previewType"], "reference");
    assert_eq!(wash["percentComplete"], 100);
    assert!(wash["completedDateTime"].as_str().unwrap().starts_with("2026-02-27T09:"));
    assert_eq!(wash["completedBy"]["user"]["id"], bench.get("/me")["id"]);
    assert_eq!((&plain["bucketId"], &plain["priority"]), (&Value::Null, &json!(5)));
}

#[test]
fn a_seed_may_be_yaml() {
    let text = "\
# Somebody, somewhere.
users:
  - upn: kim@lab.example
    name: Kim Park
groups:
  - { name: Lab, members: [kim] }
plans:
  - title: Samples
    group: Lab
    labels: [Urgent, ~, Cold]
    buckets: [Todo]
    tasks:
      - title: \"Freeze: now\"
        bucket: Todo
        due: +3d
        percent: 50
        labels: [Cold, 25]
        assignees: [kim]
        description: |
          At -80.
          Not warmer.
      - title: Wash
        due: 2026-03-31
";
    let bench = empty();
    bench.emulator.seed(text).unwrap();
    let plan = id_of(&bench.items("/me/planner/plans")[0]);
    let tasks = bench.items(&format!("/planner/plans/{plan}/tasks?$expand=details"));
    let [freeze, wash] = tasks.as_slice() else { panic!("{tasks:?}") };
    assert_eq!((&freeze["title"], &freeze["percentComplete"]), (&json!("Freeze: now"), &json!(50)));
    assert_eq!(freeze["dueDateTime"], "2026-03-05T10:00:00Z");
    assert_eq!(freeze["appliedCategories"], json!({ "category3": true, "category25": true }));
    assert_eq!(freeze["details"]["description"], "At -80.\nNot warmer.\n");
    assert_eq!(wash["dueDateTime"], "2026-03-31T10:00:00Z");

    for (from, to, path, part) in [
        ("due: +3d", "due: 3d", "plans[0].tasks[0].due", "expected a date"),
        ("name: Kim Park", "nam: Kim Park", "users[0].nam", "unknown field"),
        ("percent: 50", "percent: half", "plans[0].tasks[0].percent", "expected i64"),
    ] {
        match empty().emulator.seed(&text.replace(from, to)).unwrap_err() {
            SeedError::Invalid { path: found, message } => {
                assert_eq!(found, path, "{message}");
                assert!(message.contains(part), "{path}: {message}");
            }
            other => panic!("{path}: {other}"),
        }
    }
    let broken = text.replace("group: Lab", "group: [Lab");
    let error = empty().emulator.seed(&broken).unwrap_err();
    let SeedError::Yaml(cause) = error else { panic!("{error}") };
    assert!(cause.to_string().contains("line 10"), "{cause}");
    // Few lines that would stand for very much.
    let mut bomb = "users: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (at, name) in ('b'..='p').enumerate() {
        let before = char::from(b'a' + u8::try_from(at).unwrap());
        let items = vec![format!("*{before}"); 9].join(", ");
        bomb.push_str(&[&name.to_string(), ": &", &name.to_string(), " [", &items, "]\n"].concat());
    }
    assert!(matches!(empty().emulator.seed(&bomb), Err(SeedError::Yaml(_))));
}

#[test]
fn equal_texts_make_equal_ids_and_a_text_adds_to_what_is_there() {
    let ids = |bench: &Bench| -> Vec<String> {
        bench.items("/me/planner/tasks").iter().map(id_of).collect()
    };
    let (one, two) = (empty(), empty());
    one.emulator.seed(&lab().to_string()).unwrap();
    two.emulator.seed_demo().unwrap();
    two.emulator.seed(&lab().to_string()).unwrap();
    assert_eq!(ids(&one), ids(&two));
    assert_eq!(two.items("/users").len(), 8);
    // An existing group, found by its name, and a person of the demo.
    let more = json!({ "plans": [{ "title": "More", "group": "BOS", "created_by": "mei" }] });
    two.emulator.seed(&more.to_string()).unwrap();
}

#[test]
fn a_mistake_is_reported_with_its_place_and_leaves_nothing() {
    fn set(seed: &mut Value, pointer: &str, value: Value) {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match seed.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            parent => parent[name] = value,
        }
    }
    let task = |name: &str| format!("/plans/0/tasks/0/{name}");
    for (pointer, value, path, part) in [
        ("/userz".to_owned(), json!([]), "userz", "unknown field"),
        ("/users".to_owned(), json!({}), "users", "expected a list"),
        ("/users/0/upn".to_owned(), json!("kim"), "users[0].upn", "name@domain"),
        ("/users/1/upn".to_owned(), json!("KIM@lab.example"), "users[1].upn", "exists"),
        ("/users/1/id".to_owned(), json!("x"), "users[1].id", "GUID"),
        ("/users/1/name".to_owned(), json!(3), "users[1].name", "expected a string"),
        ("/groups/0/members/1".to_owned(), json!("bob"), "groups[0].members[1]", "`bob`"),
        ("/groups/0/members/1".to_owned(), json!("kim"), "groups[0].members[1]", "already"),
        ("/groups/0/members".to_owned(), json!([]), "plans[0].group", "no members"),
        ("/groups/0/created".to_owned(), json!("soon"), "groups[0].created", "expected a date"),
        ("/plans/0/group".to_owned(), json!("Bar"), "plans[0].group", "`Bar`"),
        ("/plans/0/title".to_owned(), json!(""), "plans[0]", "Title"),
        ("/plans/0/buckets/1".to_owned(), json!(""), "plans[0].buckets[1]", "Name"),
        (task("due"), json!("3d"), "plans[0].tasks[0].due", "expected a date"),
        (task("due"), json!("-9d"), "plans[0].tasks[0]", "start date"),
        (task("bucket"), json!("Bar"), "plans[0].tasks[0].bucket", "`Bar`"),
        (task("labels"), json!(["Hot"]), "plans[0].tasks[0].labels[0]", "labels"),
        (task("labels"), json!([26]), "plans[0].tasks[0].labels[0]", "labels"),
        (task("percent"), json!("50"), "plans[0].tasks[0].percent", "expected i64"),
        (task("priority"), json!(11), "plans[0].tasks[0]", "Priority"),
        (task("assignees"), json!(["x"]), "plans[0].tasks[0].assignees[0]", "`x`"),
        (task("completed"), json!("-1d"), "plans[0].tasks[0].percent", "at 100"),
        (task("checklist/0"), json!({}), "plans[0].tasks[0].checklist[0]", "title"),
        (task("references/0/url"), json!("nowhere"), "plans[0].tasks[0]", "not a URL"),
        ("/plans/0/tasks/2".to_owned(), json!({}), "plans[0].tasks[2]", "missing field `title`"),
        ("/plans/0/tasks/2".to_owned(), json!(7), "plans[0].tasks[2]", "invalid type"),
    ] {
        let bench = empty();
        let mut seed = lab();
        set(&mut seed, &pointer, value);
        match bench.emulator.seed(&seed.to_string()).unwrap_err() {
            SeedError::Invalid { path: found, message } => {
                assert_eq!(found, path, "{message}");
                assert!(message.contains(part), "{path}: {message}");
            }
            other => panic!("{path}: {other}"),
        }
        assert!(bench.emulator.is_empty().unwrap());
    }
    let error = empty().emulator.seed("{").unwrap_err();
    assert!(matches!(error, SeedError::Syntax(_)), "{error}");
}

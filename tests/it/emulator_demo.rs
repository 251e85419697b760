//! The demo tenant.

use std::collections::HashSet;

use serde_json::Value;

use crate::emulator_support::{Bench, ROOK_ID, id_of};

fn plan_of(bench: &Bench, title: &str) -> String {
    let plans = bench.items("/me/planner/plans");
    id_of(plans.iter().find(|plan| plan["title"] == title).unwrap())
}

#[test]
fn six_tasks_of_the_inbox_are_overdue_and_are_nobodys_or_rooks() {
    let bench = Bench::new();
    let plan = plan_of(&bench, "BOS Operations");
    let buckets = bench.items(&format!("/planner/plans/{plan}/buckets"));
    let inbox = id_of(buckets.iter().find(|bucket| bucket["name"] == "Inbox").unwrap());
    let tasks = bench.items(&format!("/planner/buckets/{inbox}/tasks"));
    let overdue: Vec<&Value> = tasks
        .iter()
        .filter(|task| task["dueDateTime"].as_str().is_some_and(|due| due < "2026-03-02T09:14:58Z"))
        .collect();
    assert_eq!(overdue.len(), 6);
    for task in overdue {
        assert_eq!(task["percentComplete"], 0);
        let assignees: Vec<&String> = task["assignments"].as_object().unwrap().keys().collect();
        assert!(assignees.is_empty() || assignees == [ROOK_ID], "{task:#}");
        assert!(task["dueDateTime"].as_str().unwrap().ends_with("T10:00:00Z"));
    }
    assert!(tasks.len() > 9);
}

#[test]
fn the_board_is_in_order_and_consistent() {
    let bench = Bench::new();
    let plan = plan_of(&bench, "BOS Operations");
    let mut buckets = bench.items(&format!("/planner/plans/{plan}/buckets"));
    buckets.sort_by_key(|bucket| bucket["orderHint"].as_str().unwrap().to_owned());
    let names: Vec<&str> = buckets.iter().map(|bucket| bucket["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Inbox", "This Week", "In Progress", "Done"]);

    let labels = bench.get(&format!("/planner/plans/{plan}/details"));
    assert_eq!(labels["categoryDescriptions"]["category6"], "Customers");

    let tasks = bench.items(&format!("/planner/plans/{plan}/tasks?$expand=details"));
    assert_eq!(tasks.len(), 30);
    let mut titles = HashSet::new();
    for task in &tasks {
        let details = &task["details"];
        let count = |name: &str| details[name].as_object().unwrap().len();
        assert_eq!(task["hasDescription"], details["description"] != "");
        assert_eq!(task["checklistItemCount"], count("checklist"));
        assert_eq!(task["referenceCount"], count("references"));
        assert_eq!(task["completedBy"].is_null(), task["percentComplete"] != 100, "{task:#}");
        assert_eq!(task["completedDateTime"].is_null(), task["percentComplete"] != 100);
        assert!(titles.insert(task["title"].as_str().unwrap()), "{}", task["title"]);
    }
    for bucket in &buckets {
        let percents: HashSet<i64> = tasks
            .iter()
            .filter(|task| task["bucketId"] == bucket["id"])
            .map(|task| task["percentComplete"].as_i64().unwrap())
            .collect();
        let expected: &[i64] = match bucket["name"].as_str().unwrap() {
            "Inbox" => &[0],
            "This Week" => &[0, 50],
            "In Progress" => &[50],
            _ => &[100],
        };
        assert_eq!(percents, expected.iter().copied().collect(), "{}", bucket["name"]);
    }
    assert!(titles.iter().any(|title| title.contains('\'')));
    assert!(titles.iter().any(|title| !title.is_ascii()));
}

#[test]
fn seeding_twice_changes_nothing_and_two_copies_have_the_same_ids() {
    let bench = Bench::new();
    bench.emulator.seed_demo().unwrap();
    assert_eq!(bench.items("/users").len(), 6);
    let ids = |bench: &Bench| -> Vec<String> {
        bench.items("/me/planner/tasks").iter().map(id_of).collect()
    };
    assert_eq!(ids(&bench), ids(&Bench::new()));
}

#[test]
fn one_group_is_closed_to_rook() {
    let bench = Bench::new();
    assert_eq!(bench.items("/groups").len(), 3);
    assert_eq!(bench.items("/me/memberOf").len(), 2);
}

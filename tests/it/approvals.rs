//! What is held: asked about on a terminal, approved in advance, or waiting for a person.

use serde_json::{Value, json};

use crate::support::{Output, PLAN, Place, Planner};

const MEIS: &str = "Translate the brochure for Besançon";
const OURS: &str = "Book the room for the customer day";

fn complete(place: &Place, more: &[&str]) -> Output {
    place.run(&[&["task", "complete", MEIS, "--json"], more].concat())
}

fn id(report: &Value) -> String {
    report["pending"].as_str().unwrap().to_owned()
}

fn pending(place: &Place) -> Value {
    place.run(&["pending", "--json"]).code(0).json()
}

/// Once it is written, nothing holds it any more.
#[test]
fn a_report_says_held_only_of_what_is() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let complete = |more: &[&str]| place.run(&[&["task", "complete", MEIS], more].concat());
    let (held, approved) = ("held assigned to someone else", "approved: assigned to someone else");
    let looked = complete(&["--dry-run"]).code(7).says(&["Would be held for approval", held]);
    assert!(!looked.stderr.contains("Held for approval"), "{}", looked.stderr);
    let waits = complete(&[]).code(7).says(&["Held for approval", held]);
    let command = waits.stderr.split("`planwright approve ").nth(1).unwrap();
    let id = command.split('`').next().unwrap();
    let applied = place.run(&["approve", id]).code(0).says(&["Applied 1 change", approved]);
    assert!(!applied.stderr.contains(held), "{}", applied.stderr);
    let reopened = place.run(&["task", "reopen", MEIS, "--yes"]).code(0).says(&[approved]);
    assert!(!reopened.stderr.contains(held), "{}", reopened.stderr);
}

#[test]
fn what_is_held_waits_and_is_applied_once() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    assert_eq!(pending(&place), json!([]));
    let held = complete(&place, &[]).code(7).json();
    assert_eq!(
        (&held["status"], &held["changes"][0]["status"]),
        (&json!("held"), &json!("planned"))
    );
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    let list = pending(&place);
    let one = &list[0];
    assert_eq!((&one["id"], &one["run_id"]), (&held["pending"], &held["run_id"]));
    assert_eq!(
        (&one["state"], &one["changes"], &one["skill"]),
        (&json!("pending"), &json!(1), &json!("task complete"))
    );
    assert_eq!(one["actor"]["upn"], "rook@bos.example");
    let shown = place.run(&["pending", "show", &id(&held), "--json"]).code(0).json();
    assert_eq!(shown["changes"][0]["fields"]["percentComplete"]["after"], 100);
    assert_eq!(
        (&shown["digest"], &shown["verdicts"][0]["verdict"]),
        (&one["digest"], &json!("hold"))
    );
    place
        .run(&["pending", "show", &id(&held)])
        .code(0)
        .says(&["not started → completed", "assigned to someone else"]);
    let applied = place.run(&["approve", &id(&held), "--note", "agreed", "--json"]).code(0).json();
    assert_eq!(applied["status"], "applied");
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
    assert_eq!(pending(&place), json!([]));
    place
        .run(&["approve", &id(&held)])
        .code(1)
        .says(&["does not wait for approval: it was applied"]);
    let all = place.run(&["pending", "list", "--all", "--json"]).code(0).json();
    assert_eq!((&all[0]["state"], &all[0]["applied_by"]), (&json!("applied"), &applied["run_id"]));
    assert_eq!(all[0]["decided_by"], "rook@bos.example");
    let audit = place.run(&["audit", "export"]).code(0);
    assert!(audit.stdout.contains("\"kind\":\"approved\"") && audit.stdout.contains("agreed"));
    place.run(&["audit", "verify"]).code(0);
    // It is undone like any other run.
    place.run(&["undo", "last", "--yes"]).code(0);
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
}

#[test]
fn the_second_of_two_equal_sets_has_nothing_left_to_do() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let [first, second] = [0, 1].map(|_| id(&complete(&place, &[]).code(7).json()));
    place.run(&["approve", &first]).code(0).says(&["Applied 1 change"]);
    let report = place.run(&["approve", &second, "--json"]).code(0).json();
    assert_eq!((&report["status"], &report["changes"]), (&json!("no_changes"), &json!([])));
    assert_eq!(pending(&place), json!([]));
    place.run(&["approve", &second]).code(1).says(&["does not wait for approval"]);
    // What was done to it since is no agreement.
    place.run(&["undo", "last", "--yes"]).code(0);
    let third = id(&complete(&place, &[]).code(7).json());
    let path = format!("/planner/tasks/{}", planner.task(MEIS)["id"].as_str().unwrap());
    planner.edit("mei@bos.example", &path, &json!({ "percentComplete": 50 }));
    place.run(&["approve", &third]).code(4);
}

#[test]
fn yes_answers_in_advance_and_never_for_an_agent() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let report = complete(&place, &["--yes"]).code(0).json();
    assert_eq!((&report["status"], &report["pending"]), (&json!("applied"), &Value::Null));
    assert_eq!(report["verdicts"][0]["verdict"], "hold");
    let agent = complete(&place, &["--yes", "--as", "victor"]).code(2).json();
    assert_eq!(agent["error"]["code"], "usage");
    // What is denied, nobody's yes lets through.
    place.run(&["task", "delete", OURS, "--yes"]).code(3).says(&["--force"]);
}

#[test]
fn an_agent_s_set_waits_for_a_person_and_no_agent_decides() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = [\"ask\"]\n[agents.rook]\n[agents.fern]\n");
    place.file(
        "scripts/policies/ask.rhai",
        "fn review(changes, run) { hold(\"a person looks at it\"); }",
    );
    let held = complete(&place, &["--as", "rook"]).code(7).json();
    let id = id(&held);
    for command in [&["approve", &id][..], &["reject", &id, "--reason", "x"]] {
        place.run(&[command, &["--as", "rook"]].concat()).code(3);
    }
    assert_eq!(place.run(&["pending", "--json", "--as", "fern"]).code(0).json(), json!([]));
    assert_eq!(
        place.run(&["pending", "--json", "--as", "rook"]).code(0).json()[0]["id"],
        json!(id)
    );
    place.run(&["apply", &id, "--as", "rook"]).code(1).says(&["a person must approve it"]);
    let applied = place.run(&["approve", &id, "--json"]).code(0).json();
    assert_eq!(
        (&applied["status"], &applied["actor"]["agent"]),
        (&json!("applied"), &json!("rook"))
    );
    // A rejection has a reason that the agent can read.
    planner.requests();
    let held = complete(&place, &["--as", "rook"]);
    assert_eq!(held.code, 0, "{}", held.stdout);
    let other = place.run(&["task", "complete", OURS, "--as", "rook", "--json"]).code(7).json();
    let other = other["pending"].as_str().unwrap();
    place.run(&["reject", other, "--reason", "Not this week"]).code(0).says(&["Rejected"]);
    let all = place.run(&["pending", "list", "--all", "--json", "--as", "rook"]).code(0).json();
    let rejected = all.as_array().unwrap().iter().find(|one| one["id"] == other).unwrap();
    assert_eq!(
        (&rejected["state"], &rejected["reason"]),
        (&json!("rejected"), &json!("Not this week"))
    );
    place.run(&["approve", other]).code(1).says(&["has rejected it"]);
    assert_eq!(planner.task(OURS)["percentComplete"], 0);
}

#[test]
fn what_differs_from_what_was_held_is_not_applied_unseen() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let held =
        place.run(&["task", "update", MEIS, "--priority", "urgent", "--json"]).code(7).json();
    // Something else of the task moves: what is written stays the same.
    let task = planner.task(MEIS)["id"].as_str().unwrap().to_owned();
    planner.edit(
        "mei@bos.example",
        &format!("/planner/tasks/{task}"),
        &json!({ "percentComplete": 50 }),
    );
    place.run(&["approve", &id(&held)]).code(0);
    assert_eq!(planner.task(MEIS)["priority"], 1);
    // A bucket's deletion would take another task along.
    let held = place
        .run(&["bucket", "delete", "In Progress", "--plan", PLAN, "--force", "--json"])
        .code(7)
        .json();
    let digest = pending(&place)[0]["digest"].clone();
    let bucket = planner.bucket_id("In Progress");
    planner.edit(
        "mei@bos.example",
        &format!("/planner/tasks/{task}"),
        &json!({ "bucketId": bucket }),
    );
    let again = place.run(&["approve", &id(&held), "--json"]);
    assert!(again.code == 7 || again.code == 4, "{}", again.stdout);
    assert!(planner.bucket_id("In Progress") == bucket);
    if again.code == 7 {
        assert_eq!(again.json()["pending"], held["pending"]);
        let now = pending(&place);
        assert_eq!(now.as_array().unwrap().len(), 1);
        assert_ne!(now[0]["digest"], digest);
        let digest = now[0]["digest"].as_str().unwrap().to_owned();
        place.run(&["approve", &id(&held), "--digest", "sha256:0"]).code(7);
        place.run(&["approve", &id(&held), "--digest", &digest]).code(0);
    }
}

#[test]
fn four_eyes_see_more_than_two() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[approvals]\nfour_eyes = true\n");
    let held = complete(&place, &["--yes"]).code(7).json();
    place
        .run(&["approve", &id(&held)])
        .code(1)
        .says(&["somebody else must approve it", "four_eyes"]);
    let ana = [("PLANWRIGHT_TOKEN", "emulator:ana@bos.example")];
    // Nobody approves what they have not been shown.
    place.run_with(&["approve", &id(&held)], "", &ana).code(0).says(&[
        "planwright apply",
        MEIS,
        "not started → completed",
        "assigned to someone else",
    ]);
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    // A look at it writes nothing and uses nothing up.
    place.run(&["apply", &id(&held), "-n"]).code(7);
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    place.run(&["apply", &id(&held)]).code(0);
    assert_eq!(planner.task(MEIS)["percentComplete"], 100);
    place.run(&["apply", &id(&held)]).code(1);
}

#[test]
fn nothing_waits_for_ever() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[approvals]\nexpires_hours = 0\n");
    let held = complete(&place, &[]).code(7).json();
    assert_eq!(pending(&place), json!([]));
    place.run(&["approve", &id(&held)]).code(1).says(&["nobody decided on it in time"]);
    let all = place.run(&["pending", "--all", "--json"]).code(0).json();
    assert_eq!(all[0]["state"], "expired");
}

#[test]
fn a_preview_is_applied_as_it_was_shown() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let preview = place.run(&["task", "complete", OURS, "-n", "--json"]).code(0).json();
    let run = preview["run_id"].as_str().unwrap();
    place.run(&["approve", run]).code(1).says(&["it is a preview", "planwright apply"]);
    place.run(&["apply", run]).code(0);
    assert_eq!(planner.task(OURS)["percentComplete"], 100);
    place.run(&["apply", run]).code(1).says(&["already applied"]);
    // What is held is not applied by its id.
    let held = complete(&place, &[]).code(7).json();
    place.run(&["apply", &id(&held)]).code(1).says(&["is held", "planwright approve"]);
}

/// An agent applies nothing of a person, and who carries an approval out has no say in it.
#[test]
fn nobody_applies_what_is_another_s() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.eve]\nplans = [\"Nothing\"]\nscripts = false\n");
    let preview = place.run(&["task", "complete", OURS, "-n", "--json"]).code(0).json();
    let run = preview["run_id"].as_str().unwrap();
    place.run(&["apply", run, "--as", "eve"]).code(1).says(&["has nothing under"]);
    assert_eq!(planner.task(OURS)["percentComplete"], 0);
    // A preview that could not even be begun can be applied another time.
    place.file("planwright.toml", "time_zone = \"Nowhere/Land\"\n");
    place.run(&["apply", run]).code(1);
    place.file("planwright.toml", "[approvals]\nfour_eyes = true\n");
    place.run(&["apply", run]).code(0);
    // One approval, one record of it, one effect.
    let held = complete(&place, &[]).code(7).json();
    let ana = [("PLANWRIGHT_TOKEN", "emulator:ana@bos.example")];
    place.run_with(&["approve", &id(&held)], "", &ana).code(0);
    place.run(&["apply", &id(&held)]).code(0);
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    assert_eq!(audit.matches("\"kind\":\"approved\"").count(), 1);
}

#[test]
fn undo_goes_further_back_and_redo_comes_forward_again() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let priority = || planner.task(OURS)["priority"].as_u64().unwrap();
    let update = |value: &str| place.run(&["task", "update", OURS, "--priority", value]).code(0);
    place.run(&["undo", "last"]).code(1).says(&["no run has been recorded yet"]);
    update("urgent");
    update("important");
    place.run(&["undo", "last"]).code(0);
    assert_eq!(priority(), 1);
    place.run(&["undo", "last"]).code(0);
    assert_eq!(priority(), 5);
    place.run(&["undo", "last"]).code(1).says(&["nothing to undo"]);
    place.run(&["redo"]).code(0);
    assert_eq!(priority(), 1);
    place.run(&["redo"]).code(0);
    assert_eq!(priority(), 3);
    place.run(&["redo"]).code(1).says(&["nothing to redo"]);
    place.run(&["undo", "last"]).code(0);
    assert_eq!(priority(), 1);
    // Another write ends what can be redone.
    update("low");
    place.run(&["redo"]).code(1).says(&["nothing to redo"]);
    place.run(&["undo", "last"]).code(0);
    assert_eq!(priority(), 1);
}

/// A task that is deleted by itself and with its bucket comes back once, however often a run is taken
/// back and done again.
#[test]
fn undo_and_redo_neither_multiply_nor_get_stuck() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let plan = ["--plan", PLAN];
    let run = |args: &[&str]| place.run(&[args, &["--yes", "--force"]].concat()).code(0);
    run(&[&["bucket", "create", "Tmp"][..], &plan].concat());
    for title in ["T1", "T2"] {
        run(&[&["task", "create", title, "--bucket", "Tmp"][..], &plan].concat());
        run(&["task", "update", title, "--description", "What it is about"]);
    }
    run(&[&["bucket", "delete", "Tmp"][..], &plan].concat());
    let count = |title: &str| {
        let tasks = place.run(&["task", "list", "--plan", PLAN, "--json"]).code(0).json();
        tasks.as_array().unwrap().iter().filter(|task| task["title"] == title).count()
    };
    for _ in 0..2 {
        run(&["undo", "last"]);
        assert_eq!((count("T1"), count("T2")), (1, 1));
        run(&["redo"]);
        assert_eq!((count("T1"), count("T2")), (0, 0));
    }
    run(&["undo", "last"]);
    // What was restored has another id: the update of the old one is passed over, not stuck at.
    run(&["task", "create", "U", "--plan", PLAN]);
    run(&["task", "update", "U", "--title", "V"]);
    run(&["task", "delete", "V"]);
    run(&["undo", "last"]);
    assert_eq!(count("V"), 1);
    let before = place.run(&["runs", "--json"]).code(0).json().as_array().unwrap().len();
    run(&["undo", "last"]);
    let after = place.run(&["runs", "--json"]).code(0).json();
    assert!(after.as_array().unwrap().len() > before + 1, "{after}");
}

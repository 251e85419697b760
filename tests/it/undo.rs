//! Taking back what a run has done.

use planwright::host::{Failure, Session, Status};
use planwright::model::{PlanDocument, PlanId};
use serde_json::{Value, json};

use crate::driver::{Dice, Driver};
use crate::model::{Board, Chance, Ids};
use crate::support::{PLAN, Place, Planner, times};

/// Everything on a board but the ids: what undoing must bring back.
type Whole = (PlanDocument, Vec<String>, Vec<String>);

fn whole(session: &Session, plan: &PlanId) -> Result<Whole, Failure> {
    let document = session.document(plan)?;
    let shared = session.plan_details(plan)?.shared_with;
    let mut previews = Vec::new();
    for bucket in session.buckets(plan)? {
        for task in session.tasks_in_order(&bucket)? {
            let details = session.details(&task)?;
            previews.push(details.preview_type);
        }
    }
    Ok((document, previews, shared.iter().map(ToString::to_string).collect()))
}

/// Creates, deletions, moves, labels, checklists, links: whatever a random set of changes did is
/// taken back, and the board is as before, order included.
#[test]
fn random_change_sets_are_taken_back() {
    let planner = Planner::demo();
    let state = tempfile::tempdir().unwrap();
    let mut driver = Driver::new(&planner).recording_in(state.path());
    let plan = driver.new_plan("Undone");
    let mut ids = Ids::of(&driver, plan.clone());
    let mut board = Board { title: "Undone".to_owned(), ..Board::default() };
    let mut chance = Chance { dice: Dice::new(7), made: 0 };
    for n in 0..times("SETS", 60) {
        // Each run opens and checks the whole journal: a small one, for the speed of the test.
        if n % 50 == 49 {
            driver = driver.recording_in(&state.path().join(n.to_string()));
        }
        let size = if n == 0 { 40 } else { 1 + chance.dice.below(6) };
        let (after, steps) = chance.steps(&board, size);
        let there = plan.clone();
        let before = driver.look(move |session| whole(session, &there));
        let mut in_run = ids.clone();
        let report = driver.apply(move |session| {
            steps.iter().try_for_each(|it| in_run.carry_out(session, it))?;
            Ok(in_run.to_json())
        });
        // The board moves on now and then, else everything happens to the same one.
        if n % 10 == 0 {
            ids.take(&report.result);
            board = after;
            continue;
        }
        let undone = driver.undo(&report.run_id);
        let well = matches!(undone.status, Status::Applied | Status::NoChanges);
        assert!(well, "{n}: {:?} {:#?}", undone.status, undone.error);
        assert_eq!(undone.warnings, [""; 0], "{n}");
        let (there, expected) = (plan.clone(), board.clone());
        let mut found = ids.clone();
        let (now, found) = driver.look(move |session| {
            let now = whole(session, &there)?;
            found.find(session, &expected)?;
            Ok((now, found))
        });
        assert_eq!(now, before, "{n}: {:#?}", report.changes);
        ids = found;
    }
}

fn run_id(place: &Place, at: usize) -> String {
    let runs = place.run(&["runs", "--json"]).code(0).json();
    runs[at]["run_id"].as_str().unwrap().to_owned()
}

/// What someone else has changed since is left as it is, and said; the rest is taken back.
#[test]
fn an_edit_made_since_is_never_overwritten() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"let p = plan("{PLAN}");
        let a = p.task("Book the room for the customer day"); a.title = "Ours"; a.priority = 1;
        let b = p.task("Answer the auditor's questions"); b.description = "Ours"; b.add_label("People");
        let c = p.create_task(#{{ title: "Made" }}); let d = p.create_task(#{{ title: "Made too" }});
        let e = p.task("Update the emergency contact list"); e.delete();"#
    );
    place.script(&script, &["--force"]).code(0);
    let path = |title: &str, part: &str| {
        format!("/planner/tasks/{}{part}", planner.task(title)["id"].as_str().unwrap())
    };
    let mei = "mei@bos.example";
    planner.edit(mei, &path("Ours", ""), &json!({ "title": "Theirs" }));
    let auditor = "Answer the auditor's questions";
    planner.edit(mei, &path(auditor, "/details"), &json!({ "description": "Theirs" }));
    planner.edit(mei, &path("Made", ""), &json!({ "percentComplete": 50 }));
    let report = place.run(&["undo", &run_id(&place, 0), "--force", "--json"]).code(0).json();
    let warnings = report["warnings"].to_string();
    for says in
        ["`Ours`, whose title changed", "whose description changed", "`Made`, which was changed"]
    {
        assert!(warnings.contains(says), "{says}: {warnings}");
    }
    assert_eq!(planner.task("Theirs")["priority"], 5);
    assert_eq!(planner.task(auditor)["appliedCategories"], json!({ "category2": true }));
    assert_eq!(planner.get(&path(auditor, "/details"))["description"], "Theirs");
    assert_eq!(planner.task("Made")["percentComplete"], 50);
    let again = planner.task("Update the emergency contact list");
    assert_eq!((&again["priority"], &again["hasDescription"]), (&json!(9), &json!(true)));
    let titles = planner.board().to_string();
    assert!(!titles.contains("Made too"));
}

#[test]
fn an_undo_is_judged_like_any_run_and_can_be_undone() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["task", "create", "Fresh", "--plan", PLAN]).code(0);
    let made = run_id(&place, 0);
    place.run(&["undo", &made]).code(3).says(&["a deletion needs --force"]);
    place.run(&["undo", &made, "--force", "--dry-run"]).code(0).says(&["- task Fresh"]);
    place.run(&["undo", made.get(..18).unwrap(), "--force"]).code(0);
    assert!(!planner.board().to_string().contains("Fresh"));
    place.run(&["undo", &run_id(&place, 0)]).code(0).says(&["+ task Fresh"]);
    assert_eq!(planner.task("Fresh")["percentComplete"], 0);
    place.run(&["undo", "nothing"]).code(1);
    let report = place.run(&["runs", "show", &run_id(&place, 0), "--json"]).code(0).json();
    assert_eq!((&report["purpose"], &report["status"]), (&json!("undo"), &json!("applied")));
}

#[test]
fn a_run_is_taken_back_once_and_the_last_one_needs_no_id() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.run(&["undo", "last"]).code(1);
    let rename = ["task", "update", "Book the room for the customer day", "--title", "Ours"];
    place.run(&rename).code(0);
    place.run(&["task", "list", "--plan", PLAN]).code(0);
    let made = run_id(&place, 0);
    // What has written nothing is not the last that can be taken back.
    place.run(&["undo", "last", "--dry-run"]).code(0).says(&["Ours"]);
    assert!(place.run(&["runs", "show", "last"]).code(0).stdout.contains(&made));
    place.run(&["undo", "last"]).code(0);
    let back = run_id(&place, 0);
    let again = ["undo", &made];
    place.run(&again).code(1).says(&["undone already", &format!("planwright undo {back}")]);
    // Taking the undo back is doing it again, which can be taken back again.
    place.run(&["undo", &back]).code(0);
    assert_eq!(planner.task("Ours")["percentComplete"], 0);
    place.run(&again).code(0);
    assert_eq!(planner.task("Book the room for the customer day")["percentComplete"], 0);
}

/// The shipped policy refuses backward progress, but not a person who takes back a run; an agent
/// is not made an exception.
#[test]
fn a_person_takes_back_a_completion_and_an_agent_does_not() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let title = "Book the room for the customer day";
    place.run(&["task", "complete", title]).code(0);
    place.run(&["undo", "last", "--as", "finance-bot"]).code(1).says(&["nothing to undo"]);
    let runs = place.run(&["runs", "--json"]).code(0).json();
    let run = runs[0]["run_id"].as_str().unwrap();
    let others = ["undo", run, "--as", "finance-bot"];
    place.run(&others).code(1).says(&["the agent has no run"]);
    place.run(&["undo", "last"]).code(0);
    assert_eq!(planner.task(title)["percentComplete"], 0);
    place.run(&["task", "complete", title, "--as", "finance-bot"]).code(0);
    place.run(&["undo", "last", "--as", "finance-bot"]).code(3).says(&["progress would go back"]);
    place.run(&["task", "update", title, "--progress", "0"]).code(7);
}

/// An undo that was cut off is carried on, although it sets progress back.
#[test]
fn an_undo_that_was_cut_off_is_carried_on() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let title = "Book the room for the customer day";
    place.run(&["task", "complete", title]).code(0);
    planner.faults(&json!([{ "method": "PATCH", "action": { "drop_before": true } }]));
    place.run(&["undo", "last"]).code(6);
    planner.faults(&json!([]));
    assert_eq!(planner.task(title)["percentComplete"], 100);
    place.run(&["resume", &run_id(&place, 0)]).code(0);
    assert_eq!(planner.task(title)["percentComplete"], 0);
}

/// A plan with all that was in it comes back.
#[test]
fn a_deleted_plan_and_a_deleted_bucket_come_back_whole() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_deletes = 100\n");
    let exported = |plan: &str| -> Value {
        serde_json::from_str(&place.run(&["plan", "export", plan]).code(0).stdout).unwrap()
    };
    for delete in
        [vec!["bucket", "delete", "In Progress", "--plan", PLAN], vec!["plan", "delete", PLAN]]
    {
        let before = exported(PLAN);
        place.run(&[&delete[..], &["--force"]].concat()).code(0);
        place.run(&["undo", &run_id(&place, 0)]).code(0);
        assert_eq!(exported(PLAN), before, "{delete:?}");
    }
}

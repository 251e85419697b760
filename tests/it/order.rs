//! Order on the boards: what is moved stands where a plain list would have it.

use planwright::host::{Column, Failure, NewTask, Session};
use planwright::model::order::Side;
use planwright::model::{BucketId, PlanId, TaskId};
use serde_json::json;

use crate::driver::{Dice, Driver};
use crate::support::{PLAN, Place, Planner, times};

const N_BUCKETS: usize = 8;
const N_TASKS: usize = 40;

/// A board as plain lists: the buckets, each with its tasks, by their numbers.
type Lists = Vec<(usize, Vec<usize>)>;

#[derive(Debug, Clone, Copy)]
enum Move {
    Bucket(usize, usize, Side),
    Task(usize, usize, Side),
}

fn random_move(dice: &mut Dice) -> Move {
    let side = if dice.chance(50) { Side::Before } else { Side::After };
    match dice.below(10) {
        0 | 1 => Move::Bucket(dice.below(N_BUCKETS), dice.below(N_BUCKETS), side),
        _ => Move::Task(dice.below(N_TASKS), dice.below(N_TASKS), side),
    }
}

fn move_in(lists: &mut Lists, step: Move) {
    match step {
        Move::Bucket(item, other, side) if item != other => {
            let at = lists.iter().position(|it| it.0 == item).unwrap();
            let moved = lists.remove(at);
            let at = lists.iter().position(|it| it.0 == other).unwrap();
            lists.insert(at + usize::from(side == Side::After), moved);
        }
        Move::Task(item, other, side) if item != other => {
            lists.iter_mut().for_each(|(_, tasks)| tasks.retain(|it| *it != item));
            let (_, tasks) = lists.iter_mut().find(|(_, it)| it.contains(&other)).unwrap();
            let at = tasks.iter().position(|it| *it == other).unwrap();
            tasks.insert(at + usize::from(side == Side::After), item);
        }
        // Next to itself: it stays.
        Move::Bucket(..) | Move::Task(..) => {}
    }
}

struct Board {
    plan: PlanId,
    buckets: Vec<BucketId>,
    tasks: Vec<TaskId>,
}

impl Board {
    fn make(driver: &Driver) -> Self {
        let plan = driver.new_plan("Order");
        let id = plan.clone();
        let made = driver.apply(move |session| {
            let mut ids = Vec::new();
            for n in 0..N_BUCKETS {
                ids.push(session.editor()?.create_bucket(&id, &n.to_string())?.to_string());
            }
            for n in 0..N_TASKS {
                let bucket = Some(BucketId::parse(&ids[n % N_BUCKETS]).unwrap());
                let new = NewTask { title: n.to_string(), bucket, ..NewTask::default() };
                ids.push(session.editor()?.create_task(&id, new)?.to_string());
            }
            Ok(json!(ids))
        });
        let ids: Vec<String> = serde_json::from_value(made.result).unwrap();
        let (buckets, tasks) = ids.split_at(N_BUCKETS);
        Self {
            plan,
            buckets: buckets.iter().map(|it| BucketId::parse(it).unwrap()).collect(),
            tasks: tasks.iter().map(|it| TaskId::parse(it).unwrap()).collect(),
        }
    }

    fn lists(&self, session: &Session) -> Result<Lists, Failure> {
        let mut lists = Vec::new();
        for id in session.buckets(&self.plan)? {
            let mut tasks = Vec::new();
            for task in session.tasks_in_order(&id)? {
                tasks.push(self.tasks.iter().position(|it| *it == task).unwrap());
            }
            lists.push((self.buckets.iter().position(|it| *it == id).unwrap(), tasks));
        }
        Ok(lists)
    }

    fn carry_out(&self, session: &Session, step: Move) -> Result<(), Failure> {
        match step {
            Move::Bucket(a, b, side) => {
                session.editor()?.move_bucket(&self.buckets[a], &self.buckets[b], side)?;
            }
            Move::Task(a, b, side) => {
                let (a, b) = (&self.tasks[a], &self.tasks[b]);
                session.editor()?.move_task_next_to(a, b, side, Column::Bucket)?;
            }
        }
        Ok(())
    }
}

/// In one change set and over many.
#[test]
fn moves_keep_the_order_of_plain_lists() {
    let planner = Planner::demo();
    let driver = Driver::new(&planner);
    let board = std::sync::Arc::new(Board::make(&driver));
    let mut dice = Dice::new(2026);
    let there = board.clone();
    let mut lists = driver.look(move |session| there.lists(session));
    assert_eq!(lists.len(), N_BUCKETS);
    let mut left = times("MOVES", 900);
    for size in [300, 1, 2, 3, 5, 8, 13, 21, 34, 55].into_iter().cycle() {
        if left == 0 {
            break;
        }
        let size = size.min(left);
        left -= size;
        let steps: Vec<Move> = (0..size).map(|_| random_move(&mut dice)).collect();
        steps.iter().for_each(|it| move_in(&mut lists, *it));
        let there = board.clone();
        let report = driver.apply(move |session| {
            steps.iter().try_for_each(|it| there.carry_out(session, *it))?;
            Ok(json!(there.lists(session)?))
        });
        assert_eq!(report.result, json!(lists), "{size} moves, as the run saw them");
        let there = board.clone();
        let now = driver.look(move |session| there.lists(session));
        assert_eq!(now, lists, "{size} moves, as the service has them");
    }
}

fn hint(planner: &Planner, title: &str, board: &str) -> String {
    let id = planner.task(title)["id"].as_str().unwrap().to_owned();
    let format = planner.get(&format!("/planner/tasks/{id}/{board}"));
    format["orderHint"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_task_is_moved_on_each_board_under_the_tag_of_its_place() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let tasks = "for n in [\"A\", \"B\", \"C\"] { p.create_task(#{ title: n, bucket: \"Inbox\", assign: [\"me\", \"ana@bos.example\"] }); }";
    place.script(&format!("let p = plan(\"{PLAN}\"); {tasks}"), &[]).code(0);
    planner.requests();
    let script = format!(
        r#"let p = plan("{PLAN}");
        let a = p.task("A"); let b = p.task("B"); let c = p.task("C");
        c.move_after(a);
        a.move_before(b, "progress");
        a.move_before(c, me());
        p.bucket("Inbox").tasks_in_order().map(|t| t.title).filter(|t| t.len == 1)"#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    let order: Vec<&str> =
        report["result"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let at = |title| order.iter().position(|it| *it == title).unwrap();
    assert_eq!(at("C"), at("A") + 1, "{order:?}");
    let mut written: Vec<String> =
        planner.writes().iter().map(|it| it.path.rsplit('/').next().unwrap().to_owned()).collect();
    written.sort();
    let formats = ["assignedToTaskBoardFormat", "bucketTaskBoardFormat", "progressTaskBoardFormat"];
    assert_eq!(written, formats);
    let bucket = "bucketTaskBoardFormat";
    assert!(hint(&planner, "A", bucket) < hint(&planner, "C", bucket));
    let progress = "progressTaskBoardFormat";
    assert!(hint(&planner, "A", progress) < hint(&planner, "B", progress));
    place.run(&["task", "move", "B", "--after", "A"]).code(0).says(&["moved"]);
    assert!(hint(&planner, "A", bucket) < hint(&planner, "B", bucket));
    assert!(hint(&planner, "B", bucket) < hint(&planner, "C", bucket));
}

#[test]
fn a_new_task_stands_where_it_is_put_and_a_task_of_another_bucket_comes_along() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let script = format!(
        r#"let p = plan("{PLAN}");
        let week = p.bucket("This Week").tasks_in_order();
        let made = p.create_task(#{{ title: "Made", bucket: "Done", assign: "me" }});
        made.move_after(week[0]);
        let other = p.task("Book the room for the customer day");
        other.move_before(made);
        p.bucket("This Week").tasks_in_order().map(|t| t.title)"#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    assert_eq!(report["result"][1], "Book the room for the customer day");
    assert_eq!(report["result"][2], "Made");
    let now = place.script(
        &format!("plan(\"{PLAN}\").bucket(\"This Week\").tasks_in_order().map(|t| t.title)"),
        &["--json"],
    );
    assert_eq!(now.code(0).json()["result"], report["result"]);
}

/// Someone else has put the task elsewhere meanwhile: it is moved from there, not blindly.
#[test]
fn a_place_that_someone_else_has_changed_is_looked_at_again() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let title = "Book the room for the customer day";
    let id = planner.task(title)["id"].as_str().unwrap().to_owned();
    let mut done = false;
    let path = format!("/planner/tasks/{id}/bucketTaskBoardFormat");
    planner.on_request(move |emulator, exchange| {
        // After the run has compared it, before it is written.
        if !done && exchange.method == "PATCH" {
            done = true;
            crate::support::edit(emulator, "mei@bos.example", &path, &json!({ "orderHint": " !" }));
        }
    });
    let script = format!(
        r#"let p = plan("{PLAN}");
        let t = p.task("{title}");
        let first = t.bucket.tasks_in_order();
        t.move_after(first[first.len - 1])"#
    );
    let report = place.script(&script, &["--json"]).code(0).json();
    // They have put it where it was to go: nothing is left to do.
    assert_eq!((&report["status"], &report["stats"]["replays"]), (&json!("no_changes"), &json!(1)));
}

#[test]
fn what_shares_no_column_can_not_be_put_side_by_side() {
    let place = Place::embedded();
    let try_it = |line: &str, says: &str| {
        let script = format!(
            "let p = plan(\"{PLAN}\"); let a = p.task(\"Book the room for the customer day\"); {line}"
        );
        place.script(&script, &[]).code(1).says(&[says]);
    };
    try_it("a.move_before(p.bucket(\"Done\").tasks[0], \"progress\")", "not in one column");
    try_it("a.move_before(p.bucket(\"Done\").tasks[0], \"nobody\")", "there is no user `nobody`");
    try_it("a.move_before(plan(\"Website Relaunch\").tasks[0])", "belong to different plans");
    let id = "let b = p.create_task(#{ title: \"Nowhere\" }); a.move_before(b)";
    try_it(id, "is in no bucket");
}

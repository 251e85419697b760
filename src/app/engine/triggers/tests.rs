//! A thousand changes of a board, each an event once, whatever is killed when.

use serde_json::Map;
use tempfile::TempDir;

use super::*;
use crate::journal::Journal;
use crate::journal::inbox::Page;
use crate::model::time::moment_of_day;
use crate::model::{BucketId, ETag, TaskId, UserId};
use crate::script::workspace::tables::TriggerEvent;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn by() -> Sender {
    Sender { service: "embedded".into(), workspace: String::new(), upn: "rook@bos.example".into() }
}

fn plan() -> PlanId {
    PlanId::parse("xqQg5FS2LkCp935s-FIFm2QAFkHM").unwrap()
}

fn trigger(on: TriggerEvent) -> Trigger {
    Trigger {
        on,
        plan: "BOS Operations".into(),
        skill: "greet".into(),
        params: Map::new(),
        agent: "schedule".into(),
        every: std::time::Duration::from_secs(60),
    }
}

fn all_triggers() -> BTreeMap<String, Trigger> {
    use TriggerEvent::{Assigned, Completed, Created, DueSoon, Moved};
    let all = [Created, Completed, Moved, Assigned, DueSoon];
    all.map(|on| (on.name().replace("task.", "on_"), trigger(on))).into()
}

/// A board that changes.
#[derive(Default)]
struct Board {
    tasks: Vec<Versioned<Task>>,
    n_changes: usize,
}

impl Board {
    fn tag(&mut self) -> ETag {
        self.n_changes += 1;
        ETag::new(format!("W/\"{:010}\"", self.n_changes))
    }

    fn create(&mut self) -> usize {
        let etag = self.tag();
        let id = TaskId::parse(&format!("task{:024}", self.tasks.len())).unwrap();
        let task = Task::new(id, plan(), "A task".into());
        self.tasks.push(Versioned::new(task, etag));
        self.tasks.len() - 1
    }

    fn edit(&mut self, at: usize, edit: impl FnOnce(&mut Task)) {
        self.tasks[at].etag = self.tag();
        edit(&mut self.tasks[at].value);
    }
}

fn journal() -> (TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
    (dir, journal)
}

const SCOPE: &str = "a workspace";

const NOW: &str = "2026-03-27T12:00:00Z";

/// All of the inbox, the newest first.
const ALL: Page<'_> = Page { agent: None, open: false, before: None, limit: usize::MAX };

/// Reads the parameters of an entry, which no list has.
fn params(journal: &Journal, entry: &InboxEntry) -> Value {
    journal.inbox_entry(&entry.id).unwrap().unwrap().params
}

/// Looks at a board as one process; returns the events of new entries, as `event task`.
fn look(journal: &Journal, triggers: &BTreeMap<String, Trigger>, board: &Board) -> Vec<String> {
    let before = journal.inbox(&ALL).unwrap().len();
    let look = begin(journal, (SCOPE, &plan()), "a", at(NOW)).unwrap().unwrap();
    look.settle(journal, triggers, &board.tasks, &by(), (at(NOW), &TimeZone::UTC)).unwrap();
    look.end(journal).unwrap();
    let entries = journal.inbox(&ALL).unwrap();
    let text = |entry: &InboxEntry| params(journal, entry)["event"].as_str().unwrap().to_owned();
    entries.iter().rev().skip(before).map(text).collect()
}

#[test]
fn what_is_there_at_first_is_no_event_and_what_comes_after_is_one_once() {
    let (_dir, journal) = journal();
    let (mut board, triggers) = (Board::default(), all_triggers());
    let old = board.create();
    board.edit(old, |task| task.due = moment_of_day("2026-03-28".parse().unwrap()));
    assert!(look(&journal, &triggers, &board).is_empty());
    assert!(look(&journal, &triggers, &board).is_empty());
    let new = board.create();
    assert_eq!(look(&journal, &triggers, &board), ["task.created"]);
    let mei = UserId::parse("6463a5ce-2119-4198-9f2a-628761df4a62").unwrap();
    board.edit(new, |task| {
        task.bucket = Some(BucketId::parse("hsOf2dhOJkC6Fey9VjDg1WQAC9Rq").unwrap());
        task.assignments.insert(mei, String::new());
    });
    let mut happened = look(&journal, &triggers, &board);
    happened.sort_unstable();
    assert_eq!(happened, ["task.assigned", "task.moved"]);
    board.edit(new, |task| task.due = moment_of_day("2026-03-27".parse().unwrap()));
    assert_eq!(look(&journal, &triggers, &board), ["task.due_soon"]);
    board.edit(new, |task| task.percent_complete = 100);
    assert_eq!(look(&journal, &triggers, &board), ["task.completed"]);
    board.edit(new, |task| task.title = "Another title".into());
    assert!(look(&journal, &triggers, &board).is_empty());
    // Reopened and completed again is another event.
    board.edit(new, |task| task.percent_complete = 50);
    assert!(look(&journal, &triggers, &board).is_empty());
    board.edit(new, |task| task.percent_complete = 100);
    assert_eq!(look(&journal, &triggers, &board), ["task.completed"]);
    let entry = journal.inbox(&ALL).unwrap().remove(0);
    assert_eq!(params(&journal, &entry)["task"], board.tasks[new].value.id.as_str());
}

#[test]
fn a_trigger_that_is_new_does_not_fire_for_what_was_there() {
    let (_dir, journal) = journal();
    let (mut board, all) = (Board::default(), all_triggers());
    let one = BTreeMap::from([("on_moved".to_owned(), all["on_moved"].clone())]);
    board.create();
    look(&journal, &one, &board);
    board.create();
    assert!(look(&journal, &all, &board).is_empty());
    board.create();
    assert_eq!(look(&journal, &all, &board), ["task.created"]);
}

#[test]
fn an_older_list_shows_nothing_new() {
    let (_dir, journal) = journal();
    let (mut board, triggers) = (Board::default(), all_triggers());
    let task = board.create();
    look(&journal, &triggers, &board);
    let lagging = board.tasks.clone();
    board.edit(task, |task| task.percent_complete = 100);
    assert_eq!(look(&journal, &triggers, &board), ["task.completed"]);
    let present = std::mem::replace(&mut board.tasks, lagging);
    assert!(look(&journal, &triggers, &board).is_empty());
    board.tasks = present;
    assert!(look(&journal, &triggers, &board).is_empty());
    // A list that lacks it, as lagging copies do, and has it again.
    let there = std::mem::take(&mut board.tasks);
    look(&journal, &triggers, &board);
    board.tasks = there;
    assert!(look(&journal, &triggers, &board).is_empty());
}

#[test]
fn a_list_that_took_longer_than_the_lock_fires_nothing() {
    let (_dir, journal) = journal();
    let (mut board, all) = (Board::default(), all_triggers());
    let task = board.create();
    look(&journal, &all, &board);
    let slow = begin(&journal, (SCOPE, &plan()), "slow", at(NOW)).unwrap().unwrap();
    // Its lock ends while it lists; another sees the task moved, and what is assigned later is in the
    // list of both.
    let other = begin(&journal, (SCOPE, &plan()), "other", at(NOW) + HOLD).unwrap().unwrap();
    let to = Some(BucketId::parse("hsOf2dhOJkC6Fey9VjDg1WQAC9Rq").unwrap());
    board.edit(task, |task| task.bucket = to);
    let time = (at(NOW), &TimeZone::UTC);
    assert_eq!(other.settle(&journal, &all, &board.tasks, &by(), time).unwrap().len(), 1);
    other.end(&journal).unwrap();
    let mei = UserId::parse("6463a5ce-2119-4198-9f2a-628761df4a62").unwrap();
    board.edit(task, |task| drop(task.assignments.insert(mei, String::new())));
    let late = slow.settle(&journal, &all, &board.tasks, &by(), time);
    assert!(matches!(late, Err(Error::LostLock)), "{late:?}");
    assert_eq!(look(&journal, &all, &board), ["task.assigned"]);
    assert_eq!(journal.inbox(&ALL).unwrap().len(), 2);
}

#[test]
fn a_thousand_changes_are_a_thousand_events_although_every_process_is_killed() {
    let (_dir, journal) = journal();
    let mut board = Board::default();
    let created = BTreeMap::from([("new".to_owned(), trigger(TriggerEvent::Created))]);
    look(&journal, &created, &board);
    for round in 0..20 {
        for _ in 0..50 {
            board.create();
        }
        // Killed when everything is submitted and nothing noted: its value stands as before.
        let killed = begin(&journal, (SCOPE, &plan()), "killed", at(NOW)).unwrap().unwrap();
        let stale = Look { revision: -1, ..killed };
        let time = (at(NOW), &TimeZone::UTC);
        stale.settle(&journal, &created, &board.tasks, &by(), time).unwrap();
        assert!(begin(&journal, (SCOPE, &plan()), "b", at(NOW)).unwrap().is_none(), "{round}");
        let later = at(NOW) + HOLD;
        let look = begin(&journal, (SCOPE, &plan()), "b", later).unwrap().unwrap();
        // By then the tasks have moved on.
        for at in board.tasks.len() - 50..board.tasks.len() {
            board.edit(at, |task| task.title = "Edited".into());
        }
        look.settle(&journal, &created, &board.tasks, &by(), time).unwrap();
        look.end(&journal).unwrap();
    }
    assert_eq!(journal.inbox(&ALL).unwrap().len(), 1_000);
}

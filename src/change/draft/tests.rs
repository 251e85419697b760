//! Drafts and the sets that they become, as values.

use proptest::prelude::*;

use super::*;
use crate::change::edit::Op;
use crate::change::field::Entity;

fn task(id: &str) -> Versioned<Task> {
    Versioned::new(
        Task::new(TaskId::parse(id).unwrap(), PlanId::parse("plan").unwrap(), id.to_uppercase()),
        ETag::new(format!("W/\"{id}\"")),
    )
}

fn set_title(draft: &mut Draft, read: &Versioned<Task>, title: &str) {
    draft.edit_task(Some(read), None, &read.value.id, |state| state.task.title = title.into());
}

#[test]
fn two_settings_of_one_task_are_one_change() {
    let mut draft = Draft::new("n".into());
    let read = task("a");
    set_title(&mut draft, &read, "One");
    draft.edit_task(Some(&read), None, &read.value.id, |state| state.task.percent_complete = 50);
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    assert_eq!(set.changes().len(), 1);
    let fields: Vec<_> = set.changes()[0].fields().into_keys().collect();
    assert_eq!(fields, [Field::Title, Field::PercentComplete]);
}

#[test]
fn a_field_set_back_to_what_it_was_is_no_change() {
    let mut draft = Draft::new("n".into());
    let read = task("a");
    set_title(&mut draft, &read, "One");
    set_title(&mut draft, &read, "A");
    assert!(draft.finish(&ReadSet::new(), &Snapshot::default()).is_empty());
}

#[test]
fn what_was_made_and_deleted_in_one_run_leaves_nothing() {
    let mut draft = Draft::new("n".into());
    let id = draft.create_task(|id| Task::new(id, PlanId::parse("plan").unwrap(), "New".into()));
    draft.delete_task(None, &id);
    assert!(draft.finish(&ReadSet::new(), &Snapshot::default()).is_empty());
}

#[test]
fn a_deleted_task_stays_deleted() {
    let mut draft = Draft::new("n".into());
    let read = task("a");
    draft.delete_task(Some(&read), &read.value.id);
    set_title(&mut draft, &read, "Back?");
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    assert_eq!(set.changes()[0].op(), Op::Delete);
}

#[test]
fn details_that_arrive_late_join_the_basis() {
    let mut draft = Draft::new("n".into());
    let read = task("a");
    set_title(&mut draft, &read, "One");
    let details = Versioned::new(TaskDetails::default(), ETag::new("W/\"d\"".into()));
    draft.edit_task(Some(&read), Some(&details), &read.value.id, |state| {
        if let Some(details) = &mut state.details {
            details.description = "text".into();
        }
    });
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let Write::Task(edit) = &set.changes()[0].write else { panic!("a task") };
    let Edit::Update { basis, .. } = &**edit else { panic!("an update") };
    assert_eq!(basis.details, Some(details.etag));
    assert!(set.changes()[0].sets(Field::Description));
}

#[test]
fn the_order_is_updates_creates_dependent_updates_deletions() {
    let mut draft = Draft::new("n".into());
    let (z, y, x) = (task("z"), task("y"), task("x"));
    draft.delete_task(Some(&z), &z.value.id);
    let bucket = draft.create_bucket(|id| Bucket {
        id,
        plan: PlanId::parse("plan").unwrap(),
        name: "New".into(),
        order_hint: String::new(),
    });
    draft.create_task(|id| Task::new(id, PlanId::parse("plan").unwrap(), "T".into()));
    draft.edit_task(Some(&x), None, &x.value.id, |state| state.task.bucket = Some(bucket));
    set_title(&mut draft, &y, "Y2");
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let shape: Vec<_> =
        set.changes().iter().map(|change| (change.n, change.op(), change.entity())).collect();
    assert_eq!(
        shape,
        [
            (1, Op::Update, Entity::Task),
            (2, Op::Create, Entity::Bucket),
            (3, Op::Create, Entity::Task),
            (4, Op::Update, Entity::Task),
            (5, Op::Delete, Entity::Task),
        ]
    );
}

#[test]
fn new_tasks_keep_the_order_of_the_script_past_ten() {
    let mut draft = Draft::new("n".into());
    for n in 1..=12 {
        draft.create_task(|id| Task::new(id, PlanId::parse("plan").unwrap(), format!("{n}")));
    }
    let titles: Vec<_> = draft
        .finish(&ReadSet::new(), &Snapshot::default())
        .changes()
        .iter()
        .map(|change| change.title().to_owned())
        .collect();
    assert_eq!(titles, (1..=12).map(|n| n.to_string()).collect::<Vec<_>>());
}

proptest! {
    /// Whatever order edits come in, the set holds exactly the entities that differ, and its
    /// digest does not depend on the order.
    #[test]
    fn the_set_depends_on_the_edits_only(mut edits in prop::collection::vec((0u8..6, 0u8..3), 1..20)) {
        let run = |edits: &[(u8, u8)]| {
            let mut draft = Draft::new("n".into());
            let mut last = BTreeMap::new();
            for (who, what) in edits {
                let read = task(&format!("t{who}"));
                let title = if *what == 0 { read.value.title.clone() } else { format!("w{what}") };
                set_title(&mut draft, &read, &title);
                last.insert(*who, *what);
            }
            (draft.finish(&ReadSet::new(), &Snapshot::default()), last)
        };
        let (set, last) = run(&edits);
        prop_assert_eq!(set.changes().len(), last.values().filter(|what| **what != 0).count());
        edits.sort_by_key(|(who, _)| *who); // stable: the last edit for each stays the last
        prop_assert_eq!(run(&edits).0.digest(), set.digest());
    }
}

//! The three-way comparison of a change with the newer state of its entity.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::field::{Field, Fields};
use crate::model::order::lies_in;

/// A field that both sides have changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldConflict {
    /// The field.
    pub field: Field,
    /// The value that the run read.
    pub base: Value,
    /// The value that is there now.
    pub theirs: Value,
    /// The value that the run writes; equal to `base` for a field that it only read.
    pub ours: Value,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// No field that the run read or writes has changed: the change may rest on the newer tag.
    Rebase,
    /// Some such fields have changed.
    Conflict(Vec<FieldConflict>),
}

/// Compares the state that a change rests on with the one that is there now.
///
/// The fields that count are those that the run read and those in which `ours` differs from `base`
/// (design.md 2.3). Of a map (assignees, labels, checklist …) that the run did not read, only the
/// keys it writes count. A newer value that happens to equal ours is a conflict too: taking it for
/// agreement would lose one of two equal increments.
pub fn merge<T: Fields>(base: &T, ours: &T, theirs: &T, reads: &BTreeSet<Field>) -> Merge {
    let mut conflicts = Vec::new();
    // Read-only fields are not among `FIELDS`, but a decision may rest on them all the same.
    let others = reads.iter().filter(|field| !T::FIELDS.contains(field));
    for &field in T::FIELDS.iter().chain(others) {
        let (before, wanted) = (base.value(field), ours.value(field));
        let now = theirs.value(field);
        let moved = if reads.contains(&field) {
            before != now
        } else if before != wanted {
            written_part_moved(&before, &wanted, &now)
        } else {
            false
        };
        if moved {
            conflicts.push(FieldConflict { field, base: before, theirs: now, ours: wanted });
        }
    }
    if conflicts.is_empty() { Merge::Rebase } else { Merge::Conflict(conflicts) }
}

/// Merges a change into the state that is there now: theirs, with everything set that `ours` sets
/// against `base`, except for the fields in conflict, which stay theirs. Rebase, drift, undo and
/// conflict resolution at the prompt all use this one three-way comparison.
pub fn merged<T: Fields + Clone>(
    base: &T,
    ours: &T,
    theirs: &T,
    reads: &BTreeSet<Field>,
) -> (T, Vec<FieldConflict>) {
    let mut value = theirs.clone();
    match merge(base, ours, theirs, reads) {
        Merge::Rebase => {
            value.graft(base, ours);
            (value, Vec::new())
        }
        Merge::Conflict(conflicts) => {
            // With the fields in conflict equal to the base, the graft leaves them alone.
            let mut kept = ours.clone();
            kept.copy_fields(base, &conflicts);
            value.graft(base, &kept);
            (value, conflicts)
        }
    }
}

fn written_part_moved(base: &Value, ours: &Value, theirs: &Value) -> bool {
    let (Value::Object(base), Value::Object(ours), Value::Object(theirs)) = (base, ours, theirs)
    else {
        return base != theirs;
    };
    written_keys(base, ours).any(|key| base.get(key) != theirs.get(key))
}

fn written_keys<'a>(
    base: &'a Map<String, Value>,
    ours: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a String> {
    let keys: BTreeSet<&String> = base.keys().chain(ours.keys()).collect();
    keys.into_iter().filter(|key| base.get(*key) != ours.get(*key))
}

/// Returns whether everything that `ours` sets against `base` is there in `theirs`, so that an
/// attempt whose answer was lost was carried out (design.md 2.4). A position counts if it lies
/// where it was wanted: anywhere else, somebody else has moved it.
pub fn holds<T: Fields>(base: &T, ours: &T, theirs: &T) -> bool {
    let lies = |before: Option<&Value>, wanted: Option<&Value>, now: Option<&Value>| {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        // The service replaces a description by a hint of its own, so the text itself never comes
        // back.
        before != now && (now == wanted || lies_in(&text(now), &text(wanted)))
    };
    ours.holds_places(base, theirs)
        && base.differing(ours).into_iter().all(|field| {
            let (before, wanted, now) = (base.value(field), ours.value(field), theirs.value(field));
            match (&before, &wanted, &now) {
                (Value::Object(before), Value::Object(wanted), Value::Object(now)) => {
                    if field.board().is_some() {
                        return written_keys(before, wanted)
                            .all(|key| lies(before.get(key), wanted.get(key), now.get(key)));
                    }
                    // The service rewrites the hints inside of a checklist item, too.
                    let settled = |value: Option<&Value>| value.cloned().map(without_place);
                    written_keys(before, wanted)
                        .all(|key| settled(wanted.get(key)) == settled(now.get(key)))
                }
                _ if field == Field::OrderHint => lies(Some(&before), Some(&wanted), Some(&now)),
                (Value::String(before), Value::String(wanted), Value::String(now)) => {
                    wanted == now || was_edited_on(before, wanted, now)
                }
                _ => wanted == now,
            }
        })
}

/// The number of inserted bytes from which it is unlikely that somebody else inserted the same.
const LONG: usize = 8;

/// Returns whether a text is what `wanted` became when someone edited another place of it: it holds
/// what `wanted` inserts into `before`, at the same place.
fn was_edited_on(before: &str, wanted: &str, now: &str) -> bool {
    let same = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>()
    };
    let head = same(&mut before.chars(), &mut wanted.chars());
    let (rest_before, rest_wanted) = (before.get(head..), wanted.get(head..));
    let (Some(rest_before), Some(rest_wanted)) = (rest_before, rest_wanted) else { return false };
    let tail = same(&mut rest_before.chars().rev(), &mut rest_wanted.chars().rev());
    if rest_wanted.len() == tail {
        // A pure deletion leaves nothing to recognise.
        return false;
    }
    let (Some(to), Some(from)) = (wanted.get(..wanted.len() - tail), wanted.get(head..)) else {
        return false;
    };
    // The insertion must stand beside text shared with `before`, or be long: a short one could be
    // anyone's. And it must end at a word boundary, or `Task 2` would be found in `Task 25`.
    let is_long = rest_wanted.len() - tail >= LONG;
    let parts = |a: Option<char>, b: Option<char>| {
        let inner = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
        !(inner(a) && inner(b))
    };
    let starts = (head > 0 || is_long)
        && !before.starts_with(to)
        && now.strip_prefix(to).is_some_and(|rest| parts(to.chars().last(), rest.chars().next()));
    let ends = (tail > 0 || is_long)
        && !before.ends_with(from)
        && now
            .strip_suffix(from)
            .is_some_and(|rest| parts(rest.chars().last(), from.chars().next()));
    starts || ends
}

fn without_place(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.remove("orderHint");
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::change::edit::TaskState;
    use crate::model::{PlanId, Task, TaskId, UserId};

    fn state(edit: impl FnOnce(&mut Task)) -> TaskState {
        let mut task =
            Task::new(TaskId::parse("t").unwrap(), PlanId::parse("p").unwrap(), "Title".into());
        edit(&mut task);
        TaskState { task, details: None, places: BTreeMap::new() }
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn conflicts(ours: &TaskState, theirs: &TaskState, reads: &[Field]) -> Vec<Field> {
        match merge(&state(|_| {}), ours, theirs, &reads.iter().copied().collect()) {
            Merge::Rebase => Vec::new(),
            Merge::Conflict(list) => list.into_iter().map(|conflict| conflict.field).collect(),
        }
    }

    #[test]
    fn an_edit_elsewhere_lets_the_change_through() {
        let ours = state(|task| task.percent_complete = 50);
        let theirs = state(|task| task.title = "Other".into());
        assert_eq!(conflicts(&ours, &theirs, &[]), []);
    }

    #[test]
    fn an_edit_of_a_field_that_was_read_or_is_written_is_a_conflict() {
        let ours = state(|task| task.percent_complete = 50);
        let title = state(|task| task.title = "Other".into());
        assert_eq!(conflicts(&ours, &title, &[Field::Title]), [Field::Title]);
        let same = state(|task| task.percent_complete = 50);
        assert_eq!(conflicts(&ours, &same, &[]), [Field::PercentComplete]);
    }

    #[test]
    fn what_was_set_holds_whatever_else_happened() {
        let base = state(|_| {});
        let ours = state(|task| _ = task.assignments.insert(user("ana"), String::new()));
        let both = state(|task| {
            task.assignments.insert(user("ana"), "8584".into());
            task.assignments.insert(user("bo"), String::new());
            task.title = "Other".into();
        });
        assert!(holds(&base, &ours, &both));
        assert!(!holds(&base, &ours, &base));
    }

    /// An answer was lost, and someone else has edited the text before anyone could look.
    #[test]
    fn what_was_set_holds_under_a_later_edit_of_the_same_text() {
        let base = state(|task| task.title = "Task #9 ~a".into());
        let ours = state(|task| task.title = "Task #10 ~a".into());
        for (title, is_ours) in [
            ("Task #10 ~a", true),
            ("Task #10 ~b", true),
            ("Our task #10 ~a", true),
            ("Task #9 ~b", false),
            ("Task #9 ~a", false),
            ("Something else", false),
        ] {
            let theirs = state(|task| task.title = title.into());
            assert_eq!(holds(&base, &ours, &theirs), is_ours, "{title}");
        }
        for (base, ours, theirs) in [
            ("Buy milk", "Buy milk.", "Order milk."),
            ("1", "2", "25"),
            ("Task 1", "Task 2", "Task 25"),
            ("Step 1", "Step 11", "Step 111"),
        ] {
            let [base, ours, theirs] =
                [base, ours, theirs].map(|title| state(|task| task.title = title.into()));
            assert!(!holds(&base, &ours, &theirs), "{}", theirs.task.title);
        }
        let shorter = state(|task| task.title = "Task".into());
        assert!(!holds(&base, &shorter, &state(|task| task.title = "Task x".into())));
        let (base, ours) =
            (state(|task| task.title = "é".into()), state(|task| task.title = "éè".into()));
        assert!(holds(&base, &ours, &state(|task| task.title = "éè!".into())));
    }

    #[test]
    fn a_graft_keeps_theirs_and_sets_ours() {
        let base = state(|task| _ = task.assignments.insert(user("cy"), String::new()));
        let ours = state(|task| {
            task.assignments.insert(user("ana"), String::new());
            task.percent_complete = 50;
        });
        let mut theirs = state(|task| {
            task.assignments.insert(user("cy"), String::new());
            task.assignments.insert(user("bo"), String::new());
            task.title = "Other".into();
        });
        theirs.graft(&base, &ours);
        let people: Vec<_> = theirs.task.assignments.keys().map(UserId::as_str).collect();
        assert_eq!(people, ["ana", "bo"]);
        assert_eq!((theirs.task.title.as_str(), theirs.task.percent_complete), ("Other", 50));
    }

    #[test]
    fn two_people_can_be_assigned_at_once_unless_the_run_looked() {
        let ours = state(|task| _ = task.assignments.insert(user("ana"), String::new()));
        let theirs = state(|task| _ = task.assignments.insert(user("bo"), String::new()));
        assert_eq!(conflicts(&ours, &theirs, &[]), []);
        assert_eq!(conflicts(&ours, &theirs, &[Field::Assignments]), [Field::Assignments]);
        let same = state(|task| _ = task.assignments.insert(user("ana"), String::new()));
        assert_eq!(conflicts(&ours, &same, &[]), [Field::Assignments]);
    }
}

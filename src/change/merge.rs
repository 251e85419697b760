//! A change against the newer state of its entity.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::change::field::{Field, Fields};
use crate::model::order::lies_in;

/// A field that both sides have moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldConflict {
    /// Which one.
    pub field: Field,
    /// What the run read.
    pub base: Value,
    /// What is there now.
    pub theirs: Value,
    /// What the run wants; equal to `base` for a field that it only looked at.
    pub ours: Value,
}

/// What comes of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merge {
    /// Nothing that the run read or writes has moved: it may rest on the newer tag.
    Rebase,
    /// Something has.
    Conflict(Vec<FieldConflict>),
}

/// Compares what a run rests on with what is there now.
///
/// Looks at the fields that the run read and those in which `ours` differs from `base`
/// (design.md 2.3). Of a map (assignees, labels, checklist …) that the run did not read, only
/// the keys it writes count. A newer value that happens to equal ours is a conflict too: to
/// take it for agreement would lose one of two equal increments.
pub fn merge<T: Fields>(base: &T, ours: &T, theirs: &T, reads: &BTreeSet<Field>) -> Merge {
    let mut conflicts = Vec::new();
    // What is read only is no field that could be written, and counts all the same.
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

/// Merges what a run wants into what is there now: theirs, with everything set that `ours` sets
/// against `base`, but for the fields in conflict, which stay theirs. The one three-way comparison:
/// of a rebase, of drift, of an undo, of a decision at the prompt.
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

/// Returns whether everything that `ours` sets against `base` is there in `theirs`: what an
/// attempt whose answer was lost has done (design.md 2.4). A position is there if it lies where it
/// was wanted: elsewhere, somebody else has moved it.
pub fn holds<T: Fields>(base: &T, ours: &T, theirs: &T) -> bool {
    let lies = |before: Option<&Value>, wanted: Option<&Value>, now: Option<&Value>| {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
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
                    let settled = |it: Option<&Value>| it.cloned().map(without_place);
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

/// From so many bytes on, what was put in is hardly put there by someone else.
const LONG: usize = 8;

/// Tells whether a text is what `wanted` became when someone edited another place of it: it shows
/// what `wanted` puts in, where it puts it.
fn was_edited_on(before: &str, wanted: &str, now: &str) -> bool {
    let same = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        a.zip(b).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>()
    };
    let head = same(&mut before.chars(), &mut wanted.chars());
    let (rest_before, rest_wanted) = (before.get(head..), wanted.get(head..));
    let (Some(rest_before), Some(rest_wanted)) = (rest_before, rest_wanted) else { return false };
    let tail = same(&mut rest_before.chars().rev(), &mut rest_wanted.chars().rev());
    if rest_wanted.len() == tail {
        // It only takes something out: that shows nowhere.
        return false;
    }
    let (Some(to), Some(from)) = (wanted.get(..wanted.len() - tail), wanted.get(head..)) else {
        return false;
    };
    // What is shared with the old text must stand beside it, or else it must be long: little could
    // be anyone's. And it must end where it ends, not in the middle of a word or number.
    let is_long = rest_wanted.len() - tail >= LONG;
    let parts = |a: Option<char>, b: Option<char>| {
        let inner = |it: Option<char>| it.is_some_and(char::is_alphanumeric);
        !(inner(a) && inner(b))
    };
    let starts = (head > 0 || is_long)
        && !before.starts_with(to)
        && now.strip_prefix(to).is_some_and(|it| parts(to.chars().last(), it.chars().next()));
    let ends = (tail > 0 || is_long)
        && !before.ends_with(from)
        && now.strip_suffix(from).is_some_and(|it| parts(it.chars().last(), from.chars().next()));
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
            Merge::Conflict(list) => list.into_iter().map(|it| it.field).collect(),
        }
    }

    #[test]
    fn an_edit_elsewhere_lets_the_change_through() {
        let ours = state(|it| it.percent_complete = 50);
        let theirs = state(|it| it.title = "Other".into());
        assert_eq!(conflicts(&ours, &theirs, &[]), []);
    }

    #[test]
    fn an_edit_of_a_field_that_was_read_or_is_written_is_a_conflict() {
        let ours = state(|it| it.percent_complete = 50);
        let title = state(|it| it.title = "Other".into());
        assert_eq!(conflicts(&ours, &title, &[Field::Title]), [Field::Title]);
        let same = state(|it| it.percent_complete = 50);
        assert_eq!(conflicts(&ours, &same, &[]), [Field::PercentComplete]);
    }

    #[test]
    fn what_was_set_holds_whatever_else_happened() {
        let base = state(|_| {});
        let ours = state(|it| _ = it.assignments.insert(user("ana"), String::new()));
        let both = state(|it| {
            it.assignments.insert(user("ana"), "8584".into());
            it.assignments.insert(user("bo"), String::new());
            it.title = "Other".into();
        });
        assert!(holds(&base, &ours, &both));
        assert!(!holds(&base, &ours, &base));
    }

    /// An answer was lost, and someone else has edited the text before anyone could look.
    #[test]
    fn what_was_set_holds_under_a_later_edit_of_the_same_text() {
        let base = state(|it| it.title = "Task #9 ~a".into());
        let ours = state(|it| it.title = "Task #10 ~a".into());
        for (title, is_ours) in [
            ("Task #10 ~a", true),
            ("Task #10 ~b", true),
            ("Our task #10 ~a", true),
            ("Task #9 ~b", false),
            ("Task #9 ~a", false),
            ("Something else", false),
        ] {
            let theirs = state(|it| it.title = title.into());
            assert_eq!(holds(&base, &ours, &theirs), is_ours, "{title}");
        }
        for (base, ours, theirs) in [
            ("Buy milk", "Buy milk.", "Order milk."),
            ("1", "2", "25"),
            ("Task 1", "Task 2", "Task 25"),
            ("Step 1", "Step 11", "Step 111"),
        ] {
            let [base, ours, theirs] =
                [base, ours, theirs].map(|title| state(|it| it.title = title.into()));
            assert!(!holds(&base, &ours, &theirs), "{}", theirs.task.title);
        }
        let shorter = state(|it| it.title = "Task".into());
        assert!(!holds(&base, &shorter, &state(|it| it.title = "Task x".into())));
        let (base, ours) = (state(|it| it.title = "é".into()), state(|it| it.title = "éè".into()));
        assert!(holds(&base, &ours, &state(|it| it.title = "éè!".into())));
    }

    #[test]
    fn a_graft_keeps_theirs_and_sets_ours() {
        let base = state(|it| _ = it.assignments.insert(user("cy"), String::new()));
        let ours = state(|it| {
            it.assignments.insert(user("ana"), String::new());
            it.percent_complete = 50;
        });
        let mut theirs = state(|it| {
            it.assignments.insert(user("cy"), String::new());
            it.assignments.insert(user("bo"), String::new());
            it.title = "Other".into();
        });
        theirs.graft(&base, &ours);
        let people: Vec<_> = theirs.task.assignments.keys().map(UserId::as_str).collect();
        assert_eq!(people, ["ana", "bo"]);
        assert_eq!((theirs.task.title.as_str(), theirs.task.percent_complete), ("Other", 50));
    }

    #[test]
    fn two_people_can_be_assigned_at_once_unless_the_run_looked() {
        let ours = state(|it| _ = it.assignments.insert(user("ana"), String::new()));
        let theirs = state(|it| _ = it.assignments.insert(user("bo"), String::new()));
        assert_eq!(conflicts(&ours, &theirs, &[]), []);
        assert_eq!(conflicts(&ours, &theirs, &[Field::Assignments]), [Field::Assignments]);
        let same = state(|it| _ = it.assignments.insert(user("ana"), String::new()));
        assert_eq!(conflicts(&ours, &same, &[]), [Field::Assignments]);
    }
}

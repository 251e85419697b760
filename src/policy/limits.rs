//! The limits of Planner (rule R10), checked when an edit is recorded and again when it is judged:
//! a value that Planner would refuse never enters a draft. Only the values that an edit changes are
//! checked: those on the board already, Planner has accepted.

use crate::model::limits::Limits;
use crate::model::{Task, TaskDetails};

/// Returns what is wrong with a title or name, if it is too long.
#[must_use]
pub fn title_over(word: &str, before: &str, after: &str, limits: &Limits) -> Option<String> {
    // Bytes are counted faster, and there are never fewer of them.
    if after.len() <= limits.title_chars || before == after {
        return None;
    }
    let n_chars = after.chars().count();
    (n_chars > limits.title_chars).then(|| {
        format!("the {word} has {n_chars} characters; Planner takes {}", limits.title_chars)
    })
}

/// Returns what is too much about a task itself, if anything is.
#[must_use]
pub fn task_over(before: &Task, after: &Task, limits: &Limits) -> Option<String> {
    title_over("title", &before.title, &after.title, limits).or_else(|| {
        let over = assignees_over(after.assignments.len(), limits);
        over.filter(|_| !before.assignments.keys().eq(after.assignments.keys()))
    })
}

/// Returns what is wrong with a number of assignees, if it is too large.
#[must_use]
pub fn assignees_over(n: usize, limits: &Limits) -> Option<String> {
    most("assignees", n, limits.assignees)
}

/// Returns what is too much about the details of a task, if anything is.
#[must_use]
pub fn details_over(before: &TaskDetails, after: &TaskDetails, limits: &Limits) -> Option<String> {
    let described = before.description != after.description
        && after.description.len() > limits.description_chars;
    if described {
        let n_chars = after.description.chars().count();
        let over = most("characters of description", n_chars, limits.description_chars);
        if over.is_some() {
            return over;
        }
    }
    let items = most("checklist items", after.checklist.len(), limits.checklist_items)
        .filter(|_| before.checklist != after.checklist);
    let references = most("references", after.references.len(), limits.references)
        .filter(|_| before.references != after.references);
    items.or(references).or_else(|| {
        let new = after.checklist.iter().filter(|(key, item)| {
            let longer = item.title.len() > limits.checklist_title_chars;
            longer && before.checklist.get(*key).is_none_or(|it| it.title != item.title)
        });
        let mut too_long =
            new.filter(|(_, item)| item.title.chars().count() > limits.checklist_title_chars);
        too_long.next().map(|(_, item)| {
            format!(
                "the checklist item `{}…` has more than {} characters",
                item.title.chars().take(20).collect::<String>(),
                limits.checklist_title_chars
            )
        })
    })
}

/// Returns the bytes of text in a task's details: what an edit of it can grow by.
#[must_use]
pub fn details_bytes(details: &TaskDetails) -> usize {
    let items = details.checklist.values().map(|item| item.title.len() + 40);
    let references = details
        .references
        .iter()
        .map(|(key, reference)| key.len() + reference.alias.as_ref().map_or(0, String::len) + 20);
    details.description.len() + items.sum::<usize>() + references.sum::<usize>()
}

fn most(what: &str, n: usize, limit: usize) -> Option<String> {
    (n > limit).then(|| format!("the task would have {n} {what}; Planner takes {limit}"))
}

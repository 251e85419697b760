//! The limits of Planner (rule R10), checked when an edit is recorded and again in review, so that
//! a value that Planner would refuse never enters a draft. Only values that an edit changes are
//! checked: Planner has accepted those already on the board.

use crate::model::limits::Limits;
use crate::model::{Task, TaskDetails};

/// Returns an error text for a title or name that is too long.
#[must_use]
pub fn title_over(word: &str, before: &str, after: &str, limits: &Limits) -> Option<String> {
    // Counting bytes is faster, and there are never fewer bytes than characters.
    if after.len() <= limits.title_chars || before == after {
        return None;
    }
    let n_chars = after.chars().count();
    (n_chars > limits.title_chars).then(|| {
        format!("the {word} has {n_chars} characters; Planner allows {}", limits.title_chars)
    })
}

/// Returns an error text for a task that itself exceeds a limit.
#[must_use]
pub fn task_over(before: &Task, after: &Task, limits: &Limits) -> Option<String> {
    title_over("title", &before.title, &after.title, limits).or_else(|| {
        let over = assignees_over(after.assignments.len(), limits);
        over.filter(|_| !before.assignments.keys().eq(after.assignments.keys()))
    })
}

/// Returns an error text for a comment that says nothing, or too much.
#[must_use]
pub fn comment_over(text: &str, limits: &Limits) -> Option<String> {
    if text.trim().is_empty() {
        return Some("the comment is empty".to_owned());
    }
    let n_chars = if text.len() > limits.comment_chars { text.chars().count() } else { 0 };
    (n_chars > limits.comment_chars).then(|| {
        format!("the comment has {n_chars} characters; Planner allows {}", limits.comment_chars)
    })
}

/// Returns an error text for a number of assignees that is too large.
#[must_use]
pub fn assignees_over(n: usize, limits: &Limits) -> Option<String> {
    most("assignees", n, limits.assignees)
}

/// Returns an error text for details of a task that exceed a limit.
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
            longer && before.checklist.get(*key).is_none_or(|old| old.title != item.title)
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

/// Returns the number of bytes of text in a task's details, by which an edit of it can grow.
#[must_use]
pub fn details_bytes(details: &TaskDetails) -> usize {
    let items = details.checklist.values().map(|item| json_bytes(&item.title) + 40);
    let references = details.references.iter().map(|(key, reference)| {
        json_bytes(key) + reference.alias.as_deref().map_or(0, json_bytes) + 20
    });
    json_bytes(&details.description) + items.sum::<usize>() + references.sum::<usize>()
}

/// Returns the bytes of a text as JSON writes it: that is how it is kept and sent, and a control
/// character takes six there.
#[must_use]
pub fn json_bytes(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum()
}

fn most(what: &str, n: usize, limit: usize) -> Option<String> {
    (n > limit).then(|| format!("the task would have {n} {what}; Planner allows {limit}"))
}

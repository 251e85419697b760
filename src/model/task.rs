//! A task, without its details.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::category::Category;
use crate::model::id::{BucketId, CommentId, PlanId, TaskId, UserId};
use crate::model::progress::{Priority, Progress};
use crate::model::recurrence::Recurrence;

/// A Planner task without its details (planner-api.md 1.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id, provisional while the task is to be created.
    pub id: TaskId,
    /// The plan it belongs to.
    pub plan: PlanId,
    /// Its bucket; with `None` it shows in no column.
    pub bucket: Option<BucketId>,
    /// Its title.
    pub title: String,
    /// Completion from 0 to 100; 50 is what "in progress" means.
    pub percent_complete: u8,
    /// From 0 (most urgent) to 10.
    pub priority: Priority,
    /// The moment it begins.
    pub start: Option<Timestamp>,
    /// The moment it is due.
    pub due: Option<Timestamp>,
    /// The moment of its creation; set by the service.
    pub created_at: Option<Timestamp>,
    /// The person who created it; `None` for an application.
    pub created_by: Option<UserId>,
    /// The moment of its completion.
    pub completed_at: Option<Timestamp>,
    /// The person who completed it.
    pub completed_by: Option<UserId>,
    /// The people who work on it, with the place of each among the assignees (read only).
    pub assignments: BTreeMap<UserId, String>,
    /// The labels applied.
    pub categories: BTreeSet<Category>,
    /// The thread in the group's mailbox that holds its comments (planner-api.md 7.7).
    pub conversation_thread: Option<String>,
    /// True if its details hold a description; computed by the service.
    pub has_description: bool,
    /// Number of checklist items; computed by the service.
    pub checklist_count: u32,
    /// Number of references; computed by the service.
    pub reference_count: u32,
    /// True if a detail was chosen for its card to show; computed by the service.
    #[serde(default)]
    pub has_preview: bool,
    /// Its place in the plan's flat list; computed by the service.
    pub order_hint: String,
    /// The fields that only the beta has; `None` if it was read through v1.0.
    #[serde(default)]
    pub beta: Option<Box<TaskBeta>>,
}

/// The fields of a task that only Graph's beta has (planner-api.md 1.13).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TaskBeta {
    /// The moment of the last change.
    pub last_modified_at: Option<Timestamp>,
    /// The person who changed it last; `None` for an application.
    pub last_modified_by: Option<UserId>,
    /// True if it is archived with its plan.
    pub is_archived: bool,
    /// The schedule of its series, if it holds one.
    pub recurrence: Option<Recurrence>,
}

impl Task {
    /// Returns a task that does not exist yet, with all other fields as Planner would set them.
    #[must_use]
    pub const fn new(id: TaskId, plan: PlanId, title: String) -> Self {
        Self {
            id,
            plan,
            bucket: None,
            title,
            percent_complete: 0,
            priority: Priority::DEFAULT,
            start: None,
            due: None,
            created_at: None,
            created_by: None,
            completed_at: None,
            completed_by: None,
            assignments: BTreeMap::new(),
            categories: BTreeSet::new(),
            conversation_thread: None,
            has_description: false,
            checklist_count: 0,
            reference_count: 0,
            has_preview: false,
            order_hint: String::new(),
            beta: None,
        }
    }

    /// Returns the schedule of its series, if it holds one.
    #[must_use]
    pub fn recurrence(&self) -> Option<&Recurrence> {
        self.beta.as_ref()?.recurrence.as_ref()
    }

    /// Returns whether its details, as far as its counts show, are those of a new task.
    #[must_use]
    pub const fn has_bare_details(&self) -> bool {
        !self.has_description
            && !self.has_preview
            && self.checklist_count == 0
            && self.reference_count == 0
    }

    /// Returns the state that its completion stands for.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        Progress::of_percent(self.percent_complete)
    }
}

/// A message in the chat of a task (beta, planner-api.md 1.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The id of the message.
    pub id: CommentId,
    /// The content, as the service keeps it.
    pub content: String,
    /// True if the content is HTML.
    pub is_html: bool,
    /// The author.
    pub by: Option<UserId>,
    /// The moment it was written; `None` for one that a run is about to write.
    pub at: Option<Timestamp>,
    /// The moment it was last changed.
    pub edited_at: Option<Timestamp>,
    /// True for one that was deleted and left its place behind.
    pub is_deleted: bool,
}

impl Comment {
    /// Returns the content as plain text. Whatever kind the service gives a message, it takes
    /// content for HTML (planner-api.md 2.9), so the text in it is escaped.
    #[must_use]
    pub fn text(&self) -> String {
        let text = if self.is_html { without_tags(&self.content) } else { self.content.clone() };
        let escapes =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")];
        let text = escapes.iter().fold(text, |text, (from, to)| text.replace(from, to));
        // Last, so that `&amp;lt;` becomes `&lt;` and no more.
        text.replace("&amp;", "&").trim().to_owned()
    }

    /// Returns whether it says a text. The service may lay out what it was given in its own way, so
    /// blanks and line breaks do not count.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.text().split_whitespace().eq(text.split_whitespace())
    }
}

/// Returns HTML without its tags, with a line break where a paragraph begins or ends.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, from)) = rest.split_once('<') {
        text.push_str(before);
        // What is not closed is no text.
        let (tag, after) = from.split_once('>').unwrap_or((from, ""));
        let name = tag.trim_start_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next();
        // Otherwise the last word of a line and the first of the next would become one.
        let breaks = ["br", "p", "div", "li"];
        if name.is_some_and(|name| breaks.iter().any(|tag| tag.eq_ignore_ascii_case(name))) {
            text.push('\n');
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A comment that a run is to write (beta).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewComment {
    /// Its id, provisional until it is written.
    pub id: CommentId,
    /// The task.
    pub task: TaskId,
    /// The plan of the task.
    pub plan: PlanId,
    /// The title of the task, by which people know what the comment is on.
    pub title: String,
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_text_whatever_form_it_is_kept_in() {
        let of = |content: &str, is_html| {
            let (by, at, edited_at, is_deleted) = (None, None, None, false);
            let id = "m".parse().unwrap();
            let content = content.to_owned();
            Comment { id, content, is_html, by, at, edited_at, is_deleted }
        };
        for (content, is_html, text) in [
            ("a &lt; b &amp;amp; c", false, "a < b &amp; c"),
            ("a < b > c", false, "a < b > c"),
            ("<p>a &lt;b&gt;</p><p>c<br/>d</p>", true, "a <b>\n\nc\nd"),
            ("<b>bold</b>ly <unclosed", true, "boldly"),
            ("ä<ö", true, "ä"),
            ("", true, ""),
        ] {
            assert_eq!(of(content, is_html).text(), text, "{content}");
        }
        assert!(of("<p>one  two</p>", true).says("one\ntwo"));
        assert!(!of("one two!", false).says("one two"));
    }
}

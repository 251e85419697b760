//! The details that Planner keeps beside a task and beside a plan, each under an ETag of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::category::Category;
use crate::model::id::UserId;
use crate::model::order;

/// The details of a task (planner-api.md 1.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskDetails {
    /// Plain text; empty when there is none.
    pub description: String,
    /// The detail that the card shows: `automatic`, `noPreview`, `checklist`, `description` or
    /// `reference`.
    pub preview_type: String,
    /// The checklist, by item id.
    pub checklist: BTreeMap<String, ChecklistItem>,
    /// The references, by encoded URL (planner-api.md 5.4).
    pub references: BTreeMap<String, Reference>,
}

/// The details of a task that has just been created.
impl Default for TaskDetails {
    fn default() -> Self {
        Self {
            description: String::new(),
            preview_type: Self::AUTOMATIC.to_owned(),
            checklist: BTreeMap::new(),
            references: BTreeMap::new(),
        }
    }
}

impl TaskDetails {
    /// The preview type that leaves the choice to whoever shows the card.
    pub const AUTOMATIC: &'static str = "automatic";

    /// Returns the keys of the checklist top down: items are shown in descending order of their
    /// hints (planner-api.md 4.6).
    #[must_use]
    pub fn checklist_order(&self) -> Vec<String> {
        let mut items: Vec<(&String, &ChecklistItem)> = self.checklist.iter().collect();
        items.sort_by(|(a_key, a), (b_key, b)| {
            b.order_hint.cmp(&a.order_hint).then_with(|| a_key.cmp(b_key))
        });
        items.into_iter().map(|(key, _)| key.clone()).collect()
    }

    /// Returns the keys of the items by distinct names; see [`distinct`].
    #[must_use]
    pub fn items_by_name(&self) -> BTreeMap<String, String> {
        let keys = self.checklist_order();
        let titles = keys.iter().filter_map(|key| self.checklist.get(key));
        let names = distinct(titles.map(|item| item.title.as_str()));
        names.into_iter().zip(keys).collect()
    }

    /// Adds an item below all others.
    pub fn add_item(&mut self, key: String, title: String) {
        let lowest = self.checklist.values().map(|item| item.order_hint.as_str()).min();
        let order_hint = order::between(None, lowest);
        self.checklist.insert(key, ChecklistItem { title, checked: false, order_hint });
    }

    /// Moves an item next to another, in the order shown; does nothing if either is absent.
    pub fn move_item(&mut self, key: &str, next_to: &str, side: order::Side) {
        if !self.checklist.contains_key(key) || !self.checklist.contains_key(next_to) {
            return;
        }
        let mut keys = self.checklist_order();
        let before = keys.clone();
        order::put_next_to(&mut keys, key.to_owned(), &next_to.to_owned(), side);
        if keys == before {
            return;
        }
        // Hints ascend from what is shown last to what is shown first.
        keys.reverse();
        let stays = |id: &str| {
            let hint = self.checklist.get(id).map(|item| item.order_hint.as_str());
            hint.filter(|hint| id != key && !hint.is_empty() && !order::is_wanted(hint))
        };
        let hints: Vec<Option<&str>> = keys.iter().map(|id| stays(id)).collect();
        for (key, place) in keys.iter().zip(order::describe(&hints)) {
            if let (Some(hint), Some(item)) = (place, self.checklist.get_mut(key)) {
                item.order_hint = hint;
            }
        }
    }
}

/// Gives each title of a list a distinct name: the title, with a number if it occurred before.
#[must_use]
pub fn distinct<'a>(titles: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut name = |title| {
        let n = seen.entry(title).or_default();
        *n += 1;
        // No title holds a line end, so no title can equal a name that is made here.
        if *n == 1 { title.to_owned() } else { format!("{title}\n{n}") }
    };
    titles.map(&mut name).collect()
}

/// One item of a checklist (planner-api.md 1.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecklistItem {
    /// The text of the item.
    pub title: String,
    /// True once it is done.
    pub checked: bool,
    /// Its place, in *descending* ordinal order (planner-api.md 4.6); empty for an item that
    /// does not exist yet.
    pub order_hint: String,
}

/// A link attached to a task (planner-api.md 1.11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The text shown for it.
    pub alias: Option<String>,
    /// The kind of icon, such as `Word` or `Other`.
    pub kind: Option<String>,
}

/// The details of a plan (planner-api.md 1.4).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlanDetails {
    /// The names of the labels; a label without a name is absent.
    pub labels: BTreeMap<Category, String>,
    /// The people the plan is shared with.
    pub shared_with: BTreeSet<UserId>,
}

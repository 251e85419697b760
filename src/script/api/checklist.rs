//! Checklist items in scripts.

use rhai::plugin::{Dynamic, Module, combine_with_exported_module, export_module};

use crate::change::TaskField;
use crate::host::Error;
use crate::model;
use crate::model::order::Side;
use crate::script::api::handles::ChecklistItem;
use crate::script::api::value::{Fallible, OrRaise as _, frozen, invalid};

impl ChecklistItem {
    /// Returns whether it is the same item as another.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.key == other.key && self.session.real(&self.task) == other.session.real(&other.task)
    }

    fn read(&self) -> Fallible<model::ChecklistItem> {
        let session = &self.session;
        let mut items = session.task_field(&self.task, TaskField::CHECKLIST).or_raise(session)?;
        items.remove(&self.key).ok_or(Error::Gone { what: "checklist item" }).or_raise(session)
    }

    fn move_next_to(&self, other: &Self, side: Side) -> Fallible<()> {
        self.read()?;
        other.read()?;
        if other.task != self.task {
            let message = "the two items belong to different tasks".to_owned();
            return invalid(&self.session, message);
        }
        let change =
            |details: &mut model::TaskDetails| details.move_item(&self.key, &other.key, side);
        self.session
            .editor()
            .or_raise(&self.session)?
            .edit_details(&self.task, change)
            .or_raise(&self.session)
    }

    fn edit(&self, edit: impl FnOnce(&mut model::ChecklistItem)) -> Fallible<()> {
        self.read()?;
        let change = |details: &mut model::TaskDetails| {
            if let Some(item) = details.checklist.get_mut(&self.key) {
                edit(item);
            }
        };
        self.session.setter().edit_details(&self.task, change).or_raise(&self.session)
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "checklist", functions);
}

#[export_module]
pub(super) mod functions {
    /// Its id within the task.
    /// → text
    #[rhai_fn(get = "id", pure)]
    pub fn id(item: &mut ChecklistItem) -> Dynamic {
        frozen(item.key.clone())
    }

    /// The text of the item.
    /// → text
    #[rhai_fn(get = "title", pure, volatile, return_raw)]
    pub fn title(item: &mut ChecklistItem) -> Fallible<Dynamic> {
        Ok(item.read()?.title.into())
    }

    /// Rewords the item.
    #[rhai_fn(set = "title", pure, volatile, return_raw)]
    pub fn set_title(item: &mut ChecklistItem, title: &str) -> Fallible<()> {
        let title = title.to_owned();
        item.edit(|item| item.title = title)
    }

    /// True if it is done.
    #[rhai_fn(get = "checked", pure, volatile, return_raw)]
    pub fn checked(item: &mut ChecklistItem) -> Fallible<bool> {
        Ok(item.read()?.checked)
    }

    /// Ticks or unticks the item.
    #[rhai_fn(set = "checked", pure, volatile, return_raw)]
    pub fn set_checked(item: &mut ChecklistItem, checked: bool) -> Fallible<()> {
        item.edit(|item| item.checked = checked)
    }

    /// Ticks the item.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn check(item: &mut ChecklistItem) -> Fallible<()> {
        item.edit(|item| item.checked = true)
    }

    /// Unticks the item.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn uncheck(item: &mut ChecklistItem) -> Fallible<()> {
        item.edit(|item| item.checked = false)
    }

    /// Moves the item right before another of its task.
    #[rhai_fn(name = "move_before", volatile, pure, return_raw)]
    pub fn item_before(item: &mut ChecklistItem, other: ChecklistItem) -> Fallible<()> {
        item.move_next_to(&other, Side::Before)
    }

    /// Moves the item right after another of its task.
    #[rhai_fn(name = "move_after", volatile, pure, return_raw)]
    pub fn item_after(item: &mut ChecklistItem, other: ChecklistItem) -> Fallible<()> {
        item.move_next_to(&other, Side::After)
    }

    /// Takes the item off the list.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn remove(item: &mut ChecklistItem) -> Fallible<()> {
        item.read()?;
        let change = |details: &mut model::TaskDetails| {
            details.checklist.remove(&item.key);
        };
        item.session
            .editor()
            .or_raise(&item.session)?
            .edit_details(&item.task, change)
            .or_raise(&item.session)
    }

    /// Its title, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure, volatile, return_raw)]
    pub fn item_to_string(item: &mut ChecklistItem) -> Fallible<String> {
        Ok(item.read()?.title)
    }
}

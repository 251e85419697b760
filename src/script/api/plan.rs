//! Plans in scripts.

use rhai::Map;
use rhai::plugin::{Dynamic, ImmutableString, Module, combine_with_exported_module, export_module};

use crate::change::{PlanDetailsField, PlanField, PlanKey, TaskField};
use crate::host::NewTask;
use crate::model::snapshot::folded;
use crate::script::api::arguments::{new_task, parse_label};
use crate::script::api::date::Date;
use crate::script::api::handles::{Bucket, Group, Plan, Task, User};
use crate::script::api::text::read_as;
use crate::script::api::value::{Fallible, OrRaise as _, frozen, frozen_list};

impl Plan {
    /// Reads a field, which joins the read set.
    fn get<T>(&self, key: PlanKey<T>) -> Fallible<T> {
        self.session.plan_field(&self.id, key).or_raise(&self.session)
    }

    /// Returns whether a text is its title or its id.
    pub(crate) fn goes_by(&self, text: &str) -> Fallible<bool> {
        let text = text.trim();
        let has_id = self.session.real(&self.id).as_str() == text;
        Ok(has_id || folded(&self.get(PlanField::TITLE)?) == folded(text))
    }
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "plan", functions);
}

#[export_module]
mod functions {
    /// Its id; while the plan is new a provisional one, which apply replaces by the real one.
    /// → text
    #[rhai_fn(get = "id", pure)]
    pub fn id(plan: &mut Plan) -> Dynamic {
        frozen(plan.session.real(&plan.id).to_string())
    }

    /// Its title.
    /// → text
    #[rhai_fn(get = "title", pure, volatile, return_raw)]
    pub fn title(plan: &mut Plan) -> Fallible<Dynamic> {
        Ok(plan.get(PlanField::TITLE)?.into())
    }

    /// Renames the plan.
    #[rhai_fn(set = "title", pure, volatile, return_raw)]
    pub fn set_title(plan: &mut Plan, title: &str) -> Fallible<()> {
        let title = title.to_owned();
        plan.session.setter().edit_plan(&plan.id, |plan| plan.title = title).or_raise(&plan.session)
    }

    /// The group that contains it, `()` if none does or it is not the signed-in user's.
    /// → Group?
    #[rhai_fn(get = "group", pure, volatile, return_raw)]
    pub fn group(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let id = plan.get(PlanField::GROUP)?;
        let groups = session.groups().or_raise(session)?;
        let group = groups.into_iter().find(|group| Some(&group.id) == id.as_ref());
        Ok(group.map_or(Dynamic::UNIT, |group| {
            Dynamic::from(Group { session: session.clone(), group })
        }))
    }

    /// The members of its group or roster, who can all see and edit it.
    /// → [User]
    #[rhai_fn(get = "members", pure, volatile, return_raw)]
    pub fn members(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let id = plan.get(PlanField::GROUP)?;
        let groups = session.groups().or_raise(session)?;
        let users = match groups.into_iter().find(|group| Some(&group.id) == id.as_ref()) {
            Some(group) => session.members(&group).or_raise(session)?,
            None => session.roster_members(&plan.id).or_raise(session)?.unwrap_or_default(),
        };
        Ok(frozen_list(
            users.into_iter().map(|user| User { session: session.clone(), id: user.id }),
        ))
    }

    /// The time it was created; an error for a new one.
    /// → Date?
    #[rhai_fn(get = "created_at", pure, volatile, return_raw)]
    pub fn created_at(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let created_at = plan.get(PlanField::CREATED_AT)?;
        known(plan.session.real(&plan.id).is_provisional(), "created_at").or_raise(session)?;
        Ok(created_at
            .map_or(Dynamic::UNIT, |moment| Dynamic::from(Date::of_moment(moment, session))))
    }

    /// The person who created it, `()` for an application; an error for a new one.
    /// → User?
    #[rhai_fn(get = "created_by", pure, volatile, return_raw)]
    pub fn created_by(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let created_by = plan.get(PlanField::CREATED_BY)?;
        known(plan.session.real(&plan.id).is_provisional(), "created_by").or_raise(session)?;
        Ok(User::or_unit(session, created_by))
    }

    /// Its buckets in board order.
    /// → [Bucket]
    #[rhai_fn(get = "buckets", pure, volatile, return_raw)]
    pub fn buckets(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let ids = session.buckets(&plan.id).or_raise(session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Bucket { session: session.clone(), id })))
    }

    /// Its tasks, completed ones too.
    /// → [Task]
    #[rhai_fn(get = "tasks", pure, volatile, return_raw)]
    pub fn tasks(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let ids = session.tasks(&plan.id).or_raise(session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Task { session: session.clone(), id })))
    }

    /// The names of its labels.
    /// → [text]
    #[rhai_fn(get = "labels", pure, volatile, return_raw)]
    pub fn labels(plan: &mut Plan) -> Fallible<Dynamic> {
        let session = &plan.session;
        let labels =
            session.plan_details_field(&plan.id, PlanDetailsField::LABELS).or_raise(session)?;
        Ok(frozen_list(labels.into_values().map(ImmutableString::from)))
    }

    /// Its address in Planner's own client.
    /// → text
    #[rhai_fn(get = "url", pure)]
    pub fn url(plan: &mut Plan) -> Dynamic {
        let id = plan.session.real(&plan.id);
        frozen(format!("https://planner.cloud.microsoft/webui/plan/{id}/view/board"))
    }

    /// Returns its bucket with a name or id.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn bucket(plan: &mut Plan, name_or_id: &str) -> Fallible<Bucket> {
        let session = plan.session.clone();
        let id = session.find_bucket(&plan.id, name_or_id).or_raise(&session)?;
        Ok(Bucket { session, id })
    }

    /// Returns its task with a title or id, or the `ref` that an agent's `board` shows.
    #[rhai_fn(name = "task", volatile, pure, return_raw)]
    pub fn task_of_plan(plan: &mut Plan, title_or_id: &str) -> Fallible<Task> {
        let session = plan.session.clone();
        let id = session.find_task(&plan.id, title_or_id).or_raise(&session)?;
        Ok(Task { session, id })
    }

    /// Returns its open tasks with a title, as people read it: those that a new one would
    /// duplicate.
    /// → [Task]
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn open_tasks_titled(plan: &mut Plan, title: &str) -> Fallible<Dynamic> {
        let session = &plan.session;
        let wanted = read_as(title);
        let mut found = Vec::new();
        for id in session.tasks(&plan.id).or_raise(session)? {
            let get = |key| session.task_field(&id, key).or_raise(session);
            let is_open = session.task_field(&id, TaskField::PERCENT).or_raise(session)? < 100;
            if is_open && read_as(&get(TaskField::TITLE)?) == wanted {
                found.push(Task { session: session.clone(), id });
            }
        }
        Ok(frozen_list(found))
    }

    /// Returns its task that was created with a key, `()` if there is none: the one that
    /// `create_task` with that key would return.
    /// → Task?
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn task_with_key(plan: &mut Plan, key: &str) -> Fallible<Dynamic> {
        let session = &plan.session;
        let id = session.task_with_key(&plan.id, key).or_raise(session)?;
        Ok(id.map_or(Dynamic::UNIT, |id| Dynamic::from(Task { session: session.clone(), id })))
    }

    /// Records a new bucket, after the others.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn create_bucket(plan: &mut Plan, name: &str) -> Fallible<Bucket> {
        let session = plan.session.clone();
        let id = session
            .editor()
            .or_raise(&session)?
            .create_bucket(&plan.id, name)
            .or_raise(&session)?;
        Ok(Bucket { session, id })
    }

    /// Records a new task: `create_task(#{ title, bucket, assign, due, start, priority, progress,
    /// labels, description, checklist, references, key })`. If there is a task that was created
    /// with the same `key`, that task is returned instead, as it is.
    #[rhai_fn(name = "create_task", volatile, pure, return_raw)]
    pub fn create_task_in_plan(plan: &mut Plan, fields: Map) -> Fallible<Task> {
        let session = plan.session.clone();
        let new: NewTask = new_task(&session, &plan.id, fields)?;
        let id =
            session.editor().or_raise(&session)?.create_task(&plan.id, new).or_raise(&session)?;
        Ok(Task { session, id })
    }

    /// Names a label: its number (1 to 25) or present name, and its new name; an empty text removes
    /// the name.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn set_label(plan: &mut Plan, label: Dynamic, text: &str) -> Fallible<()> {
        let session = &plan.session;
        let category = parse_label(&label, session, &plan.id)?;
        let change = |details: &mut crate::model::PlanDetails| {
            if text.is_empty() {
                details.labels.remove(&category);
            } else {
                details.labels.insert(category, text.to_owned());
            }
        };
        session.editor().or_raise(session)?.edit_plan_details(&plan.id, change).or_raise(session)
    }

    /// Shares the plan with a person: it then shows in their list of plans.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn share_with(plan: &mut Plan, user: Dynamic) -> Fallible<()> {
        let session = &plan.session;
        let user = User::given(&user, session)?;
        let change = |details: &mut crate::model::PlanDetails| {
            details.shared_with.insert(user);
        };
        session.editor().or_raise(session)?.edit_plan_details(&plan.id, change).or_raise(session)
    }

    /// Stops sharing the plan with a person.
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn unshare_with(plan: &mut Plan, user: Dynamic) -> Fallible<()> {
        let session = &plan.session;
        let user = User::given(&user, session)?;
        let change = |details: &mut crate::model::PlanDetails| {
            details.shared_with.remove(&user);
        };
        session.editor().or_raise(session)?.edit_plan_details(&plan.id, change).or_raise(session)
    }

    /// Records the deletion of the plan and everything in it.
    #[rhai_fn(name = "delete", volatile, pure, return_raw)]
    pub fn delete_plan(plan: &mut Plan) -> Fallible<()> {
        plan.session.editor().or_raise(&plan.session)?.delete_plan(&plan.id).or_raise(&plan.session)
    }

    /// Returns whether they are the same plan.
    #[rhai_fn(name = "==")]
    pub fn eq(a: Plan, b: Plan) -> bool {
        a.session.real(&a.id) == b.session.real(&b.id)
    }

    /// Returns whether they are different plans.
    #[rhai_fn(name = "!=")]
    pub fn ne(a: Plan, b: Plan) -> bool {
        a.session.real(&a.id) != b.session.real(&b.id)
    }

    /// Its title, for texts.
    #[rhai_fn(name = "to_string", name = "to_debug", pure, volatile, return_raw)]
    pub fn plan_to_string(plan: &mut Plan) -> Fallible<String> {
        plan.get(PlanField::TITLE)
    }
}

fn known(is_new: bool, field: &'static str) -> Result<(), crate::host::Error> {
    if is_new { Err(crate::host::Error::NotYetKnown { what: "plan", field }) } else { Ok(()) }
}

//! The script API of policies: the change set, the run, and the verdict functions.

use std::collections::BTreeSet;
use std::sync::Arc;

use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use rhai::{Array, Map};

use crate::change::{Change, ChangeSet, Edit, Entity, EntityId, Field, Op, Write};
use crate::host::{Session, View};
use crate::policy::{RuleLine, Saw, Verdict};
use crate::script::api::handles::{
    Bucket, ChangeView, Changes, Comment, Plan, RunView, Task, User,
};
use crate::script::api::value::from_json;
use crate::script::api::value::{Fallible, OrRaise as _, frozen, invalid, run_of};
use crate::script::syntax::location::locate;

impl ChangeView {
    fn change(&self) -> Option<&Change> {
        self.set.changes().get(self.at)
    }

    /// Returns the entity as a handle, before or after the change; `()` if it does not exist then.
    fn seen(&self, view: View) -> Dynamic {
        let Some(change) = self.change() else { return Dynamic::UNIT };
        let absent = match view {
            View::Before => change.op() == Op::Create,
            View::After | View::Drafting => change.op() == Op::Delete,
        };
        if absent {
            return Dynamic::UNIT;
        }
        self.handle(change, view)
    }

    fn handle(&self, change: &Change, view: View) -> Dynamic {
        Self::of_session(change, self.session.seen(view))
    }

    fn of_session(change: &Change, session: Session) -> Dynamic {
        match &change.write {
            Write::Plan(edit) => Dynamic::from(Plan { session, id: edit.known().id.clone() }),
            Write::PlanDetails { plan, .. } => Dynamic::from(Plan { session, id: plan.clone() }),
            Write::Bucket(edit) => Dynamic::from(Bucket { session, id: edit.known().id.clone() }),
            Write::Task(edit) => Dynamic::from(Task { session, id: edit.known().task.id.clone() }),
            Write::Comment(edit) => {
                let comment = Arc::new(session.as_comment(edit.known()));
                Dynamic::from(Comment { session, comment })
            }
        }
    }
}

impl Changes {
    /// Collects the changes of a run: those of the segments it has applied, then those of `set`.
    pub(crate) fn from_set(
        session: &Session,
        set: &Arc<ChangeSet>,
        origin: Option<&Session>,
    ) -> Self {
        let mut parts: Vec<_> = session
            .segments()
            .into_iter()
            .map(|(then, set)| (then.for_user_of(session), set))
            .collect();
        parts.push((session.clone(), Arc::clone(set)));
        Self { parts, origin: origin.cloned() }
    }

    fn all(&self) -> impl Iterator<Item = (ChangeView, &Change)> {
        self.parts.iter().flat_map(|(session, set)| {
            set.changes().iter().enumerate().map(|(at, change)| {
                let (session, set) = (session.seen(View::Before), Arc::clone(set));
                let origin = self.origin.clone();
                (ChangeView { session, origin, set, at }, change)
            })
        })
    }

    fn that(&self, keep: impl Fn(&Change) -> bool) -> Dynamic {
        let kept: Array = self
            .all()
            .filter(|(_, change)| keep(change))
            .map(|(view, _)| Dynamic::from(view))
            .collect();
        frozen(kept)
    }
}

impl IntoIterator for Changes {
    type Item = ChangeView;
    type IntoIter = std::vec::IntoIter<ChangeView>;

    fn into_iter(self) -> Self::IntoIter {
        let all: Vec<_> = self.all().map(|(view, _)| view).collect();
        all.into_iter()
    }
}

/// The most fields read by a policy that are kept with its verdict.
const MAX_SAW: usize = 50;

fn give(ctx: &NativeCallContext, verdict: Verdict, reason: &str) -> Fallible<()> {
    let run = run_of(ctx)?;
    let Some(verdicts) = run.verdicts else { return Ok(()) };
    let file = ctx.call_source().unwrap_or(&verdicts.file);
    let at = locate(file, ctx.call_position(), &verdicts.sources).map(|at| RuleLine {
        file: at.file,
        line: at.line,
        source: at.source.trim().to_owned(),
    });
    let seen = run.session.seen_fields().into_iter().take(MAX_SAW);
    let saw = seen.map(|(id, field)| Saw { id: id.to_string(), field: field.name().to_owned() });
    verdicts.give(verdict, reason, at, saw.collect());
    Ok(())
}

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "policy", functions);
}

#[export_module]
mod functions {
    /// Refuses: the change if one is being judged, else the whole set.
    #[rhai_fn(volatile, return_raw)]
    pub fn deny(ctx: NativeCallContext, reason: &str) -> Fallible<()> {
        give(&ctx, Verdict::Deny, reason)
    }

    /// Asks for a person's approval.
    #[rhai_fn(volatile, return_raw)]
    pub fn hold(ctx: NativeCallContext, reason: &str) -> Fallible<()> {
        give(&ctx, Verdict::Hold, reason)
    }

    /// Lets it through with a remark.
    #[rhai_fn(volatile, return_raw)]
    pub fn warn(ctx: NativeCallContext, reason: &str) -> Fallible<()> {
        give(&ctx, Verdict::Warn, reason)
    }

    /// The kind of change.
    /// → "create" | "update" | "delete"
    #[rhai_fn(get = "op", pure)]
    pub fn op(change: &mut ChangeView) -> Dynamic {
        frozen(change.change().map_or("", |change| change.op().name()))
    }

    /// The kind of entity that it changes.
    /// → "plan" | "plan_details" | "bucket" | "task" | "comment"
    #[rhai_fn(get = "entity", pure)]
    pub fn entity(change: &mut ChangeView) -> Dynamic {
        frozen(change.change().map_or("", |change| change.entity().name()))
    }

    /// Its number in the set.
    #[rhai_fn(get = "n", pure)]
    pub fn n(change: &mut ChangeView) -> i64 {
        let n = change.set.changes().get(change.at).map_or(change.at + 1, |change| change.n);
        i64::try_from(n).unwrap_or(i64::MAX)
    }

    /// The plan, bucket or task as it was read; `()` for a new one.
    /// → Plan | Bucket | Task | ()
    #[rhai_fn(get = "before", pure)]
    pub fn before(change: &mut ChangeView) -> Dynamic {
        change.seen(View::Before)
    }

    /// The plan, bucket or task as it was when the run began, before anything it has committed
    /// since; `()` for one that the run has created.
    /// → Plan | Bucket | Task | ()
    #[rhai_fn(get = "original", pure)]
    pub fn original(change: &mut ChangeView) -> Dynamic {
        let Some(origin) = &change.origin else { return change.seen(View::Before) };
        let Some(judged) = change.change().filter(|change| change.op() != Op::Create) else {
            return Dynamic::UNIT;
        };
        let id = judged.id();
        if origin.is_made_before(id.as_str()) {
            return Dynamic::UNIT;
        }
        ChangeView::of_session(judged, origin.seen(View::Before))
    }

    /// The plan, bucket, task or comment as it will be; `()` for one that is deleted.
    /// → Plan | Bucket | Task | Comment | ()
    #[rhai_fn(get = "after", pure)]
    pub fn after(change: &mut ChangeView) -> Dynamic {
        change.seen(View::After)
    }

    /// The names of the fields it sets, as scripts call them.
    /// → [text]
    #[rhai_fn(get = "fields", pure)]
    pub fn fields(change: &mut ChangeView) -> Dynamic {
        let fields = change.change().map(Change::fields).unwrap_or_default();
        frozen(fields.keys().map(|field| Dynamic::from(field.script_name())).collect::<Array>())
    }

    /// Returns whether it sets a field: `change.sets("due")`.
    #[rhai_fn(pure, return_raw)]
    pub fn sets(change: &mut ChangeView, field: &str) -> Fallible<bool> {
        let field = Field::parse(field).ok_or_else(|| format!("there is no field `{field}`"))?;
        Ok(change.change().is_some_and(|change| change.sets(field)))
    }

    /// The agent that created the changed task, according to the host's journal; `()` if a person
    /// did, or someone elsewhere. A new task is created by the run's own agent.
    /// → text?
    #[rhai_fn(get = "created_by_agent", pure, volatile, return_raw)]
    pub fn created_by_agent(change: &mut ChangeView) -> Fallible<Dynamic> {
        let session = &change.session;
        let Some(Write::Task(edit)) = change.change().map(|change| &change.write) else {
            return Ok(Dynamic::UNIT);
        };
        let agent = session.made_by_agent(&edit.known().task.id).or_raise(session)?;
        Ok(agent.map_or(Dynamic::UNIT, frozen))
    }

    /// Counts the changes of a kind that the actor, or the agent it acts for, has made today before
    /// this run: `count_today("task", "create")`. A policy adds those of the run:
    /// `count_today("task", "create") + changes.creates.len()`.
    #[rhai_fn(volatile, return_raw)]
    pub fn count_today(ctx: NativeCallContext, entity: &str, op: &str) -> Fallible<i64> {
        let session = run_of(&ctx)?.session;
        let entities =
            [Entity::Plan, Entity::PlanDetails, Entity::Bucket, Entity::Task, Entity::Comment];
        let entity = entities.into_iter().find(|known| known.name() == entity);
        let op = [Op::Create, Op::Update, Op::Delete].into_iter().find(|known| known.name() == op);
        let (Some(entity), Some(op)) = (entity, op) else {
            let message = "count_today takes plan, plan_details, bucket, task or comment; and create, update or delete";
            return invalid(&session, message.to_owned());
        };
        let n = session.count_today(entity, op).or_raise(&session)?;
        Ok(i64::try_from(n).unwrap_or(i64::MAX))
    }

    /// The number of tasks that a deletion takes along: those of a bucket or plan.
    #[rhai_fn(get = "takes_along", pure)]
    pub fn takes_along(change: &mut ChangeView) -> i64 {
        change
            .change()
            .map_or(0, |change| i64::try_from(change.takes_along.len()).unwrap_or(i64::MAX))
    }

    /// The plan it touches.
    /// → Plan?
    #[rhai_fn(get = "plan", pure)]
    pub fn change_plan(change: &mut ChangeView) -> Dynamic {
        let Some(judged) = change.change() else { return Dynamic::UNIT };
        let id = judged.plan().clone();
        let view = if id.is_provisional() { View::After } else { View::Before };
        Dynamic::from(Plan { session: change.session.seen(view), id })
    }

    /// The bucket it touches: the one a task was in, or will be in if it is new; `()` if none.
    /// → Bucket?
    #[rhai_fn(get = "bucket", pure)]
    pub fn change_bucket(change: &mut ChangeView) -> Dynamic {
        let id = match change.change().map(|change| &change.write) {
            Some(Write::Bucket(edit)) => Some(edit.known().id.clone()),
            Some(Write::Task(edit)) => edit.known().task.bucket.clone(),
            Some(Write::Plan(_) | Write::PlanDetails { .. } | Write::Comment(_)) | None => None,
        };
        let Some(id) = id else { return Dynamic::UNIT };
        let view = if id.is_provisional() { View::After } else { View::Before };
        Dynamic::from(Bucket { session: change.session.seen(view), id })
    }

    /// The task it touches or comments on, as read, or as it will be if it is new; `()` for other
    /// entities.
    /// → Task?
    #[rhai_fn(get = "task", pure)]
    pub fn change_task(change: &mut ChangeView) -> Dynamic {
        let Some(judged) = change.change() else { return Dynamic::UNIT };
        match &judged.write {
            Write::Task(edit) => {
                let is_new = matches!(**edit, Edit::Create { .. });
                change.handle(judged, if is_new { View::After } else { View::Before })
            }
            Write::Comment(edit) => {
                let id = edit.known().task.clone();
                let view = if id.is_provisional() { View::After } else { View::Before };
                Dynamic::from(Task { session: change.session.seen(view), id })
            }
            Write::Plan(_) | Write::PlanDetails { .. } | Write::Bucket(_) => Dynamic::UNIT,
        }
    }

    /// The number of changes.
    #[rhai_fn(name = "len", get = "len", pure)]
    pub fn changes_len(changes: &mut Changes) -> i64 {
        i64::try_from(changes.all().count()).unwrap_or(i64::MAX)
    }

    /// The changes of tasks.
    /// → [Change]
    #[rhai_fn(get = "tasks", pure)]
    pub fn changes_of_tasks(changes: &mut Changes) -> Dynamic {
        changes.that(|change| change.entity() == Entity::Task)
    }

    /// The changes of buckets.
    /// → [Change]
    #[rhai_fn(get = "buckets", pure)]
    pub fn changes_of_buckets(changes: &mut Changes) -> Dynamic {
        changes.that(|change| change.entity() == Entity::Bucket)
    }

    /// The changes of plans and their details.
    /// → [Change]
    #[rhai_fn(get = "plans", pure)]
    pub fn changes_of_plans(changes: &mut Changes) -> Dynamic {
        changes.that(|change| matches!(change.entity(), Entity::Plan | Entity::PlanDetails))
    }

    /// The changes that create.
    /// → [Change]
    #[rhai_fn(get = "creates", pure)]
    pub fn creates(changes: &mut Changes) -> Dynamic {
        changes.that(|change| change.op() == Op::Create)
    }

    /// The changes that update.
    /// → [Change]
    #[rhai_fn(get = "updates", pure)]
    pub fn updates(changes: &mut Changes) -> Dynamic {
        changes.that(|change| change.op() == Op::Update)
    }

    /// The changes that delete.
    /// → [Change]
    #[rhai_fn(get = "deletes", pure)]
    pub fn deletes(changes: &mut Changes) -> Dynamic {
        changes.that(|change| change.op() == Op::Delete)
    }

    /// The number of tasks touched, including those that a deleted bucket or plan takes along; one
    /// that was changed in several segments counts once.
    #[rhai_fn(get = "task_count", pure)]
    pub fn task_count(changes: &mut Changes) -> i64 {
        let mut ids = BTreeSet::new();
        // Only the newest session knows the real ids of all provisional ones.
        let Some((newest, _)) = changes.parts.last() else { return 0 };
        for (_, change) in changes.all() {
            if let EntityId::Task(id) = change.id() {
                ids.insert(newest.real(&id).into_owned());
            }
            ids.extend(change.takes_along.iter().cloned());
        }
        i64::try_from(ids.len()).unwrap_or(i64::MAX)
    }

    /// The number of things touched: tasks, including those that a deletion takes along, buckets
    /// and plans, each label that is renamed, each person a plan is newly or no longer shared with,
    /// and each comment. A thing that was changed in several segments counts once, and what is new
    /// with a plan counts as that plan.
    #[rhai_fn(get = "touched", pure)]
    pub fn touched(changes: &mut Changes) -> i64 {
        let mut things = BTreeSet::new();
        let Some((newest, _)) = changes.parts.last() else { return 0 };
        for (_, change) in changes.all() {
            things.extend(change.touches().into_iter().map(|id| newest.real(&id).into_owned()));
        }
        i64::try_from(things.len()).unwrap_or(i64::MAX)
    }

    /// The signed-in user.
    #[rhai_fn(get = "actor", pure)]
    pub fn actor(run: &mut RunView) -> User {
        let session = run.session.clone();
        let id = session.facts().me.id.clone();
        User { session, id }
    }

    /// The agent's name, `()` if a person acts.
    /// → text?
    #[rhai_fn(get = "agent", pure)]
    pub fn agent(run: &mut RunView) -> Dynamic {
        run.session.facts().agent.clone().map_or(Dynamic::UNIT, frozen)
    }

    /// The name of the skill or command.
    /// → text
    #[rhai_fn(get = "skill", pure)]
    pub fn skill(run: &mut RunView) -> Dynamic {
        frozen(run.start.skill.clone())
    }

    /// The purpose of the run; `apply` is that of a saved change set.
    /// → "run" | "apply" | "resume" | "undo"
    #[rhai_fn(get = "purpose", pure)]
    pub fn purpose(run: &mut RunView) -> Dynamic {
        frozen(run.start.purpose.name())
    }

    /// The parameters.
    /// → map
    #[rhai_fn(get = "params", pure)]
    pub fn params(run: &mut RunView) -> Dynamic {
        let params = from_json(&run.start.params);
        if params.is_map() { params.into_read_only() } else { frozen(Map::new()) }
    }

    /// True if nothing will be applied, whatever the verdict.
    #[rhai_fn(get = "dry_run", pure)]
    pub fn dry_run(run: &mut RunView) -> bool {
        run.start.dry_run
    }

    /// True if deletions are granted.
    #[rhai_fn(get = "force", pure)]
    pub fn force(run: &mut RunView) -> bool {
        run.start.force
    }
}

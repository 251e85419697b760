//! The script API of Graph's beta; see [`crate::host`]'s errors for when the beta is not in use.

use std::sync::Arc;

use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use rhai::{Array, Map};
use serde_json::Value;

use crate::change::{PlanField, TaskField, TaskKey};
use crate::host::Error;
use crate::model::recurrence::{Given, Recurrence};
use crate::script::api::arguments::{each, parse_bucket, parse_text};
use crate::script::api::date::Date;
use crate::script::api::handles::{Comment, Plan, Task, User};
use crate::script::api::value::{Fallible, OrRaise as _, frozen, frozen_list, invalid, run_of};

pub(crate) fn add_reads(module: &mut Module) {
    combine_with_exported_module!(module, "beta", functions);
}

pub(crate) fn add_effects(module: &mut Module) {
    combine_with_exported_module!(module, "beta effects", effects);
}

impl Task {
    /// Reads a field that only the beta has.
    fn beta<T>(&self, key: TaskKey<T>) -> Fallible<T> {
        let session = &self.session;
        if !session.facts().beta {
            return Err(Error::NeedsBeta(key.field.script_name())).or_raise(session);
        }
        session.task_field(&self.id, key).or_raise(session)
    }

    fn move_to_plan(&self, plan: &Plan, bucket: &Dynamic) -> Fallible<()> {
        let session = &self.session;
        let bucket =
            if bucket.is_unit() { None } else { Some(parse_bucket(bucket, session, &plan.id)?) };
        session
            .editor()
            .or_raise(session)?
            .move_task_to_plan(&self.id, &plan.id, bucket.as_ref())
            .or_raise(session)
    }

    /// Reads a recurrence from its map.
    fn parse_recurrence(&self, map: &Map) -> Fallible<Recurrence> {
        let session = &self.session;
        let get = |key| session.task_field(&self.id, key).or_raise(session);
        let first = match get(TaskField::START)?.or(get(TaskField::DUE)?) {
            Some(date) => Date::of_date(date, session),
            None => Date::of_moment(session.now(), session),
        };
        let mut given = Given::starting(first.to_write()?);
        for (name, value) in map {
            let number = || match value.as_int().ok().and_then(|number| u32::try_from(number).ok())
            {
                Some(number) => Ok(Some(number)),
                None => invalid(session, format!("{name} is a whole number")),
            };
            match name.as_str() {
                "type" => given.kind = parse_text(value, session, "type")?,
                "interval" => given.interval = number()?,
                "day_of_month" => given.day_of_month = number()?,
                "month" => given.month = number()?,
                "index" => given.index = Some(parse_text(value, session, "index")?),
                "days_of_week" => {
                    for day in each(value.clone()) {
                        given.days.push(parse_text(&day, session, "a day of the week")?);
                    }
                }
                "start" => {
                    if let Some(day) = Date::given(value, session, "start")? {
                        given.start = day.to_write()?;
                    }
                }
                other => {
                    let known = "type, interval, days_of_week, day_of_month, month, index, start";
                    let message = format!("a recurrence has no field `{other}`; it takes {known}");
                    return invalid(session, message);
                }
            }
        }
        given.recurrence().map_err(Error::Invalid).or_raise(session)
    }
}

#[export_module]
mod functions {
    /// The time of its last change (beta).
    /// → Date?
    #[rhai_fn(get = "last_modified_at", pure, volatile, return_raw)]
    pub fn last_modified_at(task: &mut Task) -> Fallible<Dynamic> {
        let moment = task.beta(TaskField::MODIFIED_AT)?;
        Ok(moment
            .map_or(Dynamic::UNIT, |moment| Dynamic::from(Date::of_moment(moment, &task.session))))
    }

    /// The person who changed it last, `()` for an application (beta).
    /// → User?
    #[rhai_fn(get = "last_modified_by", pure, volatile, return_raw)]
    pub fn last_modified_by(task: &mut Task) -> Fallible<Dynamic> {
        let user = task.beta(TaskField::MODIFIED_BY)?;
        Ok(User::or_unit(&task.session, user))
    }

    /// True if it is archived with its plan (beta).
    #[rhai_fn(get = "is_archived", pure, volatile, return_raw)]
    pub fn task_is_archived(task: &mut Task) -> Fallible<bool> {
        task.beta(TaskField::IS_ARCHIVED)
    }

    /// Its schedule as a map of `type`, `interval`, `start`, `next` and whatever else the type
    /// uses; `()` if it does not recur (beta).
    /// → map?
    #[rhai_fn(get = "recurrence", pure, volatile, return_raw)]
    pub fn recurrence(task: &mut Task) -> Fallible<Dynamic> {
        let Some(recurrence) = task.beta(TaskField::RECURRENCE)? else { return Ok(Dynamic::UNIT) };
        let day = |date| Dynamic::from(Date::of_date(date, &task.session));
        let word = |value: Value| Dynamic::from(value.as_str().unwrap_or_default().to_owned());
        let json = |value: &dyn Fn() -> serde_json::Result<Value>| value().unwrap_or_default();
        let kind = recurrence.pattern.kind;
        let mut map = Map::new();
        map.insert("type".into(), word(json(&|| serde_json::to_value(kind))));
        map.insert("interval".into(), i64::from(recurrence.pattern.interval).into());
        if !recurrence.pattern.days_of_week.is_empty() {
            let days = recurrence.pattern.days_of_week.iter();
            let days: Array =
                days.map(|weekday| word(json(&|| serde_json::to_value(weekday)))).collect();
            map.insert("days_of_week".into(), days.into());
        }
        if kind.is_absolute() {
            map.insert("day_of_month".into(), i64::from(recurrence.pattern.day_of_month).into());
        }
        if kind.is_yearly() {
            map.insert("month".into(), i64::from(recurrence.pattern.month).into());
        }
        if kind.is_relative() {
            map.insert(
                "index".into(),
                word(json(&|| serde_json::to_value(recurrence.pattern.index))),
            );
        }
        map.insert("start".into(), day(recurrence.start));
        map.insert("next".into(), recurrence.next.map_or(Dynamic::UNIT, day));
        Ok(frozen(map))
    }

    /// Makes it recur: a map of `type` (`daily`, `weekly`, `monthly`, `yearly`), and where they
    /// apply `interval`, `days_of_week`, `day_of_month`, `month`, `index` and `start`; or `()` to
    /// stop it (beta).
    #[rhai_fn(set = "recurrence", pure, volatile, return_raw)]
    pub fn set_recurrence(task: &mut Task, recurrence: Dynamic) -> Fallible<()> {
        let session = &task.session;
        let wanted = match recurrence.as_map_ref() {
            Ok(map) => Some(task.parse_recurrence(&map)?),
            Err(_) if recurrence.is_unit() => None,
            Err(_) => return invalid(session, "a recurrence is a map, or () to stop".to_owned()),
        };
        session.setter().set_recurrence(&task.id, wanted).or_raise(session)
    }

    /// Moves the task to another plan, into no bucket (beta).
    #[rhai_fn(name = "move_to_plan", volatile, pure, return_raw)]
    pub fn move_to_plan(task: &mut Task, plan: Plan) -> Fallible<()> {
        task.move_to_plan(&plan, &Dynamic::UNIT)
    }

    /// Moves the task to a bucket of another plan: a Bucket, or its name (beta).
    #[rhai_fn(name = "move_to_plan", volatile, pure, return_raw)]
    pub fn move_to_plan_bucket(task: &mut Task, plan: Plan, bucket: Dynamic) -> Fallible<()> {
        task.move_to_plan(&plan, &bucket)
    }

    /// The comments on it, the oldest first, new ones included (beta).
    /// → [Comment]
    #[rhai_fn(get = "comments", pure, volatile, return_raw)]
    pub fn comments(task: &mut Task) -> Fallible<Dynamic> {
        let session = &task.session;
        let all = session.comments(&task.id).or_raise(session)?.into_iter();
        Ok(frozen_list(
            all.map(|comment| Comment { session: session.clone(), comment: Arc::new(comment) }),
        ))
    }

    /// Adds a comment; it is written last and cannot be undone (beta).
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn comment(task: &mut Task, text: &str) -> Fallible<()> {
        let session = &task.session;
        session.editor().or_raise(session)?.add_comment(&task.id, text).or_raise(session)
    }

    /// The text of the comment.
    /// → text
    #[rhai_fn(get = "text", name = "to_string", name = "to_debug", pure)]
    pub fn comment_text(comment: &mut Comment) -> Dynamic {
        frozen(comment.comment.text())
    }

    /// Who wrote it.
    /// → User?
    #[rhai_fn(get = "by", pure)]
    pub fn comment_by(comment: &mut Comment) -> Dynamic {
        User::or_unit(&comment.session, comment.comment.by.clone())
    }

    /// When it was written; `()` for a new one.
    /// → Date?
    #[rhai_fn(get = "at", pure)]
    pub fn comment_at(comment: &mut Comment) -> Dynamic {
        let at = comment.comment.at;
        at.map_or(Dynamic::UNIT, |at| Dynamic::from(Date::of_moment(at, &comment.session)))
    }

    /// True if the plan is archived (beta).
    #[rhai_fn(get = "is_archived", pure, volatile, return_raw)]
    pub fn plan_is_archived(plan: &mut Plan) -> Fallible<bool> {
        let session = &plan.session;
        if !session.facts().beta {
            return Err(Error::NeedsBeta("is_archived")).or_raise(session);
        }
        session.plan_field(&plan.id, PlanField::IS_ARCHIVED).or_raise(session)
    }

    /// Archives the plan with everything in it, for the reason given (beta).
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn archive(plan: &mut Plan, reason: &str) -> Fallible<()> {
        plan.session
            .editor()
            .or_raise(&plan.session)?
            .archive_plan(&plan.id, true, reason)
            .or_raise(&plan.session)
    }

    /// Takes the plan out of the archive, for the reason given (beta).
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn unarchive(plan: &mut Plan, reason: &str) -> Fallible<()> {
        plan.session
            .editor()
            .or_raise(&plan.session)?
            .archive_plan(&plan.id, false, reason)
            .or_raise(&plan.session)
    }

    /// Adds a person to the roster of the plan: a User, or a name, address or id (beta).
    #[rhai_fn(volatile, pure, return_raw)]
    pub fn add_member(plan: &mut Plan, user: Dynamic) -> Fallible<()> {
        let session = &plan.session;
        let id = User::given(&user, session)?;
        let user = session.find_user(id.as_str()).or_raise(session)?;
        session.editor().or_raise(session)?.add_member(&plan.id, &user).or_raise(session)
    }
}

#[export_module]
mod effects {
    /// Records a new plan in a roster of its own, without a group (beta).
    #[rhai_fn(volatile, return_raw)]
    pub fn create_roster_plan(ctx: NativeCallContext, title: &str) -> Fallible<Plan> {
        let session = run_of(&ctx)?.session;
        let id =
            session.editor().or_raise(&session)?.create_roster_plan(title).or_raise(&session)?;
        Ok(Plan { session, id })
    }
}

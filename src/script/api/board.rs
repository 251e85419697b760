//! The functions that a script starts from: plans, tasks, people, output.

use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use sha2::{Digest as _, Sha256};

use crate::host::Session;
use crate::script::api::handles::{Group, Plan, Task, User};
use crate::script::api::value::{Fallible, OrRaise as _, frozen_list, invalid, run_of};

pub(crate) fn add_reads(module: &mut Module) {
    combine_with_exported_module!(module, "board", reads);
}

pub(crate) fn add_effects(module: &mut Module) {
    combine_with_exported_module!(module, "effects", effects);
}

/// Draws the next number of the run: a digest of its seed and of how many it has drawn.
fn draw(session: &Session) -> u64 {
    let (seed, n) = session.next_draw();
    let digest = Sha256::digest(format!("{seed} {n}"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[export_module]
mod reads {
    /// Returns all plans within reach, by title.
    /// → [Plan]
    #[rhai_fn(volatile, return_raw)]
    pub fn plans(ctx: NativeCallContext) -> Fallible<Dynamic> {
        let session = run_of(&ctx)?.session;
        let ids = session.plans().or_raise(&session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Plan { session: session.clone(), id })))
    }

    /// Returns the plan with a title or id.
    #[rhai_fn(volatile, return_raw)]
    pub fn plan(ctx: NativeCallContext, title_or_id: &str) -> Fallible<Plan> {
        let session = run_of(&ctx)?.session;
        let id = session.find_plan(title_or_id).or_raise(&session)?;
        Ok(Plan { session, id })
    }

    /// Returns the task with an id, in whatever plan.
    #[rhai_fn(volatile, return_raw)]
    pub fn task(ctx: NativeCallContext, id: &str) -> Fallible<Task> {
        let session = run_of(&ctx)?.session;
        let id = session.task_by_id(id).or_raise(&session)?;
        Ok(Task { session, id })
    }

    /// Returns the tasks assigned to the signed-in user, in all plans.
    /// → [Task]
    #[rhai_fn(volatile, return_raw)]
    pub fn my_tasks(ctx: NativeCallContext) -> Fallible<Dynamic> {
        let session = run_of(&ctx)?.session;
        let ids = session.my_tasks().or_raise(&session)?;
        Ok(frozen_list(ids.into_iter().map(|id| Task { session: session.clone(), id })))
    }

    /// Returns the user with a sign-in name, mail address, id or display name.
    #[rhai_fn(volatile, return_raw)]
    pub fn user(ctx: NativeCallContext, upn_or_id: &str) -> Fallible<User> {
        let session = run_of(&ctx)?.session;
        let id = session.find_user(upn_or_id).or_raise(&session)?.id;
        Ok(User { session, id })
    }

    /// The signed-in user.
    #[rhai_fn(volatile, return_raw)]
    pub fn me(ctx: NativeCallContext) -> Fallible<User> {
        let session = run_of(&ctx)?.session;
        let id = session.myself().or_raise(&session)?.id.clone();
        Ok(User { session, id })
    }

    /// Draws a number from 0 to 1, without 1. A run that runs again draws the same numbers.
    #[rhai_fn(name = "rand", volatile, return_raw)]
    pub fn rand_float(ctx: NativeCallContext) -> Fallible<f64> {
        let session = run_of(&ctx)?.session;
        // The 53 bits that a float holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let (drawn, all) = ((draw(&session) >> 11) as f64, (1_u64 << 53) as f64);
        Ok(drawn / all)
    }

    /// Draws a whole number between two, both included: `rand(1, 6)`.
    #[rhai_fn(name = "rand", volatile, return_raw)]
    pub fn rand_int(ctx: NativeCallContext, from: i64, to: i64) -> Fallible<i64> {
        let session = run_of(&ctx)?.session;
        if from > to {
            return invalid(&session, format!("there is no number from {from} to {to}"));
        }
        let n = u128::from(to.abs_diff(from)) + 1;
        let offset = i128::try_from(u128::from(draw(&session)) % n).unwrap_or(0);
        Ok(i64::try_from(i128::from(from) + offset).unwrap_or(to))
    }

    /// Returns the groups that the signed-in user is a member of.
    /// → [Group]
    #[rhai_fn(volatile, return_raw)]
    pub fn groups(ctx: NativeCallContext) -> Fallible<Dynamic> {
        let session = run_of(&ctx)?.session;
        let groups = session.groups().or_raise(&session)?;
        Ok(frozen_list(groups.into_iter().map(|group| Group { session: session.clone(), group })))
    }

    /// Returns the group with a name or id, among those of the signed-in user.
    #[rhai_fn(volatile, return_raw)]
    pub fn group(ctx: NativeCallContext, name_or_id: &str) -> Fallible<Group> {
        let session = run_of(&ctx)?.session;
        let group = session.find_group(name_or_id).or_raise(&session)?;
        Ok(Group { session, group })
    }
}

#[export_module]
mod effects {
    /// Records a new plan in a group that the signed-in user is a member of.
    #[rhai_fn(volatile, return_raw)]
    pub fn create_plan(ctx: NativeCallContext, group: Dynamic, title: &str) -> Fallible<Plan> {
        let session = run_of(&ctx)?.session;
        let name = match group.read_lock::<Group>() {
            Some(group) => group.group.id.to_string(),
            None => group.clone().into_string().unwrap_or_default(),
        };
        let id =
            session.editor().or_raise(&session)?.create_plan(&name, title).or_raise(&session)?;
        Ok(Plan { session, id })
    }

    /// Applies everything recorded so far, once it is judged, and goes on; later reads are fetched
    /// again. Limits and policies count over the whole run. A refusal ends the run.
    #[rhai_fn(volatile, return_raw)]
    pub fn commit(ctx: NativeCallContext) -> Fallible<()> {
        let session = run_of(&ctx)?.session;
        session.commit().or_raise(&session)
    }

    /// Adds a remark to the run's report.
    #[rhai_fn(volatile, return_raw)]
    pub fn warn(ctx: NativeCallContext, text: &str) -> Fallible<()> {
        let session = run_of(&ctx)?.session;
        session.remark(text).or_raise(&session)
    }

    /// Ends the run for good: nothing is written, and nothing can catch it.
    #[rhai_fn(volatile, return_raw)]
    pub fn fail(ctx: NativeCallContext, text: &str) -> Fallible<()> {
        Err(crate::script::api::value::fail(&run_of(&ctx)?.session, text))
    }
}

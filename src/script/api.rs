//! The script API: everything that scripts can call (design.md 4.1, design.md 4.2).
//!
//! One file for each type. Objects are handles: a session and an id, so that a copy is still the
//! same object and nothing is converted that no script reads. Getters return read-only values (but
//! for texts that can be set, see [`crate::script::sandbox::in_place`]), and a setter that is given
//! the value already there does nothing: after a call on a property the engine writes the property
//! back, so otherwise reading one could write it. Setters and verbs are marked `pure`: they change
//! the draft, not the handle, so they work on one from a read-only list.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the engine's exporting macro wants public functions, and writes unwraps after its own type checks"
)]

use std::sync::{Arc, OnceLock};

use rhai::{Engine, Module};

use crate::host::{Error, Session};
use crate::script::api::date::{Date, Days};
use crate::script::api::handles::{
    Bucket, ChangeView, Changes, ChecklistItem, Comment, Group, Plan, RunView, Task, User,
};
use crate::script::api::value::{Fallible, OrRaise, raise};
use crate::script::source::ScriptKind;

pub(crate) mod arguments;
mod beta;
mod board;
mod bucket;
mod change;
mod checklist;
mod compare;
pub(super) mod convert;
pub(crate) mod date;
pub(crate) mod handles;
mod list_order;
mod lists;
mod people;
mod plan;
pub(crate) mod query;
mod task;
mod testing;
mod text;
pub(crate) mod value;
pub(crate) mod verdicts;

pub(crate) use compare::install as install_comparisons;

/// Returns the functions for a kind of script, built once.
pub(crate) fn module(kind: ScriptKind) -> Arc<Module> {
    static SKILL: OnceLock<Arc<Module>> = OnceLock::new();
    static POLICY: OnceLock<Arc<Module>> = OnceLock::new();
    static TEST: OnceLock<Arc<Module>> = OnceLock::new();
    let cell = match kind {
        ScriptKind::Skill => &SKILL,
        ScriptKind::Policy => &POLICY,
        ScriptKind::Test => &TEST,
    };
    Arc::clone(cell.get_or_init(|| {
        let mut module = Module::new();
        board::add_reads(&mut module);
        plan::add(&mut module);
        bucket::add(&mut module);
        task::add(&mut module);
        checklist::add(&mut module);
        people::add(&mut module);
        date::add(&mut module);
        text::add(&mut module);
        compare::add(&mut module);
        lists::add(&mut module);
        query::add_reads(&mut module);
        beta::add_reads(&mut module);
        match kind {
            // `warn` is a verdict in a policy and a remark elsewhere, so only one of the two is
            // there.
            ScriptKind::Policy => change::add(&mut module),
            ScriptKind::Skill | ScriptKind::Test => {
                board::add_effects(&mut module);
                query::add_effects(&mut module);
                beta::add_effects(&mut module);
                if kind == ScriptKind::Test {
                    testing::add(&mut module);
                }
            }
        }
        module.build_index();
        Arc::new(module)
    }))
}

/// Registers the types with their names in messages, and the iterator over changes.
pub(crate) fn register_types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Plan>("Plan")
        .register_type_with_name::<Bucket>("Bucket")
        .register_type_with_name::<Task>("Task")
        .register_type_with_name::<ChecklistItem>("ChecklistItem")
        .register_type_with_name::<Comment>("Comment")
        .register_type_with_name::<User>("User")
        .register_type_with_name::<Group>("Group")
        .register_type_with_name::<Date>("Date")
        .register_type_with_name::<Days>("Days")
        .register_type_with_name::<ChangeView>("Change")
        .register_type_with_name::<Changes>("Changes")
        .register_type_with_name::<RunView>("Run")
        .register_iterator::<Changes>();
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, session: &Session) -> Fallible<T> {
        self.map_err(|error| raise(session, &error))
    }
}

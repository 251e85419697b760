//! What scripts can call (design.md 4.1 and 4.2).
//!
//! One file for each type. Objects are handles: a session and an id, so that copying one is
//! still the same object and nothing is converted that is not looked at. Getters return
//! read-only values (but for texts that can be set, see [`crate::script::check`]), and a setter that is given the value already there does nothing:
//! otherwise reading a property could write it (scripting.md 1.10). Setters and verbs are marked
//! `pure`: they change the draft, not the handle, so they work on one from a read-only list.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the engine's exporting macro wants public functions, and writes unwraps after its own type checks"
)]

use std::sync::{Arc, OnceLock};

use rhai::{Dynamic, Engine, EvalAltResult, Module, NativeCallContext, Position};

use crate::host::{Error, Session, StopReason};
use crate::script::sandbox::engine::Kind;
use crate::script::testing::Play;

mod arguments;
mod beta;
mod board;
mod bucket;
mod change;
mod checklist;
mod compare;
mod date;
mod lists;
mod people;
mod plan;
mod task;
mod testing;
mod text;

pub(crate) use bucket::Bucket;
pub(crate) use change::{ChangeView, Changes, RunView, Verdicts};
pub(crate) use checklist::ChecklistItem;
pub(crate) use compare::install as install_comparisons;
pub(crate) use date::{Date, Days, day_of_text, is_date_only};
pub(crate) use people::{Group, User};
pub(crate) use plan::Plan;
pub(crate) use task::Task;

/// The result of everything that can fail in a script.
pub(crate) type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// What a running script's engine carries for the functions that have no handle to start from.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) session: Session,
    /// Where the verdicts go; policies only.
    pub(crate) verdicts: Option<Arc<Verdicts>>,
    /// Where it plays; tests only.
    pub(crate) play: Option<Arc<Play>>,
}

/// Returns the functions for a kind of script, built once.
pub(crate) fn module(kind: Kind) -> Arc<Module> {
    static SKILL: OnceLock<Arc<Module>> = OnceLock::new();
    static POLICY: OnceLock<Arc<Module>> = OnceLock::new();
    static TEST: OnceLock<Arc<Module>> = OnceLock::new();
    let cell = match kind {
        Kind::Skill => &SKILL,
        Kind::Policy => &POLICY,
        Kind::Test => &TEST,
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
        beta::add_reads(&mut module);
        match kind {
            Kind::Policy => change::add(&mut module),
            Kind::Skill | Kind::Test => {
                board::add_effects(&mut module);
                beta::add_effects(&mut module);
                if kind == Kind::Test {
                    testing::add(&mut module);
                }
            }
        }
        module.build_index();
        Arc::new(module)
    }))
}

/// Gives the types their names in messages, and what can be looped over its loop.
pub(crate) fn register_types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Plan>("Plan")
        .register_type_with_name::<Bucket>("Bucket")
        .register_type_with_name::<Task>("Task")
        .register_type_with_name::<ChecklistItem>("ChecklistItem")
        .register_type_with_name::<User>("User")
        .register_type_with_name::<Group>("Group")
        .register_type_with_name::<Date>("Date")
        .register_type_with_name::<Days>("Days")
        .register_type_with_name::<ChangeView>("Change")
        .register_type_with_name::<Changes>("Changes")
        .register_type_with_name::<RunView>("Run")
        .register_iterator::<Changes>();
}

/// Returns the run that a function was called in.
pub(crate) fn run_of(ctx: &NativeCallContext) -> Fallible<Run> {
    ctx.tag()
        .and_then(|tag| tag.clone().try_cast::<Run>())
        .ok_or_else(|| "the board is not available while a script is loaded".into())
}

/// Turns an error of the host into one of the script: a map that `catch` can look into. A stop
/// ends the script whatever it catches.
pub(crate) fn raise(session: &Session, error: &Error) -> Box<EvalAltResult> {
    session.note_error(error);
    if let Error::Stopped(_) = error {
        return EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into();
    }
    let mut map = rhai::Map::new();
    map.insert("kind".into(), error.code().into());
    map.insert("message".into(), error.with_cause().into());
    if let Some(hint) = error.hint() {
        map.insert("hint".into(), hint.into());
    }
    EvalAltResult::ErrorRuntime(map.into(), Position::NONE).into()
}

/// Makes an error about a value that a script gave.
pub(crate) fn invalid<T>(session: &Session, message: String) -> Fallible<T> {
    Err(raise(session, &Error::Invalid(message)))
}

/// Stops the script for good, as `fail()` does.
pub(crate) fn fail(session: &Session, text: &str) -> Box<EvalAltResult> {
    session.stop().set(StopReason::Fail(text.to_owned()));
    EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE).into()
}

/// Turns a host result into a script's.
pub(crate) trait OrRaise<T> {
    /// Raises the error, if it is one.
    fn or_raise(self, session: &Session) -> Fallible<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    fn or_raise(self, session: &Session) -> Fallible<T> {
        self.map_err(|error| raise(session, &error))
    }
}

/// Makes a value that a script can not change in place.
pub(crate) fn frozen(value: impl Into<Dynamic>) -> Dynamic {
    value.into().into_read_only()
}

/// Makes an array of handles that a script can not change in place.
pub(crate) fn frozen_list<T: Clone + Send + Sync + 'static>(
    items: impl IntoIterator<Item = T>,
) -> Dynamic {
    frozen(items.into_iter().map(Dynamic::from).collect::<rhai::Array>())
}

/// Says what kind of value a script gave, in its words.
pub(crate) fn kind_of(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "()" => "nothing",
        "i64" => "a whole number",
        "f64" => "a number",
        "bool" => "true or false",
        "string" | "char" => "text",
        "array" => "an array",
        "map" => "a map",
        "Fn" => "a function",
        name if name.ends_with("::Task") => "a Task",
        name if name.ends_with("::Bucket") => "a Bucket",
        name if name.ends_with("::Plan") => "a Plan",
        name if name.ends_with("::User") => "a User",
        name if name.ends_with("::Date") => "a Date",
        name if name.ends_with("::Days") => "a number of days",
        name if name.ends_with("::Group") => "a Group",
        name if name.ends_with("::ChecklistItem") => "a checklist item",
        name if name.ends_with("::ChangeView") => "a Change",
        name if name.ends_with("::Changes") => "Changes",
        name if name.ends_with("::RunView") => "a Run",
        _ => "something else",
    }
}

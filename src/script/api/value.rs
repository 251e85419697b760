//! Values and errors that all types of the script API share.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Array, Dynamic, EvalAltResult, Map, NativeCallContext, Position};
use serde_json::Value;

use crate::host::{Error, Session, StopReason};
use crate::script::api::verdicts::Verdicts;
use crate::script::stage::TestContext;

/// A range without its end, as scripts write it: `0..3`.
pub(crate) type ExclusiveRange = std::ops::Range<i64>;
/// A range with its end: `0..=3`.
pub(crate) type InclusiveRange = std::ops::RangeInclusive<i64>;

/// The result of everything that can fail in a script.
pub(crate) type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// The context that an engine carries, for functions that have no handle to start from.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) session: Session,
    /// The verdicts so far; policies only.
    pub(crate) verdicts: Option<Arc<Verdicts>>,
    /// The stage and state of the test; tests only.
    pub(crate) play: Option<Arc<TestContext>>,
    /// The closures that only ask for a property: `|t| t.due`.
    pub(crate) asking: Arc<BTreeMap<String, String>>,
}

impl Run {
    /// Returns the property that is all a closure asks of its argument.
    pub(crate) fn asks_only(&self, closure: &str) -> Option<String> {
        self.asking.get(closure).cloned()
    }
}

/// Returns the run that a function was called in.
pub(crate) fn run_of(ctx: &NativeCallContext) -> Fallible<Run> {
    ctx.tag()
        .and_then(|tag| tag.clone().try_cast::<Run>())
        .ok_or_else(|| "the board is not available while a script is loaded".into())
}

/// Turns an error of the host into one of the script: a map that `catch` can inspect. A stop ends
/// the script whatever it catches.
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

/// Makes a value that a script cannot change in place.
pub(crate) fn frozen(value: impl Into<Dynamic>) -> Dynamic {
    value.into().into_read_only()
}

/// Makes an array of handles that a script cannot change in place.
pub(crate) fn frozen_list<T: Clone + Send + Sync + 'static>(
    items: impl IntoIterator<Item = T>,
) -> Dynamic {
    frozen(items.into_iter().map(Dynamic::from).collect::<rhai::Array>())
}

/// Returns the kind of a value, in a script writer's words.
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
        name if name.ends_with("::Comment") => "a Comment",
        name if name.ends_with("::ChangeView") => "a Change",
        name if name.ends_with("::Changes") => "Changes",
        name if name.ends_with("::RunView") => "a Run",
        _ => "something else",
    }
}

/// Turns data into a script's value.
pub(crate) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.clone().into(),
        Value::Array(items) => items.iter().map(from_json).collect::<Array>().into(),
        Value::Object(map) => {
            map.iter().map(|(key, item)| (key.into(), from_json(item))).collect::<Map>().into()
        }
    }
}

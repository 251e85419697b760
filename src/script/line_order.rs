//! A line on its way to the process that runs it, and what comes back.

use std::collections::{BTreeMap, BTreeSet};

use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::Failure;
use crate::model::{BucketId, PlanId, TaskId, UserId};
use crate::script::api::date::{Date, Days};
use crate::script::api::handles::{Bucket, ChecklistItem, Group, Plan, Task, User};
use crate::script::lint::kind::ValueKind;
use crate::script::syntax::tokens::{Piece, tokens};

/// A line to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LineOrder {
    /// The line.
    pub(crate) text: String,
    /// The libraries that can be imported, by path.
    pub(crate) libraries: BTreeMap<String, String>,
    /// The libraries that earlier lines have imported: alias and path.
    pub(crate) imports: BTreeMap<String, String>,
    /// The plans that have been given a name since the last line.
    pub(crate) plans: BTreeMap<String, PlanId>,
    /// The last result, if it came from elsewhere than a line.
    pub(crate) last: Option<Value>,
}

/// The result of a line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Lined {
    /// Its value as it is shown, or why it failed.
    pub(crate) result: Result<Shown, Failure>,
    /// The kinds of the variables, by name.
    pub(crate) kinds: BTreeMap<String, Known>,
    /// The names of the functions that lines have made.
    pub(crate) functions: BTreeSet<String>,
    /// The libraries it has imported: alias and path.
    pub(crate) imports: BTreeMap<String, String>,
    /// The libraries that those import in turn.
    pub(crate) used: BTreeSet<String>,
    /// True if it has a value.
    pub(crate) has_value: bool,
}

/// The result of a line, for display: it holds no value of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shown {
    /// Nothing.
    Nothing,
    /// A task.
    Task(TaskId),
    /// Tasks.
    Tasks(Vec<TaskId>),
    /// A bucket.
    Bucket(BucketId),
    /// Buckets.
    Buckets(Vec<BucketId>),
    /// A plan.
    Plan(PlanId),
    /// Plans.
    Plans(Vec<PlanId>),
    /// A person.
    User(UserId),
    /// People.
    Users(Vec<UserId>),
    /// A text.
    Text(String),
    /// Other data.
    Data(Value),
    /// Anything that is not data, in words.
    Other(String),
}

/// The name of a line in messages.
pub(crate) const FILE: &str = "line";

/// The last result.
pub(crate) const LAST: &str = "_";

/// Returns the places where a line names the last result: not those where `_` is the default of a
/// `switch`.
pub(crate) fn uses_of_last(line: &str) -> Vec<usize> {
    let tokens = tokens(line);
    let next = |n: usize| tokens.get(n + 1).map(|token| token.of(line));
    let is_use = |(n, token): (usize, &crate::script::syntax::tokens::Token)| {
        let is = token.piece == Piece::Word && token.of(line) == LAST && next(n) != Some("=>");
        is.then_some(token.start)
    };
    tokens.iter().enumerate().filter_map(is_use).collect()
}

/// The known facts about a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub(crate) kind: ValueKind,
    pub(crate) of: Whose,
}

impl Known {
    /// Returns what is known of a value.
    pub(crate) fn from_value(value: &Dynamic) -> Self {
        let (name, of) = if let Some(task) = value.read_lock::<Task>() {
            ("Task", Whose::Task(task.session.real(&task.id).into_owned()))
        } else if let Some(plan) = value.read_lock::<Plan>() {
            ("Plan", Whose::Plan(plan.session.real(&plan.id).into_owned()))
        } else if value.is::<Bucket>() {
            ("Bucket", Whose::Unknown)
        } else if value.is::<User>() {
            ("User", Whose::Unknown)
        } else if value.is::<Group>() {
            ("Group", Whose::Unknown)
        } else if value.is::<Date>() {
            ("Date", Whose::Unknown)
        } else if value.is::<Days>() {
            ("Days", Whose::Unknown)
        } else if value.is::<ChecklistItem>() {
            ("ChecklistItem", Whose::Unknown)
        } else if value.is_string() || value.is_char() {
            ("text", Whose::Unknown)
        } else if let Ok(items) = value.as_array_ref() {
            let mut kinds = items.iter().map(Self::from_value);
            let Some(first) = kinds.next() else {
                return Self::list(ValueKind::Any, Whose::Unknown);
            };
            let kind = kinds.take(50).fold(first.kind, |kind, other| kind.or(&other.kind));
            return Self::list(kind, first.of);
        } else {
            return Self { kind: ValueKind::Any, of: Whose::Unknown };
        };
        Self { kind: ValueKind::Of(name.to_owned()), of }
    }

    /// Returns what is known of a plan.
    pub(crate) fn plan(id: PlanId) -> Self {
        Self { kind: ValueKind::Of("Plan".to_owned()), of: Whose::Plan(id) }
    }

    pub(crate) fn list(item: ValueKind, of: Whose) -> Self {
        Self { kind: ValueKind::List(Box::new(item)), of }
    }
}

/// The plan that something belongs to, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Whose {
    /// It is not known.
    #[default]
    Unknown,
    /// This one.
    Plan(PlanId),
    /// The one with a title or id.
    Titled(String),
    /// That of a task.
    Task(TaskId),
}

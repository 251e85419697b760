//! A line on its way to the process that runs it, and what comes back.

use std::collections::{BTreeMap, BTreeSet};

use rhai::Dynamic;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::host::Failure;
use crate::model::{BucketId, PlanId, TaskId, UserId};
use crate::script::api::date::{Date, Days};
use crate::script::api::handles::{Bucket, ChecklistItem, Group, Plan, Task, User};
use crate::script::console::tokens::{Piece, tokens};
use crate::script::lint::kind::Kind;

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
    /// Whether it has a value.
    pub(crate) has_value: bool,
}

/// What a line came to, for whoever shows it: no value of a script in it.
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
    /// What is no data, in words.
    Other(String),
}

/// What messages call a line.
pub(crate) const FILE: &str = "line";

/// The last result.
pub(crate) const LAST: &str = "_";

/// Where a line names the last result: not where `_` is the rest of a `switch`.
pub(crate) fn uses_of_last(line: &str) -> Vec<usize> {
    let tokens = tokens(line);
    let next = |n: usize| tokens.get(n + 1).map(|token| token.of(line));
    let is_use = |(n, token): (usize, &crate::script::console::tokens::Token)| {
        let is = token.piece == Piece::Word && token.of(line) == LAST && next(n) != Some("=>");
        is.then_some(token.start)
    };
    tokens.iter().enumerate().filter_map(is_use).collect()
}

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub(crate) kind: Kind,
    pub(crate) of: Whose,
}

impl Known {
    /// Tells what a value is.
    pub(crate) fn of(value: &Dynamic) -> Self {
        let (name, of) = if let Some(it) = value.read_lock::<Task>() {
            ("Task", Whose::Task(it.session.real(&it.id).into_owned()))
        } else if let Some(it) = value.read_lock::<Plan>() {
            ("Plan", Whose::Plan(it.session.real(&it.id).into_owned()))
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
            let mut kinds = items.iter().map(Self::of);
            let Some(first) = kinds.next() else { return Self::list(Kind::Any, Whose::Unknown) };
            let kind = kinds.take(50).fold(first.kind, |kind, other| kind.or(&other.kind));
            return Self::list(kind, first.of);
        } else {
            return Self { kind: Kind::Any, of: Whose::Unknown };
        };
        Self { kind: Kind::Of(name.to_owned()), of }
    }

    /// A plan.
    pub(crate) fn plan(id: PlanId) -> Self {
        Self { kind: Kind::Of("Plan".to_owned()), of: Whose::Plan(id) }
    }

    pub(crate) fn list(item: Kind, of: Whose) -> Self {
        Self { kind: Kind::List(Box::new(item)), of }
    }
}

/// Which plan something belongs to, as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Whose {
    /// Nothing tells.
    #[default]
    Unknown,
    /// This one.
    Plan(PlanId),
    /// The one of a title or id.
    Titled(String),
    /// That of a task.
    Task(TaskId),
}

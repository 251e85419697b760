//! Scripts as data: their texts, and the facts that compiling one brings out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The kind of script that an engine serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptKind {
    /// A skill: reads and records edits.
    Skill,
    /// A policy: reads and judges.
    Policy,
    /// A file of tests: sets boards up, runs skills, checks what came of it.
    Test,
}

/// The largest script that is compiled; compiling has no budget and its time is quadratic.
pub const MAX_SOURCE: usize = 64 << 10;

/// A script's text, with all that it may import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// Its kind.
    pub(crate) kind: ScriptKind,
    /// Its file, as messages name it.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
    /// The libraries that it may import, by path.
    pub(crate) libraries: BTreeMap<String, String>,
}

/// The facts about a script that compiling it brings out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Outline {
    /// The libraries that it imports, directly or not.
    pub(crate) imports: BTreeSet<String>,
    /// Its functions.
    pub(crate) functions: Vec<Function>,
}

/// A function of a script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The number of its parameters.
    pub(crate) n_params: usize,
}

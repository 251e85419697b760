//! Skills: compiled once, run on a session, in a process of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::host::{Failure, Program, Session, on_large_stack};
use crate::script::budget::Budget;
use crate::script::code::Code;
use crate::script::sandbox::compiled::{Compiled, run};
use crate::script::sandbox::coverage::Coverage;
use crate::script::source::ScriptKind;
use crate::script::source::Source;
use crate::script::worker::pool::give_back;
use crate::script::workspace::manifest::Manifest;

/// A skill, ready to run.
#[derive(Debug, Clone)]
pub struct Skill {
    /// Its name in reports.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    code: Code,
}

impl Skill {
    /// Compiles a skill from its text; `file` is its name in messages.
    ///
    /// # Errors
    /// The manifest or the script is wrong; the failure says where.
    pub fn compile(
        name: &str,
        file: &str,
        text: &str,
        libraries: &Arc<BTreeMap<String, String>>,
    ) -> Result<Self, Failure> {
        let manifest = Manifest::parse(text).map_err(|mut failure| {
            failure.message = format!("{file}: {}", failure.message);
            failure
        })?;
        let code = Code::compile(ScriptKind::Skill, file, text, libraries)?;
        Ok(Self { name: name.to_owned(), manifest, code })
    }

    /// Returns `sha256:…` over its text and all it imports.
    #[must_use]
    pub fn digest(&self) -> &str {
        self.code.digest()
    }

    /// Returns whether these texts would compile to the same.
    pub(crate) fn is_of(&self, text: &str, libraries: &BTreeMap<String, String>) -> bool {
        self.code.is_of(text, libraries)
    }

    /// Makes it a program.
    #[must_use]
    pub fn program(&self, params: Map<String, Value>, budget: Budget) -> Arc<dyn Program> {
        self.covered(params, budget, None)
    }

    /// Compiles and runs a skill in this process: the floor that the benchmark measures against, and
    /// nothing else.
    ///
    /// # Errors
    /// The script is wrong.
    #[doc(hidden)]
    pub fn in_this_process(
        file: &str,
        text: &str,
        params: Map<String, Value>,
        budget: Budget,
    ) -> Result<Arc<dyn Program>, Failure> {
        let (kind, libraries) = (ScriptKind::Skill, BTreeMap::new());
        let source = Source { kind, file: file.to_owned(), text: text.to_owned(), libraries };
        let skill = on_large_stack("planwright-compile", move || Compiled::from_source(&source))??;
        let params = Value::Object(params);
        Ok(Arc::new(move |session: &Session| run(&skill, &params, budget, session, None)))
    }

    /// Makes it a program that records the lines it runs, if there is `coverage`.
    #[must_use]
    pub fn covered(
        &self,
        params: Map<String, Value>,
        budget: Budget,
        coverage: Option<Arc<Coverage>>,
    ) -> Arc<dyn Program> {
        let (code, params) = (self.code.clone(), Value::Object(params));
        Arc::new(move |session: &Session| {
            let (mut worker, at) = code.worker()?;
            let outcome = worker.run(at, session, &params, budget, coverage.as_deref());
            // A worker that is still alive can run the skill again, as a redraft does.
            give_back(worker);
            outcome
        })
    }
}

//! A compiled script as the host knows it: its text and its outline. No line of it ever runs in the
//! host's process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::host::Failure;
use crate::script::source::{Function, Outline, ScriptKind, Source};
use crate::script::worker::pool::{give_back, take};
use crate::script::worker::process::Worker;

/// A script that compiles.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    source: Arc<Source>,
    outline: Arc<Outline>,
    digest: String,
}

impl Code {
    /// Compiles a script, in a process for scripts of its kind.
    ///
    /// # Errors
    /// The script is wrong, or no process can be started.
    pub(crate) fn compile(
        kind: ScriptKind,
        file: &str,
        text: &str,
        libraries: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let (file, text) = (file.to_owned(), text.to_owned());
        let source = Arc::new(Source { kind, file, text, libraries: libraries.clone() });
        let mut worker = take(&source)?;
        let compiled = worker.compile(&source);
        give_back(worker);
        let outline = Arc::new(compiled?.1);
        let digest = digest(&source.text, &outline.imports, libraries);
        Ok(Self { source, outline, digest })
    }

    /// Returns a process that has compiled it, with its number there.
    ///
    /// # Errors
    /// No process can be started.
    pub(crate) fn worker(&self) -> Result<(Worker, usize), Failure> {
        let mut worker = take(&self.source)?;
        let (at, _) = worker.compile(&self.source)?;
        Ok((worker, at))
    }

    /// Returns its source.
    pub(crate) const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Returns its functions.
    pub(crate) fn functions(&self) -> &[Function] {
        &self.outline.functions
    }

    /// Returns `sha256:…` over its text and all it imports.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns whether these texts would compile to the same.
    pub(crate) fn is_of(&self, text: &str, libraries: &BTreeMap<String, String>) -> bool {
        let imports = &self.outline.imports;
        imports.iter().all(|path| libraries.contains_key(path))
            && self.digest == digest(text, imports, libraries)
    }
}

fn digest(text: &str, imports: &BTreeSet<String>, libraries: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    for path in imports {
        let text = libraries.get(path).map(String::as_str).unwrap_or_default();
        hash.update(format!("\0{path}\0{text}").as_bytes());
    }
    format!("sha256:{:x}", hash.finalize())
}

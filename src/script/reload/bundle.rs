//! One version of a workspace, which a run takes at its start and keeps to its end.
//!
//! A bundle is made of the texts of a workspace and of the bundle before it. Only a script whose
//! text, or that of something it imports, has changed is compiled. One that does not compile leaves
//! its last good version in force, which is consistent in itself: it was compiled together with
//! what it imports. The same goes for the configuration. A script whose file was deleted no longer
//! exists, unless one of that name is shipped; a policy that is listed but missing denies (rule R7), so
//! that deleting a file loosens nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

use crate::host::similar::nearest;
use crate::host::{Failure, on_large_stack};
use crate::model::in_words;
use crate::script::code::Code;
use crate::script::policy::{self, Lazy, Policies};
use crate::script::skill::Skill;
use crate::script::workspace::Workspace;
use crate::script::workspace::config::Config;
use crate::script::workspace::{CONFIG_FILE, WorkspaceError};

/// A version of a workspace, compiled; it never changes.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Counts versions from 1.
    pub generation: u64,
    /// `sha256:…` over every text.
    pub digest: String,
    /// The newest texts that could be read, and the configuration in force.
    pub workspace: Workspace,
    /// The sources that are newer but broken, and so not in force.
    pub problems: Vec<Problem>,
    skills: Units<Skill>,
    policies: Units<Code>,
}

/// A source that is broken; what was good before it stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as `planwright.toml`, `skills/triage.rhai`, `lib/dates.rhai`.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// The fault, in a sentence without its full stop.
    pub message: String,
    /// The digest of the text that is broken: another edit is another problem.
    digest: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Scripts of a kind, by name.
type Units<T> = BTreeMap<String, Unit<T>>;

/// A script: its last good version, and its newest if that is broken.
#[derive(Debug, Clone)]
struct Unit<T> {
    good: Option<Arc<T>>,
    broken: Option<Broken>,
}

#[derive(Debug, Clone)]
struct Broken {
    /// The digest of its text and all libraries: which of them it needs is not known for sure.
    digest: String,
    failure: Failure,
}

/// The texts of a workspace by file name, and why others could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) good: BTreeMap<String, String>,
    pub(crate) unreadable: BTreeMap<String, String>,
}

impl Bundle {
    /// Compiles a workspace as it is.
    #[must_use]
    pub fn new(workspace: Workspace) -> Self {
        let mut texts = Texts::default();
        let libraries = workspace.libraries.iter().map(|(name, text)| ("lib", name, text));
        let skills = workspace.skills.iter().map(|(name, text)| ("skills", name, text));
        let policies = workspace.policies.iter().map(|(name, text)| ("policies", name, text));
        let tests = workspace.tests.iter().map(|(name, text)| ("tests", name, text));
        for (folder, name, text) in libraries.chain(skills).chain(policies).chain(tests) {
            texts.good.insert(format!("{folder}/{name}.rhai"), text.clone());
        }
        Self::compile(workspace, &texts, None, Vec::new())
    }

    /// Makes the first version of a workspace in a folder.
    ///
    /// # Errors
    /// Its configuration is missing or wrong. What else is broken is among the problems.
    pub(crate) fn first(root: &std::path::Path, texts: &Texts) -> Result<Self, WorkspaceError> {
        let Some(text) = texts.good.get(CONFIG_FILE) else {
            return Err(WorkspaceError::NotAWorkspace(root.to_owned()));
        };
        let config = crate::script::workspace::parse_config(root, text)?;
        let workspace = Workspace::of_texts(Some(root), config, &texts.good);
        Ok(Self::compile(workspace, texts, None, Vec::new()))
    }

    /// Makes the version that comes after this one.
    pub(crate) fn next(&self, texts: &Texts) -> Self {
        let (config, wrong) =
            match texts.good.get(CONFIG_FILE).map(|text| (text, read_config(text))) {
                Some((_, Ok(config))) => (config, None),
                Some((text, Err((line, message)))) => {
                    let digest = digest_of([text.as_str()]);
                    let file = CONFIG_FILE.to_owned();
                    (self.workspace.config.clone(), Some(Problem { file, line, message, digest }))
                }
                // Not the default configuration: deleting the file must not switch off the policies
                // that it lists.
                None => (
                    self.workspace.config.clone(),
                    Some(Problem::of_file(CONFIG_FILE, "it is missing")),
                ),
            };
        let root = self.workspace.root.as_deref();
        let workspace = Workspace::of_texts(root, config, &texts.good);
        Self::compile(workspace, texts, Some(self), wrong.into_iter().collect())
    }

    fn compile(
        workspace: Workspace,
        texts: &Texts,
        before: Option<&Self>,
        mut problems: Vec<Problem>,
    ) -> Self {
        // All on one thread: on a busy machine each further one would only wait for its turn.
        let compile = || Self::units(&workspace, before);
        let (skills, policies) =
            on_large_stack("planwright-compile", compile).unwrap_or_else(|_no_thread| compile());
        let unreadable = &texts.unreadable;
        problems.extend(unreadable.iter().map(|(file, why)| Problem::of_file(file, why)));
        let of_skills =
            skills.iter().map(|(name, unit)| (format!("skills/{name}.rhai"), &unit.broken));
        let of_policies =
            policies.iter().map(|(name, unit)| (format!("policies/{name}.rhai"), &unit.broken));
        for (file, broken) in of_skills.chain(of_policies) {
            let Some(broken) = broken else { continue };
            let problem = Problem::of_failure(&file, &broken.failure, texts);
            // A broken library that many scripts import is reported once.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        let generation = before.map_or(0, |before| before.generation) + 1;
        let digest = digest_of(texts.good.iter().flat_map(|(name, text)| [name.as_str(), text]));
        Self { generation, digest, workspace, problems, skills, policies }
    }

    /// Compiles what has changed.
    fn units(workspace: &Workspace, before: Option<&Self>) -> (Units<Skill>, Units<Code>) {
        let libraries = &workspace.libraries;
        let all_libraries =
            digest_of(libraries.iter().flat_map(|(name, text)| [name.as_str(), text]));
        let skills = workspace
            .skills
            .iter()
            .map(|(name, text)| {
                let file = format!("skills/{name}.rhai");
                let libraries = workspace.libraries_of(&file);
                let unit = Unit::next(
                    before.and_then(|before| before.skills.get(name)),
                    &digest_of([text.as_str(), &all_libraries]),
                    |skill| skill.is_of(text, libraries),
                    || Skill::compile(name, &file, text, libraries),
                );
                (name.clone(), unit)
            })
            .collect();
        let policies = workspace
            .policies
            .iter()
            .map(|(name, text)| {
                let libraries = workspace.libraries_of(&format!("policies/{name}.rhai"));
                let unit = Unit::next(
                    before.and_then(|before| before.policies.get(name)),
                    &digest_of([text.as_str(), &all_libraries]),
                    |code| code.is_of(text, libraries),
                    || policy::compile(name, text, libraries),
                );
                (name.clone(), unit)
            })
            .collect();
        (skills, policies)
    }

    /// Returns a skill, to be kept for the whole of a run.
    ///
    /// # Errors
    /// There is none of the name, or no version of it that compiles.
    pub fn skill(&self, name: &str) -> Result<Arc<Skill>, Failure> {
        match self.skills.get(name) {
            Some(Unit { good: Some(skill), .. }) => Ok(Arc::clone(skill)),
            Some(Unit { broken: Some(broken), .. }) => Err(broken.failure.clone()),
            _ => {
                let near = nearest(name, self.skills.keys().map(String::as_str));
                Err(Failure {
                    code: "not_found".into(),
                    message: format!("there is no skill `{name}`"),
                    hint: (!near.is_empty()).then(|| format!("there is {}", near.join(", "))),
                    ..Failure::default()
                })
            }
        }
    }

    /// Returns every skill that can run, by name.
    pub fn skills(&self) -> impl Iterator<Item = &Arc<Skill>> {
        self.skills.values().filter_map(|unit| unit.good.as_ref())
    }

    /// Returns the policies in force for a run of `agent`.
    #[must_use]
    pub fn policies(&self, agent: Option<&str>) -> Policies {
        Policies::listed(&self.workspace.config, agent, |name| {
            // `None` makes a policy that is listed but missing deny (rule R7).
            let unit = self.policies.get(name)?;
            let code = match (&unit.good, &unit.broken) {
                (Some(policy), _) => Ok(Code::clone(policy)),
                (None, broken) => Err(broken.clone()?.failure),
            };
            Some(Lazy::new(Box::new(|| code)))
        })
    }

    /// Returns the files whose effect has changed since the version before, by name. A library is
    /// not among them: what imports it is.
    pub(crate) fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        if self.workspace.config != before.workspace.config {
            changed.push(CONFIG_FILE.to_owned());
        }
        let names = |of: &Self| -> BTreeMap<String, String> {
            let skills = of.skills.iter().filter_map(|(name, unit)| {
                Some((format!("skills/{name}.rhai"), unit.good.as_ref()?.digest().to_owned()))
            });
            let policies = of.policies.iter().filter_map(|(name, unit)| {
                Some((format!("policies/{name}.rhai"), unit.good.as_ref()?.digest().to_owned()))
            });
            // Tests are compiled when they are played: their text is what counts.
            let tests = of.workspace.tests.iter();
            let tests = tests.map(|(name, text)| (format!("tests/{name}.rhai"), text.clone()));
            skills.chain(policies).chain(tests).collect()
        };
        let (now, then) = (names(self), names(before));
        changed.extend(
            now.iter()
                .filter(|(file, digest)| then.get(*file) != Some(digest))
                .map(|entry| entry.0.clone()),
        );
        changed.extend(then.into_keys().filter(|file| !now.contains_key(file)));
        changed
    }

    /// Returns the problems that the version before did not have.
    pub(crate) fn problems_since(&self, before: &Self) -> Vec<Problem> {
        self.problems.iter().filter(|problem| !before.problems.contains(problem)).cloned().collect()
    }
}

impl<T> Unit<T> {
    /// Returns the version after `before`: the same one if its texts are the same, else compiled.
    fn next(
        before: Option<&Self>,
        digest: &str,
        is_of: impl Fn(&T) -> bool,
        compile: impl FnOnce() -> Result<T, Failure>,
    ) -> Self {
        let good = before.and_then(|unit| unit.good.clone());
        // An edit that is taken back clears the fault, and nothing is compiled for it.
        if good.as_ref().is_some_and(|good| is_of(good)) {
            return Self { good, broken: None };
        }
        // A change of any file gets here for every script: the same texts would only fail again.
        let known =
            before.and_then(|unit| unit.broken.as_ref()).filter(|broken| broken.digest == digest);
        if let Some(known) = known {
            return Self { good, broken: Some(known.clone()) };
        }
        match compile() {
            Ok(compiled) => Self { good: Some(Arc::new(compiled)), broken: None },
            Err(failure) => {
                Self { good, broken: Some(Broken { digest: digest.to_owned(), failure }) }
            }
        }
    }
}

impl Problem {
    fn of_file(file: &str, message: &str) -> Self {
        let (file, message) = (file.to_owned(), message.to_owned());
        Self { file, line: None, message, digest: String::new() }
    }

    fn of_failure(file: &str, failure: &Failure, texts: &Texts) -> Self {
        let (file, line) = match &failure.at {
            Some(at) => (at.file.clone(), Some(at.line)),
            None => (file.to_owned(), None),
        };
        // The fault may lie in a library: then an edit of that, not of the script, makes it news.
        let text = texts.good.get(&file).map(String::as_str).unwrap_or_default();
        Self { line, message: failure.message.clone(), digest: digest_of([text]), file }
    }
}

/// Reads a configuration; the error is the line and what is wrong there.
fn read_config(text: &str) -> Result<Config, (Option<usize>, String)> {
    let config = Config::parse(text).map_err(|error| {
        let before = error.span().and_then(|at| text.get(..at.start));
        (before.map(|before| before.matches('\n').count() + 1), in_words(error.message()))
    })?;
    // Parsing takes any text as a zone. A wrong one that is found here never comes into force.
    match &config.time_zone {
        Some(name) if TimeZone::get(name).is_err() => {
            let line = text.lines().position(|line| line.trim_start().starts_with("time_zone"));
            Err((line.map(|at| at + 1), format!("`{name}` is not a time zone")))
        }
        _ => Ok(config),
    }
}

fn digest_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // Without the length, `ab` and `c` would have the same digest as `a` and `bc`.
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    format!("sha256:{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(of: &[(&str, &str)]) -> Texts {
        let good = of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        Texts { good, ..Texts::default() }
    }

    fn first(of: &[(&str, &str)]) -> Bundle {
        Bundle::first(std::path::Path::new("w"), &texts(of)).unwrap()
    }

    const CONFIG: (&str, &str) = (CONFIG_FILE, "");
    const USES: (&str, &str) = ("skills/uses.rhai", "import \"dates\" as dates; dates::day()");
    const PLAIN: (&str, &str) = ("skills/plain.rhai", "1");
    const DATES: (&str, &str) = ("lib/dates.rhai", "fn day() { 1 }");

    #[test]
    fn only_what_a_change_reaches_is_compiled_again() {
        let bundle = first(&[CONFIG, USES, PLAIN, DATES]);
        let other = ("lib/dates.rhai", "fn day() { 2 }");
        let next = bundle.next(&texts(&[CONFIG, USES, PLAIN, other, ("lib/new.rhai", "")]));
        let same = |name| Arc::ptr_eq(&bundle.skill(name).unwrap(), &next.skill(name).unwrap());
        assert!(same("plain") && !same("uses"));
        assert_eq!(next.changed_since(&bundle), ["skills/uses.rhai"]);
        assert_eq!((bundle.generation, next.generation), (1, 2));
        let test = ("tests/plain.rhai", "fn test_it() {}");
        let tested = next.next(&texts(&[CONFIG, USES, PLAIN, other, test]));
        assert_eq!(tested.changed_since(&next), ["tests/plain.rhai"]);
    }

    #[test]
    fn what_is_broken_is_told_once_and_keeps_its_last_good_version() {
        let bundle = first(&[CONFIG, USES, PLAIN, DATES]);
        // Two are broken by one library.
        let more = ("skills/more.rhai", USES.1);
        let broken = ("lib/dates.rhai", "fn day() {\n  1 +\n}");
        let of = [CONFIG, USES, PLAIN, broken, more];
        let next = bundle.next(&texts(&of));
        let said: Vec<_> =
            next.problems_since(&bundle).iter().map(|problem| problem.line).collect();
        assert_eq!(said, [Some(3)], "{:?}", next.problems);
        assert!(Arc::ptr_eq(&bundle.skill("uses").unwrap(), &next.skill("uses").unwrap()));
        assert_eq!(next.skill("more").unwrap_err().code, "syntax");
        assert_eq!(next.next(&texts(&of)).problems_since(&next), []);
        // Taken back, it is as it was; what was never good is good now.
        let back = next.next(&texts(&[CONFIG, USES, PLAIN, DATES, more]));
        assert_eq!(back.problems, []);
        assert_eq!(back.changed_since(&next), ["skills/more.rhai"]);
    }

    #[test]
    fn an_import_that_is_gone_does_not_go_unnoticed() {
        let empty = ("lib/own.rhai", "");
        let imports = ("skills/uses.rhai", "import \"own\" as own; 1");
        let bundle = first(&[CONFIG, imports, empty]);
        let next = bundle.next(&texts(&[CONFIG, imports]));
        assert_eq!(next.problems[0].file, "skills/uses.rhai");
        assert_eq!(next.changed_since(&bundle), [""; 0]);
    }

    #[test]
    fn a_listed_policy_that_is_gone_or_was_never_good_denies() {
        use crate::host::Judge as _;
        let config = (CONFIG_FILE, "policies.always = [\"house\", \"gone\"]");
        let good = ("policies/house.rhai", "fn review(changes, run) {}");
        let bundle = first(&[config, good]);
        assert_eq!(bundle.policies(None).digests()["gone.rhai"], "broken");
        let digest = bundle.policies(None).digests()["house.rhai"].clone();
        let next = bundle.next(&texts(&[config, ("policies/house.rhai", "fn review(")]));
        assert_eq!(next.policies(None).digests()["house.rhai"], digest);
        let next = next.next(&texts(&[config]));
        assert_eq!(next.policies(None).digests()["house.rhai"], "broken");
    }
}

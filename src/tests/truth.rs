//! The record of what really happened on the board, hidden from everything under test, and the
//! rules that it must keep.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::tests::world::{Part, Sent, UNDO};

/// The longest time from a validation to the write that rests on it.
const VALID: Duration = Duration::from_secs(35);
/// The fields that decisions rest on.
pub(super) const FIELDS: [&str; 5] =
    ["title", "priority", "percentComplete", "bucketId", "description"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Person,
    Run(usize),
}

/// A task as it really is.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) maker: By,
    /// The last writer of the title.
    pub(super) titled: By,
    pub(super) is_there: bool,
}

/// A write that was carried out.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) by: By,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Value,
    /// The id of its entity.
    pub(super) id: String,
}

/// A value, the moment from which it held, and its writer.
type Held = (Instant, Value, By);

/// A fact that a decision rests on.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    Field(String, &'static str, Value),
    NoneTitled(String),
}

/// The record of all that really happened.
#[derive(Debug, Default)]
pub(super) struct Truth {
    pub(super) tasks: BTreeMap<String, Kept>,
    pub(super) commits: Vec<Commit>,
    /// The values of each field, each with the moment from which it held, and its writer.
    pub(super) values: BTreeMap<(String, String), Vec<Held>>,
    /// The values that each run has seen.
    pub(super) seen: BTreeSet<(usize, String, String, String)>,
    /// The requests that each run has sent.
    pub(super) sent: BTreeSet<(usize, String)>,
    /// The facts that the last decisions of each run rest on.
    pub(super) facts: BTreeMap<usize, Vec<Fact>>,
    pub(super) violations: Vec<String>,
    pub(super) n_people: usize,
}

impl Truth {
    /// Notes the values that fields of an object have from now on.
    pub(super) fn holds(&mut self, id: &str, object: &Value, by: By) {
        for field in FIELDS.iter().filter(|field| object.get(**field).is_some()) {
            let values = self.values.entry((id.to_owned(), (*field).to_owned())).or_default();
            values.push((Instant::now(), object[*field].clone(), by));
        }
    }

    /// Notes what a run has read.
    pub(super) fn saw(&mut self, run: usize, answer: &Value) {
        let list = answer["value"].as_array().into_iter().flatten();
        for object in list.chain([answer]) {
            let Some(id) = object["id"].as_str() else { continue };
            for field in FIELDS.iter().filter(|field| object.get(**field).is_some()) {
                let value = object[*field].to_string();
                self.seen.insert((run, id.to_owned(), (*field).to_owned(), value));
            }
        }
    }

    fn now(&self, id: &str, field: &str) -> Option<&Held> {
        self.values.get(&(id.to_owned(), field.to_owned()))?.last()
    }

    /// Checks that no edit is lost: a run has seen what it overwrites.
    pub(super) fn check_overwrites(&mut self, run: usize, method: &str, id: &str, body: &Value) {
        for field in ["title", "description"] {
            let touches = !body[field].is_null() || (method == "DELETE" && field == "title");
            let Some((_, value, by)) = self.now(id, field).filter(|_| touches && method != "POST")
            else {
                continue;
            };
            let key = (run, id.to_owned(), field.to_owned(), value.to_string());
            if *by != By::Run(run) && *value != body[field] && !self.seen.contains(&key) {
                let what = format!("lost: {method} of run {run} on {id} over {field} {value}");
                self.violations.push(what);
            }
        }
        if run == UNDO && method == "DELETE" && self.tasks[id].titled == By::Person {
            self.violations.push(format!("lost: the undo deletes {id}, which a person renamed"));
        }
    }

    /// Returns whether a run has asked for the value that a field holds now.
    fn seems_written(&self, run: usize, id: &str, field: &str) -> bool {
        let Some((_, value, _)) = self.now(id, field) else { return false };
        let asked = format!("\"{field}\":{value}");
        let mut sent = self.sent.iter().filter(|(by, _)| *by == run);
        sent.any(|(_, text)| text.contains(id) && text.contains(&asked))
    }

    /// Checks that no decision is applied that rested on an outdated fact when it was validated.
    pub(super) fn check_facts(&mut self, run: usize, sent: &Sent) {
        let mut first = false;
        // A created entity gets its details, even if the facts that led to it have changed since.
        let made = |path: &str| {
            let id = path.split('/').nth(3).and_then(|id| self.tasks.get(id));
            id.is_some_and(|kept| kept.maker != By::Person)
        };
        let decided: Vec<Part> = sent
            .parts()
            .into_iter()
            .filter(|part| part.method != "GET" && !made(&part.path))
            .collect();
        for part in &decided {
            let signature = format!("{} {} {}", part.method, part.path, part.body);
            first |= self.sent.insert((run, signature));
        }
        if !first {
            return;
        }
        let oldest = Instant::now().checked_sub(VALID);
        let since = |at: Instant| oldest.is_some_and(|oldest| at < oldest);
        let mut stale = Vec::new();
        let own = |id: &str| {
            self.commits.iter().any(|commit| commit.by == By::Run(run) && commit.id == id)
        };
        for fact in self.facts.get(&run).into_iter().flatten() {
            let held = match fact {
                // The write decided on this fact has gone out, or seems to have: somebody else set
                // the same value while the answer was lost, and nobody can tell.
                Fact::Field(id, field, _) if own(id) || self.seems_written(run, id, field) => true,
                Fact::Field(id, field, value) => {
                    let key = (id.clone(), (*field).to_owned());
                    let all = self.values.get(&key).map(Vec::as_slice).unwrap_or_default();
                    all.iter().enumerate().any(|(at, (_, held, _))| {
                        let next = all[at..].iter().skip(1).find(|entry| entry.2 != By::Run(run));
                        held == value && next.is_none_or(|next| !since(next.0))
                    })
                }
                Fact::NoneTitled(title)
                    if decided.iter().all(|commit| commit.body["title"] != **title) =>
                {
                    true
                }
                Fact::NoneTitled(title) => self.tasks.iter().all(|(id, kept)| {
                    let now = self.now(id, "title").filter(|now| now.1 == **title);
                    kept.maker == By::Run(run)
                        || !kept.is_there
                        || now.is_none_or(|now| !since(now.0))
                }),
            };
            if !held {
                stale.push(format!(
                    "stale: run {run} sends {} {} on {fact:?}",
                    sent.method, sent.body
                ));
            }
        }
        self.violations.extend(stale);
    }
}

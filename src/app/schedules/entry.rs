//! Entries of the inbox that nobody has typed: those of schedules and triggers.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::inbox::note_on;
use crate::app::params::kept;
use crate::coordinate::{Coordinate, Error, Fence, Submission};
use crate::journal::NoteKind;
use crate::journal::inbox::InboxEntry;
use crate::script::workspace::automation::SCHEDULE_AGENT;

/// The service and the workspace that entries are for, and who is signed in there.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// The name of the service.
    pub(crate) service: String,
    /// The folder of the workspace; empty for the shipped one.
    pub(crate) workspace: String,
    /// The sign-in name.
    pub(crate) upn: String,
}

/// Returns what stands in shared names for a workspace at a service, so that two that share a state
/// folder do not take each other's schedules for their own.
pub(crate) fn scope(service: &str, workspace: &str) -> String {
    let digest = Sha256::digest(format!("{service}\n{workspace}").as_bytes());
    digest.iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

impl Sender {
    /// Returns what stands for the workspace and the service in shared names.
    pub(crate) fn scope(&self) -> String {
        scope(&self.service, &self.workspace)
    }
}

/// A skill that is to be put into the inbox.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// The skill.
    pub(crate) skill: &'a str,
    /// Its parameters.
    pub(crate) params: Map<String, Value>,
    /// The agent that runs it.
    pub(crate) to: &'a str,
    /// The key under which it has one effect; `None` if a person asks for it.
    pub(crate) key: Option<String>,
    /// The moment before which it does not begin.
    pub(crate) not_before: Option<Timestamp>,
    /// The lock that whoever submits it must still hold.
    pub(crate) fence: Option<&'a Fence>,
}

/// Puts a skill into the inbox, once for each key. What a person asks for is theirs; all else comes
/// from the agent of schedules, so that its keys are one space whoever is signed in.
pub(crate) fn submit(
    shared: &dyn Coordinate,
    by: &Sender,
    order: Order<'_>,
    now: Timestamp,
) -> Result<InboxEntry, Error> {
    let for_record = Value::Object(kept(&order.params));
    let from_agent = order.key.is_some().then(|| SCHEDULE_AGENT.to_owned());
    let entry = InboxEntry {
        key: order.key,
        from_agent,
        to_agent: Some(order.to.to_owned()),
        not_before: order.not_before,
        ..InboxEntry::queued(
            (by.service.clone(), by.workspace.clone()),
            (order.skill.to_owned(), Value::Object(order.params)),
            by.upn.clone(),
            now,
        )
    };
    let mut note = note_on(&entry, NoteKind::Submitted, now);
    entry.sender().clone_into(&mut note.name);
    note.detail["key"] = json!(entry.key);
    note.detail["params"] = for_record;
    shared.submit(&Submission { fence: order.fence, ..Submission::new(&entry, &note) })
}

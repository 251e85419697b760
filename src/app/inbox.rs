//! The inbox: what is submitted, by whom and for whom, and where it stands (design.md 7.2).

pub(crate) mod attempt;
pub(crate) mod worker;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::agent::{check_may_run, check_may_submit};
use crate::app::error::AppError;
use crate::app::params::kept;
use crate::app::pending::eyes::Visitor;
use crate::app::workspace::place;
use crate::host::Failure;
use crate::journal::inbox::{EntryState, InboxEntry, Page, Submission};
use crate::journal::{Error, Note, NoteKind, RunStatus, short_id};
use crate::model::User;
use crate::script::Manifest;

/// The most characters of a key.
const MAX_KEY: usize = 200;
/// The most bytes of the parameters of an entry.
const MAX_PARAMS: usize = 1 << 20;

pub(crate) fn failed(error: &Error) -> AppError {
    Failure::from_error(error.code(), error, error.hint()).into()
}

/// A skill that is to be submitted, with its parameters as they were checked.
#[derive(Debug)]
pub(crate) struct Wish {
    /// The skill.
    pub(crate) skill: String,
    /// Its parameters.
    pub(crate) params: Map<String, Value>,
    /// The agent that it is for; the sender itself if absent.
    pub(crate) to: Option<String>,
    /// The key under which it is submitted once.
    pub(crate) key: Option<String>,
    /// The visitor of a server who submits it; `None` for whoever is signed in.
    pub(crate) visitor: Option<Visitor>,
}

/// Enters the visitor of a server who submitted something on its record.
pub(crate) fn note_visitor(note: &mut Note, visitor: &Visitor) {
    note.name.clone_from(&visitor.name);
    note.detail["user"] = json!(visitor.user);
}

impl App {
    /// Returns the manifest of a skill that can be submitted.
    ///
    /// # Errors
    /// There is none of the name, or its manifest is wrong.
    pub(crate) fn manifest_of(&self, skill: &str) -> Result<Manifest, AppError> {
        let Some(text) = self.workspace.skills.get(skill) else {
            return Err(AppError::new("not_found", format!("there is no skill `{skill}`")));
        };
        Ok(Manifest::parse(text)?)
    }

    /// Checks that `from` may have an agent run a skill; returns the receiver. It comes before anything is
    /// looked up: whoever may not submit learns neither what agents there are nor what skills.
    ///
    /// # Errors
    /// The sender may not submit to that agent, or that agent not run the skill.
    pub(crate) fn check_grants(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        skill: &str,
    ) -> Result<Option<String>, AppError> {
        let config = &self.workspace.config;
        // Without a receiver it is for whoever submits it.
        let to = to.or(from);
        self.agent(from)?;
        check_may_submit(config, from, to)?;
        self.agent(to)?;
        check_may_run(config, to, Some(skill))?;
        Ok(to.map(str::to_owned))
    }

    /// Puts a skill into the inbox of an agent, for `from`, a person or the agent that acts for them;
    /// returns the entry, which is an earlier one if there was one under the key.
    ///
    /// # Errors
    /// The sender may not submit to that agent, or that agent not run the skill, or the journal
    /// cannot be written.
    pub(crate) fn submit(
        &self,
        (me, from): (&User, Option<&str>),
        wish: Wish,
        now: Timestamp,
    ) -> Result<InboxEntry, AppError> {
        let to = self.check_grants(from, wish.to.as_deref(), &wish.skill)?;
        let key = wish.key.map(|key| key.trim().to_owned());
        if key.as_ref().is_some_and(String::is_empty) {
            return Err(AppError::usage("the key is empty"));
        }
        if key.as_ref().is_some_and(|key| key.chars().count() > MAX_KEY) {
            return Err(AppError::usage(format!("the key is longer than {MAX_KEY} characters")));
        }
        let for_record = kept(&wish.params);
        let params = Value::Object(wish.params);
        if params.to_string().len() > MAX_PARAMS {
            let message = format!("the parameters are larger than {} MiB", MAX_PARAMS >> 20);
            return Err(AppError::new("too_large", message));
        }
        let entry = InboxEntry {
            key,
            from_agent: from.map(str::to_owned),
            to_agent: to,
            ..InboxEntry::queued(
                (self.settings.service()?.name(), place(&self.workspace)),
                (wish.skill, params),
                me.upn.clone(),
                now,
            )
        };
        let mut note = note_on(&entry, NoteKind::Submitted, now);
        note.actor = Some(me.id.clone());
        note.name.clone_from(&me.upn);
        if let Some(visitor) = &wish.visitor {
            note_visitor(&mut note, visitor);
        }
        note.detail["key"] = json!(entry.key);
        note.detail["params"] = Value::Object(for_record);
        let mut submission = Submission::new(&entry, &note);
        // An agent that loops fills neither the inbox nor the record.
        submission.rate = from.map(|_| {
            let since = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
            (since, self.workspace.config.limits_of(from).runs_per_hour())
        });
        let there = self.state_folder()?.open()?.submit(&submission);
        let there = there.map_err(|error| failed(&error))?;
        // Parameters may differ: `today` is another day when it is submitted again.
        if (&there.skill, &there.to_agent) != (&entry.skill, &entry.to_agent) {
            let key = entry.key.as_deref().unwrap_or_default();
            let whom = there.to_agent.as_deref().map(|to| format!(" to `{to}`"));
            let message = format!(
                "under the key `{key}`, `{}` was submitted{}",
                there.skill,
                whom.unwrap_or_default()
            );
            return Err(AppError::new("invalid", message)
                .hint("a key stands for one thing that is done once; choose another"));
        }
        Ok(there)
    }

    /// Returns entries of the inbox, the newest first, and whether there are more; for an agent, of what
    /// it has sent or is to receive.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn inbox(&self, page: &Page<'_>) -> Result<(Vec<InboxEntry>, bool), AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else {
            return Ok((Vec::new(), false));
        };
        let one_more = Page { limit: page.limit.saturating_add(1), ..*page };
        let mut entries = journal.inbox(&one_more).map_err(|error| failed(&error))?;
        let is_more = entries.len() > page.limit;
        entries.truncate(page.limit);
        Ok((entries, is_more))
    }

    /// Returns an entry by its id, the beginning or the end of it, if the agent may see it.
    ///
    /// # Errors
    /// There is none, or several begin so, or the journal cannot be read.
    pub(crate) fn inbox_entry(
        &self,
        id: &str,
        agent: Option<&str>,
    ) -> Result<InboxEntry, AppError> {
        let none = || {
            let message = format!("there is nothing in the inbox under `{id}`");
            AppError::new("not_found", message).hint("`planwright inbox list` lists what there is")
        };
        let journal = self.state_folder()?.open_to_read()?.ok_or_else(none)?;
        let mut found = journal.inbox_like(id, agent).map_err(|error| failed(&error))?;
        match (found.pop(), found.len()) {
            (Some(entry), 0) => Ok(entry),
            (Some(last), _) => {
                let ids: Vec<&str> =
                    found.iter().chain([&last]).map(|entry| short_id(&entry.id)).collect();
                let message = format!(
                    "the ids of several entries of the inbox begin or end with `{id}`: {}",
                    ids.join(", ")
                );
                Err(AppError::new("ambiguous", message).hint(
                    "the last characters of an id tell them apart: `planwright inbox` shows them",
                ))
            }
            (None, _) => Err(none()),
        }
    }

    /// Cancels an entry that nobody has begun, for a person or for the agent that has sent it.
    ///
    /// # Errors
    /// It is not theirs, it was begun, or the journal cannot be written.
    pub(crate) fn cancel_entry(
        &self,
        id: &str,
        (me, agent): (&User, Option<&str>),
        now: Timestamp,
    ) -> Result<InboxEntry, AppError> {
        let mut entry = self.inbox_entry(id, agent)?;
        if agent.is_some() && entry.from_agent.as_deref() != agent {
            let message = format!("`{}` was submitted by somebody else", entry.id);
            return Err(AppError::new("denied", message));
        }
        let begun = |state: EntryState| {
            let message = format!("`{id}` cannot be cancelled any more: it is {state}");
            AppError::new("not_queued", message)
        };
        if entry.state != EntryState::Queued {
            return Err(begun(entry.state));
        }
        let stood = entry.clone();
        (entry.state, entry.ended_at) = (EntryState::Cancelled, Some(now));
        let mut note = note_on(&entry, NoteKind::Cancelled, now);
        note.actor = Some(me.id.clone());
        agent.unwrap_or(&me.upn).clone_into(&mut note.name);
        let journal = self.state_folder()?.open()?;
        let moved = journal.move_entry(&stood, &entry, &note).map_err(|error| failed(&error))?;
        if moved { Ok(entry) } else { Err(begun(EntryState::Running)) }
    }
}

/// Returns whether an entry is for an agent.
fn is_for(entry: &InboxEntry, agent: Option<&str>) -> bool {
    agent.is_some() && entry.to_agent.as_deref() == agent
}

/// Makes the record of a step of an entry: who asked, who is asked, and where it stands.
pub(crate) fn note_on(entry: &InboxEntry, kind: NoteKind, now: Timestamp) -> Note {
    Note {
        kind,
        at: now,
        run: entry.run.clone(),
        actor: None,
        name: "planwright".to_owned(),
        detail: json!({
            "entry": entry.id,
            "skill": entry.skill,
            "from": { "upn": entry.from_upn, "agent": entry.from_agent },
            "to": entry.receiver(),
            "state": entry.state.name(),
            "attempt": entry.attempts,
            "run": entry.run.as_ref().map(|run| run.as_str()),
            "outcome": entry.outcome.map(RunStatus::name),
            "reason": entry.reason,
        }),
    }
}

/// Returns an entry as it is listed.
pub(crate) fn listed(entry: &InboxEntry) -> Value {
    json!({
        "id": entry.id,
        "key": entry.key,
        "skill": entry.skill,
        "from": entry.sender(),
        "to": entry.receiver(),
        "state": entry.state.name(),
        "attempts": entry.attempts,
        "run_id": entry.run.as_ref().map(|run| run.as_str()),
        "reason": entry.reason,
        "created_at": entry.created_at,
    })
}

/// Returns all of an entry.
pub(crate) fn whole(entry: &InboxEntry) -> Value {
    let mut shown = listed(entry);
    let is_held = entry.outcome == Some(RunStatus::Held);
    let pending = entry.run.as_ref().filter(|_| is_held).map(|run| run.as_str());
    shown["workspace"] = json!(entry.workspace);
    shown["params"] = entry.params.clone();
    shown["outcome"] = json!(entry.outcome.map(RunStatus::name));
    shown["code"] = json!(entry.code);
    shown["pending"] = json!(pending);
    shown["leased_by"] = json!(entry.leased_by);
    shown["lease_until"] = json!(entry.lease_until);
    shown["not_before"] = json!(entry.not_before);
    shown["ended_at"] = json!(entry.ended_at);
    shown
}

//! Pausing agents, and lifting that again.

use jiff::Timestamp;
use serde_json::json;

use crate::app::App;
use crate::app::agent::known_agent;
use crate::app::error::AppError;
use crate::host::Failure;
use crate::journal::paused::Paused;
use crate::journal::{Error, Note, NoteKind};

/// The most characters of a reason.
const MAX_REASON: usize = 1_000;

fn failed(error: &Error) -> AppError {
    Failure::from_error(error.code(), error, error.hint()).into()
}

impl App {
    /// Returns the pauses in force.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn paused(&self) -> Result<Vec<Paused>, AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(Vec::new()) };
        journal.paused().map_err(|error| failed(&error))
    }

    /// Pauses an agent, or with `None` all of them: before its next write, in every process of the
    /// state folder.
    ///
    /// # Errors
    /// There is no such agent, or the journal cannot be written.
    pub(crate) fn pause(
        &self,
        agent: Option<&str>,
        (by, reason): (Option<&str>, Option<&str>),
        now: Timestamp,
    ) -> Result<(), AppError> {
        known_agent(&self.workspace, agent)?;
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON) {
            let message = format!("the reason is longer than {MAX_REASON} characters");
            return Err(AppError::usage(message));
        }
        let reason = reason.map(str::to_owned);
        let by = self.name_of(by);
        let note = note(NoteKind::Paused, agent, (&by, reason.as_deref()), now);
        let paused = Paused { agent: agent.map(str::to_owned), at: now, reason };
        self.state_folder()?.open()?.pause(&paused, &note).map_err(|error| failed(&error))
    }

    /// Returns the name under which a switch is recorded. It must work when the service does not, so at the
    /// command line the service is not asked who is signed in: it is whoever is known to be, and nobody is
    /// kept from it, as whoever can write the state folder can do this.
    fn name_of(&self, by: Option<&str>) -> String {
        let known = || self.settings.service().ok().and_then(|service| service.known_name());
        by.map(str::to_owned).or_else(known).unwrap_or_else(|| "planwright".to_owned())
    }

    /// Lifts the pause of an agent, or with `None` that of all. Returns false if there was none.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn unpause(
        &self,
        agent: Option<&str>,
        by: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, AppError> {
        let note = note(NoteKind::Unpaused, agent, (&self.name_of(by), None), now);
        self.state_folder()?.open()?.unpause(agent, &note).map_err(|error| failed(&error))
    }
}

/// Makes the record of a switch.
fn note(
    kind: NoteKind,
    agent: Option<&str>,
    (by, reason): (&str, Option<&str>),
    now: Timestamp,
) -> Note {
    Note {
        kind,
        at: now,
        run: None,
        actor: None,
        name: by.to_owned(),
        detail: json!({ "agent": agent, "all": agent.is_none(), "reason": reason }),
    }
}

//! What was done before, as far as it is on record: who made what, and how much today.
//!
//! Policies rest on it: an agent can be confined to what it made itself, or to so many changes a
//! day. What is not on record here was made elsewhere, which is an answer; a journal that can not
//! be read is an error.

use std::sync::{Arc, OnceLock};

use crate::change::{Entity, Op};
use crate::host::{Error, Failure, Ledger, Session};
use crate::journal::Journal;
use crate::model::TaskId;

/// The journal, as far as it is about one service.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) ledger: Ledger,
    pub(crate) service: String,
    /// The run that asks.
    pub(crate) run: String,
    /// The journal, once it was there to be opened: a policy may ask about each change.
    pub(crate) opened: Arc<OnceLock<Journal>>,
}

impl History {
    fn journal(&self) -> Result<Option<&Journal>, Error> {
        if self.opened.get().is_none()
            && let Some(journal) = self.ledger.open_to_read().map_err(unreadable)?
        {
            // Whoever was first: it is the same file.
            let _same = self.opened.set(journal);
        }
        Ok(self.opened.get())
    }
}

impl Session {
    /// Returns the agent for which a task was made, as this host's journal has it; `None` if a
    /// person made it, or someone elsewhere. A task of this run's making is its own agent's.
    ///
    /// # Errors
    /// The journal can not be read.
    pub fn made_by_agent(&self, id: &TaskId) -> Result<Option<String>, Error> {
        let id = &*self.real(id);
        if id.is_provisional() {
            return Ok(self.facts().agent.clone());
        }
        let Some(history) = self.history() else { return Ok(None) };
        let Some(journal) = history.journal()? else { return Ok(None) };
        let made = journal.made_by(&history.service, id.as_str());
        Ok(made.map_err(|it| Error::Journal(it.to_string()))?.flatten())
    }

    /// Counts the changes of a kind that the actor, or the agent it acts for, has made today
    /// through this host: today is what the configured zone says. The run's own are not in it.
    ///
    /// # Errors
    /// The journal can not be read.
    pub fn count_today(&self, entity: Entity, op: Op) -> Result<u64, Error> {
        let Some(history) = self.history() else { return Ok(0) };
        let Some(journal) = history.journal()? else { return Ok(0) };
        let facts = self.facts();
        let midnight = self.today().to_zoned(self.zone());
        let since = midnight.map_or(self.now(), |it| it.timestamp());
        let who = (facts.me.id.as_str(), facts.agent.as_deref());
        let count = journal.count_made(
            (&history.service, &history.run),
            who,
            since,
            (entity.name(), op.name()),
        );
        count.map_err(|it| Error::Journal(it.to_string()))
    }
}

fn unreadable(failure: Failure) -> Error {
    Error::Journal(failure.message)
}

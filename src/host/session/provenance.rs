//! The provenance of tasks, and the number of changes made today, from the journal.
//!
//! Policies rest on it: an agent can be confined to what it created itself, or to so many changes a
//! day. What is not on record here was created elsewhere, which is an answer; a journal that cannot
//! be read is an error.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::change::{Entity, Op};
use crate::host::error::Error;
use crate::host::query::{Query, Response};
use crate::host::session::core::Session;
use crate::model::{PlanId, TaskId, link};

impl Session {
    /// Returns the agent for which a task was created, as this host's journal has it; `None` if a
    /// person created it, or someone elsewhere. A task that this run creates is its own agent's.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn made_by_agent(&self, id: &TaskId) -> Result<Option<String>, Error> {
        let id = &*self.real(id);
        if id.is_provisional() {
            return Ok(self.facts().agent.clone());
        }
        if self.facts().remote {
            return Ok(match self.ask(Query::MadeByAgent(id.clone()))? {
                Response::Agent(agent) => agent,
                _ => None,
            });
        }
        let Some(history) = self.history() else { return Ok(None) };
        let Some(journal) = history.journal()? else { return Ok(None) };
        let made = journal.made_by(&history.service, id.as_str());
        Ok(made.map_err(|error| Error::Journal(error.to_string()))?.flatten())
    }

    /// Returns the tasks of a plan that were created with a key whose details were never written,
    /// by the key's address: until they are, only the journal has the key.
    pub(crate) fn keys_on_record(&self, plan: &PlanId) -> Result<BTreeMap<String, TaskId>, Error> {
        let Some(history) = self.history() else { return Ok(BTreeMap::new()) };
        let Some(journal) = history.journal()? else { return Ok(BTreeMap::new()) };
        let made = journal.made_without_details(&history.service, plan.as_str());
        let made = made.map_err(|error| Error::Journal(error.to_string()))?;
        let mut keys = BTreeMap::new();
        for (id, summary) in made {
            let references = summary.pointer("/fields/references/after");
            let references = references.and_then(Value::as_object).into_iter().flatten();
            let key = references.map(|(key, _)| key).find(|key| link::key_of(key).is_some());
            if let (Some(key), Ok(id)) = (key, TaskId::parse(&id)) {
                keys.insert(link::decode(key), id);
            }
        }
        Ok(keys)
    }

    /// Counts the changes of a kind that the actor, or the agent it acts for, has made through this
    /// host today, by the configured zone. The run's own are not counted.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn count_today(&self, entity: Entity, op: Op) -> Result<u64, Error> {
        if self.facts().remote {
            return Ok(match self.ask(Query::CountToday(entity, op))? {
                Response::Count(count) => count,
                _ => 0,
            });
        }
        let Some(history) = self.history() else { return Ok(0) };
        let Some(journal) = history.journal()? else { return Ok(0) };
        let facts = self.facts();
        let midnight = self.today().to_zoned(self.zone());
        let since = midnight.map_or(self.now(), |midnight| midnight.timestamp());
        let who = (facts.me.id.as_str(), facts.agent.as_deref());
        let count = journal.count_made(
            (&history.service, &history.run),
            who,
            since,
            (entity.name(), op.name()),
        );
        count.map_err(|error| Error::Journal(error.to_string()))
    }
}

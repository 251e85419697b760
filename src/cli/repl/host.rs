//! The host and the draft that a session works on, and what is asked of them while a person types.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::host::{Failure, Host, OpenDraft, Session, StopReason};
use crate::model::PlanId;
use crate::script::console::complete::{Names, Whose};

/// The longest that a person waits for names after Tab.
const PATIENCE: Duration = Duration::from_secs(3);

/// A host with an open draft.
pub(crate) struct Desk {
    host: Mutex<Arc<Host>>,
    pub(crate) draft: OpenDraft,
    runtime: Handle,
}

impl Desk {
    pub(crate) fn new(host: Host, draft: OpenDraft, runtime: Handle) -> Self {
        Self { host: Mutex::new(Arc::new(host)), draft, runtime }
    }

    pub(crate) fn host(&self) -> Arc<Host> {
        Arc::clone(&self.host.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes another host: the configuration has changed.
    pub(crate) fn set_host(&self, host: Host) {
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(host);
    }

    /// Waits for something of the host's. Ctrl-C stops it, and all that comes until it is taken
    /// back.
    pub(crate) fn wait<T>(&self, work: impl AsyncFnOnce(&Host, &OpenDraft) -> T) -> T {
        let host = self.host();
        self.runtime.block_on(work(&host, &self.draft))
    }

    /// Reads something to show it.
    pub(crate) fn peek<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.wait(async |host, draft| host.peek(draft, work).await)
    }

    /// Returns names to complete with; none where they can not be had soon.
    pub(crate) fn names(&self, what: Names, whose: Whose, board: Option<PlanId>) -> Vec<String> {
        if let Names::Words(words) = what {
            return words.iter().map(|it| (*it).to_owned()).collect();
        }
        let found = self.wait(async |host, draft| {
            let look = host.peek(draft, move |session| names(session, what, whose, board));
            tokio::pin!(look);
            tokio::select! {
                found = &mut look => found,
                () = tokio::time::sleep(PATIENCE) => {
                    // It ends at once then.
                    host.interrupt.set(StopReason::Cancelled);
                    look.await
                }
            }
        });
        self.host().interrupt.clear();
        found.unwrap_or_default()
    }
}

fn names(
    session: &Session,
    what: Names,
    whose: Whose,
    board: Option<PlanId>,
) -> Result<Vec<String>, Failure> {
    let plan = || -> Result<Option<PlanId>, Failure> {
        Ok(match whose {
            Whose::Plan(id) => Some(id),
            Whose::Titled(title) => Some(session.find_plan(&title)?),
            Whose::Task(id) => Some(session.task(&id)?.plan),
            Whose::Unknown => board,
        })
    };
    let mut found = Vec::new();
    match what {
        Names::Plans => {
            for id in session.plans()? {
                found.push(session.plan(&id)?.title);
            }
        }
        Names::Buckets => {
            let Some(plan) = plan()? else { return Ok(found) };
            for id in session.buckets(&plan)? {
                found.push(session.bucket(&id)?.name);
            }
        }
        Names::Tasks => {
            let Some(plan) = plan()? else { return Ok(found) };
            for id in session.tasks(&plan)? {
                found.push(session.task(&id)?.title);
            }
        }
        Names::Labels => {
            let Some(plan) = plan()? else { return Ok(found) };
            found.extend(session.plan_details(&plan)?.labels.into_values());
        }
        Names::Users => found.extend(session.colleagues()?.into_iter().map(|it| it.upn)),
        Names::Groups => found.extend(session.groups()?.into_iter().map(|it| it.name)),
        Names::Libraries | Names::Words(_) => {}
    }
    found.dedup();
    Ok(found)
}

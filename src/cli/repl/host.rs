//! The host and the open draft of a session, shared with the editor, which reads names from the
//! board while a person types.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::host::{Failure, Host, OpenDraft, Session, StopReason};
use crate::model::PlanId;
use crate::script::console::complete::Names;
use crate::script::line_order::Whose;

/// Longest wait for names after Tab.
const PATIENCE: Duration = Duration::from_secs(3);

/// A host with an open draft.
pub(crate) struct ReplHost {
    host: Mutex<Arc<Host>>,
    pub(crate) draft: OpenDraft,
    runtime: Handle,
}

impl ReplHost {
    pub(crate) fn new(host: Host, draft: OpenDraft, runtime: Handle) -> Self {
        Self { host: Mutex::new(Arc::new(host)), draft, runtime }
    }

    pub(crate) fn host(&self) -> Arc<Host> {
        Arc::clone(&self.host.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the host, after a change of the configuration.
    pub(crate) fn set_host(&self, host: Host) {
        *self.host.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(host);
    }

    /// Runs `work` on the host to its end. Ctrl-C stops it, and everything after it until the
    /// interruption is cleared.
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

    /// Returns names to complete with; none if they cannot be read soon.
    pub(crate) fn names(&self, what: Names, whose: Whose, board: Option<PlanId>) -> Vec<String> {
        if let Names::Words(words) = what {
            return words.iter().map(|word| (*word).to_owned()).collect();
        }
        let found = self.wait(async |host, draft| {
            let reading = host.peek(draft, move |session| names(session, what, whose, board));
            tokio::pin!(reading);
            tokio::select! {
                found = &mut reading => found,
                () = tokio::time::sleep(PATIENCE) => {
                    // The read ends at once then.
                    host.interrupt.set(StopReason::Cancelled);
                    reading.await
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
        Names::Users => found.extend(session.colleagues()?.into_iter().map(|user| user.upn)),
        Names::Groups => found.extend(session.groups()?.into_iter().map(|group| group.name)),
        Names::Libraries | Names::Words(_) => {}
    }
    found.dedup();
    Ok(found)
}

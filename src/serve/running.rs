//! The runs that were accepted: each waits in the durable queue until a worker begins it, and whoever has
//! asked for it may wait for its report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use crate::app::inbox::worker::Asking;
use crate::host::{RunProgress, Watch};
use crate::journal::RunId;
use crate::journal::inbox::InboxEntry;
use crate::serve::desk::Desk;
use crate::serve::unpoisoned::unpoisoned;

/// The interval at which it is looked whether another process has carried a run out.
const LOOK: Duration = Duration::from_millis(500);

/// The runs that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Running {
    waiting: Mutex<BTreeMap<String, oneshot::Sender<Value>>>,
    /// Wakes a worker.
    pub(crate) wake: Arc<Notify>,
}

/// The wait for a report.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: String,
    report: oneshot::Receiver<Value>,
}

impl Running {
    /// Begins to wait for a run, which must not have been accepted yet: it may be over in a moment.
    pub(crate) fn expect(&self, id: &str) -> Waiting {
        let (sender, report) = oneshot::channel();
        let mut waiting = unpoisoned(&self.waiting);
        // Of those whose clients have gone, or that another process has carried out.
        waiting.retain(|_, sender| !sender.is_closed());
        waiting.insert(id.to_owned(), sender);
        Waiting { id: id.to_owned(), report }
    }

    fn over(&self, id: &str, report: Value) {
        if let Some(sender) = unpoisoned(&self.waiting).remove(id) {
            let _client_has_gone = sender.send(report);
        }
    }
}

/// Returns the report of an accepted run that is over without one: it never got as far as the journal,
/// or was cut off too often.
pub(crate) fn report_of(entry: &InboxEntry) -> Value {
    let run = entry.run.as_ref().map_or(entry.id.as_str(), RunId::as_str);
    json!({
        "run_id": run, "skill": entry.skill, "status": "failed",
        "error": { "code": entry.code.as_deref().unwrap_or("stopped"), "message": entry.reason },
    })
}

/// Waits for the report of a run, at most so long.
pub(crate) async fn wait(desk: &Arc<Desk>, waiting: Waiting, at_most: Duration) -> Option<Value> {
    let Waiting { id, mut report } = waiting;
    let looking = async {
        loop {
            tokio::select! {
                report = &mut report => return report.ok(),
                () = tokio::time::sleep(LOOK) => {}
            }
            let (journal, id) = (Arc::clone(&desk.journal), id.clone());
            let found = tokio::task::spawn_blocking(move || {
                let entry = journal.inbox_entry(&id).ok()??;
                let run = entry.state.is_over().then(|| entry.run.clone())??;
                journal.run(run.as_str()).ok()?.finish.map(|finish| finish.report)
            });
            if let Ok(Some(found)) = found.await {
                return Some(found);
            }
        }
    };
    tokio::time::timeout(at_most, looking).await.ok()?
}

/// What a desk hears of the runs that its workers carry out.
pub(crate) struct Hears(Weak<Desk>);

impl Hears {
    /// Makes what hears for a desk.
    pub(crate) fn of(desk: &Arc<Desk>) -> Arc<Self> {
        Arc::new(Self(Arc::downgrade(desk)))
    }
}

impl Asking for Hears {
    fn watch(&self, run: &RunId) -> Watch {
        let (desk, id) = (Weak::clone(&self.0), run.to_string());
        Watch::new(move |progress| {
            if let (RunProgress::Applying { done, total }, Some(desk)) = (progress, desk.upgrade())
            {
                let told = json!({
                    "run_id": id, "kind": "applying", "done": done, "total": total,
                });
                desk.news.tell("run", told);
            }
        })
    }

    fn over(&self, entry: &InboxEntry, report: Option<Value>) {
        let Some(desk) = self.0.upgrade() else { return };
        desk.running.over(&entry.id, report.unwrap_or_else(|| report_of(entry)));
    }
}

//! What is held, shown to the person at the other end of a client that can show things.
//!
//! They are told how to approve it, and asked nothing: whatever the client answers, it is no approval,
//! since a model may be the one that answers.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ElicitRequestParams, ElicitationSchema};
use rmcp::service::ElicitationMode;
use rmcp::{Peer, RoleServer};
use tokio::sync::Semaphore;

use crate::app::shown::{shortened, visible};
use crate::mcp::answer::Answer;

/// The longest that something stays shown.
const SHOWN: Duration = Duration::from_secs(120);
/// The most that is shown at once.
const AT_ONCE: usize = 2;
/// The most characters of it.
const MAX_SHOWN: usize = 2_000;

/// The place where held sets are shown, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct Shown(Arc<Semaphore>);

impl Default for Shown {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Shown {
    /// Shows what a result says is held, if its client can; whatever goes wrong, the result stands.
    pub(crate) fn show(&self, peer: &Peer<RoleServer>, answer: &Answer) {
        let Some(text) = text_of(answer) else { return };
        if !peer.supported_elicitation_modes().contains(&ElicitationMode::Form) {
            return;
        }
        // A model that has much held does not fill the screen.
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else { return };
        let peer = peer.clone();
        tokio::spawn(async move {
            let Ok(nothing) = ElicitationSchema::builder().build() else { return };
            let asked = ElicitRequestParams::FormElicitationParams {
                meta: None,
                message: text,
                requested_schema: nothing,
            };
            let _no_answer_counts = peer.create_elicitation_with_timeout(asked, Some(SHOWN)).await;
            drop(permit);
        });
    }
}

/// Returns what a person is shown of a result; `None` if nothing of it waits for them.
fn text_of(answer: &Answer) -> Option<String> {
    let is_proposal = answer.data["diff"].is_string() && answer.data["state"] == "pending";
    let id = if is_proposal { &answer.data["id"] } else { &answer.data["pending"] };
    let id = id.as_str()?;
    let what: Vec<String> = answer.text.lines().map(visible).collect();
    let what = shortened(&what.join("\n"), MAX_SHOWN);
    Some(format!(
        "This waits for a person, and nothing is written until then. Whatever you answer here approves nothing. At a command line:\n  planwright pending show {id}\n  planwright approve {id}\n  planwright reject {id} --reason \"…\"\n\n{what}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_waits_is_shown_and_nothing_of_it_can_be_an_answer() {
        let held = Answer::new("held: 1 change\u{1b}[2J".into(), json!({ "pending": "0199" }));
        let text = text_of(&held).unwrap();
        assert!(text.contains("planwright approve 0199") && !text.contains('\u{1b}'), "{text}");
        let applied = Answer::new("applied".into(), json!({ "pending": null }));
        assert_eq!(text_of(&applied), None);
        let proposed =
            Answer::new("pending".into(), json!({ "id": "7", "state": "pending", "diff": "" }));
        assert!(text_of(&proposed).is_some());
    }
}

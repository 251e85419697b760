//! Sets that wait for a person, as JSON.

use serde_json::{Value, json};

use crate::app::error::AppError;
use crate::change::Saved;
use crate::journal::kept::KeptSet;

/// Reads the set that was kept.
///
/// # Errors
/// It is damaged.
pub(crate) fn saved(set: &KeptSet) -> Result<Saved, AppError> {
    Saved::parse(&set.saved)
        .map_err(|error| AppError::new("saved", format!("the set `{}`: {error}", set.run)))
}

/// Returns a set as it is listed; with the id and the name of the one who drafted it.
pub(crate) fn listed(set: &KeptSet, saved: &Saved, (id, upn): &(String, String)) -> Value {
    json!({
        "id": set.run.as_str(),
        "kind": "changes",
        "run_id": set.run.as_str(),
        "actor": { "id": id, "upn": upn, "agent": saved.agent },
        "skill": saved.skill,
        "created_at": set.at,
        "expires_at": set.expires_at,
        "changes": set.changes,
        "digest": set.digest,
        "state": set.state.name(),
        "decided_by": set.decided_by,
        "reason": set.reason,
        "applied_by": set.applied_by.as_ref().map(|run| run.as_str()),
    })
}

//! Sending a write: recorded before it leaves, and again when it is known what came of it.

use crate::graph::{Error, WriteError};
use crate::host::Failure;
use crate::host::apply::Work;
use crate::host::record::ITSELF;
use crate::journal::{Intent, Outcome, Settled, StepId};
use crate::wire::{Decoded, Request};

/// Why a write did not end well.
pub(crate) enum SendError {
    /// The service, or the way to it.
    Write(WriteError),
    /// It could not be recorded, so it was not sent.
    Journal(Failure),
}

/// A write that was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Ticket(StepId, u32);

impl Work<'_> {
    /// Sends a write of the change that is being carried out.
    pub(super) async fn send<T: Decoded>(
        &mut self,
        request: &Request,
    ) -> (Result<Option<T>, SendError>, Option<Ticket>) {
        let op_id = uuid::Uuid::now_v7().to_string();
        let ticket = match self.intend(request, &op_id).await {
            Ok(ticket) => ticket,
            Err(failure) => return (Err(SendError::Journal(failure)), None),
        };
        let result = self.client.write_as::<T>(request, &op_id).await;
        if let Some(ticket) = &ticket {
            let (outcome, message) = match &result {
                Ok(_) => (Outcome::Applied, None),
                Err(failed) => (outcome_of(failed), Some(failed.error.to_string())),
            };
            let refusal = result.as_ref().err().and_then(|it| it.error.refusal());
            let made = result.as_ref().ok().and_then(Option::as_ref).and_then(Decoded::id);
            let settled = Settled {
                step: ticket.0.clone(),
                attempt: ticket.1,
                outcome,
                status: refusal.map(|it| it.status),
                entity_id: made,
                etag: None,
                service_request_id: refusal.and_then(|it| it.request_id.clone()),
                message,
            };
            self.settle(settled).await;
        }
        (result.map_err(SendError::Write), ticket)
    }

    async fn intend(&mut self, request: &Request, op_id: &str) -> Result<Option<Ticket>, Failure> {
        let Some(record) = self.record else { return Ok(None) };
        let step = StepId { round: self.round, n: self.current, step: step_of(request) };
        let attempt = self.sent.entry((step.n, step.step.clone())).or_insert(0);
        *attempt += 1;
        let ticket = Ticket(step.clone(), *attempt);
        let intent = Intent {
            step,
            attempt: ticket.1,
            method: request.method().as_str().to_owned(),
            path: request.path().to_owned(),
            if_match: request.if_match().map(|it| it.as_str().to_owned()),
            body: request.body().cloned(),
            request_id: op_id.to_owned(),
        };
        record.intend(vec![intent]).await?;
        Ok(Some(ticket))
    }

    /// Records what was found out about a write whose answer did not tell.
    pub(super) async fn found_out(&mut self, ticket: Option<&Ticket>, outcome: Outcome) {
        let Some(Ticket(step, attempt)) = ticket else { return };
        let settled = Settled {
            step: step.clone(),
            attempt: *attempt,
            outcome,
            status: None,
            entity_id: None,
            etag: None,
            service_request_id: None,
            message: None,
        };
        self.settle(settled).await;
    }

    /// What was written is written, whether it can be recorded or not; but nothing more is.
    async fn settle(&mut self, settled: Settled) {
        if let Some(record) = self.record
            && let Err(failure) = record.settle(vec![settled]).await
        {
            self.done.broken.get_or_insert(failure);
        }
    }
}

fn outcome_of(failed: &WriteError) -> Outcome {
    if failed.in_doubt {
        Outcome::Unknown
    } else if failed.error.is_conflict() {
        Outcome::Conflict
    } else {
        Outcome::Refused
    }
}

/// Names the step of a change that a request is: the entity itself, or a part of it.
fn step_of(request: &Request) -> String {
    let path = request.path().split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let person = || {
        let body = request.body();
        body.and_then(|it| it.get("userId")).and_then(serde_json::Value::as_str).unwrap_or_default()
    };
    match last {
        "members" => format!("members/{}", person()),
        "rosters" | "details" | "archive" | "unarchive" => last.to_owned(),
        _ if last.ends_with("Format") => last.to_owned(),
        _ => ITSELF.to_owned(),
    }
}

impl SendError {
    /// Returns the service's refusal of a write, if it is one.
    pub(crate) const fn as_write(&self) -> Option<&WriteError> {
        match self {
            Self::Write(failed) => Some(failed),
            Self::Journal(_) => None,
        }
    }

    pub(crate) fn is(&self, what: impl Fn(&Error) -> bool) -> bool {
        self.as_write().is_some_and(|it| what(&it.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Board, ETag, PlanId, RosterId, TaskId, UserId};
    use crate::wire::request;

    #[test]
    fn each_request_of_a_change_is_a_step_of_its_own() {
        let task = TaskId::parse("t").unwrap();
        let tag = || ETag::new("x".into());
        let body = serde_json::Value::Null;
        let steps = [
            request::update_task(&task, body.clone(), tag()),
            request::update_task_details(&task, body.clone(), tag()),
            request::update_board_place(&task, Board::Progress, body, tag()),
            request::delete_plan(&PlanId::parse("p").unwrap(), tag()),
        ];
        let names: Vec<_> = steps.iter().map(step_of).collect();
        assert_eq!(names, [ITSELF, "details", "progressTaskBoardFormat", ITSELF]);
        let (roster, user) = (RosterId::parse("r").unwrap(), UserId::parse("ana").unwrap());
        let add = request::add_roster_member(&roster, &user);
        assert_eq!(step_of(&add), "members/ana");
    }
}

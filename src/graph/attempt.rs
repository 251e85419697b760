//! One attempt at a write, alone or with others in a batch. The caller decides whether and when to
//! try again, since only the apply machine knows what a repeat may do.

use std::sync::Arc;
use std::time::Duration;

use crate::graph::client::Client;
use crate::graph::client::ServiceAnswer;
use crate::graph::error::Error;
use crate::graph::retry::parse_retry_after;
use crate::wire::batch::{Order, of_writes, split};
use crate::wire::{ApiError, Json, Request};

/// The outcome of an attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The body of the answer if the write was carried out; else the reason why not, or why it is
    /// in doubt.
    pub result: Result<Option<Json>, Arc<Error>>,
    /// The wait that the service asks for.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    fn failed(error: Error, retry_after: Option<Duration>) -> Self {
        Self { result: Err(Arc::new(error)), retry_after }
    }
}

impl Client {
    /// Sends a write once, under a request id given by the caller.
    pub async fn attempt(&self, request: &Request, id: &str) -> Attempt {
        match self.send_once(request, id).await {
            Ok(answer) => Attempt { result: Ok(answer.body), retry_after: None },
            Err(failed) => failed,
        }
    }

    async fn send_once(&self, request: &Request, id: &str) -> Result<ServiceAnswer, Attempt> {
        let url = self.url(request).map_err(|error| Attempt::failed(error, None))?;
        let sent = self.send(request, &url, id, None).await;
        sent.map_err(|(error, retry_after)| Attempt::failed(error, retry_after))
    }

    /// Sends writes together, once. The outcomes are in the order of the requests; if the batch as
    /// a whole failed, each of them has that error.
    pub async fn attempt_many(
        &self,
        requests: &[&Request],
        order: Order,
        id: &str,
    ) -> Vec<Attempt> {
        let batch = of_writes(requests, order);
        let answer = match self.send_once(&batch, id).await {
            Ok(answer) => answer,
            Err(failed) => return vec![failed; requests.len()],
        };
        // A `Retry-After` date inside a part counts from the `Date` of the whole answer.
        let (date, token) = (answer.date, answer.token);
        let mut parts = match self.decode(&batch, answer.body, split) {
            Ok(parts) => parts,
            Err(error) => return vec![Attempt::failed(error, None); requests.len()],
        };
        let mut attempts = Vec::with_capacity(requests.len());
        for at in 0..requests.len() {
            attempts.push(match parts.remove(&at) {
                Some(part) if (200..300).contains(&part.status) => {
                    Attempt { result: Ok(part.body), retry_after: None }
                }
                Some(part) => {
                    let body = part.body.as_ref().map_or("", Json::as_str);
                    let asked = part.retry_after.as_deref();
                    let wait = asked.and_then(|text| parse_retry_after(text, date.as_deref()));
                    let error = Error::Refused(ApiError::read(
                        part.status,
                        part.request_id,
                        body.as_bytes(),
                    ));
                    let error = self.part_error(error, &token).await;
                    self.heed(&error, wait);
                    Attempt::failed(error, wait)
                }
                // A part that is missing leaves its write in doubt.
                None => Attempt::failed(self.no_answer(), None),
            });
        }
        attempts
    }
}

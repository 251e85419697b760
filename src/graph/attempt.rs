//! One attempt at a write, alone or with others in a batch. The caller decides whether and when to
//! try again, since only the apply machine knows what a repeat may do.

use std::sync::Arc;
use std::time::Duration;

use crate::graph::client::Client;
use crate::graph::client::ServiceAnswer;
use crate::graph::error::Error;
use crate::graph::retry::parse_retry_after;
use crate::graph::secret::Secret;
use crate::wire::batch::{Order, Part, of_writes, split};
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

    /// Sends writes together, once; those whose token was refused, another time with another token. The
    /// outcomes are in the order of the requests; if the batch as a whole failed, each of them has that
    /// error.
    pub async fn attempt_many(
        &self,
        requests: &[&Request],
        order: Order,
        id: &str,
    ) -> Vec<Attempt> {
        let (mut attempts, refused) = self.attempt_batch(requests, order, id).await;
        let Some(RefusedParts { parts, token, challenge }) = refused else { return attempts };
        match self.renewed(&token, challenge.as_deref()).await {
            Ok(false) => {}
            Ok(true) => {
                self.count_retry();
                let again: Vec<&Request> =
                    parts.iter().filter_map(|at| requests.get(*at).copied()).collect();
                let id = uuid::Uuid::now_v7().to_string();
                let (answers, _) = self.attempt_batch(&again, order, &id).await;
                for (at, answer) in parts.into_iter().zip(answers) {
                    if let Some(attempt) = attempts.get_mut(at) {
                        *attempt = answer;
                    }
                }
            }
            Err(error) => {
                for at in parts {
                    if let Some(attempt) = attempts.get_mut(at) {
                        *attempt = Attempt::failed(Error::SignIn(error.clone()), None);
                    }
                }
            }
        }
        attempts
    }

    /// Sends writes together, and tells which of them were refused because of their token.
    async fn attempt_batch(
        &self,
        requests: &[&Request],
        order: Order,
        id: &str,
    ) -> (Vec<Attempt>, Option<RefusedParts>) {
        let batch = of_writes(requests, order);
        let answer = match self.send_once(&batch, id).await {
            Ok(answer) => answer,
            Err(failed) => return (vec![failed; requests.len()], None),
        };
        // A `Retry-After` date inside a part counts from the `Date` of the whole answer.
        let (date, token) = (answer.date, answer.token);
        let mut answered = match self.decode(&batch, answer.body, split) {
            Ok(parts) => parts,
            Err(error) => return (vec![Attempt::failed(error, None); requests.len()], None),
        };
        let mut attempts = Vec::with_capacity(requests.len());
        let (mut parts, mut challenge) = (Vec::new(), None);
        for at in 0..requests.len() {
            let part = answered.remove(&at);
            // What depends on a refused part was not tried because of it, and has the same cause.
            let depends =
                |part: &Part| order == Order::OneByOne && !parts.is_empty() && part.status == 424;
            if let Some(part) = part.as_ref().filter(|part| part.status == 401 || depends(part)) {
                challenge = challenge.or_else(|| part.challenge.clone());
                parts.push(at);
            }
            attempts.push(self.attempt_of(part, date.as_deref()));
        }
        let refused = (!parts.is_empty()).then_some(RefusedParts { parts, token, challenge });
        (attempts, refused)
    }

    fn attempt_of(&self, part: Option<Part>, date: Option<&str>) -> Attempt {
        match part {
            Some(part) if (200..300).contains(&part.status) => {
                Attempt { result: Ok(part.body), retry_after: None }
            }
            Some(part) => {
                let body = part.body.as_ref().map_or("", Json::as_str);
                let asked = part.retry_after.as_deref();
                let wait = asked.and_then(|text| parse_retry_after(text, date));
                let refused = ApiError::read(part.status, part.request_id, body.as_bytes());
                let error = Error::Refused(refused);
                self.heed(&error, wait);
                Attempt::failed(error, wait)
            }
            // A part that is missing leaves its write in doubt.
            None => Attempt::failed(self.no_answer(), None),
        }
    }
}

/// The parts of a batch that were not carried out because their token was refused.
struct RefusedParts {
    /// Their places.
    parts: Vec<usize>,
    token: Secret,
    challenge: Option<String>,
}

//! Many reads in few round trips, through batches.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::graph::client::Client;
use crate::graph::client::spread;
use crate::graph::error::Error;
use crate::graph::retry::{Failed, Repeat, next_wait, parse_retry_after};
use crate::wire::batch::{MAX_REQUESTS, Part, of_reads, split};
use crate::wire::{ApiError, Decoded, Json, Request};

/// The number of batches under way at once: Planner throttles bursts (planner-api.md 8.3).
const LANES: usize = 4;

/// An answer in a batch, with its place in the caller's list.
type Placed<T> = (usize, Result<T, Error>);

impl Client {
    /// Reads many objects, twenty in a request and a few requests at a time; the answers are in the
    /// order of the requests. Only reads that the service throttles inside a batch are sent again
    /// (planner-api.md 8.4).
    ///
    /// # Errors
    /// A batch as a whole failed; a single read that failed is an `Err` in the list.
    pub async fn read_many<T: Decoded + Send + 'static>(
        &self,
        requests: &[Request],
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let mut results: Vec<Option<Result<T, Error>>> = requests.iter().map(|_| None).collect();
        let numbered: Vec<(usize, Request)> = requests.iter().cloned().enumerate().collect();
        let mut waiting = numbered.chunks(MAX_REQUESTS).map(<[_]>::to_vec);
        let mut jobs = JoinSet::new();
        let client = self.rationed();
        loop {
            while jobs.len() < LANES {
                let Some(chunk) = waiting.next() else { break };
                let client = client.clone();
                let read = async move { client.read_chunk::<T>(chunk).await };
                jobs.spawn(read.in_current_span());
            }
            match jobs.join_next().await {
                None => break,
                Some(Ok(answers)) => {
                    for (at, answer) in answers? {
                        if let Some(slot) = results.get_mut(at) {
                            *slot = Some(answer);
                        }
                    }
                }
                // No task is aborted, so one fails only by a panic.
                Some(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
            }
        }
        Ok(results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(self.no_answer())))
            .collect())
    }

    async fn read_chunk<T: Decoded>(
        &self,
        mut open: Vec<(usize, Request)>,
    ) -> Result<Vec<Placed<T>>, Error> {
        let mut answers = Vec::with_capacity(open.len());
        let until = self.until();
        let (mut attempt, mut is_renewed) = (1, false);
        while !open.is_empty() {
            let (mut again, mut wait) = (Vec::new(), Duration::ZERO);
            let reads: Vec<&Request> = open.iter().map(|(_, request)| request).collect();
            let batch = of_reads(&reads, self.prefers());
            let url = self.url(&batch)?;
            let answer =
                self.send_again(&batch, &url, until).await.map_err(|failed| failed.error)?;
            let (date, token) = (answer.date, answer.token);
            let mut parts = self.decode(&batch, answer.body, split)?;
            let (mut refused, mut challenge) = (Vec::new(), None);
            for (id, (at, request)) in open.into_iter().enumerate() {
                let part = parts.remove(&id);
                if let Some(part) = part.as_ref().filter(|part| part.status == 401) {
                    challenge = challenge.or_else(|| part.challenge.clone());
                }
                let result = match part {
                    Some(part) => self.part(&request, part, date.as_deref()),
                    // A part that is missing says nothing about its object.
                    None => Err((self.no_answer(), None)),
                };
                match result {
                    Ok(value) => answers.push((at, Ok(value))),
                    Err((error, _)) if error.is_unauthorized() => {
                        refused.push((at, request, error));
                    }
                    Err((error, retry_after)) => {
                        let left = until.saturating_duration_since(Instant::now());
                        let repeat = Repeat::Harmless;
                        let failed = Failed { error: &error, repeat, attempt, retry_after, left };
                        match next_wait(failed, spread()) {
                            Some(time) => {
                                // The longest wait counts: an earlier repeat would be throttled
                                // again.
                                wait = wait.max(time);
                                again.push((at, request));
                            }
                            None => answers.push((at, Err(error))),
                        }
                    }
                }
            }
            // One more token for all of them, once.
            let renewed = if refused.is_empty() || is_renewed {
                Ok(false)
            } else {
                self.renewed(&token, challenge.as_deref()).await
            };
            is_renewed |= !refused.is_empty();
            for (at, request, error) in refused {
                match &renewed {
                    Ok(true) => again.push((at, request)),
                    Ok(false) => answers.push((at, Err(error))),
                    Err(ended) => answers.push((at, Err(Error::SignIn(ended.clone())))),
                }
            }
            if !again.is_empty() {
                self.count_retry();
                tokio::time::sleep(wait).await;
            }
            open = again;
            attempt += 1;
        }
        Ok(answers)
    }

    fn part<T: Decoded>(
        &self,
        request: &Request,
        part: Part,
        date: Option<&str>,
    ) -> Result<T, (Error, Option<Duration>)> {
        if (200..300).contains(&part.status) {
            return self.decode(request, part.body, T::decode).map_err(|error| (error, None));
        }
        let body = part.body.as_ref().map_or("", Json::as_str);
        let wait = part.retry_after.as_deref().and_then(|text| parse_retry_after(text, date));
        let error = Error::Refused(ApiError::read(part.status, part.request_id, body.as_bytes()));
        // A throttled part stands for the whole tenant, so the gate closes for everybody.
        self.heed(&error, wait);
        Err((error, wait))
    }

    pub(crate) fn no_answer(&self) -> Error {
        Error::NotGraph { origin: self.base().origin(), got: "a batch without this answer".into() }
    }
}

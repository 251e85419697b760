//! Many reads in few round trips.

use std::time::Duration;

use crate::graph::client::spread;
use crate::graph::retry::{Repeat, next_wait, parse_retry_after};
use crate::graph::{Client, Error};
use crate::wire::batch::{MAX_REQUESTS, Part, of_reads, split};
use crate::wire::{ApiError, Decoded, Request};

impl Client {
    /// Reads many objects, twenty a request; the answers are in the order of the requests. What
    /// the service refuses inside a batch for now is asked for again, and nothing else
    /// (planner-api.md 8.4).
    ///
    /// # Errors
    /// A batch as a whole failed; a single read that failed is an `Err` in the list.
    pub async fn read_many<T: Decoded>(
        &self,
        requests: &[Request],
    ) -> Result<Vec<Result<T, Error>>, Error> {
        let mut results: Vec<Option<Result<T, Error>>> = requests.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..requests.len()).collect();
        let mut attempt = 1;
        while !open.is_empty() {
            let mut again = Vec::new();
            let mut wait = Duration::ZERO;
            for chunk in open.chunks(MAX_REQUESTS) {
                let reads: Vec<&Request> =
                    chunk.iter().filter_map(|at| requests.get(*at)).collect();
                let mut parts = self.batch(&of_reads(&reads)).await?;
                for (id, at) in chunk.iter().enumerate() {
                    let result = match parts.remove(&id) {
                        Some(part) => self.part(requests, *at, part),
                        None => Err((self.no_answer(), None)),
                    };
                    let slot = results.get_mut(*at);
                    match (result, slot) {
                        (Ok(value), Some(slot)) => *slot = Some(Ok(value)),
                        (Err((error, asked)), Some(slot)) => {
                            match next_wait(&error, Repeat::Harmless, attempt, asked, spread()) {
                                Some(time) => {
                                    wait = wait.max(time);
                                    again.push(*at);
                                }
                                None => *slot = Some(Err(error)),
                            }
                        }
                        (_, None) => {}
                    }
                }
            }
            if !again.is_empty() {
                self.count_retry();
                tokio::time::sleep(wait).await;
            }
            open = again;
            attempt += 1;
        }
        Ok(results.into_iter().map(|it| it.unwrap_or_else(|| Err(self.no_answer()))).collect())
    }

    async fn batch(
        &self,
        request: &Request,
    ) -> Result<std::collections::BTreeMap<usize, Part>, Error> {
        let value = self.read_value(request).await?;
        self.decode(request, Some(value), split)
    }

    fn part<T: Decoded>(
        &self,
        requests: &[Request],
        at: usize,
        part: Part,
    ) -> Result<T, (Error, Option<Duration>)> {
        if (200..300).contains(&part.status) {
            let Some(request) = requests.get(at) else { return Err((self.no_answer(), None)) };
            return self.decode(request, Some(part.body), T::decode).map_err(|it| (it, None));
        }
        let body = serde_json::to_vec(&part.body).unwrap_or_default();
        let error = Error::Refused(ApiError::read(part.status, None, &body));
        Err((error, part.retry_after.as_deref().and_then(|it| parse_retry_after(it, None))))
    }

    fn no_answer(&self) -> Error {
        Error::NotGraph { origin: self.base().origin(), got: "a batch without this answer".into() }
    }
}

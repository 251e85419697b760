//! The gate that keeps requests back while the service throttles.
//!
//! `Retry-After` is meant for everyone who acts for the same tenant (planner-api.md 8.3): until it
//! has passed no request leaves, whichever one was throttled.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A gate that is open, or closed until a moment.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Closes for a while, counted from now, but never opens earlier than it would have.
    pub(crate) fn close(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if closed.is_none_or(|known| known < until) {
            *closed = Some(until);
        }
    }

    fn closed_until(&self) -> Option<Instant> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }

    /// Waits until it is open.
    ///
    /// # Errors
    /// It stays closed beyond the given deadline; returns for how long from now.
    pub(crate) async fn pass(&self, before: Option<Instant>) -> Result<(), Duration> {
        // Another refusal may close it for longer while this one waits, so it is asked again.
        while let Some(until) = self.closed_until() {
            if before.is_some_and(|before| before <= until) {
                return Err(until.saturating_duration_since(Instant::now()));
            }
            tokio::time::sleep_until(until).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_passes_before_the_longest_wait_is_over() {
        let gate = Gate::default();
        let began = Instant::now();
        gate.pass(None).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        gate.close(Duration::from_secs(7));
        gate.close(Duration::from_secs(2));
        let early = began + Duration::from_secs(7);
        assert_eq!(gate.pass(Some(early)).await, Err(Duration::from_secs(7)));
        gate.pass(Some(early + Duration::from_secs(1))).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(7));
        gate.pass(None).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(8));
    }
}

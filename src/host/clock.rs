//! The system's clock, in the only place that reads it: everything else is given a clock.

use jiff::Timestamp;

use crate::model::Clock;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everyone else is given")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

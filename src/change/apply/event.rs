//! What passes between the apply machine and its driver.

use std::time::Duration;

use crate::change::apply::compare::Seen;
use crate::change::apply::lost::{Match, Parent};
use crate::change::merge::FieldConflict;
use crate::model::ETag;

/// Names a request among those of a machine.
pub type StepNo = usize;

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send these writes as one request; answered by [`Machine::answered`](crate::change::apply::Machine::answered).
    Send {
        /// The writes, in their order.
        steps: Vec<StepNo>,
        /// Whether each is to be carried out after the one before it.
        in_order: bool,
    },
    /// Read what these are about; answered by [`Machine::looked`](crate::change::apply::Machine::looked).
    Look(Vec<StepNo>),
    /// Look in one list for what creates may have made whose answers were lost; answered by
    /// [`Machine::probed`](crate::change::apply::Machine::probed).
    Probe {
        /// The list.
        parent: Parent,
        /// The creates.
        steps: Vec<StepNo>,
    },
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done {
        /// The id of what was made.
        id: Option<String>,
        /// The tag after it, if the answer tells.
        tag: Option<ETag>,
    },
    /// What it rests on has moved (409, 412).
    Conflict,
    /// There is no such thing (404).
    NotFound,
    /// What it is to be made in is too new to be known: to be sent again after these waits.
    NotYet(Vec<Duration>),
    /// Not done: the service asks for patience.
    Throttled(Option<Duration>),
    /// The service or the way to it failed; `in_doubt` if it may have been done all the same.
    Unavailable {
        /// How long the service asks to wait.
        wait: Option<Duration>,
        /// Whether it may have been done.
        in_doubt: bool,
    },
    /// Not tried, since the one before it in its batch was not done (424).
    NotTried,
    /// Refused for good.
    Refused,
}

impl Answer {
    /// Returns whether the service dealt with the write, so that it counts towards its limit.
    pub(super) const fn is_taken(&self) -> bool {
        !matches!(self, Self::Throttled(_) | Self::Unavailable { .. } | Self::NotTried)
    }
}

/// What a look has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// This is there.
    There(Box<Seen>),
    /// Nothing is there.
    Gone,
    /// It could not be read.
    Failed,
}

/// The result of a search for what a lost create has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// The list was read, and this came of matching it.
    Matched(Match),
    /// The list could not be read.
    Failed,
}

/// The state of knowledge about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// It is on the board.
    Applied,
    /// It is not on the board.
    Refused,
    /// Someone else changed the same.
    Conflict,
    /// Nobody knows.
    Unknown,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is on the board.
    Done,
    /// What was to be deleted was gone.
    Gone,
    /// Someone else has moved it since: what is there now, or that nothing is.
    Moved(Option<Box<Seen>>),
    /// The same, in something that this run made itself: not to be tried again.
    Clash(Vec<FieldConflict>),
    /// The service refused it, or could not be asked.
    Failed,
    /// Nobody knows: it may have been written.
    Unknown,
    /// It may have been created as one of these, and only a person can tell.
    Parked(Vec<String>),
    /// Not sent, for what came of another.
    NotSent,
    /// It mentions something that does not exist.
    Mentions(String),
}

impl End {
    pub(crate) const fn is_well(&self) -> bool {
        matches!(self, Self::Done | Self::Gone)
    }
}

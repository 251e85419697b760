//! The effects and events that pass between the apply machine and its driver.

use std::time::Duration;

use crate::change::apply::compare::Seen;
use crate::change::apply::lost::{Match, Parent};
use crate::change::merge::FieldConflict;
use crate::model::ETag;

/// The number of a request among those of a machine.
pub type StepNo = usize;

/// An order to the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send these writes as one request; answered by
    /// [`Machine::answered`](crate::change::apply::Machine::answered).
    Send {
        /// The writes, in their order.
        steps: Vec<StepNo>,
        /// True if each depends on the one before it.
        in_order: bool,
    },
    /// Read the objects of these requests; answered by
    /// [`Machine::looked`](crate::change::apply::Machine::looked).
    Look(Vec<StepNo>),
    /// Search one list for the results of creates whose answers were lost; answered by
    /// [`Machine::probed`](crate::change::apply::Machine::probed).
    Probe {
        /// The list.
        parent: Parent,
        /// The creates.
        steps: Vec<StepNo>,
    },
}

/// The outcome of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was carried out.
    Done {
        /// The id of the entity that was created.
        id: Option<String>,
        /// The new tag, if the answer holds it.
        tag: Option<ETag>,
    },
    /// The entity has changed since its tag was read (409, 412).
    Conflict,
    /// The entity does not exist (404).
    NotFound,
    /// Its parent is too new to be known everywhere: to be sent again after these waits.
    NotYet(Vec<Duration>),
    /// It was not carried out: the service throttles.
    Throttled(Option<Duration>),
    /// The service or the connection failed.
    Unavailable {
        /// The wait that the service asks for.
        wait: Option<Duration>,
        /// True if the write may have been carried out all the same.
        in_doubt: bool,
    },
    /// It was not tried, because the one before it in its batch failed (424).
    NotTried,
    /// It was refused for good.
    Refused,
}

impl Answer {
    /// Returns whether the service dealt with the write, so that it counts towards its limit.
    pub(super) const fn is_taken(&self) -> bool {
        !matches!(self, Self::Throttled(_) | Self::Unavailable { .. } | Self::NotTried)
    }
}

/// The result of reading an object again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It exists, in this state.
    There(Box<Seen>),
    /// It does not exist.
    Gone,
    /// It could not be read.
    Failed,
}

/// The result of a search for the entity that a lost create has created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// The list was read, with this result of matching it.
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
    /// Somebody else changed the same.
    Conflict,
    /// It is in doubt.
    Unknown,
}

/// The end of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It is on the board.
    Done,
    /// Its object had been deleted already.
    Gone,
    /// Somebody else has changed it since: the present state, or `None` if it was deleted.
    Moved(Option<Box<Seen>>),
    /// The same, in an entity that this run created itself: not to be tried again.
    Clash(Vec<FieldConflict>),
    /// The service refused it, or could not be reached.
    Failed,
    /// It is in doubt: it may have been written.
    Unknown,
    /// It may have created one of these, and only a person can tell which.
    Parked(Vec<String>),
    /// It was not sent, because of the end of another request.
    NotSent,
    /// It mentions an entity that was not created.
    Mentions(String),
}

impl End {
    pub(crate) const fn is_well(&self) -> bool {
        matches!(self, Self::Done | Self::Gone)
    }
}

//! One request of the apply machine, with its progress.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use crate::change::apply::compare::Seen;
use crate::change::apply::event::{End, StepNo};
use crate::change::apply::ledger::Doubt;
use crate::change::apply::step::{Basis, Part, Resend};
use crate::change::edit::{Change, Op};
use crate::change::field::Entity;
use crate::change::set::level;
use crate::model::{ETag, PlanId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Not its turn yet: others must end first.
    Waiting,
    /// To be sent, from `not_before` on.
    Ready,
    /// Sent, and not answered yet.
    Sent,
    /// Its object is to be read, from `not_before` on.
    ToLook,
    Looking,
    /// Its result is to be searched for, from `not_before` on.
    ToProbe,
    Probing,
    Ended(End),
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The place of its change, from 0.
    pub(crate) at: usize,
    pub(crate) part: Part,
    pub(crate) level: u8,
    /// True if it completes an entity that its change has created.
    pub(crate) completes: bool,
    pub(crate) op: Op,
    /// The request of the same change before it.
    pub(crate) previous: Option<StepNo>,
    /// The plan of a create: those of one plan go out one after another, since newer items sort
    /// first and their order would be lost.
    pub(crate) in_line: Option<PlanId>,
    pub(crate) mentions: BTreeSet<String>,
    pub(crate) basis: Basis,
    pub(crate) state: State,
    pub(crate) tag: Option<ETag>,
    pub(crate) made: Option<String>,
    pub(crate) first: Option<Seen>,
    /// The request of an earlier process, to be sent again unchanged.
    pub(crate) resend: Option<Resend>,
    pub(crate) not_before: Duration,
    pub(crate) sent_at: Duration,
    /// The moment from which a create whose answer was lost may be sent again. Its quarantine
    /// counts from the moment the answer was given up: until then the service may still be working
    /// on it.
    pub(crate) not_before_resend: Duration,
    /// The moment at which the answer was given up.
    pub(crate) given_up_at: Duration,
    pub(crate) sent: u32,
    /// The number of failures in all.
    pub(crate) tries: u32,
    /// The number of times in a row it was put off or failed while nothing else succeeded, and the
    /// number of requests done by then.
    pub(crate) in_vain: (u32, u64),
    pub(crate) in_doubt: bool,
    pub(crate) looks: u32,
    pub(crate) rebases: u32,
    pub(crate) probes: usize,
    pub(crate) patience: Option<std::vec::IntoIter<Duration>>,
}

impl Step {
    pub(crate) fn new(
        at: usize,
        change: &Change,
        part: Part,
        basis: Basis,
        previous: Option<StepNo>,
    ) -> Self {
        let is_new = basis == Basis::New;
        // Details of a new entity come after all creates of its level, since they may mention them.
        let later = change.op() == Op::Create && part != Part::Itself && !is_new;
        Self {
            at,
            level: level(change) * 2 + u8::from(later),
            // After a resume the create itself may be done, so that no request comes before this
            // one; it completes the task all the same.
            completes: change.op() == Op::Create
                && (previous.is_some() || (later && change.entity() == Entity::Task)),
            op: change.op(),
            previous,
            in_line: is_new.then(|| change.plan().clone()),
            mentions: BTreeSet::new(),
            tag: match &basis {
                Basis::Read(tag) => Some(tag.clone()),
                Basis::New | Basis::Made | Basis::Moved => None,
            },
            part,
            basis,
            state: State::Waiting,
            made: None,
            first: None,
            resend: None,
            not_before: Duration::ZERO,
            sent_at: Duration::ZERO,
            not_before_resend: Duration::ZERO,
            given_up_at: Duration::ZERO,
            sent: 0,
            tries: 0,
            in_vain: (0, 0),
            in_doubt: false,
            looks: 0,
            rebases: 0,
            probes: 0,
            patience: None,
        }
    }

    /// Continues where another process was cut off. The quarantine began when the answer was given
    /// up there.
    pub(crate) fn restore(&mut self, doubt: Doubt, quarantine: Duration) {
        self.in_doubt = true;
        // A create must not be sent again blindly, so its result is searched for; a conditional
        // request goes out again on its own tag (design.md 2.4).
        self.state = if self.basis == Basis::New { State::ToProbe } else { State::Ready };
        let quarantine = SignedDuration::try_from(quarantine).unwrap_or(SignedDuration::MAX);
        let left = quarantine.saturating_sub(doubt.age);
        self.not_before_resend = Duration::try_from(left).unwrap_or_default();
        self.tag = doubt.tag.or(self.tag.take());
        self.resend = doubt.resend;
    }
}

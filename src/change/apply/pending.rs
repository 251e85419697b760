//! One request of the apply machine, and how far it has come.

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
    /// For others to be done.
    Waiting,
    /// To be sent, once it is time.
    Ready,
    /// Sent, not answered.
    Sent,
    /// Its object is to be read, once it is time.
    ToLook,
    Looking,
    /// Its result is to be looked for, once it is time.
    ToProbe,
    Probing,
    Ended(End),
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Its change, from 0.
    pub(crate) at: usize,
    pub(crate) part: Part,
    pub(crate) level: u8,
    /// It completes what its change has created.
    pub(crate) completes: bool,
    pub(crate) op: Op,
    /// The request of the same change before it.
    pub(crate) previous: Option<StepNo>,
    /// Creates of one plan go out one after another, so that they stand in their order.
    pub(crate) in_line: Option<PlanId>,
    pub(crate) mentions: BTreeSet<String>,
    pub(crate) basis: Basis,
    pub(crate) state: State,
    pub(crate) tag: Option<ETag>,
    pub(crate) made: Option<String>,
    pub(crate) first: Option<Seen>,
    /// The request of an earlier process, to be sent again as it was.
    pub(crate) resend: Option<Resend>,
    pub(crate) not_before: Duration,
    pub(crate) sent_at: Duration,
    /// The moment from which a create whose answer was lost may be sent again. Its quarantine counts from the
    /// moment when the answer was given up: for as long as somebody works on it, it may come to be.
    pub(crate) not_before_resend: Duration,
    /// The moment at which it was given up.
    pub(crate) given_up_at: Duration,
    pub(crate) sent: u32,
    /// The number of times it failed, in all.
    pub(crate) tries: u32,
    /// The number of times in a row it was put off or failed while nothing at all was done, and how much was
    /// done by then.
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
        // What is new gets its details once everything is there that they may mention.
        let later = change.op() == Op::Create && part != Part::Itself && !is_new;
        Self {
            at,
            level: level(change) * 2 + u8::from(later),
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

    /// Goes on where another process was cut off. Its quarantine began when the answer was given
    /// up there.
    pub(crate) fn restore(&mut self, doubt: Doubt, quarantine: Duration) {
        self.in_doubt = true;
        self.state = if self.basis == Basis::New { State::ToProbe } else { State::Ready };
        let quarantine = SignedDuration::try_from(quarantine).unwrap_or(SignedDuration::MAX);
        let left = quarantine.saturating_sub(doubt.age);
        self.not_before_resend = Duration::try_from(left).unwrap_or_default();
        self.tag = doubt.tag.or(self.tag.take());
        self.resend = doubt.resend;
    }
}

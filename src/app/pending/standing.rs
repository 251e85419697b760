//! The state of a kept set, found out from the runs that carried it out.
//!
//! The process that applies an approved set may be killed at any point, and another one may carry its
//! run on. So nobody is relied on to say what came of it: whoever looks at a set works it out from the
//! journal, and enters it with its record.

use jiff::Timestamp;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::pending::{failed, note};
use crate::change::Saved;
use crate::journal::kept::{Carrying, KeptSet, KeptState, KeptStep};
use crate::journal::{Guard, Journal, Lockable, NoteKind, RunId, RunStatus};

/// The next step of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It stands where it stood.
    Stay,
    /// Nobody decided in time, or what was approved was not applied in time.
    Expire,
    /// It was applied.
    Applied,
    /// Nothing was written: it waits again.
    Reopen,
    /// It was held again: what is held now takes its place under its id.
    HeldAgain,
    /// Another set, or what carried its run on, has taken its place.
    Replaced,
}

fn next(set: &KeptSet, carrying: Option<&Carrying>, now: Timestamp) -> Next {
    let is_over = set.expires_at.is_some_and(|at| at <= now);
    let Some(by) = carrying else {
        let waits = matches!(set.state, KeptState::Pending | KeptState::Approved);
        return if waits && is_over { Next::Expire } else { Next::Stay };
    };
    let has_ended = by.status.is_some() && !by.is_unfinished;
    let is_done = matches!(by.status, Some(RunStatus::Applied | RunStatus::NoChanges));
    let is_held = by.status == Some(RunStatus::Held);
    match set.state {
        KeptState::Approved | KeptState::Previewed if has_ended && (by.wrote || is_done) => {
            Next::Applied
        }
        KeptState::Approved if is_held => Next::HeldAgain,
        KeptState::Approved if has_ended => Next::Reopen,
        // What is held of a preview waits under an id of its own, and the preview must not be applied
        // beside it.
        KeptState::Previewed if is_held => Next::Replaced,
        // The run was carried on in another way than by approving this.
        KeptState::Pending if by.wrote || is_done || is_held => Next::Replaced,
        KeptState::Pending if is_over => Next::Expire,
        _ => Next::Stay,
    }
}

impl App {
    /// Brings a set to where it stands now.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub(crate) fn brought_up(
        &self,
        journal: &Journal,
        mut set: KeptSet,
        now: Timestamp,
    ) -> Result<KeptSet, AppError> {
        let open = [KeptState::Pending, KeptState::Approved, KeptState::Previewed];
        if !open.contains(&set.state) {
            return Ok(set);
        }
        let carrying = journal.carrying(&set).map_err(|error| failed(&error))?;
        let (from, digest) = (set.state, set.digest.clone());
        let last = carrying.as_ref().map(|by| by.last.clone());
        let next = next(&set, carrying.as_ref(), now);
        // From the approval to the record of the run it takes a while: connecting, signing in.
        let _alone = match next {
            Next::Expire if set.state == KeptState::Approved => {
                let alone = self.nobody_applies(&set)?;
                let begun = journal.carrying(&set).map_err(|error| failed(&error))?;
                if alone.is_none() || begun.is_some() {
                    return Ok(set);
                }
                alone
            }
            _ => None,
        };
        let kind = match next {
            Next::Stay => return Ok(set),
            Next::Expire => {
                set.state = KeptState::Expired;
                NoteKind::Expired
            }
            Next::Applied => {
                (set.state, set.applied_by) = (KeptState::Applied, last);
                NoteKind::CarriedOut
            }
            Next::Reopen => {
                set.state = KeptState::Pending;
                (set.decided_by, set.reason) = (None, None);
                NoteKind::Reopened
            }
            Next::HeldAgain => return self.held_again(journal, set, last.as_ref(), now),
            Next::Replaced => {
                (set.state, set.applied_by) = (KeptState::Failed, last);
                NoteKind::Replaced
            }
        };
        let note = note(kind, &set, now);
        let step = KeptStep { from: (from, &digest), to: &set, note: &note };
        let moved = self.open_journal()?.move_kept(&[step]).map_err(|error| failed(&error))?;
        if moved { Ok(set) } else { again(journal, set) }
    }

    /// Locks an approved set that nobody applies at the moment; `None` if somebody does.
    fn nobody_applies(&self, set: &KeptSet) -> Result<Option<Guard>, AppError> {
        // One that cannot be read cannot be applied either, whatever is locked.
        let digest = Saved::parse(&set.saved).map(|saved| saved.digest).unwrap_or_default();
        let locks = self.state_folder()?.locks()?;
        locks.try_lock(&Lockable::Saved(digest)).map_err(|error| failed(&error))
    }

    /// Puts the set that was held by the run which was to carry out another into the place of that one.
    fn held_again(
        &self,
        journal: &Journal,
        mut set: KeptSet,
        by: Option<&RunId>,
        now: Timestamp,
    ) -> Result<KeptSet, AppError> {
        let Some(by) = by else { return Ok(set) };
        let held = journal.kept_set(by.as_str()).map_err(|error| failed(&error))?;
        let (from, digest) = (set.state, set.digest.clone());
        (set.state, set.decided_by, set.reason) = (KeptState::Pending, None, None);
        let Some(mut held) = held.filter(|held| held.state == KeptState::Pending) else {
            // It could not be kept, or somebody has decided on it already.
            set.state = KeptState::Failed;
            set.applied_by = Some(by.clone());
            let note = note(NoteKind::Replaced, &set, now);
            let step = KeptStep { from: (from, &digest), to: &set, note: &note };
            let moved = self.open_journal()?.move_kept(&[step]).map_err(|error| failed(&error))?;
            return if moved { Ok(set) } else { again(journal, set) };
        };
        set.digest.clone_from(&held.digest);
        set.saved.clone_from(&held.saved);
        (set.changes, set.expires_at) = (held.changes, held.expires_at);
        (held.state, held.applied_by) = (KeptState::Failed, Some(set.run.clone()));
        let notes = [note(NoteKind::Reopened, &set, now), note(NoteKind::Replaced, &held, now)];
        let steps = [
            KeptStep { from: (from, &digest), to: &set, note: &notes[0] },
            KeptStep { from: (KeptState::Pending, &held.digest), to: &held, note: &notes[1] },
        ];
        let moved = self.open_journal()?.move_kept(&steps).map_err(|error| failed(&error))?;
        if moved { Ok(set) } else { again(journal, set) }
    }

    /// Brings all sets that wait, or are being carried out, to where they stand now: after a run was
    /// resumed, which may have been one of them.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub(crate) fn settle_all(&self, now: Timestamp) -> Result<(), AppError> {
        self.held_sets(false, now).map(drop)
    }

    /// Returns the run that is carried on by carrying a set out; `None` if the set is applied by itself.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn carries_on(&self, set: &KeptSet) -> Result<Option<RunId>, AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(None) };
        journal.carries_on(&set.run).map_err(|error| failed(&error))
    }

    /// Fails if a set that is approved has been begun, and was cut off.
    ///
    /// # Errors
    /// It has; or the journal cannot be read.
    pub(crate) fn check_not_begun(&self, set: &KeptSet) -> Result<(), AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(()) };
        let carrying = journal.carrying(set).map_err(|error| failed(&error))?;
        let Some(by) = carrying.filter(|by| by.wrote) else { return Ok(()) };
        let message = format!("`{}` is being applied, or was cut off while it was", set.run);
        Err(AppError::new("not_pending", message)
            .hint(format!("`planwright resume {}` carries it on", by.first)))
    }
}

/// Reads a set again, of which somebody else has taken a step at the same moment.
fn again(journal: &Journal, set: KeptSet) -> Result<KeptSet, AppError> {
    let found = journal.kept_set(set.run.as_str()).map_err(|error| failed(&error))?;
    Ok(found.unwrap_or(set))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(state: KeptState) -> KeptSet {
        KeptSet {
            run: RunId::parse("0199f3c2-7a51-7cc3-98b1-4f0c3a5d2e11").unwrap(),
            at: Timestamp::UNIX_EPOCH,
            expires_at: "2026-01-02T00:00:00Z".parse().ok(),
            digest: String::new(),
            changes: 1,
            saved: String::new(),
            state,
            decided_by: None,
            reason: None,
            applied_by: None,
            moved_seq: None,
        }
    }

    /// Makes what carries a set out: whether it was cut off, and whether it wrote.
    fn by(status: Option<RunStatus>, (is_unfinished, wrote): (bool, bool)) -> Carrying {
        let run = set(KeptState::Pending).run;
        Carrying { first: run.clone(), last: run, status, is_unfinished, wrote }
    }

    #[test]
    fn what_became_of_a_set_follows_from_the_run_that_carried_it_out() {
        use KeptState::{Approved, Pending, Previewed};
        let early: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let late: Timestamp = "2026-01-03T00:00:00Z".parse().unwrap();
        let at = |state, by: Option<Carrying>| next(&set(state), by.as_ref(), early);
        let ended = |status, wrote| Some(by(Some(status), (false, wrote)));
        assert_eq!(at(Approved, None), Next::Stay);
        assert_eq!(next(&set(Approved), None, late), Next::Expire);
        assert_eq!(next(&set(Pending), None, late), Next::Expire);
        // It was killed, or cut off: it is carried on, or begun again.
        assert_eq!(at(Approved, Some(by(None, (true, true)))), Next::Stay);
        assert_eq!(at(Approved, Some(by(None, (true, false)))), Next::Stay);
        assert_eq!(at(Approved, Some(by(Some(RunStatus::Partial), (true, true)))), Next::Stay);
        assert_eq!(at(Approved, ended(RunStatus::Applied, true)), Next::Applied);
        assert_eq!(at(Approved, ended(RunStatus::Partial, true)), Next::Applied);
        assert_eq!(at(Approved, ended(RunStatus::NoChanges, false)), Next::Applied);
        assert_eq!(at(Approved, ended(RunStatus::Conflict, false)), Next::Reopen);
        assert_eq!(at(Approved, ended(RunStatus::Held, false)), Next::HeldAgain);
        assert_eq!(at(Previewed, ended(RunStatus::Applied, true)), Next::Applied);
        assert_eq!(at(Previewed, ended(RunStatus::Held, false)), Next::Replaced);
        assert_eq!(at(Previewed, ended(RunStatus::Denied, false)), Next::Stay);
        assert_eq!(at(Pending, ended(RunStatus::Applied, true)), Next::Replaced);
        assert_eq!(at(Pending, ended(RunStatus::Failed, false)), Next::Stay);
    }
}

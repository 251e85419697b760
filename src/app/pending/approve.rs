//! The approval of a held set: who may give it, and how it is applied, once.

use std::sync::Arc;

use jiff::Timestamp;

use crate::app::App;
use crate::app::applied_mark::AppliedMark;
use crate::app::error::AppError;
use crate::app::pending::eyes::Visitor;
use crate::app::pending::{check_digest, check_waits};
use crate::change::Saved;
use crate::host::{Approver, Decision, Decisions, Failure, Finished, Host, Report, Start, Status};
use crate::journal::RunId;
use crate::journal::kept::{KeptSet, KeptState};
use crate::model::User;

/// The most characters of a reason or note.
const MAX_REASON: usize = 1_000;

/// A set that can be approved, and the start of the run that applies it.
pub(crate) struct Approvable {
    pub(crate) set: KeptSet,
    pub(crate) saved: Saved,
    pub(crate) start: Start,
    /// True if whoever approves is signed in as the one who drafted it, so that it can be applied at
    /// once.
    pub(crate) is_own: bool,
}

/// An approved set that is being applied.
pub(crate) struct Applying {
    set: KeptSet,
    mark: AppliedMark,
    /// The run that is carried on with it.
    carries_on: Option<RunId>,
    /// True if it is applied under a sign-in that belongs to its agent alone.
    is_of_agent: bool,
}

impl Applying {
    /// Returns who decides while it is applied: what was approved is approved, and `other` decides on
    /// anything else.
    pub(crate) fn approver(
        &self,
        digest: Option<&str>,
        other: Arc<dyn Approver>,
    ) -> Arc<dyn Approver> {
        let digest = digest.map_or_else(|| self.set.digest.clone(), str::to_owned);
        Arc::new(AsShown { digest, other })
    }

    /// Applies it, on the host of whoever drafted it.
    ///
    /// # Errors
    /// The host is somebody else's, or the run that it belongs to cannot be carried on.
    pub(crate) async fn apply(
        &self,
        host: &Host,
        saved: Saved,
        start: Start,
    ) -> Result<Finished, Failure> {
        match &self.carries_on {
            // The journal knows how far the run has come: the set that was kept does not.
            Some(run) => host.resume(run.as_str(), Decisions::default(), start).await,
            None => {
                self.check_whose(host, &saved).await?;
                Ok(host.apply_saved(saved, start).await)
            }
        }
    }

    /// Fails unless a host has the sign-in under which the set is applied: policies judge it, and the
    /// audit tells of it, as of whoever drafted it (design.md 7).
    async fn check_whose(&self, host: &Host, saved: &Saved) -> Result<(), Failure> {
        if self.is_of_agent {
            return Ok(());
        }
        let me = host.me().await?;
        if me.id == saved.actor {
            return Ok(());
        }
        let id = &self.set.run;
        Err(Failure {
            code: "not_permitted".into(),
            message: format!("`{id}` was drafted under another sign-in than that of {}", me.upn),
            hint: Some(format!("whoever drafted it applies it: `planwright apply {id}`")),
            ..Failure::default()
        })
    }
}

/// A person who has approved one set, as they saw it. Anything else is for the other to decide.
struct AsShown {
    digest: String,
    other: Arc<dyn Approver>,
}

impl Approver for AsShown {
    fn decide(&self, held: &Report, digest: &str) -> Decision {
        if digest == self.digest { Decision::Before } else { self.other.decide(held, digest) }
    }
}

/// Returns the reason or the note of a person, without the blanks around it.
///
/// # Errors
/// It is empty, or too long.
pub(crate) fn reason_of(text: &str) -> Result<String, AppError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AppError::usage("the reason is empty"));
    }
    if text.chars().count() > MAX_REASON {
        return Err(AppError::usage(format!("the reason is longer than {MAX_REASON} characters")));
    }
    Ok(text.to_owned())
}

impl App {
    /// Finds out whether a person may approve a set: `me`, who is signed in, or somebody who came to this
    /// server. With a digest, it is exactly the set that has it.
    ///
    /// # Errors
    /// It does not wait, it is another set by now, or it needs the eyes of somebody else.
    pub(crate) fn to_approve(
        &self,
        set: KeptSet,
        (me, visitor): (&User, Option<&Visitor>),
        digest: Option<&str>,
    ) -> Result<Approvable, AppError> {
        check_waits(&set)?;
        let (saved, start) = self.start_of(&set)?;
        let is_own = saved.actor == me.id;
        self.check_eyes((&set, &saved), me, visitor)?;
        check_digest(&set, digest)?;
        // An agent's own sign-in is here, whoever approves.
        let is_own = is_own || self.own_profile(saved.agent.as_deref()).is_some();
        Ok(Approvable { set, saved, start, is_own })
    }

    /// Begins to apply a set that is approved, by `by` in this moment or by somebody before.
    ///
    /// # Errors
    /// Somebody else applies it, or has decided on it.
    pub(crate) fn begin_approved(
        &self,
        mut set: KeptSet,
        saved: &Saved,
        by: Option<(&User, Option<String>)>,
        now: Timestamp,
    ) -> Result<Applying, AppError> {
        let carries_on = self.carries_on(&set)?;
        // Two at once would write it twice; one that was killed is carried on by `resume`.
        let mark = match carries_on {
            Some(_) => AppliedMark::alone(self, saved, set.run.as_str())?,
            None => AppliedMark::take(self, saved, set.run.as_str(), false)?,
        };
        if by.is_none() {
            match self.still_approved(set.run.as_str(), &set.digest, now) {
                Ok(approved) => set = approved,
                Err(error) => {
                    mark.keep_if(false);
                    return Err(error);
                }
            }
        }
        self.check_not_begun(&set)?;
        if let Some((me, note)) = by
            && let Err(error) = self.decide(&mut set, (me, true, note), now)
        {
            mark.keep_if(false);
            return Err(error);
        }
        let is_of_agent = self.own_profile(saved.agent.as_deref()).is_some();
        Ok(Applying { set, mark, carries_on, is_of_agent })
    }

    /// Reads a set again under the lock of whoever applies it. Somebody may have applied it since it was
    /// read, or tried to: an approval is used once.
    fn still_approved(&self, id: &str, digest: &str, now: Timestamp) -> Result<KeptSet, AppError> {
        let set = self.kept_set(id, None, now)?;
        if set.state == KeptState::Approved && set.digest == digest {
            return Ok(set);
        }
        check_waits(&set)?;
        Err(AppError::new("held", format!("`{id}` is held"))
            .hint(format!("`planwright approve {id}` applies it")))
    }

    /// Enters what came of applying a set.
    ///
    /// # Errors
    /// It could not even be begun, or the journal cannot be written.
    pub(crate) fn end_approved(
        &self,
        applying: Applying,
        applied: Result<Finished, AppError>,
        now: Timestamp,
    ) -> Result<Finished, AppError> {
        let Applying { set, mark, .. } = applying;
        let mut finished = match applied {
            Ok(finished) => finished,
            Err(error) => {
                mark.keep_if(false);
                // Somebody else carries it out, or has to: it stays approved for them. If it were
                // reopened here, the end of theirs would be on no record.
                if !matches!(error.failure.code.as_str(), "at_work" | "not_permitted") {
                    self.reopen(set, now)?;
                }
                return Err(error);
            }
        };
        mark.keep_if(matches!(finished.report.status, Status::Applied | Status::Partial));
        self.settle(&set, &mut finished, now)?;
        Ok(finished)
    }
}

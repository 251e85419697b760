//! The approval of a held set: who may give it, and how it is applied, once.

use std::sync::Arc;

use jiff::Timestamp;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::once::Once;
use crate::app::pending::check_waits;
use crate::change::Saved;
use crate::host::{Approver, Decision, Decisions, Failure, Finished, Host, Report, Start, Status};
use crate::journal::RunId;
use crate::journal::kept::KeptSet;
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
    once: Once,
    /// The run that is carried on with it.
    carries_on: Option<RunId>,
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
        Arc::new(OfDigest { digest, other })
    }

    /// Applies it, on the host of whoever drafted it.
    ///
    /// # Errors
    /// The run that it belongs to cannot be carried on.
    pub(crate) async fn apply(
        &self,
        host: &Host,
        saved: Saved,
        start: Start,
    ) -> Result<Finished, Failure> {
        match &self.carries_on {
            // The journal knows how far the run has come: the set that was kept does not.
            Some(run) => host.resume(run.as_str(), Decisions::default(), start).await,
            None => Ok(host.apply_saved(saved, start).await),
        }
    }
}

/// A person who has approved one set, as they saw it. Anything else is for the other to decide.
struct OfDigest {
    digest: String,
    other: Arc<dyn Approver>,
}

impl Approver for OfDigest {
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
    /// Finds out whether a person may approve a set; with a digest, exactly the set that has it.
    ///
    /// # Errors
    /// It does not wait, it is another set by now, or it needs the eyes of somebody else.
    pub(crate) fn to_approve(
        &self,
        set: KeptSet,
        me: &User,
        digest: Option<&str>,
    ) -> Result<Approvable, AppError> {
        check_waits(&set)?;
        let (saved, start) = self.start_of(&set)?;
        let is_own = saved.actor == me.id;
        if is_own && saved.agent.is_none() && self.workspace.config.approvals.four_eyes {
            let message = "you have drafted this yourself: somebody else must approve it";
            return Err(AppError::new("four_eyes", message)
                .hint("`four_eyes = true` in [approvals] of planwright.toml asks for that"));
        }
        if digest.is_some_and(|digest| digest != set.digest) {
            return Err(AppError::new("not_pending", "the set has another digest")
                .hint(format!("look at it: `planwright pending show {}`", set.run)));
        }
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
        let once = Once::take(self, saved, set.run.as_str(), carries_on.is_some())?;
        self.check_not_begun(&set)?;
        if let Some((me, note)) = by
            && let Err(error) = self.decide(&mut set, (me, true, note), now)
        {
            once.keep_if(false);
            return Err(error);
        }
        Ok(Applying { set, once, carries_on })
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
        let Applying { set, once, .. } = applying;
        let mut finished = match applied {
            Ok(finished) => finished,
            Err(error) => {
                once.keep_if(false);
                self.reopen(set, now)?;
                return Err(error);
            }
        };
        once.keep_if(matches!(finished.report.status, Status::Applied | Status::Partial));
        self.settle(&set, &mut finished, now)?;
        Ok(finished)
    }
}

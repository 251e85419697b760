//! Sets that wait for a person, and previews that can be applied as they were shown: finding one,
//! and taking a decision on it, once.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::app::agent::known_agent;
use crate::app::error::AppError;
use crate::change::Saved;
use crate::host::{Failure, Finished, Start, Status};
use crate::journal::kept::{KeptSet, KeptState, digest_of_writes};
use crate::journal::{Error, Journal, Note, NoteKind, Purpose, RunId};
use crate::model::User;

fn failed(error: &Error) -> AppError {
    Failure::from_error(error.code(), error, error.hint()).into()
}

impl App {
    /// Returns the sets that wait, or have waited, for a person, the oldest first. Those whose time
    /// is over expire.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn held_sets(&self, now: Timestamp) -> Result<Vec<KeptSet>, AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(Vec::new()) };
        let mut sets = journal.held_sets().map_err(|error| failed(&error))?;
        for set in sets.iter_mut().filter(|set| is_over(set, now)) {
            self.expire(set, now)?;
        }
        Ok(sets)
    }

    /// Returns the kept set of a run.
    ///
    /// # Errors
    /// There is none, or the journal cannot be read.
    pub(crate) fn kept_set(&self, id: &str, now: Timestamp) -> Result<KeptSet, AppError> {
        let none = || {
            AppError::new("not_found", format!("no set waits under `{id}`"))
                .hint("`planwright pending` lists what waits for approval")
        };
        let journal = self.state_folder()?.open_to_read()?.ok_or_else(none)?;
        let mut set = journal.kept_set(id).map_err(|error| failed(&error))?.ok_or_else(none)?;
        if is_over(&set, now) {
            self.expire(&mut set, now)?;
        }
        Ok(set)
    }

    fn expire(&self, set: &mut KeptSet, now: Timestamp) -> Result<(), AppError> {
        set.state = KeptState::Expired;
        let note = Note {
            kind: NoteKind::Expired,
            at: now,
            run: Some(set.run.clone()),
            actor: None,
            name: "planwright".to_owned(),
            detail: json!({ "digest": set.digest }),
        };
        self.move_kept(KeptState::Pending, set, Some(&note))?;
        Ok(())
    }

    fn open_journal(&self) -> Result<Journal, AppError> {
        Ok(self.state_folder()?.open()?)
    }

    /// Moves a set to the state it has now, if it still stands where it stood; see
    /// [`Journal::move_kept`].
    fn move_kept(
        &self,
        from: KeptState,
        set: &KeptSet,
        note: Option<&Note>,
    ) -> Result<bool, AppError> {
        self.open_journal()?.move_kept(from, set, note).map_err(|error| failed(&error))
    }

    /// Takes a decision of a person on a pending set.
    ///
    /// # Errors
    /// It does not wait any more, or the journal cannot be written.
    pub(crate) fn decide(
        &self,
        set: &mut KeptSet,
        (by, is_approved, reason): (&User, bool, Option<String>),
        now: Timestamp,
    ) -> Result<(), AppError> {
        check_waits(set)?;
        let (state, kind) = if is_approved {
            (KeptState::Approved, NoteKind::Approved)
        } else {
            (KeptState::Rejected, NoteKind::Rejected)
        };
        (set.state, set.decided_by) = (state, Some(by.upn.clone()));
        set.reason.clone_from(&reason);
        let note = Note {
            kind,
            at: now,
            run: Some(set.run.clone()),
            actor: Some(by.id.clone()),
            name: by.upn.clone(),
            detail: json!({ "digest": set.digest, "reason": reason }),
        };
        if self.move_kept(KeptState::Pending, set, Some(&note))? {
            return Ok(());
        }
        let message = "somebody else has decided on it at the same moment";
        Err(AppError::new("not_pending", message).hint("`planwright pending --all` says what"))
    }

    /// Enters what came of applying an approved set. One that was held again waits again, as it is
    /// now; one of which nothing was written can be approved another time.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn settle(&self, mut set: KeptSet, finished: &mut Finished) -> Result<(), AppError> {
        let report = &mut finished.report;
        let was = set.state;
        match report.status {
            Status::Applied | Status::Partial | Status::NoChanges => {
                set.state = KeptState::Applied;
                set.applied_by = RunId::parse(&report.run_id).ok();
                self.move_kept(was, &set, None)?;
            }
            Status::Held => {
                let Some(saved) = &finished.saved else { return Ok(()) };
                let journal = self.open_journal()?;
                // The new run has kept it as well: it waits once, under the id that is known.
                if let Ok(Some(mut again)) = journal.kept_set(&report.run_id) {
                    again.state = KeptState::Failed;
                    journal
                        .move_kept(KeptState::Pending, &again, None)
                        .map_err(|error| failed(&error))?;
                }
                set.digest = digest_of_writes(&saved.change_set);
                set.saved = serde_json::to_string(saved).unwrap_or_default();
                (set.state, set.decided_by, set.reason) = (KeptState::Pending, None, None);
                journal.keep(&set).map_err(|error| failed(&error))?;
                report.pending = Some(set.run.to_string());
            }
            _ => self.reopen(set)?,
        }
        Ok(())
    }

    /// Lets a set wait again that was approved and could not even be begun.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn reopen(&self, mut set: KeptSet) -> Result<(), AppError> {
        let was = set.state;
        set.state = KeptState::Pending;
        (set.decided_by, set.reason) = (None, None);
        self.move_kept(was, &set, None)?;
        Ok(())
    }

    /// Returns the set that was kept, and the start of the run that applies it.
    ///
    /// # Errors
    /// It cannot be read, or its agent is not configured any more.
    pub(crate) fn start_of(&self, set: &KeptSet) -> Result<(Saved, Start), AppError> {
        let saved = Saved::parse(&set.saved)
            .map_err(|error| AppError::from(Failure::from_error("saved", &error, None)))?;
        let start = self.start_of_saved(&saved, saved.agent.as_deref())?;
        // The run was allowed to delete, or was not: so is its set.
        let start = Start { force: saved.force, ..start };
        Ok((saved, start))
    }

    /// Returns the start of a run that applies a saved set for an agent, or for a person.
    ///
    /// # Errors
    /// Agents are configured, and this is none of them.
    pub(crate) fn start_of_saved(
        &self,
        saved: &Saved,
        agent: Option<&str>,
    ) -> Result<Start, AppError> {
        let mut granted = known_agent(&self.workspace, agent)?;
        if let Some(granted) = granted.as_mut()
            && !self.workspace.config.agents.contains_key(&granted.name)
        {
            // A workspace that does not know the agent sets it no bounds: those of the draft still
            // hold.
            granted.plans.clone_from(&saved.agent_plans);
            granted.may_apply = saved.agent_may_apply;
        }
        Ok(Start {
            purpose: Purpose::Apply,
            skill: saved.skill.clone(),
            skill_digest: saved.skill_digest.clone(),
            params: Value::Null,
            agent: granted,
            force: false,
            dry_run: false,
        })
    }
}

fn is_over(set: &KeptSet, now: Timestamp) -> bool {
    set.state == KeptState::Pending && set.expires_at.is_some_and(|at| at <= now)
}

/// Fails unless a set waits for a person.
///
/// # Errors
/// It was decided on, or it has expired.
pub(crate) fn check_waits(set: &KeptSet) -> Result<(), AppError> {
    let by = set.decided_by.as_deref().unwrap_or("somebody");
    let (what, hint) = match set.state {
        KeptState::Pending => return Ok(()),
        KeptState::Previewed => (
            "it is a preview, which nobody need approve".to_owned(),
            format!("`planwright apply {}` applies it", set.run),
        ),
        KeptState::Approved => {
            (format!("{by} has approved it"), format!("`planwright runs show {}`", set.run))
        }
        KeptState::Rejected => (format!("{by} has rejected it"), run_again()),
        KeptState::Expired => ("nobody decided on it in time".to_owned(), run_again()),
        KeptState::Applied => {
            let run = set.applied_by.as_ref().unwrap_or(&set.run);
            ("it was applied".to_owned(), format!("`planwright runs show {run}` shows how"))
        }
        KeptState::Failed => ("another set has taken its place".to_owned(), run_again()),
    };
    let message = format!("`{}` does not wait for approval: {what}", set.run);
    Err(AppError::new("not_pending", message).hint(hint))
}

fn run_again() -> String {
    "run it again: it starts from what is there now".to_owned()
}

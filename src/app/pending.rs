//! Sets that wait for a person, and previews that can be applied as they were shown: finding one,
//! and taking a decision on it, once. `standing.rs` finds out what came of carrying one out.

pub(crate) mod approve;
pub(crate) mod checked;
pub(crate) mod eyes;
pub(crate) mod proposal;
pub(crate) mod standing;
pub(crate) mod write_approved;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::app::App;
use crate::app::agent::known_agent;
use crate::app::error::AppError;
use crate::change::Saved;
use crate::host::{Failure, Finished, Report, Start, Status};
use crate::journal::kept::{KeptSet, KeptState, KeptStep};
use crate::journal::{Error, Journal, Note, NoteKind, Purpose, RunId};
use crate::model::User;

pub(crate) fn failed(error: &Error) -> AppError {
    Failure::from_error(error.code(), error, error.hint()).into()
}

/// Makes the record of a step that nobody decides on.
fn note(kind: NoteKind, set: &KeptSet, now: Timestamp) -> Note {
    Note {
        kind,
        at: now,
        run: Some(set.run.clone()),
        actor: None,
        name: "planwright".to_owned(),
        detail: json!({
            "digest": set.digest,
            "applied_by": set.applied_by.as_ref().map(RunId::as_str),
        }),
    }
}

impl App {
    /// Returns the sets that wait for a person, the oldest first; with `all`, also those that were
    /// decided on. Each as it stands now.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn held_sets(&self, all: bool, now: Timestamp) -> Result<Vec<KeptSet>, AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(Vec::new()) };
        let mut sets = Vec::new();
        for set in journal.held_sets(all).map_err(|error| failed(&error))? {
            let set = self.brought_up(&journal, set, now)?;
            if all || matches!(set.state, KeptState::Pending | KeptState::Approved) {
                sets.push(set);
            }
        }
        Ok(sets)
    }

    /// Returns the kept set of a run, as it stands now. An agent finds only its own: of the others not
    /// even their number shows.
    ///
    /// # Errors
    /// There is none, or the journal cannot be read.
    pub(crate) fn kept_set(
        &self,
        id: &str,
        agent: Option<&str>,
        now: Timestamp,
    ) -> Result<KeptSet, AppError> {
        let none = || match agent {
            Some(_) => AppError::new("not_found", format!("this agent has nothing under `{id}`")),
            None => AppError::new("not_found", format!("no set waits under `{id}`"))
                .hint("`planwright pending` lists what waits for approval"),
        };
        let journal = self.state_folder()?.open_to_read()?.ok_or_else(none)?;
        let whole = match agent {
            None => id.to_owned(),
            Some(agent) => match journal.run_of_agent(id, agent) {
                Ok(run) => run.to_string(),
                Err(Error::NoRun(_)) => return Err(none()),
                Err(error) => return Err(failed(&error)),
            },
        };
        let set = match journal.kept_set(&whole) {
            Ok(found) => found.ok_or_else(none)?,
            Err(Error::NoRun(_)) => return Err(none()),
            Err(error) => return Err(failed(&error)),
        };
        self.brought_up(&journal, set, now)
    }

    fn open_journal(&self) -> Result<Journal, AppError> {
        Ok(self.state_folder()?.open()?)
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
            actor: Some(by.id.clone()),
            name: by.upn.clone(),
            detail: json!({ "digest": set.digest, "reason": reason }),
            ..note(kind, set, now)
        };
        let from = (KeptState::Pending, set.digest.as_str());
        let step = KeptStep { from, to: set, note: &note };
        if self.open_journal()?.move_kept(&[step]).map_err(|error| failed(&error))? {
            return Ok(());
        }
        let message = "somebody else has decided on it at the same moment";
        Err(AppError::new("not_pending", message).hint("`planwright pending --all` says what"))
    }

    /// Enters what came of carrying a set out. One that was held again waits again, as it is now, under
    /// the id that is known; one of which nothing was written can be approved another time.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn settle(
        &self,
        set: &KeptSet,
        finished: &mut Finished,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let report = &mut finished.report;
        let id = set.run.as_str();
        let settled = self.kept_set(id, None, now)?;
        if report.status == Status::Conflict && settled.state != KeptState::Applied {
            tell_way_out(report, id);
        }
        if settled.state == KeptState::Approved
            && !matches!(report.status, Status::Applied | Status::Partial | Status::NoChanges)
            && !report.unfinished
        {
            // It was not even put on record.
            self.reopen(settled, now)?;
        } else if report.status == Status::Held && settled.state == KeptState::Pending {
            report.pending = Some(id.to_owned());
        }
        Ok(())
    }

    /// Lets a set wait again that was approved and could not even be begun.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn reopen(&self, set: KeptSet, now: Timestamp) -> Result<(), AppError> {
        let (from, digest) = (set.state, set.digest.clone());
        let to = KeptSet { state: KeptState::Pending, decided_by: None, reason: None, ..set };
        let note = note(NoteKind::Reopened, &to, now);
        let step = KeptStep { from: (from, &digest), to: &to, note: &note };
        // If it does not stand there any more, somebody else has taken the step.
        self.open_journal()?.move_kept(&[step]).map_err(|error| failed(&error))?;
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

/// Adds to the report of an approved set that met a conflict what to do about it. The set waits again, but it
/// still rests on what was read when it was drafted: if that was a list of a plan, any change of the plan
/// makes every later approval end the same way.
fn tell_way_out(report: &mut Report, id: &str) {
    let again = match report.skill.as_str() {
        // A script of standard input or of a request has no name.
        "" | "-" | "script" => "run it again".to_owned(),
        skill => format!("run `{skill}` again"),
    };
    let hint = format!(
        "approved again, it meets the same: {again}, which starts from what is there now; \
         once that is written, an equal set that waits is replaced, and \
         `planwright reject {id} --reason TEXT` ends this one at once"
    );
    report.error.get_or_insert_with(|| Failure {
        code: "conflict".into(),
        message: "what the set rests on has changed since it was drafted".into(),
        hint: Some(hint),
        ..Failure::default()
    });
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
            let hint = format!("`planwright apply {}` applies it, as whoever drafted it", set.run);
            (format!("{by} has approved it"), hint)
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

/// Fails if it is another set than the one somebody has seen.
///
/// # Errors
/// The set has another digest.
pub(crate) fn check_digest(set: &KeptSet, digest: Option<&str>) -> Result<(), AppError> {
    if digest.is_none_or(|digest| digest == set.digest) {
        return Ok(());
    }
    Err(AppError::new("not_pending", "the set has another digest")
        .hint(format!("look at it: `planwright pending show {}`", set.run)))
}

/// Fails if a set was applied.
///
/// # Errors
/// It was.
pub(crate) fn check_not_applied(set: &KeptSet) -> Result<(), AppError> {
    if set.state != KeptState::Applied {
        return Ok(());
    }
    let run = set.applied_by.as_ref().unwrap_or(&set.run);
    Err(AppError::new("saved", format!("`{}` was already applied", set.run))
        .hint(format!("`planwright runs show {run}` shows how")))
}

fn run_again() -> String {
    "run it again: it starts from what is there now".to_owned()
}

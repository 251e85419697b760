//! A proposal that a person approves is written to the workspace: exactly what they were shown, in the
//! place of exactly what they were shown.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::pending::checked::check_name;
use crate::app::pending::failed;
use crate::app::pending::proposal::{There, compare, note, proposed_by, sides};
use crate::files::{self, Access};
use crate::host::Stop;
use crate::journal::proposal::{Proposal, ProposalState};
use crate::journal::{Guard, Lockable, NoteKind};
use crate::model::User;

/// Makes the error of whoever comes second.
pub(super) fn is_at_work() -> AppError {
    AppError::new("at_work", "another process is writing it")
}

/// Returns whether the files of a proposal are as it would write them.
fn has(there: &There, proposal: &Proposal) -> bool {
    sides(there, &proposed_by(proposal)).iter().all(|(_, before, after)| before == after)
}

/// Returns whether a proposal under a digest would replace what there is, or what there was before its
/// tests were written: they come first, and whoever wrote them may have been killed.
fn replaces(there: &There, proposal: &Proposal, digest: &str) -> bool {
    let proposed = proposed_by(proposal);
    let without = There { tests: None, ..there.clone() };
    let is_begun = proposal.state == ProposalState::Approved && there.tests == proposed.tests;
    compare(there, &proposed).digest == digest
        || (is_begun && compare(&without, &proposed).digest == digest)
}

impl App {
    /// Locks a proposal; `None` if another process writes it.
    ///
    /// # Errors
    /// The state folder cannot be written.
    pub(super) fn alone_with(&self, proposal: &Proposal) -> Result<Option<Guard>, AppError> {
        let locks = self.state_folder()?.locks()?;
        let locked = locks.try_lock(&Lockable::Proposal(proposal.id.clone()));
        locked.map_err(|error| failed(&error))
    }

    /// Returns whether a proposal for this workspace is in its files already.
    ///
    /// # Errors
    /// A script cannot be read.
    pub(super) fn is_written(&self, proposal: &Proposal) -> Result<bool, AppError> {
        let is_here = self.own_folder()?.display().to_string() == proposal.workspace;
        Ok(is_here && has(&self.there(&proposal.name)?, proposal))
    }

    /// Approves a proposal under the digest that a person was shown, and writes it to the workspace. One
    /// that was approved before, by somebody who was killed, is written as they were shown it.
    ///
    /// # Errors
    /// It is not fit any more, what it would replace is another by now, somebody else has decided on it or
    /// writes it, or a file cannot be written.
    pub(crate) fn approve_proposal(
        &self,
        proposal: &mut Proposal,
        (me, reason, shown): (&User, Option<String>, &str),
        (runtime, interrupt): (&Handle, &Arc<Stop>),
        now: Timestamp,
    ) -> Result<(), AppError> {
        // What it imports may be another than when it was proposed. This takes up to a minute.
        proposed_by(proposal).check((&self.workspace, &proposal.agent), runtime, interrupt)?;
        let _alone = self.alone_with(proposal)?.ok_or_else(is_at_work)?;
        check_name(&self.workspace, &proposal.name)?;
        let there = self.there(&proposal.name)?;
        if proposal.state == ProposalState::Approved {
            if !has(&there, proposal) && !replaces(&there, proposal, &proposal.digest) {
                self.reopen_proposal(proposal, now)?;
                return Err(is_another(proposal));
            }
        } else {
            if !replaces(&there, proposal, shown) {
                return Err(is_another(proposal));
            }
            self.decide_on_proposal(proposal, shown, (me, true, reason), now)?;
        }
        if let Err(error) = self.write(proposal) {
            self.reopen_proposal(proposal, now)?;
            return Err(error);
        }
        proposal.state = ProposalState::Applied;
        let note = note(NoteKind::CarriedOut, proposal, now);
        self.move_proposal((ProposalState::Approved, &proposal.digest), proposal, &note)?;
        Ok(())
    }

    /// Lets a proposal wait again that was approved, and could not be written.
    fn reopen_proposal(&self, proposal: &mut Proposal, now: Timestamp) -> Result<(), AppError> {
        proposal.state = ProposalState::Pending;
        (proposal.decided_by, proposal.reason) = (None, None);
        let note = note(NoteKind::Reopened, proposal, now);
        self.move_proposal((ProposalState::Approved, &proposal.digest), proposal, &note)?;
        Ok(())
    }

    /// Writes the files of a proposal, or again those that are written already.
    fn write(&self, proposal: &Proposal) -> Result<(), AppError> {
        let (root, proposed) = (self.own_folder()?, proposed_by(proposal));
        let [(skill, ..), (tests, ..)] = sides(&There::default(), &proposed);
        // The tests first: a skill in force has them.
        if let Some(text) = &proposed.tests {
            write(&root, &tests, text)?;
        }
        write(&root, &skill, &proposed.source)
    }
}

fn is_another(proposal: &Proposal) -> AppError {
    let message = "what it would replace has changed in the meantime";
    AppError::new("not_pending", message)
        .hint(format!("look at it again: `planwright pending show {}`", proposal.id))
}

/// Writes a script of a workspace, in one step.
fn write(root: &Path, file: &str, text: &str) -> Result<(), AppError> {
    let path = root.join("scripts").join(file);
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder)?;
    // A link would lead it out of the workspace.
    if !folder.canonicalize()?.starts_with(root) {
        let message = format!("`{}` leads out of the workspace", folder.display());
        return Err(AppError::new("workspace", message));
    }
    Ok(files::replace(&path, text.as_bytes(), Access::Usual)?)
}

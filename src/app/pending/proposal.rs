//! Skills that agents propose: kept until a person decides, and written to the workspace if that is a
//! yes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use similar::TextDiff;
use tokio::runtime::Handle;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::pending::checked::{Proposed, check_name};
use crate::app::pending::failed;
use crate::files::{self, Access};
use crate::host::Stop;
use crate::journal::proposal::{Proposal, ProposalState};
use crate::journal::{Lockable, Note, NoteKind};
use crate::model::User;
use crate::script::Workspace;

/// The most proposals of an agent that wait.
const MAX_WAITING: u32 = 10;
/// The most characters of a reason.
const MAX_REASON: usize = 1_000;
/// The longest search for a small difference; a larger one is as true.
const DIFF_TIME: Duration = Duration::from_millis(300);

/// A difference between what there is and what would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The difference, in unified form.
    pub(crate) diff: String,
    /// The digest of both sides.
    pub(crate) digest: String,
}

/// Makes the record of a step.
fn note(kind: NoteKind, proposal: &Proposal, now: Timestamp) -> Note {
    Note {
        kind,
        at: now,
        run: None,
        actor: None,
        name: proposal.agent.clone(),
        detail: json!({
            "proposal": proposal.id,
            "agent": proposal.agent,
            "skill": proposal.name,
            "digest": proposal.digest,
            "reason": proposal.reason,
        }),
    }
}

/// Returns the texts that a proposal would replace, and those that it would write.
fn sides<'a>(
    workspace: &'a Workspace,
    proposed: &'a Proposed,
) -> [(String, Option<&'a str>, Option<&'a str>); 2] {
    let name = &proposed.name;
    let own = |file: &str, text: Option<&'a String>| {
        text.filter(|_| workspace.is_own(file)).map(String::as_str)
    };
    let (skill, tests) = (format!("skills/{name}.rhai"), format!("tests/{name}.rhai"));
    let before = own(&skill, workspace.skills.get(name));
    let before_tests = own(&tests, workspace.tests.get(name));
    [
        (skill, before, Some(proposed.source.as_str())),
        // Tests that are there stay if none come with the proposal.
        (tests, before_tests, proposed.tests.as_deref().or(before_tests)),
    ]
}

/// Compares a proposal with what there is.
pub(crate) fn compare(workspace: &Workspace, proposed: &Proposed) -> Difference {
    let sides = sides(workspace, proposed);
    let mut diff = String::new();
    for (file, before, after) in &sides {
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        if before == after {
            continue;
        }
        let (old, new) = (format!("a/scripts/{file}"), format!("b/scripts/{file}"));
        let compared = TextDiff::configure().timeout(DIFF_TIME).diff_lines(before, after);
        diff.push_str(&compared.unified_diff().context_radius(3).header(&old, &new).to_string());
    }
    let all =
        json!([proposed.name, sides.map(|(file, before, after)| json!([file, before, after]))]);
    let digest = format!("sha256:{:x}", Sha256::digest(all.to_string().as_bytes()));
    Difference { diff, digest }
}

/// Returns the skill of a proposal.
pub(crate) fn proposed_by(proposal: &Proposal) -> Proposed {
    Proposed {
        name: proposal.name.clone(),
        source: proposal.source.clone(),
        tests: proposal.tests.clone(),
    }
}

/// Returns all of a proposal.
pub(crate) fn whole(proposal: &Proposal, difference: &Difference) -> Value {
    let mut shown = listed(proposal);
    shown["purpose"] = json!(proposal.purpose);
    shown["remarks"] = json!(proposal.remarks);
    shown["source"] = json!(proposal.source);
    shown["tests"] = json!(proposal.tests);
    shown["diff"] = json!(difference.diff);
    shown
}

/// Returns a proposal as it is listed.
pub(crate) fn listed(proposal: &Proposal) -> Value {
    json!({
        "id": proposal.id,
        "kind": "skill",
        "run_id": null,
        "actor": {
            "id": proposal.actor_id, "upn": proposal.actor_upn, "agent": proposal.agent,
        },
        "skill": proposal.name,
        "created_at": proposal.at,
        "expires_at": proposal.expires_at,
        "changes": 0,
        "digest": proposal.digest,
        "state": proposal.state.name(),
        "decided_by": proposal.decided_by,
        "reason": proposal.reason,
        "applied_by": null,
    })
}

impl App {
    /// Returns the folder of the workspace, into which a skill could be written.
    fn own_folder(&self) -> Result<PathBuf, AppError> {
        let Some(root) = &self.workspace.root else {
            let message = "there is no workspace into which a skill could be written";
            return Err(AppError::new("denied", message)
                .hint("`planwright init` makes one; `--workspace DIR` names one"));
        };
        Ok(root.canonicalize()?)
    }

    /// Checks a skill that an agent proposes, and keeps it until a person decides.
    ///
    /// # Errors
    /// It does not pass, its name is taken, too many wait already, the agent is paused, or the journal
    /// cannot be written.
    pub(crate) fn propose(
        &self,
        (me, agent): (&User, &str),
        (proposed, reason): (Proposed, &str),
        (runtime, interrupt): (&Handle, &Arc<Stop>),
        now: Timestamp,
    ) -> Result<(Proposal, Difference), AppError> {
        self.agent(Some(agent))?;
        let folder = self.own_folder()?;
        check_name(&self.workspace, &proposed.name)?;
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > MAX_REASON {
            let message = format!("the reason has 1 to {MAX_REASON} characters");
            return Err(AppError::new("parameter", message));
        }
        if let Some(journal) = self.state_folder()?.open_to_read()? {
            journal.check_not_paused(agent).map_err(|error| failed(&error))?;
        }
        let difference = compare(&self.workspace, &proposed);
        if difference.diff.is_empty() {
            return Err(AppError::new("parameter", "this is what there is already"));
        }
        let remarks = proposed.check(&self.workspace, runtime, interrupt)?;
        let time = self.workspace.config.approvals.time();
        let proposal = Proposal {
            id: uuid::Uuid::now_v7().to_string(),
            at: now,
            expires_at: now.checked_add(time).unwrap_or(now),
            agent: agent.to_owned(),
            actor_id: me.id.to_string(),
            actor_upn: me.upn.clone(),
            workspace: folder.display().to_string(),
            name: proposed.name,
            source: proposed.source,
            tests: proposed.tests,
            purpose: reason.to_owned(),
            remarks,
            digest: difference.digest.clone(),
            state: ProposalState::Pending,
            decided_by: None,
            reason: None,
        };
        let mut note = note(NoteKind::Proposed, &proposal, now);
        note.actor = Some(me.id.clone());
        note.detail["reason"] = json!(reason);
        let kept = self.state_folder()?.open()?.propose(&proposal, MAX_WAITING, &note);
        if kept.map_err(|error| failed(&error))? {
            return Ok((proposal, difference));
        }
        let message = format!("{MAX_WAITING} proposals of this agent wait already");
        Err(AppError::new("denied", message))
    }

    /// Returns the proposals for this workspace that wait; with `all`, also those that were decided on.
    /// An agent sees its own.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) fn proposals(
        &self,
        agent: Option<&str>,
        all: bool,
        now: Timestamp,
    ) -> Result<Vec<Proposal>, AppError> {
        let Ok(folder) = self.own_folder() else { return Ok(Vec::new()) };
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(Vec::new()) };
        let mut shown = Vec::new();
        let found = journal.proposals(&folder.display().to_string(), all);
        for proposal in found.map_err(|error| failed(&error))? {
            let proposal = self.not_expired(proposal, now)?;
            let is_open =
                matches!(proposal.state, ProposalState::Pending | ProposalState::Approved);
            if (all || is_open) && agent.is_none_or(|agent| agent == proposal.agent) {
                shown.push(proposal);
            }
        }
        Ok(shown)
    }

    /// Returns the proposal of an id, or of the beginning of one; an agent finds only its own.
    ///
    /// # Errors
    /// Several begin so, or the journal cannot be read.
    pub(crate) fn proposal(
        &self,
        id: &str,
        agent: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Proposal>, AppError> {
        let Some(journal) = self.state_folder()?.open_to_read()? else { return Ok(None) };
        if id.is_empty() {
            return Ok(None);
        }
        let mut found = journal.proposals_like(id, agent).map_err(|error| failed(&error))?;
        let Some(proposal) = found.pop() else { return Ok(None) };
        if !found.is_empty() {
            let message = format!("{} proposals begin with `{id}`", found.len() + 1);
            return Err(AppError::new("ambiguous", message).hint("give more of the id"));
        }
        Ok(Some(self.not_expired(proposal, now)?))
    }

    fn not_expired(&self, mut proposal: Proposal, now: Timestamp) -> Result<Proposal, AppError> {
        if proposal.state == ProposalState::Pending && proposal.expires_at <= now {
            proposal.state = ProposalState::Expired;
            let note = note(NoteKind::Expired, &proposal, now);
            self.move_proposal((ProposalState::Pending, &proposal.digest), &proposal, &note)?;
        }
        Ok(proposal)
    }

    fn move_proposal(
        &self,
        from: (ProposalState, &str),
        to: &Proposal,
        note: &Note,
    ) -> Result<bool, AppError> {
        let journal = self.state_folder()?.open()?;
        journal.move_proposal(from, to, note).map_err(|error| failed(&error))
    }

    /// Compares a proposal with what there is now. If that is another than when it was proposed, it
    /// waits on under the digest of what a person would approve now.
    ///
    /// # Errors
    /// It is for another workspace, or the journal cannot be written.
    pub(crate) fn compare_now(
        &self,
        proposal: &mut Proposal,
        now: Timestamp,
    ) -> Result<Difference, AppError> {
        if self.own_folder()?.display().to_string() != proposal.workspace {
            let message = format!("the proposal is for the workspace `{}`", proposal.workspace);
            return Err(AppError::new("workspace", message)
                .hint(format!("--workspace {}", proposal.workspace)));
        }
        let difference = compare(&self.workspace, &proposed_by(proposal));
        if proposal.state == ProposalState::Pending && difference.digest != proposal.digest {
            let before = std::mem::replace(&mut proposal.digest, difference.digest.clone());
            let note = note(NoteKind::Reopened, proposal, now);
            self.move_proposal((ProposalState::Pending, &before), proposal, &note)?;
        }
        Ok(difference)
    }

    /// Compares a proposal with what there is now, for a person who approves it, perhaps by a digest.
    /// Returns what it would change, and whether that is what they have been shown.
    ///
    /// # Errors
    /// It does not wait, it has another digest, or it is for another workspace.
    pub(crate) fn to_approve_proposal(
        &self,
        proposal: &mut Proposal,
        digest: Option<&str>,
        now: Timestamp,
    ) -> Result<(Difference, bool), AppError> {
        check_proposal_waits(proposal)?;
        let before = proposal.digest.clone();
        let difference = self.compare_now(proposal, now)?;
        let is_named = digest == Some(proposal.digest.as_str());
        if digest.is_some() && !is_named {
            return Err(AppError::new("not_pending", "the proposal has another digest")
                .hint(format!("look at it: `planwright pending show {}`", proposal.id)));
        }
        Ok((difference, is_named || before == proposal.digest))
    }

    /// Approves a proposal as it stands, and writes it to the workspace.
    ///
    /// # Errors
    /// It is not fit any more, somebody else has decided on it, or it cannot be written.
    pub(crate) fn approve_proposal(
        &self,
        proposal: &mut Proposal,
        (me, note): (&User, Option<String>),
        (runtime, interrupt): (&Handle, &Arc<Stop>),
        now: Timestamp,
    ) -> Result<(), AppError> {
        // What it imports may be another than when it was proposed.
        proposed_by(proposal).check(&self.workspace, runtime, interrupt)?;
        self.decide_proposal(proposal, (me, true, note), now)?;
        self.put_in_force(proposal, now)
    }

    /// Takes a decision of a person on a proposal.
    ///
    /// # Errors
    /// It does not wait any more, or the journal cannot be written.
    pub(crate) fn decide_proposal(
        &self,
        proposal: &mut Proposal,
        (by, is_approved, reason): (&User, bool, Option<String>),
        now: Timestamp,
    ) -> Result<(), AppError> {
        check_proposal_waits(proposal)?;
        let (state, kind) = if is_approved {
            (ProposalState::Approved, NoteKind::Approved)
        } else {
            (ProposalState::Rejected, NoteKind::Rejected)
        };
        (proposal.state, proposal.decided_by) = (state, Some(by.upn.clone()));
        proposal.reason = reason;
        let note =
            Note { actor: Some(by.id.clone()), name: by.upn.clone(), ..note(kind, proposal, now) };
        let from = (ProposalState::Pending, proposal.digest.as_str());
        if self.move_proposal(from, proposal, &note)? {
            return Ok(());
        }
        let message = "somebody else has decided on it at the same moment";
        Err(AppError::new("not_pending", message).hint("`planwright pending --all` says what"))
    }

    /// Writes an approved proposal to the workspace. Whoever was killed in between is helped on by
    /// whoever comes next: the same texts are written again.
    ///
    /// # Errors
    /// What it would replace is not what was approved any more, another process writes it, or a file
    /// cannot be written.
    pub(crate) fn put_in_force(
        &self,
        proposal: &mut Proposal,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let folder = self.own_folder()?;
        let locks = self.state_folder()?.locks()?;
        let locked = locks.try_lock(&Lockable::Proposal(proposal.id.clone()));
        let Some(_alone) = locked.map_err(|error| failed(&error))? else {
            return Err(AppError::new("at_work", "another process is writing it"));
        };
        check_name(&self.workspace, &proposal.name)?;
        let proposed = proposed_by(proposal);
        let [(skill, _, source), (tests, _, _)] = sides(&self.workspace, &proposed);
        // The tests first: a skill in force has them.
        if let Some(text) = &proposed.tests {
            write(&folder, &tests, text)?;
        }
        write(&folder, &skill, source.unwrap_or_default())?;
        proposal.state = ProposalState::Applied;
        let note = note(NoteKind::CarriedOut, proposal, now);
        self.move_proposal((ProposalState::Approved, &proposal.digest), proposal, &note)?;
        Ok(())
    }
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

/// Fails unless a proposal waits for a person.
///
/// # Errors
/// It was decided on, or it has expired.
pub(crate) fn check_proposal_waits(proposal: &Proposal) -> Result<(), AppError> {
    let by = proposal.decided_by.as_deref().unwrap_or("somebody");
    let what = match proposal.state {
        ProposalState::Pending => return Ok(()),
        ProposalState::Approved => format!("{by} has approved it"),
        ProposalState::Rejected => format!("{by} has rejected it"),
        ProposalState::Expired => "nobody decided on it in time".to_owned(),
        ProposalState::Applied => format!("{by} has approved it, and it is in force"),
    };
    let message = format!("`{}` does not wait for approval: {what}", proposal.id);
    Err(AppError::new("not_pending", message).hint("it can be proposed again"))
}

//! Skills that agents propose: kept until a person decides, and written to the workspace if that is a
//! yes.

use std::path::PathBuf;
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
use crate::app::pending::write_approved::is_at_work;
use crate::host::Stop;
use crate::journal::proposal::{Proposal, ProposalState};
use crate::journal::{Error, Note, NoteKind};
use crate::model::User;
use crate::script::workspace::read_script;

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
pub(super) fn note(kind: NoteKind, proposal: &Proposal, now: Timestamp) -> Note {
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

/// The texts of a skill and of its tests, as a workspace has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct There {
    pub(crate) skill: Option<String>,
    pub(crate) tests: Option<String>,
}

/// Returns the files of a proposal, each with the text that it would replace, and the one that it would
/// write.
pub(crate) fn sides<'a>(
    there: &'a There,
    proposed: &'a Proposed,
) -> [(String, Option<&'a str>, Option<&'a str>); 2] {
    let name = &proposed.name;
    let (before, before_tests) = (there.skill.as_deref(), there.tests.as_deref());
    [
        (format!("skills/{name}.rhai"), before, Some(proposed.source.as_str())),
        // Tests that are there stay if none come with the proposal.
        (format!("tests/{name}.rhai"), before_tests, proposed.tests.as_deref().or(before_tests)),
    ]
}

/// Compares a proposal with what there is.
pub(crate) fn compare(there: &There, proposed: &Proposed) -> Difference {
    let sides = sides(there, proposed);
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

/// Returns the digest by which a person would approve a proposal now.
pub(crate) fn digest_now<'a>(proposal: &'a Proposal, difference: &'a Difference) -> &'a str {
    match proposal.state {
        ProposalState::Pending => &difference.digest,
        // It was of what was decided on.
        _ => &proposal.digest,
    }
}

/// Returns all of a proposal.
pub(crate) fn whole(proposal: &Proposal, difference: &Difference) -> Value {
    let mut shown = listed(proposal);
    shown["digest"] = json!(digest_now(proposal, difference));
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
    pub(super) fn own_folder(&self) -> Result<PathBuf, AppError> {
        let Some(root) = &self.workspace.root else {
            let message = "there is no workspace into which a skill could be written";
            return Err(AppError::new("denied", message)
                .hint("`planwright init` makes one; `--workspace DIR` names one"));
        };
        Ok(root.canonicalize()?)
    }

    /// Reads the texts of a skill and of its tests, as they are on disk in this moment: the workspace of
    /// this process may be of an hour ago.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(crate) fn there(&self, name: &str) -> Result<There, AppError> {
        let Some(root) = &self.workspace.root else { return Ok(There::default()) };
        let read = |folder: &str| {
            let path = root.join("scripts").join(folder).join(format!("{name}.rhai"));
            path.exists().then(|| read_script(&path)).transpose()
        };
        Ok(There { skill: read("skills")?, tests: read("tests")? })
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
        let difference = compare(&self.there(&proposed.name)?, &proposed);
        if difference.diff.is_empty() {
            return Err(AppError::new("parameter", "this is what there is already"));
        }
        let remarks = proposed.check((&self.workspace, agent), runtime, interrupt)?;
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

    /// Returns the proposal of an id, or of a unique beginning or end of one; an agent finds only its own.
    ///
    /// # Errors
    /// Several have it, a set that waits among them, or the journal cannot be read.
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
            let message =
                format!("the ids of {} proposals begin or end with `{id}`", found.len() + 1);
            return Err(AppError::new("ambiguous", message).hint("give more of the id"));
        }
        // Nobody decides on one thing by a part of an id that another has as well.
        let set = match agent {
            None => journal.kept_set(id).map(|set| set.is_some()),
            Some(agent) => journal.run_of_agent(id, agent).map(|_| true),
        };
        if matches!(set, Ok(true) | Err(Error::Ambiguous { .. })) {
            let message =
                format!("a proposal and a set that waits have ids that begin or end with `{id}`");
            return Err(AppError::new("ambiguous", message).hint("give more of the id"));
        }
        Ok(Some(self.not_expired(proposal, now)?))
    }

    /// Brings a proposal to where it stands now.
    fn not_expired(&self, mut proposal: Proposal, now: Timestamp) -> Result<Proposal, AppError> {
        let (from, is_over) = (proposal.state, proposal.expires_at <= now);
        let _alone = match from {
            ProposalState::Pending if is_over => None,
            // Whoever was to write it was killed.
            ProposalState::Approved => match self.alone_with(&proposal)? {
                Some(alone) => Some(alone),
                None => return Ok(proposal),
            },
            _ => return Ok(proposal),
        };
        let kind = if from == ProposalState::Approved && self.is_written(&proposal)? {
            proposal.state = ProposalState::Applied;
            NoteKind::CarriedOut
        } else if is_over {
            proposal.state = ProposalState::Expired;
            NoteKind::Expired
        } else {
            return Ok(proposal);
        };
        let note = note(kind, &proposal, now);
        self.move_proposal((from, &proposal.digest), &proposal, &note)?;
        Ok(proposal)
    }

    pub(super) fn move_proposal(
        &self,
        from: (ProposalState, &str),
        to: &Proposal,
        note: &Note,
    ) -> Result<bool, AppError> {
        let journal = self.state_folder()?.open()?;
        journal.move_proposal(from, to, note).map_err(|error| failed(&error))
    }

    /// Compares a proposal with what there is now.
    ///
    /// # Errors
    /// It is for another workspace, or a script cannot be read.
    pub(crate) fn compare_now(&self, proposal: &Proposal) -> Result<Difference, AppError> {
        if self.own_folder()?.display().to_string() != proposal.workspace {
            let message = format!("the proposal is for the workspace `{}`", proposal.workspace);
            return Err(AppError::new("workspace", message)
                .hint(format!("--workspace {}", proposal.workspace)));
        }
        Ok(compare(&self.there(&proposal.name)?, &proposed_by(proposal)))
    }

    /// Compares a proposal with what there is now, for a person who approves it, perhaps by a digest.
    /// Returns what it would change, and whether that is what they have been shown: without a digest,
    /// that is what was proposed.
    ///
    /// # Errors
    /// It does not wait, it has another digest, or it is for another workspace.
    pub(crate) fn to_approve_proposal(
        &self,
        proposal: &Proposal,
        digest: Option<&str>,
    ) -> Result<(Difference, bool), AppError> {
        let is_approved = proposal.state == ProposalState::Approved;
        if !is_approved {
            check_proposal_waits(proposal)?;
        }
        let difference = self.compare_now(proposal)?;
        let now = digest_now(proposal, &difference);
        if digest.is_some_and(|digest| digest != now) {
            return Err(AppError::new("not_pending", "the proposal has another digest")
                .hint(format!("look at it: `planwright pending show {}`", proposal.id)));
        }
        let is_shown = digest.is_some() || now == proposal.digest;
        Ok((difference, is_shown))
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
        let digest = proposal.digest.clone();
        self.decide_on_proposal(proposal, &digest, (by, is_approved, reason), now)
    }

    /// Takes a decision of a person on a proposal, under the digest of what they have been shown.
    ///
    /// # Errors
    /// It does not wait any more, or the journal cannot be written.
    pub(super) fn decide_on_proposal(
        &self,
        proposal: &mut Proposal,
        shown: &str,
        (by, is_approved, reason): (&User, bool, Option<String>),
        now: Timestamp,
    ) -> Result<(), AppError> {
        // What was approved and is not in force is no less to be rejected.
        let is_left = proposal.state == ProposalState::Approved && !is_approved;
        let _alone = if is_left {
            Some(self.alone_with(proposal)?.ok_or_else(is_at_work)?)
        } else {
            check_proposal_waits(proposal)?;
            None
        };
        let from = proposal.state;
        let (state, kind) = if is_approved {
            (ProposalState::Approved, NoteKind::Approved)
        } else {
            (ProposalState::Rejected, NoteKind::Rejected)
        };
        (proposal.state, proposal.decided_by) = (state, Some(by.upn.clone()));
        proposal.reason = reason;
        let before = std::mem::replace(&mut proposal.digest, shown.to_owned());
        let note =
            Note { actor: Some(by.id.clone()), name: by.upn.clone(), ..note(kind, proposal, now) };
        if self.move_proposal((from, &before), proposal, &note)? {
            return Ok(());
        }
        let message = "somebody else has decided on it at the same moment";
        Err(AppError::new("not_pending", message).hint("`planwright pending --all` says what"))
    }
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

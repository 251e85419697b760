//! Features of Graph's beta only: archived plans, moves between plans, recurring tasks, rosters.
//!
//! Microsoft may change the beta without notice, so it is used only where it was asked for.

use std::collections::BTreeSet;

use crate::change::Read;
use crate::host::error::Error;
use crate::host::query::Query;
use crate::host::session::core::Session;
use crate::host::session::edits::Editor;
use crate::model::{
    BucketId, Comment, NewComment, Plan, PlanId, Recurrence, RosterId, TaskId, User,
};
use crate::policy::limits::{comment_over, json_bytes};

impl Session {
    fn check_beta(&self, what: &'static str) -> Result<(), Error> {
        if self.facts().beta { Ok(()) } else { Err(Error::NeedsBeta(what)) }
    }

    /// Checks that there may be a chat: it is for users only (planner-api.md 2.9).
    fn check_chat(&self, what: &'static str) -> Result<(), Error> {
        self.check_beta(what)?;
        if self.facts().is_application { Err(Error::NeedsUser(what)) } else { Ok(()) }
    }

    /// Returns the members of the roster that contains a plan, those that the run adds included;
    /// `None` for a plan outside any.
    ///
    /// # Errors
    /// The service cannot be reached.
    pub fn roster_members(&self, id: &PlanId) -> Result<Option<Vec<User>>, Error> {
        let id = &*self.real(id);
        let plan = self.peek_plan(id)?;
        let Some(roster) = &plan.roster else { return Ok(None) };
        let mut ids: BTreeSet<_> = plan.new_members.into_iter().collect();
        if roster.is_provisional() {
            ids.insert(self.facts().me.id.clone());
        } else {
            if self.state().snapshot.members_of_roster(roster).is_none() {
                self.fetch(&Query::RosterMembers(roster.clone()))?;
            }
            let there = self.state().snapshot.members_of_roster(roster).map(<[_]>::to_vec);
            ids.extend(there.unwrap_or_default());
            self.count(Read::RosterMembers(roster.clone()));
        }
        let users = ids.iter().map(|id| self.find_user(id.as_str()));
        users.collect::<Result<_, _>>().map(Some)
    }
}

impl Session {
    /// Returns the comments on a task, the oldest first, those that the run adds included.
    ///
    /// # Errors
    /// The beta is not in use, an application is signed in, the task does not exist, or the service
    /// cannot be reached.
    pub fn comments(&self, id: &TaskId) -> Result<Vec<Comment>, Error> {
        let id = &*self.real(id);
        self.check_chat("reading the comments of a task")?;
        // Found out first whether the actor may see it.
        self.with_task(id, |_| ())?;
        let mut comments = self.read_comments(id)?;
        if self.overlaid() {
            let state = self.state();
            comments.extend(state.draft.comments_on(id).map(|new| self.as_comment(new)));
        }
        self.count(Read::Comments(id.clone()));
        Ok(comments)
    }

    /// Returns a comment that the run adds as it will be read.
    #[must_use]
    pub fn as_comment(&self, new: &NewComment) -> Comment {
        Comment {
            id: new.id.clone(),
            content: new.text.replace('&', "&amp;"),
            is_html: false,
            by: Some(self.facts().me.id.clone()),
            at: None,
            edited_at: None,
            is_deleted: false,
        }
    }

    /// Returns the comments on a task as they were read, reading them if they were not.
    pub(crate) fn read_comments(&self, id: &TaskId) -> Result<Vec<Comment>, Error> {
        let known = || self.state().snapshot.comments_on(id).map(<[_]>::to_vec);
        if !id.is_provisional() && known().is_none() {
            self.fetch(&Query::Comments(id.clone()))?;
        }
        Ok(known().unwrap_or_default())
    }
}

impl Editor<'_> {
    /// Archives a plan, or restores it.
    ///
    /// # Errors
    /// The beta is not in use, or as [`Self::edit_plan`].
    pub fn archive_plan(self, id: &PlanId, archive: bool, reason: &str) -> Result<(), Error> {
        let id = &*self.real(id);
        self.check_beta("archiving a plan")?;
        let reason = reason.to_owned();
        self.edit_plan(id, |plan| {
            if plan.archival.is_archived != archive {
                plan.archival.is_archived = archive;
                plan.archival.justification = reason;
            }
        })
    }

    /// Moves a task to another plan: into a bucket of it, or into none. Its labels keep their
    /// numbers, which may have other names there.
    ///
    /// # Errors
    /// The beta is not in use, the bucket is of a third plan, or as [`Self::edit_task`].
    pub fn move_task_to_plan(
        self,
        id: &TaskId,
        plan: &PlanId,
        bucket: Option<&BucketId>,
    ) -> Result<(), Error> {
        let id = &*self.real(id);
        let plan = &*self.real(plan);
        self.check_beta("moving a task to another plan")?;
        self.peek_plan(plan)?;
        if let Some(bucket) = bucket
            && self.peek_bucket(bucket)?.plan != *plan
        {
            return Err(Error::Invalid("the bucket belongs to a third plan".to_owned()));
        }
        if self.peek_task(id)?.plan == *plan && bucket.is_none() {
            return Ok(());
        }
        self.edit_task(id, |task| {
            task.plan = plan.clone();
            task.bucket = bucket.cloned();
        })
    }

    /// Adds a comment to a task. It cannot be taken back: the beta takes no `If-Match` there, and
    /// nothing is deleted without one (rule R3).
    ///
    /// # Errors
    /// The beta is not in use, an application is signed in, the text is empty or too long, or as
    /// [`Self::edit_task`].
    pub fn add_comment(self, id: &TaskId, text: &str) -> Result<(), Error> {
        let id = &*self.real(id);
        self.check_chat("a comment on a task")?;
        let text = text.trim();
        Self::refuse(comment_over(text, &self.facts().limits))?;
        let (plan, title) = match id.is_provisional() {
            true => self.with_task(id, |task| (task.plan.clone(), task.title.clone()))?,
            // Those of the board: policies judge the plan, and people see the title in the diff.
            false => {
                self.with_task(id, |_| ())?;
                let read = self.read_task(id)?.value;
                (read.plan, read.title)
            }
        };
        self.count_text(json_bytes(text))?;
        self.state().draft.add_comment(|comment| NewComment {
            id: comment,
            task: id.clone(),
            plan,
            title,
            text: text.to_owned(),
        });
        Ok(())
    }

    /// Makes a task recur, or stops it from doing so.
    ///
    /// # Errors
    /// The beta is not in use, the pattern breaks its rules, or as [`Self::edit_task`].
    pub fn set_recurrence(self, id: &TaskId, wanted: Option<Recurrence>) -> Result<(), Error> {
        let id = &*self.real(id);
        self.check_beta("a recurring task")?;
        if let Some(recurrence) = &wanted {
            recurrence.pattern.check().map_err(Error::Invalid)?;
        }
        self.edit_task(id, |task| {
            let old = task.recurrence();
            let same = match (old, &wanted) {
                (Some(old), Some(new)) => (&old.pattern, old.start) == (&new.pattern, new.start),
                (old, new) => old.is_none() && new.is_none(),
            };
            if !same {
                task.beta.get_or_insert_default().recurrence = wanted;
            }
        })
    }

    /// Drafts a new plan in a roster of its own, of which the actor is the first member; returns
    /// its provisional id.
    ///
    /// # Errors
    /// The beta is not in use, or the board is read only here.
    pub fn create_roster_plan(self, title: &str) -> Result<PlanId, Error> {
        self.check_beta("a plan in a roster")?;
        let title = title.to_owned();
        let mut state = self.state();
        let nonce = state.draft.nonce().to_owned();
        Ok(state.draft.create_plan(|id| Plan {
            roster: Some(RosterId::provisional(&nonce, 0)),
            ..Plan::new(id, title)
        }))
    }

    /// Adds a person to the roster of a plan. Nobody can be removed: the beta takes no `If-Match`
    /// there, and nothing is deleted without one (rule R3).
    ///
    /// # Errors
    /// The plan is in no roster, or as [`Self::edit_plan`].
    pub fn add_member(self, id: &PlanId, user: &User) -> Result<(), Error> {
        let id = &*self.real(id);
        self.check_beta("a member of a roster")?;
        let Some(members) = self.roster_members(id)? else {
            let message = "the plan is in a group: its members are the group's".to_owned();
            return Err(Error::Invalid(message));
        };
        if members.iter().any(|member| member.id == user.id) {
            return Ok(());
        }
        self.edit_plan(id, |plan| {
            plan.new_members.insert(user.id.clone());
        })
    }
}

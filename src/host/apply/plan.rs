//! Writing a plan: its title, whether it is put away, who is in its roster.

use crate::change::Edit;
use crate::host::apply::outcome::Trouble;
use crate::host::apply::{Part, Reads, Within, Work};
use crate::model::{ETag, Plan, PlanId, RosterId, UserId, Versioned};
use crate::wire::entity::Made;
use crate::wire::request;

impl Work<'_> {
    pub(super) async fn write_plan(
        &mut self,
        edit: &Edit<Plan, ETag>,
        reads: &Reads,
        attempts: &mut u32,
        wrote: &mut bool,
    ) -> Result<(), Trouble> {
        match edit {
            Edit::Create { after } => self.create_plan(after, attempts, wrote).await,
            Edit::Update { before, after, basis } => {
                self.update_plan((before, after), basis, reads, attempts, wrote).await
            }
            Edit::Delete { before, basis } => {
                self.delete(&request::delete_plan(&before.id, basis.clone()), attempts).await
            }
        }
    }

    async fn create_plan(
        &mut self,
        after: &Plan,
        attempts: &mut u32,
        wrote: &mut bool,
    ) -> Result<(), Trouble> {
        let title = self.resolved_text(&after.title)?;
        let roster = match (&after.group, &after.roster) {
            (Some(_), _) => None,
            (None, Some(_)) => {
                let made: Made<RosterId> =
                    self.create(&request::create_roster(), Within::Nothing, attempts).await?;
                // Empty, it goes by itself after a day (planner-api.md 2.9).
                *wrote = true;
                Some(made.0)
            }
            (None, None) => return Err(Trouble::Unresolved("a group".to_owned())),
        };
        let made: Versioned<Plan> = match (&after.group, &roster) {
            (Some(group), _) => {
                let create = request::create_plan(group, &title);
                self.create(&create, Within::Group(group), attempts).await?
            }
            (None, Some(roster)) => {
                let create = request::create_roster_plan(roster, &title);
                self.create(&create, Within::Made, attempts).await?
            }
            (None, None) => return Err(Trouble::Unresolved("a group".to_owned())),
        };
        *wrote = true;
        self.done.ids.insert(after.id.to_string(), made.value.id.to_string());
        if let Some(roster) = &roster {
            self.add_members(roster, after.new_members.iter(), attempts).await?;
        }
        Ok(())
    }

    async fn add_members(
        &mut self,
        roster: &RosterId,
        users: impl Iterator<Item = &UserId>,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        for user in users {
            let add = request::add_roster_member(roster, user);
            let _member: Made<UserId> = self.create(&add, Within::Made, attempts).await?;
        }
        Ok(())
    }

    /// What is put away can not be changed: a plan is taken back before it is renamed, and put
    /// away after it.
    async fn update_plan(
        &mut self,
        (before, after): (&Plan, &Plan),
        basis: &ETag,
        reads: &Reads,
        attempts: &mut u32,
        wrote: &mut bool,
    ) -> Result<(), Trouble> {
        let archives = before.archival.is_archived != after.archival.is_archived;
        let mut base = before.clone();
        let mut tag = basis.clone();
        if archives && !after.archival.is_archived {
            self.archive(&mut base, after, &mut tag, reads, attempts).await?;
            *wrote = true;
        }
        if before.title != after.title {
            let title = self.resolved_text(&after.title)?;
            let ours = Plan { title: after.title.clone(), ..base.clone() };
            let send = |etag| request::update_plan(&after.id, &title, etag);
            let mut part = Part { base: &base, ours: &ours, reads, attempts };
            let read = request::plan(&after.id);
            self.update_part(&mut part, &tag, &read, |it: Plan| it, send).await?;
            (base, *wrote) = (ours, true);
            if archives {
                tag = self.tag_now(&after.id).await?;
            }
        }
        if archives && after.archival.is_archived {
            self.archive(&mut base, after, &mut tag, reads, attempts).await?;
            *wrote = true;
        }
        if let Some(roster) = &after.roster {
            let new = after.new_members.difference(&before.new_members);
            self.add_members(roster, new, attempts).await?;
        }
        Ok(())
    }

    async fn archive(
        &mut self,
        base: &mut Plan,
        after: &Plan,
        tag: &mut ETag,
        reads: &Reads,
        attempts: &mut u32,
    ) -> Result<(), Trouble> {
        let ours = Plan { archival: after.archival.clone(), ..base.clone() };
        let send = |etag| request::archive_plan(&after.id, &after.archival, etag);
        let mut part = Part { base, ours: &ours, reads, attempts };
        let read = request::plan(&after.id);
        self.update_part(&mut part, tag, &read, |it: Plan| it, send).await?;
        *tag = self.tag_now(&after.id).await?;
        *base = ours;
        Ok(())
    }

    /// The tag after a write of our own, where the answer does not bring it.
    async fn tag_now(&self, id: &PlanId) -> Result<ETag, Trouble> {
        let read = self.client.read::<Versioned<Plan>>(&request::plan(id)).await;
        Ok(read.map_err(Trouble::Read)?.etag)
    }
}

//! The host rules (design.md 3): in Rust, so that they hold in every run and for everyone.
//!
//! R2 (dry run) and R3 (`If-Match`) are enforced by the types of `host` and of `wire::Request`, R6
//! (membership) by the session when a plan is drafted, R7 (fail closed) where policies run.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::change::{Change, ChangeSet, Edit, Entity, EntityId, Field, Op, TaskState, Write};
use crate::model::{Limits, Plan, PlanId, TaskDetails, as_read};
use crate::policy::limits::{assignees_over, comment_over, details_over, title_over};
use crate::policy::verdict::{Ruling, Verdict};

/// The caps on the writes of one run (rule R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Caps {
    /// The most changes.
    pub max_changes: usize,
    /// The most deletions.
    pub max_deletes: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { max_changes: 200, max_deletes: 10 }
    }
}

/// The writes of a run before the set that is judged: caps hold for the whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Earlier {
    /// Changes.
    pub changes: usize,
    /// Deletions among them.
    pub deletes: usize,
}

impl Earlier {
    /// Counts a set that was applied.
    pub fn add(&mut self, set: &ChangeSet) {
        // The tasks of a deleted bucket or plan are deleted with it.
        let along = set.taken_along();
        self.changes += set.changes().len() + along;
        self.deletes += set.count(Op::Delete) + along;
    }
}

/// The grants of the configuration to an agent (rule R4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentGrants {
    /// Its name.
    pub name: String,
    /// The plans it may see and touch; `None` for all.
    pub plans: Option<BTreeSet<PlanId>>,
    /// False if it may only preview.
    pub may_apply: bool,
    /// True if a person must approve each of its sets (rule R8).
    pub approved_only: bool,
    /// What it has done already, with the most that it may do (rule R5).
    pub spent: Spent,
}

/// The deeds of an agent over all its runs, with their limits; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Changes that earlier runs have made today.
    pub changes_today: u64,
    /// The most changes in a day.
    pub changes_per_day: Option<u64>,
    /// Runs in the last hour, this one included.
    pub runs_last_hour: u64,
    /// The most runs in an hour.
    pub runs_per_hour: Option<u64>,
}

/// The grants of a run, from flags and configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// True if deletions are granted, by `--force` or by the agent's configuration.
    pub force: bool,
    /// True in a dry run, in which nothing is applied.
    pub dry_run: bool,
    /// The agent that acts, if any.
    pub agent: Option<AgentGrants>,
    /// The caps on its writes.
    pub caps: Caps,
    /// The writes of its earlier segments.
    pub earlier: Earlier,
    /// The limits of Planner itself.
    pub limits: Limits,
    /// The entities created by the run that is undone: their deletions are not counted
    /// (design.md 2.5).
    pub takes_back: BTreeSet<EntityId>,
}

/// Judges a set by the host rules.
#[must_use]
pub fn host_rules(set: &ChangeSet, grants: &Grants) -> Vec<Ruling> {
    let mut rulings = Vec::new();
    for change in set.changes() {
        force(change, grants, &mut rulings);
        scope(change, grants, &mut rulings);
        service_limits(change, &grants.limits, &mut rulings);
    }
    caps(set, grants, &mut rulings);
    if let Some(agent) = &grants.agent
        && !agent.may_apply
        && !grants.dry_run
        && !set.is_empty()
    {
        let reason = format!("agent `{}` may preview only; use --dry-run", agent.name);
        rulings.push(Ruling::deny("host R4", None, reason));
    }
    if let Some(agent) = grants.agent.as_ref().filter(|_| !set.is_empty()) {
        rates(set, agent, grants, &mut rulings);
        if agent.approved_only {
            let reason = format!("a person must approve what agent `{}` writes", agent.name);
            let verdict = if grants.dry_run { Verdict::Warn } else { Verdict::Hold };
            rulings.push(Ruling { verdict, ..Ruling::deny("host R8", None, reason) });
        }
    }
    rulings
}

/// Keeps an agent within what it may do in a day and in an hour, over all its runs (rule R5).
fn rates(set: &ChangeSet, agent: &AgentGrants, grants: &Grants, rulings: &mut Vec<Ruling>) {
    let mut all = grants.earlier;
    all.add(set);
    let of_run = u64::try_from(all.changes).unwrap_or(u64::MAX);
    let n_changes = agent.spent.changes_today.saturating_add(of_run);
    let mut over = |n: u64, limit: Option<u64>, what: &str, setting: &str| {
        if let Some(limit) = limit.filter(|limit| n > *limit) {
            let reason = format!(
                "agent `{}` comes to {n} {what}; the limit is {limit} ({setting})",
                agent.name
            );
            rulings.push(Ruling::deny("host R5", None, reason));
        }
    };
    over(n_changes, agent.spent.changes_per_day, "changes today", "changes_per_day");
    over(agent.spent.runs_last_hour, agent.spent.runs_per_hour, "runs in an hour", "runs_per_hour");
}

fn force(change: &Change, grants: &Grants, rulings: &mut Vec<Ruling>) {
    if change.op() == Op::Delete && !grants.force {
        let reason = "a deletion needs --force".to_owned();
        rulings.push(Ruling::deny("host R1", Some(change.n), reason));
    }
}

fn scope(change: &Change, grants: &Grants, rulings: &mut Vec<Ruling>) {
    let Some(agent) = &grants.agent else { return };
    let touched = [Some(change.plan()), change.moves_to()];
    if let Some(plans) = &agent.plans
        && touched.into_iter().flatten().any(|plan| !plans.contains(plan))
    {
        let reason = format!("agent `{}` has no access to this plan", agent.name);
        rulings.push(Ruling::deny("host R4", Some(change.n), reason));
    }
}

/// Keeps an agent from renaming a plan that the configuration names by title, and from creating
/// another plan of that title (rule R4): the settings for that plan would be lost, or apply to
/// another.
#[must_use]
pub fn keep_titles(
    set: &ChangeSet,
    agent: &str,
    titles: &BTreeMap<&str, &BTreeSet<PlanId>>,
) -> Vec<Ruling> {
    let named = |title: &str| titles.keys().find(|name| as_read(name) == as_read(title));
    let judge = |change: &Change| {
        let Write::Plan(edit) = &change.write else { return None };
        let (before, after) = (edit.before(), edit.after()?);
        if before.is_some_and(|plan| plan.title == after.title) {
            return None;
        }
        let is_named = |plan: &Plan| {
            named(&plan.title).is_some() || titles.values().any(|ids| ids.contains(&plan.id))
        };
        let reason = if before.is_some_and(is_named) {
            format!("planwright.toml names this plan; agent `{agent}` may not rename it")
        } else {
            let title = named(&after.title)?;
            format!(
                "planwright.toml names the plan `{title}`; agent `{agent}` may not create another with that title"
            )
        };
        Some(Ruling::deny("host R4", Some(change.n), reason))
    };
    set.changes().iter().filter_map(judge).collect()
}

fn caps(set: &ChangeSet, grants: &Grants, rulings: &mut Vec<Ruling>) {
    let caps = grants.caps;
    let mut all = grants.earlier;
    all.add(set);
    let is_back =
        |change: &&Change| change.op() == Op::Delete && grants.takes_back.contains(&change.id());
    // An undo deletes what its run created; that does not count (design.md 2.5).
    all.deletes -= set.changes().iter().filter(is_back).count();
    let Earlier { changes: n_changes, deletes: n_deletes } = all;
    // A person is asked; an agent, and what is far above, is refused.
    let mut over = |n: usize, limit: usize, what: &str, setting: &str| {
        if n <= limit {
            return;
        }
        let reason = format!("makes {n} {what}; the limit is {limit} ({setting})");
        let is_far = grants.agent.is_some() || n > limit.saturating_mul(10);
        let verdict = if is_far { Verdict::Deny } else { Verdict::Hold };
        rulings.push(Ruling { verdict, ..Ruling::deny("host R5", None, reason) });
    };
    over(n_changes, caps.max_changes, "changes", "max_changes");
    over(n_deletes, caps.max_deletes, "deletions", "max_deletes");
}

/// Refuses before anything is sent what Planner would refuse (rule R10). Only fields that the
/// change sets are checked: Planner has accepted those already on the board.
fn service_limits(change: &Change, limits: &Limits, rulings: &mut Vec<Ruling>) {
    let sets = change.fields();
    let mut deny = |reason: String| {
        rulings.push(Ruling::deny("host R10", Some(change.n), reason));
    };
    let title = match &change.write {
        Write::Plan(edit) => edit.after().map(|plan| &plan.title),
        Write::PlanDetails { .. } | Write::Comment(_) => None,
        Write::Bucket(edit) => edit.after().map(|bucket| &bucket.name),
        Write::Task(edit) => edit.after().map(|state| &state.task.title),
    };
    let sets_title = sets.contains_key(&Field::Title)
        || sets.contains_key(&Field::Name)
        || change.op() == Op::Create;
    if let Some(title) = title.filter(|_| sets_title) {
        let word = if change.entity() == Entity::Bucket { "name" } else { "title" };
        if title.trim().is_empty() {
            deny(format!("the {word} is empty"));
        } else if let Some(over) = title_over(word, "", title, limits) {
            deny(over);
        }
    }
    if let Write::Comment(edit) = &change.write {
        comment_over(&edit.known().text, limits).into_iter().for_each(&mut deny);
    }
    if let Write::Task(edit) = &change.write
        && let Edit::Create { after } | Edit::Update { after, .. } = &**edit
    {
        task_limits(after, limits, |field| sets.contains_key(&field), &mut deny);
    }
}

fn task_limits(
    after: &TaskState,
    limits: &Limits,
    sets: impl Fn(Field) -> bool,
    deny: &mut impl FnMut(String),
) {
    let over = assignees_over(after.task.assignments.len(), limits);
    over.filter(|_| sets(Field::Assignments)).into_iter().for_each(&mut *deny);
    if let Some(details) = &after.details {
        // `details_over` checks what differs, so fields that this change does not set are made
        // equal on both sides.
        let mut before = TaskDetails::default();
        if !sets(Field::Description) {
            before.description.clone_from(&details.description);
        }
        if !sets(Field::References) {
            before.references.clone_from(&details.references);
        }
        if !sets(Field::Checklist) {
            before.checklist.clone_from(&details.checklist);
        }
        details_over(&before, details, limits).into_iter().for_each(&mut *deny);
        let mut items = details.checklist.values().filter(|_| sets(Field::Checklist));
        if items.any(|item| item.title.trim().is_empty()) {
            deny("a checklist item has no title".to_owned());
        }
    }
    if let (Some(start), Some(due)) = (after.task.start, after.task.due)
        && start > due
        && (sets(Field::StartDateTime) || sets(Field::DueDateTime))
    {
        deny(format!("it would start ({start}) after it is due ({due})"));
    }
}

#[cfg(test)]
mod tests;

//! The host rules, each tested at its edge.

use super::*;
use crate::change::Draft;
use crate::model::{ChecklistItem, ETag, Task, TaskId, UserId, Versioned};
use crate::policy::review::review;

fn plan() -> PlanId {
    PlanId::parse("plan").unwrap()
}

fn grants() -> Grants {
    Grants {
        force: false,
        dry_run: false,
        agent: None,
        caps: Caps::default(),
        earlier: Earlier::default(),
        limits: Limits::default(),
        takes_back: BTreeSet::new(),
    }
}

fn edited(n: usize, edit: impl Fn(&mut TaskState)) -> ChangeSet {
    let mut draft = Draft::new("n".into());
    for at in 0..n {
        let id = TaskId::parse(&format!("t{at}")).unwrap();
        let read = Versioned::new(Task::new(id.clone(), plan(), "T".into()), ETag::new("e".into()));
        let details = Versioned::new(Default::default(), ETag::new("d".into()));
        draft.edit_task(Some(&read), Some(&details), &id, |state| edit(state));
    }
    draft.finish(&crate::change::ReadSet::new(), &crate::model::snapshot::Snapshot::default())
}

fn deleted(n: usize) -> ChangeSet {
    let mut draft = Draft::new("n".into());
    for at in 0..n {
        let id = TaskId::parse(&format!("t{at}")).unwrap();
        let read = Versioned::new(Task::new(id.clone(), plan(), "T".into()), ETag::new("e".into()));
        draft.delete_task(Some(&read), &id);
    }
    draft.finish(&crate::change::ReadSet::new(), &crate::model::snapshot::Snapshot::default())
}

#[track_caller]
fn check(set: ChangeSet, grants: &Grants, denied_by: &[&str]) {
    let reviewed = review(set, grants, Vec::new());
    let mut sources: Vec<_> =
        reviewed.rulings().iter().map(|ruling| ruling.source.as_str()).collect();
    sources.dedup();
    assert_eq!(sources, denied_by, "{:?}", reviewed.rulings());
    assert_eq!(reviewed.clear().is_some(), denied_by.is_empty());
}

#[test]
fn r1_a_deletion_needs_force() {
    check(deleted(1), &grants(), &["host R1"]);
    check(deleted(1), &Grants { force: true, ..grants() }, &[]);
}

fn rook() -> AgentGrants {
    AgentGrants {
        name: "rook".into(),
        plans: None,
        may_apply: true,
        approved_only: false,
        spent: Spent::default(),
    }
}

#[test]
fn r5_an_agent_has_limits_over_all_its_runs() {
    let agent = |spent| Grants { agent: Some(AgentGrants { spent, ..rook() }), ..grants() };
    let day = |n| Spent { changes_today: n, changes_per_day: Some(10), ..Spent::default() };
    let hour = |n| Spent { runs_last_hour: n, runs_per_hour: Some(3), ..Spent::default() };
    let set = || edited(1, |state| state.task.percent_complete = 50);
    check(set(), &agent(day(9)), &[]);
    check(set(), &agent(day(10)), &["host R5"]);
    let earlier = Earlier { changes: 1, deletes: 0 };
    check(set(), &Grants { earlier, ..agent(day(9)) }, &["host R5"]);
    check(set(), &agent(hour(3)), &[]);
    check(set(), &agent(hour(4)), &["host R5"]);
}

#[test]
fn r8_what_a_person_must_approve_is_held() {
    let agent = AgentGrants { approved_only: true, ..rook() };
    let grants = Grants { agent: Some(agent), ..grants() };
    let set = || edited(1, |state| state.task.percent_complete = 50);
    let held = review(set(), &grants, Vec::new());
    assert_eq!(held.verdict(), Verdict::Hold);
    assert!(held.approve().is_some());
    let shown = review(set(), &Grants { dry_run: true, ..grants }, Vec::new());
    assert_eq!(shown.verdict(), Verdict::Warn);
}

#[test]
fn r4_an_agent_touches_only_its_plans() {
    let agent = |plans: Option<&str>, may_apply| {
        let plans = plans.map(|id| BTreeSet::from([PlanId::parse(id).unwrap()]));
        Grants { agent: Some(AgentGrants { plans, may_apply, ..rook() }), ..grants() }
    };
    let set = || edited(1, |state| state.task.percent_complete = 50);
    check(set(), &agent(None, true), &[]);
    check(set(), &agent(Some("plan"), true), &[]);
    check(set(), &agent(Some("other"), true), &["host R4"]);
    check(set(), &agent(None, false), &["host R4"]);
    check(set(), &Grants { dry_run: true, ..agent(None, false) }, &[]);
}

#[test]
fn r5_caps_are_at_200_changes_and_10_deletions() {
    let done = |state: &mut TaskState| state.task.percent_complete = 100;
    check(edited(200, done), &grants(), &[]);
    check(edited(201, done), &grants(), &["host R5"]);
    let force = Grants { force: true, ..grants() };
    check(deleted(10), &force, &[]);
    check(deleted(11), &force, &["host R5"]);
}

#[test]
fn r10_what_planner_would_refuse_is_refused_first() {
    let user = |n: usize| UserId::parse(&format!("u{n}")).unwrap();
    let item = |title: String| ChecklistItem { title, checked: false, order_hint: String::new() };
    type Case<'a> = (&'a str, Box<dyn Fn(&mut TaskState)>, bool);
    let cases: Vec<Case<'_>> = vec![
        ("255 characters", Box::new(|state| state.task.title = "ä".repeat(255)), true),
        ("256 characters", Box::new(|state| state.task.title = "ä".repeat(256)), false),
        ("a blank title", Box::new(|state| state.task.title = "  ".into()), false),
        (
            "20 assignees",
            Box::new(move |state| {
                state.task.assignments.extend((0..20).map(|n| (user(n), String::new())));
            }),
            true,
        ),
        (
            "21 assignees",
            Box::new(move |state| {
                state.task.assignments.extend((0..21).map(|n| (user(n), String::new())));
            }),
            false,
        ),
        (
            "start after due",
            Box::new(|state| {
                state.task.start = Some("2026-03-02T10:00:00Z".parse().unwrap());
                state.task.due = Some("2026-03-01T10:00:00Z".parse().unwrap());
            }),
            false,
        ),
        (
            "21 checklist items",
            Box::new(move |state| {
                let items = (0..21).map(|n| (n.to_string(), item("x".into())));
                state.details.as_mut().unwrap().checklist.extend(items);
            }),
            false,
        ),
        (
            "a checklist item of 101 characters",
            Box::new(move |state| {
                let details = state.details.as_mut().unwrap();
                details.checklist.insert("1".into(), item("x".repeat(101)));
            }),
            false,
        ),
    ];
    for (what, edit, passes) in cases {
        let reviewed = review(edited(1, edit), &grants(), Vec::new());
        assert_eq!(
            reviewed.verdict() == Verdict::Allow,
            passes,
            "{what}: {:?}",
            reviewed.rulings()
        );
    }
}

#[test]
fn the_worst_verdict_counts_and_policies_only_tighten() {
    let ruling = |verdict| Ruling { verdict, ..Ruling::deny("p.rhai", Some(1), "because".into()) };
    let cases: [(&[Verdict], bool); 5] = [
        (&[], true),
        (&[Verdict::Warn], true),
        (&[Verdict::Warn, Verdict::Hold], false),
        (&[Verdict::Allow, Verdict::Deny], false),
        (&[Verdict::Allow], true),
    ];
    for (verdicts, clears) in cases {
        let set = edited(1, |state| state.task.percent_complete = 50);
        let by_policies = verdicts.iter().copied().map(ruling).collect();
        assert_eq!(review(set, &grants(), by_policies).clear().is_some(), clears, "{verdicts:?}");
    }
    // An `allow` from a policy does not undo a host rule.
    let allowed = review(deleted(1), &grants(), vec![ruling(Verdict::Allow)]);
    assert!(allowed.clear().is_none());
}

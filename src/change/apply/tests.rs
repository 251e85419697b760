//! The apply machine against a model of Planner, in virtual time: every rule as values.

mod pace;
mod simulated;

use std::fmt::Write as _;

use jiff::SignedDuration;

use super::*;
use crate::change::apply::tests::simulated::{Limit, Model, Weather, simulate};
use crate::change::draft::Draft;
use crate::change::read::ReadSet;
use crate::change::set::ChangeSet;
use crate::model::snapshot::Snapshot;
use crate::model::{Bucket, Task, TaskDetails, TaskId, Versioned};

const PLAN: &str = "plan";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rules() -> Rules {
    Rules {
        quarantine: Duration::from_secs(60),
        writes_per_second: None,
        learned: None,
        spread: 0.5,
    }
}

fn tag(version: u64) -> ETag {
    ETag::new(format!("W/\"{version:06}\""))
}

fn plan() -> PlanId {
    PlanId::parse(PLAN).unwrap()
}

fn task(id: &str) -> Versioned<Task> {
    Versioned::new(Task::new(TaskId::parse(id).unwrap(), plan(), format!("Old {id}")), tag(1))
}

/// Updates of so many tasks, each of its title.
fn updates(n: usize) -> (Vec<Versioned<Task>>, ChangeSet) {
    let tasks: Vec<_> = (0..n).map(|n| task(&format!("t{n:04}"))).collect();
    let mut draft = Draft::new("n".into());
    for task in &tasks {
        draft.edit_task(Some(task), None, &task.value.id, |state| state.task.title = "New".into());
    }
    (tasks, draft.finish(&ReadSet::new(), &Snapshot::default()))
}

/// Updates with details, creates with details, deletions: of everything something.
fn mixed(n: usize) -> (Vec<Versioned<Task>>, ChangeSet) {
    let tasks: Vec<_> = (0..n).map(|n| task(&format!("t{n:04}"))).collect();
    let mut draft = Draft::new("n".into());
    let details = Versioned::new(TaskDetails::default(), tag(1));
    for (at, task) in tasks.iter().enumerate() {
        if at % 4 == 3 {
            draft.delete_task(Some(task), &task.value.id);
            continue;
        }
        let details = (at % 2 == 0).then_some(&details);
        draft.edit_task(Some(task), details, &task.value.id, |state| {
            state.task.title = format!("New {}", state.task.id);
            if let Some(details) = &mut state.details {
                details.description = format!("Text of {}", state.task.id);
            }
        });
    }
    for n in 0..n / 2 {
        let id = draft.create_task(|id| Task::new(id, plan(), format!("Made {n}")));
        draft.edit_task(None, None, &id, |state| {
            if let Some(details) = &mut state.details {
                details.description = format!("About {n}");
            }
        });
    }
    (tasks, draft.finish(&ReadSet::new(), &Snapshot::default()))
}

/// Whatever the weather, the run ends, each write happens at most once, and `Done` is never wrong.
#[test]
fn whatever_fails_nothing_is_lost_or_made_twice() {
    let weathers = [
        Weather { lost_after: 3, ..Weather::default() },
        Weather { lost_before: 3, ..Weather::default() },
        Weather { unavailable: 6, lost_after: 6, lost_before: 6, ..Weather::default() },
        Weather { limit: Some(Limit::per_second(20.0)), lost_after: 5, ..Weather::default() },
        Weather { others: 3, lost_after: 4, ..Weather::default() },
        Weather { limit: Some(Limit::per_second(7.0)), others: 5, ..Weather::default() },
    ];
    let (mut done, mut moved, mut unknown, mut failed) = (0, 0, 0, 0);
    for seed in 0..1200 {
        let weather = weathers[seed as usize % weathers.len()];
        let n = 1 + (seed as usize * 7) % 30;
        let (tasks, set) = mixed(n);
        let outcome = simulate(&set, Model::new(seed, weather, &tasks), ms(20), rules());
        let model = &outcome.model;
        let titles: Vec<&str> = model.tasks.values().map(|kept| kept.task.title.as_str()).collect();
        for (no, end) in outcome.machine.ends() {
            let (n, part) = outcome.machine.step(no);
            let change = &set.changes()[n - 1];
            let id = change.id().to_string();
            let real = outcome.machine.ids().get(&id).unwrap_or(&id);
            let kept = model.tasks.get(real);
            match end {
                End::Done => done += 1,
                End::Moved(_) => moved += 1,
                End::Unknown => unknown += 1,
                _ => failed += 1,
            }
            let written = |text: &str| {
                kept.map_or(0, |kept| kept.writes.iter().filter(|write| *write == text).count())
            };
            match (change.op(), part, end) {
                (Op::Create, Part::Itself, end) => {
                    let n = titles.iter().filter(|title| **title == change.title()).count();
                    assert!(n <= 1, "seed {seed}: `{}` was made {n} times", change.title());
                    assert!(n == 1 || *end != End::Done, "seed {seed}: not there");
                }
                (Op::Delete, _, End::Done) => assert!(kept.is_none(), "seed {seed}: still there"),
                (Op::Delete, _, End::Moved(_)) => assert!(kept.is_some(), "seed {seed}"),
                (Op::Update, Part::Itself, end) => {
                    let times = written(&format!("New {id}"));
                    assert!(times <= 1, "seed {seed}: written {times} times");
                    assert!(times == 1 || *end != End::Done, "seed {seed}: lost");
                    assert!(times == 0 || !matches!(end, End::NotSent), "seed {seed}: unsaid");
                }
                (_, Part::Details, End::Done) => {
                    assert_eq!(kept.unwrap().details_version, 2, "seed {seed}: once");
                }
                _ => {}
            }
        }
        // New things stand in the order of the script.
        let made = model.log.iter().filter_map(|entry| entry.strip_prefix("create Made "));
        let made: Vec<usize> = made.map(|n| n.parse().unwrap()).collect();
        // A create that is searched for is overtaken by the others.
        if weather.lost_before + weather.lost_after + weather.unavailable == 0 {
            assert!(made.is_sorted(), "seed {seed}: {made:?}");
        }
    }
    println!("done {done}, moved {moved}, unknown {unknown}, failed or not sent {failed}");
    assert!(done > 10_000 && moved > 100, "the weather was too good");
}

/// A service that never answers is not asked for ever.
#[test]
fn an_outage_ends_the_run() {
    let (tasks, set) = updates(500);
    let weather = Weather { lost_before: 1, ..Weather::default() };
    let outcome = simulate(&set, Model::new(1, weather, &tasks), ms(20), rules());
    assert!(outcome.requests <= 40, "{}", outcome.requests);
    assert!(outcome.machine.ends().all(|end| matches!(end.1, End::Unknown | End::NotSent)));
    assert!(outcome.model.log.is_empty());
}

#[test]
fn what_is_in_doubt_goes_out_on_the_same_tag() {
    let (_, set) = updates(1);
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    let first = machine.next(ms(0));
    assert_eq!(first, [Effect::Send { steps: vec![0], in_order: false }]);
    let sent = machine.job(0);
    machine.answered(ms(5), vec![(0, Answer::Unavailable { wait: None, in_doubt: true })]);
    assert_eq!(machine.next(ms(5)), first, "at once: the sooner, the surer the answer");
    assert_eq!(machine.job(0), sent);
    // It was done before, and someone has edited something else: what was set is there.
    machine.answered(ms(9), vec![(0, Answer::Conflict)]);
    assert_eq!(machine.next(ms(9)), [Effect::Look(vec![0])]);
    let mut now = task("t0000");
    now.value.title = "New".into();
    now.value.percent_complete = 50;
    now.etag = tag(3);
    machine.looked(ms(12), vec![(0, Look::There(Box::new(Seen::Task(Box::new(now)))))]);
    assert_eq!(machine.end_of(0), Some(&End::Done));
}

#[test]
fn a_create_in_doubt_waits_out_its_quarantine_while_the_rest_goes_on() {
    let mut draft = Draft::new("n".into());
    draft.create_task(|id| Task::new(id, plan(), "One".into()));
    let other = PlanId::parse("other").unwrap();
    draft.create_task(|id| Task::new(id, other, "Two".into()));
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    assert_eq!(machine.next(ms(0)).len(), 2, "a line for each plan");
    machine.answered(ms(10), vec![(0, Answer::Unavailable { wait: None, in_doubt: true })]);
    let done = Answer::Done { id: Some("made".into()), tag: None };
    machine.answered(ms(10), vec![(1, done)]);
    let mut probes = Vec::new();
    let mut now = ms(10);
    loop {
        match machine.next(now).as_slice() {
            [Effect::Probe { steps, .. }] => {
                assert_eq!(steps, &[0]);
                probes.push(now.as_secs());
                machine.probed(now, vec![(0, Probed::Matched(Match::Nothing))]);
            }
            [Effect::Send { steps, .. }] => {
                assert_eq!(steps, &[0]);
                break;
            }
            other => assert!(other.is_empty(), "{other:?}"),
        }
        now = machine.wakes_at(Some(now)).unwrap_or(now);
    }
    assert_eq!(probes, [0, 2, 5, 15, 60]);
}

#[test]
fn two_that_mention_each_other_are_not_waited_for() {
    let mut draft = Draft::new("n".into());
    let one = draft.create_task(|id| Task::new(id, plan(), String::new()));
    let two = draft.create_task(|id| Task::new(id, plan(), format!("after {one}")));
    draft.edit_task(None, None, &one, |state| state.task.title = format!("before {two}"));
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let outcome = simulate(&set, Model::new(1, Weather::default(), &[]), ms(5), rules());
    assert!(outcome.machine.ends().all(|end| matches!(end.1, End::Mentions(_) | End::NotSent)));
    assert!(outcome.model.log.is_empty());
}

#[test]
fn an_interrupted_run_ends_what_is_under_way_and_begins_nothing() {
    let (_, set) = mixed(200);
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    let sent: usize = machine
        .next(ms(0))
        .iter()
        .map(|effect| match effect {
            Effect::Send { steps, .. } => steps.len(),
            _ => 0,
        })
        .sum();
    assert_eq!(sent, 60);
    machine.halt();
    assert!(machine.next(ms(1)).is_empty());
    let under_way: Vec<StepNo> =
        (0..machine.steps.len()).filter(|no| machine.steps[*no].state == State::Sent).collect();
    let done = |no| (no, Answer::Done { id: None, tag: None });
    machine.answered(ms(9), under_way.into_iter().map(done).collect());
    assert!(machine.next(ms(10)).is_empty() && machine.is_done());
    assert_eq!(machine.ends().filter(|end| *end.1 == End::Done).count(), 60);
}

const LOST: Answer = Answer::Unavailable { wait: None, in_doubt: true };

fn made(id: &str) -> Answer {
    Answer::Done { id: Some(id.into()), tag: None }
}

/// An attempt whose answer was lost may have done it, whatever comes of the next.
#[test]
fn a_refusal_does_not_end_a_doubt() {
    for answer in [Answer::Refused, Answer::Throttled(Some(Duration::from_secs(3600)))] {
        let (_, set) = updates(1);
        let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
        machine.next(ms(0));
        machine.answered(ms(5), vec![(0, LOST)]);
        machine.next(ms(5));
        machine.answered(ms(9), vec![(0, answer)]);
        assert_eq!(machine.end_of(0), Some(&End::Unknown));
    }
}

fn found(id: &str) -> Probed {
    Probed::Matched(Match::Found(id.into()))
}

/// All creates in doubt of one plan are looked for in one sweep, and one that was not tried is not
/// sent while another of its title is looked for.
#[test]
fn what_is_lost_is_looked_for_together() {
    let mut draft = Draft::new("n".into());
    for _ in 0..2 {
        draft.create_task(|id| Task::new(id, plan(), "Same".into()));
    }
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let sweep =
        |steps: &[StepNo]| Effect::Probe { parent: Parent::Tasks(plan()), steps: steps.to_vec() };
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, LOST), (1, LOST)]);
    assert_eq!(machine.next(ms(5)), [sweep(&[0, 1])]);
    machine.probed(ms(9), vec![(0, found("x")), (1, Probed::Matched(Match::Nothing))]);
    assert_eq!((machine.end_of(0), machine.end_of(1)), (Some(&End::Done), None));
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, LOST), (1, Answer::NotTried)]);
    assert_eq!(machine.next(ms(5)), [sweep(&[0])]);
    assert!(machine.next(ms(6)).is_empty());
    machine.probed(ms(9), vec![(0, found("x"))]);
    assert_eq!(machine.next(ms(9)), [Effect::Send { steps: vec![1], in_order: true }]);
}

/// The quarantine counts from the moment when the answer was given up: a POST that hung for a
/// minute may be carried out a moment later.
#[test]
fn the_quarantine_counts_from_when_the_answer_was_given_up() {
    let mut draft = Draft::new("n".into());
    draft.create_task(|id| Task::new(id, plan(), "One".into()));
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    let given_up = Duration::from_secs(60);
    machine.answered(given_up, vec![(0, LOST)]);
    let mut now = given_up;
    let sent_again = loop {
        match machine.next(now).as_slice() {
            [Effect::Send { .. }] => break now,
            [Effect::Probe { .. }] => {
                machine.probed(now, vec![(0, Probed::Matched(Match::Nothing))]);
            }
            other => assert!(other.is_empty(), "{other:?}"),
        }
        now = machine.wakes_at(Some(now)).unwrap_or(now);
    };
    assert_eq!(sent_again, given_up + Duration::from_secs(60));
}

/// A process that was killed knows no moment at which the answer was given up. Meanwhile the list was
/// once read as fast as the service answered.
#[test]
fn a_create_that_was_cut_off_is_looked_for_a_few_times_only() {
    let mut draft = Draft::new("n".into());
    draft.create_task(|id| Task::new(id, plan(), "One".into()));
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    for (quarantine, not_made) in [(60, 120), (1, 61), (0, 60)] {
        let quarantine = Duration::from_secs(quarantine);
        let mut ledger = Ledger::default();
        let age = SignedDuration::from_secs(-60);
        let doubt = Doubt { resend: None, tag: None, age };
        ledger.enter(&set.changes()[0], &Part::Itself, PartState::InDoubt(Box::new(doubt)));
        let rules = Rules { quarantine, ..rules() };
        let mut machine = Machine::settling(set.changes(), ledger, rules);
        let (mut now, mut probes) = (Duration::ZERO, 0);
        while !machine.is_done() {
            match machine.next(now).as_slice() {
                [Effect::Probe { .. }] => {
                    probes += 1;
                    assert!(probes <= PROBES.len() + 2, "{now:?}");
                    machine.probed(now, vec![(0, Probed::Matched(Match::Nothing))]);
                }
                other => panic!("{now:?}: {other:?}"),
            }
            now = machine.wakes_at(Some(now)).unwrap_or(now);
        }
        assert_eq!(machine.end_of(0), Some(&End::NotSent));
        assert_eq!(now, Duration::from_secs(not_made));
    }
}

/// A create that a person must decide about is reported with its candidates; the others go on.
#[test]
fn what_could_be_somebodys_is_parked() {
    let mut draft = Draft::new("n".into());
    for title in ["One", "Two"] {
        draft.create_task(|id| Task::new(id, plan(), title.into()));
    }
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, LOST), (1, Answer::NotTried)]);
    let goes_on = Effect::Send { steps: vec![1], in_order: true };
    assert!(machine.next(ms(5)).contains(&goes_on));
    machine.probed(ms(9), vec![(0, Probed::Matched(Match::Unclear(vec!["x".into()])))]);
    assert_eq!(machine.end_of(0), Some(&End::Parked(vec!["x".into()])));
    assert_eq!(machine.attempted(0), Attempted::Unknown);
    machine.answered(ms(12), vec![(1, made("y"))]);
    assert!(machine.is_done());
    let parked = machine.ledger().state(&set.changes()[0], &Part::Itself);
    assert_eq!(parked, Some(&PartState::Parked(vec!["x".into()])));
}

/// A parked create once held up everything after it.
#[test]
fn what_is_parked_holds_up_only_what_needs_it() {
    let mut draft = Draft::new("n".into());
    let bucket = draft.create_bucket(|id| Bucket {
        id,
        plan: plan(),
        name: "New".into(),
        order_hint: String::new(),
    });
    let (inside, free) = (Some(bucket), None);
    for bucket in [inside, free] {
        draft.create_task(|id| Task { bucket, ..Task::new(id, plan(), "One".into()) });
    }
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, LOST)]);
    machine.next(ms(5));
    machine.probed(ms(9), vec![(0, Probed::Matched(Match::Unclear(vec!["x".into()])))]);
    let goes_on = Effect::Send { steps: vec![2], in_order: true };
    assert_eq!(machine.next(ms(9)), [goes_on]);
    machine.answered(ms(12), vec![(2, made("y"))]);
    machine.next(ms(12));
    assert!(machine.is_done());
    assert_eq!(machine.end_of(1), Some(&End::NotSent));
}

/// An update whose answer was lost and whose object could not be found was once recorded as final,
/// and found out otherwise later.
#[test]
fn journal_and_machine_say_the_same_of_every_attempt() {
    let mut draft = Draft::new("n".into());
    let id = draft.create_task(|id| Task::new(id, plan(), "One".into()));
    draft.edit_task(None, None, &id, |state| {
        state.details.as_mut().unwrap().description = "About".into();
    });
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, made("m"))]);
    assert_eq!(machine.next(ms(5)), [Effect::Look(vec![1])]);
    let details = |text: &str, version| {
        let details = TaskDetails { description: text.into(), ..TaskDetails::default() };
        Look::There(Box::new(Seen::Details(Box::new(Versioned::new(details, tag(version))))))
    };
    machine.looked(ms(9), vec![(1, details("", 1))]);
    machine.next(ms(9));
    machine.answered(ms(12), vec![(1, LOST)]);
    assert_eq!(machine.attempted(1), Attempted::Unknown);
    assert_eq!(machine.next(ms(12)).len(), 1);
    machine.answered(ms(15), vec![(1, Answer::NotFound)]);
    // The first attempt may have been carried out: nothing final yet.
    assert_eq!(machine.attempted(1), Attempted::Unknown);
    let later = machine.wakes_at(None).unwrap();
    assert_eq!(machine.next(later), [Effect::Look(vec![1])]);
    machine.looked(later, vec![(1, details("About", 2))]);
    assert_eq!(machine.attempted(1), Attempted::Applied);
}

/// Entities being created while a run pauses or stops get their details; the rest is left.
#[test]
fn what_is_made_is_completed_whatever_happens() {
    for pause in [true, false] {
        let mut draft = Draft::new("n".into());
        for n in 0..30 {
            let id = draft.create_task(|id| Task::new(id, plan(), format!("T {n}")));
            draft.edit_task(None, None, &id, |state| {
                state.details.as_mut().unwrap().description = "About".into();
            });
        }
        let set = draft.finish(&ReadSet::new(), &Snapshot::default());
        let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
        let effects = machine.next(ms(0));
        let [Effect::Send { steps, .. }] = effects.as_slice() else { panic!() };
        if pause {
            machine.pause();
        } else {
            machine.halt();
        }
        assert!(machine.next(ms(1)).is_empty());
        let done = steps.iter().enumerate().map(|(n, no)| (*no, made(&format!("m{n}"))));
        machine.answered(ms(5), done.collect());
        let looks = machine.next(ms(5));
        assert_eq!(
            looks.iter().map(|effect| matches!(effect, Effect::Look(_))).collect::<Vec<_>>(),
            [true]
        );
        let Effect::Look(looks) = &looks[0] else { panic!() };
        assert_eq!(looks.len(), 20);
        let empty = Seen::Details(Box::new(Versioned::new(TaskDetails::default(), tag(1))));
        let seen = |no: &StepNo| (*no, Look::There(Box::new(empty.clone())));
        machine.looked(ms(9), looks.iter().map(seen).collect());
        let effects = machine.next(ms(9));
        let [Effect::Send { steps, .. }] = effects.as_slice() else { panic!() };
        let done = steps.iter().map(|no| (*no, Answer::Done { id: None, tag: None }));
        machine.answered(ms(12), done.collect());
        assert!(machine.next(ms(12)).is_empty() && machine.is_done());
        let left: Vec<usize> = set
            .changes()
            .iter()
            .filter(|change| machine.ledger().leaves(change))
            .map(|change| change.n)
            .collect();
        assert_eq!(left, (21..=30).collect::<Vec<_>>());
    }
}

/// A conflict before a plan is made is a conflict, not a reason to give its labels up.
#[test]
fn what_needs_something_that_was_not_begun_is_not_begun() {
    let mut draft = Draft::new("n".into());
    let read = task("t");
    draft.edit_task(Some(&read), None, &read.value.id, |state| state.task.title = "New".into());
    let id = draft.create_plan(|id| crate::model::Plan {
        group: crate::model::GroupId::parse("g").ok(),
        ..crate::model::Plan::new(id, "Plan".into())
    });
    draft.edit_plan_details(None, (&id, "Plan"), |details| {
        details.labels.insert(crate::model::Category::new(1).unwrap(), "Label".into());
    });
    let set = draft.finish(&ReadSet::new(), &Snapshot::default());
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, Answer::Conflict)]);
    machine.next(ms(5));
    let mut now = read.clone();
    now.value.title = "Theirs".into();
    now.etag = tag(2);
    machine.looked(ms(9), vec![(0, Look::There(Box::new(Seen::Task(Box::new(now)))))]);
    assert!(machine.next(ms(9)).is_empty() && machine.is_done());
    let ends: Vec<_> = machine.ends().map(|end| end.1.clone()).collect();
    assert!(
        matches!(ends.as_slice(), [End::Moved(Some(_)), End::NotSent, End::NotSent]),
        "{ends:?}"
    );
}

/// The state that was refused a moment ago is no news.
#[test]
fn a_copy_that_lags_behind_is_read_again() {
    let (tasks, set) = updates(1);
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    machine.next(ms(0));
    machine.answered(ms(5), vec![(0, LOST)]);
    machine.next(ms(5));
    machine.answered(ms(9), vec![(0, Answer::Conflict)]);
    assert_eq!(machine.next(ms(9)), [Effect::Look(vec![0])]);
    let old = Seen::Task(Box::new(tasks[0].clone()));
    machine.looked(ms(12), vec![(0, Look::There(Box::new(old)))]);
    assert_eq!(machine.end_of(0), None);
    let later = machine.wakes_at(None).unwrap();
    assert_eq!(machine.next(later), [Effect::Look(vec![0])]);
    let mut ours = tasks[0].clone();
    ours.value.title = "New".into();
    ours.etag = tag(2);
    machine.looked(later, vec![(0, Look::There(Box::new(Seen::Task(Box::new(ours)))))]);
    assert_eq!(machine.end_of(0), Some(&End::Done));
}

/// A service that cannot be reached leaves no doubt, and is left alone as well.
#[test]
fn a_service_that_is_gone_is_not_called_done() {
    let (_, set) = updates(200);
    let mut machine = Machine::new(set.changes(), Ledger::default(), rules());
    let (mut now, mut requests) = (ms(0), 0);
    while !machine.is_done() {
        for effect in machine.next(now) {
            let Effect::Send { steps, .. } = effect else { panic!() };
            requests += 1;
            let gone = |no| (no, Answer::Unavailable { wait: None, in_doubt: false });
            machine.answered(now, steps.into_iter().map(gone).collect());
        }
        now = machine.wakes_at(None).unwrap_or(now).max(now);
    }
    assert!(requests <= 30 && machine.is_hopeless(), "{requests}");
    assert!(machine.ends().all(|end| matches!(end.1, End::Failed | End::NotSent)));
    assert!(machine.ends().any(|end| *end.1 == End::Failed));
}

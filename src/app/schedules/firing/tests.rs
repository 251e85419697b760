//! Whole months of schedules on a clock of their own, with everything that can be cut off cut off.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::tz::TimeZone;
use serde_json::{Map, json};
use tempfile::TempDir;

use super::*;
use crate::coordinate::{Changes, Claim, Fence, Pruned, Shared, Submission};
use crate::journal::inbox::{EntryState, Page, Queue};
use crate::journal::kept::{KeptSet, KeptStep};
use crate::journal::paused::Paused;
use crate::journal::{Journal, NoteKind};
use crate::model::{Cron, Missed};
use crate::script::workspace::automation::SCHEDULE_AGENT;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn by() -> Sender {
    Sender { service: "embedded".into(), workspace: String::new(), upn: "rook@bos.example".into() }
}

fn schedule(cron: &str, zone: &str) -> Schedule {
    Schedule {
        skill: "tidy".into(),
        source: "planwright.toml".into(),
        cron: Cron::parse(cron).unwrap(),
        zone: TimeZone::get(zone).unwrap(),
        agent: SCHEDULE_AGENT.into(),
        params: Map::new(),
        missed: Missed::RunOnce,
        overlap: true,
        jitter_seconds: 0,
    }
}

fn journal() -> (TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
    (dir, journal)
}

/// All of the inbox, the newest first.
const ALL: Page<'_> = Page { agent: None, open: false, before: None, limit: usize::MAX };

fn keys(journal: &Journal) -> Vec<String> {
    journal.inbox(&ALL).unwrap().into_iter().rev().filter_map(|entry| entry.key).collect()
}

/// A journal whose process is killed after a number of writes: none of the later ones happens.
#[derive(Debug)]
struct Mortal<'a> {
    journal: &'a Journal,
    left: AtomicI64,
}

impl Mortal<'_> {
    fn write<T>(&self, job: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(Error::Busy { path: "killed".into() });
        }
        job()
    }
}

impl Coordinate for Mortal<'_> {
    fn submit(&self, submission: &Submission<'_>) -> Result<InboxEntry, Error> {
        self.write(|| Coordinate::submit(self.journal, submission))
    }
    fn entry(&self, id: &str) -> Result<Option<InboxEntry>, Error> {
        self.journal.entry(id)
    }
    fn open_entries(
        &self,
        of: (&str, &str, Option<Queue>),
        after: Option<&InboxEntry>,
        limit: u32,
    ) -> Result<Vec<InboxEntry>, Error> {
        Coordinate::open_entries(self.journal, of, after, limit)
    }
    fn move_entry(
        &self,
        from: &InboxEntry,
        entry: &InboxEntry,
        note: &Note,
    ) -> Result<bool, Error> {
        self.write(|| Coordinate::move_entry(self.journal, from, entry, note))
    }
    fn renew_lease(&self, id: &str, worker: &str, until: Timestamp) -> Result<bool, Error> {
        self.write(|| Coordinate::renew_lease(self.journal, id, worker, until))
    }
    fn claim(&self, name: &str, owner: &str, at: Timestamp) -> Result<bool, Error> {
        self.write(|| Coordinate::claim(self.journal, name, owner, at))
    }
    fn claimed(&self, name: &str) -> Result<Option<Claim>, Error> {
        Coordinate::claimed(self.journal, name)
    }
    fn forget_claims(&self, before: Timestamp) -> Result<usize, Error> {
        self.write(|| Coordinate::forget_claims(self.journal, before))
    }
    fn prune(&self, before: Timestamp, note: &Note) -> Result<Pruned, Error> {
        self.write(|| Coordinate::prune(self.journal, before, note))
    }
    fn lock(
        &self,
        name: &str,
        owner: &str,
        time: (Timestamp, Timestamp),
    ) -> Result<Option<Fence>, Error> {
        self.write(|| Coordinate::lock(self.journal, name, owner, time))
    }
    fn extend_lock(&self, fence: &Fence, until: Timestamp) -> Result<bool, Error> {
        self.write(|| Coordinate::extend_lock(self.journal, fence, until))
    }
    fn unlock(&self, fence: &Fence) -> Result<bool, Error> {
        self.write(|| Coordinate::unlock(self.journal, fence))
    }
    fn value(&self, key: &str) -> Result<Shared, Error> {
        self.journal.value(key)
    }
    fn compare_and_set(&self, write: &SharedWrite<'_>) -> Result<Written, Error> {
        self.write(|| self.journal.compare_and_set(write))
    }
    fn changes(&self) -> Result<Changes, Error> {
        self.journal.changes()
    }
    fn held_sets(&self, all: bool) -> Result<Vec<KeptSet>, Error> {
        Coordinate::held_sets(self.journal, all)
    }
    fn move_kept(&self, steps: &[KeptStep<'_>]) -> Result<bool, Error> {
        self.write(|| Coordinate::move_kept(self.journal, steps))
    }
    fn pause(&self, paused: &Paused, note: &Note) -> Result<(), Error> {
        self.write(|| Coordinate::pause(self.journal, paused, note))
    }
    fn unpause(&self, agent: Option<&str>, note: &Note) -> Result<bool, Error> {
        self.write(|| Coordinate::unpause(self.journal, agent, note))
    }
    fn paused(&self) -> Result<Vec<Paused>, Error> {
        Coordinate::paused(self.journal)
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Lives through 30 days in which each process is killed where something is due, and the next one comes
/// up to two minutes later. Returns the keys of what has fired, and how often one was killed.
fn a_month(begin: &str, all: &BTreeMap<String, Schedule>, seed: u64) -> (Vec<String>, usize) {
    let (_dir, journal) = journal();
    let (mut dice, mut n_kills) = (Dice(seed), 0);
    let mut now = at(begin);
    let end = now + SignedDuration::from_hours(24 * 30);
    tick(&journal, all, &by(), now).unwrap();
    while let Some(due) = all.values().filter_map(|one| one.cron.next(&one.zone, now)).min() {
        if due > end {
            break;
        }
        let mut later = |most| SignedDuration::from_secs(i64::try_from(dice.below(most)).unwrap());
        now = due + later(60);
        for _ in 0..if later(3).is_zero() { 2 } else { 1 } {
            // Somewhere in the middle of what it writes.
            let left = AtomicI64::new(later(4).as_secs());
            let _killed = tick(&Mortal { journal: &journal, left }, all, &by(), now.min(end));
            now += later(120);
            n_kills += 1;
        }
        now = now.min(end);
        tick(&journal, all, &by(), now).unwrap();
    }
    (keys(&journal), n_kills)
}

#[test]
fn a_month_over_changes_of_the_clock_fires_each_time_once() {
    let all: BTreeMap<String, Schedule> = [
        ("nightly", schedule("30 2 * * *", "Europe/Berlin")),
        ("office", schedule("0 9 * * MON-FRI", "America/New_York")),
        ("often", schedule("15 */6 * * *", "Pacific/Auckland")),
    ]
    .map(|(name, one)| (name.to_owned(), one))
    .into();
    // New York, Berlin and Auckland change their clocks in the first, Berlin and New York in the other.
    for (begin, seed) in [("2026-03-06T12:00:00Z", 1), ("2026-10-05T12:00:00Z", 2)] {
        let (mut fired, n_kills) = a_month(begin, &all, seed);
        let end = at(begin) + SignedDuration::from_hours(24 * 30);
        let mut due: Vec<String> = Vec::new();
        for (name, one) in &all {
            let times = one.cron.due(&one.zone, at(begin), end, 10_000);
            due.extend(times.iter().map(|time| format!("schedule:{name}@{time}")));
        }
        fired.sort_unstable();
        due.sort_unstable();
        assert!(due.len() > 160 && n_kills >= 200, "{} times, {n_kills} kills", due.len());
        assert_eq!(fired, due);
    }
}

#[test]
fn what_was_due_before_a_schedule_was_there_does_not_fire() {
    let (_dir, journal) = journal();
    let daily = |cron| BTreeMap::from([("daily".to_owned(), schedule(cron, "UTC"))]);
    let all = daily("0 9 * * *");
    tick(&journal, &all, &by(), at("2026-01-01T09:00:01Z")).unwrap();
    tick(&journal, &all, &by(), at("2026-01-01T10:00:00Z")).unwrap();
    assert!(keys(&journal).is_empty());
    // Nor does what another pattern would have had.
    let other = daily("30 9 * * *");
    tick(&journal, &other, &by(), at("2026-01-01T10:00:00Z")).unwrap();
    tick(&journal, &other, &by(), at("2026-01-02T09:30:00Z")).unwrap();
    assert_eq!(keys(&journal), ["schedule:daily@2026-01-02T09:30:00Z"]);
    let entry = &journal.inbox(&ALL).unwrap()[0];
    assert_eq!((entry.sender(), entry.receiver()), ("schedule", "schedule"));
    assert!(journal.verify().unwrap().is_ok());
}

#[test]
fn schedules_of_one_name_in_two_workspaces_are_two() {
    let (_dir, journal) = journal();
    let daily = |cron| BTreeMap::from([("daily".to_owned(), schedule(cron, "UTC"))]);
    let (early, late) = (daily("0 9 * * *"), daily("30 9 * * *"));
    let other = Sender { workspace: "/elsewhere".into(), ..by() };
    let graph = Sender { service: "https://graph.microsoft.com/v1.0".into(), ..by() };
    for time in ["2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", "2026-01-01T09:30:00Z"] {
        for (all, by) in [(&early, by()), (&late, other.clone()), (&early, graph.clone())] {
            tick(&journal, all, &by, at(time)).unwrap();
        }
    }
    let entries = journal.inbox(&ALL).unwrap();
    let of = |by: &Sender| {
        let own = entries.iter().filter(|entry| {
            entry.service == by.service && entry.workspace.as_ref() == Some(&by.workspace)
        });
        own.filter_map(|entry| entry.key.as_deref()).collect::<Vec<_>>()
    };
    assert_eq!(of(&by()), ["schedule:daily@2026-01-01T09:00:00Z"]);
    assert_eq!(of(&graph), ["schedule:daily@2026-01-01T09:00:00Z"]);
    assert_eq!(of(&other), ["schedule:daily@2026-01-01T09:30:00Z"]);
}

#[test]
fn a_run_does_not_begin_while_the_one_before_is_not_over() {
    let (_dir, journal) = journal();
    let one = Schedule { overlap: false, ..schedule("*/2 * * * *", "UTC") };
    let all = BTreeMap::from([("often".to_owned(), one)]);
    let tick_at = |time: &str| tick(&journal, &all, &by(), at(time)).unwrap().len();
    tick_at("2026-01-01T09:01:00Z");
    assert_eq!((tick_at("2026-01-01T09:02:00Z"), tick_at("2026-01-01T09:04:00Z")), (1, 0));
    let queued = journal.inbox(&ALL).unwrap().remove(0);
    let entry = InboxEntry { state: EntryState::Done, ..queued.clone() };
    let note = crate::app::inbox::note_on(&entry, NoteKind::Settled, entry.created_at);
    assert!(Coordinate::move_entry(&journal, &queued, &entry, &note).unwrap());
    assert_eq!((tick_at("2026-01-01T09:05:00Z"), tick_at("2026-01-01T09:06:00Z")), (0, 1));
    assert_eq!(keys(&journal).len(), 2);
}

#[test]
fn what_comes_while_it_is_paused_is_left_out() {
    let (_dir, journal) = journal();
    let all = BTreeMap::from([("hourly".to_owned(), schedule("0 * * * *", "UTC"))]);
    let note = |kind| Note {
        kind,
        at: at("2026-01-01T10:30:00Z"),
        run: None,
        actor: None,
        name: "mei".into(),
        detail: json!({ "schedule": "hourly" }),
    };
    tick(&journal, &all, &by(), at("2026-01-01T09:30:00Z")).unwrap();
    let pause = SchedulePause { at: at("2026-01-01T09:30:00Z"), by: "mei".into(), reason: None };
    let set = |pause, time: &str, kind| {
        let scope = by().scope();
        let which = Which { scope: &scope, name: "hourly" };
        set_pause(&journal, which, (pause, at(time)), &note(kind)).unwrap()
    };
    assert!(set(Some(&pause), "2026-01-01T09:30:00Z", NoteKind::Paused));
    assert!(tick(&journal, &all, &by(), at("2026-01-01T10:00:00Z")).unwrap().is_empty());
    assert!(set(None, "2026-01-01T10:02:00Z", NoteKind::Unpaused));
    assert!(!set(None, "2026-01-01T10:02:00Z", NoteKind::Unpaused));
    assert!(tick(&journal, &all, &by(), at("2026-01-01T10:02:00Z")).unwrap().is_empty());
    assert_eq!(tick(&journal, &all, &by(), at("2026-01-01T11:00:00Z")).unwrap().len(), 1);
    assert!(journal.verify().unwrap().is_ok());
}

#[test]
fn the_same_time_is_as_late_in_every_process() {
    let due = at("2026-01-01T09:00:00Z");
    let late: BTreeSet<_> =
        (0..50).map(|n| jittered(&format!("schedule:{n}"), due, 60).unwrap()).collect();
    assert!(late.len() > 10, "{late:?}");
    assert!(late.iter().all(|at| (0..=60).contains(&(at.as_second() - due.as_second()))));
    assert_eq!(jittered("a", due, 60), jittered("a", due, 60));
    assert_eq!(jittered("a", due, 0), None);
}

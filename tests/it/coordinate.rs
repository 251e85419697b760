//! The contract of what processes share. Whatever is behind [`Coordinate`] passes `contract`, made by a
//! factory of its own; and the contract must notice when one of its promises is broken.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};

use jiff::{SignedDuration, Timestamp};
use planwright::coordinate::{
    Changes, Claim, Coordinate, Error, Fence, Note, Pruned, Shared, SharedWrite, Submission, Topic,
    Written,
};
use planwright::host::SystemClock;
use planwright::journal::inbox::{Asked, EntryState, InboxEntry, Queue};
use planwright::journal::kept::{KeptSet, KeptStep};
use planwright::journal::paused::Paused;
use planwright::journal::{Journal, NoteKind};
use planwright::model::Clock as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::Dice;
use crate::support::{between_looks, times};

/// Something to be tested, and what it lives in.
type Subject = (TempDir, Arc<dyn Coordinate>);

fn sqlite() -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
    (dir, Arc::new(journal))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

/// The service and the workspace that entries are for.
const OF: (&str, &str, Option<Queue>) = ("embedded", "/a", None);

fn note(kind: NoteKind) -> Note {
    let (name, detail) = ("test".to_owned(), Value::Null);
    Note { kind, at: at(0), run: None, actor: None, name, detail }
}

fn entry(key: Option<&str>, from: Option<&str>) -> InboxEntry {
    InboxEntry {
        key: key.map(str::to_owned),
        from_agent: from.map(str::to_owned),
        to_agent: Some("rook".into()),
        ..InboxEntry::queued(
            (OF.0.into(), OF.1.into()),
            ("tidy".into(), json!({ "days": 3 })),
            "rook@bos.example".into(),
            at(0),
        )
    }
}

fn submitted(shared: &dyn Coordinate, entry: &InboxEntry) -> InboxEntry {
    shared.submit(&Submission::new(entry, &note(NoteKind::Submitted))).unwrap()
}

/// Does the same on eight threads at once; returns how many succeeded.
fn at_once(
    shared: &Arc<dyn Coordinate>,
    job: impl Fn(&dyn Coordinate, usize) -> bool + Sync,
) -> usize {
    let (barrier, job) = (Barrier::new(8), &job);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (shared, barrier) = (Arc::clone(shared), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    job(&*shared, n)
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).filter(|won| *won).count()
    })
}

/// Everything that whoever coordinates rests on.
fn contract(make: &dyn Fn() -> Subject) {
    for promise in [queue, leases, claims, locks, values, pauses, watch] {
        let (_dir, shared) = make();
        promise(&shared);
    }
}

fn queue(shared: &Arc<dyn Coordinate>) {
    let first = entry(Some("mail-1"), Some("victor"));
    assert_eq!(submitted(&**shared, &first), first);
    assert_eq!(shared.entry(&first.id).unwrap().as_ref(), Some(&first));
    // The same key of the same sender is the same entry; of another, or without one, another.
    assert_eq!(submitted(&**shared, &entry(Some("mail-1"), Some("victor"))).id, first.id);
    let others =
        [entry(Some("mail-1"), None), entry(None, Some("victor")), entry(None, Some("victor"))];
    for other in &others {
        assert_eq!(submitted(&**shared, other).id, other.id);
    }
    assert_eq!(shared.open_entries(OF, None, 10_000).unwrap().len(), 4);
    for of in [("elsewhere", "/a", None), ("embedded", "/b", None)] {
        assert!(shared.open_entries(of, None, 10_000).unwrap().is_empty(), "{of:?}");
    }
    // A key is one in each workspace; and what no workspace is noted of is for all of them.
    let elsewhere =
        InboxEntry { workspace: Some("/b".into()), ..entry(Some("mail-1"), Some("victor")) };
    assert_eq!(submitted(&**shared, &elsewhere).id, elsewhere.id);
    assert_eq!(shared.open_entries(("embedded", "/b", None), None, 10_000).unwrap().len(), 1);
    // Of many that submit under one key, one entry comes.
    at_once(shared, |shared, _| submitted(shared, &entry(Some("mail-2"), None)).attempts == 0);
    assert_eq!(shared.open_entries(OF, None, 10_000).unwrap().len(), 5);
    // Runs that were asked for are a queue of their own, which takes no more than so many.
    let asked = Some(Asked { script: Some("1".into()), dry_run: true });
    let ask = || InboxEntry { asked: asked.clone(), ..entry(None, None) };
    let within = |shared: &dyn Coordinate, run: &InboxEntry| {
        let noted = note(NoteKind::Submitted);
        match shared.submit(&Submission { room: Some(3), ..Submission::new(run, &noted) }) {
            Err(Error::QueueFull { most: 3 }) => None,
            added => Some(added.unwrap()),
        }
    };
    let run = ask();
    assert_eq!(within(&**shared, &run).as_ref(), Some(&run));
    assert_eq!(shared.entry(&run.id).unwrap().as_ref(), Some(&run));
    assert_eq!(at_once(shared, |shared, _| within(shared, &ask()).is_some()), 2);
    assert!(within(&**shared, &ask()).is_none());
    let open = |queue| shared.open_entries((OF.0, OF.1, queue), None, 10_000).unwrap().len();
    assert_eq!((open(Some(Queue::Runs)), open(Some(Queue::Inbox)), open(None)), (3, 5, 8));
    for of in shared.open_entries((OF.0, OF.1, Some(Queue::Runs)), None, 10_000).unwrap() {
        let cancelled = InboxEntry { state: EntryState::Cancelled, ..of.clone() };
        assert!(shared.move_entry(&of, &cancelled, &note(NoteKind::Cancelled)).unwrap());
    }
    assert!(within(&**shared, &InboxEntry { workspace: Some("/c".into()), ..ask() }).is_some());
    // Of many that take an entry, one has it.
    let taken = at_once(shared, |shared, n| {
        let by = Some(format!("worker {n}"));
        let taken = InboxEntry { state: EntryState::Running, leased_by: by, ..first.clone() };
        shared.move_entry(&first, &taken, &note(NoteKind::Taken)).unwrap()
    });
    assert_eq!(taken, 1);
    let running = shared.entry(&first.id).unwrap().unwrap();
    let done = InboxEntry { state: EntryState::Done, ended_at: Some(at(9)), ..running.clone() };
    assert!(shared.move_entry(&running, &done, &note(NoteKind::Settled)).unwrap());
    assert!(!shared.move_entry(&running, &done, &note(NoteKind::Settled)).unwrap());
    assert_eq!(shared.open_entries(OF, None, 10_000).unwrap().len(), 4);
    // What is over keeps its key.
    let again = submitted(&**shared, &entry(Some("mail-1"), Some("victor")));
    assert_eq!((again.id, again.state), (done.id, EntryState::Done));
}

fn leases(shared: &Arc<dyn Coordinate>) {
    let queued = submitted(&**shared, &entry(None, None));
    let by = |worker: &str| InboxEntry {
        state: EntryState::Running,
        leased_by: Some(worker.to_owned()),
        lease_until: Some(at(30)),
        ..queued.clone()
    };
    assert!(!shared.renew_lease(&queued.id, "a", at(60)).unwrap());
    assert!(shared.move_entry(&queued, &by("a"), &note(NoteKind::Taken)).unwrap());
    assert!(shared.renew_lease(&queued.id, "a", at(60)).unwrap());
    assert!(!shared.renew_lease(&queued.id, "b", at(60)).unwrap());
    assert_eq!(shared.entry(&queued.id).unwrap().unwrap().lease_until, Some(at(60)));
    // Another takes over what the first one has left: the first one has it no more.
    assert!(shared.move_entry(&by("a"), &by("b"), &note(NoteKind::Taken)).unwrap());
    // And settles nothing any more.
    let settled = InboxEntry { state: EntryState::Done, ..by("a") };
    assert!(!shared.move_entry(&by("a"), &settled, &note(NoteKind::Settled)).unwrap());
    assert_eq!(shared.entry(&queued.id).unwrap().unwrap().leased_by.as_deref(), Some("b"));
    assert!(!shared.renew_lease(&queued.id, "a", at(90)).unwrap());
    assert!(shared.renew_lease(&queued.id, "b", at(90)).unwrap());
}

fn claims(shared: &Arc<dyn Coordinate>) {
    assert_eq!(shared.claimed("nightly@1").unwrap(), None);
    for round in 0..20 {
        let name = format!("nightly@{round}");
        let won = at_once(shared, |shared, n| shared.claim(&name, &n.to_string(), at(0)).unwrap());
        assert_eq!(won, 1, "{name}");
    }
    let claim = shared.claimed("nightly@1").unwrap().unwrap();
    assert_eq!(claim.at, at(0));
    assert!(!shared.claim("nightly@1", "late", at(86_400 * 10)).unwrap());
    assert_eq!(shared.claimed("nightly@1").unwrap(), Some(claim));
    assert!(shared.claim("later", "a", at(86_400 * 10)).unwrap());
    assert_eq!(shared.forget_claims(at(86_400 * 5)).unwrap(), 20);
    assert!(shared.claimed("later").unwrap().is_some());
}

fn locks(shared: &Arc<dyn Coordinate>) {
    let time = |now: i64| (at(now), at(now + 30));
    let won = at_once(shared, |shared, n| {
        shared.lock("board", &n.to_string(), time(0)).unwrap().is_some()
    });
    assert_eq!(won, 1);
    assert!(shared.lock("board", "b", time(29)).unwrap().is_none());
    // A lock ends by itself, and the next holder has a greater number.
    let first = shared.lock("board", "b", time(30)).unwrap().unwrap();
    assert!(shared.extend_lock(&first, at(100)).unwrap());
    assert!(shared.lock("board", "c", time(99)).unwrap().is_none());
    let value = json!(1);
    let write = |fence: &Fence, expected| {
        let write = SharedWrite {
            key: "board",
            expected,
            value: Some(&value),
            fence: Some(fence),
            note: None,
        };
        shared.compare_and_set(&write).unwrap()
    };
    assert_eq!(write(&first, 0), Written::At(1));
    let submit = |fence: &Fence| {
        let (new, note) = (entry(None, None), note(NoteKind::Submitted));
        shared.submit(&Submission { fence: Some(fence), ..Submission::new(&new, &note) })
    };
    assert!(submit(&first).is_ok());
    let second = shared.lock("board", "c", time(100)).unwrap().unwrap();
    assert!(second.number > first.number);
    // Whoever has lost it without knowing writes nothing.
    assert_eq!(write(&first, 1), Written::Fenced);
    assert!(matches!(submit(&first), Err(Error::LostLock)));
    assert!(!shared.extend_lock(&first, at(500)).unwrap());
    assert!(!shared.unlock(&first).unwrap());
    assert_eq!(write(&second, 1), Written::At(2));
    assert!(shared.unlock(&second).unwrap());
    assert_eq!(write(&second, 2), Written::Fenced);
    let third = shared.lock("board", "d", time(101)).unwrap().unwrap();
    assert!(third.number > second.number);
    assert!(shared.lock("another", "d", time(101)).unwrap().is_some());
}

fn values(shared: &Arc<dyn Coordinate>) {
    assert_eq!(shared.value("n").unwrap(), Shared::default());
    // Eight add to a number, each from what it has read.
    at_once(shared, |shared, _| {
        let mut left = 10;
        while left > 0 {
            let found = shared.value("n").unwrap();
            let value = json!(found.value.and_then(|it| it.as_i64()).unwrap_or_default() + 1);
            let (value, expected) = (Some(&value), found.revision);
            let write = SharedWrite { key: "n", expected, value, fence: None, note: None };
            left -= i32::from(matches!(shared.compare_and_set(&write).unwrap(), Written::At(_)));
        }
        true
    });
    assert_eq!(shared.value("n").unwrap(), Shared { value: Some(json!(80)), revision: 80 });
    // A value that was removed and made again is not the one that somebody has read.
    let set = |expected, value: Option<&Value>| {
        let write = SharedWrite { key: "n", expected, value, fence: None, note: None };
        shared.compare_and_set(&write).unwrap()
    };
    assert_eq!(set(80, None), Written::At(81));
    assert_eq!(shared.value("n").unwrap().value, None);
    assert_eq!(set(0, Some(&json!(1))), Written::Changed);
    assert_eq!(set(81, Some(&json!(1))), Written::At(82));
    assert_eq!(set(80, Some(&json!(2))), Written::Changed);
    let noted = note(NoteKind::Paused);
    let value = json!({ "paused": true });
    let write = SharedWrite {
        key: "noted",
        expected: 0,
        value: Some(&value),
        fence: None,
        note: Some(&noted),
    };
    assert_eq!(shared.compare_and_set(&write).unwrap(), Written::At(1));
}

fn pauses(shared: &Arc<dyn Coordinate>) {
    let pause = |agent: Option<&str>| Paused {
        agent: agent.map(str::to_owned),
        at: at(0),
        reason: Some("why".into()),
    };
    shared.pause(&pause(Some("rook")), &note(NoteKind::Paused)).unwrap();
    shared.pause(&pause(None), &note(NoteKind::Paused)).unwrap();
    assert_eq!(shared.paused().unwrap().len(), 2);
    assert!(shared.unpause(Some("rook"), &note(NoteKind::Unpaused)).unwrap());
    assert!(!shared.unpause(Some("rook"), &note(NoteKind::Unpaused)).unwrap());
    assert_eq!(shared.paused().unwrap(), [pause(None)]);
    assert!(shared.held_sets(true).unwrap().is_empty());
}

fn watch(shared: &Arc<dyn Coordinate>) {
    let mut before = shared.changes().unwrap();
    assert_eq!(shared.changes().unwrap(), before);
    let mut changed = |what: &[Topic]| {
        let now = shared.changes().unwrap();
        assert_eq!(now.since(&before), what);
        before = now;
    };
    let queued = submitted(&**shared, &entry(Some("k"), None));
    changed(&[Topic::Queue]);
    submitted(&**shared, &entry(Some("k"), None));
    changed(&[]);
    let cancelled = InboxEntry { state: EntryState::Cancelled, ..queued.clone() };
    let is_moved = shared.move_entry(&queued, &cancelled, &note(NoteKind::Cancelled)).unwrap();
    assert!(is_moved);
    changed(&[Topic::Queue]);
    let paused = Paused { agent: None, at: at(0), reason: None };
    shared.pause(&paused, &note(NoteKind::Paused)).unwrap();
    changed(&[Topic::Pauses]);
    let value = json!(1);
    let write = SharedWrite { key: "v", expected: 0, value: Some(&value), fence: None, note: None };
    shared.compare_and_set(&write).unwrap();
    changed(&[Topic::Values]);
}

#[test]
fn sqlite_keeps_the_contract() {
    contract(&sqlite);
}

/// A promise that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Fencing,
    DeDuplication,
    Claims,
    Leases,
    Comparison,
}

/// Something that breaks one promise and keeps all others.
#[derive(Debug)]
struct Control {
    sound: Arc<dyn Coordinate>,
    broken: Broken,
}

impl Coordinate for Control {
    fn submit(&self, submission: &Submission<'_>) -> Result<InboxEntry, Error> {
        let entry = submission.entry;
        if self.broken == Broken::DeDuplication {
            let key = entry.key.as_ref().map(|key| format!("{key} {}", entry.id));
            let with_own_key = InboxEntry { key, ..entry.clone() };
            let own = Submission { entry: &with_own_key, ..*submission };
            let own = self.sound.submit(&own)?;
            return Ok(InboxEntry { key: entry.key.clone(), ..own });
        }
        let fence = submission.fence.filter(|_| self.broken != Broken::Fencing);
        self.sound.submit(&Submission { fence, ..*submission })
    }
    fn entry(&self, id: &str) -> Result<Option<InboxEntry>, Error> {
        self.sound.entry(id)
    }
    fn open_entries(
        &self,
        of: (&str, &str, Option<Queue>),
        after: Option<&InboxEntry>,
        limit: u32,
    ) -> Result<Vec<InboxEntry>, Error> {
        self.sound.open_entries(of, after, limit)
    }
    fn move_entry(
        &self,
        from: &InboxEntry,
        entry: &InboxEntry,
        note: &Note,
    ) -> Result<bool, Error> {
        self.sound.move_entry(from, entry, note)
    }
    fn renew_lease(&self, id: &str, worker: &str, until: Timestamp) -> Result<bool, Error> {
        Ok(self.sound.renew_lease(id, worker, until)? || self.broken == Broken::Leases)
    }
    fn claim(&self, name: &str, owner: &str, at: Timestamp) -> Result<bool, Error> {
        Ok(self.sound.claim(name, owner, at)? || self.broken == Broken::Claims)
    }
    fn claimed(&self, name: &str) -> Result<Option<Claim>, Error> {
        self.sound.claimed(name)
    }
    fn forget_claims(&self, before: Timestamp) -> Result<usize, Error> {
        self.sound.forget_claims(before)
    }
    fn prune(&self, before: Timestamp, note: &Note) -> Result<Pruned, Error> {
        self.sound.prune(before, note)
    }
    fn lock(
        &self,
        name: &str,
        owner: &str,
        time: (Timestamp, Timestamp),
    ) -> Result<Option<Fence>, Error> {
        self.sound.lock(name, owner, time)
    }
    fn extend_lock(&self, fence: &Fence, until: Timestamp) -> Result<bool, Error> {
        self.sound.extend_lock(fence, until)
    }
    fn unlock(&self, fence: &Fence) -> Result<bool, Error> {
        self.sound.unlock(fence)
    }
    fn value(&self, key: &str) -> Result<Shared, Error> {
        self.sound.value(key)
    }
    fn compare_and_set(&self, write: &SharedWrite<'_>) -> Result<Written, Error> {
        let mut write = *write;
        if self.broken == Broken::Fencing {
            write.fence = None;
        }
        if self.broken == Broken::Comparison {
            write.expected = self.sound.value(write.key)?.revision;
        }
        self.sound.compare_and_set(&write)
    }
    fn changes(&self) -> Result<Changes, Error> {
        self.sound.changes()
    }
    fn held_sets(&self, all: bool) -> Result<Vec<KeptSet>, Error> {
        self.sound.held_sets(all)
    }
    fn move_kept(&self, steps: &[KeptStep<'_>]) -> Result<bool, Error> {
        self.sound.move_kept(steps)
    }
    fn pause(&self, paused: &Paused, note: &Note) -> Result<(), Error> {
        self.sound.pause(paused, note)
    }
    fn unpause(&self, agent: Option<&str>, note: &Note) -> Result<bool, Error> {
        self.sound.unpause(agent, note)
    }
    fn paused(&self) -> Result<Vec<Paused>, Error> {
        self.sound.paused()
    }
}

#[test]
fn the_contract_notices_each_promise_that_is_broken() {
    use Broken::{Claims, Comparison, DeDuplication, Fencing, Leases};
    for broken in [Fencing, DeDuplication, Claims, Leases, Comparison] {
        let make = || {
            let (dir, sound) = sqlite();
            let control: Arc<dyn Coordinate> = Arc::new(Control { sound, broken });
            (dir, control)
        };
        let kept = catch_unwind(AssertUnwindSafe(|| contract(&make)));
        assert!(kept.is_err(), "{broken:?} goes unnoticed");
    }
}

/// Where a child process of these tests finds the journal.
const JOURNAL: &str = "PLANWRIGHT_TEST_SHARED";
/// The numbers that the children claim.
const NUMBERS: usize = 60;

/// Not a test: what the test below starts as a process of its own. It claims number after number, makes
/// an entry of each, and adds to a counter under a lock.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn child_of_the_kill_test() {
    let Ok(path) = std::env::var(JOURNAL) else { return };
    let shared = Journal::open(Path::new(&path)).unwrap();
    let shared: &dyn Coordinate = &shared;
    println!("\nready");
    for n in 0..NUMBERS {
        let name = format!("number {n}");
        if shared.claimed(&name).unwrap().is_some() {
            continue;
        }
        submitted(shared, &entry(Some(&name), Some("counter")));
        // A lock whose holder was killed ends by itself.
        let fence = loop {
            let now = SystemClock.now();
            let until = now + SignedDuration::from_millis(50);
            if let Some(fence) = shared.lock("sum", "child", (now, until)).unwrap() {
                break fence;
            }
            between_looks();
        };
        let found = shared.value("sum").unwrap();
        let mut done: BTreeSet<usize> =
            found.value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
        done.insert(n);
        let value = json!(done);
        let write = SharedWrite {
            key: "sum",
            expected: found.revision,
            value: Some(&value),
            fence: Some(&fence),
            note: None,
        };
        let written = shared.compare_and_set(&write).unwrap();
        let _given_back = shared.unlock(&fence).unwrap();
        if matches!(written, Written::At(_)) {
            shared.claim(&name, "child", at(0)).unwrap();
            println!("\ndid {n}");
        }
    }
    println!("\nend");
}

fn child(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "coordinate::child_of_the_kill_test", "--nocapture"]);
    command.env(JOURNAL, path).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Waits until a child has begun; returns the rest of its output.
fn begun(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"), "the child did not begin");
    lines
}

#[test]
fn processes_that_are_killed_lose_and_double_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    drop(Journal::open(&path).unwrap());
    let (n_kills, mut dice) = (times("SHARED_KILLS", 6), Dice::new(19));
    for _ in 0..n_kills {
        let mut pair = [child(&path), child(&path)];
        let mut lines: Vec<_> = pair.iter_mut().map(begun).collect();
        // In the middle of whatever they do after so many numbers.
        let _seen = lines[0].by_ref().take(dice.below(12)).count();
        for child in &mut pair {
            child.kill().unwrap();
        }
        for child in &mut pair {
            child.wait().unwrap();
        }
    }
    let journal = Journal::open(&path).unwrap();
    let all = |journal: &Journal| {
        let claimed = |n: &usize| journal.claimed(&format!("number {n}")).unwrap().is_some();
        (0..NUMBERS).filter(claimed).count()
    };
    let mut rounds = 0;
    while all(&journal) < NUMBERS {
        let mut last = child(&path);
        let said: Vec<String> = begun(&mut last).collect();
        assert!(said.iter().any(|line| line == "end"), "it did not come to its end");
        assert!(last.wait().unwrap().success());
        rounds += 1;
        assert!(rounds < 5, "what a killed process held is never given back");
    }
    let entries = journal.open_entries(OF, None, 10_000).unwrap();
    let keys: BTreeSet<_> = entries.iter().map(|entry| entry.key.clone().unwrap()).collect();
    assert_eq!((entries.len(), keys.len()), (NUMBERS, NUMBERS));
    let sum = Coordinate::value(&journal, "sum").unwrap().value.unwrap();
    assert_eq!(sum.as_array().unwrap().len(), NUMBERS);
    assert!(journal.verify().unwrap().is_ok());
    println!("{n_kills} kills of two processes, {NUMBERS} numbers");
}

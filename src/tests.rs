//! Whole runs in virtual time, with other people working on the same board. They create, edit, move
//! and delete between any two requests; answers are lost or late; clocks differ; the process dies
//! and another carries on; two runs and an undo work at once. In every such world the reports must
//! be true, and nobody's work may be lost.
//!
//! `PLANWRIGHT_TEST_SEEDS` sets the number of worlds.

mod judgement;
mod truth;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::change::key::TaskField;
use crate::change::{ChangeSet, Op};
use crate::graph::{BaseUrl, Client, Secret};
use crate::host::apply::outcome::ChangeStatus;
use crate::host::query::Query;
use crate::host::{
    Decisions, Error, Failure, Host, Judge, NewTask, Nobody, Program, Report, Session, Start,
    StateFolder, Status, Stop, Watch,
};
use crate::journal::{Purpose, Run};
use crate::model::{BucketId, Limits, PlanId, Priority, RosterId, TaskId};
use crate::policy::{Caps, Ruling};
use crate::tests::judgement::judge;
use crate::tests::truth::{By, Commit, Fact};
use crate::tests::world::{
    Dice, LATEST, N_TASKS, Off, ROOK, TITLES, UNDO, Virtual, Way, Weather, World, setting,
};

struct NoPolicies;

impl Judge for NoPolicies {
    fn judge(&self, _: &Session, _: &ChangeSet, _: &Start) -> Vec<Ruling> {
        Vec::new()
    }
}

/// Builds a process on this machine: a host with its own connection to the service.
fn host(world: &Arc<World>, folder: &TempDir, run: usize) -> Host {
    let base = BaseUrl::parse("http://127.0.0.1:9/v1.0").unwrap();
    let way = Arc::new(Way { world: Arc::clone(world), run });
    let token = Secret::new(format!("emulator:{ROOK}"));
    let quarantine = match world.off {
        Some(Off::Quarantine) => Duration::ZERO,
        _ => LATEST + Duration::from_secs(20),
    };
    Host {
        client: Client::of_model(base, &token, way).unwrap(),
        service: "model".into(),
        clock: Arc::new(Virtual::new(world.began, SignedDuration::ZERO)),
        zone: TimeZone::UTC,
        caps: Caps { max_changes: 1000, max_deletes: 1000 },
        limits: Limits::default(),
        time_limit: Duration::from_secs(1_000_000),
        judge: Arc::new(NoPolicies),
        max_reads: 100_000,
        max_edits: 100_000,
        max_edit_bytes: usize::MAX,
        quarantine,
        writes_per_second: None,
        watch: Watch::default(),
        state_folder: Some(StateFolder::new(folder.path().to_owned())),
        interrupt: Arc::new(Stop::default()),
        approver: Arc::new(Nobody),
        approval_time: Duration::from_hours(72),
    }
}

fn start(skill: &str) -> Start {
    Start {
        purpose: Purpose::Run,
        skill: skill.into(),
        skill_digest: None,
        params: Value::Null,
        agent: None,
        force: true,
        dry_run: false,
    }
}

/// Returns a program that decides by what it reads, and records the facts that its decisions rest
/// on.
fn program(world: &Arc<World>, run: usize, seed: u64) -> Arc<dyn Program> {
    let world = Arc::clone(world);
    Arc::new(move |session: &Session| {
        world.drafting.fetch_add(1, Ordering::SeqCst);
        let mut facts = Vec::new();
        let drafted = draft(&world, run, seed, session, &mut facts);
        world.truth().facts.insert(run, facts);
        world.drafting.fetch_sub(1, Ordering::SeqCst);
        drafted.map(|()| Value::Null).map_err(Failure::from)
    })
}

fn draft(
    world: &World,
    run: usize,
    seed: u64,
    session: &Session,
    facts: &mut Vec<Fact>,
) -> Result<(), Error> {
    let mut dice = Dice::new(seed ^ 0xD1CE);
    let plan = PlanId::parse(&world.plan).unwrap();
    let bucket = |at: u64| BucketId::parse(&world.buckets[at as usize]).unwrap();
    let uncounted = world.off == Some(Off::Reads);
    for op in 0..=dice.roll(5) {
        let at = dice.roll(N_TASKS as u64) as usize;
        let id = TaskId::parse(&world.ids[at]).unwrap();
        // Its own drafts are no facts of the board.
        let mut fact = |field, value: Value| {
            if session.state().draft.task(&id).is_none() {
                facts.push(Fact::Field(id.to_string(), field, value));
            }
        };
        let new = |title: &str, at: u64| NewTask {
            title: title.to_owned(),
            bucket: Some(bucket(at)),
            // Equal creates of two runs that are both late could not be told apart, so they differ
            // here.
            priority: Priority::new(1 + run as u8),
            ..NewTask::default()
        };
        let what = dice.roll(7);
        let (n, side) = (dice.roll(4) + 1, dice.roll(2));
        let outcome = match what {
            0 => (|| {
                let priority = if uncounted {
                    session.peek_task(&id)?.priority
                } else {
                    session.task_field(&id, TaskField::PRIORITY)?
                };
                fact("priority", json!(priority));
                if priority.level() % 2 == 0 {
                    session.editor()?.edit_task(&id, |task| {
                        task.title = format!("r{run}.{op} {}", priority.level());
                    })?;
                }
                Ok(())
            })(),
            1 => (|| {
                let title = session.task_field(&id, TaskField::TITLE)?;
                fact("title", json!(title));
                session.editor()?.edit_details(&id, |details| {
                    details.description = format!("{title}, r{run}.{op}");
                })
            })(),
            2 => (0..n).try_for_each(|n| {
                let mut new = new(TITLES[(n % 2) as usize], n / 2);
                if n % 2 == 0 {
                    new.description = format!("r{run}");
                }
                session.editor()?.create_task(&plan, new).map(drop)
            }),
            3 => match session.find_task(&plan, TITLES[2]) {
                Err(Error::NotFound { .. }) => {
                    facts.push(Fact::NoneTitled(TITLES[2].to_owned()));
                    session.editor()?.create_task(&plan, new(TITLES[2], side)).map(drop)
                }
                Err(Error::Ambiguous { .. }) => Ok(()),
                other => other.map(drop),
            },
            4 => (|| {
                let text = session.task_field(&id, TaskField::DESCRIPTION)?;
                fact("description", json!(text));
                if text == "obsolete" { session.editor()?.delete_task(&id) } else { Ok(()) }
            })(),
            5 => (|| {
                let other = TaskId::parse(&world.ids[(at + 1) % N_TASKS]).unwrap();
                let percent = session.task_field(&id, TaskField::PERCENT)?;
                fact("percentComplete", json!(percent));
                if percent == 0 {
                    let priority = Priority::new(1 + n as u8).unwrap();
                    session.editor()?.edit_task(&other, |task| task.priority = priority)?;
                }
                Ok(())
            })(),
            _ => (|| {
                let from = session.task_field(&id, TaskField::BUCKET)?;
                fact("bucketId", json!(from));
                session.editor()?.move_task(&id, &bucket(side))
            })(),
        };
        match outcome {
            // Somebody has deleted it.
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Lets time pass. While a program drafts on its thread, time stands nearly still, however long the
/// machine takes to get to that thread: so a world that is played again comes out the same.
async fn tick(world: Arc<World>) {
    let drafts = || world.drafting.load(Ordering::SeqCst) > 0;
    loop {
        for _ in 0..1000 {
            if !drafts() {
                break;
            }
            std::thread::yield_now();
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(if drafts() { 1 } else { 50 })).await;
    }
}

/// A world that was played to its end.
struct Played {
    world: Arc<World>,
    reports: Vec<(usize, Report)>,
    runs: Vec<Run>,
}

async fn play(seed: u64, weather: Weather, off: Option<Off>) -> Played {
    let world = World::new(seed, weather, off);
    let folder = tempfile::tempdir().unwrap();
    let mut reports: Vec<(usize, Report)> = Vec::new();
    let ticking = tokio::spawn(tick(Arc::clone(&world)));
    let roll = |sides| world.dice().roll(sides);
    let mut tasks = Vec::new();
    for run in 0..2 {
        let host = host(&world, &folder, run);
        let program = program(&world, run, seed.wrapping_mul(2).wrapping_add(run as u64));
        // Anything made by hand before must be older than the resolution of the service's clock.
        let wait = Duration::from_millis(3000 + roll(2000));
        let dies = (roll(3) == 0).then(|| Duration::from_millis(roll(90_000)));
        tasks.push((
            run,
            dies,
            tokio::spawn(async move {
                sleep(wait).await;
                host.run(start(&format!("run{run}")), program).await
            }),
        ));
    }
    let undo = (roll(2) == 0).then(|| {
        let (host, wait) = (host(&world, &folder, UNDO), Duration::from_millis(roll(20_000)));
        tokio::spawn(async move {
            sleep(wait).await;
            let all = host.runs().await.unwrap_or_default();
            let first = all.iter().find(|run| run.skill == "run0")?;
            host.undo(first.id.as_str(), start("undo")).await.ok()
        })
    });
    for (run, dies, mut task) in tasks {
        let died = match dies {
            Some(after) => tokio::time::timeout(after, &mut task).await.map_err(|_| task.abort()),
            None => Ok((&mut task).await),
        };
        if let Ok(finished) = died {
            reports.push((run, finished.unwrap().report));
        }
    }
    if let Some(task) = undo
        && let Ok(Some(finished)) = task.await
    {
        reports.push((UNDO, finished.report));
    }
    for _ in 0..3 {
        resume_all(&world, &folder, &mut reports).await;
        world.quiet().await;
    }
    ticking.abort();
    let host = host(&world, &folder, 0);
    let mut runs = Vec::new();
    for run in host.runs().await.unwrap_or_default().into_iter().rev() {
        runs.push(host.recorded(run.id.as_str()).await.unwrap());
    }
    Played { world, reports, runs }
}

/// Resumes in another process what was cut off, then decides what is parked, as a person who has
/// looked at the board.
async fn resume_all(world: &Arc<World>, folder: &TempDir, reports: &mut Vec<(usize, Report)>) {
    let looker = host(world, folder, 0);
    // The service may be out of reach for now.
    let Ok(unfinished) = looker.unfinished().await else { return };
    for id in unfinished {
        let recorded = looker.recorded(id.as_str()).await.unwrap();
        let run = number(&recorded.start.skill);
        world.truth().facts.remove(&run);
        let host = host(world, folder, run);
        let Ok(finished) = host.resume(id.as_str(), Decisions::default(), start("")).await else {
            continue;
        };
        let decided = decide(world, run, &finished.report, reports);
        reports.push((run, finished.report));
        if decided.made.len() + decided.not_made.len() > 0 {
            // A person who decides has waited until nothing more can arrive.
            world.quiet().await;
            let decided = decide(world, run, &reports.last().unwrap().1.clone(), reports);
            if let Ok(finished) = host.resume(id.as_str(), decided, start("")).await {
                reports.push((run, finished.report));
            }
        }
    }
}

fn number(skill: &str) -> usize {
    match skill {
        "run0" => 0,
        "run1" => 1,
        _ => UNDO,
    }
}

fn decide(world: &World, run: usize, report: &Report, all: &[(usize, Report)]) -> Decisions {
    let truth = world.truth();
    let mut taken: BTreeSet<String> = all
        .iter()
        .flat_map(|(_, report)| &report.changes)
        .filter(|change| change.op == Op::Create && change.status == ChangeStatus::Applied)
        .map(|change| change.id.clone())
        .collect();
    let mut decided = Decisions::default();
    let parked = report
        .changes
        .iter()
        .filter(|change| change.status == ChangeStatus::Unknown && change.op == Op::Create);
    for change in parked {
        // Two creates may share their candidates, and a person knows which of the two made which.
        let made_it = |commit: &Commit| {
            let sent =
                |name: &str, after: &Value| commit.body.get(name).is_none_or(|sent| sent == after);
            commit.method == "POST"
                && commit.by == By::Run(run)
                && change.fields.iter().all(|(name, field)| sent(name, &field.after))
        };
        let own = change.candidates.iter().find(|id| {
            truth.commits.iter().any(|commit| commit.id == **id && made_it(commit))
                && !taken.contains(*id)
        });
        if let Some(id) = own {
            taken.insert(id.clone());
            decided.made.insert(change.n, id.clone());
        } else if !change.candidates.is_empty() {
            decided.not_made.insert(change.n);
        }
    }
    decided
}

fn weather(dice: &mut Dice) -> Weather {
    let mut one_in = |kinds: &[u64]| kinds[dice.roll(kinds.len() as u64) as usize];
    Weather {
        lost_before: one_in(&[0, 0, 6, 15]),
        lost_after: one_in(&[0, 0, 4, 10]),
        late: one_in(&[0, 0, 5, 12]),
        doubled: one_in(&[0, 0, 10]),
        busy: one_in(&[0, 8, 20]),
        people: one_in(&[0, 2, 4, 10]),
    }
}

fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn played(seed: u64, weather: Weather, off: Option<Off>) -> Vec<String> {
    in_virtual_time(async { judge(&play(seed, weather, off).await) })
}

/// A set that goes out slowly is validated again from time to time; the rest of it used to be
/// written to the journal again each time.
#[test]
fn a_paced_run_writes_its_set_down_once() {
    in_virtual_time(async {
        let world = World::new(1, Weather::default(), None);
        let folder = tempfile::tempdir().unwrap();
        let ticking = tokio::spawn(tick(Arc::clone(&world)));
        let host = Host { writes_per_second: Some(1), ..host(&world, &folder, 0) };
        let drafts = Arc::clone(&world);
        let program = move |session: &Session| {
            drafts.drafting.fetch_add(1, Ordering::SeqCst);
            let plan = PlanId::parse(&drafts.plan).unwrap();
            let drafted = (0..120).try_for_each(|n| {
                let new = NewTask { title: format!("N{n}"), ..NewTask::default() };
                session.editor()?.create_task(&plan, new).map(drop)
            });
            drafts.drafting.fetch_sub(1, Ordering::SeqCst);
            drafted.map(|()| Value::Null).map_err(Failure::from)
        };
        let finished = host.run(start("paced"), Arc::new(program)).await;
        ticking.abort();
        assert_eq!(finished.report.status, Status::Applied);
        assert!(world.began.elapsed() > Duration::from_secs(100), "it was not paced");
        let run = host.recorded(&finished.report.run_id).await.unwrap();
        assert_eq!(run.rounds.len(), 1);
        let attempts: usize = run.rounds[0].trails.iter().map(|trail| trail.attempts.len()).sum();
        assert_eq!(attempts, 120);
    });
}

/// A process for scripts may ask for anything. Nobody's roster is read for it but that of a plan which
/// the run has read.
#[test]
fn the_members_of_a_roster_out_of_reach_are_not_asked_for() {
    // Nothing here waits, so the clock is the real one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let world = World::new(1, Weather::default(), None);
        let folder = tempfile::tempdir().unwrap();
        let host = host(&world, &folder, 0);
        let looked = host.look(None, |session| {
            let roster = RosterId::parse("6519868f-868f-6519-8f86-19658f861965").unwrap();
            Ok(session.answer(&Query::RosterMembers(roster)))
        });
        let answer = looked.await.unwrap();
        assert!(matches!(answer, Err(Error::NotFound { what: "roster", .. })), "{answer:?}");
    });
}

#[test]
fn whatever_others_do_nothing_is_lost_doubled_or_taken() {
    let n = setting("PLANWRIGHT_TEST_SEEDS", 60);
    let first = setting("PLANWRIGHT_TEST_FIRST_SEED", 0);
    let next = AtomicU64::new(first);
    let wrong: Vec<(u64, Vec<String>)> = std::thread::scope(|scope| {
        let play = || {
            let mut wrong = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed >= first + n {
                    return wrong;
                }
                let found = played(seed, weather(&mut Dice::new(seed ^ 0xFEED)), None);
                if !found.is_empty() {
                    wrong.push((seed, found));
                }
            }
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(play)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {n} worlds: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
}

/// With a guard off, the fault that it prevents happens and is noticed. Otherwise the test above
/// would prove nothing.
#[test]
fn what_a_guard_keeps_away_happens_without_it() {
    let bad = Weather { lost_before: 5, lost_after: 5, late: 4, people: 2, ..Weather::default() };
    let cases = [
        (Off::Makers, "adopted:"),
        (Off::Quarantine, "doubled:"),
        (Off::IfMatch, "lost:"),
        (Off::Reads, "stale:"),
        (Off::Truth, "report:"),
        (Off::Refusals, "journal:"),
    ];
    for (off, says) in cases {
        let says = |found: &[String]| found.iter().any(|line| line.starts_with(says));
        // A stale read is rare, for the host is quick: some take a hundred worlds and more.
        let noticed = (0..3000).any(|seed| says(&played(seed, bad, Some(off))));
        assert!(noticed, "{off:?}: nobody notices");
    }
}

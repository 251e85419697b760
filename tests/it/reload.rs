//! Hot reload: what is in force follows the files, whole, and nothing that runs notices.
//!
//! Nothing here waits for time to pass: a test waits for the event that must come, and what must
//! not have happened is checked after an event that came later.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use planwright::host::{Judge as _, Status};
use planwright::script::reload::{Options, Reloaded};
use planwright::script::workspace::WorkspaceError;
use planwright::script::{Budget, Bundle, Skill, Watcher};
use serde_json::Map;

use crate::driver::{Dice, Driver};
use crate::support::Planner;
use crate::support::scripts_run_in_the_program;
use crate::support::times;

/// So late that it never counts: only events do, unless a test says otherwise.
const EVENTS: Options =
    Options { events: true, interval: Duration::from_secs(3600), quiet: Duration::from_millis(20) };
/// Looking all the time, without events.
const INTERVALS: Options =
    Options { events: false, interval: Duration::from_millis(5), quiet: Duration::ZERO };
/// A test that waits longer has failed.
const NEVER: Duration = Duration::from_secs(60);

/// A workspace that is watched.
struct Place {
    dir: tempfile::TempDir,
    watcher: Watcher,
    events: Receiver<Reloaded>,
    /// The last version that an event told of.
    told: Cell<u64>,
}

/// Writes a file in place and closes it.
fn save(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Saves a skill and the library that it uses, both with this number.
fn save_both(root: &Path, n: usize) {
    save(root, "planwright.toml", "");
    save(root, "scripts/lib/shared.rhai", &library(n));
    save(root, "scripts/skills/a.rhai", &skill(n));
}

impl Place {
    /// A workspace of two skills that use a library, and a policy.
    fn watched(options: Options) -> Self {
        scripts_run_in_the_program();
        let dir = tempfile::tempdir().unwrap();
        save_both(dir.path(), 0);
        save(dir.path(), "planwright.toml", "[policies]\nalways = [\"house\"]\n");
        save(dir.path(), "scripts/skills/b.rhai", &skill(0));
        let policy = "fn review(changes, run) { warn(\"seen\"); }";
        save(dir.path(), "scripts/policies/house.rhai", policy);
        let root = dir.path().to_owned();
        Self::over(dir, &root, options)
    }

    fn over(dir: tempfile::TempDir, root: &Path, options: Options) -> Self {
        let watcher = Watcher::start(root, options).unwrap();
        let (tell, events) = channel();
        watcher.subscribe(move |event| drop(tell.send(event.clone())));
        Self { dir, watcher, events, told: Cell::new(1) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn save(&self, path: &str, text: &str) {
        save(self.dir.path(), path, text);
    }

    /// Writes beside the file and renames, as most editors do.
    fn replace(&self, path: &str, text: &str) {
        let (path, beside) = (self.path(path), self.path(&format!("{path}.tmp")));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, path).unwrap();
    }

    fn current(&self) -> Arc<Bundle> {
        self.watcher.current()
    }

    fn event(&self) -> Reloaded {
        let event = self.events.recv_timeout(NEVER).expect("an event");
        self.told.set(event.generation);
        event
    }

    /// Waits until the version in force is as it must be; returns the events until then.
    fn until(&self, is_so: impl Fn(&Bundle) -> bool) -> Vec<Reloaded> {
        let mut events = Vec::new();
        loop {
            let current = self.current();
            if is_so(&current) && self.told.get() == current.generation {
                return events;
            }
            events.push(self.event());
        }
    }

    /// Waits until a skill is in force that was saved with a number, on a library with another.
    fn until_in_force(&self, name: &str, n: usize, library: usize) -> Vec<Reloaded> {
        let digest = digest(name, n, library);
        self.until(|it| in_force(it, name) == Some(digest.clone()))
    }
}

/// A skill that returns its number and that of its library. Its first half is a skill, too.
fn skill(n: usize) -> String {
    format!("let half = \"written\";\nimport \"shared\" as lib;\n[{n}, lib::number()]\n")
}

fn library(n: usize) -> String {
    format!("fn number() {{\n    {n}\n}}\n")
}

fn digest(name: &str, n: usize, m: usize) -> String {
    scripts_run_in_the_program();
    let libraries = Arc::new(BTreeMap::from([("shared".to_owned(), library(m))]));
    let skill = Skill::compile(name, &format!("skills/{name}.rhai"), &skill(n), &libraries);
    skill.unwrap().digest().to_owned()
}

fn in_force(bundle: &Bundle, name: &str) -> Option<String> {
    bundle.skill(name).ok().map(|it| it.digest().to_owned())
}

#[test]
fn a_save_in_place_and_one_by_rename_are_in_force() {
    let place = Place::watched(EVENTS);
    let before = place.current();
    place.save("scripts/skills/a.rhai", &skill(1));
    place.until_in_force("a", 1, 0);
    place.replace("scripts/skills/a.rhai", &skill(2));
    let events = place.until_in_force("a", 2, 0);
    assert_eq!(events.last().unwrap().changed, ["skills/a.rhai"]);
    // Whoever began before still has what it began with, and nothing else was compiled again.
    assert_eq!(in_force(&before, "a"), Some(digest("a", 0, 0)));
    assert!(Arc::ptr_eq(&before.skill("b").unwrap(), &place.current().skill("b").unwrap()));
    // A new one, in a folder that is new as well.
    place.save("scripts/skills/more/c.rhai", &skill(3));
    place.until_in_force("more/c", 3, 0);
    fs::rename(place.path("scripts/skills/more/c.rhai"), place.path("scripts/skills/d.rhai"))
        .unwrap();
    place.until(|it| it.skill("d").is_ok() && it.skill("more/c").is_err());
}

#[test]
fn a_half_written_file_is_left_alone_until_it_is_closed() {
    let place = Place::watched(EVENTS);
    let text = skill(1);
    let (half, rest) = text.split_once('\n').unwrap();
    let mut file = File::create(place.path("scripts/skills/a.rhai")).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    // A new one is not there before it is whole.
    let new = File::create(place.path("scripts/skills/new.rhai")).unwrap();
    for n in 1..20 {
        // Others are saved meanwhile, and the folder is looked at for their sake.
        place.save("scripts/skills/b.rhai", &skill(n));
        let events = place.until_in_force("b", n, 0);
        assert!(events.iter().all(|it| it.changed == ["skills/b.rhai"]), "{events:?}");
        assert_eq!(in_force(&place.current(), "a"), Some(digest("a", 0, 0)));
        assert!(place.current().skill("new").is_err());
        assert_eq!(place.current().problems, []);
    }
    file.write_all(format!("\n{rest}").as_bytes()).unwrap();
    drop((file, new));
    place.until_in_force("a", 1, 0);
    place.until(|it| it.skill("new").is_ok());
}

#[test]
fn a_broken_library_is_reported_once_and_changes_nothing() {
    let place = Place::watched(EVENTS);
    let broken = "fn number() {\n    7 +\n}\n";
    place.save("scripts/lib/shared.rhai", broken);
    let event = place.event();
    assert_eq!(event.changed, [""; 0]);
    let [problem] = event.problems.as_slice() else { panic!("{event:?}") };
    assert_eq!((problem.file.as_str(), problem.line), ("lib/shared.rhai", Some(3)));
    assert_eq!(in_force(&place.current(), "a"), Some(digest("a", 0, 0)));
    // Saved again as it was, it is no news; and a new skill is not reported with it either.
    place.save("scripts/lib/shared.rhai", broken);
    place.save("scripts/skills/plain.rhai", "1");
    let events = place.until(|it| it.skill("plain").is_ok());
    assert!(events.iter().all(|it| it.problems.is_empty()), "{events:?}");
    assert_eq!(place.current().problems, event.problems);
    // Broken in another way it is.
    place.save("scripts/lib/shared.rhai", &format!("// again\n{broken}"));
    assert_eq!(place.event().problems[0].line, Some(4));
    place.save("scripts/lib/shared.rhai", &library(5));
    place.until_in_force("a", 0, 5);
    place.until_in_force("b", 0, 5);
    assert_eq!(place.current().problems, []);
}

#[test]
fn a_policy_that_breaks_stays_and_one_that_is_gone_denies() {
    let planner = Planner::demo();
    let place = Place::watched(EVENTS);
    let mut driver = Driver::new(&planner);
    driver.host.judge = place.watcher.judge(None);
    let program = |text: &str| {
        let skill = Skill::compile("t", "t", text, &Arc::default()).unwrap();
        let program = skill.program(Map::new(), Budget::default());
        move |session: &planwright::host::Session| program.run(session)
    };
    let create = |title: &str| {
        let text = format!("plan(\"BOS Operations\").create_task(#{{ title: \"{title}\" }}); ()");
        driver.run(program(&text)).report.status
    };
    let digest = || place.current().policies(None).digests()["house.rhai"].clone();
    assert_eq!(create("one"), Status::Applied);
    let good = digest();
    place.save("scripts/policies/house.rhai", "fn review(changes) {}");
    assert_eq!(place.event().problems[0].file, "policies/house.rhai");
    assert_eq!((digest(), create("two")), (good, Status::Applied));
    place.replace("scripts/policies/house.rhai", "fn review(changes, run) { deny(\"no\"); }");
    assert_eq!(place.event().changed, ["policies/house.rhai"]);
    assert_eq!(create("three"), Status::Denied);
    fs::remove_file(place.path("scripts/policies/house.rhai")).unwrap();
    assert_eq!(place.event().changed, ["policies/house.rhai"]);
    assert_eq!((digest().as_str(), create("four")), ("broken", Status::Denied));
}

#[test]
fn a_broken_configuration_does_not_count() {
    let place = Place::watched(EVENTS);
    place.save("planwright.toml", "[policies]\nalways = [\"house\"]\n[limits]\nmax_changes = 3\n");
    assert_eq!(place.event().changed, ["planwright.toml"]);
    for (text, line) in [
        ("[limits]\nmax_changs = 4\n", Some(2)),
        ("\n\ntime_zone = \"Mars/Olympus\"\n", Some(3)),
        ("[limits\n", Some(1)),
    ] {
        place.save("planwright.toml", text);
        let event = place.event();
        assert_eq!(event.changed, [""; 0], "{text}");
        assert_eq!(event.problems[0].line, line, "{:?}", event.problems);
        assert_eq!(place.current().workspace.config.limits.max_changes, Some(3));
    }
    fs::remove_file(place.path("planwright.toml")).unwrap();
    assert_eq!(place.event().problems[0].message, "it is missing");
    assert_eq!(place.current().workspace.config.limits.max_changes, Some(3));
    // There is nothing to begin with, though.
    let error = Watcher::start(place.dir.path(), EVENTS).unwrap_err();
    assert!(matches!(error, WorkspaceError::NotAWorkspace(_)), "{error:?}");
}

#[test]
fn what_changes_nothing_is_no_event() {
    let place = Place::watched(EVENTS);
    for _ in 0..50 {
        place.save("scripts/skills/a.rhai", &skill(0));
        place.replace("scripts/lib/shared.rhai", &library(0));
        place.save("scripts/skills/.#a.rhai", "let");
        place.save("scripts/skills/a.rhai~", "let");
        place.save("scripts/skills/4913", "let");
    }
    place.save("scripts/skills/b.rhai", &skill(1));
    assert_eq!(place.event().generation, 2);
    place.until_in_force("b", 1, 0);
}

#[test]
fn intervals_do_where_there_are_no_events() {
    let place = Place::watched(INTERVALS);
    for n in 1..10 {
        place.save("scripts/skills/a.rhai", &skill(n));
        place.replace("scripts/lib/shared.rhai", &library(n));
        place.until_in_force("a", n, n);
    }
    fs::remove_file(place.path("scripts/skills/a.rhai")).unwrap();
    place.until(|it| it.skill("a").is_err());
}

#[test]
fn folders_may_be_deleted_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    save_both(&root, 0);
    // What is above the root is not watched.
    let options = Options { interval: Duration::from_millis(20), ..EVENTS };
    let place = Place::over(dir, &root, options);
    for (n, folder) in [(1, root.join("scripts")), (3, root.clone())] {
        fs::remove_dir_all(folder).unwrap();
        place.until(|it| it.skill("a").is_err());
        save_both(&root, n);
        place.until_in_force("a", n, n);
        // And it is watched again.
        save(&root, "scripts/skills/a.rhai", &skill(n + 1));
        place.until_in_force("a", n + 1, n);
    }
    place.until(|it| it.problems.is_empty());
}

#[cfg(unix)]
#[test]
fn a_tree_that_is_swapped_by_a_link_is_never_mixed() {
    use std::os::unix::fs::symlink;
    let put = |root: &Path, n: usize| {
        save_both(&root.join(format!("..{n}")), n);
        symlink(format!("..{n}"), root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    put(&root, 0);
    symlink("..data/planwright.toml", root.join("planwright.toml")).unwrap();
    symlink("..data/scripts", root.join("scripts")).unwrap();
    let place = Place::over(dir, &root, EVENTS);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let note = |bundle: &Bundle| seen.lock().unwrap().extend(in_force(bundle, "a"));
    for n in 1..60 {
        put(&root, n);
        // Sometimes several before anyone looks.
        if n % 3 == 0 {
            let whole = digest("a", n, n);
            place.until(|it| {
                note(it);
                in_force(it, "a") == Some(whole.clone())
            });
        }
    }
    let whole: Vec<_> = (0..60).map(|n| digest("a", n, n)).collect();
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|it| whole.contains(it)), "a tree was mixed");
}

#[cfg(unix)]
#[test]
fn a_file_that_can_not_be_read_is_a_problem_of_its_own() {
    let place = Place::watched(EVENTS);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x.rhai"), "1").unwrap();
    std::os::unix::fs::symlink(outside.path().join("x.rhai"), place.path("scripts/skills/x.rhai"))
        .unwrap();
    let fifo =
        std::process::Command::new("mkfifo").arg(place.path("scripts/skills/p.rhai")).status();
    assert!(fifo.unwrap().success());
    fs::write(place.path("scripts/skills/a.rhai"), [0xff, 0xfe]).unwrap();
    place.save("scripts/skills/b.rhai", &"// \n".repeat(20_000));
    place.save("scripts/skills/bom.rhai", "\u{feff}1 + 1");
    place.until(|it| it.problems.len() == 3 && it.skill("bom").is_ok());
    let bundle = place.current();
    let problems: Vec<_> = bundle.problems.iter().map(ToString::to_string).collect();
    let expected = [
        "skills/a.rhai: not UTF-8 text",
        "skills/b.rhai: larger than 65536 bytes",
        "skills/x.rhai: leads out of the workspace",
    ];
    assert_eq!(problems, expected);
    assert_eq!(in_force(&bundle, "a"), Some(digest("a", 0, 0)));
    assert!(bundle.skill("x").is_err() && bundle.skill("p").is_err());
}

/// Ends the runs, also if the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs a skill of the version in force, again and again; what it returns must be what that
/// version says, and never older than what was returned before.
fn run_until(done: &AtomicBool, watcher: &Watcher, planner: &Planner, name: &str) -> usize {
    let driver = Driver::new(planner);
    let (mut n_runs, mut last) = (0, (0, 0));
    while !done.load(Ordering::SeqCst) || n_runs == 0 {
        let skill = watcher.current().skill(name).unwrap();
        let program = skill.program(Map::new(), Budget::default());
        let report = driver.run(move |session| program.run(session)).report;
        assert_eq!(report.status, Status::NoChanges, "{:?}", report.error);
        let number = |at: usize| usize::try_from(report.result[at].as_u64().unwrap()).unwrap();
        let now = (number(0), number(1));
        assert_eq!(skill.digest(), digest(name, now.0, now.1));
        assert!(now.0 >= last.0 && now.1 >= last.1, "{name} went back from {last:?} to {now:?}");
        (n_runs, last) = (n_runs + 1, now);
    }
    n_runs
}

#[test]
fn edits_do_not_disturb_what_runs() {
    let planner = Planner::demo();
    let place = Place::watched(EVENTS);
    let done = AtomicBool::new(false);
    let mut dice = Dice::new(7);
    let (mut now, mut n_broken, mut reported) =
        (BTreeMap::from([("a", 0), ("b", 0), ("shared", 0)]), 0, 0);
    std::thread::scope(|scope| {
        let (watcher, planner, done) = (&place.watcher, &planner, &done);
        let end = Done(done);
        let runs: Vec<_> = (0..8)
            .map(|at| scope.spawn(move || run_until(done, watcher, planner, ["a", "b"][at % 2])))
            .collect();
        for n in 1..=times("EDITS", 100) {
            let name = ["a", "b", "shared"][dice.below(3)];
            let (path, text) = match name {
                "shared" => ("scripts/lib/shared.rhai".to_owned(), library(n)),
                name => (format!("scripts/skills/{name}.rhai"), skill(n)),
            };
            if dice.chance(20) {
                n_broken += 1;
                place.save(&path, &format!("{text}{{ // broken {n}\n"));
                let lines = text.lines().count();
                // It is reported, with its line, once.
                loop {
                    let event = place.event();
                    reported += event.problems.len();
                    if let [problem] = event.problems.as_slice() {
                        assert!(path.ends_with(&problem.file), "{problem}");
                        assert!(problem.line.is_some_and(|it| it >= lines), "{problem}");
                        break;
                    }
                }
            }
            match dice.below(3) {
                0 => place.save(&path, &text),
                1 => place.replace(&path, &text),
                _ => {
                    let (half, rest) = text.split_once('\n').unwrap();
                    let mut file = File::create(place.path(&path)).unwrap();
                    file.write_all(half.as_bytes()).unwrap();
                    std::thread::yield_now();
                    file.write_all(format!("\n{rest}").as_bytes()).unwrap();
                }
            }
            now.insert(name, n);
            // Sometimes the next edit comes before this one is in force.
            if dice.chance(70) || n == times("EDITS", 100) {
                let wanted = ["a", "b"].map(|it| digest(it, now[it], now["shared"]));
                let is_so =
                    |bundle: &Bundle| ["a", "b"].map(|it| in_force(bundle, it).unwrap()) == wanted;
                reported += place.until(is_so).iter().map(|it| it.problems.len()).sum::<usize>();
            }
        }
        drop(end);
        let n_runs: usize = runs.into_iter().map(|it| it.join().unwrap()).sum();
        println!("{} edits, {n_broken} broken ones, {n_runs} runs", times("EDITS", 100));
    });
    reported += place.events.try_iter().map(|it| it.problems.len()).sum::<usize>();
    assert_eq!(reported, n_broken, "each broken edit is reported once");
    assert_eq!(place.current().problems, []);
}

//! Scripts that nobody would write, and arguments that nobody would give: no panic, no process that
//! ends, and every failure is one that says what it is.
//!
//! Everything is made from numbers that count up from a seed, so what fails can be made again:
//! `PLANWRIGHT_TEST_FUZZ_SEED=N PLANWRIGHT_TEST_FUZZ=1 cargo test --test it fuzz::`. Should the
//! process itself end, the script that did it is in the folder for tests below `target`.

#![expect(clippy::print_stdout, reason = "how far it is, and from which seed")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use planwright::change::ChangeSet;
use planwright::host::{Failure, Judge as _, Session, Start, View};
use planwright::journal::Purpose;
use planwright::model::TaskId;
use planwright::model::time::Calendar;
use planwright::script::console::complete::{next, signature};
use planwright::script::console::{Console, Libraries};
use planwright::script::finding::Role;
use planwright::script::lint;
use planwright::script::stage::{Meddling, RunRequest, Stage};
use planwright::script::syntax::tokens::is_open;
use planwright::script::testing::TestFile;
use planwright::script::{Budget, Config, Manifest, Policies, Skill, Workspace};
use serde_json::{Map, Value, json};

use crate::driver::Driver;
use crate::fuzz::make::{For, Maker};
use crate::support::{Planner, scripts_run_in_the_program, times};

mod make;
mod words;

/// Enough to get anywhere, and soon over.
const BUDGET: Budget = Budget {
    operations: 20_000,
    memory: 16 << 20,
    output: 64 << 10,
    computing: Duration::from_secs(2),
    calls: 48,
    expression_depth: usize::MAX,
};

/// A test that has found so much need not look further.
const ENOUGH: usize = 10;

/// What is wanted of the board while policies judge.
const WISHES: &str = "let p = plan(\"BOS Operations\");
let t = p.tasks; t[0].title = \"other\"; t[1].due = today() + days(3); t[2].delete();
t[4].assign(me()); t[4].description = \"more\"; p.title = \"BOS\"; p.set_label(1, \"One\");
p.create_task(#{ title: \"new\", checklist: [\"a\"] }); let b = p.create_bucket(\"new\"); b.name = \"newer\";
p.buckets[3].delete(); t[6].move_to(\"Inbox\"); create_plan(\"BOS\", \"Another\").create_bucket(\"b\");";

/// A configuration with everything in it.
const CONFIG: &str = "time_zone = \"Europe/Berlin\"
beta = false
[policies]
always = [\"agent_rules\"]
[plans.\"BOS Operations\"]
policies = [\"house\"]
[limits]
max_changes = 50
max_deletes = 0
operations = 5_000_000
memory_mib = 64
seconds = 60
writes_per_second = 3
[agents.triage]
plans = [\"BOS Operations\"]
may_apply = true
force = false
policies = [\"house\"]
[agents.triage.limits]
max_changes = 5
[planner]
";

/// The numbers to make scripts of.
fn seeds() -> std::ops::Range<u64> {
    let first = times("FUZZ_SEED", 1_u64);
    let n = times("FUZZ", 40_u64);
    println!("{n} of each kind from seed {first}");
    first..first.saturating_add(n)
}

/// Does something with made scripts, and keeps what went wrong.
struct Trial {
    kind: &'static str,
    wrong: Vec<String>,
    /// How each script ended, by code.
    ends: BTreeMap<String, usize>,
    n: usize,
}

impl Trial {
    fn new(kind: &'static str) -> Self {
        scripts_run_in_the_program();
        Self { kind, wrong: Vec::new(), ends: BTreeMap::new(), n: 0 }
    }

    fn has_enough(&self) -> bool {
        self.wrong.len() >= ENOUGH
    }

    /// Does one thing with a script; returns nothing where it panics or fails without saying how.
    fn of<T>(
        &mut self,
        what: &str,
        seed: u64,
        script: &str,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Option<T> {
        let mut note = |what: String| {
            self.wrong.push(format!("{what}: {} seed {seed}:\n{script}", self.kind));
        };
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(it)) => return Some(it),
            Ok(Err(failure)) => {
                if failure.code.is_empty() || failure.code == "bug" || failure.message.is_empty() {
                    note(format!("{what} failed with {failure:?}"));
                }
                *self.ends.entry(failure.code).or_default() += 1;
            }
            Err(_) => note(format!("{what} panicked")),
        }
        None
    }

    /// Keeps a script where it is found if the process ends; says now and then how far it is.
    fn begin(&mut self, script: &str) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.rhai", self.kind));
        std::fs::write(file, script).unwrap();
        self.n += 1;
        if self.n.is_multiple_of(50_000) {
            println!("{} {}: {:?}", self.n, self.kind, self.ends);
        }
    }

    fn check(&mut self, role: Role, seed: u64, script: &str) {
        let findings =
            self.of("the check", seed, script, || Ok(lint::check(role, "f", script, &libraries())));
        let is_wrong = |it: &planwright::script::finding::Finding| {
            it.message.is_empty() || it.message.contains("itself failed")
        };
        if findings.is_some_and(|it| it.iter().any(is_wrong)) {
            self.wrong.push(format!("the check failed: {} seed {seed}:\n{script}", self.kind));
        }
    }

    #[track_caller]
    fn end(self) {
        println!("{} {}: {:?}", self.n, self.kind, self.ends);
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
    }
}

fn libraries() -> Arc<BTreeMap<String, String>> {
    let text = "fn cell(x) { `| ${x} |` }\nfn twice(f, x) { f.call(f.call(x)) }\nconst N = 3;\n";
    Arc::new(BTreeMap::from([("tiny".to_owned(), text.to_owned())]))
}

fn start() -> Start {
    Start {
        purpose: Purpose::Run,
        skill: "fuzz".into(),
        skill_digest: None,
        params: json!({ "days": 3 }),
        agent: None,
        force: false,
        dry_run: true,
    }
}

/// A host whose own limits are never met.
fn driver(planner: &Planner) -> Driver {
    let mut driver = Driver::new(planner);
    driver.host.max_reads = u64::MAX;
    driver.host.time_limit = Duration::from_secs(7 * 24 * 3600);
    driver
}

/// Compiles a skill and runs it on a session that nobody has wished anything on.
fn run_skill(trial: &mut Trial, seed: u64, text: &str, session: &Session) {
    trial.begin(text);
    trial.check(Role::Skill, seed, text);
    let compile = || Skill::compile("f", "skills/f.rhai", text, &libraries());
    let Some(skill) = trial.of("compiling", seed, text, compile) else { return };
    let session = session.with_own_stop().seen(View::Drafting);
    session.begin_again();
    let mut params = Map::new();
    params.insert("days".to_owned(), json!(3));
    let program = skill.program(params, BUDGET);
    let ended = trial.of("the run", seed, text, || program.run(&session));
    if ended.is_some() {
        *trial.ends.entry("ok".to_owned()).or_default() += 1;
    }
    trial.of("the change set", seed, text, || Ok(format!("{:?}", session.change_set())));
}

fn run_skills(kind: &'static str, make: impl Fn(&mut Maker) -> String + Send + 'static) {
    let planner = Planner::demo();
    let trial = driver(&planner).look(move |session| {
        let mut trial = Trial::new(kind);
        for seed in seeds() {
            if trial.has_enough() {
                break;
            }
            let text = make(&mut Maker::new(seed, For::Skills));
            run_skill(&mut trial, seed, &text, session);
        }
        Ok(trial)
    });
    trial.end();
    assert!(planner.writes().is_empty());
}

#[test]
fn scripts_of_any_kind_end_well() {
    run_skills("scripts", Maker::script);
}

#[test]
fn arguments_of_any_kind_are_taken_or_refused() {
    run_skills("arguments", Maker::calls);
}

/// A session of lines, each of any kind: what one leaves behind, the next one meets.
#[test]
fn lines_of_any_kind_keep_the_session() {
    let planner = Planner::demo();
    let trial = driver(&planner).look(move |session| {
        let mut trial = Trial::new("lines");
        let session = session.with_own_stop().seen(View::Drafting);
        let mut console = Console::new(Libraries::new(libraries()));
        for seed in seeds() {
            if trial.has_enough() {
                break;
            }
            let mut maker = Maker::new(seed, For::Skills);
            let line = if seed % 2 == 0 { maker.calls() } else { maker.script() };
            trial.begin(&line);
            trial.of("completing", seed, &line, || {
                for n in 1..=3 {
                    let before: String = line.chars().take(line.len() * n / 3).collect();
                    let before = before.as_str();
                    let _any = (next(before, console.kinds()), signature(before, console.kinds()));
                }
                Ok(is_open(&line))
            });
            session.stop().clear();
            session.begin_again();
            if trial.of("the line", seed, &line, || console.run(&line, &session, BUDGET)).is_some()
            {
                *trial.ends.entry("ok".to_owned()).or_default() += 1;
            }
            // A session that holds too much, or has hidden what is called, begins anew.
            if seed % 64 == 0 {
                console = Console::new(Libraries::new(libraries()));
            }
        }
        drop(console);
        Ok(trial)
    });
    trial.end();
    assert!(planner.writes().is_empty());
}

#[test]
fn runs_of_any_script_have_a_report() {
    let planner = Planner::demo();
    let driver = driver(&planner);
    let mut trial = Trial::new("runs");
    for seed in seeds().step_by(32) {
        let text = Maker::new(seed, For::Skills).calls();
        trial.begin(&text);
        let compile = || Skill::compile("f", "skills/f.rhai", &text, &libraries());
        let Some(skill) = trial.of("compiling", seed, &text, compile) else { continue };
        let program = skill.program(Map::new(), BUDGET);
        trial.of("the dry run", seed, &text, || {
            let report = driver.dry_run(program).report;
            assert!(!serde_json::to_string(&report).unwrap().is_empty());
            report.error.map_or(Ok(()), Err)
        });
    }
    trial.end();
    assert!(planner.writes().is_empty());
}

#[test]
fn policies_of_any_kind_judge() {
    let planner = Planner::demo();
    let trial = driver(&planner).look(|session| {
        let mut trial = Trial::new("policies");
        let drafting = session.with_own_stop().seen(View::Drafting);
        let wishes = Skill::compile("w", "skills/w.rhai", WISHES, &libraries())?;
        wishes.program(Map::new(), Budget::default()).run(&drafting)?;
        let (set, touched) = (drafting.change_set(), drafting.touched());
        assert!(set.changes().len() > 10, "{set:#?}");
        let mut workspace = Workspace::shipped();
        workspace.config =
            Config::parse("[policies]\nalways = [\"f\"]\n[limits]\noperations = 20000\n").unwrap();
        workspace.libraries = libraries();
        for seed in seeds() {
            if trial.has_enough() {
                break;
            }
            let mut maker = Maker::new(seed, For::Policies);
            let text = if maker.dice.chance(80) { maker.calls() } else { maker.script() };
            trial.begin(&text);
            trial.check(Role::Policy, seed, &text);
            workspace.policies.insert("f".to_owned(), text.clone());
            let rulings = trial.of("the policy", seed, &text, || {
                let session = session.with_own_stop().seen(View::Before);
                Ok(Policies::in_force(&workspace, None).judge(&session, &set, &start()))
            });
            let rulings = rulings.unwrap_or_default();
            let count = |text: &str| rulings.iter().filter(|it| it.reason.contains(text)).count();
            if count("itself failed") > 0 || rulings.iter().any(|it| it.reason.is_empty()) {
                trial.wrong.push(format!("{rulings:?}: policies seed {seed}:\n{text}"));
            }
            let end = match (rulings.len(), count("cannot be used"), count("the policy")) {
                (0, ..) => "ok",
                (_, 1.., _) => "broken",
                (_, _, 1..) => "failed",
                _ => "verdict",
            };
            *trial.ends.entry(end.to_owned()).or_default() += 1;
            trial.of("the change set", seed, &text, || {
                let wanted = drafting.change_set();
                let is_same = wanted.changes().len() == set.changes().len();
                assert!(is_same && drafting.touched() == touched, "a policy has changed the set");
                Ok(())
            });
        }
        Ok(trial)
    });
    trial.end();
    assert!(planner.writes().is_empty());
}

/// Where tests play that are about nothing: everything is done, and nothing happens.
#[derive(Debug)]
struct Nowhere;

impl Stage for Nowhere {
    fn seed(&self, _tenant: &Value) -> Result<(), Failure> {
        Ok(())
    }

    fn demo(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn set_clock(&self, _now: Timestamp, _zone: TimeZone) {}

    fn run(&self, wanted: &RunRequest) -> Result<Value, Failure> {
        let change = json!({ "op": "update", "entity": "task", "title": "x", "fields": ["due"] });
        Ok(json!({
            "status": "previewed", "output": ["x"], "warnings": ["x"], "changes": [change, 1],
            "verdicts": [{ "rule": "R1", "verdict": "deny", "reason": wanted.user }, null],
            "error": { "code": "script", "message": "x" },
        }))
    }

    fn apply(&self, _user: &str, _set: ChangeSet) -> Result<(), Failure> {
        Ok(())
    }

    fn meddle(
        &self,
        _task: &TaskId,
        _details: bool,
        _body: Value,
        _when: Meddling,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

#[test]
fn tests_of_any_kind_pass_or_fail() {
    let planner = Planner::demo();
    let trial = driver(&planner).look(|session| {
        let mut trial = Trial::new("tests");
        // Most of them read the board anew.
        for seed in seeds().step_by(4) {
            if trial.has_enough() {
                break;
            }
            let text = Maker::new(seed, For::Tests).calls();
            trial.begin(&text);
            trial.check(Role::Test, seed, &text);
            let compile = || TestFile::compile("f", &text, &libraries());
            let Some(file) = trial.of("compiling", seed, &text, compile) else { continue };
            let session = session.with_own_stop();
            session.begin_again();
            let play = || file.play("test_it", &session, &Nowhere);
            if trial.of("the test", seed, &text, play).is_some() {
                *trial.ends.entry("ok".to_owned()).or_default() += 1;
            }
        }
        Ok(trial)
    });
    trial.end();
    assert!(planner.writes().is_empty());
}

#[test]
fn manifests_and_configurations_of_any_kind_are_read_or_refused() {
    let mut trial = Trial::new("configurations");
    let config = CONFIG;
    for seed in seeds() {
        let mut maker = Maker::new(seed, For::Skills);
        let manifest = maker.manifest();
        trial.begin(&manifest);
        if let Some(it) = trial.of("the manifest", seed, &manifest, || Manifest::parse(&manifest)) {
            let given = [("days".to_owned(), maker.calls()), ("x".to_owned(), "3".to_owned())];
            let calendar = Calendar::at(Timestamp::UNIX_EPOCH, TimeZone::UTC);
            trial.of("the arguments", seed, &manifest, || it.arguments(&given, &calendar));
        }
        let text = maker.damaged(config);
        trial.of("the configuration", seed, &text, || {
            if let Err(error) = Config::parse(&text) {
                assert!(!error.message().is_empty());
            }
            Ok(())
        });
    }
    trial.end();
}

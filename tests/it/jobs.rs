//! Forty things that people ask scripts to do on the demo board, each done by a script whose writer
//! had the task and the documents, and could not try it.
//!
//! The tasks, and what must come out, are in `tests/jobs/jobs.toml`; the scripts, as they were
//! written, in `tests/jobs/blind/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::Value;

use crate::support::{Place, Planner, on_one_day, today};

/// How many of the forty must be right.
const ENOUGH: usize = 38;
/// How many run at a time.
const AT_ONCE: usize = 8;
const TENANT: &str = include_str!("../../src/emulator/demo/tenant.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Jobs {
    job: Vec<Job>,
}

/// What is to be done, and what must come out; what is left out of that is not checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    name: String,
    task: String,
    /// A script that is applied first.
    setup: Option<String>,
    status: String,
    changes: usize,
    output: Option<Vec<String>>,
    result: Option<String>,
    error: Option<String>,
    #[serde(default)]
    fields: Vec<String>,
}

impl Job {
    /// Returns the expected fields: title, field, value after.
    fn fields(&self) -> Vec<(&str, &str, Value)> {
        self.fields.iter().map(|line| field(line)).collect()
    }
}

/// Reads `TITLE|field|value after`.
fn field(line: &str) -> (&str, &str, Value) {
    let (title, rest) = line.split_once('|').unwrap();
    let (field, value) = rest.split_once('|').unwrap();
    (title, field, expected(serde_json::from_str(value).unwrap()))
}

/// What the ids in changes stand for.
struct Names {
    people: BTreeMap<String, String>,
    buckets: BTreeMap<String, String>,
    /// The names of the labels by the ids of the plans.
    labels: BTreeMap<String, Value>,
}

impl Names {
    fn of(planner: &Planner, changes: &[Value]) -> Self {
        let mut buckets = BTreeMap::new();
        let mut labels = BTreeMap::new();
        for plan in planner.get("/me/planner/plans")["value"].as_array().unwrap() {
            let id = text(&plan["id"]);
            let here = planner.get(&format!("/planner/plans/{id}/buckets"));
            let here = here["value"].as_array().unwrap().iter();
            buckets.extend(here.map(|it| (text(&it["id"]), text(&it["name"]))));
            let details = planner.get(&format!("/planner/plans/{id}/details"));
            labels.insert(id, details["categoryDescriptions"].clone());
        }
        let new = changes.iter().filter(|it| it["entity"] == "bucket");
        buckets.extend(new.map(|it| (text(&it["id"]), text(&it["title"]))));
        let tenant: Value = serde_json::from_str(TENANT).unwrap();
        let people = tenant["users"].as_array().unwrap().iter();
        let people = people.map(|it| (text(&it["id"]), text(&it["name"]))).collect();
        Self { people, buckets, labels }
    }

    /// Returns the value of a field as the expectations have it.
    fn readable(&self, plan: &str, field: &str, value: &Value) -> Value {
        let name = |names: &BTreeMap<String, String>, id: &str| {
            names.get(id).cloned().unwrap_or_else(|| id.to_owned())
        };
        match (field, value) {
            ("bucketId", Value::String(id)) => name(&self.buckets, id).into(),
            ("dueDateTime" | "startDateTime", Value::String(moment)) => {
                let day = moment.split('T').next().unwrap().parse().unwrap();
                from_today(day)
            }
            ("assignments", Value::Object(people)) => {
                sorted(people.keys().map(|id| name(&self.people, id)))
            }
            ("appliedCategories", Value::Object(on)) => {
                sorted(on.keys().map(|category| text(&self.labels[plan][category])))
            }
            ("checklist", Value::Object(items)) => sorted(items.values().map(|item| {
                let mark = if item["isChecked"] == true { "[x]" } else { "[ ]" };
                format!("{mark} {}", text(&item["title"]))
            })),
            ("references", Value::Object(links)) => sorted(links.iter().map(|(url, link)| {
                let url = url.replace("%3A", ":").replace("%2E", ".").replace("%23", "#");
                format!("{} <{}>", text(&link["alias"]), url.replace("%25", "%"))
            })),
            _ => value.clone(),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn sorted(texts: impl Iterator<Item = String>) -> Value {
    texts.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns a day as its distance from today.
fn from_today(day: Date) -> Value {
    format!("today{:+}", (day - today()).get_days()).into()
}

/// Returns an expected value, with a day that has a name as its distance from today.
fn expected(value: Value) -> Value {
    let Some(name) = value.as_str() else { return value };
    if name == "end of month" {
        return from_today(today().last_of_month());
    }
    let named = |day: &Date| day.strftime("next %A").to_string().eq_ignore_ascii_case(name);
    let mut days = (1..=7_i64).map(|n| today() + n.days());
    match days.find(named) {
        Some(day) => from_today(day),
        None => value,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs")
}

fn jobs() -> Vec<Job> {
    let text = fs::read_to_string(folder().join("jobs.toml")).unwrap();
    toml::from_str::<Jobs>(&text).unwrap().job
}

/// Runs the script of a job on a board of its own; returns what is wrong with what came out.
fn faults(job: &Job) -> Vec<String> {
    let path = folder().join("blind").join(format!("{}.rhai", job.name));
    let Ok(script) = fs::read_to_string(path) else { return vec!["has no script".to_owned()] };
    let planner = Planner::demo();
    if let Some(setup) = &job.setup {
        let place = Place::against(&planner);
        place.file("planwright.toml", "[policies]\nalways = []\n");
        place.script(setup, &[]).code(0);
    }
    let place = Place::against(&planner);
    place.file("job.rhai", &script);
    let run = place.run(&["run", "job.rhai", "--dry-run", "--json"]);
    let Ok(report) = serde_json::from_str::<Value>(&run.stdout) else {
        return vec![format!("has no report: {}{}", run.stdout, run.stderr)];
    };
    compared(job, &planner, &report)
}

fn compared(job: &Job, planner: &Planner, report: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut same = |what: &str, is: &Value, expected: &Value| {
        if is != expected {
            faults.push(format!("{what}: {is}, not {expected}"));
        }
    };
    let changes = report["changes"].as_array().cloned().unwrap_or_default();
    same("status", &report["status"], &job.status.as_str().into());
    same("changes", &changes.len().into(), &job.changes.into());
    if let Some(lines) = &job.output {
        // Several lines may be printed at once.
        let printed = report["output"].as_array().into_iter().flatten().map(text);
        let printed = printed.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>());
        same("output", &printed.collect(), &lines.clone().into());
    }
    if let Some(result) = &job.result {
        same("result", &report["result"], &serde_json::from_str(result).unwrap());
    }
    if let Some(error) = &job.error {
        same("error", &report["error"]["message"], &error.as_str().into());
    } else if !report["error"].is_null() {
        same("error", &report["error"], &Value::Null);
    }
    let names = Names::of(planner, &changes);
    for (title, field, value) in job.fields() {
        let found =
            changes.iter().find(|it| it["title"] == title && !it["fields"][field].is_null());
        let after = found
            .map(|it| names.readable(&text(&it["plan"]), field, &it["fields"][field]["after"]));
        let after = after.unwrap_or_else(|| "unchanged".into());
        same(&format!("{field} of \"{title}\""), &after, &value);
    }
    faults
}

#[test]
fn every_job_has_a_name_of_its_own_and_something_to_check() {
    let jobs = jobs();
    let names: BTreeSet<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!((jobs.len(), names.len()), (40, 40));
    for job in &jobs {
        let says = job.output.is_some() || job.result.is_some() || job.error.is_some();
        assert!(says || !job.fields().is_empty(), "{}", job.name);
    }
}

#[test]
fn what_was_written_blind_is_right_at_the_first_run() {
    let jobs = jobs();
    on_one_day(|| {
        let mut wrong = Vec::new();
        for some in jobs.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                let running: Vec<_> =
                    some.iter().map(|job| (job, scope.spawn(move || faults(job)))).collect();
                for (job, thread) in running {
                    let faults = thread.join().unwrap_or_else(|_| vec!["panics".to_owned()]);
                    if !faults.is_empty() {
                        let faults = faults.join("\n  ");
                        wrong.push(format!("{}\n  {faults}\n  task: {}", job.name, job.task));
                    }
                }
            });
        }
        let right = jobs.len() - wrong.len();
        println!("{right} of {} right at the first run", jobs.len());
        println!("{}", wrong.join("\n"));
        assert!(right >= ENOUGH, "{right} of {}\n{}", jobs.len(), wrong.join("\n"));
    });
}

//! The script API of tests: setting up a board, running skills, checking what came of it.

mod meddling;

use jiff::civil;
use jiff::tz::TimeZone;
use rhai::plugin::{
    Dynamic, Module, NativeCallContext, combine_with_exported_module, export_module,
};
use rhai::{Array, EvalAltResult, Map, Position};
use serde_json::{Value, json};

use crate::host::{Failure, Session};
use crate::script::api::arguments::{each, parse_priority, parse_progress, parse_text};
use crate::script::api::convert::to_json;
use crate::script::api::date::Date;
use crate::script::api::handles::{Plan, Task};
use crate::script::api::testing::meddling::{meddle, renamed};
use crate::script::api::value::from_json;
use crate::script::api::value::{Fallible, OrRaise as _, invalid, kind_of, run_of};
use crate::script::stage::{Meddling, RunRequest, Target, TestContext};

pub(crate) fn add(module: &mut Module) {
    combine_with_exported_module!(module, "testing", functions);
}

fn play_of(ctx: &NativeCallContext) -> Fallible<(Session, std::sync::Arc<TestContext>)> {
    let run = run_of(ctx)?;
    match run.play {
        Some(play) => Ok((run.session, play)),
        None => Err("only tests can call this".into()),
    }
}

/// Returns a failure of the stage as an error of the script.
fn refused(failure: &Failure) -> Box<EvalAltResult> {
    let mut map = Map::new();
    map.insert("kind".into(), failure.code.clone().into());
    map.insert("message".into(), failure.message.clone().into());
    if let Some(hint) = &failure.hint {
        map.insert("hint".into(), hint.clone().into());
    }
    EvalAltResult::ErrorRuntime(map.into(), Position::NONE).into()
}

fn failed<T>(message: String) -> Fallible<T> {
    Err(EvalAltResult::ErrorRuntime(message.into(), Position::NONE).into())
}

/// Applies the test's own edits so far, and makes it read everything again.
fn apply(session: &Session, play: &TestContext) -> Fallible<()> {
    let set = session.change_set();
    if !set.is_empty() {
        let user = play.scene().user.clone();
        play.stage.apply(&user, set).map_err(|failure| refused(&failure))?;
    }
    session.forget();
    Ok(())
}

/// Reads an option of a run: `#{ dry_run: true, force: true }`.
fn option(session: &Session, options: &Map, name: &str) -> Fallible<bool> {
    match options.get(name) {
        None => Ok(false),
        Some(value) => match value.as_bool() {
            Ok(flag) => Ok(flag),
            Err(_) => invalid(session, format!("{name} is true or false, not {}", kind_of(value))),
        },
    }
}

fn start(ctx: &NativeCallContext, what: Target, params: &Map, options: &Map) -> Fallible<Dynamic> {
    let (session, play) = play_of(ctx)?;
    if let Some(other) = options.keys().find(|name| *name != "dry_run" && *name != "force") {
        let message = format!("a run has no option `{other}`; it has dry_run, force");
        return invalid(&session, message);
    }
    apply(&session, &play)?;
    let params = match to_json(&Dynamic::from(params.clone())) {
        Ok(Value::Object(params)) => params,
        Ok(_) => serde_json::Map::new(),
        Err(message) => return invalid(&session, message),
    };
    let scene = play.scene().clone();
    let wanted = RunRequest {
        what,
        params,
        agent: scene.agent,
        user: scene.user,
        policies: scene.policies,
        force: option(&session, options, "force")?,
        dry_run: option(&session, options, "dry_run")?,
    };
    let report = play.stage.run(&wanted).map_err(|failure| refused(&failure))?;
    session.forget();
    let shown = from_json(&report);
    play.scene().last = Some(report);
    Ok(shown)
}

/// Returns the report of the last run.
fn last(ctx: &NativeCallContext) -> Fallible<Value> {
    let (session, play) = play_of(ctx)?;
    let last = play.scene().last.clone();
    last.map_or_else(|| invalid(&session, "nothing has been run yet".to_owned()), Ok)
}

/// Returns a line for each change of a report, for people to compare.
fn changes_of(report: &Value) -> Vec<String> {
    let changes = report["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    changes
        .iter()
        .map(|change| {
            let fields: Vec<&str> = change["fields"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|field| field.0.as_str())
                .collect();
            let (op, entity) = (text(&change["op"]), text(&change["entity"]));
            format!("{op} {entity} {:?} [{}]", text(&change["title"]), fields.join(", "))
        })
        .collect()
}

/// Describes what the last run came to, for the message of a failed check.
fn told(report: &Value) -> String {
    let mut lines =
        vec![format!("the run ended as `{}`", report["status"].as_str().unwrap_or("?"))];
    if let Some(message) = report["error"]["message"].as_str() {
        lines.push(format!("  error: {message}"));
    }
    lines.extend(changes_of(report).into_iter().map(|line| format!("  {line}")));
    for verdict in report["verdicts"].as_array().into_iter().flatten() {
        let text = |key: &str| verdict[key].as_str().unwrap_or_default();
        lines.push(format!("  {}: {} ({})", text("verdict"), text("reason"), text("source")));
    }
    lines.join("\n")
}

/// Checks that a rule gave a verdict: the name of a policy, or what its reason contains.
fn judged(ctx: &NativeCallContext, verdict: &str, rule: &str) -> Fallible<()> {
    let report = last(ctx)?;
    let is_it = |ruling: &Value| {
        let text = |key: &str| ruling[key].as_str().unwrap_or_default();
        let source = text("source");
        text("verdict") == verdict
            && (source == rule
                || source.strip_suffix(".rhai") == Some(rule)
                || source.strip_prefix("host ") == Some(rule)
                || text("reason").contains(rule))
    };
    if report["verdicts"].as_array().is_some_and(|verdicts| verdicts.iter().any(is_it)) {
        return Ok(());
    }
    failed(format!("no rule `{rule}` gave the verdict {verdict}: {}", told(&report)))
}

/// Turns a test's task into that of a seed.
fn seed_task(session: &Session, given: &Map, bucket: Option<&str>) -> Fallible<Value> {
    let mut task = serde_json::Map::new();
    if let Some(bucket) = bucket {
        task.insert("bucket".into(), bucket.into());
    }
    for (key, value) in given {
        let plain = || to_json(value).or_else(|message| invalid(session, message));
        match key.as_str() {
            "assign" | "assignees" => {
                let mut names = Vec::new();
                for person in each(value.clone()) {
                    names.push(Value::String(parse_text(&person, session, "a person")?));
                }
                task.insert("assignees".into(), Value::Array(names));
            }
            "progress" => {
                let name = parse_text(value, session, "progress")?;
                task.insert("percent".into(), parse_progress(&name, session)?.percent().into());
            }
            "percent_complete" => {
                task.insert("percent".into(), plain()?);
            }
            "priority" => {
                let level = parse_priority(value, session)?.level();
                task.insert("priority".into(), level.into());
            }
            "due" | "start" | "created" | "completed" => {
                let text = match value.read_lock::<Date>() {
                    Some(date) => date.to_string(),
                    None => parse_text(value, session, key)?,
                };
                task.insert(key.as_str().into(), text.into());
            }
            "labels" | "checklist" => {
                let items = each(value.clone());
                let items = to_json(&Dynamic::from(items));
                task.insert(
                    key.as_str().into(),
                    items.or_else(|message| invalid(session, message))?,
                );
            }
            other => {
                task.insert(other.into(), plain()?);
            }
        }
    }
    Ok(Value::Object(task))
}

/// Turns a test's board into a seed.
fn seed(session: &Session, given: &Map) -> Fallible<(String, Value)> {
    const KNOWN: [&str; 6] = ["title", "members", "labels", "buckets", "tasks", "created_by"];
    if let Some(other) = given.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let message = format!("a board has no `{other}`; it has {}", KNOWN.join(", "));
        return invalid(session, message);
    }
    let list = |name: &str| given.get(name).cloned().map(each).unwrap_or_default();
    let title = match given.get("title") {
        Some(title) => parse_text(title, session, "title")?,
        None => "Board".to_owned(),
    };
    let (mut buckets, mut tasks, mut members) = (Vec::new(), Vec::new(), Vec::new());
    for bucket in list("buckets") {
        if let Ok(map) = bucket.as_map_ref() {
            let name = map.get("name").cloned().unwrap_or(Dynamic::UNIT);
            let name = parse_text(&name, session, "the name of a bucket")?;
            for task in map.get("tasks").cloned().map(each).unwrap_or_default() {
                let Ok(task) = task.as_map_ref() else {
                    return invalid(session, "a task is a map with a title".to_owned());
                };
                tasks.push(seed_task(session, &task, Some(&name))?);
            }
            buckets.push(Value::String(name));
            continue;
        }
        buckets.push(Value::String(parse_text(&bucket, session, "a bucket")?));
    }
    for task in list("tasks") {
        let Ok(task) = task.as_map_ref() else {
            return invalid(session, "a task is a map with a title".to_owned());
        };
        let seeded = seed_task(session, &task, None)?;
        if let Some(bucket) = seeded.get("bucket").filter(|bucket| !buckets.contains(bucket)) {
            buckets.push(bucket.clone());
        }
        tasks.push(seeded);
    }
    for member in list("members") {
        members.push(Value::String(parse_text(&member, session, "a member")?));
    }
    if members.is_empty() {
        members = ["rook", "victor", "mei", "ana", "tomas", "priya"].map(Value::from).to_vec();
    }
    let mut labels = Vec::new();
    for label in list("labels") {
        labels.push(Value::String(parse_text(&label, session, "a label")?));
    }
    let mut plan = json!({
        "title": title, "group": format!("{title} group"),
        "labels": labels, "buckets": buckets, "tasks": tasks,
    });
    if let Some(person) = given.get("created_by") {
        plan["created_by"] = parse_text(person, session, "a person")?.into();
    }
    let group = json!({ "name": format!("{title} group"), "members": members });
    Ok((title, json!({ "groups": [group], "plans": [plan] })))
}

fn shown(value: &Dynamic) -> String {
    match to_json(value) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
        Err(_) => kind_of(value).to_owned(),
    }
}

fn same(a: &Dynamic, b: &Dynamic) -> bool {
    match (to_json(a), to_json(b)) {
        (Ok(a), Ok(b)) => a == b || a.as_f64().is_some_and(|number| Some(number) == b.as_f64()),
        _ => false,
    }
}

/// Describes how two values differ: below each other with the difference marked, if they take
/// several lines.
fn difference(is: &str, expected: &str) -> String {
    if !is.contains('\n') && !expected.contains('\n') {
        return format!("it is {is}, expected {expected}");
    }
    let (is, expected): (Vec<&str>, Vec<&str>) = (is.lines().collect(), expected.lines().collect());
    let head = is.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    let tail = is
        .iter()
        .rev()
        .zip(expected.iter().rev())
        .take_while(|(a, b)| a == b)
        .count()
        .min(is.len().min(expected.len()) - head);
    let mut lines = vec!["they differ (- expected, + is):".to_owned()];
    let part = |lines: &[&str], from: usize, to: usize, mark: &str| -> Vec<String> {
        lines
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .map(|line| format!("{mark} {line}"))
            .collect()
    };
    lines.extend(part(&is, head.saturating_sub(3), head, " "));
    lines.extend(part(&expected, head, expected.len() - tail, "-"));
    lines.extend(part(&is, head, is.len() - tail, "+"));
    lines.extend(part(&is, is.len() - tail, (is.len() - tail + 3).min(is.len()), " "));
    lines.join("\n")
}

#[export_module]
mod functions {
    /// Sets a board up: `board(#{ title, members, labels, buckets: [#{ name, tasks: [#{ title,
    /// due, assignees, … }] }], tasks })`. People are rook, victor, mei, ana, tomas and priya.
    #[rhai_fn(name = "board", volatile, return_raw)]
    pub fn set_up(ctx: NativeCallContext, fields: Map) -> Fallible<Plan> {
        let (session, play) = play_of(&ctx)?;
        apply(&session, &play)?;
        let (title, seed) = seed(&session, &fields)?;
        play.stage.seed(&seed).map_err(|failure| refused(&failure))?;
        let id = session.find_plan(&title).or_raise(&session)?;
        Ok(Plan { session, id })
    }

    /// Sets the demo board up, with the plan "BOS Operations".
    #[rhai_fn(volatile, return_raw)]
    pub fn demo_board(ctx: NativeCallContext) -> Fallible<Plan> {
        let (session, play) = play_of(&ctx)?;
        play.stage.demo().map_err(|failure| refused(&failure))?;
        session.forget();
        let id = session.find_plan("BOS Operations").or_raise(&session)?;
        Ok(Plan { session, id })
    }

    /// Sets the clock: `at("2026-03-27 09:00")`, in UTC. A test begins at that moment.
    #[rhai_fn(name = "at", volatile, return_raw)]
    pub fn at_utc(ctx: NativeCallContext, time: &str) -> Fallible<()> {
        at_zone(ctx, time, "UTC")
    }

    /// Sets the clock and the time zone: `at("2026-03-27 09:00", "Pacific/Auckland")`.
    #[rhai_fn(name = "at", volatile, return_raw)]
    pub fn at_zone(ctx: NativeCallContext, time: &str, zone: &str) -> Fallible<()> {
        let (session, play) = play_of(&ctx)?;
        let Ok(found) = TimeZone::get(zone) else {
            return invalid(&session, format!("`{zone}` is not a time zone like Pacific/Auckland"));
        };
        let parsed = time.trim().parse::<civil::DateTime>().ok();
        match parsed.and_then(|local| local.to_zoned(found.clone()).ok()) {
            Some(moment) => {
                play.stage.set_clock(moment.timestamp(), found.clone());
                session.set_clock(moment.timestamp(), found);
                Ok(())
            }
            None => invalid(&session, format!("`{time}` is not a time like 2026-03-27 09:00")),
        }
    }

    /// Makes the runs that follow act for an agent of `planwright.toml`; `()` for a person again.
    #[rhai_fn(volatile, return_raw)]
    pub fn as_agent(ctx: NativeCallContext, name: Dynamic) -> Fallible<()> {
        let (session, play) = play_of(&ctx)?;
        let name =
            if name.is_unit() { None } else { Some(parse_text(&name, &session, "an agent")?) };
        play.scene().agent = name;
        Ok(())
    }

    /// Signs somebody else in for the runs that follow: `as_user("mei")`.
    #[rhai_fn(volatile, return_raw)]
    pub fn as_user(ctx: NativeCallContext, name: &str) -> Fallible<()> {
        let (_, play) = play_of(&ctx)?;
        let is_full = name.contains('@');
        play.scene().user = if is_full { name.to_owned() } else { format!("{name}@bos.example") };
        Ok(())
    }

    /// Makes these policies judge the runs that follow, in place of those for every run in
    /// `planwright.toml`: `with_policies(["office_hours"])`; `[]` for none.
    #[rhai_fn(volatile, return_raw)]
    pub fn with_policies(ctx: NativeCallContext, names: Array) -> Fallible<()> {
        let (session, play) = play_of(&ctx)?;
        let names = names.iter().map(|name| parse_text(name, &session, "the name of a policy"));
        play.scene().policies = Some(names.collect::<Fallible<_>>()?);
        Ok(())
    }

    /// Runs a skill with the policies in force; returns the report.
    /// → map
    #[rhai_fn(name = "run_skill", volatile, return_raw)]
    pub fn run_skill(ctx: NativeCallContext, name: &str) -> Fallible<Dynamic> {
        start(&ctx, Target::Skill(name.to_owned()), &Map::new(), &Map::new())
    }

    /// Runs a skill with parameters; returns the report.
    /// → map
    #[rhai_fn(name = "run_skill", volatile, return_raw)]
    pub fn run_skill_with(ctx: NativeCallContext, name: &str, params: Map) -> Fallible<Dynamic> {
        start(&ctx, Target::Skill(name.to_owned()), &params, &Map::new())
    }

    /// Runs a skill with parameters and options, `#{ dry_run: true, force: true }`; returns the
    /// report.
    /// → map
    #[rhai_fn(name = "run_skill", volatile, return_raw)]
    pub fn run_skill_so(
        ctx: NativeCallContext,
        name: &str,
        params: Map,
        options: Map,
    ) -> Fallible<Dynamic> {
        start(&ctx, Target::Skill(name.to_owned()), &params, &options)
    }

    /// Runs a script given as text, as `planwright run -` does; returns the report. This is how
    /// policies are tested.
    /// → map
    #[rhai_fn(name = "run_script", volatile, return_raw)]
    pub fn run_script(ctx: NativeCallContext, text: &str) -> Fallible<Dynamic> {
        start(&ctx, Target::Text(text.to_owned()), &Map::new(), &Map::new())
    }

    /// Runs a script with options, `#{ dry_run: true, force: true }`; returns the report.
    /// → map
    #[rhai_fn(name = "run_script", volatile, return_raw)]
    pub fn run_script_so(ctx: NativeCallContext, text: &str, options: Map) -> Fallible<Dynamic> {
        start(&ctx, Target::Text(text.to_owned()), &Map::new(), &options)
    }

    /// Applies the test's own edits to the board, past the policies. The next run does so too.
    #[rhai_fn(name = "commit", volatile, return_raw)]
    pub fn commit_test(ctx: NativeCallContext) -> Fallible<()> {
        let (session, play) = play_of(&ctx)?;
        apply(&session, &play)
    }

    /// Makes somebody else rename the task after the next run is drafted, before it validates: a
    /// script that read the title runs again.
    #[rhai_fn(name = "conflict_on", volatile, return_raw)]
    pub fn conflict_on(ctx: NativeCallContext, task: Task) -> Fallible<()> {
        let fields = renamed(&task)?;
        meddle(&ctx, &task, &fields, Meddling::BeforeValidation)
    }

    /// Makes somebody else change these fields of the task after the next run is drafted, before it
    /// validates: `conflict_on(task, #{ progress: "completed" })`.
    #[rhai_fn(name = "conflict_on", volatile, return_raw)]
    pub fn conflict_with(ctx: NativeCallContext, task: Task, fields: Map) -> Fallible<()> {
        meddle(&ctx, &task, &fields, Meddling::BeforeValidation)
    }

    /// Makes somebody else rename the task at the last moment, right before the next run writes to
    /// it: then only edits of a field that the run writes are detected.
    #[rhai_fn(name = "conflict_at_write", volatile, return_raw)]
    pub fn conflict_at_write(ctx: NativeCallContext, task: Task) -> Fallible<()> {
        let fields = renamed(&task)?;
        meddle(&ctx, &task, &fields, Meddling::AtWrite)
    }

    /// Makes somebody else change these fields of the task at the last moment, right before the
    /// next run writes to it.
    #[rhai_fn(name = "conflict_at_write", volatile, return_raw)]
    pub fn conflict_at_write_with(ctx: NativeCallContext, task: Task, fields: Map) -> Fallible<()> {
        meddle(&ctx, &task, &fields, Meddling::AtWrite)
    }

    /// Fails the test unless it is true.
    #[rhai_fn(name = "assert", volatile, return_raw)]
    pub fn assert_true(condition: bool) -> Fallible<()> {
        if condition { Ok(()) } else { failed("it is false".to_owned()) }
    }

    /// Fails the test with this text unless it is true.
    #[rhai_fn(name = "assert", volatile, return_raw)]
    pub fn assert_so(condition: bool, text: &str) -> Fallible<()> {
        if condition { Ok(()) } else { failed(text.to_owned()) }
    }

    /// Fails the test unless the first is what is expected.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_eq(is: Dynamic, expected: Dynamic) -> Fallible<()> {
        if same(&is, &expected) {
            return Ok(());
        }
        failed(difference(&shown(&is), &shown(&expected)))
    }

    /// Fails the test if they are the same.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_ne(is: Dynamic, other: Dynamic) -> Fallible<()> {
        if same(&is, &other) { failed(format!("both are {}", shown(&is))) } else { Ok(()) }
    }

    /// Checks the status of the last run: `applied`, `previewed`, `no_changes`, `denied`, `held`,
    /// `conflict`, `partial` or `failed`.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_status(ctx: NativeCallContext, status: &str) -> Fallible<()> {
        let report = last(&ctx)?;
        if report["status"] == status {
            return Ok(());
        }
        failed(format!("expected `{status}`, but {}", told(&report)))
    }

    /// Checks the number of changes that the last run drafted, whatever became of them.
    #[rhai_fn(name = "assert_changes", volatile, return_raw)]
    pub fn assert_n_changes(ctx: NativeCallContext, n: i64) -> Fallible<()> {
        let report = last(&ctx)?;
        let is = changes_of(&report).len();
        if i64::try_from(is) == Ok(n) {
            return Ok(());
        }
        failed(format!("expected {n} changes, not {is}: {}", told(&report)))
    }

    /// Checks the changes of the last run, in their order: `assert_changes(["update task \"Old\"
    /// [bucketId]"])`, or only the titles.
    #[rhai_fn(name = "assert_changes", volatile, return_raw)]
    pub fn assert_these_changes(ctx: NativeCallContext, expected: Array) -> Fallible<()> {
        let report = last(&ctx)?;
        let is = changes_of(&report);
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let titles = report["changes"].as_array().into_iter().flatten();
        let titles: Vec<&str> =
            titles.map(|change| change["title"].as_str().unwrap_or_default()).collect();
        if is == expected || titles == expected {
            return Ok(());
        }
        failed(difference(&(is.join("\n") + "\n"), &(expected.join("\n") + "\n")))
    }

    /// Checks that a rule denied the last run: the name of a policy, a host rule such as `R1`, or
    /// a part of the reason.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_denied(ctx: NativeCallContext, rule: &str) -> Fallible<()> {
        judged(&ctx, "deny", rule)
    }

    /// Checks that a rule asked for approval: the name of a policy, or a part of the reason.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_held(ctx: NativeCallContext, rule: &str) -> Fallible<()> {
        judged(&ctx, "hold", rule)
    }

    /// Checks that the last run has a remark: from a rule (the name of a policy, or a part of the
    /// remark), or from the skill itself by `warn`.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_warned(ctx: NativeCallContext, rule: &str) -> Fallible<()> {
        let report = last(&ctx)?;
        let mut own = report["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if own.any(|remark| remark.contains(rule)) { Ok(()) } else { judged(&ctx, "warn", rule) }
    }

    /// Checks that the last run printed a line with this text.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_output(ctx: NativeCallContext, text: &str) -> Fallible<()> {
        let report = last(&ctx)?;
        let lines: Vec<&str> =
            report["output"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if lines.iter().any(|line| line.contains(text)) {
            return Ok(());
        }
        failed(format!("no line has `{text}`:\n{}", lines.join("\n")))
    }

    /// Checks that the last run failed with an error that contains this text.
    #[rhai_fn(volatile, return_raw)]
    pub fn assert_error(ctx: NativeCallContext, text: &str) -> Fallible<()> {
        let report = last(&ctx)?;
        match report["error"]["message"].as_str() {
            Some(message) if message.contains(text) => Ok(()),
            _ => failed(format!("expected the error `{text}`, but {}", told(&report))),
        }
    }
}

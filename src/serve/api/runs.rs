//! Runs that are asked for, and skills that are submitted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::app::agent::check_may_run;
use crate::app::error::AppError;
use crate::app::inbox::Wish;
use crate::app::params::kept;
use crate::app::workspace::time_zone;
use crate::host::{Nobody, Program, RunProgress, Start, Stop, SystemClock, Watch};
use crate::journal::{Purpose, RunId};
use crate::model::Clock as _;
use crate::model::time::Calendar;
use crate::script::Skill;
use crate::script::source::MAX_SOURCE;
use crate::script::workspace::manifest::Manifest;
use crate::serve::call::{Call, Reply};
use crate::serve::desk::{Desk, Work};

/// The name of a script without one, in reports.
const SCRIPT: &str = "script";
/// The longest wait for a report, in seconds.
const MAX_WAIT: usize = 60;

/// A run that is ready to begin.
struct Ready {
    start: Start,
    program: Arc<dyn Program>,
}

/// Answers `POST runs`: accepts a run, and waits for its report if that was asked for.
pub(crate) fn begin(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let wait = call.number("wait", MAX_WAIT)?;
    let mut arguments = call.arguments();
    let (skill, script) = (arguments.text("skill")?, arguments.text("script")?);
    let params = arguments.map("params")?;
    let dry_run = arguments.flag("dry_run")?.unwrap_or(false);
    let agent = arguments.text("agent")?;
    arguments.end()?;
    let ready = match (skill, script) {
        (Some(name), None) => {
            of_skill(work, (&name, agent.as_deref()), dry_run, |manifest, calendar| {
                Ok(manifest.checked(&params, calendar)?)
            })?
        }
        (None, Some(text)) => of_script(work, (&text, agent.as_deref()), dry_run, &params)?,
        _ => {
            let message = "give either `skill` or `script`";
            return Err(AppError::new("parameter", message));
        }
    };
    let id = accept(&work.desk, ready)?;
    let Some(wait) = wait else { return Ok(Reply::Accepted(id)) };
    let at_most = Duration::from_secs(u64::try_from(wait).unwrap_or(0));
    Ok(Reply::WaitFor { run: id, at_most, page: None })
}

/// Begins a run of a skill; `take` reads its parameters. Returns the id of the run.
///
/// # Errors
/// There is no such skill, the agent may not run it, or its parameters are wrong.
pub(crate) fn begin_skill(
    work: &Work,
    who: (&str, Option<&str>),
    dry_run: bool,
    take: impl FnOnce(&Manifest, &Calendar) -> Result<Map<String, Value>, AppError>,
) -> Result<String, AppError> {
    let ready = of_skill(work, who, dry_run, take)?;
    accept(&work.desk, ready)
}

fn of_skill(
    work: &Work,
    (name, agent): (&str, Option<&str>),
    dry_run: bool,
    take: impl FnOnce(&Manifest, &Calendar) -> Result<Map<String, Value>, AppError>,
) -> Result<Ready, AppError> {
    work.app.agent(agent)?;
    check_may_run(work.config(), agent, Some(name))?;
    if !work.app.workspace.skills.contains_key(name) {
        return Err(AppError::new("not_found", format!("there is no skill `{name}`")));
    }
    let skill = work.bundle.skill(name)?;
    let calendar = Calendar::at(SystemClock.now(), time_zone(&work.app.workspace)?);
    let params = take(&skill.manifest, &calendar)?;
    ready(work, (&skill, agent), dry_run, params)
}

fn of_script(
    work: &Work,
    (text, agent): (&str, Option<&str>),
    dry_run: bool,
    given: &Map<String, Value>,
) -> Result<Ready, AppError> {
    work.app.agent(agent)?;
    check_may_run(work.config(), agent, None)?;
    if text.len() > MAX_SOURCE {
        let message = format!("the script is larger than {MAX_SOURCE} bytes");
        return Err(AppError::new("too_large", message));
    }
    let skill = Skill::compile(SCRIPT, SCRIPT, text, &work.app.workspace.libraries)?;
    let calendar = Calendar::at(SystemClock.now(), time_zone(&work.app.workspace)?);
    let params = skill.manifest.checked(given, &calendar)?;
    ready(work, (&skill, agent), dry_run, params)
}

fn ready(
    work: &Work,
    (skill, agent): (&Skill, Option<&str>),
    dry_run: bool,
    params: Map<String, Value>,
) -> Result<Ready, AppError> {
    let start = Start {
        purpose: Purpose::Run,
        skill: skill.name.clone(),
        skill_digest: Some(skill.digest().to_owned()),
        params: Value::Object(kept(&params)),
        agent: work.app.agent(agent)?,
        force: false,
        dry_run,
    };
    let program = skill.program(params, work.config().limits_of(agent).budget());
    Ok(Ready { start, program })
}

/// Accepts a run and lets it begin when there is room.
fn accept(desk: &Arc<Desk>, ready: Ready) -> Result<String, AppError> {
    let id = uuid::Uuid::now_v7().to_string();
    let run = RunId::parse(&id).map_err(|error| AppError::new("bug", error.to_string()))?;
    let hand_in = desk.running.accept(&id, &ready.start.skill)?;
    let (desk, shown) = (Arc::clone(desk), id.clone());
    desk.metrics.runs_open.inc();
    let stop = Arc::new(Stop::default());
    // Also what still waits is stopped when the server ends, and recorded as stopped.
    let noted = desk.note_stop(&stop);
    tokio::runtime::Handle::current().spawn(async move {
        let permit = Arc::clone(&desk.room_for_runs).acquire_owned().await.ok();
        let at_work = Arc::clone(&desk);
        let done = tokio::task::spawn_blocking(move || {
            let report = carry_out(&at_work, run, ready, stop);
            drop((permit, noted));
            report
        });
        let report = done.await.unwrap_or_else(|error| {
            json!({
                "run_id": shown, "status": "failed",
                "error": { "code": "bug", "message": format!("planwright itself failed: {error}") },
            })
        });
        desk.metrics.runs_open.dec();
        hand_in.report(report);
    });
    Ok(id)
}

fn carry_out(desk: &Arc<Desk>, run: RunId, ready: Ready, stop: Arc<Stop>) -> Value {
    let (app, bundle) = desk.app(stop);
    let work = Work { desk: Arc::clone(desk), app, bundle };
    let Ready { start, program } = ready;
    let (news, id) = (Arc::clone(desk), run.to_string());
    let watch = Watch::new(move |progress| {
        if let RunProgress::Applying { done, total } = progress {
            let told = json!({ "run_id": id, "kind": "applying", "done": done, "total": total });
            news.news.tell("run", told);
        }
    });
    let agent = start.agent.as_ref().map(|agent| agent.name.clone());
    let skill = start.skill.clone();
    match work.host(agent.as_deref(), Arc::new(Nobody), watch) {
        Ok(host) => {
            let id = run.clone();
            let finished = work.wait(host.run_as(run, start, program));
            serde_json::to_value(&finished.report)
                .unwrap_or_else(|_| json!({ "run_id": id.as_str(), "status": "failed" }))
        }
        Err(error) => json!({
            "run_id": run.as_str(), "skill": skill, "status": "failed", "error": error.failure,
        }),
    }
}

/// Answers `POST inbox`: submits a skill.
pub(crate) fn submit(work: &Work, call: &Call) -> Result<Reply, AppError> {
    let mut arguments = call.arguments();
    let skill = arguments.needed("skill")?;
    let given = arguments.map("params")?;
    let (to, key) = (arguments.text("to")?, arguments.text("key")?);
    arguments.end()?;
    let now = SystemClock.now();
    let calendar = Calendar::at(now, time_zone(&work.app.workspace)?);
    let params = work.app.manifest_of(&skill)?.checked(&given, &calendar)?;
    let me = work.me()?;
    let entry = work.app.submit((&me, None), Wish { skill, params, to, key }, now)?;
    Ok(Reply::Data(json!({ "id": entry.id, "state": entry.state.name() })))
}

//! Runs that are asked for, and skills that are submitted.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::app::agent::check_may_run;
use crate::app::error::AppError;
use crate::app::inbox::{Wish, failed, note_on, note_visitor};
use crate::app::params::kept;
use crate::app::workspace::time_zone;
use crate::coordinate::Coordinate;
use crate::host::SystemClock;
use crate::host::similar::{did_you_mean, similar};
use crate::journal::NoteKind;
use crate::journal::inbox::{Asked, InboxEntry, Submission};
use crate::model::Clock as _;
use crate::model::time::Calendar;
use crate::script::Skill;
use crate::script::source::MAX_SOURCE;
use crate::script::workspace::manifest::Manifest;
use crate::serve::call::{Call, Reply};
use crate::serve::desk::Work;

/// The name of a script without one, in reports.
const SCRIPT: &str = "script";
/// The longest wait for a report, in seconds.
const MAX_WAIT: usize = 60;

/// The most runs that wait or are at work.
const MAX_OPEN: u32 = 1_000;

/// A run that may begin.
struct Ready {
    skill: String,
    script: Option<String>,
    params: Map<String, Value>,
    agent: Option<String>,
    dry_run: bool,
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
    let at_most = wait.map(|wait| Duration::from_secs(u64::try_from(wait).unwrap_or(0)));
    accept(work, call, ready, at_most)
}

/// Begins a run of a skill; `take` reads its parameters. The answer waits a moment for its report.
///
/// # Errors
/// There is no such skill, the agent may not run it, or its parameters are wrong.
pub(crate) fn begin_skill(
    (work, call): (&Work, &Call),
    who: (&str, Option<&str>),
    (dry_run, at_most): (bool, Duration),
    take: impl FnOnce(&Manifest, &Calendar) -> Result<Map<String, Value>, AppError>,
) -> Result<Reply, AppError> {
    let ready = of_skill(work, who, dry_run, take)?;
    accept(work, call, ready, Some(at_most))
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
        let near = similar(name, work.app.workspace.skills.keys().map(String::as_str));
        let error = AppError::new("not_found", format!("there is no skill `{name}`"));
        return Err(match near.as_slice() {
            [] => error.hint("`planwright skill list` lists the skills"),
            near => error.hint(did_you_mean(near)),
        });
    }
    let skill = work.bundle.skill(name)?;
    let calendar = Calendar::at(SystemClock.now(), time_zone(&work.app.workspace)?);
    let params = take(&skill.manifest, &calendar)?;
    Ok(Ready {
        skill: name.to_owned(),
        script: None,
        params,
        agent: agent.map(str::to_owned),
        dry_run,
    })
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
    Ok(Ready {
        skill: SCRIPT.to_owned(),
        script: Some(text.to_owned()),
        params,
        agent: agent.map(str::to_owned),
        dry_run,
    })
}

/// Accepts a run: it is in the durable queue before anybody hears its id, so that whatever becomes of
/// this process, it is carried out once.
fn accept(
    work: &Work,
    call: &Call,
    ready: Ready,
    at_most: Option<Duration>,
) -> Result<Reply, AppError> {
    let (desk, me, now) = (&work.desk, work.me()?, SystemClock.now());
    let for_record = kept(&ready.params);
    let params = Value::Object(ready.params);
    let entry = InboxEntry {
        asked: Some(Asked { script: ready.script, dry_run: ready.dry_run }),
        to_agent: ready.agent,
        ..InboxEntry::queued(desk.of(), (ready.skill, params), me.upn, now)
    };
    let mut note = note_on(&entry, NoteKind::Submitted, now);
    note.actor = Some(me.id);
    note_visitor(&mut note, &call.visitor());
    note.detail["params"] = Value::Object(for_record);
    let waiting = at_most.map(|at_most| (desk.running.expect(&entry.id), at_most));
    let queue: &dyn Coordinate = &*desk.journal;
    let submission = Submission { room: Some(MAX_OPEN), ..Submission::new(&entry, &note) };
    queue.submit(&submission).map_err(|error| failed(&error))?;
    desk.running.wake.notify_one();
    let run = entry.id;
    Ok(match waiting {
        Some((waiting, at_most)) => Reply::WaitFor { run, waiting, at_most, page: None },
        None => Reply::Accepted(run),
    })
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
    let wish = Wish { skill, params, to, key, visitor: Some(call.visitor()) };
    let entry = work.app.submit((&me, None), wish, now)?;
    Ok(Reply::Data(json!({ "id": entry.id, "state": entry.state.name() })))
}

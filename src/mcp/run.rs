//! Runs that a model asks for: a script, a skill, a preview that is applied, a run taken back.

use serde_json::{Map, Value};

use crate::app::agent::check_may_run;
use crate::app::applied_mark::AppliedMark;
use crate::app::error::AppError;
use crate::app::params::arguments::Arguments;
use crate::app::params::kept;
use crate::app::pending::{check_not_applied, check_waits};
use crate::app::workspace::time_zone;
use crate::host::{Failure, Report, Start, Status, SystemClock};
use crate::journal::Purpose;
use crate::journal::kept::{KeptSet, KeptState};
use crate::mcp::answer::Answer;
use crate::mcp::desk::Work;
use crate::mcp::report;
use crate::model::Clock as _;
use crate::model::time::Calendar;
use crate::script::Skill;
use crate::script::source::MAX_SOURCE;

/// The name of a script of the model's own, in reports.
const SCRIPT: &str = "script";

/// Runs a script of the model's own.
pub(crate) fn script(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    check_may_run(work.config(), Some(work.agent()), None)?;
    let text = arguments.needed("script")?;
    let params = arguments.map("params")?;
    let apply = arguments.flag("apply")?.unwrap_or(false);
    arguments.end()?;
    if text.len() > MAX_SOURCE {
        let message = format!("the script is larger than {MAX_SOURCE} bytes");
        return Err(AppError::new("budget", message));
    }
    let skill = Skill::compile(SCRIPT, SCRIPT, &text, &work.app.workspace.libraries)?;
    run(work, &skill, &params, apply)
}

/// Runs a skill.
pub(crate) fn skill(work: &Work, name: &str, mut arguments: Arguments) -> Result<Answer, AppError> {
    check_may_run(work.config(), Some(work.agent()), Some(name))?;
    let skill = work.bundle.skill(name)?;
    let apply = arguments.flag("apply")?.unwrap_or(true);
    run(work, &skill, &arguments.rest(), apply)
}

fn run(
    work: &Work,
    skill: &Skill,
    given: &Map<String, Value>,
    apply: bool,
) -> Result<Answer, AppError> {
    let calendar = Calendar::at(SystemClock.now(), time_zone(&work.app.workspace)?);
    let params = skill.manifest.checked(given, &calendar)?;
    let budget = work.config().limits_of(Some(work.agent())).budget();
    let digest = Some(skill.digest());
    let for_journal = Value::Object(kept(&params));
    let start = work.start(Purpose::Run, (&skill.name, digest), for_journal, apply)?;
    let program = skill.program(params, budget);
    let host = work.host()?;
    let finished = work.wait(host.run(start, program));
    Ok(report::answer(finished.report))
}

/// Returns a kept set, if this agent has drafted it: another's is as good as none.
pub(crate) fn own_set(work: &Work, id: &str) -> Result<KeptSet, AppError> {
    work.app.kept_set(id, Some(work.agent()), work.now())
}

pub(crate) fn not_found(id: &str) -> AppError {
    AppError::new("not_found", format!("this agent has nothing under `{id}`"))
}

/// Applies a preview of this agent, judged again.
pub(crate) fn apply_set(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    let id = arguments.needed("id")?;
    arguments.end()?;
    let set = own_set(work, &id)?;
    match set.state {
        KeptState::Previewed => {}
        KeptState::Pending => {
            let message = format!("`{}` is held: a person must approve it", set.run);
            return Err(AppError::new("held", message));
        }
        _ => {
            check_not_applied(&set)?;
            check_waits(&set)?;
            return Err(not_found(&id));
        }
    }
    let (saved, start) = work.app.start_of(&set)?;
    let start = Start { force: false, ..start };
    let host = work.host()?;
    let mark = AppliedMark::take(&work.app, &saved, &id, false)?;
    let finished = work.wait(host.apply_saved(saved, start));
    let written = matches!(finished.report.status, Status::Applied | Status::Partial);
    mark.keep_if(written);
    Ok(report::answer(finished.report))
}

/// Takes a run of this agent back.
pub(crate) fn undo(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    let id = arguments.needed("run_id")?;
    let apply = arguments.flag("apply")?.unwrap_or(true);
    arguments.end()?;
    let start = work.start(Purpose::Undo, ("undo", None), Value::Null, apply)?;
    let host = work.host()?;
    let finished = work.wait(host.undo(&id, start))?;
    Ok(report::answer(finished.report))
}

/// Makes the result of a run that never began.
pub(crate) fn never_begun(agent: &str, name: &str, failure: Failure) -> Answer {
    let mut report = Report::new(uuid::Uuid::now_v7().to_string(), name.to_owned(), None);
    report.actor.agent = Some(agent.to_owned());
    report.error = Some(failure);
    report::answer(report)
}

//! What a model has another agent do: a skill, put into that agent's inbox.

use serde_json::json;

use crate::app::error::AppError;
use crate::app::inbox::Wish;
use crate::app::params::arguments::Arguments;
use crate::app::shown::visible;
use crate::app::workspace::time_zone;
use crate::host::SystemClock;
use crate::mcp::answer::Answer;
use crate::mcp::desk::Work;
use crate::model::Clock as _;
use crate::model::time::Calendar;

/// Answers `submit`.
///
/// # Errors
/// The agent may not submit to the other, or the skill or its parameters are wrong.
pub(crate) fn submit(work: &Work, mut arguments: Arguments) -> Result<Answer, AppError> {
    let skill = arguments.needed("skill")?;
    let given = arguments.map("params")?;
    let to = arguments.needed("to")?;
    let key = arguments.text("key")?;
    arguments.end()?;
    // Before the skill is looked up: see `check_grants`.
    work.app.check_grants(Some(work.agent()), Some(&to), &skill)?;
    let now = SystemClock.now();
    let calendar = Calendar::at(now, time_zone(&work.app.workspace)?);
    let params = work.app.manifest_of(&skill)?.checked(&given, &calendar)?;
    let host = work.host()?;
    let me = work.wait(host.me())?;
    let wish = Wish { skill, params, to: Some(to), key, visitor: None };
    let entry = work.app.submit((&me, Some(work.agent())), wish, now)?;
    let run = entry.run.as_ref().map(|run| run.as_str());
    let data = json!({
        "id": entry.id,
        "state": entry.state.name(),
        "run_id": run,
        "reason": entry.reason,
    });
    let why = entry.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let text = format!("{}: {}{}", entry.state, entry.id, visible(&why));
    Ok(Answer::new(text, data))
}

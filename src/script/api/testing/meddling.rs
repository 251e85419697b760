//! Somebody else's edits of a task during a run, as a test arranges them.

use rhai::Map;
use rhai::plugin::NativeCallContext;
use serde_json::Value;

use crate::host::Session;
use crate::script::api::arguments::{parse_priority, parse_progress, parse_text};
use crate::script::api::convert::to_json;
use crate::script::api::date::Date;
use crate::script::api::handles::Task;
use crate::script::api::testing::{apply, play_of, refused};
use crate::script::api::value::{Fallible, OrRaise as _, invalid};
use crate::script::stage::Meddling;

/// Returns the edit that is made where a test names no fields.
pub(super) fn renamed(task: &Task) -> Fallible<Map> {
    let title = task.session.task(&task.id).or_raise(&task.session)?.title;
    let title = format!("{title} (changed by somebody else)");
    Ok(Map::from([("title".into(), title.into())]))
}

/// Has somebody else change fields of a task during the next run.
pub(super) fn meddle(
    ctx: &NativeCallContext,
    task: &Task,
    fields: &Map,
    when: Meddling,
) -> Fallible<()> {
    let (session, play) = play_of(ctx)?;
    apply(&session, &play)?;
    let (of_task, of_details) = outside_edit(&session, fields)?;
    for (is_details, body) in [(false, of_task), (true, of_details)] {
        if body.as_object().is_some_and(|fields| !fields.is_empty()) {
            play.stage
                .meddle(&task.id, is_details, body, when)
                .map_err(|failure| refused(&failure))?;
        }
    }
    Ok(())
}

/// Returns the bodies of a PATCH of the task and its details.
fn outside_edit(session: &Session, fields: &Map) -> Fallible<(Value, Value)> {
    let (mut task, mut details) = (serde_json::Map::new(), serde_json::Map::new());
    for (key, value) in fields {
        match key.as_str() {
            "title" => {
                task.insert("title".into(), parse_text(value, session, "title")?.into());
            }
            "progress" => {
                let name = parse_text(value, session, "progress")?;
                let percent = parse_progress(&name, session)?.percent();
                task.insert("percentComplete".into(), percent.into());
            }
            "percent_complete" => {
                let percent = to_json(value).or_else(|message| invalid(session, message))?;
                task.insert("percentComplete".into(), percent);
            }
            "priority" => {
                let level = parse_priority(value, session)?.level();
                task.insert("priority".into(), level.into());
            }
            "due" | "start" => {
                let moment = Date::given(value, session, key)?;
                let moment = moment.map(|date| date.to_write()).transpose()?;
                let moment = moment.map_or(Value::Null, |moment| moment.to_string().into());
                task.insert(format!("{key}DateTime"), moment);
            }
            "description" => {
                details.insert("description".into(), parse_text(value, session, key)?.into());
            }
            other => {
                let known = "title, progress, percent_complete, priority, start, due, description";
                let message =
                    format!("somebody else cannot change `{other}` here; they can change {known}");
                return invalid(session, message);
            }
        }
    }
    Ok((Value::Object(task), Value::Object(details)))
}

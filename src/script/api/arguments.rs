//! Arguments of the script API: each can be given in the ways that read well, so all are read here.

use rhai::{Array, Dynamic, Map};

use crate::host::{NewItem, NewTask, Session};
use crate::model::{BucketId, Category, PlanId, Priority, Progress, Reference, link};
use crate::script::api::date::Date;
use crate::script::api::handles::{Bucket, User};
use crate::script::api::value::{Fallible, OrRaise as _, invalid, kind_of};

/// The fields that `create_task` takes.
pub(crate) const OF_NEW_TASK: [&str; 12] = [
    "title",
    "bucket",
    "assign",
    "due",
    "start",
    "priority",
    "progress",
    "labels",
    "description",
    "checklist",
    "references",
    "key",
];

/// Reads a bucket: a Bucket, or its name.
pub(crate) fn parse_bucket(
    value: &Dynamic,
    session: &Session,
    plan: &PlanId,
) -> Fallible<BucketId> {
    if let Some(bucket) = value.read_lock::<Bucket>() {
        return Ok(session.real(&bucket.id).into_owned());
    }
    match value.as_immutable_string_ref() {
        Ok(name) => session.find_bucket(plan, &name).or_raise(session),
        Err(_) => {
            let kind = kind_of(value);
            invalid(session, format!("a bucket is a Bucket or its name, not {kind}"))
        }
    }
}

/// Reads a priority: its number or name.
pub(crate) fn parse_priority(value: &Dynamic, session: &Session) -> Fallible<Priority> {
    let number =
        value.as_int().ok().and_then(|number| u8::try_from(number).ok()).and_then(Priority::new);
    let name = value.as_immutable_string_ref().ok().and_then(|name| Priority::parse(&name));
    match number.or(name) {
        Some(priority) => Ok(priority),
        None => invalid(
            session,
            format!("a priority is 0 to 10 or one of {}", Priority::NAMES.join(", ")),
        ),
    }
}

/// Reads a progress value by its name.
pub(crate) fn parse_progress(name: &str, session: &Session) -> Fallible<Progress> {
    match Progress::parse(name) {
        Some(progress) => Ok(progress),
        None => {
            let names = Progress::NAMES.join(", ");
            invalid(session, format!("`{name}` is not a progress value; it is one of {names}"))
        }
    }
}

/// Reads a label of a plan: its name, or its number.
pub(crate) fn parse_label(value: &Dynamic, session: &Session, plan: &PlanId) -> Fallible<Category> {
    let Ok(n) = value.as_int() else {
        let name = parse_text(value, session, "a label")?;
        return session.find_label(plan, &name).or_raise(session);
    };
    parse_label_number(n, session)
}

/// Reads the number of a label.
pub(crate) fn parse_label_number(n: i64, session: &Session) -> Fallible<Category> {
    match u8::try_from(n).ok().and_then(Category::new) {
        Some(label) => Ok(label),
        None => invalid(session, format!("labels are numbered 1 to 25, not {n}")),
    }
}

/// Reads one thing or an array of things, as an array.
pub(crate) fn each(value: Dynamic) -> Array {
    match value.try_cast_result::<Array>() {
        Ok(items) => items,
        Err(value) if value.is_unit() => Array::new(),
        Err(value) => vec![value],
    }
}

/// Reads text; `what` names it in the message.
pub(crate) fn parse_text(value: &Dynamic, session: &Session, what: &str) -> Fallible<String> {
    match value.as_immutable_string_ref() {
        Ok(text) => Ok(text.to_string()),
        Err(_) => invalid(session, format!("{what} is text, not {}", kind_of(value))),
    }
}

/// Returns the key of a reference to a URL.
pub(crate) fn reference_key(session: &Session, url: &str) -> Fallible<String> {
    match link::encode(url) {
        Ok(key) => Ok(key),
        Err(error) => invalid(session, error.to_string()),
    }
}

/// Returns the key of a reference to a URL that is to be added, shown as `alias`.
pub(crate) fn new_reference_key(
    session: &Session,
    url: &str,
    alias: Option<&str>,
) -> Fallible<String> {
    match link::encode_new(url, alias) {
        Ok(key) => Ok(key),
        Err(error) => invalid(session, error.to_string()),
    }
}

/// Reads a link, or a map of `url` and `alias`.
pub(crate) fn parse_reference(value: &Dynamic, session: &Session) -> Fallible<(String, Reference)> {
    let Ok(map) = value.as_map_ref() else {
        let url = parse_text(value, session, "a reference")?;
        return Ok((
            new_reference_key(session, &url, None)?,
            Reference { alias: None, kind: None },
        ));
    };
    let part = |name: &str| map.get(name).filter(|given| !given.is_unit());
    let url = part("url").cloned().unwrap_or(Dynamic::UNIT);
    let url = parse_text(&url, session, "the url of a reference")?;
    let alias = part("alias").map(|alias| parse_text(alias, session, "an alias")).transpose()?;
    Ok((new_reference_key(session, &url, alias.as_deref())?, Reference { alias, kind: None }))
}

/// Reads the map that `create_task` takes.
pub(crate) fn new_task(session: &Session, plan: &PlanId, fields: Map) -> Fallible<NewTask> {
    let mut new = NewTask::default();
    for (key, value) in fields {
        match key.as_str() {
            "title" => new.title = parse_text(&value, session, "title")?,
            "bucket" if value.is_unit() => {}
            "bucket" => new.bucket = Some(parse_bucket(&value, session, plan)?),
            "assign" => {
                for user in each(value) {
                    new.assignees.push(User::given(&user, session)?);
                }
            }
            "due" => {
                new.due =
                    Date::given(&value, session, "due")?.map(|date| date.to_write()).transpose()?;
            }
            "start" => {
                new.start = Date::given(&value, session, "start")?
                    .map(|date| date.to_write())
                    .transpose()?;
            }
            "priority" if value.is_unit() => {}
            "priority" => new.priority = Some(parse_priority(&value, session)?),
            "progress" => {
                let name = parse_text(&value, session, "progress")?;
                new.percent_complete = parse_progress(&name, session)?.percent();
            }
            "labels" => {
                for label in each(value) {
                    new.labels.push(parse_label(&label, session, plan)?);
                }
            }
            "description" if value.is_unit() => {}
            "description" => new.description = parse_text(&value, session, "description")?,
            "checklist" => {
                for item in each(value) {
                    let title = parse_text(&item, session, "a checklist item")?;
                    new.checklist.push(NewItem { title, checked: false });
                }
            }
            "references" => {
                for link in each(value) {
                    new.references.push(parse_reference(&link, session)?);
                }
            }
            "key" if value.is_unit() => {}
            "key" => {
                let key = parse_text(&value, session, "key")?;
                if key.trim().is_empty() {
                    return invalid(session, "the key of a task is empty".to_owned());
                }
                new.key = Some(key);
            }
            other => {
                let known = OF_NEW_TASK.join(", ");
                return invalid(
                    session,
                    format!("create_task has no field `{other}`; it takes {known}"),
                );
            }
        }
    }
    if new.title.trim().is_empty() {
        return invalid(session, "create_task needs a title".to_owned());
    }
    Ok(new)
}

//! The check of maps that name fields: `where(#{ … })`, `update(#{ … })`, `create_task(#{ … })`. At
//! work a wrong name ends the run; here it is found before there is one.

use rhai::{Dynamic, Expr, FnCallExpr, Position};

use crate::model::{Priority, Progress};
use crate::script::api::arguments::OF_NEW_TASK;
use crate::script::api::query::{CONDITIONS, OF_BUCKET, OF_ITEM, OF_PLAN, OF_TASK};
use crate::script::lint::kind::ValueKind;
use crate::script::lint::walk::Walk;
use crate::script::sandbox::habits::did_you_mean;

impl Walk<'_> {
    /// Checks the map that a call is given, if the call takes one with the names of fields.
    pub(super) fn fields_given(&mut self, on: &ValueKind, call: &FnCallExpr) {
        let name = call.name.as_str();
        let (Some(Expr::Map(map, _)), Some(known)) = (call.args.last(), fields_taken(on, name))
        else {
            return;
        };
        // A function of the script's own may take any map.
        if *on == ValueKind::Any && self.script.named(name).next().is_some() {
            return;
        }
        for (field, value) in &map.0 {
            if known.contains(&field.name.as_str()) {
                if let Some(value) = value.get_literal_value(None) {
                    self.value_given(&field.name, &value, field.pos);
                }
                continue;
            }
            let all = || format!("it knows {}", known.join(", "));
            let hint = did_you_mean(&field.name, known.iter().copied()).unwrap_or_else(all);
            let message = format!("`{name}` knows no `{}`", field.name);
            self.error(field.pos, message, Some(hint));
        }
    }

    /// Checks a value that is one of a few.
    fn value_given(&mut self, field: &str, value: &Dynamic, at: Position) {
        let text = value.clone().into_string().ok();
        let named = text.as_deref();
        let (is_known, names, what, more): (_, &[&str], _, _) = match field {
            "progress" => {
                let is_known = named.is_some_and(|name| Progress::parse(name).is_some());
                (is_known, &Progress::NAMES, "progress value", "")
            }
            // Nothing leaves it to Planner.
            "priority" if value.is_unit() => return,
            "priority" => {
                let level = value.as_int().ok().and_then(|level| u8::try_from(level).ok());
                let by_level = level.and_then(Priority::new);
                let is_known = by_level.or_else(|| Priority::parse(named?)).is_some();
                (is_known, &Priority::NAMES, "priority", "0 to 10 or ")
            }
            _ => return,
        };
        if is_known {
            return;
        }
        let hint = named
            .and_then(|name| did_you_mean(name, names.iter().copied()))
            .unwrap_or_else(|| format!("it is {more}one of {}", names.join(", ")));
        self.error(at, format!("`{value}` is not a {what}"), Some(hint));
    }
}

/// Returns the names that a function takes in its map; `None` if it takes none, or nobody knows
/// which.
fn fields_taken(on: &ValueKind, name: &str) -> Option<Vec<&'static str>> {
    let of_tasks = match on {
        ValueKind::Any => true,
        ValueKind::List(item) => **item == ValueKind::Any || item.host() == Some("Task"),
        _ => false,
    };
    let known: &[&str] = match (name, on.host()) {
        ("where", _) if of_tasks => &CONDITIONS,
        ("create_task", Some("Plan" | "Bucket")) => &OF_NEW_TASK,
        ("create_task", _) if *on == ValueKind::Any => &OF_NEW_TASK,
        ("update", Some("Task")) => &OF_TASK,
        ("update", Some("Plan")) => &OF_PLAN,
        ("update", Some("Bucket")) => &OF_BUCKET,
        ("update", Some("ChecklistItem")) => &OF_ITEM,
        ("update", _) if *on == ValueKind::Any => {
            return Some([&OF_TASK[..], &OF_PLAN, &OF_BUCKET, &OF_ITEM].concat());
        }
        _ => return None,
    };
    Some(known.to_vec())
}

//! The JSON of a report in a bounded size: below 4 MiB, with a count of what was left out, so that
//! every reader can cope with it (design.md 2.6).

use serde_json::{Map, Value};

use crate::app::shown::{json_safe, shortened};
use crate::host::Failure;

/// The most bytes of a report as JSON, and of what a command prints on stdout or stderr without `--full`:
/// no script, board or file floods a terminal, or whoever reads along (design.md 2.6).
pub(crate) const MAX_REPORT: usize = 4 << 20;

/// Returns a report as JSON, shortened if necessary; an array that is cut gets a sibling
/// `…_left_out` with the number of missing items.
pub(crate) fn report_text(report: &Value) -> String {
    // Escapes are longer than the hidden characters they stand for, so they are measured.
    let text = |value: &Value| json_safe(&text(value));
    let whole = text(report);
    if whole.len() < MAX_REPORT {
        return whole;
    }
    // The estimate leaves out the white space, so the text may still be too long.
    let mut budget = MAX_REPORT / 2;
    loop {
        let fitted = text(&fit(report, budget));
        if fitted.len() < MAX_REPORT {
            return fitted;
        }
        budget /= 2;
        // Nothing but names is left, and they are too many.
        if budget < MIN_BUDGET {
            let kept = ["run_id", "skill", "status", "pending"];
            let kept = kept.iter().filter_map(|name| Some((*name, report.get(*name)?)));
            let mut least: Map<String, Value> =
                kept.map(|(name, value)| (name.to_owned(), value.clone())).collect();
            least.insert("left_out".to_owned(), Value::Bool(true));
            return text(&fit(&Value::Object(least), MAX_REPORT / 4));
        }
    }
}

/// The size below which a report is not shortened further.
const MIN_BUDGET: usize = 1024;

/// The most characters of a text in an error that is shown.
const MAX_SAID: usize = 4_000;

/// The most characters of a line of somebody's file.
const MAX_SOURCE_LINE: usize = 300;

/// Returns an error with texts that are no longer than anybody reads.
pub(crate) fn short_failure(failure: &Failure) -> Failure {
    let mut short = failure.clone();
    short.message = shortened(&failure.message, MAX_SAID);
    short.hint = failure.hint.as_deref().map(|hint| shortened(hint, MAX_SAID));
    if let Some(place) = &mut short.at {
        place.source = shortened(&place.source, MAX_SOURCE_LINE);
    }
    short.trace.truncate(20);
    // Twenty, and a line that counts the rest.
    short.trace.iter_mut().for_each(|line| *line = shortened(line, MAX_SAID));
    for lines in [&mut short.causes, &mut short.problems] {
        lines.truncate(21);
        lines.iter_mut().for_each(|line| *line = shortened(line, MAX_SAID));
    }
    short
}

fn text(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| size(item) + 1).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter().map(|(key, value)| key.len() + size(value) + 4).sum::<usize>() + 2
        }
        _ => 8,
    }
}

/// Returns a value shortened to about so many bytes; see [`report_text`].
pub(crate) fn fit(value: &Value, budget: usize) -> Value {
    if size(value) <= budget {
        return value.clone();
    }
    match value {
        Value::String(text) => {
            let end = text.floor_char_boundary(budget.min(text.len()));
            Value::String(format!("{}…", text.get(..end).unwrap_or_default()))
        }
        Value::Array(items) => Value::Array(prefix(items, budget)),
        Value::Object(map) => Value::Object(object(map, budget)),
        other => other.clone(),
    }
}

fn prefix(items: &[Value], budget: usize) -> Vec<Value> {
    let (mut kept, mut used) = (Vec::new(), 0);
    for item in items {
        let item = fit(item, (budget / 4).max(1));
        used += size(&item) + 1;
        if used > budget {
            break;
        }
        kept.push(item);
    }
    kept
}

fn object(map: &Map<String, Value>, budget: usize) -> Map<String, Value> {
    // Small fields are kept whole; the large ones share what is left.
    let share = budget / map.len().max(1);
    let is_small = |value: &&Value| size(value) <= share;
    let small: usize = map.values().filter(is_small).map(size).sum();
    let n_large = map.values().filter(|value| !is_small(value)).count();
    let each = budget.saturating_sub(small) / n_large.max(1);
    let (mut fitted, mut used) = (Map::new(), 0);
    for (n, (key, value)) in map.iter().enumerate() {
        // The names themselves may be too many.
        if used > budget {
            fitted.insert("left_out".to_owned(), (map.len() - n).into());
            break;
        }
        used += key.len() + 4;
        let value_now = if is_small(&value) { value.clone() } else { fit(value, each) };
        if let (Some(all), Some(kept)) = (value.as_array(), value_now.as_array())
            && kept.len() < all.len()
        {
            fitted.insert(format!("{key}_left_out"), (all.len() - kept.len()).into());
        }
        fitted.insert(key.clone(), value_now);
    }
    fitted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_is_whole_and_what_does_not_says_what_is_missing() {
        let small = json!({ "status": "denied", "changes": [1, 2, 3] });
        assert_eq!(report_text(&small), text(&small));
        let change = json!({ "title": "x".repeat(3000), "fields": { "a": "b".repeat(3000) } });
        let long = "y".repeat(9 << 20);
        let large = json!({ "status": "denied", "changes": vec![change; 5000], "error": long });
        let fitted = report_text(&large);
        assert!(fitted.len() < MAX_REPORT && fitted.len() > MAX_REPORT / 8, "{}", fitted.len());
        let fitted: Value = serde_json::from_str(&fitted).unwrap();
        assert_eq!(fitted["status"], "denied");
        let kept = fitted["changes"].as_array().unwrap().len();
        assert_eq!(fitted["changes_left_out"], 5000 - kept);
        let names: Map<String, Value> =
            (0..30_000).map(|n| (format!("{n}{}", "k".repeat(200)), n.into())).collect();
        let many = json!({ "run_id": "x", "status": "applied", "result": names });
        let fitted = report_text(&many);
        assert!(fitted.len() < MAX_REPORT && fitted.contains("left_out"), "{}", fitted.len());
        let many =
            json!({ "run_id": "x", "status": "applied", "result": [many["result"].clone()] });
        assert!(report_text(&many).len() < MAX_REPORT);
    }
}

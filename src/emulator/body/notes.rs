//! Notes: the description of a task in a format (planner-api.md 1.13 and trap 57; beta).
//!
//! Both show one text. Written as notes it may be HTML, and the description is the text without
//! the tags; written as description it is plain text, and so are the notes.

use serde_json::{Map, Value, json};

use crate::emulator::body::patch;
use crate::emulator::state::field_versions;
use crate::emulator::state::graph_error::GraphError;

const NOTES: &str = "notes";
const DESCRIPTION: &str = "description";

/// Moves the notes out of a body and leaves the description that they amount to.
///
/// # Errors
///
/// 400 if the body sets the description as well, or the notes are not an `itemBody`.
pub(crate) fn take(body: &mut Map<String, Value>) -> Result<Option<Value>, GraphError> {
    let Some(notes) = body.shift_remove(NOTES) else { return Ok(None) };
    // Both hold one text, so a body with two is an error (planner-api.md trap 57).
    if body.contains_key(DESCRIPTION) {
        let reason = "Only one of description and notes can be set.";
        return Err(GraphError::schema("TaskDetails", NOTES, reason));
    }
    let (kind, content) = match &notes {
        // As null clears a description (planner-api.md 1.7).
        Value::Null => ("text", ""),
        Value::Object(members) => {
            let known =
                |name: &&String| ["contentType", "content", "@odata.type"].contains(&name.as_str());
            if let Some(name) = members.keys().find(|name| !known(name)) {
                return Err(patch::unknown("itemBody", name));
            }
            let text = |name: &str| members.get(name).and_then(Value::as_str);
            match (text("contentType").unwrap_or("text"), text("content")) {
                (kind @ ("text" | "html"), Some(content)) => (kind, content),
                _ => return Err(patch::wrong_type(NOTES)),
            }
        }
        _ => return Err(patch::wrong_type(NOTES)),
    };
    let plain = if kind == "html" { without_tags(content) } else { content.to_owned() };
    // So the description changes, and with it `hasDescription` and the task's tag
    // (planner-api.md 3.5).
    body.insert(DESCRIPTION.to_owned(), plain.into());
    Ok(Some(json!({ "contentType": kind, "content": content })))
}

/// Keeps the notes of details consistent with a change, whose paths are given.
pub(crate) fn settle(
    doc: &mut Map<String, Value>,
    written: Option<Value>,
    changed: &mut Vec<String>,
) {
    let notes = match written {
        Some(notes) => notes,
        None if changed.contains(&field_versions::path(&[DESCRIPTION])) => plain(doc),
        None => return,
    };
    let present = doc.get(NOTES).cloned().unwrap_or_else(|| plain(doc));
    // Notes in plain text follow from the description, so a copy of them could only differ.
    if notes == plain(doc) {
        doc.shift_remove(NOTES);
    } else {
        doc.insert(NOTES.to_owned(), notes.clone());
    }
    // A description changes the notes, too, or a stale write of notes would not collide with it.
    let path = field_versions::path(&[NOTES]);
    if (present != notes || changed.contains(&field_versions::path(&[DESCRIPTION])))
        && !changed.contains(&path)
    {
        changed.push(path);
    }
}

/// Returns the notes of details that were written as plain text.
pub(crate) fn plain(doc: &Map<String, Value>) -> Value {
    json!({ "contentType": "text", "content": doc.get(DESCRIPTION) })
}

/// Returns the paths that a body's notes set.
pub(crate) fn touched(body: &Map<String, Value>) -> Vec<String> {
    // Notes overwrite the description, too, so they collide with a newer one.
    if body.contains_key(NOTES) {
        vec![field_versions::path(&[NOTES]), field_versions::path(&[DESCRIPTION])]
    } else {
        Vec::new()
    }
}

/// Returns the text of a piece of HTML: without the tags, with the line breaks, and with the most
/// common entities decoded.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tail)) = rest.split_once('<') {
        text.push_str(before);
        let Some((tag, after)) = tail.split_once('>') else {
            rest = "";
            break;
        };
        let name = tag.to_ascii_lowercase();
        let name = name.trim_matches('/').split(|letter: char| !letter.is_alphanumeric()).next();
        let ends_line =
            matches!(name, Some("br")) || tag.starts_with("/p") || tag.starts_with("/div");
        if ends_line && !after.is_empty() {
            text.push('\n');
        }
        rest = after;
    }
    text.push_str(rest);
    // `&amp;` comes last: decoded earlier, `&amp;lt;` would become `<`.
    let entities =
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'")];
    for (entity, letter) in entities.into_iter().chain([("&amp;", "&")]) {
        text = text.replace(entity, letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_tags;

    #[test]
    fn html_becomes_its_text() {
        for (html, text) in [
            ("plain", "plain"),
            ("<p>Call <b>Bo</b></p>", "Call Bo"),
            ("<p>One</p><p>Two</p>", "One\nTwo"),
            ("a<br/>b<BR>c", "a\nb\nc"),
            ("1 &lt; 2 &amp;lt; 3&nbsp;&#39;x&#39;", "1 < 2 &lt; 3 'x'"),
            ("cut <off", "cut "),
            ("", ""),
        ] {
            assert_eq!(without_tags(html), text, "{html}");
        }
    }
}

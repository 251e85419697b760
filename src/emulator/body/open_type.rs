//! Open types: maps whose keys a client chooses. PATCH merges them and never replaces one.
//!
//! planner-api.md 5: the typed entries of assignments, checklists and references, the
//! booleans of applied categories and shared users, the labels of a plan, the hints by assignee.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::emulator::body::patch;
use crate::emulator::body::schema::{self, EntryType, Keys, Rule};
use crate::emulator::state::call::Call;
use crate::emulator::state::field_versions;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;

/// The characters of a URL that a property name must not contain, besides `%`
/// (planner-api.md 5.4).
const ENCODED: [(char, &str); 4] = [('.', "%2E"), (':', "%3A"), ('@', "%40"), ('#', "%23")];

/// The property that is merged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) entity: &'a str,
    pub(crate) name: &'a str,
    pub(crate) rule: Rule,
}

impl Target<'_> {
    /// Merges the entries of a body into the present ones and returns the paths that changed.
    pub(crate) fn merge(
        &self,
        call: &Call<'_>,
        present: &mut Map<String, Value>,
        entries: &Map<String, Value>,
    ) -> Result<Vec<String>, GraphError> {
        let mut changed = Vec::new();
        for (raw, value) in entries.iter().filter(|(raw, _)| !schema::is_annotation(raw)) {
            let key = self.key(call, raw)?;
            match self.rule {
                Rule::Entries(entry) => match value {
                    // For an absent key, null is no error and no change (planner-api.md 5.2).
                    Value::Null => {
                        if present.shift_remove(&*key).is_some() {
                            changed.push(field_versions::path(&[self.name, &key]));
                        }
                    }
                    Value::Object(members) => {
                        changed.extend(self.entry(call, entry, present, &key, members)?);
                    }
                    _ => return Err(patch::wrong_type(self.name)),
                },
                _ => {
                    if self.scalar(call, present, &key, value)? {
                        changed.push(field_versions::path(&[self.name, &key]));
                    }
                }
            }
        }
        Ok(changed)
    }

    fn key<'k>(&self, call: &Call<'_>, raw: &'k str) -> Result<Cow<'k, str>, GraphError> {
        let keys = keys_of(self.rule);
        let key = normalise(call, keys, raw);
        let valid = match keys {
            // Not only GUIDs: the web client writes short numbers (planner-api.md 1.10).
            Keys::Any => !key.is_empty(),
            // The user need not exist nor be a member (planner-api.md 5.3).
            Keys::User => id::guid(&key).is_some(),
            Keys::Category => is_category(&key),
            // A key that encodes more, as the `/` of a path, is another key (planner-api.md 5.4).
            Keys::Url => !key.is_empty() && !key.contains(ENCODED.map(|(raw, _)| raw)),
        };
        if valid {
            return Ok(key);
        }
        Err(GraphError::bad_request(match keys {
            Keys::User => format!(
                "The user id '{raw}' in '{}' is invalid; it must be the GUID of a user, not a \
                 name.",
                self.name
            ),
            Keys::Category => format!(
                "The category '{raw}' in '{}' does not exist; the categories of a plan are \
                 'category1' to 'category25'.",
                self.name
            ),
            Keys::Any | Keys::Url => format!(
                "The property name '{raw}' is invalid; property names of '{}' must not be empty \
                 nor contain any of the reserved characters ':', '.', '@', '#' where they are not \
                 part of an identifier.",
                self.name
            ),
        }))
    }

    /// Sets a flag, label or hint; returns whether anything changed.
    fn scalar(
        &self,
        call: &Call<'_>,
        present: &mut Map<String, Value>,
        key: &str,
        value: &Value,
    ) -> Result<bool, GraphError> {
        let new = match (self.rule, value) {
            // Categories and shared users are removed with `false`, and null does the same here
            // (planner-api.md 5.2).
            (Rule::Flags(_), Value::Bool(false) | Value::Null) => {
                return Ok(present.shift_remove(key).is_some());
            }
            (Rule::Flags(_), Value::Bool(true))
            | (Rule::Labels, Value::String(_) | Value::Null) => value.clone(),
            (Rule::Hints, Value::String(text)) => {
                Value::String(call.place(text).ok_or_else(|| GraphError::hint(text))?)
            }
            // A client cannot remove the hint of an assignee (planner-api.md 1.12).
            (Rule::Hints, Value::Null) => {
                return Err(GraphError::null_field(self.entity, self.name));
            }
            _ => return Err(patch::wrong_type(self.name)),
        };
        if present.get(key) == Some(&new) {
            return Ok(false);
        }
        present.insert(key.to_owned(), new);
        Ok(true)
    }

    /// Adds an entry, or merges into the one with its key (planner-api.md 5.2).
    fn entry(
        &self,
        call: &Call<'_>,
        entry: &'static EntryType,
        present: &mut Map<String, Value>,
        key: &str,
        members: &Map<String, Value>,
    ) -> Result<Vec<String>, GraphError> {
        check_type(entry, self.name, members)?;
        let old = present.get(key).and_then(Value::as_object);
        if old.is_none() {
            if entry.keys == Keys::Url && !is_url(key) {
                return Err(GraphError::invalid(format_args!(
                    "The reference '{key}' is not a URL."
                )));
            }
            // Only a new entry needs it: a PATCH of one with a title may leave the title out
            // (planner-api.md 5.2 and 5.3).
            if let Some(name) = entry.required.filter(|name| !members.contains_key(*name)) {
                return Err(GraphError::null_field(self.entity, name));
            }
        }
        let mut new = old.cloned().unwrap_or_else(|| blank(call, entry));
        let mut changed = Vec::new();
        for (name, value) in members.iter().filter(|(name, _)| !schema::is_annotation(name)) {
            let member = schema::find(entry.members, name)
                .ok_or_else(|| patch::unknown(entry.name, name))?;
            // Clients echo whole entries: an equal value is ignored (planner-api.md 5.6).
            if matches!(member.rule, Rule::ReadOnly) {
                if new.get(name) != Some(value) {
                    return Err(GraphError::read_only(self.entity, name));
                }
                continue;
            }
            let value = patch::read(call, self.entity, "", name, member.rule, value)?;
            if new.get(name) != Some(&value) {
                new.insert(name.clone(), value);
                changed.push(field_versions::path(&[self.name, key, name]));
            }
        }
        // A new entry is a change of its own path, which collides with any edit below it
        // (planner-api.md 3.4).
        if old.is_none() {
            changed = vec![field_versions::path(&[self.name, key])];
        }
        // An assignment keeps the signature of the first assignment (planner-api.md 5.3).
        if entry.signed && !changed.is_empty() {
            new.insert("lastModifiedDateTime".to_owned(), call.moment());
            new.insert("lastModifiedBy".to_owned(), call.user());
        }
        if !changed.is_empty() {
            present.insert(key.to_owned(), Value::Object(new));
        }
        Ok(changed)
    }
}

/// Returns the paths that a body sets inside an open type.
pub(crate) fn touched(
    call: &Call<'_>,
    name: &str,
    rule: Rule,
    entries: &Map<String, Value>,
) -> Vec<String> {
    let mut paths = Vec::new();
    for (raw, value) in entries.iter().filter(|(raw, _)| !schema::is_annotation(raw)) {
        let key = normalise(call, keys_of(rule), raw);
        match (rule, value) {
            (Rule::Entries(_), Value::Object(members)) => paths.extend(
                members
                    .keys()
                    .filter(|member| !schema::is_annotation(member))
                    .map(|member| field_versions::path(&[name, &key, member])),
            ),
            // Null deletes the entry and so collides with newer changes below it
            // (planner-api.md 3.4).
            _ => paths.push(field_versions::path(&[name, &key])),
        }
    }
    paths
}

fn keys_of(rule: Rule) -> Keys {
    match rule {
        Rule::Entries(entry) => entry.keys,
        Rule::Flags(keys) => keys,
        Rule::Labels => Keys::Category,
        Rule::Hints => Keys::User,
        _ => Keys::Any,
    }
}

/// Returns a key as it is stored: users are compared without case, and `me` is the caller
/// (planner-api.md 1.4 and 5.3); other keys are exact.
fn normalise<'k>(call: &Call<'_>, keys: Keys, raw: &'k str) -> Cow<'k, str> {
    match keys {
        // For an application `me` is nobody, and then it is refused as a key that is not a GUID.
        Keys::User if raw == "me" && !call.is_app => Cow::Owned(call.caller.clone()),
        Keys::User => Cow::Owned(raw.to_lowercase()),
        Keys::Category | Keys::Any | Keys::Url => Cow::Borrowed(raw),
    }
}

/// Checks that a value names its type and sets at least one member (planner-api.md 5.1).
fn check_type(
    entry: &EntryType,
    container: &str,
    members: &Map<String, Value>,
) -> Result<(), GraphError> {
    let named = members.get("@odata.type").and_then(Value::as_str);
    let named =
        named.and_then(|name| name.trim_start_matches('#').strip_prefix("microsoft.graph."));
    if named != Some(entry.name) {
        return Err(GraphError::invalid(format_args!(
            "Values of '{container}' must have '@odata.type' set to '#microsoft.graph.{}'.",
            entry.name
        )));
    }
    if members.keys().all(|name| schema::is_annotation(name)) {
        return Err(GraphError::invalid(format_args!(
            "Values of '{container}' must contain at least one property."
        )));
    }
    Ok(())
}

/// Returns a new entry without the client's members yet, in the order in which it is answered
/// (planner-api.md 13.7 and 13.8).
fn blank(call: &Call<'_>, entry: &EntryType) -> Map<String, Value> {
    let mut members = match entry.keys {
        Keys::User => json!({
            "assignedDateTime": call.moment(),
            "orderHint": call.default_hint(),
            "assignedBy": call.actor(),
        }),
        Keys::Url => json!({
            "alias": null,
            "type": null,
            "previewPriority": call.default_hint(),
            "lastModifiedDateTime": null,
            "lastModifiedBy": null,
        }),
        Keys::Any | Keys::Category => json!({
            "isChecked": false,
            "title": null,
            "orderHint": call.default_hint(),
            "lastModifiedDateTime": null,
            "lastModifiedBy": null,
        }),
    };
    let mut new = Map::new();
    new.insert("@odata.type".to_owned(), format!("#microsoft.graph.{}", entry.name).into());
    if let Some(members) = members.as_object_mut() {
        new.append(members);
    }
    new
}

/// Returns whether a key is one of `category1` to `category25` (planner-api.md 1.9).
fn is_category(key: &str) -> bool {
    let digits = key.strip_prefix("category").filter(|digits| !digits.starts_with(['0', '+']));
    digits.and_then(|digits| digits.parse().ok()).is_some_and(|at: u8| (1..=25).contains(&at))
}

/// Returns the key of a reference to a URL (planner-api.md 5.4).
pub(crate) fn encode_url(url: &str) -> String {
    // First, so that the `%` of the other codes is not encoded again.
    let mut key = url.replace('%', "%25");
    for (plain, code) in ENCODED {
        key = key.replace(plain, code);
    }
    key
}

/// Returns whether the URL that a key encodes has one of the two schemes (planner-api.md 5.4).
fn is_url(key: &str) -> bool {
    let mut url = key.to_owned();
    for (plain, code) in ENCODED {
        url = url.replace(code, &plain.to_string());
        url = url.replace(&code.to_lowercase(), &plain.to_string());
    }
    // `%25` need not be decoded: neither scheme contains a `%`.
    let url = url.to_lowercase();
    ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::{is_category, is_url};

    #[test]
    fn twenty_five_categories_exist() {
        for (key, expected) in [
            ("category1", true),
            ("category25", true),
            ("category26", false),
            ("category0", false),
            ("category01", false),
            ("category+1", false),
            ("category", false),
            ("Category1", false),
            ("label1", false),
        ] {
            assert_eq!(is_category(key), expected, "{key}");
        }
    }

    #[test]
    fn reference_keys_encode_web_addresses() {
        for (key, expected) in [
            ("https%3A//wiki%2Eexample%2Eorg/a%2Eb?x=1%23top", true),
            ("http%3a//u%40files%2eexample%2eorg/100%2525%2Edocx", true),
            ("https%3A//", false),
            ("ftp%3A//files%2Eexample%2Eorg", false),
            ("https%3A%2F%2Fwiki%2Eexample%2Eorg", false),
            ("notes", false),
        ] {
            assert_eq!(is_url(key), expected, "{key}");
        }
    }
}

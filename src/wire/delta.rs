//! The pages of delta queries, which only the beta has (planner-api.md 2.10, planner-api.md 13.20).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire::entity::{DecodeError, Decoded};
use crate::wire::json::Items;
use crate::wire::page::{MAX_ITEMS, checked};

/// A page of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaPage {
    /// Its items.
    pub items: Vec<DeltaItem>,
    /// The address at which the round goes on.
    pub next: Option<String>,
    /// The address at which the next round begins; on the last page.
    pub delta: Option<String>,
}

/// An object that has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeltaItem {
    /// Its kind: `plannerTask`, `plannerTaskDetails`, `plannerBucket` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id; that of the task or plan for details.
    pub id: String,
    /// The kind of change.
    pub change: DeltaChange,
    /// The properties that changed, by Graph's names; all those of a new object.
    pub fields: Map<String, Value>,
}

/// The kind of change of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaChange {
    /// It was created; all its properties are present.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

#[derive(Deserialize)]
struct PageJson<'a> {
    #[serde(borrow)]
    value: Items<'a, MAX_ITEMS>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

impl Decoded for DeltaPage {
    fn decode(json: &str) -> Result<Self, DecodeError> {
        let page: PageJson<'_> = serde_json::from_str(json)?;
        let next = page.next.map(checked).transpose()?;
        let delta = page.delta.map(checked).transpose()?;
        let mut items = Vec::new();
        for object in page.value.0 {
            items.extend(item(serde_json::from_str(object.get())?));
        }
        Ok(Self { items, next, delta })
    }
}

fn item(mut object: Map<String, Value>) -> Option<DeltaItem> {
    let id = object.remove("id")?.as_str()?.to_owned();
    let kind = object.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
    let kind = kind.trim_start_matches('#').trim_start_matches("microsoft.graph.").to_owned();
    let change = if object.contains_key("@removed") {
        DeltaChange::Deleted
    } else if object.contains_key("createdBy")
        // A bucket has no `createdBy`, but its `planId` is present only if all of it is.
        || (kind == "plannerBucket" && object.contains_key("planId"))
    {
        DeltaChange::Created
    } else {
        DeltaChange::Updated
    };
    object.retain(|name, _| !name.starts_with('@'));
    Some(DeltaItem { kind, id, change, fields: object })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The example of planner-api.md 13.20.
    #[test]
    fn a_page_says_what_changed_and_what_went() {
        let page = json!({
            "@odata.deltaLink": "https://graph.microsoft.com/beta/me/planner/all/delta?$deltatoken=x",
            "value": [
                { "@odata.type": "#microsoft.graph.plannerTask", "@odata.etag": "W/\"x\"", "id": "a",
                  "percentComplete": 0, "completedBy": null, "completedDateTime": null },
                { "@odata.type": "#microsoft.graph.plannerTask", "id": "b", "@removed": { "reason": "deleted" } },
                { "@odata.type": "#microsoft.graph.plannerBucket", "id": "c", "name": "New", "planId": "p" }
            ]
        });
        let page = DeltaPage::decode(&page.to_string()).unwrap();
        let seen: Vec<_> =
            page.items.iter().map(|item| (item.kind.as_str(), item.change)).collect();
        let expected = [
            ("plannerTask", DeltaChange::Updated),
            ("plannerTask", DeltaChange::Deleted),
            ("plannerBucket", DeltaChange::Created),
        ];
        assert_eq!(seen, expected);
        assert_eq!(page.items[0].fields.len(), 3);
        assert!(page.next.is_none() && page.delta.is_some());
    }
}

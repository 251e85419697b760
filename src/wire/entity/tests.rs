//! Decoding, against the example payloads of planner-api.md 13.

use serde_json::{Value, json};

use super::*;
use crate::model::{BucketId, TaskId};
use crate::wire::page::Page;

const TASK: &str = r##"{
  "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#planner/tasks/$entity",
  "@odata.etag": "W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc=\"",
  "planId": "1Lb49JAHX0-Dp9eu1bVbm2QARDtl",
  "bucketId": "nQCOAKpZRvg0P7pYqz18c2QA7d7k",
  "title": "Order anodes",
  "orderHint": "8584291639579954714",
  "assigneePriority": "8584291639579954714",
  "percentComplete": 0,
  "startDateTime": null,
  "createdDateTime": "2026-03-02T09:15:27.4821093Z",
  "dueDateTime": "2026-03-31T10:00:00Z",
  "hasDescription": false,
  "previewType": "automatic",
  "completedDateTime": null,
  "completedBy": null,
  "referenceCount": 0,
  "checklistItemCount": 0,
  "activeChecklistItemCount": 0,
  "conversationThreadId": null,
  "priority": 3,
  "id": "lDvoHiAzbFPeLIq0CZGDnGQAT4VP",
  "createdBy": {
    "user": { "displayName": null, "id": "7a1d6e0c-94b2-4d3f-b1a8-3e5c2f9d8a01" },
    "application": { "displayName": null, "id": "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f" }
  },
  "appliedCategories": { "category3": true },
  "assignments": {
    "c4e8f2a6-1b3d-4e57-8f90-a1b2c3d4e5f6": {
      "@odata.type": "#microsoft.graph.plannerAssignment",
      "assignedDateTime": "2026-03-02T09:15:27.4821093Z",
      "orderHint": "8584291639579954714PB",
      "assignedBy": { "user": { "displayName": null, "id": "7a1d6e0c-94b2-4d3f-b1a8-3e5c2f9d8a01" } }
    }
  },
  "somethingNew": { "from": "tomorrow" }
}"##;

#[test]
fn a_task_decodes_with_its_tag_unescaped_and_strangers_ignored() {
    let task = Versioned::<Task>::decode(TASK).unwrap();
    assert_eq!(task.etag.as_str(), "W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc=\"");
    let task = task.value;
    assert_eq!(task.id, TaskId::parse("lDvoHiAzbFPeLIq0CZGDnGQAT4VP").unwrap());
    assert_eq!(task.bucket, Some(BucketId::parse("nQCOAKpZRvg0P7pYqz18c2QA7d7k").unwrap()));
    assert_eq!(task.priority.level(), 3);
    assert_eq!(task.due.unwrap().to_string(), "2026-03-31T10:00:00Z");
    assert_eq!(task.created_at.unwrap().to_string(), "2026-03-02T09:15:27.4821093Z");
    assert_eq!(task.categories.len(), 1);
    let (who, hint) = task.assignments.first_key_value().unwrap();
    assert_eq!(who.as_str(), "c4e8f2a6-1b3d-4e57-8f90-a1b2c3d4e5f6");
    assert_eq!(hint, "8584291639579954714PB");
}

/// With `odata.metadata=none` nothing could be written back (planner-api.md trap 6).
#[test]
fn an_entity_without_its_tag_is_an_error() {
    let mut value: Value = serde_json::from_str(TASK).unwrap();
    value.as_object_mut().unwrap().remove("@odata.etag");
    assert!(matches!(Versioned::<Task>::decode(&value.to_string()), Err(DecodeError::NoETag)));
}

#[test]
fn an_id_that_would_change_a_url_is_an_error() {
    let mut value: Value = serde_json::from_str(TASK).unwrap();
    value["id"] = json!("../../me");
    assert!(matches!(Versioned::<Task>::decode(&value.to_string()), Err(DecodeError::Id(_))));
}

#[test]
fn numbers_out_of_range_do_not_panic() {
    let mut value: Value = serde_json::from_str(TASK).unwrap();
    value["percentComplete"] = json!(-5);
    value["priority"] = json!(99);
    let task = Versioned::<Task>::decode(&value.to_string()).unwrap().value;
    assert_eq!((task.percent_complete, task.priority), (0, Priority::DEFAULT));
}

#[test]
fn only_named_labels_and_true_shares_count() {
    let value = json!({
        "@odata.etag": "W/\"x\"",
        "id": "p",
        "sharedWith": { "7a1d6e0c-94b2-4d3f-b1a8-3e5c2f9d8a01": true, "c4e8f2a6": false },
        "categoryDescriptions": { "category1": "Hull", "category2": null, "category3": "" }
    });
    let details = Versioned::<PlanDetails>::decode(&value.to_string()).unwrap().value;
    assert_eq!(details.labels, BTreeMap::from([(Category::new(1).unwrap(), "Hull".to_owned())]));
    assert_eq!(details.shared_with.len(), 1);
}

/// `owner` counts only where there is no container (planner-api.md trap 31), and other containers
/// are not groups (planner-api.md trap 32).
#[test]
fn the_group_of_a_plan_is_its_container() {
    let plan = |container: Value| {
        let mut value =
            json!({ "@odata.etag": "W/\"x\"", "id": "p", "title": "T", "owner": "g-old" });
        if !container.is_null() {
            value["container"] = container;
        }
        Versioned::<Plan>::decode(&value.to_string()).unwrap().value.group.map(String::from)
    };
    assert_eq!(plan(json!({ "containerId": "g", "type": "group" })).as_deref(), Some("g"));
    assert_eq!(plan(json!({ "containerId": "r", "type": "unknownFutureValue" })), None);
    assert_eq!(plan(Value::Null).as_deref(), Some("g-old"));
}

#[test]
fn a_page_of_groups_leaves_roles_and_security_groups_out() {
    let value = json!({
        "@odata.nextLink": "https://graph.microsoft.com/v1.0/me/memberOf?$skiptoken=x",
        "value": [
            { "@odata.type": "#microsoft.graph.group", "id": "a", "displayName": "A", "groupTypes": ["Unified"] },
            { "@odata.type": "#microsoft.graph.directoryRole", "id": "b", "displayName": "B" },
            { "@odata.type": "#microsoft.graph.group", "id": "c", "displayName": "C", "groupTypes": [] },
            { "@odata.type": "#microsoft.graph.group", "id": "d", "groupTypes": null }
        ]
    });
    let page = Page::<Group>::decode(&value.to_string()).unwrap();
    let ids: Vec<_> = page.items.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(ids, ["a", "d"]);
    assert!(page.next.is_some());
}

#[test]
fn a_list_without_its_list_is_an_error() {
    for value in [json!({}), json!({ "value": 3 }), json!([]), json!("x"), Value::Null] {
        assert!(Page::<User>::decode(&value.to_string()).is_err());
    }
}

#[test]
fn errors_are_read_from_json_html_and_nothing() {
    use crate::wire::error::ApiError;
    let body = br#"{"error":{"code":"MaximumChecklistItemsOnTask","message":"The request exceeded allowed limits.","innerError":{"request-id":"9a7c"}}}"#;
    let error = ApiError::read(403, None, body);
    assert!(error.is_limit() && !error.is_forbidden());
    assert_eq!(error.request_id.as_deref(), Some("9a7c"));
    assert!(ApiError::read(412, None, b"<html>").is_conflict());
    assert!(ApiError::read(503, None, b"").is_unavailable());
    assert_eq!(ApiError::read(404, None, b"[]").to_string(), "the service answered 404");
}

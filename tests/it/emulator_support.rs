//! What the tests of the emulator share: a pinned clock, a signed-in caller, short requests.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Request};
use jiff::{SignedDuration, Timestamp};
use planwright::emulator::{Emulator, Options, Storage};
use planwright::model::time::Clock;
use serde_json::{Map, Value, json};

pub(crate) const ROOK: &str = "rook@bos.example";
pub(crate) const MEI: &str = "mei@bos.example";
pub(crate) const VICTOR: &str = "victor@bos.example";
pub(crate) const ROOK_ID: &str = "4f6a2c1e-7b3d-4a58-9c0e-1d2b3f4a5c61";
pub(crate) const MEI_ID: &str = "c8e07f52-3a1b-4d69-b7f4-0a9b8c7d6e53";
pub(crate) const BOS: &str = "b1f0a6d2-4c83-4e95-a7d1-2f3e4d5c6b70";
pub(crate) const LEADERSHIP: &str = "90e4b7c3-1f5d-4a28-b6e9-4d3c2b1a0f98";
pub(crate) const ASSIGNMENT: &str = "#microsoft.graph.plannerAssignment";
pub(crate) const CHECKLIST_ITEM: &str = "#microsoft.graph.plannerChecklistItem";
pub(crate) const REFERENCE: &str = "#microsoft.graph.plannerExternalReference";

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-03-02T09:14:58.3370416Z".parse().unwrap())))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        let mut now = self.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An answer, with its body read.
#[derive(Debug)]
#[must_use]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// The error's code and message.
    #[track_caller]
    pub(crate) fn error(self, status: u16) -> (String, String) {
        let body = self.expect(status);
        let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An emulator with the demo tenant, and somebody who asks.
pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) caller: &'static str,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let clock = TestClock::new();
        let mut options = Options::new(Storage::Memory, clock.clone());
        change(&mut options);
        let emulator = Emulator::open(options).unwrap();
        emulator.seed_demo().unwrap();
        Self { emulator, clock, caller: ROOK }
    }

    pub(crate) fn caller(&self, caller: &'static str) -> Self {
        Self { emulator: self.emulator.clone(), clock: self.clock.clone(), caller }
    }

    /// Sends a request; `path` is relative to the service root.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        self.send_at(method, &format!("/v1.0{path}"), headers, body)
    }

    /// Sends a request to an absolute path.
    pub(crate) fn send_at(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("host", "127.0.0.1:4321");
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer emulator:{}", self.caller));
        }
        if body.is_some() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let response = self.emulator.dispatch(request.body(body).unwrap());
        let (parts, body) = response.into_parts();
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Sends a request to the control API.
    pub(crate) fn control(&self, method: &str, name: &str, body: Option<&Value>) -> Answer {
        self.send_at(method, &format!("/control/{name}"), &[("authorization", "")], body)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Value {
        self.send("GET", path, &[], None).expect(200)
    }

    /// The items of a list, of all its pages.
    #[track_caller]
    pub(crate) fn items(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let page = self.get(&path);
            items.extend(page["value"].as_array().unwrap().iter().cloned());
            next = page["@odata.nextLink"]
                .as_str()
                .map(|link| link.strip_prefix("http://127.0.0.1:4321/v1.0").unwrap().to_owned());
        }
        items
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[], Some(body))
    }

    pub(crate) fn patch(&self, path: &str, tag: &str, body: &Value) -> Answer {
        let headers = [("if-match", tag), ("prefer", "return=representation")];
        self.send("PATCH", path, &headers, Some(body))
    }

    /// Patches with the present tag.
    pub(crate) fn change(&self, path: &str, body: &Value) -> Answer {
        self.patch(path, &self.tag(path), body)
    }

    pub(crate) fn delete(&self, path: &str, tag: &str) -> Answer {
        self.send("DELETE", path, &[("if-match", tag)], None)
    }

    #[track_caller]
    pub(crate) fn tag(&self, path: &str) -> String {
        tag_of(&self.get(path))
    }

    /// Creates a plan of the group "BOS" and returns its id.
    #[track_caller]
    pub(crate) fn new_plan(&self) -> String {
        let container = json!({ "containerId": BOS, "type": "group" });
        let plan = self.post("/planner/plans", &json!({ "title": "Plan", "container": container }));
        id_of(&plan.expect(201))
    }

    #[track_caller]
    pub(crate) fn new_bucket(&self, plan: &str) -> String {
        id_of(&self.post("/planner/buckets", &json!({ "name": "B", "planId": plan })).expect(201))
    }

    /// Creates a task in a new plan and returns its path.
    #[track_caller]
    pub(crate) fn new_task(&self) -> String {
        let plan = self.new_plan();
        self.new_task_in(&plan, &json!({}))
    }

    #[track_caller]
    pub(crate) fn new_task_in(&self, plan: &str, more: &Value) -> String {
        let mut body: Map<String, Value> =
            Map::from_iter([("planId".into(), plan.into()), ("title".into(), "Task".into())]);
        body.extend(more.as_object().unwrap().clone());
        let task = self.post("/planner/tasks", &body.into()).expect(201);
        format!("/planner/tasks/{}", id_of(&task))
    }
}

#[track_caller]
pub(crate) fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn tag_of(object: &Value) -> String {
    object["@odata.etag"].as_str().unwrap().to_owned()
}

pub(crate) fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

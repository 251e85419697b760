//! Changes by other people: one before a request, or a stream of them in the background.
//!
//! Every change is an ordinary request of an ordinary user. Rules and throttling do not apply to
//! these requests, so that a test gets the collisions it asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::http::{Method, Request as HttpRequest};
use serde_json::{Value, json};

use crate::emulator::control::log::Origin;
use crate::emulator::control::rule::Edit;
use crate::emulator::message::request::{self, ROOT, Request};
use crate::emulator::service::Emulator;
use crate::emulator::state::id;

/// A background editor.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edits {
    /// The number of changes a second, from 0.01 to 1000.
    pub rate_per_s: f64,
    /// The principal name of the user who makes them.
    pub user: String,
    /// The seed of the choice of changes: equal seeds make the same ones on the same plan.
    #[serde(default)]
    pub seed: u64,
    /// The plan whose tasks are renamed and moved.
    pub plan: String,
}

impl Edits {
    /// Returns whether the values are in range.
    pub(crate) fn is_valid(&self) -> bool {
        (0.01..=1000.0).contains(&self.rate_per_s) && id::is_planner(&self.plan)
    }
}

/// The background editor, if one is running.
#[derive(Debug, Default)]
pub(crate) struct Editor(Mutex<Option<Working>>);

#[derive(Debug)]
struct Working {
    edits: Edits,
    done: Arc<AtomicU64>,
    /// The sender that ends the thread when it is dropped.
    _stop: Sender<()>,
}

impl Editor {
    /// Starts an editor in place of the present one.
    pub(crate) fn start(&self, emulator: &Emulator, edits: Edits) -> std::io::Result<()> {
        let (stop, stopped) = mpsc::channel::<()>();
        let done = Arc::new(AtomicU64::new(0));
        // Weak: a thread that kept the emulator alive would also keep itself alive.
        let (count, weak) = (Arc::clone(&done), emulator.downgrade());
        let own = edits.clone();
        let pause = Duration::from_secs_f64(1.0 / edits.rate_per_s);
        thread::Builder::new().name("emulator-editor".to_owned()).spawn(move || {
            let mut at = 0;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let Some(emulator) = weak() else { break };
                if step(&emulator, &own, at) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                at += 1;
            }
        })?;
        *self.lock() = Some(Working { edits, done, _stop: stop });
        Ok(())
    }

    pub(crate) fn stop(&self) {
        *self.lock() = None;
    }

    /// Returns the present edits, and the number of changes made so far.
    pub(crate) fn state(&self) -> Option<(Edits, u64)> {
        let state = self.lock();
        state.as_ref().map(|working| (working.edits.clone(), working.done.load(Ordering::Relaxed)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Working>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one change: gives a task another title, or another bucket if there is one.
fn step(emulator: &Emulator, edits: &Edits, at: u64) -> bool {
    let draw = |of: u64, n: usize| {
        // As good as even: rounding shifts the odds by far less than one task.
        let share = id::draw(edits.seed, at * 4 + of);
        (share * n as f64) as usize
    };
    let list = |name: &str, fields: &str| {
        let path = format!("/planner/plans/{}/{name}?$select={fields}", edits.plan);
        let body = send(emulator, &edits.user, Method::GET, &path, None, None)?;
        body.get("value")?.as_array().cloned()
    };
    let (Some(tasks), Some(buckets)) = (list("tasks", "id,title,bucketId"), list("buckets", "id"))
    else {
        return false;
    };
    let text = |doc: &Value, name: &str| doc.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(task) = tasks.get(draw(0, tasks.len())) else { return false };
    let Some(id) = text(task, "id") else { return false };
    let elsewhere: Vec<String> = buckets
        .iter()
        .filter_map(|bucket| text(bucket, "id"))
        .filter(|id| text(task, "bucketId").as_ref() != Some(id))
        .collect();
    let body = match elsewhere.get(draw(1, elsewhere.len())) {
        Some(bucket) if draw(2, 2) == 1 => json!({ "bucketId": bucket }),
        _ => {
            // The old number goes, or the titles would grow with every edit.
            let title = text(task, "title").unwrap_or_default();
            let base = title.split(" · edit ").next().unwrap_or_default();
            json!({ "title": format!("{base} · edit {}", at + 1) })
        }
    };
    let edit = Edit { user: edits.user.clone(), path: Some(format!("/planner/tasks/{id}")), body };
    change(emulator, &edit, "")
}

/// Makes the change of an `edit` rule.
pub(crate) fn carry_out(emulator: &Emulator, edit: &Edit, request: &Request) {
    // Without a path, the edit addresses what the request does, below the root.
    let own = request.uri.path();
    let own = request::root_of(own).and_then(|root| own.get(root.len()..)).unwrap_or_default();
    if !change(emulator, edit, own) {
        tracing::warn!(user = edit.user, "an edit rule changed nothing");
    }
}

/// Patches with the current tag; returns whether that succeeded.
pub(crate) fn change(emulator: &Emulator, edit: &Edit, otherwise: &str) -> bool {
    let path = edit.path.as_deref().unwrap_or(otherwise);
    let tag = send(emulator, &edit.user, Method::GET, path, None, None);
    let tag = tag.and_then(|body| body.get("@odata.etag")?.as_str().map(str::to_owned));
    tag.is_some_and(|tag| {
        send(emulator, &edit.user, Method::PATCH, path, Some(&tag), Some(&edit.body)).is_some()
    })
}

/// Sends a request and returns the body of its answer, if it succeeded.
fn send(
    emulator: &Emulator,
    user: &str,
    method: Method,
    path: &str,
    tag: Option<&str>,
    body: Option<&Value>,
) -> Option<Value> {
    let mut request = HttpRequest::builder()
        .method(method)
        .uri(format!("{ROOT}{path}"))
        .header("authorization", format!("Bearer emulator:{user}"));
    if let Some(tag) = tag {
        request = request.header("if-match", tag).header("content-type", "application/json");
    }
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let response = emulator.perform(request.body(body).ok()?, Origin::Editor).response;
    let is_done = response.status().is_success();
    is_done.then(|| serde_json::from_slice(response.body()).unwrap_or(Value::Null))
}

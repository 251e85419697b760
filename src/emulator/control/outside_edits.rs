//! Other people at work: one change before a request, or a stream of them in the background.
//!
//! Every change is an ordinary request of an ordinary user. Rules and throttling leave these
//! requests alone, so that a test gets the collisions it asked for.

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
    /// How many changes a second, 0.01 to 1000.
    pub rate_per_s: f64,
    /// Who makes them, by principal name.
    pub user: String,
    /// Which changes: equal seeds make the same ones on the same plan.
    #[serde(default)]
    pub seed: u64,
    /// The plan whose tasks are renamed and moved.
    pub plan: String,
}

impl Edits {
    /// Says whether the numbers can be meant.
    pub(crate) fn is_valid(&self) -> bool {
        (0.01..=1000.0).contains(&self.rate_per_s) && id::is_planner(&self.plan)
    }
}

/// The background editor, if one is at work.
#[derive(Debug, Default)]
pub(crate) struct Editor(Mutex<Option<Working>>);

#[derive(Debug)]
struct Working {
    edits: Edits,
    done: Arc<AtomicU64>,
    /// Dropping it ends the work.
    _stop: Sender<()>,
}

impl Editor {
    /// Begins to edit, in place of the present editor.
    pub(crate) fn start(&self, emulator: &Emulator, edits: Edits) -> std::io::Result<()> {
        let (stop, stopped) = mpsc::channel::<()>();
        let done = Arc::new(AtomicU64::new(0));
        let (count, it, weak) = (Arc::clone(&done), edits.clone(), emulator.downgrade());
        let pause = Duration::from_secs_f64(1.0 / edits.rate_per_s);
        thread::Builder::new().name("emulator-editor".to_owned()).spawn(move || {
            let mut at = 0;
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let Some(emulator) = weak() else { break };
                if step(&emulator, &it, at) {
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

    /// What is being edited, and how many changes have been made.
    pub(crate) fn state(&self) -> Option<(Edits, u64)> {
        let working = self.lock();
        working.as_ref().map(|it| (it.edits.clone(), it.done.load(Ordering::Relaxed)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Working>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one change: a task gets another title, or another bucket if there is one.
fn step(emulator: &Emulator, edits: &Edits, at: u64) -> bool {
    let draw = |of: u64, n: usize| {
        // As good as even: the share of a plan's tasks that is off is far below one.
        let share = id::draw(edits.seed, at * 4 + of);
        (share * n as f64) as usize
    };
    let list = |name: &str| {
        let path = format!("/planner/plans/{}/{name}?$select=id,title,bucketId", edits.plan);
        let body = send(emulator, &edits.user, Method::GET, &path, None, None)?;
        body.get("value")?.as_array().cloned()
    };
    let (Some(tasks), Some(buckets)) = (list("tasks"), list("buckets")) else { return false };
    let text = |it: &Value, name: &str| it.get(name).and_then(Value::as_str).map(str::to_owned);
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
            let title = text(task, "title").unwrap_or_default();
            let base = title.split(" · edit ").next().unwrap_or_default();
            json!({ "title": format!("{base} · edit {}", at + 1) })
        }
    };
    let edit = Edit { user: edits.user.clone(), path: Some(format!("/planner/tasks/{id}")), body };
    change(emulator, &edit, "")
}

/// Carries out the change of an `edit` rule.
pub(crate) fn carry_out(emulator: &Emulator, edit: &Edit, request: &Request) {
    let own = request.uri.path();
    let own = request::root_of(own).and_then(|root| own.get(root.len()..)).unwrap_or_default();
    if !change(emulator, edit, own) {
        tracing::warn!(user = edit.user, "an edit rule changed nothing");
    }
}

/// Patches with the present tag; tells whether that succeeded.
pub(crate) fn change(emulator: &Emulator, edit: &Edit, otherwise: &str) -> bool {
    let path = edit.path.as_deref().unwrap_or(otherwise);
    let tag = send(emulator, &edit.user, Method::GET, path, None, None);
    let tag = tag.and_then(|body| body.get("@odata.etag")?.as_str().map(str::to_owned));
    tag.is_some_and(|tag| {
        send(emulator, &edit.user, Method::PATCH, path, Some(&tag), Some(&edit.body)).is_some()
    })
}

/// Sends a request; the body of its answer if it succeeded.
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

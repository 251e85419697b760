//! What is saved in the workspace while a session goes on, in words.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::render::text::{CYAN, DIM, RED, paint, visible};
use crate::script::console::{Libraries, Update};
use crate::script::reload::{Reloaded, Watcher};

/// What changes about the workspace, in words.
pub(crate) struct News {
    events: Mutex<Receiver<Reloaded>>,
    /// Wakes whoever tells of it at once.
    wake: Mutex<Option<Receiver<()>>>,
    watcher: Arc<Watcher>,
    pub(crate) libraries: Libraries,
}

impl News {
    /// Begins to listen.
    pub(crate) fn of(watcher: &Arc<Watcher>) -> Self {
        let ((tell, events), (rouse, wake)) = (channel(), channel());
        watcher.subscribe(move |event| {
            // Nobody listens any more when it ends.
            drop(tell.send(event.clone()));
            let _nobody_waits = rouse.send(());
        });
        Self {
            events: Mutex::new(events),
            wake: Mutex::new(Some(wake)),
            libraries: Libraries::new(Arc::clone(&watcher.current().workspace.libraries)),
            watcher: Arc::clone(watcher),
        }
    }

    /// Returns what wakes whoever tells of it at once; to the first who asks.
    pub(crate) fn wake(&self) -> Option<Receiver<()>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes what is in force now, and says so; each thing once.
    pub(crate) fn take(&self) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        let workspace = &self.watcher.current().workspace;
        let is_there = |file: &str| {
            let name = |folder: &str| file.strip_prefix(folder)?.strip_suffix(".rhai");
            name("skills/").map_or_else(
                || name("policies/").is_none_or(|it| workspace.policies.contains_key(it)),
                |it| workspace.skills.contains_key(it),
            )
        };
        let in_force = |file: &str| {
            let what = if is_there(file) { "is in force" } else { "is gone" };
            format!("{} {}", paint(CYAN, file), paint(DIM, what))
        };
        for event in events.try_iter() {
            let mut files = event.changed;
            let was_broken = files.is_empty() && event.problems.is_empty();
            match self.libraries.update(&self.watcher.current().workspace.libraries) {
                Update::Same if was_broken => {
                    lines.push(paint(DIM, "what is saved is as it was in force"));
                }
                Update::Same => {}
                Update::InForce(libraries) => files.extend(libraries),
                Update::Broken(failure) => {
                    let at = failure.at.as_ref().map(|it| format!("{}:{}: ", it.file, it.line));
                    lines.push(broken(&format!("{}{}", at.unwrap_or_default(), failure.message)));
                }
            }
            lines.extend(files.iter().map(|it| in_force(it)));
            lines.extend(event.problems.iter().map(|it| broken(&it.to_string())));
        }
        // A library is told of by itself and by what imports it.
        let mut seen = BTreeSet::new();
        lines.retain(|it| seen.insert(it.clone()));
        lines
    }
}

fn broken(what: &str) -> String {
    let stays = paint(DIM, "(what was in force before stays)");
    format!("{} {} {stays}", paint(RED.bold(), "broken:"), visible(what))
}

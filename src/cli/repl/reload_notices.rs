//! Notices about files that are saved in the workspace during a session: skills and policies change
//! under the person's hands.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::render::text::{CYAN, DIM, RED, paint, visible};
use crate::script::console::{Libraries, Update};
use crate::script::reload::{Reloaded, Watcher};

/// The changes of the workspace that were not reported yet.
pub(crate) struct ReloadNotices {
    events: Mutex<Receiver<Reloaded>>,
    /// Wakes the thread that prints notices at once.
    wake: Mutex<Option<Receiver<()>>>,
    watcher: Arc<Watcher>,
    pub(crate) libraries: Libraries,
}

impl ReloadNotices {
    /// Starts listening to a watcher.
    pub(crate) fn from_watcher(watcher: &Arc<Watcher>) -> Self {
        let ((tell, events), (rouse, wake)) = (channel(), channel());
        watcher.subscribe(move |event| {
            // The session may have ended: nobody receives any more.
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

    /// Returns the receiver that wakes the printing thread; only the first caller gets it.
    pub(crate) fn wake(&self) -> Option<Receiver<()>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Loads the libraries in force and returns a line for each change, none of them twice.
    pub(crate) fn take(&self) -> Vec<String> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        let workspace = &self.watcher.current().workspace;
        let is_there = |file: &str| {
            let name = |folder: &str| file.strip_prefix(folder)?.strip_suffix(".rhai");
            name("skills/").map_or_else(
                || name("policies/").is_none_or(|policy| workspace.policies.contains_key(policy)),
                |skill| workspace.skills.contains_key(skill),
            )
        };
        let in_force = |file: &str| {
            let what = if is_there(file) { "is in force" } else { "was deleted" };
            format!("{} {}", paint(CYAN, file), paint(DIM, what))
        };
        for event in events.try_iter() {
            let mut files = event.changed;
            let was_broken = files.is_empty() && event.problems.is_empty();
            match self.libraries.update(&self.watcher.current().workspace.libraries) {
                Update::Same if was_broken => {
                    lines.push(paint(DIM, "the saved files match what is in force again"));
                }
                Update::Same => {}
                Update::InForce(libraries) => files.extend(libraries),
                Update::Broken(failure) => {
                    let at = failure.at.as_ref().map(|at| format!("{}:{}: ", at.file, at.line));
                    lines.push(broken(&format!("{}{}", at.unwrap_or_default(), failure.message)));
                }
            }
            lines.extend(files.iter().map(|file| in_force(file)));
            lines.extend(event.problems.iter().map(|problem| broken(&problem.to_string())));
        }
        // A library is reported by itself and by each script that imports it.
        let mut seen = BTreeSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        lines
    }
}

fn broken(what: &str) -> String {
    let stays = paint(DIM, "(the previous version stays in force)");
    format!("{} {} {stays}", paint(RED.bold(), "broken:"), visible(what))
}

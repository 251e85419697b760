//! The person at the terminal, who is asked about what is held (design.md 7).

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::show;
use crate::cli::ui::Ui;
use crate::host::{Approver, Decision, Report, Stop};

/// Someone who has said yes in advance (`--yes`).
pub(crate) struct Given;

impl Approver for Given {
    fn decide(&self, _: &Report, _: &str) -> Decision {
        Decision::Approved
    }
}

/// A person who has approved one set, as they saw it. Anything else is for the other to decide.
pub(crate) struct OfDigest {
    pub(crate) digest: String,
    pub(crate) other: Arc<dyn Approver>,
}

impl Approver for OfDigest {
    fn decide(&self, held: &Report, digest: &str) -> Decision {
        if digest == self.digest { Decision::Before } else { self.other.decide(held, digest) }
    }
}

/// How often it is looked whether Ctrl-C was pressed instead of an answer.
const LOOK: Duration = Duration::from_millis(50);

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// The person at the terminal.
pub(crate) struct Terminal {
    ui: Mutex<Ui>,
    zone: TimeZone,
    /// Said before the set is shown.
    before: Option<&'static str>,
    /// True once something was shown.
    shown: Arc<AtomicBool>,
    /// Set by Ctrl-C.
    interrupt: Arc<Stop>,
}

impl Terminal {
    pub(crate) const fn new(
        ui: Ui,
        zone: TimeZone,
        before: Option<&'static str>,
        shown: Arc<AtomicBool>,
        interrupt: Arc<Stop>,
    ) -> Self {
        Self { ui: Mutex::new(ui), zone, before, shown, interrupt }
    }

    /// Returns whether a person can be asked.
    pub(crate) fn is_there(ui: &Ui) -> bool {
        !ui.json() && io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

impl Approver for Terminal {
    fn decide(&self, held: &Report, _: &str) -> Decision {
        let ui = self.ui.lock().unwrap_or_else(PoisonError::into_inner);
        self.before.iter().for_each(|text| ui.say(text));
        // What is approved was seen.
        show::all_changes(&ui, held, &self.zone);
        self.shown.store(true, Ordering::SeqCst);
        if ask("Apply? [y/N] ", &self.interrupt) { Decision::Approved } else { Decision::Refused }
    }
}

/// Asks the person at the terminal; anything but a yes is a no, and so is Ctrl-C.
pub(crate) fn ask(question: &str, interrupt: &Stop) -> bool {
    let mut err = io::stderr();
    if write!(err, "{question}").and_then(|()| err.flush()).is_err() {
        return false;
    }
    let (tell, told) = mpsc::channel();
    // Nothing interrupts a read; Ctrl-C must be heard all the same.
    thread::spawn(move || {
        let mut answer = String::new();
        let heard = io::stdin().lock().read_line(&mut answer);
        let _nobody_waits = tell.send(heard.map(|_| answer));
    });
    loop {
        match told.recv_timeout(LOOK) {
            Ok(Ok(answer)) if is_yes(&answer) => return true,
            Err(RecvTimeoutError::Timeout) if !interrupt.is_set() => {}
            _ => return false,
        }
    }
}

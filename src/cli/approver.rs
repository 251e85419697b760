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
        let mut err = io::stderr();
        let asked = write!(err, "Apply? [y/N] ").and_then(|()| err.flush());
        if asked.is_err() {
            return Decision::Refused;
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
                Ok(Ok(answer)) if is_yes(&answer) => return Decision::Approved,
                Err(RecvTimeoutError::Timeout) if !self.interrupt.is_set() => {}
                _ => return Decision::Refused,
            }
        }
    }
}

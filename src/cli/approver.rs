//! The person at the terminal, who is asked about what is held (design.md 7).

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::tz::TimeZone;

use crate::cli::show;
use crate::cli::ui::Ui;
use crate::host::{Approver, Decision, Report};

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
        if digest == self.digest { Decision::Approved } else { self.other.decide(held, digest) }
    }
}

/// The person at the terminal.
pub(crate) struct Terminal {
    ui: Mutex<Ui>,
    zone: TimeZone,
    /// Said before the set is shown.
    before: Option<&'static str>,
    /// True once something was shown.
    shown: Arc<AtomicBool>,
}

impl Terminal {
    pub(crate) const fn new(
        ui: Ui,
        zone: TimeZone,
        before: Option<&'static str>,
        shown: Arc<AtomicBool>,
    ) -> Self {
        Self { ui: Mutex::new(ui), zone, before, shown }
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
        show::changes(&ui, held, &self.zone);
        self.shown.store(true, Ordering::SeqCst);
        let mut err = io::stderr();
        let asked = write!(err, "Apply? [y/N] ").and_then(|()| err.flush());
        let mut answer = String::new();
        let heard = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
        let yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
        if heard.is_ok() && yes { Decision::Approved } else { Decision::Refused }
    }
}

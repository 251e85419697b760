//! The person at the terminal, who is asked about what is held (design.md 7).

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Waits for a line of the person; `None` if Ctrl-C comes first. It is read only once it is there,
/// so that what is typed after a Ctrl-C is left for whoever asks next.
#[cfg(unix)]
fn answer(interrupt: &Stop) -> Option<String> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdin = io::stdin();
    let look = Timespec::try_from(LOOK).ok()?;
    while !interrupt.is_set() {
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&look)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => {
                let mut line = String::new();
                return stdin.lock().read_line(&mut line).ok().map(|_| line);
            }
            Err(_) => return None,
        }
    }
    None
}

/// Waits for a line of the person; `None` if Ctrl-C comes first.
#[cfg(not(unix))]
fn answer(interrupt: &Stop) -> Option<String> {
    use std::sync::mpsc::{self, RecvTimeoutError};
    let (tell, told) = mpsc::channel();
    // Nothing interrupts a read here; Ctrl-C must be heard all the same.
    std::thread::spawn(move || {
        let mut line = String::new();
        let heard = io::stdin().lock().read_line(&mut line);
        let _nobody_waits = tell.send(heard.map(|_| line));
    });
    loop {
        match told.recv_timeout(LOOK) {
            Ok(heard) => return heard.ok(),
            Err(RecvTimeoutError::Timeout) if !interrupt.is_set() => {}
            Err(_) => return None,
        }
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
    answer(interrupt).is_some_and(|answer| is_yes(&answer))
}

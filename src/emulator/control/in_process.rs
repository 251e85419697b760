//! The switches of `/control` as methods, for callers in the same process.

use std::io::ErrorKind;

use crate::emulator::control::faults::Fired;
use crate::emulator::control::log::Logged;
use crate::emulator::control::outside_edits;
use crate::emulator::control::outside_edits::Edits;
use crate::emulator::control::rule::{Edit, FaultRule, InvalidRule};
use crate::emulator::control::throttle::Throttle;
use crate::emulator::service::Emulator;
use crate::emulator::state::replica::Lag;

impl Emulator {
    /// Replaces the injected faults.
    ///
    /// # Errors
    ///
    /// If a rule makes no sense; the present ones then stay.
    pub fn set_faults(&self, rules: Vec<FaultRule>) -> Result<(), InvalidRule> {
        // All of them before any takes effect.
        rules.iter().try_for_each(FaultRule::check)?;
        self.panel().faults.replace(rules);
        Ok(())
    }

    /// Returns the rules in force with their counters.
    pub fn faults(&self) -> Vec<Fired> {
        self.panel().faults.list()
    }

    /// Throttles writes, or stops throttling them.
    ///
    /// # Errors
    ///
    /// If a number is out of range; the present throttling then stays.
    pub fn set_throttle(&self, throttle: Option<Throttle>) -> Result<(), InvalidRule> {
        throttle.as_ref().map_or(Ok(()), Throttle::check)?;
        self.panel().throttle.set(throttle);
        Ok(())
    }

    /// Returns the throttling in force.
    pub fn throttle(&self) -> Option<Throttle> {
        self.panel().throttle.get()
    }

    /// Hides new objects for a while. The new lag also limits how long those already hidden stay
    /// so.
    ///
    /// # Errors
    ///
    /// If a lag is longer than a day; the present one then stays.
    pub fn set_lag(&self, lag: Lag) -> Result<(), InvalidRule> {
        if !lag.is_valid() {
            return Err(InvalidRule("a lag must not be longer than a day"));
        }
        self.panel().replica.set(lag);
        Ok(())
    }

    /// Returns the lag in force.
    pub fn lag(&self) -> Lag {
        self.panel().replica.get()
    }

    /// Returns the last 10,000 requests, in the order in which they were answered.
    pub fn requests(&self) -> Vec<Logged> {
        self.panel().log.list()
    }

    /// Forgets the requests.
    pub fn clear_requests(&self) {
        self.panel().log.clear();
    }

    /// Makes an edit now, on the current tag; returns whether it succeeded.
    pub fn edit(&self, edit: &Edit) -> bool {
        outside_edits::change(self, edit, "")
    }

    /// Starts to edit a plan in the background as a user, in place of any present editor.
    ///
    /// # Errors
    ///
    /// If the numbers are out of range, no user has that name, or no thread can be started.
    pub fn start_edits(&self, edits: Edits) -> std::io::Result<()> {
        let refuse = |reason: &str| Err(std::io::Error::new(ErrorKind::InvalidInput, reason));
        if !edits.is_valid() {
            return refuse("`rate_per_s` must be from 0.01 to 1000, and `plan` the id of a plan");
        }
        if !self.knows(&edits.user) {
            return refuse("`user` must be the principal name of a user");
        }
        self.panel().editor.start(self, edits)
    }

    /// Returns the edits in the background and the number of changes made so far.
    pub fn edits(&self) -> Option<(Edits, u64)> {
        self.panel().editor.state()
    }

    /// Stops the edits in the background.
    pub fn stop_edits(&self) {
        self.panel().editor.stop();
    }
}

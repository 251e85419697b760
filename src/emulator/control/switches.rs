//! The switches of one emulator: state that belongs to the process and not to the database.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::emulator::control::faults::Faults;
use crate::emulator::control::log::Log;
use crate::emulator::control::outside_edits::Editor;
use crate::emulator::control::rule::FaultRule;
use crate::emulator::control::throttle::Bucket;
use crate::emulator::sign_in::DeviceCodes;
use crate::emulator::state::replica::Replica;

/// The state that `/control` shows and sets.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    pub(crate) faults: Faults,
    pub(crate) throttle: Bucket,
    pub(crate) log: Log,
    pub(crate) replica: Replica,
    pub(crate) editor: Editor,
    waits_for_approval: AtomicBool,
}

impl Switches {
    pub(crate) fn new(faults: Vec<FaultRule>, device_codes: DeviceCodes) -> Self {
        let panel = Self { faults: Faults::new(faults), ..Self::default() };
        panel.set_device_codes(device_codes);
        panel
    }

    /// Returns who approves device codes.
    pub(crate) fn device_codes(&self) -> DeviceCodes {
        if self.waits_for_approval.load(Ordering::Relaxed) {
            DeviceCodes::Manual
        } else {
            DeviceCodes::Automatic
        }
    }

    pub(crate) fn set_device_codes(&self, device_codes: DeviceCodes) {
        self.waits_for_approval.store(device_codes == DeviceCodes::Manual, Ordering::Relaxed);
    }
}

//! The switches of one emulator.

use crate::emulator::control::editor::Editor;
use crate::emulator::control::faults::Faults;
use crate::emulator::control::log::Log;
use crate::emulator::control::rule::FaultRule;
use crate::emulator::control::throttle::Bucket;

/// Everything that `/control` shows and sets.
#[derive(Debug, Default)]
pub(crate) struct Panel {
    pub(crate) faults: Faults,
    pub(crate) throttle: Bucket,
    pub(crate) log: Log,
    pub(crate) editor: Editor,
}

impl Panel {
    pub(crate) fn new(faults: Vec<FaultRule>) -> Self {
        Self { faults: Faults::new(faults), ..Self::default() }
    }
}

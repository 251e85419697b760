//! The stage of a test, from within the worker that plays it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::change::ChangeSet;
use crate::host::Failure;
use crate::model::TaskId;
use crate::script::stage::{Meddling, RunRequest, Stage};
use crate::script::worker::frame::Pipe;
use crate::script::worker::frame::{Call, Order, Word};

/// A stage in the host's process.
pub(crate) struct RemoteStage(pub(crate) Arc<Mutex<Pipe>>);

impl fmt::Debug for RemoteStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteStage")
    }
}

impl RemoteStage {
    fn call(&self, call: Call) -> Result<Value, Failure> {
        let mut pipe = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match pipe.exchange(&Word::Stage(Box::new(call))) {
            Some(Order::Staged(outcome)) => outcome,
            _ => Err(Failure {
                code: "stopped".into(),
                message: "the host does not answer".into(),
                ..Failure::default()
            }),
        }
    }
}

impl Stage for RemoteStage {
    fn seed(&self, tenant: &Value) -> Result<(), Failure> {
        let tenant = tenant.as_object().cloned().unwrap_or_default();
        self.call(Call::Seed(tenant)).map(drop)
    }

    fn demo(&self) -> Result<(), Failure> {
        self.call(Call::Demo).map(drop)
    }

    fn set_clock(&self, now: Timestamp, zone: TimeZone) {
        let (name, offset) = (zone.iana_name().map(str::to_owned), zone.to_offset(now).seconds());
        // It fails only if the host has ended, which the next call reports.
        let _set = self.call(Call::SetClock(now, name, offset));
    }

    fn run(&self, wanted: &RunRequest) -> Result<Value, Failure> {
        self.call(Call::Run(wanted.clone()))
    }

    fn apply(&self, user: &str, set: ChangeSet) -> Result<(), Failure> {
        self.call(Call::Apply(user.to_owned(), set)).map(drop)
    }

    fn meddle(
        &self,
        task: &TaskId,
        details: bool,
        body: Value,
        when: Meddling,
    ) -> Result<(), Failure> {
        self.call(Call::Meddle { task: task.clone(), details, body, when }).map(drop)
    }
}

//! The stage of a test, on the host's side of the pipe.

use jiff::tz::{Offset, TimeZone};
use serde_json::Value;

use crate::host::Failure;
use crate::script::stage::Stage;
use crate::script::worker::frame::Call;

/// Carries out on a stage what a test in a worker asks for.
pub(super) fn perform(stage: &dyn Stage, call: Call) -> Result<Value, Failure> {
    match call {
        Call::Seed(tenant) => stage.seed(&Value::Object(tenant)).map(|()| Value::Null),
        Call::Demo => stage.demo().map(|()| Value::Null),
        Call::SetClock(now, name, offset) => {
            let named = name.as_deref().and_then(|name| TimeZone::get(name).ok());
            // A zone without a name that is known here keeps at least its offset at that moment.
            let fixed = || Offset::from_seconds(offset).map_or(TimeZone::UTC, TimeZone::fixed);
            stage.set_clock(now, named.unwrap_or_else(fixed));
            Ok(Value::Null)
        }
        Call::Run(wanted) => stage.run(&wanted),
        Call::Apply(user, set) => stage.apply(&user, set).map(|()| Value::Null),
        Call::Meddle { task, details, body, when } => {
            stage.meddle(&task, details, body, when).map(|()| Value::Null)
        }
    }
}

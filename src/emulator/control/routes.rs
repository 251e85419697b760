//! The addresses under `/control`. They need no sign-in, since anyone can sign in as anyone.
//!
//! Bodies are JSON and must be declared as JSON: a page in a browser cannot send that type to
//! another site without asking first.

use axum::http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::emulator::control::outside_edits::Edits;
use crate::emulator::control::rule::FaultRule;
use crate::emulator::control::throttle::Throttle;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::service::Emulator;
use crate::emulator::sign_in::DeviceCodes;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::replica::Lag;
use crate::emulator::store::Error;

const PREFIX: &str = "/control/";

/// Returns whether a path belongs to this API.
pub(crate) fn is_control(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Answers a request to this API.
pub(crate) fn answer(emulator: &Emulator, request: &Request) -> Result<Handled, GraphError> {
    let path = request.uri.path();
    let method = &request.method;
    match path.strip_prefix(PREFIX).unwrap_or_default().trim_end_matches('/') {
        "faults" => faults(emulator, request),
        "requests" => match *method {
            Method::GET => Ok(shown(&emulator.requests())),
            Method::DELETE => {
                emulator.clear_requests();
                Ok(Handled::empty(204))
            }
            _ => Err(GraphError::method_not_allowed(method, "GET, DELETE")),
        },
        "throttle" => throttle(emulator, request),
        "lag" => lag(emulator, request),
        "edits" => edits(emulator, request),
        "devicecode" => device_codes(emulator, request),
        "devicecode/approve" => {
            decide(request, |judged| emulator.approve_device_code(&judged.user_code, &judged.upn))
        }
        "devicecode/decline" => {
            decide(request, |judged| emulator.decline_device_code(&judged.user_code))
        }
        _ => Err(GraphError::unrouted(&format!("{}{path}", request.origin()))),
    }
}

fn faults(emulator: &Emulator, request: &Request) -> Result<Handled, GraphError> {
    match request.method {
        Method::GET => (),
        Method::POST => emulator.set_faults(read::<Vec<FaultRule>>(request)?).map_err(invalid)?,
        Method::DELETE => emulator.set_faults(Vec::new()).map_err(invalid)?,
        _ => return Err(GraphError::method_not_allowed(&request.method, "GET, POST, DELETE")),
    }
    Ok(shown(&emulator.faults()))
}

fn throttle(emulator: &Emulator, request: &Request) -> Result<Handled, GraphError> {
    match request.method {
        Method::GET => (),
        Method::POST => {
            emulator.set_throttle(Some(read::<Throttle>(request)?)).map_err(invalid)?;
        }
        Method::DELETE => emulator.set_throttle(None).map_err(invalid)?,
        _ => return Err(GraphError::method_not_allowed(&request.method, "GET, POST, DELETE")),
    }
    Ok(shown(&emulator.throttle()))
}

fn lag(emulator: &Emulator, request: &Request) -> Result<Handled, GraphError> {
    match request.method {
        Method::GET => (),
        Method::POST => emulator.set_lag(read::<Lag>(request)?).map_err(invalid)?,
        Method::DELETE => emulator.set_lag(Lag::default()).map_err(invalid)?,
        _ => return Err(GraphError::method_not_allowed(&request.method, "GET, POST, DELETE")),
    }
    Ok(shown(&emulator.lag()))
}

fn edits(emulator: &Emulator, request: &Request) -> Result<Handled, GraphError> {
    match request.method {
        Method::GET => (),
        Method::POST => {
            emulator.start_edits(read::<Edits>(request)?).map_err(invalid)?;
        }
        Method::DELETE => emulator.stop_edits(),
        _ => return Err(GraphError::method_not_allowed(&request.method, "GET, POST, DELETE")),
    }
    Ok(Handled::plain(
        200,
        match emulator.edits() {
            Some((edits, done)) => json!({ "running": edits, "done": done }),
            None => json!({ "running": null }),
        },
    ))
}

/// The body that sets who approves device codes.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    automatic: bool,
}

fn device_codes(emulator: &Emulator, request: &Request) -> Result<Handled, GraphError> {
    match request.method {
        Method::GET => (),
        Method::POST => emulator.set_device_codes(if read::<Approval>(request)?.automatic {
            DeviceCodes::Automatic
        } else {
            DeviceCodes::Manual
        }),
        _ => return Err(GraphError::method_not_allowed(&request.method, "GET, POST")),
    }
    let automatic = emulator.panel().device_codes() == DeviceCodes::Automatic;
    Ok(Handled::plain(200, json!({ "automatic": automatic, "pending": emulator.device_codes()? })))
}

/// The body with a person's decision on a device code.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Judged {
    user_code: String,
    /// The principal name, needed for an approval only.
    #[serde(default)]
    upn: String,
}

fn decide(
    request: &Request,
    job: impl FnOnce(&Judged) -> Result<bool, Error>,
) -> Result<Handled, GraphError> {
    if request.method != Method::POST {
        return Err(GraphError::method_not_allowed(&request.method, "POST"));
    }
    let judged: Judged = read(request)?;
    match job(&judged) {
        Ok(true) => Ok(Handled::empty(204)),
        Ok(false) => Err(invalid(format!("`{}` is not a pending code", judged.user_code))),
        Err(error) => Err(invalid(error)),
    }
}

/// Reads a body; the message of a refusal names the place of the mistake.
fn read<T: DeserializeOwned>(request: &Request) -> Result<T, GraphError> {
    request.check_media("application/json")?;
    serde_json::from_slice(&request.body).map_err(invalid)
}

fn invalid(reason: impl std::fmt::Display) -> GraphError {
    GraphError::bad_request(reason.to_string())
}

fn shown<T: serde::Serialize>(value: &T) -> Handled {
    Handled::plain(200, serde_json::to_value(value).unwrap_or(Value::Null))
}

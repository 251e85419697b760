//! The delivery of an answer: its delay, and whether it arrives. A test can delay or break it.

use std::thread;
use std::time::Duration;

use axum::http::{Response, StatusCode};

/// The mark, among the extensions of a response, of an answer that a rule dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DroppedAnswer;

/// An answer with its delivery.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<Vec<u8>>,
    pub(crate) delay: Duration,
    pub(crate) fate: Delivery,
}

/// The ways in which an answer is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Whole,
    /// Its body ends halfway.
    Cut,
    /// The connection is closed instead.
    Dropped,
}

impl From<Response<Vec<u8>>> for Reply {
    fn from(response: Response<Vec<u8>>) -> Self {
        Self { response, delay: Duration::ZERO, fate: Delivery::Whole }
    }
}

impl Reply {
    /// Returns the status that the client sees, if it sees one.
    pub(crate) fn status(&self) -> Option<u16> {
        (self.fate != Delivery::Dropped).then(|| self.response.status().as_u16())
    }

    /// Delivers the answer to a caller in the same process, where there is no connection.
    pub(crate) fn into_response(self) -> Response<Vec<u8>> {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        let mut response = self.response;
        match self.fate {
            Delivery::Whole => (),
            Delivery::Cut => {
                let half = response.body().len() / 2;
                response.body_mut().truncate(half);
            }
            Delivery::Dropped => {
                response = Response::new(Vec::new());
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response.extensions_mut().insert(DroppedAnswer);
            }
        }
        response
    }
}

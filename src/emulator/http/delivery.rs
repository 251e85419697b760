//! An answer on its way out: how long it takes, and whether it arrives.

use std::thread;
use std::time::Duration;

use axum::http::{Response, StatusCode};

/// Marks an answer that a rule lost, among the extensions of the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

/// An answer and what happens to it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<Vec<u8>>,
    pub(crate) delay: Duration,
    pub(crate) fate: Fate,
}

/// What happens to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Whole,
    /// Its body ends half way.
    Cut,
    /// The connection is closed instead.
    Dropped,
}

impl From<Response<Vec<u8>>> for Reply {
    fn from(response: Response<Vec<u8>>) -> Self {
        Self { response, delay: Duration::ZERO, fate: Fate::Whole }
    }
}

impl Reply {
    /// The status that the client sees, if it sees one.
    pub(crate) fn status(&self) -> Option<u16> {
        (self.fate != Fate::Dropped).then(|| self.response.status().as_u16())
    }

    /// The answer where there is no connection.
    pub(crate) fn into_response(self) -> Response<Vec<u8>> {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        let mut response = self.response;
        match self.fate {
            Fate::Whole => (),
            Fate::Cut => {
                let half = response.body().len() / 2;
                response.body_mut().truncate(half);
            }
            Fate::Dropped => {
                response = Response::new(Vec::new());
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response.extensions_mut().insert(Lost);
            }
        }
        response
    }
}

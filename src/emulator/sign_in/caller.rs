//! Who makes a request.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::emulator::entity::directory;
use crate::emulator::http::graph_error::Fault;
use crate::emulator::http::request::Request;
use crate::emulator::sign_in::token::{self, CLIENT};

/// What precedes the principal name in the emulator's own tokens.
const OWN: &str = "emulator:";

/// A signed-in user, or an application without one.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The id of the user, or of the application where there is none.
    pub(crate) id: String,
    /// The principal name; none for an application.
    pub(crate) upn: Option<String>,
    /// The client that asks.
    pub(crate) client: String,
    /// The scopes or roles; everything if absent.
    pub(crate) permissions: Option<Vec<String>>,
}

impl Caller {
    /// Somebody in the emulator's own right, for whom nothing is checked.
    pub(crate) fn trusted(id: String) -> Self {
        Self { id, upn: Some(String::new()), client: CLIENT.to_owned(), permissions: None }
    }

    /// Returns whom the request's token names: `emulator:<upn>`, or a token of the OAuth
    /// endpoints.
    ///
    /// # Errors
    ///
    /// 401 with the reasons of 9.2.
    pub(crate) fn of(conn: &Connection, request: &Request, now: Timestamp) -> Result<Self, Fault> {
        let token = request.bearer()?;
        if let Some(upn) = token.strip_prefix(OWN) {
            let id = directory::user_id(conn, upn)?.ok_or_else(Fault::bad_token)?;
            return Ok(Self { upn: Some(upn.to_owned()), ..Self::trusted(id) });
        }
        let caller = token::read(token, &request.origin(), now)?;
        match &caller.upn {
            Some(_) if directory::display_name(conn, &caller.id)?.is_none() => {
                Err(Fault::bad_token())
            }
            _ => Ok(caller),
        }
    }

    /// Says whether there is no user (10.8).
    pub(crate) fn is_app(&self) -> bool {
        self.upn.is_none()
    }
}

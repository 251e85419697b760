//! Who makes a request.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::emulator::message::request::Request;
use crate::emulator::sign_in::token;
use crate::emulator::state::graph_error::Fault;
use crate::emulator::state::members;

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
            let id = members::user_id(conn, upn)?.ok_or_else(Fault::bad_token)?;
            return Ok(Self { upn: Some(upn.to_owned()), ..Self::trusted(id) });
        }
        let caller = token::read(token, &request.origin(), now)?;
        match &caller.upn {
            Some(_) if members::display_name(conn, &caller.id)?.is_none() => {
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

/// The client of those who do not say which one they use.
pub(crate) const CLIENT: &str = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f";

//! The caller of a request, on whose permissions and memberships each rule rests.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::emulator::message::request::Request;
use crate::emulator::sign_in::token;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::members;

/// The prefix of the principal name in the emulator's own tokens.
const OWN: &str = "emulator:";

/// A signed-in user, or an application without one.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The id of the user, or of the application where there is none.
    pub(crate) id: String,
    /// The principal name; `None` for an application.
    pub(crate) upn: Option<String>,
    /// The id of the client.
    pub(crate) client: String,
    /// The scopes or roles; `None` permits everything.
    pub(crate) permissions: Option<Vec<String>>,
}

impl Caller {
    /// Returns a caller with every permission, as the emulator's own tokens name one.
    pub(crate) fn trusted(id: String) -> Self {
        Self { id, upn: Some(String::new()), client: CLIENT.to_owned(), permissions: None }
    }

    /// Returns the caller that the request's token names: `emulator:<upn>`, or a token of the
    /// OAuth endpoints.
    ///
    /// # Errors
    ///
    /// 401 with the reasons of planner-api.md 9.2.
    pub(crate) fn from_request(
        conn: &Connection,
        request: &Request,
        now: Timestamp,
    ) -> Result<Self, GraphError> {
        let token = request.bearer()?;
        if let Some(upn) = token.strip_prefix(OWN) {
            let id = members::user_id(conn, upn)?.ok_or_else(GraphError::bad_token)?;
            return Ok(Self { upn: Some(upn.to_owned()), ..Self::trusted(id) });
        }
        let caller = token::read(token, &request.origin(), now)?;
        // Tokens are unsigned: one of another emulator may name a user who does not exist here.
        match &caller.upn {
            Some(_) if members::display_name(conn, &caller.id)?.is_none() => {
                Err(GraphError::bad_token())
            }
            _ => Ok(caller),
        }
    }

    /// Returns whether this is an application without a user (planner-api.md 10.8).
    pub(crate) fn is_app(&self) -> bool {
        self.upn.is_none()
    }
}

/// The client id assumed for a token that has none.
pub(crate) const CLIENT: &str = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f";

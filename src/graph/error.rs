//! The errors between here and Graph, which know whether they leave a write in doubt.

use crate::graph::tokens::SignInError;
use crate::wire::{ApiError, DecodeError};

/// An error of the client. `Display` does not repeat the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no connection: nothing was sent.
    #[error("cannot reach {origin}")]
    Unreachable {
        /// Scheme, host and port.
        origin: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke or the answer did not come in time: a write may have happened.
    #[error("the answer from {origin} did not arrive")]
    Interrupted {
        /// Scheme, host and port.
        origin: String,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The service refused.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The answer is not JSON: a proxy, a portal, the wrong address.
    #[error("{origin} does not answer like Microsoft Graph: got {got} instead of JSON")]
    NotGraph {
        /// Scheme, host and port.
        origin: String,
        /// The content type that came, or `an empty answer`.
        got: String,
    },
    /// The answer is JSON, but not what was asked for.
    #[error("cannot understand the answer to {request}")]
    Decode {
        /// Method and path.
        request: String,
        /// The cause.
        #[source]
        source: DecodeError,
    },
    /// A list continues at another origin; no token was sent there.
    #[error("a list of {origin} continues at another address (`{link}`); not followed")]
    ForeignLink {
        /// Scheme, host and port of the service.
        origin: String,
        /// The address at which the list claims to go on.
        link: String,
    },
    /// A list never ends.
    #[error("a list has more than {0} pages, or repeats itself")]
    EndlessList(usize),
    /// A list has more items than any of Planner's.
    #[error("a list has more than {0} items")]
    TooManyItems(usize),
    /// An answer is larger than any that Planner gives.
    #[error("an answer is larger than {0} bytes")]
    TooLarge(usize),
    /// All answers together are more than a run may hold.
    #[error("the service has sent more data than one run may hold")]
    TooMuch,
    /// A read was not answered before its deadline.
    #[error("{origin} has not answered for {seconds} s")]
    NoAnswer {
        /// Scheme, host and port.
        origin: String,
        /// The time it was waited for.
        seconds: u64,
    },
    /// The service throttles for longer than a read is waited for: nothing was sent.
    #[error("{origin} asks to wait another {seconds} s")]
    AskedToWait {
        /// Scheme, host and port.
        origin: String,
        /// The time left to wait.
        seconds: u64,
    },
    /// The token cannot be a header.
    #[error("the access token has characters that cannot be in a token")]
    BadToken,
    /// There is no token: nothing was sent.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl Error {
    /// Makes a refusal of which nothing is known but its status.
    pub(crate) fn of_status(status: u16) -> Self {
        Self::Refused(ApiError::read(status, None, b""))
    }

    /// Returns the refusal of the service, if the error is one.
    #[must_use]
    pub const fn refusal(&self) -> Option<&ApiError> {
        match self {
            Self::Refused(api) => Some(api),
            _ => None,
        }
    }

    /// Returns whether the entity has changed since its tag was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.refusal().is_some_and(ApiError::is_conflict)
    }

    /// Returns whether the entity does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.refusal().is_some_and(ApiError::is_not_found)
    }

    /// Returns whether the delta link of the request is too old.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status == 410)
    }

    /// Returns whether the actor is not signed in.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::BadToken => true,
            Self::SignIn(error) => !error.is_unavailable(),
            Self::Refused(api) => api.is_unauthorized(),
            _ => false,
        }
    }

    /// Returns whether an application asked for what only a signed-in user has
    /// (planner-api.md 10.8).
    #[must_use]
    pub fn needs_user(&self) -> bool {
        self.refusal().is_some_and(ApiError::needs_user)
    }

    /// Returns whether the actor is not signed in, or lacks the permission.
    #[must_use]
    pub fn is_permission(&self) -> bool {
        self.is_unauthorized() || self.refusal().is_some_and(ApiError::is_forbidden)
    }

    /// Returns whether the service cannot be reached, has failed, or throttles past the budget.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::NoAnswer { .. }
            | Self::AskedToWait { .. } => true,
            Self::SignIn(error) => error.is_unavailable(),
            Self::Refused(api) => api.is_unavailable() || api.is_throttled(),
            _ => false,
        }
    }

    /// Returns whether a write with this error may have been carried out all the same
    /// (design.md 2.4).
    #[must_use]
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::AskedToWait { .. }
            | Self::BadToken
            | Self::SignIn(_) => false,
            Self::Refused(api) => api.is_unavailable(),
            // A 2xx that cannot be decoded: the write was carried out, or something in between
            // answered.
            Self::Interrupted { .. }
            | Self::NotGraph { .. }
            | Self::Decode { .. }
            | Self::TooLarge(_)
            | Self::TooMuch
            | Self::TooManyItems(_)
            | Self::NoAnswer { .. }
            | Self::ForeignLink { .. }
            | Self::EndlessList(_) => true,
        }
    }
}

//! The part of the client that deals with tokens: it asks for one before each request, and for
//! another one when the service refuses it.

use std::time::Duration;

use reqwest::header::HeaderValue;
use tokio::time::Instant;
use url::Url;

use crate::graph::client::{Client, ServiceAnswer};
use crate::graph::error::Error;
use crate::graph::secret::Secret;
use crate::graph::tokens::{Refused, SignInError, claims_of};
use crate::model::User;
use crate::wire::Request;

/// A request that did not end well.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) retry_after: Option<Duration>,
    /// The token, if the service refused it.
    pub(crate) refused: Option<Refused>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry_after: None, refused: None }
    }
}

impl Client {
    /// Returns the application that is signed in as itself, if one is.
    pub(crate) fn application(&self) -> Option<User> {
        self.tokens.application()
    }

    pub(crate) async fn send(
        &self,
        request: &Request,
        url: &Url,
        id: &str,
        until: Option<Instant>,
    ) -> Result<ServiceAnswer, (Error, Option<Duration>)> {
        let mut answer = self.send_as(request, url, id, until).await;
        // A request with a refused token was not carried out, so it can be sent again whatever it
        // is; once, with another token.
        if let Err(Failure { refused: Some(refused), .. }) = &answer {
            let refused = refused.clone();
            match self.tokens.token(Some(&refused)).await {
                Ok(token) if token == refused.token => {}
                Ok(token) => {
                    self.count_retry();
                    answer = self.send_now(request, url, id, until, &token).await;
                    if let Err(Failure { refused: Some(again), .. }) = &answer {
                        self.tokens.unmet(again).await;
                    }
                }
                Err(error) => answer = Err(Error::SignIn(error).into()),
            }
        }
        if let Err(failure) = &answer {
            self.heed(&failure.error, failure.retry_after);
        }
        answer.map_err(|failure| (failure.error, failure.retry_after))
    }

    /// Asks for another token, once for all the parts of a batch that were refused with this one: it may
    /// have ended on the way. Returns whether there is one; the parts were not carried out, so that they
    /// can be sent again.
    pub(crate) async fn renewed(
        &self,
        token: &Secret,
        challenge: Option<&str>,
    ) -> Result<bool, SignInError> {
        let refused = Refused { token: token.clone(), claims: challenge.and_then(claims_of) };
        let other = self.tokens.token(Some(&refused)).await?;
        Ok(other != *token)
    }

    /// Sends a request with a token that should be valid.
    async fn send_as(
        &self,
        request: &Request,
        url: &Url,
        id: &str,
        until: Option<Instant>,
    ) -> Result<ServiceAnswer, Failure> {
        let asked = self.tokens.token(None);
        let token = match until {
            None => asked.await,
            // A read has no more time for its token than for its answer.
            Some(until) => tokio::time::timeout_at(until, asked).await.unwrap_or_else(|_| {
                let why = "the sign-in service has not answered in time".to_owned();
                Err(SignInError::Unavailable(why))
            }),
        };
        let token = token.map_err(Error::SignIn)?;
        self.send_now(request, url, id, until, &token).await
    }
}

/// Returns the header that carries a token.
pub(crate) fn authorization(token: &Secret) -> Result<HeaderValue, Error> {
    let header = HeaderValue::try_from(format!("Bearer {}", token.reveal()));
    let mut header = header.map_err(|_| Error::BadToken)?;
    // Keeps the token out of the debug output of headers.
    header.set_sensitive(true);
    Ok(header)
}

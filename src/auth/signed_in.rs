//! A profile that is signed in, as the client of Graph sees it: a source of tokens that renews
//! itself, one request and one process at a time.

use std::path::Path;
use std::sync::Arc;

use oauth2::RefreshToken;
use tokio::sync::Mutex;

use crate::auth::app_flow;
use crate::auth::authority::Authority;
use crate::auth::cache::{Cache, Kept};
use crate::auth::certificate;
use crate::auth::error::Error;
use crate::auth::oauth::{Granted, client, meaning};
use crate::auth::profile::{Flow, Profile};
use crate::auth::seal::{Key, Keys};
use crate::graph::{Refused, Secret, SignInError, TokenFuture, Tokens};
use crate::model::{Clock, User, UserId};

/// A profile that is signed in.
#[derive(Debug)]
pub(crate) struct SignedIn {
    profile: Profile,
    authority: Authority,
    cache: Cache,
    key: Key,
    clock: Arc<dyn Clock>,
    /// The sign-in as it was last seen. The lock is held while it is renewed, so that the requests
    /// of this process renew it once.
    held: Mutex<Kept>,
}

impl SignedIn {
    /// Opens what is kept of a profile.
    ///
    /// # Errors
    /// It is not signed in, or its key is not here.
    pub(crate) fn open(
        profile: Profile,
        authority: Authority,
        state: &Path,
        keys: &Keys,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let cache = Cache::of(state, &profile)?;
        let key = cache.key(keys)?;
        let held = Mutex::new(cache.read(&key)?);
        Ok(Self { profile, authority, cache, key, clock, held })
    }

    /// Returns what is kept now.
    pub(crate) async fn kept(&self) -> Kept {
        self.held.lock().await.clone()
    }

    async fn valid(&self, refused: Option<&Refused>) -> Result<Secret, SignInError> {
        let mut held = self.held.lock().await;
        if self.is_good(&held, refused) {
            return Ok(held.access.clone());
        }
        // Other processes renew it under the same lock, and what they got is in the file.
        let cache = self.cache.clone();
        let locked = tokio::task::spawn_blocking(move || cache.lock()).await;
        let _locked = locked
            .map_err(|error| SignInError::Unreadable(error.to_string()))?
            .map_err(|error| SignInError::Unreadable(error.to_string()))?;
        *held = self.cache.read(&self.key).map_err(|error| unreadable(&error))?;
        if self.is_good(&held, refused) {
            return Ok(held.access.clone());
        }
        let claims = refused.and_then(|refused| refused.claims.as_deref());
        let granted = match self.renew(&held, claims).await {
            Ok(granted) => granted,
            // The old one still does for a while.
            Err(error)
                if error.is_unavailable()
                    && refused.is_none()
                    && held.expires_at > self.clock.now() =>
            {
                tracing::warn!(%error, "the sign-in is renewed later");
                return Ok(held.access.clone());
            }
            Err(error) => return Err(error),
        };
        let earlier: &Kept = &held;
        let renewed = Kept::new(granted, self.clock.now(), Some(earlier));
        *held = renewed;
        tracing::info!(profile = self.profile.name.as_str(), "the sign-in was renewed");
        if let Err(error) = self.cache.write(&self.key, &held) {
            // The sign-in is good as long as this process lives, and the old refresh token is not
            // revoked at once (planner-api.md 10.5).
            tracing::warn!(%error, "the renewed sign-in cannot be kept");
        }
        Ok(held.access.clone())
    }

    fn is_good(&self, kept: &Kept, refused: Option<&Refused>) -> bool {
        match refused {
            // Another request was refused first, and has renewed it since.
            Some(refused) => refused.token != kept.access && kept.expires_at > self.clock.now(),
            None => kept.renew_at > self.clock.now(),
        }
    }

    async fn renew(&self, kept: &Kept, claims: Option<&str>) -> Result<Granted, SignInError> {
        let name = &self.profile.client_id;
        if self.profile.flow.is_app() {
            let Some(secret) = &kept.client_secret else {
                return Err(SignInError::Ended("its secret is not kept".to_owned()));
            };
            let (authority, graph_url) = (&self.authority, &self.profile.graph_url);
            let granted = if self.profile.flow == Flow::Certificate {
                let now = self.clock.now();
                certificate::by_certificate(authority, name, secret, graph_url, now).await
            } else {
                app_flow::by_secret(authority, name, secret, graph_url).await
            };
            return granted.map_err(|error| told(&error));
        }
        let Some(refresh) = &kept.refresh else {
            return Err(SignInError::Ended("it cannot be renewed".to_owned()));
        };
        let refresh = RefreshToken::new(refresh.reveal().to_owned());
        let client = client(&self.authority, name).map_err(|error| told(&error))?;
        let mut request = client.exchange_refresh_token(&refresh);
        if let Some(claims) = claims {
            request = request.add_extra_param("claims", claims);
        }
        let answer = request.request_async(&self.authority.http).await;
        answer.map(Granted::from).map_err(meaning)
    }
}

fn unreadable(error: &Error) -> SignInError {
    match error {
        Error::SignedOut(_) => SignInError::Ended("it was signed out".to_owned()),
        error => SignInError::Unreadable(error.to_string()),
    }
}

fn told(error: &Error) -> SignInError {
    match error {
        Error::SignIn(error) => error.clone(),
        error => SignInError::Refused(error.to_string()),
    }
}

impl Tokens for SignedIn {
    fn token<'a>(&'a self, refused: Option<&'a Refused>) -> TokenFuture<'a> {
        Box::pin(self.valid(refused))
    }

    fn application(&self) -> Option<User> {
        if !self.profile.flow.is_app() {
            return None;
        }
        // What it makes is known by the client id, so that it goes by that.
        let client_id = &self.profile.client_id;
        let id = UserId::parse(client_id).ok()?;
        let name = self.profile.account.name.clone();
        Some(User { id, name, upn: client_id.clone(), mail: None })
    }
}

#[cfg(test)]
mod tests;

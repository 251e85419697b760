//! A profile that is signed in, as the client of Graph sees it: a source of tokens that renews
//! itself, one request and one process at a time.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use oauth2::{RefreshToken, RequestTokenError};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::auth::app_flow::{Application, by_secret};
use crate::auth::authority::Authority;
use crate::auth::cache::{Cache, Kept};
use crate::auth::certificate::by_certificate;
use crate::auth::error::Error;
use crate::auth::lent::{Surroundings, lent};
use crate::auth::oauth::{Granted, client, meaning};
use crate::auth::profile::{Flow, Profile, Profiles};
use crate::auth::seal::{Key, Keys};
use crate::graph::{Refused, Secret, SignInError, TokenFuture, Tokens};
use crate::model::{Clock, User};

/// The longest wait for a renewal itself, and for all that comes before it: another process may have
/// begun one.
const ANSWER: Duration = Duration::from_secs(45);
const PATIENCE: Duration = Duration::from_secs(120);

/// A profile that is signed in.
#[derive(Debug)]
pub(crate) struct SignedIn(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    profile: Profile,
    authority: Authority,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    /// The place where it is kept; none for one that the platform lends.
    store: Option<Arc<Store>>,
    /// The sign-in as it was last seen. The lock is held while it is renewed, so that the requests
    /// of this process renew it once.
    held: Mutex<Kept>,
}

/// The place where a sign-in is kept.
#[derive(Debug)]
struct Store {
    state: PathBuf,
    cache: Cache,
    keys: Keys,
    key: Plain<Key>,
}

impl Store {
    /// Reads the sign-in, under another key if somebody has signed in again.
    fn read(&self) -> Result<Kept, Error> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        let kept;
        (*key, kept) = self.cache.read(&key, &self.keys)?;
        Ok(kept)
    }

    fn write(&self, kept: &Kept) -> Result<(), Error> {
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        self.cache.write(&key, kept)
    }
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
        let (key, kept) = cache.open(keys)?;
        // A process at work cannot be interrupted by a question.
        let state = state.to_owned();
        let store = Store { state, cache, keys: keys.without_prompt(), key: Plain::new(key) };
        Ok(Self(Arc::new(Inner {
            profile,
            authority,
            surroundings: Surroundings::default(),
            clock,
            store: Some(Arc::new(store)),
            held: Mutex::new(kept),
        })))
    }

    /// Makes a sign-in of an identity that the platform lends. Nothing is asked for yet.
    pub(crate) fn lent(
        profile: Profile,
        authority: Authority,
        surroundings: Surroundings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let held = Mutex::new(Kept {
            access: Secret::new(String::new()),
            renew_at: Timestamp::MIN,
            expires_at: Timestamp::MIN,
            refresh: None,
            client_secret: None,
            scopes: Vec::new(),
        });
        Self(Arc::new(Inner { profile, authority, surroundings, clock, store: None, held }))
    }

    /// Returns what is kept now.
    pub(crate) async fn kept(&self) -> Kept {
        self.0.held.lock().await.clone()
    }
}

impl Inner {
    async fn valid(&self, refused: Option<&Refused>) -> Result<Secret, SignInError> {
        let mut held = self.held.lock().await;
        if self.is_good(&held, refused) {
            return Ok(held.access.clone());
        }
        let mut _locked = None;
        if let Some(store) = &self.store {
            // Other processes renew it under the same lock, and what they got is in the file.
            _locked = Some(aside(store, |store| store.cache.lock()).await?);
            *held = aside(store, Store::read).await?;
            if self.is_good(&held, refused) {
                return Ok(held.access.clone());
            }
        }
        let claims = refused.and_then(|refused| refused.claims.as_deref());
        let renewed = timeout(ANSWER, self.renew(&held, claims)).await.unwrap_or_else(|_| {
            let seconds = ANSWER.as_secs();
            let why = format!("the sign-in service has not answered for {seconds} s");
            Err(SignInError::Unavailable(why).into())
        });
        let granted = match renewed {
            Ok(granted) => granted,
            // The old one still does for a while.
            Err(Ended { error, .. })
                if error.is_unavailable()
                    && refused.is_none()
                    && held.expires_at > self.clock.now() =>
            {
                tracing::warn!(%error, "the sign-in is renewed later");
                return Ok(held.access.clone());
            }
            Err(Ended { error, claims: asked }) => {
                if !error.is_unavailable() && (refused.is_some() || asked.is_some()) {
                    self.note_end(&mut held, asked.as_deref().or(claims)).await;
                }
                return Err(error);
            }
        };
        let earlier: &Kept = &held;
        let renewed = Kept::new(granted, self.clock.now(), Some(earlier));
        *held = renewed;
        tracing::info!(profile = self.profile.name.as_str(), "the sign-in was renewed");
        let kept = held.clone();
        if let Some(store) = &self.store
            && let Err(error) = aside(store, move |store| store.write(&kept)).await
        {
            // The sign-in is good as long as this process lives, and the old refresh token is not
            // revoked at once (planner-api.md 10.5).
            tracing::warn!(%error, "the renewed sign-in cannot be kept");
        }
        Ok(held.access.clone())
    }

    /// Notes that a token that the service refused could not be renewed either: other processes, too,
    /// then ask before they take it for good, and the next sign-in carries the claims.
    async fn note_end(&self, held: &mut Kept, claims: Option<&str>) {
        held.renew_at = self.clock.now();
        let (kept, claims) = (held.clone(), claims.map(str::to_owned));
        let name = self.profile.name.clone();
        let Some(store) = &self.store else { return };
        let noted = aside(store, move |store| {
            store.write(&kept)?;
            claims.map_or(Ok(()), |claims| {
                Profiles::change(&store.state, |profiles| {
                    profiles.note_claims(&name, &claims);
                    Ok(())
                })
            })
        });
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the end of the sign-in cannot be noted");
        }
    }

    /// Notes the claims of a refusal of the token that is in use; another process may have another one by now.
    async fn unmet(&self, refused: &Refused) -> Result<(), SignInError> {
        let (Some(store), Some(claims)) = (&self.store, &refused.claims) else { return Ok(()) };
        let mut held = self.held.lock().await;
        let _locked = aside(store, |store| store.cache.lock()).await?;
        *held = aside(store, Store::read).await?;
        if refused.token == held.access {
            self.note_end(&mut held, Some(claims)).await;
        }
        Ok(())
    }

    fn is_good(&self, kept: &Kept, refused: Option<&Refused>) -> bool {
        match refused {
            // Another request was refused first, and has renewed it since.
            Some(refused) => refused.token != kept.access && kept.expires_at > self.clock.now(),
            None => kept.renew_at > self.clock.now(),
        }
    }

    async fn renew(&self, kept: &Kept, claims: Option<&str>) -> Result<Granted, Ended> {
        if self.profile.flow.is_lent() {
            let now = self.clock.now();
            let granted =
                lent(&self.profile, &self.authority, &self.surroundings, claims, now).await;
            return granted.map_err(|error| told(&error).into());
        }
        let client_id = self.profile.client_id.as_str();
        if self.profile.flow.is_app() {
            let Some(secret) = &kept.client_secret else {
                return Err(SignInError::Ended("its secret is not kept".to_owned()).into());
            };
            let (authority, graph_url) = (&self.authority, self.profile.graph_url.as_str());
            let application = Application { authority, client_id, graph_url, claims };
            let granted = if self.profile.flow == Flow::Certificate {
                by_certificate(application, secret, self.clock.now()).await
            } else {
                by_secret(application, secret).await
            };
            return granted.map_err(|error| told(&error).into());
        }
        let Some(refresh) = &kept.refresh else {
            return Err(SignInError::Ended("it cannot be renewed".to_owned()).into());
        };
        let refresh = RefreshToken::new(refresh.reveal().to_owned());
        let client = client(&self.authority, client_id).map_err(|error| told(&error))?;
        let mut request = client.exchange_refresh_token(&refresh);
        if let Some(claims) = claims {
            request = request.add_extra_param("claims", claims);
        }
        let answer = request.request_async(&self.authority.http).await;
        let answer = answer.map_err(|error| {
            let claims = match &error {
                RequestTokenError::ServerResponse(refusal) => refusal.claims(),
                _ => None,
            };
            Ended { error: meaning(error), claims }
        })?;
        Ok(Granted::of(&answer)?)
    }
}

/// The end of a renewal without a token.
struct Ended {
    error: SignInError,
    /// The claims that the sign-in service asks for, which the next sign-in must carry.
    claims: Option<String>,
}

impl From<SignInError> for Ended {
    fn from(error: SignInError) -> Self {
        Self { error, claims: None }
    }
}

/// Does what may wait for a disk, another process or a keyring on a thread where it holds up no other
/// task.
async fn aside<T: Send + 'static>(
    store: &Arc<Store>,
    job: impl FnOnce(&Store) -> Result<T, Error> + Send + 'static,
) -> Result<T, SignInError> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || job(&store)).await;
    let done = done.map_err(|error| SignInError::Unreadable(error.to_string()))?;
    done.map_err(|error| unreadable(&error))
}

fn unreadable(error: &Error) -> SignInError {
    match error {
        Error::SignedOut(_) => SignInError::Ended("it was signed out".to_owned()),
        Error::SignIn(error) => error.clone(),
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
        Box::pin(async move {
            if let Ok(held) = self.0.held.try_lock()
                && self.0.is_good(&held, refused)
            {
                return Ok(held.access.clone());
            }
            // Whoever waits for it may give up. The renewal goes on all the same: a refresh token that
            // was exchanged and not kept is lost.
            let (inner, refused) = (Arc::clone(&self.0), refused.cloned());
            let renewing = tokio::spawn(async move { inner.valid(refused.as_ref()).await });
            let valid = match timeout(PATIENCE, renewing).await {
                Ok(Ok(valid)) => valid,
                Ok(Err(failed)) => Err(SignInError::Unreadable(failed.to_string())),
                Err(_) => {
                    let seconds = PATIENCE.as_secs();
                    let why = format!("there is no token after {seconds} s");
                    Err(SignInError::Unavailable(why))
                }
            };
            valid.map_err(|error| SignInError::OfProfile {
                profile: self.0.profile.name.clone(),
                error: Box::new(error),
            })
        })
    }

    fn unmet<'a>(&'a self, refused: &'a Refused) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if let Err(error) = self.0.unmet(refused).await {
                tracing::warn!(%error, "the end of the sign-in cannot be noted");
            }
        })
    }

    fn application(&self) -> Option<User> {
        self.0.profile.application()
    }
}

#[cfg(test)]
mod tests;

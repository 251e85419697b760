//! The sessions of browsers. They live as long as the process, at most a week, half a day without use.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::app::error::AppError;
use crate::app::token;
use crate::app::token::serve_tokens::{OfUser, Role, digest};
use crate::serve::unpoisoned::unpoisoned;

const IDLE: Duration = Duration::from_secs(12 * 3600);
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most sessions; the one that was used longest ago makes room.
const MAX_SESSIONS: usize = 1_000;

/// A session.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// The user of the service that the person is, if that is known.
    pub(crate) user: Option<OfUser>,
    /// The secret that its forms bring.
    pub(crate) csrf: String,
    /// The digest of its cookie.
    pub(crate) digest: String,
    /// The digest of the token by which it was opened; `None` for the link that signs in once.
    pub(crate) token: Option<String>,
    since: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self) -> bool {
        self.used.elapsed() > IDLE || self.since.elapsed() > LIFE
    }
}

/// The sessions, by the digests of their cookies.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<BTreeMap<String, Session>>);

impl Sessions {
    /// Opens a session; returns the value of its cookie.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub(crate) fn open(
        &self,
        name: &str,
        (role, user): (Role, Option<OfUser>),
        token: Option<String>,
    ) -> Result<String, AppError> {
        let (value, csrf) = (token::random()?, token::random()?);
        let now = Instant::now();
        let key = digest(&value);
        let session = Session {
            name: name.to_owned(),
            role,
            user,
            csrf,
            digest: key.clone(),
            token,
            since: now,
            used: now,
        };
        let mut sessions = unpoisoned(&self.0);
        sessions.retain(|_, session| !session.is_over());
        if sessions.len() >= MAX_SESSIONS {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(key, session);
        Ok(value)
    }

    /// Finds a session, which counts as a use.
    pub(crate) fn find(&self, digest: &str) -> Option<Session> {
        let mut sessions = unpoisoned(&self.0);
        let session = sessions.get_mut(digest).filter(|session| !session.is_over())?;
        session.used = Instant::now();
        Some(session.clone())
    }

    /// Returns the token that a session came in with, if it is open, and leaves it as idle as it is; of the
    /// link that signs in once there is none.
    pub(crate) fn token_of(&self, digest: &str) -> Option<Option<String>> {
        let sessions = unpoisoned(&self.0);
        let session = sessions.get(digest).filter(|session| !session.is_over())?;
        Some(session.token.clone())
    }

    /// Closes a session.
    pub(crate) fn close(&self, digest: &str) {
        unpoisoned(&self.0).remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_look_whether_a_session_holds_is_no_use_of_it() {
        let sessions = Sessions::default();
        let key = digest(&sessions.open("ana", (Role::Viewer, None), None).unwrap());
        let used = || unpoisoned(&sessions.0)[&key].used;
        let before = used();
        while Instant::now() == before {}
        assert_eq!(sessions.token_of(&key), Some(None));
        assert_eq!(used(), before);
        assert!(sessions.find(&key).is_some() && used() > before);
        sessions.close(&key);
        assert_eq!(sessions.token_of(&key), None);
    }
}

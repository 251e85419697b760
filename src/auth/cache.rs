//! The file in which a sign-in is kept, sealed, and its lock between processes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::auth::error::Error;
use crate::auth::oauth::Granted;
use crate::auth::profile::{self, Profile};
use crate::auth::seal::{self, Key, Keys};
use crate::files::{self, Access};
use crate::graph::Secret;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 10;
/// The time before its end at which a token is renewed.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// A sign-in as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The access token.
    pub(crate) access: Secret,
    /// The moment from which a new one is asked for.
    pub(crate) renew_at: Timestamp,
    /// The moment at which it ends.
    pub(crate) expires_at: Timestamp,
    /// The refresh token.
    pub(crate) refresh: Option<Secret>,
    /// The secret of an application, or its certificate with the key.
    pub(crate) client_secret: Option<Secret>,
    /// The permissions that were granted.
    pub(crate) scopes: Vec<String>,
}

/// The same as it is written, inside the seal. It does not print.
#[derive(Serialize, Deserialize)]
struct KeptJson {
    access: String,
    renew_at: Timestamp,
    expires_at: Timestamp,
    refresh: Option<String>,
    client_secret: Option<String>,
    scopes: Vec<String>,
}

impl Kept {
    /// Makes what is kept of tokens that were granted now, after an earlier sign-in or for the first
    /// time.
    pub(crate) fn new(granted: Granted, now: Timestamp, earlier: Option<&Self>) -> Self {
        let life = SignedDuration::try_from(granted.life).unwrap_or(SignedDuration::ZERO);
        let after = |time: SignedDuration| now.saturating_add(time).unwrap_or(now);
        // A short-lived token is not renewed before every request.
        let early = (life - MARGIN).max(life / 2);
        let scopes = if granted.scopes.is_empty() {
            earlier.map(|earlier| earlier.scopes.clone()).unwrap_or_default()
        } else {
            granted.scopes
        };
        Self {
            access: granted.access,
            renew_at: after(early),
            expires_at: after(life),
            // Each refresh may bring a new refresh token; if not, the old one goes on.
            refresh: granted.refresh.or_else(|| earlier?.refresh.clone()),
            client_secret: earlier.and_then(|earlier| earlier.client_secret.clone()),
            scopes,
        }
    }
}

/// The file of one profile.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    profile: String,
    /// What the seal holds for: tokens are never taken for those of other addresses.
    bound_to: String,
}

impl Cache {
    /// Returns the file of a profile in a state folder, sealed for its addresses and its application.
    ///
    /// # Errors
    /// As [`Cache::new`].
    pub(crate) fn of(state: &Path, profile: &Profile) -> Result<Self, Error> {
        let Profile { name, authority, tenant, client_id, graph_url, .. } = profile;
        let bound_to =
            [name, authority, tenant, client_id, graph_url].map(String::as_str).join("\n");
        Ok(Self { bound_to, ..Self::new(state, name)? })
    }

    /// Returns the file of a profile in a state folder, to lock or remove it.
    ///
    /// # Errors
    /// The name cannot be that of a file, or the folder cannot be created.
    pub(crate) fn new(state: &Path, profile: &str) -> Result<Self, Error> {
        profile::check_name(profile)?;
        let folder = profile::folder(state)?;
        Ok(Self { folder, profile: profile.to_owned(), bound_to: profile.to_owned() })
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.sealed", self.profile))
    }

    fn sealed(&self) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path();
        match files::open_own(&path) {
            Ok(file) => Ok(Some(files::read_bytes_from(file, &path, MAX_FILE)?)),
            Err(files::Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns what seals the sign-in, in a few words; `None` if there is none.
    pub(crate) fn sealed_with(&self) -> Option<&'static str> {
        seal::sealed_with(&self.sealed().ok()??)
    }

    /// Opens the sign-in; returns it with its key.
    ///
    /// # Errors
    /// There is none, or what seals it is not here.
    pub(crate) fn open(&self, keys: &Keys) -> Result<(Key, Kept), Error> {
        let sealed = self.sealed()?.ok_or_else(|| Error::SignedOut(self.profile.clone()))?;
        let key = keys.for_sealed(&sealed, &self.profile)?;
        let kept = self.unseal(&key, &sealed)?;
        keys.known.keep(&key);
        Ok((key, kept))
    }

    /// Reads the sign-in with the key that it had; returns it with the key that it has now, if somebody
    /// has signed in again since.
    ///
    /// # Errors
    /// As [`Cache::open`].
    pub(crate) fn read(&self, key: &Key, keys: &Keys) -> Result<(Key, Kept), Error> {
        let sealed = self.sealed()?.ok_or_else(|| Error::SignedOut(self.profile.clone()))?;
        match self.unseal(key, &sealed) {
            Err(Error::WrongKey(_)) => self.open(keys),
            read => Ok((key.clone(), read?)),
        }
    }

    fn unseal(&self, key: &Key, sealed: &[u8]) -> Result<Kept, Error> {
        let wrong = |_| Error::WrongKey(self.profile.clone());
        let text = key.open(&self.bound_to, sealed).map_err(wrong)?;
        let json: KeptJson =
            serde_json::from_slice(&text).map_err(|_| Error::WrongKey(self.profile.clone()))?;
        Ok(Kept {
            access: Secret::new(json.access),
            renew_at: json.renew_at,
            expires_at: json.expires_at,
            refresh: json.refresh.map(Secret::new),
            client_secret: json.client_secret.map(Secret::new),
            scopes: json.scopes,
        })
    }

    /// Replaces the sign-in, whole or not at all.
    ///
    /// # Errors
    /// It cannot be sealed or written.
    pub(crate) fn write(&self, key: &Key, kept: &Kept) -> Result<(), Error> {
        let plain = |secret: &Secret| secret.reveal().to_owned();
        let json = KeptJson {
            access: plain(&kept.access),
            renew_at: kept.renew_at,
            expires_at: kept.expires_at,
            refresh: kept.refresh.as_ref().map(plain),
            client_secret: kept.client_secret.as_ref().map(plain),
            scopes: kept.scopes.clone(),
        };
        let text = serde_json::to_vec(&json).map_err(|_| Error::Cryptography)?;
        let sealed = key.seal(&self.bound_to, &text)?;
        let (path, limit) = (self.path(), MAX_FILE);
        // What is larger could not be read again.
        if sealed.len() as u64 > limit {
            return Err(files::Error::TooLarge { path, limit }.into());
        }
        Ok(files::replace(&self.path(), &sealed, Access::Owner)?)
    }

    /// Replaces the sign-in by one under a new key, and forgets the key of the earlier one.
    ///
    /// # Errors
    /// As [`Cache::write`].
    pub(crate) fn renew(&self, key: &Key, keys: &Keys, kept: &Kept) -> Result<(), Error> {
        let earlier = self.sealed().ok().flatten();
        self.write(key, kept)?;
        keys.known.keep(key);
        if let Some(earlier) = earlier {
            keys.forget(&earlier);
        }
        Ok(())
    }

    /// Removes the sign-in with its key; returns whether there was one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self, keys: &Keys) -> Result<bool, Error> {
        let (path, earlier) = (self.path(), self.sealed().ok().flatten());
        match std::fs::remove_file(&path) {
            Ok(()) => {
                if let Some(earlier) = earlier {
                    keys.forget(&earlier);
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    /// Waits for the lock under which the sign-in is renewed; it ends when the file is dropped.
    ///
    /// # Errors
    /// The system cannot lock files here, or somebody has it for too long.
    pub(crate) fn lock(&self) -> Result<File, Error> {
        profile::lock(&self.folder.join(format!("{}.lock", self.profile)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::seal::close;

    fn granted(life: u64, refresh: Option<&str>) -> Granted {
        Granted {
            access: Secret::new("access-canary".to_owned()),
            refresh: refresh.map(|text| Secret::new(text.to_owned())),
            identity: None,
            scopes: Vec::new(),
            life: Duration::from_secs(life),
        }
    }

    #[test]
    fn what_is_kept_is_sealed_private_and_the_same_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("key");
        std::fs::write(&key_file, [1; 32]).unwrap();
        close(&key_file, 0o600);
        let keys = Keys { file: Some(key_file), ..Keys::default() };
        let cache = Cache::new(dir.path(), "work").unwrap();
        assert!(matches!(cache.open(&keys), Err(Error::SignedOut(_))));
        let key = keys.for_new().unwrap();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let kept = Kept::new(granted(3600, Some("refresh-canary")), now, None);
        cache.write(&key, &kept).unwrap();
        let path = dir.path().join("sign-in/work.sealed");
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"canary"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(cache.open(&keys).unwrap().1, kept);
        assert_eq!(cache.sealed_with(), Some("a key file"));
        // Signed in again by another process, which seals it with another salt.
        let other = keys.for_new().unwrap();
        let later = Kept { refresh: Some(Secret::new("later".to_owned())), ..kept };
        cache.renew(&other, &Keys::default(), &later).unwrap();
        assert_eq!(cache.read(&key, &keys).unwrap().1, later);
        assert!(cache.remove(&keys).unwrap() && !cache.remove(&keys).unwrap());
    }

    #[test]
    fn a_lock_that_somebody_holds_is_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::new(dir.path(), "work").unwrap();
        let held = cache.lock().unwrap();
        let error = cache.lock().unwrap_err();
        assert_eq!(error.code(), "unavailable");
        drop(held);
        cache.lock().unwrap();
    }

    #[test]
    fn a_token_is_renewed_before_its_end_and_the_refresh_token_rotates() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let first = Kept::new(granted(3600, Some("one")), now, None);
        assert_eq!(first.renew_at, now + SignedDuration::from_mins(55));
        let second = Kept::new(granted(60, Some("two")), now, Some(&first));
        assert_eq!(second.renew_at, now + SignedDuration::from_secs(30));
        assert_eq!(second.refresh.unwrap().reveal(), "two");
        let third = Kept::new(granted(60, None), now, Some(&first));
        assert_eq!(third.refresh.unwrap().reveal(), "one");
    }
}

//! The seal on what is kept of a sign-in: AES-256-GCM under a key that is nowhere beside it.
//!
//! The key comes from a passphrase, through Argon2id, from a file, or from the keyring of the system.
//! The head of a sealed file says which, and is authenticated together with the name of the profile, so
//! that the file of one profile cannot pass for that of another.

use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use sha2::{Digest as _, Sha256};

use crate::auth::error::Error;
use crate::auth::keyring::Keyring;
use crate::files;
use crate::graph::Secret;

/// The form of the file, and its version.
const MARK: &[u8; 8] = b"PWSEAL01";
const SALT: usize = 16;
/// The mark, the kind of key, the salt.
const HEAD: usize = MARK.len() + 1 + SALT;
/// The memory that a guess at a passphrase costs, in KiB, and the rounds over it.
const MEMORY_KIB: u32 = 19 << 10;
const ROUNDS: u32 = 2;
/// The least and the most that a key file may hold, in bytes.
const LEAST_KEY: usize = 32;
const MOST_KEY: u64 = 64 << 10;

/// Asks a person for a secret, after a text; `None` if there is nobody to ask.
pub(crate) type Prompt = fn(&str) -> io::Result<Option<Secret>>;

/// The keys that there are to seal with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    /// The passphrase of the environment.
    pub(crate) passphrase: Option<Secret>,
    /// The key file of the environment.
    pub(crate) file: Option<PathBuf>,
    /// The keyring to use, if there is one.
    pub(crate) keyring: Option<Keyring>,
    /// The way to ask a person for a passphrase.
    pub(crate) prompt: Option<Prompt>,
    /// The keys that have opened something in this process.
    pub(crate) known: Known,
}

/// The keys that have opened something, so that none is derived twice and nobody is asked twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<Mutex<Vec<Key>>>);

impl Known {
    /// Remembers a key that has opened something.
    pub(crate) fn keep(&self, key: &Key) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|known| known.head != key.head);
        keys.push(key.clone());
    }

    fn find<T>(&self, what: impl FnMut(&Key) -> Option<T>) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find_map(what)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passphrase = 1,
    File = 2,
    Keyring = 3,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Passphrase => "a passphrase",
            Self::File => "a key file",
            Self::Keyring => "a key in the keyring of the system",
        }
    }
}

/// A key with the head of the files that it seals.
#[derive(Clone)]
pub(crate) struct Key {
    key: [u8; 32],
    head: [u8; HEAD],
    /// The passphrase that it was made of: a sign-in that another process seals anew has another salt.
    passphrase: Option<Secret>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Keys {
    /// Makes the key for a new sign-in of the best that there is.
    ///
    /// # Errors
    /// There is nothing to make one of.
    pub(crate) fn for_new(&self) -> Result<Key, Error> {
        let mut salt = [0; SALT];
        rand::fill(&mut salt).map_err(|_| Error::Cryptography)?;
        if let Some(passphrase) = &self.passphrase {
            return of_passphrase(passphrase, salt);
        }
        if let Some(file) = &self.file {
            return of_file(file, salt);
        }
        if let Some(keyring) = &self.keyring {
            let mut key = [0; 32];
            rand::fill(&mut key).map_err(|_| Error::Cryptography)?;
            if keyring.set(&entry(&salt), &key) {
                return Ok(Key::new(key, Kind::Keyring, salt));
            }
        }
        let Some(passphrase) = self.ask("New passphrase to seal the sign-in: ")? else {
            return Err(Error::NoKey);
        };
        if self.ask("The same again: ")? != Some(passphrase.clone()) {
            return Err(Error::Invalid("the two passphrases differ".to_owned()));
        }
        of_passphrase(&passphrase, salt)
    }

    /// Makes the key that opens a sealed file.
    ///
    /// # Errors
    /// What seals it is not here.
    pub(crate) fn for_sealed(&self, sealed: &[u8], profile: &str) -> Result<Key, Error> {
        let (kind, salt) = head(sealed).ok_or_else(|| Error::WrongKey(profile.to_owned()))?;
        let absent = || Error::KeyAbsent { profile: profile.to_owned(), with: kind.name() };
        if let Some(key) = self.known.find(|key| sealed.starts_with(&key.head).then(|| key.clone()))
        {
            return Ok(key);
        }
        match kind {
            Kind::Passphrase => {
                let text = format!("Passphrase of the profile `{profile}`: ");
                let known = || self.known.find(|key| key.passphrase.clone());
                let found = match self.passphrase.clone().or_else(known) {
                    Some(passphrase) => Some(passphrase),
                    None => self.ask(&text)?,
                };
                of_passphrase(&found.ok_or_else(absent)?, salt)
            }
            Kind::File => of_file(self.file.as_deref().ok_or_else(absent)?, salt),
            Kind::Keyring => {
                let keyring = self.keyring.as_ref().ok_or_else(absent)?;
                let key = keyring.get(&entry(&salt)).ok_or_else(absent)?;
                let key = key.try_into().map_err(|_| Error::WrongKey(profile.to_owned()))?;
                Ok(Key::new(key, Kind::Keyring, salt))
            }
        }
    }

    /// Forgets the key of a file that is not needed any more, where it belongs to that file alone.
    pub(crate) fn forget(&self, sealed: &[u8]) {
        if let (Some((Kind::Keyring, salt)), Some(keyring)) = (head(sealed), &self.keyring) {
            keyring.remove(&entry(&salt));
        }
    }

    /// Returns the same keys for a process at work, which asks nobody any more.
    pub(crate) fn without_prompt(&self) -> Self {
        Self { prompt: None, ..self.clone() }
    }

    fn ask(&self, text: &str) -> Result<Option<Secret>, Error> {
        let Some(prompt) = self.prompt else { return Ok(None) };
        let answer = prompt(text).map_err(|source| match source.kind() {
            io::ErrorKind::Interrupted => Error::Stopped,
            _ => Error::Io { path: PathBuf::from("the terminal"), source },
        })?;
        Ok(answer.filter(|secret| !secret.reveal().is_empty()))
    }
}

/// Takes the head of a sealed file apart.
fn head(sealed: &[u8]) -> Option<(Kind, [u8; SALT])> {
    let rest = sealed.strip_prefix(MARK)?;
    let kind = match rest.first()? {
        1 => Kind::Passphrase,
        2 => Kind::File,
        3 => Kind::Keyring,
        _ => return None,
    };
    Some((kind, rest.get(1..=SALT)?.try_into().ok()?))
}

/// Returns what a file is sealed with.
pub(crate) fn sealed_with(sealed: &[u8]) -> Option<&'static str> {
    head(sealed).map(|(kind, _)| kind.name())
}

/// Returns the name of the entry in the keyring for a file of this salt: each sealed file has a key of
/// its own there, whatever the state folder.
fn entry(salt: &[u8; SALT]) -> String {
    salt.iter().fold(String::new(), |mut name, byte| {
        // Writing to a text does not fail.
        let _written = write!(name, "{byte:02x}");
        name
    })
}

fn of_passphrase(passphrase: &Secret, salt: [u8; SALT]) -> Result<Key, Error> {
    let mut key = [0; 32];
    let params = Params::new(MEMORY_KIB, ROUNDS, 1, Some(key.len()));
    let made = params.and_then(|params| {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(passphrase.reveal().as_bytes(), &salt, &mut key)
    });
    made.map_err(|_| Error::Cryptography)?;
    let passphrase = Some(passphrase.clone());
    Ok(Key { passphrase, ..Key::new(key, Kind::Passphrase, salt) })
}

fn of_file(path: &Path, salt: [u8; SALT]) -> Result<Key, Error> {
    let file = files::open(path)?;
    if is_open_to_others(&file) {
        return Err(Error::OpenKey(path.to_owned()));
    }
    let bytes = files::read_bytes_from(file, path, MOST_KEY)?;
    if bytes.len() < LEAST_KEY {
        return Err(Error::WeakKey(path.to_owned()));
    }
    let mut hash = Sha256::new();
    hash.update(MARK);
    hash.update(salt);
    hash.update(&bytes);
    Ok(Key::new(hash.finalize().into(), Kind::File, salt))
}

/// Returns whether other users of the system may read or write a key file. A service manager hands over
/// a file of the administrator that a group may read, or a list of users.
#[cfg(unix)]
fn is_open_to_others(file: &std::fs::File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(found) = file.metadata() else { return true };
    let is_own = found.uid() == rustix::process::geteuid().as_raw();
    found.mode() & 0o007 != 0 || (is_own && found.mode() & 0o070 != 0)
}

#[cfg(not(unix))]
const fn is_open_to_others(_: &std::fs::File) -> bool {
    false
}

impl Key {
    fn new(key: [u8; 32], kind: Kind, salt: [u8; SALT]) -> Self {
        let mut head = [0; HEAD];
        let kind = [kind as u8];
        let parts = MARK.iter().chain(&kind).chain(&salt);
        for (place, byte) in head.iter_mut().zip(parts) {
            *place = *byte;
        }
        Self { key, head, passphrase: None }
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, Error> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.key).map_err(|_| Error::Cryptography)
    }

    /// Returns what else is authenticated: the head and the name of the profile.
    fn bound_to(&self, profile: &str) -> Aad<Vec<u8>> {
        Aad::from([&self.head[..], profile.as_bytes()].concat())
    }

    /// Seals a text for a profile, with a new nonce each time.
    ///
    /// # Errors
    /// The system offers no random numbers.
    pub(crate) fn seal(&self, profile: &str, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut sealed = text.to_vec();
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(self.bound_to(profile), &mut sealed)
            .map_err(|_| Error::Cryptography)?;
        Ok([&self.head[..], nonce.as_ref(), &sealed].concat())
    }

    /// Opens what was sealed for a profile.
    ///
    /// # Errors
    /// It was sealed with another key or for another profile, or is damaged.
    pub(crate) fn open(&self, profile: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let wrong = || Error::WrongKey(profile.to_owned());
        let rest = sealed.strip_prefix(&self.head[..]).ok_or_else(wrong)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut text = rest.to_vec();
        let cipher = self.cipher()?;
        let opened = cipher.open_in_place(nonce, self.bound_to(profile), &mut text);
        opened.map(|text| text.to_vec()).map_err(|_| wrong())
    }
}

/// Sets the permissions of a file, where the system has them.
#[cfg(test)]
pub(crate) fn close(file: &Path, mode: u32) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = (file, mode);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_with_its_key_for_its_profile_and_not_after_a_change() {
        let keys =
            |text: &str| Keys { passphrase: Some(Secret::new(text.to_owned())), ..Keys::default() };
        let key = keys("open sesame").for_new().unwrap();
        let sealed = key.seal("work", b"canary").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"canary"));
        assert_ne!(sealed, key.seal("work", b"canary").unwrap());
        let again = keys("open sesame").for_sealed(&sealed, "work").unwrap();
        assert_eq!(again.open("work", &sealed).unwrap(), b"canary");
        assert!(again.open("rook", &sealed).is_err());
        let other = keys("open barley").for_sealed(&sealed, "work").unwrap();
        assert_eq!(other.open("work", &sealed).unwrap_err().code(), "no_key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(again.open("work", &changed).is_err(), "{at}");
            assert!(again.open("work", &sealed[..at]).is_err(), "{at}");
        }
        assert_eq!(format!("{key:?}"), "[redacted]");
        let none = Keys::default();
        assert!(matches!(none.for_new(), Err(Error::NoKey)));
        assert!(matches!(none.for_sealed(&sealed, "work"), Err(Error::KeyAbsent { .. })));
    }

    #[test]
    fn a_key_file_needs_enough_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        let keys = Keys { file: Some(file.clone()), ..Keys::default() };
        std::fs::write(&file, [7; 31]).unwrap();
        close(&file, 0o600);
        assert!(matches!(keys.for_new(), Err(Error::WeakKey(_))));
        std::fs::write(&file, [7; 32]).unwrap();
        let sealed = keys.for_new().unwrap().seal("work", b"x").unwrap();
        assert_eq!(keys.for_sealed(&sealed, "work").unwrap().open("work", &sealed).unwrap(), b"x");
        std::fs::write(&file, [8; 32]).unwrap();
        assert!(keys.for_sealed(&sealed, "work").unwrap().open("work", &sealed).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, [7; 32]).unwrap();
        let keys = Keys { file: Some(file.clone()), ..Keys::default() };
        for (mode, is_fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            close(&file, mode);
            match keys.for_new() {
                Ok(_) => assert!(is_fine, "{mode:o}"),
                Err(error) => {
                    assert!(!is_fine && matches!(error, Error::OpenKey(_)), "{mode:o} {error}");
                    assert!(error.hint().unwrap().contains("chmod 600"));
                }
            }
        }
    }

    #[test]
    fn a_keyring_holds_a_key_for_each_file_and_forgets_it() {
        let entries = Arc::<Mutex<std::collections::BTreeMap<String, Vec<u8>>>>::default();
        let keyring = Some(Keyring::Model(Arc::clone(&entries)));
        let keys = Keys { keyring, ..Keys::default() };
        let sealed = keys.for_new().unwrap().seal("work", b"canary").unwrap();
        assert_eq!(sealed_with(&sealed), Some("a key in the keyring of the system"));
        let again = keys.for_sealed(&sealed, "work").unwrap();
        assert_eq!(again.open("work", &sealed).unwrap(), b"canary");
        let elsewhere = Keys::default().for_sealed(&sealed, "work").unwrap_err();
        assert!(elsewhere.to_string().contains("keyring"), "{elsewhere}");
        keys.forget(&sealed);
        assert!(entries.lock().unwrap().is_empty());
        assert!(matches!(keys.for_sealed(&sealed, "work"), Err(Error::KeyAbsent { .. })));
        // What the environment names goes before it.
        let keys = Keys { passphrase: Some(Secret::new("open sesame".to_owned())), ..keys };
        let sealed = keys.for_new().unwrap().seal("work", b"x").unwrap();
        assert_eq!(sealed_with(&sealed), Some("a passphrase"));
    }

    #[test]
    fn a_key_that_has_opened_something_is_not_made_again() {
        let keys =
            Keys { passphrase: Some(Secret::new("open sesame".to_owned())), ..Keys::default() };
        let key = keys.for_new().unwrap();
        let sealed = key.seal("work", b"x").unwrap();
        keys.known.keep(&key);
        // Without the passphrase: the key is known, and so is what another salt needs.
        let later = Keys { known: keys.known.clone(), ..Keys::default() };
        assert!(later.for_sealed(&sealed, "work").unwrap().open("work", &sealed).is_ok());
        let anew = keys.for_new().unwrap().seal("work", b"y").unwrap();
        assert_eq!(later.for_sealed(&anew, "work").unwrap().open("work", &anew).unwrap(), b"y");
    }
}

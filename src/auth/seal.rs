//! The seal on what is kept of a sign-in: AES-256-GCM under a key that is nowhere beside it.
//!
//! The key comes from a passphrase, through Argon2id, or from a file. The head of a sealed file says
//! which, and is authenticated together with the name of the profile, so that the file of one
//! profile cannot pass for that of another.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use sha2::{Digest as _, Sha256};

use crate::auth::error::Error;
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
    /// The way to ask a person for a passphrase.
    pub(crate) prompt: Option<Prompt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passphrase = 1,
    File = 2,
}

/// A key with the head of the files that it seals.
#[derive(Clone)]
pub(crate) struct Key {
    key: [u8; 32],
    head: [u8; HEAD],
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
        let absent = |with| Error::KeyAbsent { profile: profile.to_owned(), with };
        match kind {
            Kind::Passphrase => {
                let text = format!("Passphrase of the profile `{profile}`: ");
                let found = match &self.passphrase {
                    Some(passphrase) => Some(passphrase.clone()),
                    None => self.ask(&text)?,
                };
                of_passphrase(&found.ok_or_else(|| absent("a passphrase"))?, salt)
            }
            Kind::File => of_file(self.file.as_deref().ok_or_else(|| absent("a key file"))?, salt),
        }
    }

    fn ask(&self, text: &str) -> Result<Option<Secret>, Error> {
        let Some(prompt) = self.prompt else { return Ok(None) };
        let answer = prompt(text)
            .map_err(|source| Error::Io { path: PathBuf::from("the terminal"), source })?;
        Ok(answer.filter(|secret| !secret.reveal().is_empty()))
    }
}

/// Takes the head of a sealed file apart.
fn head(sealed: &[u8]) -> Option<(Kind, [u8; SALT])> {
    let rest = sealed.strip_prefix(MARK)?;
    let kind = match rest.first()? {
        1 => Kind::Passphrase,
        2 => Kind::File,
        _ => return None,
    };
    Some((kind, rest.get(1..=SALT)?.try_into().ok()?))
}

fn of_passphrase(passphrase: &Secret, salt: [u8; SALT]) -> Result<Key, Error> {
    let mut key = [0; 32];
    let params = Params::new(MEMORY_KIB, ROUNDS, 1, Some(key.len()));
    let made = params.and_then(|params| {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(passphrase.reveal().as_bytes(), &salt, &mut key)
    });
    made.map_err(|_| Error::Cryptography)?;
    Ok(Key::new(key, Kind::Passphrase, salt))
}

fn of_file(path: &Path, salt: [u8; SALT]) -> Result<Key, Error> {
    let bytes = files::read_bytes_from(files::open(path)?, path, MOST_KEY)?;
    if bytes.len() < LEAST_KEY {
        return Err(Error::WeakKey(path.to_owned()));
    }
    let mut hash = Sha256::new();
    hash.update(MARK);
    hash.update(salt);
    hash.update(&bytes);
    Ok(Key::new(hash.finalize().into(), Kind::File, salt))
}

impl Key {
    fn new(key: [u8; 32], kind: Kind, salt: [u8; SALT]) -> Self {
        let mut head = [0; HEAD];
        let kind = [kind as u8];
        let parts = MARK.iter().chain(&kind).chain(&salt);
        for (place, byte) in head.iter_mut().zip(parts) {
            *place = *byte;
        }
        Self { key, head }
    }

    fn cipher(&self) -> Result<LessSafeKey, Error> {
        let key = UnboundKey::new(&AES_256_GCM, &self.key).map_err(|_| Error::Cryptography)?;
        Ok(LessSafeKey::new(key))
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
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| Error::Cryptography)?;
        let mut sealed = text.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher()?
            .seal_in_place_append_tag(unique, self.bound_to(profile), &mut sealed)
            .map_err(|_| Error::Cryptography)?;
        Ok([&self.head[..], &nonce[..], &sealed].concat())
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
        assert!(matches!(keys.for_new(), Err(Error::WeakKey(_))));
        std::fs::write(&file, [7; 32]).unwrap();
        let sealed = keys.for_new().unwrap().seal("work", b"x").unwrap();
        assert_eq!(keys.for_sealed(&sealed, "work").unwrap().open("work", &sealed).unwrap(), b"x");
        std::fs::write(&file, [8; 32]).unwrap();
        assert!(keys.for_sealed(&sealed, "work").unwrap().open("work", &sealed).is_err());
    }
}

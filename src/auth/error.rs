//! The errors of signing in, each with its code and its remedy.

use std::path::PathBuf;

use crate::files;
use crate::graph::{BadAddress, SignInError};

/// The reason why nobody could be signed in, or what is kept of it could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The sign-in service said no, or did not answer.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// There is no key to seal with.
    #[error("there is no key to seal the sign-in with, and it is not kept in clear text")]
    NoKey,
    /// The key that seals this sign-in is not here.
    #[error("the sign-in of the profile `{profile}` is sealed with {with}, which is not here")]
    KeyAbsent {
        /// The profile.
        profile: String,
        /// The kind of key.
        with: &'static str,
    },
    /// The key does not open the file.
    #[error("the sign-in of the profile `{0}` cannot be unsealed: another key, or a damaged file")]
    WrongKey(String),
    /// The key file cannot be used.
    #[error("the key file `{}` has less than 32 bytes", .0.display())]
    WeakKey(PathBuf),
    /// The key file is open to other users of the system.
    #[error("the key file `{}` is open to other users of this system", .0.display())]
    OpenKey(PathBuf),
    /// Nothing is kept for the profile.
    #[error("the profile `{0}` is not signed in")]
    SignedOut(String),
    /// The list of profiles is damaged.
    #[error("`{}` is not a list of profiles: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The fault.
        what: String,
    },
    /// The person who was asked for a secret has pressed Ctrl-C.
    #[error("stopped: no secret was given")]
    Stopped,
    /// A value that has no meaning.
    #[error("{0}")]
    Invalid(String),
    /// An address to which no secret should be sent.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A file cannot be created or locked.
    #[error("cannot use `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The system has no random numbers, or the cipher failed.
    #[error("the system offers no cryptography")]
    Cryptography,
}

impl Error {
    /// Returns a stable name.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::SignIn(error) if error.is_unavailable() => "unavailable",
            Self::SignIn(_) | Self::SignedOut(_) => "not_signed_in",
            Self::NoKey
            | Self::KeyAbsent { .. }
            | Self::WrongKey(_)
            | Self::WeakKey(_)
            | Self::OpenKey(_) => "no_key",
            Self::Stopped => "stopped",
            Self::Damaged { .. } => "config",
            Self::Invalid(_) | Self::Address(_) => "usage",
            Self::File(_) | Self::Io { .. } | Self::Cryptography => "io",
        }
    }

    /// Returns the remedy, if there is one.
    pub(crate) fn hint(&self) -> Option<String> {
        let text = match self {
            Self::SignIn(error) => return Some(error.hint()),
            Self::NoKey => {
                "set PLANWRIGHT_PASSPHRASE, or PLANWRIGHT_KEY_FILE to a file with at least 32 random bytes, or sign in on a terminal, which asks for a passphrase"
            }
            Self::KeyAbsent { .. } => {
                "set the variable that was set at the sign-in, work where its keyring is, or sign in again with `planwright auth login`"
            }
            Self::WrongKey(_) => {
                "give the passphrase or key file of the sign-in, or sign in again with `planwright auth login`"
            }
            Self::WeakKey(_) => "make one with: head -c 32 /dev/urandom > FILE; chmod 600 FILE",
            Self::OpenKey(path) => {
                return Some(format!("chmod 600 {}", path.display()));
            }
            Self::SignedOut(profile) => {
                return Some(format!("planwright auth login --profile {profile}"));
            }
            Self::Damaged { .. } => {
                "move the file away, then `planwright auth login`; the sealed sign-ins stay"
            }
            Self::Address(error) => error.hint(),
            Self::Stopped
            | Self::Invalid(_)
            | Self::File(_)
            | Self::Io { .. }
            | Self::Cryptography => return None,
        };
        Some(text.to_owned())
    }
}

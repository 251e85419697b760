//! The profiles: one identity in one tenant each, listed in a file of the state folder that holds
//! no secret.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::error::Error;
use crate::files::{self, Access};
use crate::graph::SignInError;
use crate::model::{User, UserId, in_words};

/// The name of the demo board among the profiles.
pub(crate) const EMBEDDED: &str = "embedded";
const NAME: &str = "profiles.toml";
/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 256 << 10;
/// The longest name of a profile, in characters.
const MAX_NAME: usize = 40;
/// The time for which a lock is waited for, and the interval at which it is tried. Whoever holds one
/// renews a sign-in, which has a deadline of its own.
const LOCK_WAIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });
const LOCK_STEP: Duration = Duration::from_millis(20);

/// The ways to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flow {
    /// A person types a code at another device.
    Device,
    /// A person signs in with a browser of this machine.
    Browser,
    /// An application signs in as itself, with a secret.
    Secret,
    /// An application signs in as itself, with a certificate.
    Certificate,
    /// The Azure CLI gives a token of whoever is signed in there.
    AzureCli,
    /// The machine has an identity, whose tokens its platform gives.
    ManagedIdentity,
    /// The platform vouches for a workload, which signs in as an application with that.
    Workload,
}

impl Flow {
    /// Returns its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Device => "device code",
            Self::Browser => "browser",
            Self::Secret => "application secret",
            Self::Certificate => "application certificate",
            Self::AzureCli => "Azure CLI",
            Self::ManagedIdentity => "managed identity",
            Self::Workload => "workload identity",
        }
    }

    /// Returns whether an application signs in as itself, whatever account is found.
    pub(crate) const fn is_app(self) -> bool {
        matches!(self, Self::Secret | Self::Certificate | Self::ManagedIdentity | Self::Workload)
    }

    /// Returns whether the platform lends the identity. Nothing of it is kept then: a token is there
    /// whenever it is asked for.
    pub(crate) const fn is_lent(self) -> bool {
        matches!(self, Self::AzureCli | Self::ManagedIdentity | Self::Workload)
    }
}

/// The identity that is signed in, as the sign-in service told it; for display, and to name an
/// application.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Account {
    /// The object id of the user or of the application in its tenant.
    pub(crate) id: String,
    /// The name to show.
    pub(crate) name: String,
    /// The sign-in name; the client id of an application.
    pub(crate) upn: String,
    /// The id of the tenant.
    pub(crate) tenant: String,
    /// True if it is an application.
    pub(crate) is_app: bool,
}

/// A profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// Its name.
    #[serde(skip)]
    pub(crate) name: String,
    /// The tenant, as it was given.
    pub(crate) tenant: String,
    /// The id of the application.
    pub(crate) client_id: String,
    /// The address of the sign-in service, without the tenant.
    pub(crate) authority: String,
    /// The address of Graph, version included.
    pub(crate) graph_url: String,
    /// The way in which it signed in.
    pub(crate) flow: Flow,
    /// The scopes that were asked for.
    pub(crate) scopes: Vec<String>,
    /// The claims that the service asks for and a renewal cannot meet, as JSON: the next sign-in
    /// carries them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claims: Option<String>,
    /// The identity.
    #[serde(default)]
    pub(crate) account: Account,
}

impl Account {
    /// Returns whether the other one is somebody else, as far as both are known.
    pub(crate) fn is_another(&self, other: &Self) -> bool {
        let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        differ(&self.id, &other.id) || differ(&self.tenant, &other.tenant)
    }

    /// Returns who it is, in a few words.
    pub(crate) fn who(&self) -> String {
        match (self.name.as_str(), self.upn.as_str()) {
            ("", "") => "somebody".to_owned(),
            (name, "") => name.to_owned(),
            ("", upn) => upn.to_owned(),
            (name, upn) => format!("{name} <{upn}>"),
        }
    }
}

impl Profile {
    /// Returns who is signed in, in a few words.
    pub(crate) fn who(&self) -> String {
        self.account.who()
    }

    /// Returns whether an application signs in as itself.
    pub(crate) const fn is_app(&self) -> bool {
        self.flow.is_app() || self.account.is_app
    }

    /// Returns the application that signs in as itself, if one does. What it makes is known by the client
    /// id, so that it goes by that.
    pub(crate) fn application(&self) -> Option<User> {
        let id = UserId::parse(&self.account.upn).or_else(|_| UserId::parse(&self.client_id));
        let (id, name) = (id.ok().filter(|_| self.is_app())?, self.account.name.clone());
        Some(User { upn: id.to_string(), id, name, mail: None })
    }
}

/// All profiles, and which one is used where none is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Profiles {
    /// The name of the default one; [`EMBEDDED`] where the demo board was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
    /// Each by its name.
    #[serde(default, rename = "profile")]
    all: BTreeMap<String, Profile>,
}

impl Profiles {
    /// Reads the list of a state folder; an absent one is empty.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub(crate) fn read(state: &Path) -> Result<Self, Error> {
        let path = state.join(NAME);
        let file = match files::open_own(&path) {
            Err(files::Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            opened => opened?,
        };
        let text = files::read_from(file, &path, MAX_LIST)?;
        let mut profiles: Self = toml::from_str(&text)
            .map_err(|error| Error::Damaged { path, what: in_words(error.message()) })?;
        for (name, profile) in &mut profiles.all {
            profile.name.clone_from(name);
        }
        Ok(profiles)
    }

    /// Changes the list of a state folder, while no other process does. If `change` fails, nothing is
    /// written.
    ///
    /// # Errors
    /// That of `change`, or the list cannot be read or written.
    pub(crate) fn change<T>(
        state: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        // No profile has this name.
        let _locked = lock(&folder(state)?.join(".profiles.lock"))?;
        let mut profiles = Self::read(state)?;
        let done = change(&mut profiles)?;
        profiles.write(state)?;
        Ok(done)
    }

    fn write(&self, state: &Path) -> Result<(), Error> {
        let path = state.join(NAME);
        let text = toml::to_string_pretty(self)
            .map_err(|error| Error::Damaged { path: path.clone(), what: error.to_string() })?;
        if text.len() as u64 > MAX_LIST {
            return Err(files::Error::TooLarge { path, limit: MAX_LIST }.into());
        }
        Ok(files::replace(&path, text.as_bytes(), Access::Owner)?)
    }

    /// Returns a profile by its name.
    pub(crate) fn get(&self, name: &str) -> Option<&Profile> {
        self.all.get(name)
    }

    /// Returns whether the demo board was chosen, whoever is signed in.
    pub(crate) fn is_embedded_chosen(&self) -> bool {
        self.default.as_deref() == Some(EMBEDDED)
    }

    /// Returns the name of the default profile.
    pub(crate) fn default_name(&self) -> Option<&str> {
        self.default.as_deref().filter(|name| *name != EMBEDDED)
    }

    /// Returns the default profile.
    pub(crate) fn default_one(&self) -> Option<&Profile> {
        self.get(self.default.as_deref()?)
    }

    /// Notes the claims that the next sign-in of a profile must carry, if the profile is still there.
    pub(crate) fn note_claims(&mut self, name: &str, claims: &str) {
        if let Some(profile) = self.all.get_mut(name) {
            profile.claims = Some(claims.to_owned());
        }
    }

    /// Returns every profile, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Profile> {
        self.all.values()
    }

    /// Adds a profile, or replaces the one of its name; the first one becomes the default.
    pub(crate) fn set(&mut self, profile: Profile) {
        if !self.is_embedded_chosen() && self.default_one().is_none() {
            self.default = Some(profile.name.clone());
        }
        self.all.insert(profile.name.clone(), profile);
    }

    /// Removes a profile; returns whether there was one. If it was the default one, there is none
    /// until another is chosen.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        if self.default.as_deref() == Some(name) {
            self.default = None;
        }
        self.all.remove(name).is_some()
    }
}

/// Checks the name of a profile, which also names its files.
///
/// # Errors
/// It has other characters, or is taken.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let is_fine = |ch: char| ch.is_ascii_lowercase() || ch.is_ascii_digit() || "-_".contains(ch);
    if name == EMBEDDED {
        let message = "`embedded` is the demo board on this machine; choose another name";
        return Err(Error::Invalid(message.to_owned()));
    }
    let has_form = !name.starts_with('-') && name.chars().all(is_fine);
    if name.is_empty() || name.len() > MAX_NAME || !has_form {
        let message = format!(
            "`{name}` cannot be the name of a profile: lower-case letters, digits, `_`, and `-` inside it, at most {MAX_NAME}"
        );
        return Err(Error::Invalid(message));
    }
    Ok(())
}

/// Returns the folder of what is kept sealed, made private if necessary.
///
/// # Errors
/// It cannot be created.
pub(crate) fn folder(state: &Path) -> Result<PathBuf, Error> {
    let folder = state.join("sign-in");
    files::make_private(&folder).map_err(|source| Error::Io { path: folder.clone(), source })?;
    Ok(folder)
}

/// Waits for the lock on a file, which ends when the file is dropped. A lock file is never deleted: two
/// processes could then each lock a file of the same name.
///
/// # Errors
/// The system cannot lock files here, or somebody has it for too long.
pub(crate) fn lock(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let file = files::open_to_write(path).map_err(failed)?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
            Err(TryLockError::WouldBlock) if waited < LOCK_WAIT => {
                std::thread::sleep(LOCK_STEP);
                waited += LOCK_STEP;
            }
            Err(TryLockError::WouldBlock) => {
                let (seconds, path) = (LOCK_WAIT.as_secs(), path.display());
                let why = format!("another process has held `{path}` for {seconds} s");
                return Err(SignInError::Unavailable(why).into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: &str) -> Profile {
        Profile {
            name: name.to_owned(),
            tenant: "bos.example".to_owned(),
            client_id: "c".to_owned(),
            authority: "https://login.example".to_owned(),
            graph_url: "https://graph.example/v1.0".to_owned(),
            flow: Flow::Device,
            scopes: vec!["Tasks.ReadWrite".to_owned()],
            claims: None,
            account: Account { upn: "rook@bos.example".to_owned(), ..Account::default() },
        }
    }

    #[test]
    fn profiles_are_kept_and_the_first_is_the_default() {
        let dir = tempfile::tempdir().unwrap();
        let mut profiles = Profiles::read(dir.path()).unwrap();
        assert_eq!(profiles, Profiles::default());
        profiles.set(profile("work"));
        profiles.set(profile("rook"));
        profiles.write(dir.path()).unwrap();
        let mut read = Profiles::read(dir.path()).unwrap();
        assert_eq!(read, profiles);
        assert_eq!(read.default_one().unwrap().name, "work");
        assert_eq!(read.all().count(), 2);
        assert!(read.remove("work") && !read.remove("work"));
        assert_eq!(read.default_one(), None);
        std::fs::write(dir.path().join(NAME), "default = 1").unwrap();
        assert_eq!(Profiles::read(dir.path()).unwrap_err().code(), "config");
    }

    #[test]
    fn changes_of_the_list_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let state = dir.path();
                scope.spawn(move || {
                    let add = |profiles: &mut Profiles| {
                        profiles.set(profile(&format!("p{n}")));
                        Ok(())
                    };
                    Profiles::change(state, add).unwrap();
                });
            }
        });
        assert_eq!(Profiles::read(dir.path()).unwrap().all().count(), 8);
        let failed: Result<(), Error> = Profiles::change(dir.path(), |profiles| {
            profiles.remove("p0");
            Err(Error::SignedOut("p0".to_owned()))
        });
        assert!(failed.is_err() && Profiles::read(dir.path()).unwrap().get("p0").is_some());
    }

    #[test]
    fn an_application_goes_by_its_client_id() {
        let id = "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f";
        let account = Account { upn: id.to_owned(), name: "Job".to_owned(), ..Account::default() };
        let lent = Profile { flow: Flow::ManagedIdentity, account, ..profile("job") };
        assert_eq!(lent.application().unwrap().id.as_str(), id);
        assert_eq!(profile("work").application(), None);
    }

    #[test]
    fn a_name_leads_out_of_no_folder() {
        for good in ["default", "a", "team-2_x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-p", "embedded", "..", "a/b", "A", "a.b", "é", &"a".repeat(41)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}

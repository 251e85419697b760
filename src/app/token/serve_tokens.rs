//! The tokens of `serve`: who may come in, and as what. Only their digests are kept, in the state folder.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::error::AppError;
use crate::app::settings::Settings;
use crate::app::{state_dir, token};
use crate::auth;
use crate::files::{self, Access};
use crate::host::{Failure, StateFolder};
use crate::journal::{Note, NoteKind};
use crate::model::User;

/// The most tokens, and the most characters of a name.
const MAX_TOKENS: usize = 1_000;
const MAX_NAME: usize = 64;
/// The largest list that is read, in bytes.
const MAX_LIST: u64 = 1 << 20;

/// The role of a person. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Reads, the audit log included.
    Viewer,
    /// Also approves, rejects and pauses.
    Approver,
    /// Does everything.
    Admin,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Returns its name, as a sentence has it.
    pub(crate) const fn with_article(self) -> &'static str {
        match self {
            Self::Viewer => "a viewer",
            Self::Approver => "an approver",
            Self::Admin => "an admin",
        }
    }
}

/// The user of the service that a person is, wherever they come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfUser {
    pub(crate) id: String,
    pub(crate) upn: String,
}

impl From<User> for OfUser {
    fn from(user: User) -> Self {
        Self { id: user.id.to_string(), upn: user.upn }
    }
}

/// A token, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptToken {
    /// The name of the person, or of the agent.
    pub(crate) name: String,
    /// The role of the person; `None` for an agent, which gets to `/mcp` and nowhere else.
    pub(crate) role: Option<Role>,
    /// The user that the person is, if somebody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<OfUser>,
    /// The digest of the token.
    pub(crate) digest: String,
    pub(crate) created_at: Timestamp,
}

impl KeptToken {
    /// Returns the name of its role.
    pub(crate) fn role_name(&self) -> &'static str {
        self.role.map_or("agent", Role::name)
    }

    /// Returns it as it is listed.
    pub(crate) fn listed(&self) -> Value {
        let user = self.user.as_ref().map(|user| &user.upn);
        json!({
            "name": self.name, "role": self.role_name(), "user": user,
            "created_at": self.created_at,
        })
    }
}

/// Returns the digest under which a token is kept. A token has 256 random bits: nobody finds it from
/// the digest, and comparing digests tells nothing of how much of a guess was right.
pub(crate) fn digest(token: &str) -> String {
    format!("{:x}", Sha256::digest(token.as_bytes()))
}

fn store(settings: &Settings) -> Result<PathBuf, AppError> {
    Ok(settings.state_dir()?.join("serve-tokens.json"))
}

/// Returns all tokens, by name.
///
/// # Errors
/// The list cannot be read.
pub(crate) fn all(settings: &Settings) -> Result<Vec<KeptToken>, AppError> {
    let store = store(settings)?;
    if !store.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&files::read(&store, MAX_LIST)?).map_err(|error| {
        AppError::new("config", format!("`{}` is not a list of tokens", store.display()))
            .caused_by(&error)
            .hint("remove it, and create the tokens again")
    })
}

/// Holds off others that would change the list, so that none of their changes is undone.
fn lock(settings: &Settings) -> Result<std::fs::File, AppError> {
    let state = settings.state_dir()?;
    state_dir::make_private(&state)?;
    Ok(auth::lock(&state.join("serve-tokens.lock"))?)
}

/// Records that a token was made or taken away. Nobody is asked who is signed in: whoever can write the
/// state folder can do this.
fn note(
    settings: &Settings,
    kind: NoteKind,
    kept: &KeptToken,
    now: Timestamp,
) -> Result<(), AppError> {
    let note = Note {
        kind,
        at: now,
        run: None,
        actor: None,
        name: "planwright".to_owned(),
        detail: json!({ "token": kept.name, "role": kept.role_name(), "user": kept.user }),
    };
    let journal = StateFolder::new(settings.state_dir()?).open()?;
    let noted = journal.note(&note);
    noted.map_err(|error| Failure::from_error(error.code(), &error, error.hint()).into())
}

fn write(settings: &Settings, all: &[KeptToken]) -> Result<(), AppError> {
    let text = serde_json::to_string_pretty(all).unwrap_or_default();
    files::replace(&store(settings)?, text.as_bytes(), Access::Owner)?;
    Ok(())
}

/// Makes a token for a person, or with no role for an agent. It is shown once and kept nowhere.
///
/// # Errors
/// There is one of the name, the name is none, or the list cannot be written.
pub(crate) fn create(
    settings: &Settings,
    name: &str,
    (role, user): (Option<Role>, Option<OfUser>),
    now: Timestamp,
) -> Result<String, AppError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {MAX_NAME} characters, all of them visible");
        return Err(AppError::usage(message));
    }
    let _locked = lock(settings)?;
    let mut tokens = all(settings)?;
    let is_agent = role.is_none();
    if tokens.iter().any(|kept| kept.name == name && kept.role.is_none() == is_agent) {
        let revoke = if is_agent { "--agent" } else { "--name" };
        return Err(AppError::usage(format!("there is a token for `{name}`"))
            .hint(format!("`planwright serve token revoke {revoke} {name}` takes it away")));
    }
    if tokens.len() >= MAX_TOKENS {
        return Err(AppError::new("too_large", format!("there are {MAX_TOKENS} tokens already")));
    }
    let token = format!("pw_{}", token::random()?);
    let (name, digest) = (name.to_owned(), digest(&token));
    let kept = KeptToken { name, role, user, digest, created_at: now };
    // Before it opens anything.
    note(settings, NoteKind::TokenCreated, &kept, now)?;
    tokens.push(kept);
    tokens.sort_by(|a, b| a.name.cmp(&b.name));
    write(settings, &tokens)?;
    Ok(token)
}

/// Takes a token away; whoever has signed in with it is signed out.
///
/// # Errors
/// There is none of the name, or the list cannot be written.
pub(crate) fn revoke(
    settings: &Settings,
    name: &str,
    is_agent: bool,
    now: Timestamp,
) -> Result<(), AppError> {
    let _locked = lock(settings)?;
    let mut tokens = all(settings)?;
    let is_meant = |kept: &KeptToken| kept.name == name && kept.role.is_none() == is_agent;
    let Some(at) = tokens.iter().position(is_meant) else {
        return Err(AppError::new("not_found", format!("there is no token for `{name}`"))
            .hint("`planwright serve token list` lists them"));
    };
    let gone = tokens.remove(at);
    // Before it is on record: nothing is to keep it open.
    write(settings, &tokens)?;
    note(settings, NoteKind::TokenRevoked, &gone, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_the_list_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = Some(dir.path().join("state"));
        let settings = Settings { state_dir, ..Settings::default() };
        let now = Timestamp::UNIX_EPOCH;
        let make = |name: &str| create(&settings, name, (Some(Role::Viewer), None), now);
        (0..8).for_each(|n| drop(make(&format!("gone{n}")).unwrap()));
        std::thread::scope(|scope| {
            for n in 0..8 {
                let (settings, make) = (&settings, &make);
                scope.spawn(move || make(&format!("new{n}")).unwrap());
                scope.spawn(move || revoke(settings, &format!("gone{n}"), false, now).unwrap());
            }
        });
        let names: Vec<String> =
            all(&settings).unwrap().into_iter().map(|kept| kept.name).collect();
        let expected: Vec<String> = (0..8).map(|n| format!("new{n}")).collect();
        assert_eq!(names, expected);
    }
}

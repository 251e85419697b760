//! The settings of a process, from arguments and environment together.
//!
//! Nothing else reads the environment, so that all settings are resolved in one place.

use std::path::PathBuf;

use crate::app::error::AppError;
use crate::app::state_dir;
use crate::auth::{
    self, Authority, EMBEDDED, Keyring, Keys, Known, Profile, Profiles, Prompt, Surroundings,
};
use crate::graph::{BaseUrl, Proxy, Secret};

/// The settings of a process, as its face received them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The name of the profile; `None` for the default.
    pub(crate) profile: Option<String>,
    /// The address of the Graph service, version included.
    pub(crate) graph_url: Option<String>,
    /// True if Graph's beta is to be used, whatever the workspace says.
    pub(crate) beta: bool,
    /// The state folder; `None` for the user's own.
    pub(crate) state_dir: Option<PathBuf>,
    /// The workspace; `None` for the nearest.
    pub(crate) workspace: Option<PathBuf>,
    /// The way to ask a person for a secret, if the face has one.
    pub(crate) prompt: Option<Prompt>,
    /// The agent to whom `profile` belongs, where it is that agent's own: no ready token goes before
    /// it then.
    pub(crate) of_agent: Option<String>,
    /// The keys of sign-ins that this process has made or asked for.
    pub(crate) known: Known,
}

/// The service to work on.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    /// The embedded Planner.
    Embedded {
        /// The file with its data.
        data: PathBuf,
        /// The principal name of the user who is signed in.
        user: String,
    },
    /// A Graph service elsewhere.
    Graph {
        /// Its address.
        base: BaseUrl,
        /// The sign-in.
        sign_in: SignIn,
        /// The proxy in front of it.
        proxy: Option<Proxy>,
    },
}

/// A sign-in at a Graph service.
#[derive(Debug, Clone)]
pub(crate) enum SignIn {
    /// A ready token, from the environment.
    Token(Secret),
    /// That of a profile.
    Profile(Box<Profile>),
}

impl Service {
    /// Returns the name of the service in saved change sets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Embedded { .. } => EMBEDDED.to_owned(),
            Self::Graph { base, .. } => base.to_string(),
        }
    }

    /// Returns the sign-in name of whoever is signed in, as far as it is known without asking anybody.
    pub(crate) fn known_name(&self) -> Option<String> {
        let name = match self {
            Self::Embedded { user, .. } => user.clone(),
            Self::Graph { sign_in: SignIn::Token(token), .. } => {
                match token.reveal().strip_prefix(USER_TOKEN) {
                    Some(user) => user.to_owned(),
                    None => auth::account_of(token).upn,
                }
            }
            Self::Graph { sign_in: SignIn::Profile(profile), .. } => profile.account.upn.clone(),
        };
        Some(name).filter(|name| !name.trim().is_empty())
    }
}

const EMBEDDED_USER: &str = "rook@bos.example";
/// Prefix of a token that names a user of the embedded Planner.
const USER_TOKEN: &str = "emulator:";

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns whether the system may have a keyring for this user. On Linux a session has one; asking where
/// there is no session would only be a wait.
fn has_keyring() -> bool {
    let has_session = || {
        environment("DBUS_SESSION_BUS_ADDRESS").is_some()
            || environment("XDG_RUNTIME_DIR")
                .is_some_and(|folder| PathBuf::from(folder).join("bus").exists())
    };
    environment("PLANWRIGHT_KEYRING").is_none_or(|value| value != "off")
        && (!cfg!(target_os = "linux") || has_session())
}

impl Settings {
    /// Returns the folder for what is kept between runs.
    ///
    /// # Errors
    /// There is none, or others can write to it.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, AppError> {
        state_dir::choose(self.state_dir.as_deref())
    }

    /// Returns the settings with which an agent signs in that may have a profile of its own.
    ///
    /// # Errors
    /// Another profile was asked for.
    pub(crate) fn for_agent(&self, agent: &str, own: Option<&str>) -> Result<Self, AppError> {
        let Some(own) = own else { return Ok(self.clone()) };
        if let Some(other) = self.profile.as_deref().filter(|other| *other != own) {
            let message =
                format!("the agent `{agent}` signs in with its own profile `{own}`, not `{other}`");
            return Err(AppError::usage(message).hint("leave out `--profile`"));
        }
        let (profile, of_agent) = (Some(own.to_owned()), Some(agent.to_owned()));
        Ok(Self { profile, of_agent, ..self.clone() })
    }

    /// Returns the access token of the environment, if there is one that goes before the profiles.
    pub(crate) fn token(&self) -> Option<Secret> {
        let token = environment("PLANWRIGHT_TOKEN").filter(|_| self.of_agent.is_none());
        token.map(Secret::new)
    }

    /// Returns whether an application is signed in as itself, as far as that is known without asking
    /// anybody.
    pub(crate) fn is_application(&self) -> bool {
        if self.profile.as_deref() == Some(EMBEDDED) {
            return false;
        }
        match self.token() {
            Some(token) => auth::is_of_app(&token),
            None => {
                let profile = self.chosen_profile().ok().flatten();
                profile.is_some_and(|profile| profile.is_app())
            }
        }
    }

    /// Returns the keys that there are to seal a sign-in with.
    pub(crate) fn keys(&self) -> Keys {
        Keys {
            passphrase: environment("PLANWRIGHT_PASSPHRASE").map(Secret::new),
            file: environment("PLANWRIGHT_KEY_FILE").map(PathBuf::from),
            keyring: has_keyring().then_some(Keyring::System),
            prompt: self.prompt,
            known: self.known.clone(),
        }
    }

    /// Returns what the platform tells of the identities that it lends.
    pub(crate) fn surroundings() -> Surroundings {
        Surroundings {
            identity_endpoint: environment("IDENTITY_ENDPOINT"),
            identity_header: environment("IDENTITY_HEADER").map(Secret::new),
            metadata: environment("AZURE_POD_IDENTITY_AUTHORITY_HOST"),
            token_file: environment("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            client_id: environment("AZURE_CLIENT_ID"),
            tenant: environment("AZURE_TENANT_ID"),
            authority: environment("AZURE_AUTHORITY_HOST"),
        }
    }

    /// Returns the secret of an application, if the environment has one.
    pub(crate) fn client_secret() -> Option<Secret> {
        environment("PLANWRIGHT_CLIENT_SECRET").map(Secret::new)
    }

    /// Returns the password of the PFX file with an application's certificate, if the environment has one.
    pub(crate) fn certificate_password() -> Option<Secret> {
        environment("PLANWRIGHT_CERTIFICATE_PASSWORD").map(Secret::new)
    }

    /// Returns whether a browser can be shown here: elsewhere than on a Linux without a display.
    pub(crate) fn has_display() -> bool {
        let is_set = |name: &&str| environment(name).is_some();
        !cfg!(target_os = "linux") || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(is_set)
    }

    /// Returns the sign-in service of a tenant, with the proxy in front of it.
    ///
    /// # Errors
    /// No secret should go to that address, or the proxy cannot be used.
    pub(crate) fn authority(address: &str, tenant: &str) -> Result<Authority, AppError> {
        let proxy = Proxy::choose(&BaseUrl::parse(address)?, environment)?;
        Ok(Authority::new(address, tenant, proxy.as_ref())?)
    }

    /// Returns the profile in force; `None` for a ready token or the embedded Planner.
    ///
    /// # Errors
    /// There is none of the name that was given, or the list cannot be read.
    pub(crate) fn chosen_profile(&self) -> Result<Option<Profile>, AppError> {
        match self.profile.as_deref() {
            Some(EMBEDDED) => Ok(None),
            Some(name) => {
                let profiles = Profiles::read(&self.state_dir()?)?;
                profiles.get(name).cloned().map(Some).ok_or_else(|| {
                    let names: Vec<&str> =
                        profiles.all().map(|profile| profile.name.as_str()).collect();
                    let known = if names.is_empty() {
                        "the only profile is `embedded`".to_owned()
                    } else {
                        format!("there are: embedded, {}", names.join(", "))
                    };
                    if let Some(agent) = &self.of_agent {
                        let message = format!(
                            "the agent `{agent}` signs in with the profile `{name}`, which does not exist"
                        );
                        return AppError::new("config", message).hint(format!(
                            "`planwright auth login --profile {name} --client-id ID` makes it, or remove `profile` from [agents.{agent}]; {known}"
                        ));
                    }
                    AppError::usage(format!("there is no profile `{name}`"))
                        .hint(format!("{known}; `planwright auth login --profile NAME` makes one"))
                })
            }
            None if self.token().is_some() => Ok(None),
            None => {
                let profiles = Profiles::read(&self.state_dir()?)?;
                let profile = profiles.default_one().cloned();
                let Some(url) = &self.graph_url else {
                    // Whoever is signed in somewhere does not mean the demo board.
                    if !profiles.is_embedded_chosen()
                        && let (None, Some(first)) = (&profile, profiles.all().next())
                    {
                        return Err(AppError::new("not_signed_in", "no profile is in use").hint(
                            format!(
                                "`planwright auth use {}` says which; `--profile embedded` is the demo board",
                                first.name
                            ),
                        ));
                    }
                    return Ok(profile);
                };
                // A sign-in is for one service, and no other gets its token.
                let base = BaseUrl::parse(url)?;
                Ok(profile.filter(|profile| {
                    BaseUrl::parse(&profile.graph_url)
                        .is_ok_and(|own| own.origin() == base.origin())
                }))
            }
        }
    }

    /// Decides on the service and its sign-in.
    ///
    /// # Errors
    /// The settings name no service, or contradict each other.
    pub(crate) fn service(&self) -> Result<Service, AppError> {
        let token = self.token();
        if let Some(profile) = self.chosen_profile()? {
            return self.of_profile(profile, token);
        }
        let embedded_asked = self.profile.is_some();
        match (&self.graph_url, token) {
            (Some(url), Some(token)) if !embedded_asked => {
                let base = BaseUrl::parse(url)?;
                let proxy = Proxy::choose(&base, environment)?;
                Ok(Service::Graph { base, sign_in: SignIn::Token(token), proxy })
            }
            (Some(url), None) if !embedded_asked => {
                // A bad address is reported before the missing token.
                BaseUrl::parse(url)?;
                Err(AppError::new("not_signed_in", "not signed in: there is no access token")
                    .hint("`planwright auth login`, or set PLANWRIGHT_TOKEN to an access token for the service"))
            }
            // A real token without a service is most likely a forgotten `--graph-url`.
            (_, Some(token)) if !embedded_asked && !token.reveal().starts_with(USER_TOKEN) => {
                Err(AppError::usage("PLANWRIGHT_TOKEN is set, but no service is named")
                    .hint("add `--graph-url https://graph.microsoft.com/v1.0`, or `--profile embedded` for the demo board"))
            }
            (_, token) => {
                let user = token.as_ref().and_then(|token| token.reveal().strip_prefix(USER_TOKEN));
                let user = user.unwrap_or(EMBEDDED_USER).to_owned();
                let data = self.state_dir()?.join(EMBEDDED).join("planner.db");
                Ok(Service::Embedded { data, user })
            }
        }
    }

    /// Returns the service of a profile, with a ready token in the place of its sign-in if there is
    /// one.
    fn of_profile(&self, profile: Profile, token: Option<Secret>) -> Result<Service, AppError> {
        let own = BaseUrl::parse(&profile.graph_url)?;
        let base = self.graph_url.as_deref().map_or(Ok(own.clone()), BaseUrl::parse)?;
        if base.origin() != own.origin() {
            let (name, own, other) = (&profile.name, own.origin(), base.origin());
            let message = format!("the profile `{name}` is signed in for {own}, not for {other}");
            return Err(AppError::usage(message)
                .hint("leave out --graph-url, or sign in there with a profile of its own"));
        }
        let proxy = Proxy::choose(&base, environment)?;
        let sign_in = match token {
            Some(token) => SignIn::Token(token),
            None => SignIn::Profile(Box::new(profile)),
        };
        Ok(Service::Graph { base, sign_in, proxy })
    }
}

//! The settings of a process, from arguments and environment together.
//!
//! Nothing else reads the environment, so that all settings are resolved in one place.

use std::path::PathBuf;

use crate::app::error::AppError;
use crate::app::state_dir;
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
        /// The access token of the user who is signed in.
        token: Secret,
        /// The proxy in front of it.
        proxy: Option<Proxy>,
    },
}

impl Service {
    /// Returns the name of the service in saved change sets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Embedded { .. } => EMBEDDED.to_owned(),
            Self::Graph { base, .. } => base.to_string(),
        }
    }
}

const EMBEDDED: &str = "embedded";
const EMBEDDED_USER: &str = "rook@bos.example";
/// Prefix of a token that names a user of the embedded Planner.
const USER_TOKEN: &str = "emulator:";

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Returns the folder for what is kept between runs.
    ///
    /// # Errors
    /// There is none, or others can write to it.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, AppError> {
        state_dir::choose(self.state_dir.as_deref())
    }

    /// Returns whether the environment has an access token.
    pub(crate) fn has_token() -> bool {
        environment("PLANWRIGHT_TOKEN").is_some()
    }

    /// Decides on the service and its token.
    ///
    /// # Errors
    /// The settings name no service, or contradict each other.
    pub(crate) fn service(&self) -> Result<Service, AppError> {
        let token = environment("PLANWRIGHT_TOKEN");
        match self.profile.as_deref() {
            None | Some(EMBEDDED) => {}
            Some(other) => {
                return Err(AppError::usage(format!("there is no profile `{other}`"))
                    .hint("the only profile is `embedded`; name a service with --graph-url and PLANWRIGHT_TOKEN"));
            }
        }
        let embedded_asked = self.profile.is_some();
        match (&self.graph_url, token) {
            (Some(url), Some(token)) if !embedded_asked => {
                let base = BaseUrl::parse(url)?;
                let proxy = Proxy::choose(&base, environment)?;
                Ok(Service::Graph { base, token: Secret::new(token), proxy })
            }
            (Some(url), None) if !embedded_asked => {
                // A bad address is reported before the missing token.
                BaseUrl::parse(url)?;
                Err(AppError::new("not_permitted", "not signed in: there is no access token")
                    .hint("set PLANWRIGHT_TOKEN to an access token for the service"))
            }
            // A real token without a service is most likely a forgotten `--graph-url`.
            (_, Some(token)) if !embedded_asked && !token.starts_with(USER_TOKEN) => {
                Err(AppError::usage("PLANWRIGHT_TOKEN is set, but no service is named")
                    .hint("add `--graph-url https://graph.microsoft.com/v1.0`, or `--profile embedded` for the demo board"))
            }
            (_, token) => {
                let user = token.as_deref().and_then(|token| token.strip_prefix(USER_TOKEN));
                let user = user.unwrap_or(EMBEDDED_USER).to_owned();
                let data = self.state_dir()?.join(EMBEDDED).join("planner.db");
                Ok(Service::Embedded { data, user })
            }
        }
    }
}

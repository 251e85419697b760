//! What the arguments, the environment and the configuration mean together.
//!
//! The only reader of the environment. Everything is resolved once, before anything is done.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::cli::args::Global;
use crate::cli::error::CommandError;
use crate::cli::trust;
use crate::files::{self, Exposure};
use crate::graph::{BaseUrl, Proxy, Secret};
use crate::script::Workspace;

/// The service to work on.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    /// The embedded Planner.
    Embedded {
        /// Where its data is.
        data: PathBuf,
        /// The principal name of the user who is signed in.
        user: String,
    },
    /// A Graph service elsewhere.
    Graph {
        /// Its address.
        base: BaseUrl,
        /// Who is signed in.
        token: Secret,
        /// The proxy in front of it.
        proxy: Option<Proxy>,
    },
}

impl Service {
    /// Returns what the service is called in saved change sets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Embedded { .. } => EMBEDDED.to_owned(),
            Self::Graph { base, .. } => base.to_string(),
        }
    }
}

const EMBEDDED: &str = "embedded";
const EMBEDDED_USER: &str = "rook@bos.example";
/// What precedes the principal name in a token that names a user of the embedded Planner.
const USER_TOKEN: &str = "emulator:";

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

/// Returns the folder for what is kept between runs.
pub(crate) fn state_dir(global: &Global) -> Result<PathBuf, CommandError> {
    let dir = match &global.state_dir {
        Some(dir) => dir.clone(),
        None => directories::ProjectDirs::from("", "", "planwright")
            .map(|dirs| dirs.data_local_dir().to_owned())
            .ok_or_else(|| {
                CommandError::new("io", "there is no home directory to keep state in")
                    .hint("name a folder with `--state-dir DIR`")
            })?,
    };
    check_private(&dir)?;
    Ok(dir)
}

/// Refuses a folder that others can write to: they could replace the journal, the key of saved sets
/// and the board.
fn check_private(dir: &Path) -> Result<(), CommandError> {
    let refused = |what: &str| {
        CommandError::new("io", format!("the state folder `{}` {what}", dir.display()))
    };
    match files::exposure(dir) {
        None => Ok(()),
        Some(Exposure::Foreign) => Err(refused("belongs to somebody else")
            .hint("name a folder of your own with `--state-dir DIR`")),
        Some(Exposure::Writable) => Err(refused("can be written by others")
            .hint(format!("if all that is in it is yours: chmod go-w '{}'", dir.display()))),
    }
}

/// Decides which service is meant, and by which token.
pub(crate) fn service(global: &Global) -> Result<Service, CommandError> {
    let token = environment("PLANWRIGHT_TOKEN");
    match global.profile.as_deref() {
        None | Some(EMBEDDED) => {}
        Some(other) => {
            return Err(CommandError::usage(format!("there is no profile `{other}`"))
                .hint("the only profile is `embedded`; name a service with --graph-url and PLANWRIGHT_TOKEN"));
        }
    }
    let embedded_asked = global.profile.is_some();
    match (&global.graph_url, token) {
        (Some(url), Some(token)) if !embedded_asked => {
            let base = BaseUrl::parse(url)?;
            let proxy = Proxy::choose(&base, environment)?;
            Ok(Service::Graph { base, token: Secret::new(token), proxy })
        }
        (Some(url), None) if !embedded_asked => {
            BaseUrl::parse(url)?;
            Err(CommandError::new("not_permitted", "not signed in: there is no access token")
                .hint("set PLANWRIGHT_TOKEN to an access token for the service"))
        }
        (_, Some(token)) if !embedded_asked && !token.starts_with(USER_TOKEN) => {
            Err(CommandError::usage("PLANWRIGHT_TOKEN is set, but no service is named")
                .hint("add `--graph-url https://graph.microsoft.com/v1.0`, or `--profile embedded` for the demo board"))
        }
        (_, token) => {
            let user = token.as_deref().and_then(|it| it.strip_prefix(USER_TOKEN));
            let user = user.unwrap_or(EMBEDDED_USER).to_owned();
            let data = state_dir(global)?.join(EMBEDDED).join("planner.db");
            Ok(Service::Embedded { data, user })
        }
    }
}

/// Reads the workspace: the one named, the nearest at or above the working directory, or the
/// one inside the program.
pub(crate) fn workspace(global: &Global) -> Result<Workspace, CommandError> {
    let root = match &global.workspace {
        Some(root) => Some(root.clone()),
        None => std::env::current_dir().ok().and_then(|it| Workspace::find(&it)),
    };
    Ok(match root {
        Some(root) => {
            trust::check(global, &root)?;
            Workspace::load(&root)?
        }
        None => Workspace::shipped(),
    })
}

/// Returns the zone that decides what today is.
pub(crate) fn time_zone(workspace: &Workspace) -> Result<TimeZone, CommandError> {
    match &workspace.config.time_zone {
        None => Ok(TimeZone::system()),
        Some(name) => TimeZone::get(name).map_err(|error| {
            CommandError::new("config", format!("`{name}` is not a time zone"))
                .caused_by(&error)
                .hint("time_zone in planwright.toml is a name like \"Pacific/Auckland\"")
        }),
    }
}

/// Makes a folder that only its owner can look into.
pub(crate) fn make_private_dir(dir: &Path) -> Result<(), CommandError> {
    files::make_private(dir).map_err(|error| {
        CommandError::new("io", format!("can not make the folder `{}`", dir.display()))
            .caused_by(&error)
            .hint("name another with `--state-dir DIR`")
    })?;
    check_private(dir)
}

//! What the arguments, the environment and the configuration mean together.
//!
//! The only reader of the environment. Everything is resolved once, before anything is done.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::cli::args::Global;
use crate::cli::error::CommandError;
use crate::cli::trust;
use crate::graph::{BaseUrl, Secret};
use crate::script::Workspace;

/// The service to work on.
#[derive(Debug, Clone)]
pub(crate) enum Service {
    /// The embedded Planner, signed in with this token.
    Embedded {
        /// Where its data is.
        data: PathBuf,
        /// Who is signed in.
        token: Secret,
    },
    /// A Graph service elsewhere.
    Graph {
        /// Its address.
        base: BaseUrl,
        /// Who is signed in.
        token: Secret,
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
const EMBEDDED_TOKEN: &str = "emulator:rook@bos.example";

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

/// Returns the folder for what is kept between runs.
pub(crate) fn state_dir(global: &Global) -> Result<PathBuf, CommandError> {
    if let Some(dir) = &global.state_dir {
        return Ok(dir.clone());
    }
    directories::ProjectDirs::from("", "", "planwright")
        .map(|dirs| dirs.data_local_dir().to_owned())
        .ok_or_else(|| {
            CommandError::new("io", "there is no home directory to keep state in")
                .hint("name a folder with `--state-dir DIR`")
        })
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
            Ok(Service::Graph { base: BaseUrl::parse(url)?, token: Secret::new(token) })
        }
        (Some(url), None) if !embedded_asked => {
            BaseUrl::parse(url)?;
            Err(CommandError::new("not_permitted", "not signed in: there is no access token")
                .hint("set PLANWRIGHT_TOKEN to an access token for the service"))
        }
        (_, Some(token)) if !embedded_asked && !token.starts_with("emulator:") => {
            Err(CommandError::usage("PLANWRIGHT_TOKEN is set, but no service is named")
                .hint("add `--graph-url https://graph.microsoft.com/v1.0`, or `--profile embedded` for the demo board"))
        }
        (_, token) => {
            let token = token.filter(|it| it.starts_with("emulator:"));
            let data = state_dir(global)?.join(EMBEDDED).join("planner.db");
            let token = Secret::new(token.unwrap_or_else(|| EMBEDDED_TOKEN.to_owned()));
            Ok(Service::Embedded { data, token })
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
    let failed = |error: std::io::Error| {
        CommandError::new("io", format!("can not make the folder `{}`", dir.display()))
            .caused_by(&error)
            .hint("name another with `--state-dir DIR`")
    };
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(dir).map_err(failed)
}

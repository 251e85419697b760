//! The connection to the service: Graph elsewhere, or the embedded Planner behind the same client.

pub(crate) mod embedded;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use tokio::sync::Mutex;

use crate::app::App;
use crate::app::connection::embedded::Embedded;
use crate::app::error::AppError;
use crate::app::settings::{Service, Settings, SignIn};
use crate::app::workspace::time_zone;
use crate::app::{sign_in, state_dir};
use crate::auth;
use crate::emulator::{Options, Storage};
use crate::graph::Client;
use crate::host::SystemClock;
use crate::script::Workspace;

/// A connection to the service. The embedded Planner is served as long as this lives.
pub(crate) struct ServiceConnection {
    /// The client, signed in.
    pub(crate) client: Client,
    /// The name of the service.
    pub(crate) service: String,
    /// True if a demo board was set up just now.
    pub(crate) is_new: bool,
    _embedded: Option<Embedded>,
}

impl ServiceConnection {
    /// Connects to the chosen service.
    ///
    /// # Errors
    /// None is chosen, or the embedded one cannot be opened.
    pub(crate) async fn open(settings: &Settings, workspace: &Workspace) -> Result<Self, AppError> {
        let chosen = settings.service()?;
        let service = chosen.name();
        let beta = settings.beta || workspace.config.beta;
        match chosen {
            Service::Graph { base, sign_in, proxy } => {
                let base = if beta { base.beta() } else { base };
                let client = match sign_in {
                    // Nobody has verified its claims; they only decide whether to ask for `/me`.
                    SignIn::Token(token) if auth::is_of_app(&token) => {
                        let ready = Arc::new(auth::ReadyApplication::of(token));
                        Client::signed_in(base, ready, proxy.as_ref())?
                    }
                    SignIn::Token(token) => Client::through(base, &token, proxy.as_ref())?,
                    SignIn::Profile(profile) => {
                        let signed_in = sign_in::open(settings, *profile)?;
                        Client::signed_in(base, Arc::new(signed_in), proxy.as_ref())?
                    }
                };
                Ok(Self { client, service, is_new: false, _embedded: None })
            }
            Service::Embedded { data, user } => {
                if let Some(folder) = data.parent() {
                    state_dir::make_private(folder)?;
                }
                let mut options = Options::new(Storage::File(data), Arc::new(SystemClock));
                // A bad zone is reported where it decides anything.
                options.zone = time_zone(workspace).unwrap_or(TimeZone::UTC);
                let embedded = Embedded::serve(options, |error| {
                    AppError::new("io", "cannot open the embedded Planner")
                        .caused_by(error)
                        .hint("name another folder with `--state-dir DIR`")
                })
                .await?;
                let is_new = embedded.emulator.is_empty().unwrap_or(false);
                if is_new {
                    embedded.emulator.seed_demo().map_err(|error| {
                        AppError::new("io", "cannot set up the demo board").caused_by(&error)
                    })?;
                }
                let client = embedded.client(&user, beta)?;
                Ok(Self { client, service, is_new, _embedded: Some(embedded) })
            }
        }
    }
}

/// The connections of agents that sign in with a profile of their own, each opened when it is first needed.
pub(crate) struct OwnConnections {
    /// The service at which they work.
    service: String,
    open: Mutex<BTreeMap<String, Arc<ServiceConnection>>>,
}

impl OwnConnections {
    /// Makes a place for those of agents that work beside a connection, at the same service.
    pub(crate) fn beside(connection: &ServiceConnection) -> Self {
        Self { service: connection.service.clone(), open: Mutex::default() }
    }

    /// Returns the connection of an agent; `None` if it has no profile of its own.
    ///
    /// # Errors
    /// The profile does not exist, or is for another service.
    pub(crate) async fn of(
        &self,
        app: &App,
        agent: Option<&str>,
    ) -> Result<Option<Arc<ServiceConnection>>, AppError> {
        let Some(profile) = app.own_profile(agent) else { return Ok(None) };
        let mut open = self.open.lock().await;
        if let Some(known) = open.get(profile) {
            return Ok(Some(Arc::clone(known)));
        }
        let opened = Arc::new(app.connect(agent).await?);
        if opened.service != self.service {
            let (name, theirs) = (agent.unwrap_or_default(), &opened.service);
            let message =
                format!("the agent `{name}` is signed in for {theirs}, not for {}", self.service);
            return Err(AppError::new("config", message)
                .hint("work where it is signed in, or give it another `profile`"));
        }
        open.insert(profile.to_owned(), Arc::clone(&opened));
        Ok(Some(opened))
    }
}

#[cfg(test)]
mod tests;

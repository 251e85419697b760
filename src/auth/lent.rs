//! Identities that the platform lends: that of the Azure CLI, of the machine, of a workload. Nothing of
//! them is kept, since the platform gives a token whenever it is asked (planner-api.md 10.6).

mod azure_cli;
mod managed;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use crate::auth::app_flow::{Application, by_assertion};
use crate::auth::authority::Authority;
use crate::auth::claims::{end_of, permissions_of};
use crate::auth::error::Error;
use crate::auth::oauth::Granted;
use crate::auth::profile::{Flow, Profile};
use crate::files;
use crate::graph::{Secret, SignInError};

/// The largest assertion that is read, in bytes.
const MAX_ASSERTION: u64 = 64 << 10;
/// The lifetime of a token that does not say when it ends: short, so that it is asked for again.
const SHORT_LIFE: Duration = Duration::from_secs(300);

/// The places at which the platform lends identities, as the environment names them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The address at which an app of a hosting service gets tokens, and what it must show there.
    pub(crate) identity_endpoint: Option<String>,
    pub(crate) identity_header: Option<Secret>,
    /// The address of the metadata service, if it is another than that of Azure's machines.
    pub(crate) metadata: Option<String>,
    /// The file with the assertion of a workload, and the application that it is for.
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) client_id: Option<String>,
    pub(crate) tenant: Option<String>,
    /// The address of the sign-in service.
    pub(crate) authority: Option<String>,
}

/// Asks the platform for a token of a profile.
///
/// # Errors
/// There is no such platform here, nobody is signed in at it, or it refuses.
pub(crate) async fn lent(
    profile: &Profile,
    authority: &Authority,
    surroundings: &Surroundings,
    claims: Option<&str>,
    now: Timestamp,
) -> Result<Granted, Error> {
    let url = Url::parse(&profile.graph_url)
        .map_err(|_| Error::Invalid(format!("`{}` is not a URL", profile.graph_url)))?;
    let resource = url.origin().ascii_serialization();
    match profile.flow {
        Flow::AzureCli => azure_cli::token(&resource, &profile.tenant, now).await,
        Flow::ManagedIdentity => {
            managed::token(&resource, &profile.client_id, surroundings, now).await
        }
        _ => by_workload(profile, authority, surroundings, claims).await,
    }
}

/// Signs a workload in with the assertion that its platform puts in a file, and replaces from time to
/// time: it is read each time.
async fn by_workload(
    profile: &Profile,
    authority: &Authority,
    surroundings: &Surroundings,
    claims: Option<&str>,
) -> Result<Granted, Error> {
    let Some(path) = &surroundings.token_file else {
        let why = "AZURE_FEDERATED_TOKEN_FILE, which names the file with its assertion, is not set";
        return Err(SignInError::Refused(why.to_owned()).into());
    };
    let assertion = files::read(path, MAX_ASSERTION)?;
    let (client_id, graph_url) = (profile.client_id.as_str(), profile.graph_url.as_str());
    let application = Application { authority, client_id, graph_url, claims };
    by_assertion(application, &Secret::new(assertion.trim().to_owned())).await
}

/// Returns what a token grants that the platform gave.
fn granted(access: String, ends: Option<Timestamp>, now: Timestamp) -> Granted {
    let access = Secret::new(access);
    let ends = ends.or_else(|| end_of(&access));
    // One that has ended already is good for nothing, not for a short while.
    let left = |ends: Timestamp| Duration::try_from(ends.duration_since(now)).unwrap_or_default();
    let life = ends.map(left);
    Granted {
        refresh: None,
        identity: None,
        scopes: permissions_of(&access),
        life: life.unwrap_or(SHORT_LIFE),
        access,
    }
}

/// Returns a text of somebody else's as it can be shown: one line, and not a long one.
fn shown(text: &str) -> String {
    text.trim().chars().map(|ch| if ch.is_control() { ' ' } else { ch }).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_has_ended_is_good_for_nothing() {
        let now: Timestamp = "2026-03-27T12:00:00Z".parse().unwrap();
        let of = |ends: Option<&str>| {
            granted("opaque".into(), ends.map(|ends| ends.parse().unwrap()), now).life
        };
        assert_eq!(of(Some("2026-03-27T11:59:00Z")), Duration::ZERO);
        assert_eq!(of(Some("2026-03-27T12:01:00Z")), Duration::from_secs(60));
        assert_eq!(of(None), SHORT_LIFE);
    }
}

//! An application that signs in as itself, with a secret or with an assertion in its place
//! (planner-api.md 10.6).

use oauth2::{ClientSecret, Scope};

use crate::auth::authority::Authority;
use crate::auth::claims::roles_of;
use crate::auth::error::Error;
use crate::auth::oauth::{Granted, all_of, client, meaning};
use crate::graph::Secret;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An application and the service that it signs in for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Application<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) client_id: &'a str,
    pub(crate) graph_url: &'a str,
    /// The claims that the service asks for, as JSON.
    pub(crate) claims: Option<&'a str>,
}

/// Signs an application in with its secret, for all that an administrator has granted it.
///
/// # Errors
/// The secret is wrong, or the application unknown in the tenant.
pub(crate) async fn by_secret(
    application: Application<'_>,
    secret: &Secret,
) -> Result<Granted, Error> {
    granted(application, Some(secret), None).await
}

/// Signs an application in with an assertion: a text that says who it is, signed by itself or by
/// somebody whom the tenant trusts.
///
/// # Errors
/// The assertion is refused, or the application unknown in the tenant.
pub(crate) async fn by_assertion(
    application: Application<'_>,
    assertion: &Secret,
) -> Result<Granted, Error> {
    granted(application, None, Some(assertion)).await
}

async fn granted(
    application: Application<'_>,
    secret: Option<&Secret>,
    assertion: Option<&Secret>,
) -> Result<Granted, Error> {
    let Application { authority, client_id, graph_url, claims } = application;
    let mut client = client(authority, client_id)?;
    if let Some(secret) = secret {
        client = client.set_client_secret(ClientSecret::new(secret.reveal().to_owned()));
    }
    let mut request =
        client.exchange_client_credentials().add_scope(Scope::new(all_of(graph_url)?));
    if let Some(assertion) = assertion {
        request = request
            .add_extra_param("client_assertion_type", ASSERTION)
            .add_extra_param("client_assertion", assertion.reveal().to_owned());
    }
    if let Some(claims) = claims {
        request = request.add_extra_param("claims", claims);
    }
    let answer = request.request_async(&authority.http).await;
    let mut granted = Granted::of(&answer.map_err(meaning)?)?;
    // Its permissions are in the token; the answer names none.
    granted.scopes = roles_of(&granted.access);
    Ok(granted)
}

//! An application that signs in as itself, with a secret (planner-api.md 10.6).

use oauth2::{ClientSecret, Scope};

use crate::auth::authority::Authority;
use crate::auth::error::Error;
use crate::auth::oauth::{Granted, all_of, client, meaning};
use crate::graph::Secret;

/// Signs an application in with its secret, for all that an administrator has granted it.
///
/// # Errors
/// The secret is wrong, or the application unknown in the tenant.
pub(crate) async fn by_secret(
    authority: &Authority,
    client_id: &str,
    secret: &Secret,
    graph_url: &str,
) -> Result<Granted, Error> {
    let secret = ClientSecret::new(secret.reveal().to_owned());
    let client = client(authority, client_id)?.set_client_secret(secret);
    let answer = client
        .exchange_client_credentials()
        .add_scope(Scope::new(all_of(graph_url)?))
        .request_async(&authority.http)
        .await;
    Ok(answer.map_err(meaning)?.into())
}

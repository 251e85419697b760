//! Signing in with a device code (planner-api.md 10.2): the person types it at another device.

use oauth2::{Scope, StandardDeviceAuthorizationResponse};

use crate::auth::authority::Authority;
use crate::auth::error::Error;
use crate::auth::oauth::{Granted, client, ended_before, meaning};

/// Signs in with a code; `tell` shows the person where to type which.
///
/// # Errors
/// The person declines, the code expires, or the application may not sign in like this.
pub(crate) async fn by_device_code(
    authority: &Authority,
    client_id: &str,
    scopes: &[String],
    tell: impl Fn(&str, &str),
) -> Result<Granted, Error> {
    let client = client(authority, client_id)?;
    let scopes = scopes.iter().cloned().map(Scope::new);
    let asked = client.exchange_device_code().add_scopes(scopes).request_async(&authority.http);
    let code: StandardDeviceAuthorizationResponse = asked.await.map_err(meaning)?;
    tell(code.verification_uri().as_str(), code.user_code().secret());
    let answer = client
        .exchange_device_access_token(&code)
        .request_async(&authority.http, tokio::time::sleep, None)
        .await;
    Ok(Granted::of(&answer.map_err(meaning).map_err(ended_before)?)?)
}

#[cfg(test)]
mod tests;

//! Signing in with a device code (planner-api.md 10.2): the person types it at another device.

use std::time::Duration;

use oauth2::{Scope, StandardDeviceAuthorizationResponse};

use crate::auth::error::Error;
use crate::auth::oauth::{Delegated, Granted, client, ended_before, meaning};

/// The shortest time between two questions whether the person has decided.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// Signs in with a code; `tell` shows the person where to type which.
///
/// # Errors
/// The person declines, the code expires, or the application may not sign in like this.
pub(crate) async fn by_device_code(
    wanted: Delegated<'_>,
    tell: impl Fn(&str, &str),
) -> Result<Granted, Error> {
    let Delegated { authority, client_id, scopes, claims } = wanted;
    let client = client(authority, client_id)?;
    let scopes = scopes.iter().cloned().map(Scope::new);
    let mut asking = client.exchange_device_code().add_scopes(scopes);
    if let Some(claims) = claims {
        asking = asking.add_extra_param("claims", claims);
    }
    let asked = asking.request_async(&authority.http).await;
    let code: StandardDeviceAuthorizationResponse = asked.map_err(meaning)?;
    tell(code.verification_uri().as_str(), code.user_code().secret());
    let mut polling = client.exchange_device_access_token(&code);
    if let Some(claims) = claims {
        polling = polling.add_extra_param("claims", claims);
    }
    // A service that names no interval is not asked all the time.
    let pause = |wait: Duration| tokio::time::sleep(wait.max(LEAST_INTERVAL));
    let answer = polling.request_async(&authority.http, pause, None).await;
    Ok(Granted::of(&answer.map_err(meaning).map_err(ended_before)?)?)
}

#[cfg(test)]
mod tests;

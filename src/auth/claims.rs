//! The claims of tokens, read for display only: nothing here is verified, and nothing is allowed
//! because of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::auth::profile::Account;
use crate::graph::Secret;

/// Returns the claims of a token; nothing if it is not one that tells them.
pub(crate) fn claims(token: &Secret) -> Value {
    let read = || {
        let part = token.reveal().split('.').nth(1)?;
        let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&bytes).ok()
    };
    read().unwrap_or(Value::Null)
}

/// The most characters of a name or address that a token tells.
const MAX_TEXT: usize = 256;

fn text(claims: &Value, name: &str) -> String {
    let told = claims.get(name).and_then(Value::as_str).unwrap_or_default();
    told.chars().take(MAX_TEXT).collect()
}

/// Returns the user whom an identity token tells of.
pub(crate) fn account_of_user(identity: &Secret) -> Account {
    let claims = claims(identity);
    Account {
        id: text(&claims, "oid"),
        name: text(&claims, "name"),
        upn: text(&claims, "preferred_username"),
        tenant: text(&claims, "tid"),
    }
}

/// Returns the application that an access token tells of.
pub(crate) fn account_of_app(access: &Secret, client_id: &str) -> Account {
    let claims = claims(access);
    let name = text(&claims, "app_displayname");
    Account {
        id: text(&claims, "oid"),
        name: if name.is_empty() { format!("application {client_id}") } else { name },
        upn: client_id.to_owned(),
        tenant: text(&claims, "tid"),
    }
}

/// Returns the permissions of an application, as its access token tells them.
pub(crate) fn roles_of(access: &Secret) -> Vec<String> {
    let claims = claims(access);
    let roles = claims.get("roles").and_then(Value::as_array);
    let roles = roles.map(Vec::as_slice).unwrap_or_default();
    roles.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

//! The claims of tokens, read for display only: nothing here is verified, and nothing is allowed
//! because of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use crate::auth::profile::Account;
use crate::graph::{Refused, Secret, TokenFuture, Tokens};
use crate::model::{User, UserId};

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
        is_app: false,
    }
}

/// Returns the application that an access token tells of.
pub(crate) fn account_of_app(access: &Secret, client_id: &str) -> Account {
    let claims = claims(access);
    let name = text(&claims, "app_displayname");
    let told = ["appid", "azp"].map(|name| text(&claims, name));
    let upn = told.into_iter().find(|id| !id.is_empty()).unwrap_or_else(|| client_id.to_owned());
    Account {
        id: text(&claims, "oid"),
        name: if name.is_empty() { format!("application {upn}") } else { name },
        upn,
        tenant: text(&claims, "tid"),
        is_app: true,
    }
}

/// A ready token of an application that signs in as itself.
#[derive(Debug)]
pub(crate) struct ReadyApplication {
    token: Secret,
    application: Option<User>,
}

impl ReadyApplication {
    /// Takes the token; what it makes is known by the application's id.
    pub(crate) fn of(token: Secret) -> Self {
        let Account { upn, name, .. } = account_of_app(&token, "");
        let application = UserId::parse(&upn).ok().map(|id| User { id, name, upn, mail: None });
        Self { token, application }
    }
}

impl Tokens for ReadyApplication {
    fn token<'a>(&'a self, _: Option<&'a Refused>) -> TokenFuture<'a> {
        Box::pin(std::future::ready(Ok(self.token.clone())))
    }

    fn application(&self) -> Option<User> {
        self.application.clone()
    }
}

/// Returns whomever an access token tells of: an application, or a user.
pub(crate) fn account_of(access: &Secret) -> Account {
    if is_of_app(access) {
        return account_of_app(access, "");
    }
    let claims = claims(access);
    let names = ["upn", "preferred_username", "unique_name"].map(|name| text(&claims, name));
    let upn = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    Account { upn, ..account_of_user(access) }
}

/// Returns whether an access token is that of an application: it says so, or it has roles and no
/// scopes (planner-api.md 10.8).
pub(crate) fn is_of_app(access: &Secret) -> bool {
    let claims = claims(access);
    text(&claims, "idtyp") == "app" || (claims["scp"].is_null() && claims["roles"].is_array())
}

/// Returns the permissions of an application, as its access token tells them.
pub(crate) fn roles_of(access: &Secret) -> Vec<String> {
    let claims = claims(access);
    let roles = claims.get("roles").and_then(Value::as_array);
    let roles = roles.map(Vec::as_slice).unwrap_or_default();
    roles.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the permissions of whomever an access token is for.
pub(crate) fn permissions_of(access: &Secret) -> Vec<String> {
    match claims(access).get("scp").and_then(Value::as_str) {
        Some(scopes) => scopes.split_whitespace().map(str::to_owned).collect(),
        None => roles_of(access),
    }
}

/// Returns the moment at which an access token ends, if it says so.
pub(crate) fn end_of(access: &Secret) -> Option<Timestamp> {
    Timestamp::from_second(claims(access).get("exp")?.as_i64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(claims: &Value) -> Secret {
        Secret::new(format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string())))
    }

    #[test]
    fn a_token_tells_whose_it_is_what_it_allows_and_until_when() {
        let user = token(&json!({ "upn": "rook@bos.example", "scp": "A B", "exp": 1_800_000_000 }));
        assert!(!is_of_app(&user));
        assert_eq!(account_of(&user).upn, "rook@bos.example");
        assert_eq!(permissions_of(&user), ["A", "B"]);
        assert_eq!(end_of(&user).unwrap().as_second(), 1_800_000_000);
        let app = token(&json!({ "appid": "id", "roles": ["C"] }));
        assert!(is_of_app(&app));
        assert_eq!((account_of(&app).upn.as_str(), account_of(&app).is_app), ("id", true));
        assert_eq!(permissions_of(&app), ["C"]);
        for text in ["", "emulator:rook@bos.example", "a.b.c", "a.W10.c"] {
            let other = Secret::new(text.to_owned());
            assert!(!is_of_app(&other) && end_of(&other).is_none(), "{text}");
            assert_eq!(account_of(&other), Account::default());
        }
    }
}

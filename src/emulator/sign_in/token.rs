//! Access and id tokens: JSON Web Tokens without a signature.
//!
//! planner-api.md 10.8. A signed token, such as a real one, is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::emulator::sign_in::caller::{CLIENT, Caller};
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id::TENANT;

/// The audience of access tokens, as an address and as an application id (planner-api.md 2.6).
pub(crate) const GRAPH: &str = "https://graph.microsoft.com";
pub(crate) const GRAPH_ID: &str = "00000003-0000-0000-c000-000000000000";

/// The number of access tokens so far.
static MINTED: AtomicU64 = AtomicU64::new(0);

/// Writes a token.
pub(crate) fn mint(claims: &Value) -> String {
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    format!("{head}.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Mints an access token for a caller.
pub(crate) fn access(
    caller: &Caller,
    name: Option<&str>,
    issuer: &str,
    now: i64,
    life: i64,
) -> String {
    let mut claims = json!({
        "aud": GRAPH,
        "iss": issuer,
        "iat": now,
        "nbf": now,
        "exp": now + life,
        "appid": caller.client,
        "oid": caller.id,
        "sub": caller.id,
        "tid": TENANT,
        // No two tokens are alike, not even of one second.
        "uti": format!("{now:x}.{:x}", MINTED.fetch_add(1, Ordering::Relaxed)),
        "ver": "1.0",
    });
    let permissions = caller.permissions.clone().unwrap_or_default();
    match &caller.upn {
        Some(upn) => {
            claims["scp"] = permissions.join(" ").into();
            claims["upn"] = upn.as_str().into();
            claims["name"] = name.into();
        }
        None => {
            claims["roles"] = permissions.into();
            claims["idtyp"] = "app".into();
        }
    }
    mint(&claims)
}

/// Reads an access token.
///
/// # Errors
///
/// 401 if it is not a token, is for another audience, or is not valid now (planner-api.md 9.2).
pub(crate) fn read(token: &str, origin: &str, now: Timestamp) -> Result<Caller, GraphError> {
    let claims = claims(token).ok_or_else(GraphError::bad_token)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let second = |name: &str| claims.get(name).and_then(Value::as_i64);
    let audience = text("aud").unwrap_or_default().trim_end_matches('/');
    // Clients name Graph by address or by id; one that knows only the emulator names its origin.
    if ![GRAPH, GRAPH_ID, origin].contains(&audience) {
        let reason = "Access token validation failure. Invalid audience.";
        return Err(GraphError::unauthorized(reason));
    }
    if second("exp").is_none_or(|exp| exp <= now.as_second()) {
        let reason = "Lifetime validation failed, the token is expired.";
        return Err(GraphError::unauthorized(reason));
    }
    if second("nbf").is_some_and(|nbf| nbf > now.as_second()) {
        let reason = "Access token has expired or is not yet valid.";
        return Err(GraphError::unauthorized(reason));
    }
    // `scp` means a delegated token, even beside `roles` (planner-api.md 10.8).
    let (upn, permissions) = match (text("scp"), claims.get("roles").and_then(Value::as_array)) {
        (Some(scopes), _) => {
            let upn = text("upn").unwrap_or_default().to_owned();
            (Some(upn), scopes.split_whitespace().map(str::to_owned).collect())
        }
        (None, Some(roles)) => {
            (None, roles.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        (None, None) => return Err(GraphError::bad_token()),
    };
    let id = text("oid").ok_or_else(GraphError::bad_token)?.to_owned();
    let client = text("appid").or_else(|| text("azp")).unwrap_or(CLIENT).to_owned();
    Ok(Caller { id, upn, client, permissions: Some(permissions) })
}

/// Reads the claims of a JWT, whoever has signed it.
pub(crate) fn claims_of_any(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (_, body, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}

fn claims(token: &str) -> Option<Value> {
    let mut parts = token.split('.');
    let (head, body, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let decode = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let is_unsigned = decode(head)?.get("alg")? == "none" && signature.is_empty();
    (is_unsigned && parts.next().is_none()).then(|| decode(body))?
}

//! Grants: device codes, authorization codes and refresh tokens, which a client redeems later.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::emulator::sign_in::scope::Form;
use crate::emulator::state::graph_error::GraphError;

/// The time for which an expired grant is kept, so that its owner is told that it expired.
const REMEMBERED_S: i64 = 24 * 3600;
/// The letters and digits of user codes, without those that look alike.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// A grant that was issued.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Grant {
    pub(crate) client: String,
    pub(crate) scopes: Vec<String>,
    /// The form in which the scopes were asked for.
    #[serde(default)]
    pub(crate) form: Form,
    pub(crate) expires: i64,
    pub(crate) kind: GrantKind,
}

/// The kind of a grant.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) enum GrantKind {
    Device {
        user_code: String,
        state: State,
        interval: i64,
        polled: Option<i64>,
    },
    Code {
        user: String,
        redirect_uri: String,
        challenge: Option<String>,
        nonce: Option<String>,
        used: bool,
    },
    Refresh {
        user: String,
    },
}

/// The state of a device code (planner-api.md 10.2).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum State {
    Pending,
    /// By the user with this id.
    Approved(String),
    Declined,
}

/// Stores a grant under a new code.
pub(crate) fn issue(conn: &Connection, grant: &Grant, now: i64) -> Result<String, GraphError> {
    // Cleaned up whenever one is issued, so that no timer is needed.
    conn.execute("DELETE FROM sign_in_grant WHERE expires < ?1", [now - REMEMBERED_S])?;
    let mut bytes = Uuid::new_v4().into_bytes().to_vec();
    bytes.extend(Uuid::new_v4().into_bytes());
    let code = format!("1.{}", URL_SAFE_NO_PAD.encode(bytes));
    let user_code = match &grant.kind {
        GrantKind::Device { user_code, .. } => Some(user_code),
        _ => None,
    };
    conn.execute(
        "INSERT INTO sign_in_grant (code, user_code, expires, doc) VALUES (?1, ?2, ?3, ?4)",
        params![code, user_code, grant.expires, json!(grant).to_string()],
    )?;
    Ok(code)
}

/// Finds a grant by its code.
pub(crate) fn find(conn: &Connection, code: &str) -> Result<Option<Grant>, GraphError> {
    let doc: Option<String> = conn
        .query_row("SELECT doc FROM sign_in_grant WHERE code = ?1", [code], |row| row.get(0))
        .optional()?;
    Ok(doc.and_then(|doc| serde_json::from_str(&doc).ok()))
}

/// Stores the new state of a grant.
pub(crate) fn update(conn: &Connection, code: &str, grant: &Grant) -> Result<(), GraphError> {
    conn.execute(
        "UPDATE sign_in_grant SET doc = ?2 WHERE code = ?1",
        params![code, json!(grant).to_string()],
    )?;
    Ok(())
}

/// Deletes a grant.
pub(crate) fn remove(conn: &Connection, code: &str) -> Result<(), GraphError> {
    conn.execute("DELETE FROM sign_in_grant WHERE code = ?1", [code])?;
    Ok(())
}

/// Returns a new code for a person to type.
pub(crate) fn new_user_code() -> String {
    let letter =
        |byte: &u8| ALPHABET.get(usize::from(byte % 32)).map_or('A', |letter| char::from(*letter));
    Uuid::new_v4().into_bytes().iter().take(9).map(letter).collect()
}

/// The decision of a person on a device code.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// Approves it as the user with this id.
    Approve(String),
    Decline,
}

/// Approves or declines a device code; returns whether it was pending.
pub(crate) fn decide(
    conn: &Connection,
    user_code: &str,
    decision: Decision,
    now: i64,
) -> Result<bool, GraphError> {
    // A person types it, perhaps in groups and in lower case.
    let user_code = user_code.replace('-', "").to_uppercase();
    let code: Option<String> = conn
        .query_row("SELECT code FROM sign_in_grant WHERE user_code = ?1", [&user_code], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(code) = code else { return Ok(false) };
    let Some(mut grant) = find(conn, &code)? else { return Ok(false) };
    let GrantKind::Device { state, .. } = &mut grant.kind else { return Ok(false) };
    if *state != State::Pending || grant.expires <= now {
        return Ok(false);
    }
    *state = match decision {
        Decision::Approve(user) => State::Approved(user),
        Decision::Decline => State::Declined,
    };
    update(conn, &code, &grant)?;
    Ok(true)
}

/// Returns the pending device codes, as `/control/devicecode` shows them.
pub(crate) fn pending(conn: &Connection, now: i64) -> Result<Vec<Value>, GraphError> {
    let mut statement =
        conn.prepare("SELECT doc FROM sign_in_grant WHERE user_code IS NOT NULL AND expires > ?1")?;
    let docs = statement.query_map([now], |row| row.get::<_, String>(0))?;
    let mut out = Vec::new();
    for doc in docs {
        let grant: Option<Grant> = serde_json::from_str(&doc?).ok();
        if let Some(Grant {
            client, scopes, kind: GrantKind::Device { user_code, state, .. }, ..
        }) = grant
            && state == State::Pending
        {
            out.push(json!({
                "user_code": user_code,
                "client_id": client,
                "scope": scopes.join(" "),
            }));
        }
    }
    Ok(out)
}

//! Consent: the scopes that a user has granted to a client, which stay granted.
//!
//! planner-api.md 10.4. Nobody is asked; whatever a client signs in for is granted.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::emulator::sign_in::scope;

/// The number of pairs of client and user that are remembered, and of scopes of one.
const MAX_PAIRS: i64 = 10_000;
const MAX_SCOPES: usize = 200;

/// Returns the scopes of a resource that a user has consented to, the earliest first.
pub(crate) fn of(conn: &Connection, client: &str, user: &str) -> rusqlite::Result<Vec<String>> {
    let text: Option<String> = conn
        .prepare_cached("SELECT scopes FROM sign_in_consent WHERE client = ?1 AND user_id = ?2")?
        .query_row([client, user], |row| row.get(0))
        .optional()?;
    Ok(text
        .unwrap_or_default()
        .split(' ')
        .filter(|one| !one.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Adds scopes to those that a user has consented to and returns all of them.
pub(crate) fn add(
    conn: &Connection,
    client: &str,
    user: &str,
    scopes: &[String],
) -> rusqlite::Result<Vec<String>> {
    let mut all = of(conn, client, user)?;
    let before = all.len();
    for scope in scopes {
        // Beyond the bound a client has what it asked for first.
        if all.len() < MAX_SCOPES && !scope::contains(&all, scope) {
            all.push(scope.clone());
        }
    }
    if all.len() > before {
        conn.prepare_cached(
            "INSERT INTO sign_in_consent (client, user_id, scopes) VALUES (?1, ?2, ?3) \
             ON CONFLICT (client, user_id) DO UPDATE SET scopes = excluded.scopes",
        )?
        .execute(params![client, user, all.join(" ")])?;
        conn.prepare_cached(
            "DELETE FROM sign_in_consent WHERE seq <= (SELECT max(seq) FROM sign_in_consent) - ?1",
        )?
        .execute([MAX_PAIRS])?;
    }
    Ok(all)
}

//! The scopes that a client may ask for, and their meaning.
//!
//! planner-api.md 2.6 and 10.1.

use crate::emulator::sign_in::refusal::Refusal;
use crate::emulator::sign_in::token::GRAPH;

/// The delegated permissions that exist here.
const DELEGATED: [&str; 10] = [
    "Tasks.Read",
    "Tasks.ReadWrite",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "User.Read",
    "User.ReadBasic.All",
    "User.Read.All",
    "Directory.Read.All",
];
/// The scopes that concern the answer and not a resource.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

/// Reads a list of scopes, short or with the address of Graph or of this server in front.
pub(crate) fn parse(text: &str, origin: &str) -> Result<Vec<String>, Refusal> {
    let mut scopes: Vec<String> = Vec::new();
    let mut asks_for_all = false;
    for raw in text.split_whitespace() {
        let name = [GRAPH, origin]
            .iter()
            .find_map(|root| raw.strip_prefix(root)?.strip_prefix('/'))
            .unwrap_or(raw);
        if name == ".default" {
            asks_for_all = true;
            continue;
        }
        let mut known = DELEGATED.iter().chain(&OPENID);
        let Some(known) = known.find(|known| known.eq_ignore_ascii_case(name)) else {
            return Err(Refusal::new(
                "invalid_scope",
                70011,
                format!("The provided value for the input parameter 'scope' is not valid: {raw}"),
            ));
        };
        if !scopes.iter().any(|scope| scope == known) {
            scopes.push((*known).to_owned());
        }
    }
    if asks_for_all {
        if scopes.iter().any(|scope| DELEGATED.contains(&scope.as_str())) {
            let reason = ".default scope can't be combined with resource-specific scopes.";
            return Err(Refusal::new("invalid_scope", 70011, reason));
        }
        scopes.extend(DELEGATED.map(str::to_owned));
    }
    if scopes.is_empty() {
        return Err(Refusal::missing("scope"));
    }
    Ok(scopes)
}

/// Returns the scopes as an answer and an access token state them, without those of OpenID.
pub(crate) fn of_resource(scopes: &[String]) -> Vec<String> {
    let own = |scope: &&String| !OPENID.contains(&scope.as_str());
    let found: Vec<String> = scopes.iter().filter(own).cloned().collect();
    if found.is_empty() { vec!["User.Read".to_owned()] } else { found }
}

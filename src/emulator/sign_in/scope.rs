//! The scopes that a client may ask for, and their meaning.
//!
//! planner-api.md 2.6, 10.1 and 10.4. Any scope of Graph is granted: an app that also reads mail
//! can sign in, although there is no mail here.

use crate::emulator::sign_in::refusal::Refusal;
use crate::emulator::sign_in::token::{GRAPH, GRAPH_ID};

/// The delegated permissions that mean something here; `.default` stands for all of them.
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
/// The scope that stands for all that was consented to.
const DEFAULT: &str = ".default";
/// The number of scopes in a request, and the length of one.
const MAX_SCOPES: usize = 100;
const MAX_LENGTH: usize = 120;

/// The form in which a request names the scopes of Graph, and in which the answer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Form {
    /// By name alone. Libraries look tokens up by the scopes of the answer, so that one who asked
    /// for names would not find its token under addresses.
    #[default]
    Short,
    /// With the address of Graph in front.
    Full,
    /// As `.default`, which the answer repeats beside full names.
    Default,
}

/// The scopes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Their names, without an address.
    pub(crate) scopes: Vec<String>,
    pub(crate) form: Form,
}

/// Reads a list of scopes, short or with the address or id of Graph, or the address of this server,
/// in front.
pub(crate) fn parse(text: &str, origin: &str) -> Result<Asked, Refusal> {
    let mut asked = Asked { scopes: Vec::new(), form: Form::Short };
    for raw in text.split_whitespace() {
        let bare = [GRAPH, GRAPH_ID, origin]
            .iter()
            // Twice the slash is what comes of a resource that ends with one.
            .find_map(|root| {
                Some(raw.strip_prefix(root)?.strip_prefix('/')?.trim_start_matches('/'))
            });
        let name = bare.unwrap_or(raw);
        if name == DEFAULT {
            asked.form = Form::Default;
            continue;
        }
        let known = DELEGATED.iter().chain(&OPENID).find(|known| known.eq_ignore_ascii_case(name));
        let name = known.copied().unwrap_or(name);
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let is_possible = !name.is_empty() && name.len() <= MAX_LENGTH && name.chars().all(is_name);
        if !is_possible || asked.scopes.len() >= MAX_SCOPES {
            return Err(Refusal::new(
                "invalid_scope",
                70011,
                format!("The provided value for the input parameter 'scope' is not valid: {raw}"),
            ));
        }
        if bare.is_some() && !OPENID.contains(&name) && asked.form == Form::Short {
            asked.form = Form::Full;
        }
        if !contains(&asked.scopes, name) {
            asked.scopes.push(name.to_owned());
        }
    }
    if asked.form == Form::Default {
        if !named(&asked.scopes).is_empty() {
            let reason = ".default scope can't be combined with resource-specific scopes.";
            return Err(Refusal::new("invalid_scope", 70011, reason));
        }
        asked.scopes.extend(DELEGATED.map(str::to_owned));
    }
    if asked.scopes.is_empty() {
        return Err(Refusal::missing("scope"));
    }
    Ok(asked)
}

/// Returns whether a scope is among others; they are compared without case.
pub(crate) fn contains(scopes: &[String], scope: &str) -> bool {
    scopes.iter().any(|one| one.eq_ignore_ascii_case(scope))
}

/// Returns the scopes of a resource among others.
pub(crate) fn named(scopes: &[String]) -> Vec<String> {
    let own = |scope: &&String| !OPENID.contains(&scope.as_str());
    scopes.iter().filter(own).cloned().collect()
}

/// Returns the scopes that a sign-in grants, without those of OpenID.
pub(crate) fn of_resource(scopes: &[String]) -> Vec<String> {
    let found = named(scopes);
    if found.is_empty() { vec!["User.Read".to_owned()] } else { found }
}

/// Returns granted scopes as an answer states them: those of Graph, then those of OpenID that were
/// asked for.
pub(crate) fn shown(granted: &[String], asked: &[String], form: Form) -> String {
    let mut shown: Vec<String> = granted
        .iter()
        .map(|name| match form {
            Form::Short => name.clone(),
            Form::Full | Form::Default => format!("{GRAPH}/{name}"),
        })
        .collect();
    if form == Form::Default {
        shown.push(format!("{GRAPH}/{DEFAULT}"));
    }
    let openid = OPENID.iter().filter(|name| **name != "offline_access" && contains(asked, name));
    shown.extend(openid.map(|name| (*name).to_owned()));
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Form, parse, shown};

    #[test]
    fn scopes_are_answered_in_the_form_they_were_asked_for() {
        let cases = [
            ("tasks.readwrite Mail.Read openid", "Tasks.ReadWrite Mail.Read openid"),
            (
                "https://graph.microsoft.com/User.Read email offline_access",
                "https://graph.microsoft.com/User.Read email",
            ),
            (
                "00000003-0000-0000-c000-000000000000/Mail.Read Tasks.Read",
                "https://graph.microsoft.com/Mail.Read https://graph.microsoft.com/Tasks.Read",
            ),
            ("http://here/Chat.Read", "https://graph.microsoft.com/Chat.Read"),
        ];
        for (text, expected) in cases {
            let asked = parse(text, "http://here").unwrap();
            let granted = super::named(&asked.scopes);
            assert_eq!(shown(&granted, &asked.scopes, asked.form), expected);
        }
        let all = parse("https://graph.microsoft.com//.default profile", "http://here").unwrap();
        assert_eq!((all.form, all.scopes.len()), (Form::Default, 11));
        for text in ["", "https://vault.example/x", "api://app/x", "a/b", "Tasks.Read .default"] {
            assert!(parse(text, "http://here").is_err(), "{text}");
        }
        let long = "A".repeat(121);
        let many: Vec<String> = (0..101).map(|at| format!("S{at}")).collect();
        assert!(parse(&long, "x").is_err() && parse(&many.join(" "), "x").is_err());
    }
}

//! The permissions that are asked for, and what does not work without one (planner-api.md 2.6).

/// The permissions to act for a user, where no others are asked for.
pub(crate) const DEFAULT_SCOPES: &str =
    "Tasks.ReadWrite User.Read User.ReadBasic.All GroupMember.Read.All";
/// The scopes that concern the sign-in itself: it can be renewed, and tells who signed in.
const OWN: [&str; 3] = ["offline_access", "openid", "profile"];

/// A thing to do, with the permissions of which one is needed for it.
type Need = (&'static str, &'static [&'static str]);

const OF_USERS: [Need; 5] = [
    (
        "reading plans and tasks",
        &["Tasks.Read", "Tasks.ReadWrite", "Group.Read.All", "Group.ReadWrite.All"],
    ),
    ("changing plans and tasks", &["Tasks.ReadWrite", "Group.ReadWrite.All"]),
    (
        "knowing who is signed in, which every command needs",
        &["User.Read", "User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
    ),
    (
        "finding people by name or address",
        &["User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
    ),
    (
        "the members of groups, so finding people by a part of their name",
        &[
            "GroupMember.Read.All",
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ],
    ),
];

const OF_APPS: [Need; 4] = [
    ("reading plans and tasks", &["Tasks.Read.All", "Tasks.ReadWrite.All"]),
    ("changing plans and tasks", &["Tasks.ReadWrite.All"]),
    (
        "finding plans by title, and the members of groups",
        &[
            "GroupMember.Read.All",
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ],
    ),
    (
        "finding people by name or address",
        &["User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
    ),
];

/// Returns scopes together with those of the sign-in itself.
pub(crate) fn with_own(scopes: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for scope in scopes.split_whitespace().chain(OWN) {
        if !all.iter().any(|known| known.eq_ignore_ascii_case(scope)) {
            all.push(scope.to_owned());
        }
    }
    all
}

/// Returns what does not work with the permissions that were granted, each with the permission that
/// would do.
pub(crate) fn missing(granted: &[String], is_app: bool) -> Vec<(&'static str, &'static str)> {
    // They may have the address of Graph in front.
    let name = |scope: &String| scope.rsplit('/').next().unwrap_or_default().to_lowercase();
    let granted: Vec<String> = granted.iter().map(name).collect();
    let needs: &[Need] = if is_app { &OF_APPS } else { &OF_USERS };
    let lacks = |(what, any): &Need| {
        let has = any.iter().any(|scope| granted.contains(&scope.to_lowercase()));
        (!has).then(|| (*what, best(any)))
    };
    needs.iter().filter_map(lacks).collect()
}

/// Returns the permission to recommend: the narrowest, which comes first.
fn best(any: &'static [&'static str]) -> &'static str {
    any.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scopes_asked_for_lack_nothing_and_fewer_say_what() {
        let all = with_own(DEFAULT_SCOPES);
        assert_eq!(all.len(), 7);
        assert!(missing(&all, false).is_empty());
        let less = with_own("https://graph.microsoft.com/Tasks.Read user.read openid");
        assert_eq!(less.iter().filter(|scope| *scope == "openid").count(), 1);
        let lacking: Vec<_> = missing(&less, false).into_iter().map(|(_, scope)| scope).collect();
        assert_eq!(lacking, ["Tasks.ReadWrite", "User.ReadBasic.All", "GroupMember.Read.All"]);
        assert_eq!(missing(&[], true).len(), 4);
    }
}

//! The permissions that a request needs, as tables beside those of the reference.
//!
//! planner-api.md 2.0, 2.5, 2.7 and, for applications, 11.

use axum::http::Method;

use crate::emulator::http::route::Route;
use crate::emulator::sign_in::caller::Caller;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::members::Who;

/// One row of the tables: any one of the names is enough.
struct Need {
    delegated: &'static [&'static str],
    application: &'static [&'static str],
    /// The part of Graph that refuses, in its own words.
    area: Area,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Area {
    Planner,
    Directory,
}

/// Class PR of planner-api.md 2.0.
const READ: Need = Need {
    delegated: &["Tasks.Read", "Tasks.ReadWrite", "Group.Read.All", "Group.ReadWrite.All"],
    application: &["Tasks.Read.All", "Tasks.ReadWrite.All"],
    area: Area::Planner,
};
/// Class PW of planner-api.md 2.0.
const WRITE: Need = Need {
    delegated: &["Tasks.ReadWrite", "Group.ReadWrite.All"],
    application: &["Tasks.ReadWrite.All"],
    area: Area::Planner,
};
/// Class PRd of planner-api.md 2.0.
const READ_DELEGATED: Need = Need { application: &[], ..READ };

/// The chat of tasks, for a signed-in user only (planner-api.md 2.9).
const CHAT: Need =
    Need { delegated: &["Tasks.Read", "Tasks.ReadWrite"], application: &[], area: Area::Planner };
const CHAT_WRITE: Need = Need { delegated: &["Tasks.ReadWrite"], ..CHAT };

const fn directory(
    delegated: &'static [&'static str],
    application: &'static [&'static str],
) -> Need {
    Need { delegated, application, area: Area::Directory }
}

const ONESELF: Need =
    directory(&["User.Read", "User.ReadBasic.All", "User.Read.All", "Directory.Read.All"], &[]);
const USERS: Need = directory(
    &["User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
    &["User.ReadBasic.All", "User.Read.All", "Directory.Read.All"],
);
const GROUPS: Need = directory(
    &[
        "GroupMember.Read.All",
        "GroupMember.ReadWrite.All",
        "Group.Read.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
    ],
    &[
        "GroupMember.Read.All",
        "GroupMember.ReadWrite.All",
        "Group.Read.All",
        "Group.ReadWrite.All",
        "Directory.Read.All",
    ],
);
const NEW_GROUP: Need =
    directory(&["Group.ReadWrite.All"], &["Group.Create", "Group.ReadWrite.All"]);
const CHANGED_GROUP: Need = directory(&["Group.ReadWrite.All"], &["Group.ReadWrite.All"]);
/// Users and groups by id: a permission to read either.
const OBJECTS: Need = directory(&READERS, &READERS);
const READERS: [&str; 7] = [
    "User.ReadBasic.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
];
const MEMBERS: Need = directory(
    &["GroupMember.ReadWrite.All", "Group.ReadWrite.All"],
    &["GroupMember.ReadWrite.All", "Group.ReadWrite.All"],
);
const OWN_GROUPS: Need =
    directory(&["User.Read", "User.Read.All", "GroupMember.Read.All", "Group.Read.All"], &[]);
const GROUPS_OF_OTHERS: Need = directory(
    &["User.Read.All", "GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"],
    &["Directory.Read.All", "GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All"],
);

/// Refuses a caller who lacks the permission: step 2 of planner-api.md 2.8, and the rules for
/// applications.
///
/// # Errors
///
/// 400 for an application that asks for `/me`, 403 otherwise.
pub(crate) fn check(caller: &Caller, route: &Route, method: &Method) -> Result<(), GraphError> {
    // Not a matter of permissions: there is no "me" at all (planner-api.md 10.8).
    if caller.is_app() && route.who() == Some(&Who::Me) {
        let reason = "/me request is only valid with delegated authentication flow.";
        return Err(GraphError::bad_request(reason));
    }
    let Some(held) = &caller.permissions else { return Ok(()) };
    let Some(need) = need(caller, route, method) else { return Ok(()) };
    let names = if caller.is_app() { need.application } else { need.delegated };
    if held.iter().any(|held| names.iter().any(|name| name.eq_ignore_ascii_case(held))) {
        return Ok(());
    }
    Err(match need.area {
        Area::Planner => GraphError::forbidden(),
        Area::Directory => GraphError::insufficient(),
    })
}

fn need(caller: &Caller, route: &Route, method: &Method) -> Option<Need> {
    let is_oneself = |who: &Who| match who {
        Who::Me => true,
        Who::User(key) => {
            key.eq_ignore_ascii_case(&caller.id)
                || caller.upn.as_ref().is_some_and(|upn| upn.eq_ignore_ascii_case(key))
        }
    };
    Some(match route {
        // Its inner requests are checked one by one.
        Route::Batch => return None,
        Route::User(who) if is_oneself(who) && !caller.is_app() => ONESELF,
        Route::User(_) | Route::Users | Route::UserCount => USERS,
        Route::ByIds => OBJECTS,
        Route::GroupsOf(who) if is_oneself(who) && !caller.is_app() => OWN_GROUPS,
        Route::GroupsOf(_) => GROUPS_OF_OTHERS,
        Route::Groups if method == Method::POST => NEW_GROUP,
        Route::Group(_) if method != Method::GET => CHANGED_GROUP,
        Route::Groups
        | Route::GroupCount
        | Route::Group(_)
        | Route::Members(_)
        | Route::Owners(_) => GROUPS,
        Route::AddMember(_) | Route::RemoveMember(..) => MEMBERS,
        Route::PlansOf(_) | Route::Delta(Some(_), _) => READ_DELEGATED,
        Route::Messages(_) if method == Method::GET => CHAT,
        Route::Messages(_) | Route::Message(..) => CHAT_WRITE,
        _ if method == Method::GET => READ,
        _ => WRITE,
    })
}

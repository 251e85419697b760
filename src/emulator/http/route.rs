//! Addresses: the resource that a path names, and the verbs that it takes.
//!
//! planner-api.md 2.1 to 2.5 and 2.7. Segments are compared without case, ids with it;
//! `/planner/tasks('ID')` is the same as `/planner/tasks/ID`. Nothing is looked up here.

use axum::http::Method;

use crate::emulator::entity::archive::Move;
use crate::emulator::entity::delta::Feed;
use crate::emulator::message::request::{self, BETA, Request};
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id::decode;
use crate::emulator::state::members::Who;
use crate::emulator::state::object::ObjectKind;

/// A resource that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Batch,
    User(Who),
    Users,
    UserCount,
    /// Users and groups that a body names.
    ByIds,
    GroupsOf(Who),
    PlansOf(Who),
    TasksOf(Who),
    Groups,
    GroupCount,
    Group(String),
    Members(String),
    Owners(String),
    AddMember(String),
    RemoveMember(String, String),
    PlansOfGroup(String),
    Plans,
    Buckets,
    Tasks,
    /// A plan, bucket or task, or a part of one.
    Object(ObjectKind, String),
    BucketsOfPlan(String),
    TasksOfPlan(String),
    TasksOfBucket(String),
    /// The changes of a user, or of all, in one feed (beta).
    Delta(Option<Who>, Feed),
    /// Rosters and their contents (beta).
    Rosters,
    Roster(String),
    RosterMembers(String),
    RosterMember(String, String),
    PlansOfRoster(String),
    RosterPlansOf(Who),
    /// The chat of a task (beta).
    Messages(String),
    /// A message in the chat of a task (beta).
    Message(String, String),
    /// A plan to be archived or unarchived (beta).
    Archive(String, Move),
    /// A plan to be moved to a group (beta).
    MoveToContainer(String),
}

impl Route {
    /// Returns the resource that a request addresses.
    ///
    /// # Errors
    ///
    /// 404 for an unrouted path (planner-api.md 2.3), 405 with `Allow` for a verb that the resource
    /// does not take (planner-api.md 2.7).
    pub(crate) fn from_request(request: &Request) -> Result<Self, GraphError> {
        let unrouted = || {
            let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
            GraphError::unrouted(&format!("{}{path}", request.origin()))
        };
        let route = Self::parse(request.uri.path()).ok_or_else(unrouted)?;
        let verbs = route.verbs();
        if verbs.contains(&request.method.as_str()) {
            return Ok(route);
        }
        Err(GraphError::method_not_allowed(&request.method, &verbs.join(", ")))
    }

    fn parse(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let mut parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        // Keywords match without case (planner-api.md 1.12); ids are case-sensitive
        // (planner-api.md trap 29) and stay as they are.
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_lowercase()).collect();
        for (part, lower) in parts.iter_mut().zip(&lower) {
            if KEYWORDS.contains(&lower.as_str()) {
                *part = lower;
            }
        }
        let own = |id: &str| id.to_owned();
        // The beta first: in v1.0, `delta` in the place of a task's id would be a malformed id.
        if request::root_of(path) == Some(BETA)
            && let Some(route) = Self::of_beta(parts.as_slice())
        {
            return Some(route);
        }
        Some(match parts.as_slice() {
            ["$batch"] => Self::Batch,
            ["me", rest @ ..] => Self::of_user(Who::Me, rest)?,
            ["users"] => Self::Users,
            ["users", "$count"] => Self::UserCount,
            ["users" | "groups" | "directoryobjects", "getbyids"] => Self::ByIds,
            ["users", id, rest @ ..] => Self::of_user(Who::User(own(id)), rest)?,
            ["groups"] => Self::Groups,
            ["groups", "$count"] => Self::GroupCount,
            ["groups", id] => Self::Group(own(id)),
            ["groups", id, "members"] => Self::Members(own(id)),
            ["groups", id, "owners"] => Self::Owners(own(id)),
            ["groups", id, "members", "$ref"] => Self::AddMember(own(id)),
            ["groups", id, "members", user, "$ref"] => Self::RemoveMember(own(id), own(user)),
            ["groups", id, "planner", "plans"] => Self::PlansOfGroup(own(id)),
            ["planner", "plans"] => Self::Plans,
            ["planner", "buckets"] => Self::Buckets,
            ["planner", "tasks"] => Self::Tasks,
            ["planner", "plans", id] => Self::Object(ObjectKind::Plan, own(id)),
            ["planner", "plans", id, "buckets"] => Self::BucketsOfPlan(own(id)),
            ["planner", "plans", id, "tasks"] => Self::TasksOfPlan(own(id)),
            ["planner", "plans", id, "details"] => Self::Object(ObjectKind::PlanDetails, own(id)),
            ["planner", "buckets", id] => Self::Object(ObjectKind::Bucket, own(id)),
            ["planner", "buckets", id, "tasks"] => Self::TasksOfBucket(own(id)),
            ["planner", "tasks", id] => Self::Object(ObjectKind::Task, own(id)),
            ["planner", "tasks", id, part] => Self::Object(part_of_task(part)?, own(id)),
            _ => return None,
        })
    }

    /// Parses the addresses that exist in the beta only (planner-api.md 2.9).
    fn of_beta(parts: &[&str]) -> Option<Self> {
        let own = |id: &str| id.to_owned();
        Some(match parts {
            ["me", "planner", "all", "delta"] => Self::Delta(Some(Who::Me), Feed::All),
            ["users", id, "planner", "all", "delta"] => {
                Self::Delta(Some(Who::User(own(id))), Feed::All)
            }
            ["me", "planner", "tasks", "delta"] => Self::Delta(Some(Who::Me), Feed::Tasks),
            ["users", id, "planner", "tasks", "delta"] => {
                Self::Delta(Some(Who::User(own(id))), Feed::Tasks)
            }
            ["planner", "tasks", "delta"] => Self::Delta(None, Feed::Tasks),
            ["planner", "plans", id, "buckets", "delta"] => {
                Self::Delta(None, Feed::BucketsOfPlan(own(id)))
            }
            ["groups", id, "planner", "plans", "delta"] => {
                Self::Delta(None, Feed::PlansOfGroup(own(id)))
            }
            ["planner", "rosters", id, "plans", "delta"] => {
                Self::Delta(None, Feed::PlansOfRoster(own(id)))
            }
            ["planner", "rosters"] => Self::Rosters,
            ["planner", "rosters", id] => Self::Roster(own(id)),
            ["planner", "rosters", id, "members"] => Self::RosterMembers(own(id)),
            ["planner", "rosters", id, "members", user] => Self::RosterMember(own(id), own(user)),
            ["planner", "rosters", id, "plans"] => Self::PlansOfRoster(own(id)),
            ["me", "planner", "rosterplans"] => Self::RosterPlansOf(Who::Me),
            ["users", id, "planner", "rosterplans"] => Self::RosterPlansOf(Who::User(own(id))),
            ["planner", "plans", id, "movetocontainer"] => Self::MoveToContainer(own(id)),
            ["planner", "tasks", id, "messages"] => Self::Messages(own(id)),
            ["planner", "tasks", id, "messages", message] => Self::Message(own(id), own(message)),
            ["planner", "plans", id, "archive"] => Self::Archive(own(id), Move::Archive),
            ["planner", "plans", id, "unarchive"] => Self::Archive(own(id), Move::Unarchive),
            _ => return None,
        })
    }

    fn of_user(who: Who, rest: &[&str]) -> Option<Self> {
        Some(match rest {
            [] => Self::User(who),
            ["memberof"] | ["memberof", "microsoft.graph.group"] => Self::GroupsOf(who),
            ["planner", "plans"] => Self::PlansOf(who),
            ["planner", "tasks"] => Self::TasksOf(who),
            _ => return None,
        })
    }

    /// Returns the user to whom the resource belongs, as the path names them.
    pub(crate) fn who(&self) -> Option<&Who> {
        match self {
            Self::User(who)
            | Self::GroupsOf(who)
            | Self::PlansOf(who)
            | Self::TasksOf(who)
            | Self::RosterPlansOf(who) => Some(who),
            Self::Delta(who, _) => who.as_ref(),
            _ => None,
        }
    }

    fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Batch
            | Self::ByIds
            | Self::AddMember(_)
            | Self::Archive(..)
            | Self::MoveToContainer(_) => &["POST"],
            Self::RemoveMember(..) => &["DELETE"],
            Self::Groups | Self::Plans | Self::Buckets | Self::Tasks => &["GET", "POST"],
            Self::Group(_)
            | Self::Object(ObjectKind::Plan | ObjectKind::Bucket | ObjectKind::Task, _) => {
                &["GET", "PATCH", "DELETE"]
            }
            Self::Object(..) => &["GET", "PATCH"],
            Self::User(_)
            | Self::Users
            | Self::UserCount
            | Self::GroupCount
            | Self::GroupsOf(_)
            | Self::PlansOf(_)
            | Self::TasksOf(_)
            | Self::Members(_)
            | Self::Owners(_)
            | Self::PlansOfGroup(_)
            | Self::BucketsOfPlan(_)
            | Self::TasksOfPlan(_)
            | Self::TasksOfBucket(_)
            | Self::Delta(..)
            | Self::PlansOfRoster(_)
            | Self::RosterPlansOf(_) => &["GET"],
            Self::Rosters => &["POST"],
            Self::Roster(_) | Self::RosterMember(..) => &["GET", "DELETE"],
            Self::RosterMembers(_) | Self::Messages(_) => &["GET", "POST"],
            Self::Message(..) => &["PATCH", "DELETE"],
        }
    }
}

/// Returns whether a path, in any spelling, is that of `$batch`.
pub(crate) fn is_batch(path: &str) -> bool {
    Route::parse(path) == Some(Route::Batch)
}

/// Returns whether a verb may change something, and so needs a writing transaction.
pub(crate) fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD)
}

const KEYWORDS: [&str; 25] = [
    "$batch",
    "$count",
    "all",
    "archive",
    "delta",
    "directoryobjects",
    "getbyids",
    "messages",
    "movetocontainer",
    "owners",
    "rosterplans",
    "rosters",
    "unarchive",
    "$ref",
    "me",
    "users",
    "groups",
    "members",
    "memberof",
    "microsoft.graph.group",
    "planner",
    "plans",
    "buckets",
    "tasks",
    "details",
];

fn part_of_task(segment: &str) -> Option<ObjectKind> {
    ObjectKind::OF_TASK
        .into_iter()
        .find(|kind| kind.address().1.is_some_and(|address| address.eq_ignore_ascii_case(segment)))
}

/// Returns the decoded segments below the root, with keys in parentheses as separate segments.
fn segments(path: &str) -> Option<Vec<String>> {
    let rest = path.get(request::root_of(path)?.len()..)?;
    let mut out = Vec::new();
    for raw in rest.strip_prefix('/')?.trim_end_matches('/').split('/') {
        let segment = decode(raw)?;
        match segment.strip_suffix("')").and_then(|open| open.split_once("('")) {
            Some((name, key)) => {
                out.push(name.to_owned());
                out.push(key.replace("''", "'"));
            }
            None => out.push(segment),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::{Feed, Route, Who};
    use crate::emulator::state::object::ObjectKind;

    #[test]
    fn paths_name_the_endpoints_of_the_reference() {
        let own = |id: &str| id.to_owned();
        let cases = [
            ("/v1.0/me", Some(Route::User(Who::Me))),
            ("/v1.0/ME/Planner/Tasks/", Some(Route::TasksOf(Who::Me))),
            ("/v1.0/planner/tasks/aB", Some(Route::Object(ObjectKind::Task, own("aB")))),
            ("/v1.0/planner/tasks('aB')", Some(Route::Object(ObjectKind::Task, own("aB")))),
            (
                "/v1.0/planner/tasks('aB')/Details",
                Some(Route::Object(ObjectKind::TaskDetails, own("aB"))),
            ),
            (
                "/v1.0/planner/tasks/aB/buckettaskboardformat",
                Some(Route::Object(ObjectKind::BucketBoard, own("aB"))),
            ),
            ("/v1.0/users/a%23b@c.d", Some(Route::User(Who::User(own("a#b@c.d"))))),
            ("/v1.0/users('$x@y')", Some(Route::User(Who::User(own("$x@y"))))),
            ("/v1.0/users('o''neil@y')", Some(Route::User(Who::User(own("o'neil@y"))))),
            ("/v1.0/users/$COUNT", Some(Route::UserCount)),
            ("/v1.0/groups/$count", Some(Route::GroupCount)),
            ("/v1.0/directoryObjects/getByIds", Some(Route::ByIds)),
            ("/v1.0/groups/g/Owners", Some(Route::Owners(own("g")))),
            ("/v1.0/groups/g/planner/plans", Some(Route::PlansOfGroup(own("g")))),
            ("/v1.0/planner/buckets/b/tasks/t", None),
            ("/v1.0/groups/g/planner/plans/p/buckets", None),
            ("/v1.0/me/planner/plans/p/tasks", None),
            ("/v1.0/planner", None),
            ("/v1.0", None),
            ("/v1.0/", None),
            ("/", None),
            ("/beta/me", Some(Route::User(Who::Me))),
            ("/v1.0/me/planner/all/delta", None),
            ("/Beta/me/planner/all/delta", Some(Route::Delta(Some(Who::Me), Feed::All))),
            ("/beta/planner/tasks/delta", Some(Route::Delta(None, Feed::Tasks))),
            ("/gamma/me", None),
            ("/v1.0/planner/tasks/%ff", None),
        ];
        for (path, expected) in cases {
            assert_eq!(Route::parse(path), expected, "{path}");
        }
    }
}

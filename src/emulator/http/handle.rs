//! The handler of each route, in the order of decisions of planner-api.md 2.8.
//!
//! The caller is signed in and the route exists. What follows is the form of the id, existence,
//! access, conditional headers, body, limits, and only then the change: a request with several
//! faults is refused for the same one as in the real service.

use axum::http::Method;

use crate::emulator::body::patch;
use crate::emulator::body::view::View;
use crate::emulator::entity::archive;
use crate::emulator::entity::buckets;
use crate::emulator::entity::chat;
use crate::emulator::entity::delta::{self, Feed};
use crate::emulator::entity::directory;
use crate::emulator::entity::groups;
use crate::emulator::entity::listing::{self, Listing};
use crate::emulator::entity::personal_plans;
use crate::emulator::entity::plans;
use crate::emulator::entity::recurrence;
use crate::emulator::entity::rosters;
use crate::emulator::entity::tasks;
use crate::emulator::http::route::Route;
use crate::emulator::message::filter::Filter;
use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::state::call::Call;
use crate::emulator::state::etag;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::members::Who;
use crate::emulator::state::object::{self, Object, ObjectKind, Scope};

/// Carries out a request.
pub(crate) fn handle(
    call: &Call<'_>,
    route: &Route,
    request: &Request,
) -> Result<Handled, GraphError> {
    let view = View::from_request(request);
    let is_post = request.method == Method::POST;
    match route {
        // A batch is split before this point, outside of any transaction.
        Route::Batch => Err(GraphError::internal()),
        Route::User(who) => directory::user(call, request, who),
        Route::Users => listing::list(call, request, Listing::Users),
        Route::UserCount => listing::count(call, request, Listing::Users),
        Route::ByIds => directory::by_ids(call, request),
        Route::GroupsOf(who) => {
            let user = directory::resolve(call, who)?;
            listing::list(call, request, Listing::GroupsOf(&user))
        }
        Route::Groups if is_post => {
            let group = groups::create(call, &request.json()?)?;
            directory::single(request, "groups", &group, 201)
        }
        Route::Groups => listing::list(call, request, Listing::Groups),
        Route::GroupCount => listing::count(call, request, Listing::Groups),
        Route::Group(id) if request.method == Method::PATCH => {
            groups::update(call, id, &request.json()?)?;
            Ok(Handled::empty(204))
        }
        Route::Group(id) if request.method == Method::DELETE => {
            groups::delete(call, id)?;
            Ok(Handled::empty(204))
        }
        Route::Group(id) => directory::group(call, request, id),
        Route::Members(id) => {
            let group = directory::group_id(call.conn, id)?;
            listing::list(call, request, Listing::MembersOf(&group))
        }
        Route::Owners(id) => {
            let group = directory::group_id(call.conn, id)?;
            listing::list(call, request, Listing::OwnersOf(&group))
        }
        Route::AddMember(id) => {
            groups::add_member(call, id, &request.json()?)?;
            Ok(Handled::empty(204))
        }
        Route::RemoveMember(id, user) => {
            groups::remove_member(call, id, user)?;
            Ok(Handled::empty(204))
        }
        Route::PlansOf(who) => view.list(call, Scope::PlansSharedWith(&oneself(call, who)?)),
        Route::TasksOf(who) => view.list(call, Scope::TasksAssignedTo(&oneself(call, who)?)),
        Route::PlansOfGroup(id) => plans_of_group(call, &view, id),
        Route::Plans if is_post => {
            let plan = plans::create(call, &request.origin(), &request.json()?)?;
            created(call, &view, &plan)
        }
        Route::Plans => plans_by_owner(call, &view, request),
        Route::Buckets if is_post => {
            created(call, &view, &buckets::create(call, &request.json()?)?)
        }
        Route::Tasks if is_post => created(call, &view, &tasks::create(call, &request.json()?)?),
        // In the permissions data only; neither can be listed (planner-api.md 2.2 B6, 2.3 T15).
        Route::Buckets | Route::Tasks => Err(unfiltered()),
        Route::BucketsOfPlan(id) => {
            view.list(call, Scope::BucketsOfPlan(opened(call, ObjectKind::Plan, id)?))
        }
        Route::TasksOfPlan(id) => {
            view.list(call, Scope::TasksOfPlan(opened(call, ObjectKind::Plan, id)?))
        }
        Route::TasksOfBucket(id) => {
            view.list(call, Scope::TasksOfBucket(opened(call, ObjectKind::Bucket, id)?))
        }
        Route::Delta(who, feed) => {
            let user = who.as_ref().map(|who| oneself(call, who)).transpose()?;
            // The path gives raw ids; from here on they are checked ones.
            let feed = match feed {
                Feed::Tasks => user.map_or(Feed::Tasks, Feed::TasksOf),
                Feed::BucketsOfPlan(id) => {
                    Feed::BucketsOfPlan(opened(call, ObjectKind::Plan, id)?.to_owned())
                }
                Feed::PlansOfGroup(id) => Feed::PlansOfGroup(directory::group_id(call.conn, id)?),
                Feed::PlansOfRoster(id) => Feed::PlansOfRoster(rosters::open(call, id)?),
                Feed::All | Feed::TasksOf(_) => feed.clone(),
            };
            delta::answer(call, request, &feed)
        }
        Route::Rosters => rosters::create(call, request),
        Route::Roster(id) if request.method == Method::DELETE => rosters::delete(call, id),
        Route::Roster(id) => rosters::show(call, request, id),
        Route::RosterMembers(id) if is_post => rosters::add_member(call, request, id),
        Route::RosterMembers(id) => rosters::members(call, request, id),
        Route::RosterMember(id, user) if request.method == Method::DELETE => {
            rosters::remove_member(call, id, user)
        }
        Route::RosterMember(id, user) => rosters::show_member(call, request, id, user),
        Route::PlansOfRoster(id) => view.list(call, Scope::PlansOfGroup(&rosters::open(call, id)?)),
        Route::RosterPlansOf(who) => view.list(call, Scope::RosterPlansOf(&oneself(call, who)?)),
        Route::Messages(id) => {
            let task = call.open(ObjectKind::Task, opened(call, ObjectKind::Task, id)?)?;
            if is_post {
                chat::post(call, request, &task)
            } else {
                chat::list(call, request, &task)
            }
        }
        Route::Message(id, message) => {
            let task = call.open(ObjectKind::Task, opened(call, ObjectKind::Task, id)?)?;
            if request.method == Method::DELETE {
                chat::delete(call, &task, message)
            } else {
                chat::edit(call, request, &task, message)
            }
        }
        Route::Archive(id, direction) => {
            well_formed(id)?;
            visible(call, ObjectKind::Plan, id)?;
            archive::turn(call, id, request, *direction)?;
            Ok(Handled::empty(204))
        }
        Route::MoveToContainer(id) => {
            well_formed(id)?;
            visible(call, ObjectKind::Plan, id)?;
            view.one(call, &personal_plans::move_to_group(call, request, id)?)
        }
        Route::Object(kind, id) => {
            well_formed(id)?;
            visible(call, *kind, id)?;
            match request.method {
                Method::PATCH => update(call, &view, *kind, id, request),
                Method::DELETE => delete(call, *kind, id, request),
                _ => view.one(call, &call.open(*kind, id)?),
            }
        }
    }
}

/// Answers with the object that was created, which a lagging replica does not know yet.
fn created(call: &Call<'_>, view: &View<'_>, object: &Object) -> Result<Handled, GraphError> {
    if let Some(replica) = call.replica {
        replica.born(&object.id, call.now);
    }
    view.created(call, object)
}

fn visible(call: &Call<'_>, kind: ObjectKind, id: &str) -> Result<(), GraphError> {
    // A GET right after the POST may find nothing yet (planner-api.md trap 14).
    if call.is_hidden(kind, id) { Err(GraphError::not_found()) } else { Ok(()) }
}

fn well_formed(id: &str) -> Result<(), GraphError> {
    if id::is_planner(id) { Ok(()) } else { Err(GraphError::malformed_id(id)) }
}

/// Checks that the owner of a list exists and that the caller may see it.
fn opened<'i>(call: &Call<'_>, kind: ObjectKind, id: &'i str) -> Result<&'i str, GraphError> {
    well_formed(id)?;
    visible(call, kind, id)?;
    call.open(kind, id)?;
    Ok(id)
}

/// Returns the id of the user whose Planner lists are addressed. Those of others are closed to a
/// signed-in user and open to an application, as far as its permissions go (planner-api.md 2.3 T14
/// and 2.1 P7).
fn oneself(call: &Call<'_>, who: &Who) -> Result<String, GraphError> {
    let user = directory::resolve(call, who)?;
    if user == call.caller || call.is_app { Ok(user) } else { Err(GraphError::forbidden()) }
}

fn plans_of_group(call: &Call<'_>, view: &View<'_>, id: &str) -> Result<Handled, GraphError> {
    let group = directory::group_id(call.conn, id)?;
    if !call.may_enter(&group)? {
        // Only a create or a move hides whether the item exists (planner-api.md 6.2).
        return Err(GraphError::forbidden());
    }
    view.list(call, Scope::PlansOfGroup(&group))
}

/// Answers `/planner/plans`, which needs a filter on the owner and ignores other predicates
/// (planner-api.md 2.1 P8).
fn plans_by_owner(
    call: &Call<'_>,
    view: &View<'_>,
    request: &Request,
) -> Result<Handled, GraphError> {
    // A filter that is not understood is ignored like every other (planner-api.md trap 22), and
    // then the owner is missing.
    let filter = request.option("$filter").and_then(|text| Filter::parse(text).ok());
    match filter.as_ref().and_then(|filter| filter.only_value("owner")) {
        Some(group) => plans_of_group(call, view, group),
        None => Err(unfiltered()),
    }
}

/// Returns the refusal of a collection that cannot be listed as a whole (planner-api.md 2.1.1).
fn unfiltered() -> GraphError {
    GraphError::new(
        400,
        "",
        "This entity set must be queried with a filter on owner property, or container type and \
         container external id, or contextScenarioId",
    )
}

fn update(
    call: &Call<'_>,
    view: &View<'_>,
    kind: ObjectKind,
    id: &str,
    request: &Request,
) -> Result<Handled, GraphError> {
    // The object is opened first: one that does not exist is 404 even without a tag
    // (planner-api.md 3.3). A collision is 409 before the body is validated.
    let mut object = call.open(kind, id)?;
    let seen = etag::seen_version(kind, object.version, &request.if_match())?;
    // Archived objects are read-only, whatever the body sets (planner-api.md 2.9).
    archive::check(call.conn, &object)?;
    let body = request.json()?;
    patch::check_collisions(call, &object, seen, &body)?;
    match kind {
        ObjectKind::Plan | ObjectKind::PlanDetails => plans::update(call, &mut object, &body)?,
        _ => tasks::update(call, &mut object, &body)?,
    }
    view.updated(call, &object)
}

fn delete(
    call: &Call<'_>,
    kind: ObjectKind,
    id: &str,
    request: &Request,
) -> Result<Handled, GraphError> {
    // A second deletion is 404, even without a tag (planner-api.md 3.3).
    let mut object = call.open(kind, id)?;
    let seen = etag::seen_version(kind, object.version, &request.if_match())?;
    // A deletion touches every field, so any newer change collides (planner-api.md 3.4).
    if seen < object.version {
        return Err(GraphError::conflict());
    }
    // Deleting the task with the active schedule continues its series (planner-api.md 1.13). An
    // archived task can be deleted, but its plan takes no new task.
    if kind == ObjectKind::Task && archive::check(call.conn, &object).is_ok() {
        recurrence::succeed(call, &mut object, &mut Vec::new())?;
    }
    object::delete(call.conn, &object)?;
    Ok(Handled::empty(204))
}

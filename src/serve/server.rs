//! The router: made from the table of routes, with the checks that come before each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Map, Value};
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::app::error::AppError;
use crate::app::shown::{shortened, visible};
use crate::app::token::serve_tokens::digest;
use crate::serve::access::{Caller, Who};
use crate::serve::api::status::shows_metrics;
use crate::serve::assets;
use crate::serve::call::{Call, Reply, refusal, refusal_with};
use crate::serve::desk::Desk;
use crate::serve::models::Models;
use crate::serve::openapi::{self, Described};
use crate::serve::page::layout;
use crate::serve::routes::{Act, For, ROUTES, Route, Verb};
use crate::serve::{refusals, running};

/// The most bytes of a body, and the longest time it may take to arrive.
const MAX_BODY: usize = 1 << 20;
const BODY_TIME: Duration = Duration::from_secs(10);

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Returns the OpenAPI document of the table.
pub(crate) fn document() -> String {
    let routes = ROUTES.iter().filter(|route| route.readers == For::Programs);
    let described = routes.map(|route| Described {
        method: match route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
        },
        path: route.path,
        needs: route.needs,
        summary: route.summary,
        query: route.query,
        body: route.body.map(|body| body()),
        answer: route.answer,
    });
    serde_json::to_string_pretty(&openapi::document(described)).unwrap_or_default()
}

/// Makes the router of a server.
pub(crate) fn router(desk: &Arc<Desk>, models: &Arc<Models>) -> Router {
    let mut paths: BTreeMap<&'static str, MethodRouter> = BTreeMap::new();
    for route in ROUTES {
        let desk = Arc::clone(desk);
        let handler = move |params: Result<RawPathParams, RawPathParamsRejection>,
                            request: Request| {
            let parts = |params: RawPathParams| {
                params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
            };
            answer(Arc::clone(&desk), route, params.ok().map(parts), request)
        };
        let filter = match route.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
        };
        let methods = paths.remove(route.path).unwrap_or_default();
        paths.insert(route.path, methods.merge(on(filter, handler)));
    }
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(path, methods);
    }
    for asset in &assets::ALL {
        let handler = move |headers: HeaderMap| async move { asset.response(&headers) };
        router = router.route(asset.path, on(MethodFilter::GET, handler));
    }
    let models = Arc::clone(models);
    let of_agent = Arc::clone(desk);
    let handler = move |request: Request| {
        let (desk, models) = (Arc::clone(&of_agent), Arc::clone(&models));
        async move { for_agent(&desk, &models, request).await }
    };
    router
        .route("/mcp", axum::routing::any(handler))
        .fallback(|request: Request| async move { nothing(&request) })
        .method_not_allowed_fallback(|| async { other_method() })
        .layer(from_fn_with_state(Arc::clone(desk), guard))
}

fn nothing(request: &Request) -> Response {
    let path: String = request.uri().path().chars().take(100).collect();
    let error = AppError::new("not_found", format!("there is nothing at `{path}`"))
        .hint("/openapi.json tells what there is");
    refusal(&error)
}

fn other_method() -> Response {
    let error = AppError::new("usage", "it takes no request of that method");
    refusal_with(StatusCode::METHOD_NOT_ALLOWED, &error)
}

/// Checks what any request must be, and adds what any answer has.
async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    // Not the address itself: the link that signs in has its code in there.
    let span = tracing::info_span!(
        "answer",
        otel.kind = "server",
        http.request.method = method.as_str(),
        http.route = Empty,
        http.response.status_code = Empty
    );
    let checked = desk.access.check(&method, request.uri(), request.headers());
    let is_own = checked.is_ok();
    let mut response = match checked {
        Ok(()) => next.run(request).instrument(span.clone()).await,
        Err(error) => refusal(&error),
    };
    let path = match response.extensions().get::<Matched>() {
        Some(matched) => matched.0,
        None if is_own => "other",
        None => "foreign",
    };
    let verb = if method == Method::POST { "POST" } else { "GET" };
    desk.metrics.count((verb, path), response.status().as_u16(), begun.elapsed());
    span.record("http.route", path).record("http.response.status_code", response.status().as_u16());
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`: with that a browser sends forms with the origin `null`.
    set(REFERRER_POLICY, "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(CACHE_CONTROL, "no-store");
    if desk.access.place.is_secure() {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// The path of the route that answered, for the figures.
#[derive(Debug, Clone, Copy)]
struct Matched(&'static str);

/// The parts of a path, by name.
type Parts = BTreeMap<String, String>;

/// Answers a request to a route. Without the parts of its path, they are no text.
async fn answer(
    desk: Arc<Desk>,
    route: &'static Route,
    path: Option<Parts>,
    request: Request,
) -> Response {
    let here = request.uri().path().to_owned();
    let caller = desk.access.caller(request.headers());
    let who = match &caller {
        Caller::Person(who) => Some(who.clone()),
        _ => None,
    };
    let mut response = match admitted(&desk, route, &caller) {
        Err(error) => {
            refusals::record(&desk, &caller, &route.called(), &error).await;
            refused(route, who.as_ref(), &error)
        }
        Ok(()) => match call_of(route, who.clone(), path, request).await {
            Err((status, error)) => shown(route, who.as_ref(), status, &error),
            Ok(call) => match carried_out(&desk, route, call).await {
                Ok(Done::Reply(reply)) => reply.response(&here),
                Ok(Done::Stream(response)) => response,
                Err(error) => refused(route, who.as_ref(), &error),
            },
        },
    };
    response.extensions_mut().insert(Matched(route.path));
    response
}

/// Returns whether the one who asks may ask this.
fn admitted(desk: &Desk, route: &Route, caller: &Caller) -> Result<(), AppError> {
    let Some(needs) = route.needs else { return Ok(()) };
    if route.path == "/metrics" && shows_metrics(desk, caller) {
        return Ok(());
    }
    match caller {
        Caller::Person(who) if who.role >= needs => Ok(()),
        Caller::Person(who) => {
            let (name, role) = (&who.name, who.role.with_article());
            let (deed, needed) = (route.deed(), needs.name());
            let message = format!("`{name}` is {role}; {deed} needs the role `{needed}`");
            Err(AppError::new("not_permitted", message).hint(format!(
                "`planwright serve token create --name NAME --role {needed}` makes a token that may"
            )))
        }
        Caller::Agent(name) => {
            let message = format!("the agent `{name}` has /mcp and nothing else");
            Err(AppError::new("not_permitted", message))
        }
        Caller::Nobody => Err(AppError::new("unauthorized", "nobody is signed in")
            .hint("send `Authorization: Bearer TOKEN`, or sign in at /login")),
    }
}

fn refused(route: &Route, who: Option<&Who>, error: &AppError) -> Response {
    if route.readers == For::People && error.failure.code == "unauthorized" {
        return Reply::Go("/login".to_owned(), None).response(route.path);
    }
    shown(route, who, crate::serve::call::status_of(&error.failure), error)
}

/// Makes the response of an error, for whom the route is.
fn shown(route: &Route, who: Option<&Who>, status: StatusCode, error: &AppError) -> Response {
    match route.readers {
        For::Programs => refusal_with(status, error),
        For::People => layout::refusal(who, status, &error.failure).response(route.path),
    }
}

type Refused = (StatusCode, AppError);

/// Reads a request.
async fn call_of(
    route: &Route,
    who: Option<Who>,
    path: Option<Parts>,
    request: Request,
) -> Result<Call, Refused> {
    let (parts, body) = request.into_parts();
    let Some(path) = path else {
        let error = AppError::new("usage", "the path is not UTF-8, once it is decoded");
        return Err((StatusCode::BAD_REQUEST, error));
    };
    let is_head = parts.method == Method::HEAD;
    let query = parts.uri.query().unwrap_or_default();
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    check_query(route, &query).map_err(|error| (StatusCode::BAD_REQUEST, error))?;
    let mut call = Call { is_head, who, path, query, body: Map::new() };
    if route.verb == Verb::Post {
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        let is_json = kind.eq_ignore_ascii_case("application/json");
        let bytes = read(body).await?;
        call.body = match route.readers {
            For::Programs if is_json || (kind.is_empty() && bytes.is_empty()) => {
                let text = if bytes.is_empty() { b"{}".as_slice() } else { bytes.as_slice() };
                serde_json::from_slice(text).map_err(|error| {
                    let error =
                        AppError::new("invalid", "the body is not a JSON object").caused_by(&error);
                    (StatusCode::BAD_REQUEST, error)
                })?
            }
            For::People if is_form => {
                let pairs = url::form_urlencoded::parse(&bytes).into_owned();
                pairs.map(|(name, value)| (name, Value::String(value))).collect()
            }
            _ => {
                let wanted = match route.readers {
                    For::Programs => "application/json",
                    For::People => "application/x-www-form-urlencoded",
                };
                let message = format!("the body must be {wanted}");
                return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, AppError::new("usage", message)));
            }
        };
        // Whoever signs in has no session yet, or one that is about to be another.
        if route.needs.is_some() {
            check_csrf(&mut call, &parts.headers)?;
        }
    }
    Ok(call)
}

/// Fails if a program asks with a name that its route does not know: it would be passed over in silence.
fn check_query(route: &Route, query: &[(String, String)]) -> Result<(), AppError> {
    // A probe may add what it likes.
    if route.readers == For::People || !route.path.starts_with("/api/") {
        return Ok(());
    }
    let is_known = |name: &str| route.query.iter().any(|(known, ..)| *known == name);
    let Some((name, _)) = query.iter().find(|(name, _)| !is_known(name)) else { return Ok(()) };
    let name = shortened(&visible(name), 40);
    let known: Vec<String> = route.query.iter().map(|(known, ..)| format!("`{known}`")).collect();
    let hint = if known.is_empty() {
        "it takes none".to_owned()
    } else {
        format!("it takes {}", known.join(", "))
    };
    Err(AppError::new("parameter", format!("`{}` takes no `{name}` in its query", route.path))
        .hint(hint))
}

async fn read(body: Body) -> Result<Vec<u8>, Refused> {
    let read = tokio::time::timeout(BODY_TIME, to_bytes(body, MAX_BODY)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
        Ok(Err(_)) => {
            let message = format!("the body is larger than {} KiB, or broken", MAX_BODY >> 10);
            Err((StatusCode::PAYLOAD_TOO_LARGE, AppError::new("too_large", message)))
        }
        Err(_) => {
            let message = "the body took too long to arrive";
            Err((StatusCode::REQUEST_TIMEOUT, AppError::new("usage", message)))
        }
    }
}

/// Refuses what a browser sends for a session without the secret that only its own pages have.
fn check_csrf(call: &mut Call, headers: &HeaderMap) -> Result<(), Refused> {
    let in_form = call.body.remove("csrf");
    let Some(wanted) = call.who.as_ref().and_then(|who| who.csrf.as_deref()) else {
        return Ok(());
    };
    let in_head = headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
    let given = in_form.as_ref().and_then(Value::as_str).or(in_head).unwrap_or_default();
    // Digests, so that the time says nothing of how much of a guess was right.
    if digest(given) == digest(wanted) {
        return Ok(());
    }
    let message = "the form does not come from a page of this session";
    let error = AppError::new("foreign_request", message).hint("reload the page and try again");
    Err((StatusCode::FORBIDDEN, error))
}

/// The outcome of a handler.
enum Done {
    Reply(Reply),
    Stream(Response),
}

async fn carried_out(desk: &Arc<Desk>, route: &Route, call: Call) -> Result<Done, AppError> {
    match route.act {
        Act::Quick(act) => act(desk, &call).map(Done::Reply),
        Act::Stream(act) => act(desk, &call).map(Done::Stream),
        Act::Work(act) => {
            let reply = desk.work(move |work| act(work, &call)).await?;
            Ok(Done::Reply(waited(desk, reply).await))
        }
    }
}

/// Waits for the run that an answer is about. That takes no room from other requests.
async fn waited(desk: &Arc<Desk>, reply: Reply) -> Reply {
    let Reply::WaitFor { run, waiting, at_most, page } = reply else { return reply };
    let report = running::wait(desk, waiting, at_most).await;
    match (page, report) {
        (Some(page), _) => Reply::Go(page, None),
        (None, Some(report)) => Reply::Data(report),
        (None, None) => Reply::Accepted(run),
    }
}

/// Lets an agent in to its own server for models.
async fn for_agent(desk: &Arc<Desk>, models: &Arc<Models>, mut request: Request) -> Response {
    let caller = desk.access.caller(request.headers());
    let mut response = match caller {
        Caller::Agent(name) => match models.of(desk, &name).await {
            Ok(router) => {
                // The token has done its work, and goes no further.
                request.headers_mut().remove(axum::http::header::AUTHORIZATION);
                into(router, request).await
            }
            Err(error) => refusal(&error),
        },
        Caller::Person(ref who) => {
            let message = format!("{} is no agent", who.name);
            let error = AppError::new("not_permitted", message)
                .hint("`planwright serve token create --agent NAME` makes the token of an agent");
            refusals::record(desk, &caller, "/mcp", &error).await;
            refusal(&error)
        }
        Caller::Nobody => {
            refusal(&AppError::new("unauthorized", "the bearer token of an agent is missing"))
        }
    };
    response.extensions_mut().insert(Matched("/mcp"));
    response
}

async fn into(mut router: Router, request: Request) -> Response {
    use tower_service::Service as _;
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_route_for_programs_and_no_other() {
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut told: Vec<String> = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            told.extend(methods.as_object().unwrap().keys().map(|verb| format!("{verb} {path}")));
        }
        let programs = ROUTES.iter().filter(|route| route.readers == For::Programs);
        let mut there: Vec<String> = programs
            .map(|route| format!("{} {}", format!("{:?}", route.verb).to_lowercase(), route.path))
            .collect();
        told.sort();
        there.sort();
        assert_eq!(told, there);
    }

    #[test]
    fn whatever_changes_anything_needs_more_than_a_viewer() {
        use crate::app::token::serve_tokens::Role;
        use crate::serve::routes::DEED;
        for route in ROUTES.iter().filter(|route| route.needs > Some(Role::Viewer)) {
            assert_ne!(route.deed(), DEED, "{}", route.path);
        }
        let open = ["/login", "/logout"];
        for route in ROUTES.iter().filter(|route| route.verb == Verb::Post) {
            let is_guarded = route.needs.is_some_and(|role| role > Role::Viewer);
            assert!(is_guarded || open.contains(&route.path), "{}", route.path);
        }
        for route in ROUTES.iter().filter(|route| route.needs.is_none()) {
            let known = ["/healthz", "/readyz", "/openapi.json", "/login"];
            assert!(known.contains(&route.path), "{}", route.path);
        }
    }
}

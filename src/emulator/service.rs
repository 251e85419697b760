//! The emulator as its callers see it: open it, seed it, send it requests.
//!
//! A request is one transaction. No lock is held while the observer runs, so an observer may
//! dispatch requests of its own, between those of a batch for instance.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::{Request as HttpRequest, Response};
use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde_json::Value;

use crate::emulator::control::log::{Logged, Origin};
use crate::emulator::control::rule::{Action, FaultRule};
use crate::emulator::control::switches::Switches;
use crate::emulator::control::{outside_edits, routes};
use crate::emulator::demo;
use crate::emulator::entity::directory;
use crate::emulator::http::access::Access;
use crate::emulator::http::batch;
use crate::emulator::http::cors;
use crate::emulator::http::delivery::{Delivery, Reply};
use crate::emulator::http::encoding;
use crate::emulator::http::handle;
use crate::emulator::http::permission;
use crate::emulator::http::route::{self, Route};
use crate::emulator::message::request::Request;
use crate::emulator::message::response::{self, Handled};
use crate::emulator::seed::{self, SeedError};
use crate::emulator::sign_in::{self, Caller, Decision, DeviceCodes, Endpoint, SignIn, Visit};
use crate::emulator::state::call::Call;
use crate::emulator::state::change_log;
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id::{self, Ids};
use crate::emulator::state::limits::Limits;
use crate::emulator::state::members;
use crate::emulator::state::order_hint::Places;
use crate::emulator::state::replica::Lag;
use crate::emulator::state::timestamp;
use crate::emulator::store::{Error, Storage, Store};
use crate::model::time::Clock;

/// A callback for every request, inner ones of a batch included: on arrival, and when answered.
pub type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// One request as an observer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The verb.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `If-Match` header.
    pub if_match: Option<String>,
    /// The body, if it is JSON.
    pub body: Option<Value>,
    /// The status of the answer; `None` on arrival.
    pub status: Option<u16>,
}

/// The settings of an emulator.
pub struct Options {
    /// The place where the state is kept.
    pub storage: Storage,
    /// The source of the present time.
    pub clock: Arc<dyn Clock>,
    /// The time zone that decides which day is today, for seeds with relative dates.
    pub zone: TimeZone,
    /// The page size of plans, buckets and tasks (planner-api.md 8.2).
    pub page_size: usize,
    /// The number of changes kept for delta queries; older tokens are answered with 410
    /// (planner-api.md 2.10).
    pub kept_changes: u32,
    /// The limits that are enforced (planner-api.md 6.5).
    pub limits: Limits,
    /// The observer of the requests, if there is one.
    pub observer: Option<Observer>,
    /// The faults that are injected from the start.
    pub faults: Vec<FaultRule>,
    /// The time for which new objects stay hidden, from the start.
    pub lag: Lag,
    /// The behaviour of the OAuth endpoints.
    pub sign_in: SignIn,
    /// The requests that are admitted at the socket; those of the same process always are.
    pub access: Access,
}

impl Options {
    /// Returns the options of the real service.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self {
            storage,
            clock,
            zone: TimeZone::UTC,
            page_size: 400,
            kept_changes: 20_000,
            limits: Limits::default(),
            observer: None,
            faults: Vec::new(),
            lag: Lag::default(),
            sign_in: SignIn::default(),
            access: Access::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("storage", &self.storage)
            .field("page_size", &self.page_size)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The embedded Planner. Cheap to clone; all clones share one database.
#[derive(Debug, Clone)]
pub struct Emulator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    options: Options,
    ids: Arc<Ids>,
    places: Places,
    panel: Switches,
    /// Shared with each connection, and with each request that is carried out.
    under_way: Arc<()>,
}

impl Emulator {
    /// Opens the database, creating it if it does not exist.
    ///
    /// # Errors
    ///
    /// If the file cannot be used, is not an emulator database, or was written by a newer program; if
    /// the lag is out of range.
    pub fn open(options: Options) -> Result<Self, Error> {
        if !options.lag.is_valid() {
            let message = "a lag must not be longer than a day".to_owned();
            return Err(Error::Refused { subject: "lag".to_owned(), message });
        }
        let store = Store::open(&options.storage)?;
        store.write(|conn| change_log::prune(conn, options.kept_changes.into()))?;
        let panel = Switches::new(options.faults.clone(), options.sign_in.device_codes);
        panel.replica.set(options.lag);
        let ids = Arc::new(Ids::Random);
        let places = Places::default();
        let under_way = Arc::default();
        Ok(Self { shared: Arc::new(Shared { store, options, ids, places, panel, under_way }) })
    }

    /// Returns whether nobody is connected, and no request is carried out any more. A client that dies
    /// leaves requests behind, which change the board for a moment yet.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.shared.under_way) == 1
    }

    /// Returns the sign that a connection or a request holds for as long as it lasts.
    pub(crate) fn under_way(&self) -> Arc<()> {
        Arc::clone(&self.shared.under_way)
    }

    /// Returns whether there are no users yet, so that nobody can sign in.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.shared.store.read(|conn| Ok(members::is_empty(conn)?))
    }

    /// Fills an empty emulator with the demo tenant; does nothing if there are users already.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn seed_demo(&self) -> Result<(), Error> {
        self.shared.store.write(|conn| {
            if members::is_empty(conn)? {
                self.plant(conn, demo::TENANT, 0).map_err(|error| Error::Refused {
                    subject: "the demo tenant".to_owned(),
                    message: error.to_string(),
                })?;
            }
            Ok(())
        })
    }

    /// Adds the tenant that a text describes to what is there: all of it or, if anything is
    /// wrong, nothing. Equal texts create equal ids. The format is in `docs/guides/emulator.md`.
    ///
    /// # Errors
    ///
    /// If the text is neither JSON nor YAML, describes something impossible, or the database fails.
    pub fn seed(&self, text: &str) -> Result<(), SeedError> {
        self.shared.store.write(|conn| self.plant(conn, text, id::start_of(text)))
    }

    fn plant(&self, conn: &Connection, text: &str, first_id: u64) -> Result<(), SeedError> {
        let ids = Arc::new(Ids::Counted(AtomicU64::new(first_id)));
        let limits = Limits::default();
        let call = self.call(conn, Caller::trusted(String::new()), false);
        // A seed is exempt from the low limits and the lag that a test sets for its requests.
        seed::plant(&Call { ids, limits, replica: None, ..call }, text)
    }

    /// Adds a user, who can sign in with the token `emulator:<upn>`, and returns the user's id.
    ///
    /// # Errors
    ///
    /// If the name is taken or the database fails.
    pub fn add_user(&self, upn: &str, display_name: &str) -> Result<String, Error> {
        self.shared.store.write(|conn| {
            if members::user_id(conn, upn)?.is_some() {
                let message = "a user with this name already exists".to_owned();
                return Err(Error::Refused { subject: upn.to_owned(), message });
            }
            let id = id::new_guid();
            directory::add_user(conn, &id, upn, display_name, None)?;
            Ok(id)
        })
    }

    /// Answers a request. An injected delay is spent here, on the caller's thread.
    ///
    /// Since there is no connection to close, an answer that a rule drops is an empty 502 with
    /// [`DroppedAnswer`] among its extensions.
    pub fn dispatch(&self, request: HttpRequest<Vec<u8>>) -> Response<Vec<u8>> {
        self.perform(request, Origin::Client).into_response()
    }

    /// Answers a request and decides how the answer is delivered.
    pub(crate) fn perform(&self, request: HttpRequest<Vec<u8>>, origin: Origin) -> Reply {
        let request = Request::new(request);
        // A test's own requests stay out of the log and away from the rules and the observer.
        if routes::is_control(request.uri.path()) {
            return Reply::from(self.finish(&request, routes::answer(self, &request)));
        }
        // A browser's own question is no request of the client either.
        if let Some(answer) = cors::preflight(&request) {
            return Reply::from(self.finish(&request, Ok(answer)));
        }
        let mut exchange = self.shared.options.observer.as_ref().map(|observer| {
            let exchange = Exchange {
                method: request.method.to_string(),
                path: request.target().to_owned(),
                if_match: request.header("if-match").map(str::to_owned),
                body: serde_json::from_slice(&request.body).ok(),
                status: None,
            };
            observer(&exchange);
            (observer, exchange)
        });
        let mut reply = self.troubled(&request, origin);
        // The parts of a batch are read here, and in one process there is nothing to gain.
        if origin == Origin::Client && self.access().is_shared() {
            encoding::compress(&request, &mut reply.response);
        }
        if let Some((observer, exchange)) = &mut exchange {
            exchange.status = Some(reply.response.status().as_u16());
            observer(exchange);
        }
        // The editor reads a plan before each change; these reads would only fill the log.
        if origin != Origin::Editor || route::is_write(&request.method) {
            let entry = Logged {
                by: origin,
                at: timestamp::format(self.shared.options.clock.now()),
                method: request.method.to_string(),
                path: request.target().to_owned(),
                if_match: request.header("if-match").map(str::to_owned),
                status: reply.status(),
                body: None,
            };
            self.shared.panel.log.add(entry, &request.body);
        }
        reply
    }

    /// Carries out a request under the fault rules in force.
    fn troubled(&self, request: &Request, origin: Origin) -> Reply {
        let panel = &self.shared.panel;
        let delay = Cell::new(Duration::ZERO);
        let mut decided = None;
        if origin != Origin::Editor {
            for action in panel.faults.decide(request.method.as_str(), request.target(), origin) {
                match action {
                    Action::LatencyMs(ms) => delay.set(delay.get() + Duration::from_millis(ms)),
                    Action::Edit(edit) => outside_edits::carry_out(self, &edit, request),
                    action => decided = Some(action),
                }
            }
        }
        let result = match &decided {
            Some(Action::Status { status, retry_after }) => {
                Err(GraphError::injected(*status, retry_after.clone()))
            }
            // Never seen by a client with a connection: `Delivery::Dropped` closes it.
            Some(Action::DropBefore) => Ok(Handled::empty(502)),
            // The change stays, as in a POST that is answered 500 after its commit (planner-api.md
            // 15.1, item 18).
            Some(Action::StatusAfter { status, retry_after }) => {
                drop(self.answer(request, origin, &delay));
                Err(GraphError::injected(*status, retry_after.clone()))
            }
            _ => self.answer(request, origin, &delay),
        };
        let fate = match decided {
            Some(Action::DropBefore | Action::DropAfter) => Delivery::Dropped,
            Some(Action::Truncate) => Delivery::Cut,
            _ => Delivery::Whole,
        };
        Reply { response: self.finish(request, result), delay: delay.get(), fate }
    }

    fn answer(
        &self,
        request: &Request,
        origin: Origin,
        delay: &Cell<Duration>,
    ) -> Result<Handled, GraphError> {
        let now = self.shared.options.clock.now();
        if let Some((tenant, endpoint)) = Endpoint::from_path(request.uri.path()) {
            return self.shared.store.write(|conn| {
                let apps = &self.shared.options.sign_in.apps;
                let device_codes = self.shared.panel.device_codes();
                let params = Vec::new();
                let mut visit = Visit { conn, request, now, apps, device_codes, tenant, params };
                sign_in::answer(&mut visit, endpoint)
            });
        }
        let route = Route::from_request(request);
        if matches!(route, Ok(Route::Batch)) {
            // Only the token is checked here: each inner request has its own transaction, and a
            // batch is not atomic (planner-api.md 8.4).
            self.shared.store.read(|conn| Caller::from_request(conn, request, now))?;
            return batch::run(request, |inner| {
                let reply = self.perform(inner, Origin::Batch);
                delay.set(delay.get() + reply.delay);
                reply.response
            });
        }
        let is_write = route::is_write(&request.method);
        if is_write && origin != Origin::Editor {
            // Before the transaction: a throttled write does not wait for the database.
            let taken = self.shared.panel.throttle.take(now);
            if let Err(wait) = taken {
                // Without a token it is 401, however busy the service is (planner-api.md 2.8).
                self.shared.store.read(|conn| Caller::from_request(conn, request, now))?;
                return Err(GraphError::injected(429, Some(wait)));
            }
        }
        // The order of planner-api.md 2.8: an unknown path without a token is 401, not 404.
        let job = |conn: &Connection| {
            let caller = Caller::from_request(conn, request, now)?;
            let route = route.clone()?;
            permission::check(&caller, &route, &request.method)?;
            let call = self.call(conn, caller, request.is_beta());
            let answer = handle::handle(&call, &route, request)?;
            if is_write {
                change_log::trim(conn, call.kept_changes)?;
            }
            Ok(answer)
        };
        if is_write { self.shared.store.write(job) } else { self.shared.store.read(job) }
    }

    fn finish(&self, request: &Request, result: Result<Handled, GraphError>) -> Response<Vec<u8>> {
        let mut response = response::finish(request, self.shared.options.clock.now(), result);
        cors::open(request, &mut response);
        response
    }

    fn call<'a>(&'a self, conn: &'a Connection, caller: Caller, beta: bool) -> Call<'a> {
        let options = &self.shared.options;
        Call {
            conn,
            is_app: caller.is_app(),
            caller: caller.id,
            client: caller.client,
            now: options.clock.now(),
            zone: options.zone.clone(),
            replica: Some(&self.shared.panel.replica),
            ids: Arc::clone(&self.shared.ids),
            places: &self.shared.places,
            limits: options.limits,
            beta,
            kept_changes: options.kept_changes.into(),
            page_size: options.page_size,
        }
    }

    /// Returns which requests are admitted at the socket.
    pub(crate) fn access(&self) -> &Access {
        &self.shared.options.access
    }

    /// Answers a request that could not be read or handled at all.
    pub(crate) fn refuse(&self, fault: GraphError) -> Response<Vec<u8>> {
        let request = Request::new(HttpRequest::new(Vec::new()));
        self.finish(&request, Err(fault))
    }

    /// Returns whether a user has this principal name.
    pub(crate) fn knows(&self, upn: &str) -> bool {
        let id = self.shared.store.read(|conn| members::user_id(conn, upn));
        id.is_ok_and(|id| id.is_some())
    }

    /// Sets who approves new device codes.
    pub fn set_device_codes(&self, device_codes: DeviceCodes) {
        self.shared.panel.set_device_codes(device_codes);
    }

    /// Approves a device code as the user with a principal name; returns whether it was pending.
    ///
    /// # Errors
    ///
    /// If nobody has that name or the database fails.
    pub fn approve_device_code(&self, user_code: &str, upn: &str) -> Result<bool, Error> {
        self.shared.store.write(|conn| {
            let user = members::user_id(conn, upn)?.ok_or_else(|| Error::Refused {
                subject: upn.to_owned(),
                message: "no user has this name".to_owned(),
            })?;
            self.decide(conn, user_code, Decision::Approve(user))
        })
    }

    /// Declines a device code; returns whether it was pending.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn decline_device_code(&self, user_code: &str) -> Result<bool, Error> {
        self.shared.store.write(|conn| self.decide(conn, user_code, Decision::Decline))
    }

    fn decide(&self, conn: &Connection, code: &str, decision: Decision) -> Result<bool, Error> {
        let now = self.shared.options.clock.now().as_second();
        sign_in::decide(conn, code, decision, now)
            .map_err(|fault| Error::Refused { subject: code.to_owned(), message: fault.message })
    }

    /// Returns the pending device codes.
    pub(crate) fn device_codes(&self) -> Result<Vec<Value>, GraphError> {
        let now = self.shared.options.clock.now().as_second();
        self.shared.store.read(|conn| sign_in::pending(conn, now))
    }

    /// Returns the switches behind `/control`.
    pub(crate) fn panel(&self) -> &Switches {
        &self.shared.panel
    }

    /// Returns a handle to this emulator that does not keep it alive.
    pub(crate) fn downgrade(&self) -> impl Fn() -> Option<Self> + Send + use<> {
        let weak = Arc::downgrade(&self.shared);
        move || weak.upgrade().map(|shared| Self { shared })
    }
}

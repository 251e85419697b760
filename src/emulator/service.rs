//! The emulator as its callers see it: open it, seed it, give it requests.
//!
//! A request is one transaction. No lock is held while the observer runs, so an observer may
//! dispatch requests of its own, between those of a batch for instance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::http::{Request as HttpRequest, Response};
use rusqlite::Connection;
use serde_json::Value;

use crate::emulator::answer::{self, Answer};
use crate::emulator::batch;
use crate::emulator::call::Call;
use crate::emulator::demo;
use crate::emulator::directory;
use crate::emulator::fault::Fault;
use crate::emulator::handle;
use crate::emulator::id::{self, Ids};
use crate::emulator::limits::Limits;
use crate::emulator::request::{self, Request};
use crate::emulator::route::{self, Route};
use crate::emulator::store::{Error, Storage, Store};
use crate::model::time::Clock;

/// Called for every request, inner ones of a batch included: on arrival, and when answered.
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
    /// The status of the answer; none on arrival.
    pub status: Option<u16>,
}

/// How an emulator is to be.
pub struct Options {
    /// Where the state is kept.
    pub storage: Storage,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The page size of plans, buckets and tasks (planner-api.md 8.2).
    pub page_size: usize,
    /// The limits that are enforced (6.5).
    pub limits: Limits,
    /// Who watches the requests.
    pub observer: Option<Observer>,
}

impl Options {
    /// Returns the options of the real service.
    pub fn new(storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, page_size: 400, limits: Limits::default(), observer: None }
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
}

impl Emulator {
    /// Opens the database, creating it if it does not exist.
    ///
    /// # Errors
    ///
    /// If the file cannot be used, is no emulator's, or was written by a newer program.
    pub fn open(options: Options) -> Result<Self, Error> {
        let store = Store::open(&options.storage)?;
        Ok(Self { shared: Arc::new(Shared { store, options, ids: Arc::new(Ids::Random) }) })
    }

    /// Says whether nobody can sign in yet.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.shared.store.read(|conn| Ok(directory::is_empty(conn)?))
    }

    /// Fills an empty emulator with the demo tenant; does nothing if there are users already.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn seed_demo(&self) -> Result<(), Error> {
        self.shared.store.write(|conn| {
            if directory::is_empty(conn)? {
                let ids = Arc::new(Ids::Counted(AtomicU64::new(0)));
                let limits = Limits::default();
                demo::seed(&Call { ids, limits, ..self.call(conn, String::new()) })?;
            }
            Ok(())
        })
    }

    /// Adds a user, who can sign in with the token `emulator:<upn>`, and returns the user's id.
    ///
    /// # Errors
    ///
    /// If the name is taken or the database fails.
    pub fn add_user(&self, upn: &str, display_name: &str) -> Result<String, Error> {
        self.shared.store.write(|conn| {
            if directory::user_id(conn, upn)?.is_some() {
                let message = "a user with this name exists".to_owned();
                return Err(Error::Refused { subject: upn.to_owned(), message });
            }
            let id = id::new_guid();
            directory::add_user(conn, &id, upn, display_name, None)?;
            Ok(id)
        })
    }

    /// Answers a request.
    pub fn dispatch(&self, request: HttpRequest<Vec<u8>>) -> Response<Vec<u8>> {
        let request = Request::new(request);
        let mut exchange = self.shared.options.observer.as_ref().map(|observer| {
            let exchange = Exchange {
                method: request.method.to_string(),
                path: request.uri.path_and_query().map_or_else(String::new, ToString::to_string),
                if_match: request.header("if-match").map(str::to_owned),
                body: serde_json::from_slice(&request.body).ok(),
                status: None,
            };
            observer(&exchange);
            (observer, exchange)
        });
        let result = self.answer(&request);
        let response = answer::finish(&request, self.shared.options.clock.now(), result);
        if let Some((observer, exchange)) = &mut exchange {
            exchange.status = Some(response.status().as_u16());
            observer(exchange);
        }
        response
    }

    fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        let upn = request.signed_in()?;
        let sign_in =
            |conn: &Connection| directory::user_id(conn, upn)?.ok_or_else(request::bad_token);
        let route = Route::of(request);
        if matches!(route, Ok(Route::Batch)) {
            self.shared.store.read(sign_in)?;
            return batch::run(request, |inner| self.dispatch(inner));
        }
        let job = |conn: &Connection| {
            let call = self.call(conn, sign_in(conn)?);
            handle::handle(&call, &route.clone()?, request)
        };
        if route::is_write(&request.method) {
            self.shared.store.write(job)
        } else {
            self.shared.store.read(job)
        }
    }

    fn call<'a>(&self, conn: &'a Connection, caller: String) -> Call<'a> {
        let options = &self.shared.options;
        Call {
            conn,
            caller,
            now: options.clock.now(),
            ids: Arc::clone(&self.shared.ids),
            limits: options.limits,
            page_size: options.page_size,
        }
    }

    /// Answers a request that could not be read or handled at all.
    pub(crate) fn refuse(&self, fault: Fault) -> Response<Vec<u8>> {
        let request = Request::new(HttpRequest::new(Vec::new()));
        answer::finish(&request, self.shared.options.clock.now(), Err(fault))
    }
}

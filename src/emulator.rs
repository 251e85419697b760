//! The embedded Planner service: Graph's Planner protocol on SQLite, served over HTTP.
//!
//! It exists so that every command works, and every test runs, without a tenant. It follows
//! `docs/planner-api.md` section by section; where the behaviour of the real service is unknown,
//! that page records a choice, and this module implements it. It shares no behaviour with the
//! client, since a misunderstanding that both share would go unnoticed, and it keeps no state of
//! the tenant outside its database, so that two processes may serve one file.
//!
//! Start at [`Emulator`]: `open`, `seed_demo`, then `dispatch` or `serve`. A request goes through
//! `http/` (admission, routes, permissions, the order of the checks), `entity/` (the rules of each
//! kind of object), `body/` (what may be written, and what is shown) and `state/` (objects with
//! their versions) down to `store/`.

mod body;
mod control;
mod demo;
mod entity;
mod http;
mod message;
mod seed;
mod service;
mod sign_in;
mod state;
mod store;

pub use control::{Action, Edit, Edits, FaultRule, Fired, InvalidRule, Logged, Origin, Throttle};
pub use demo::TENANT as DEMO_TENANT;
pub use http::access::{Access, Pass};
pub use http::delivery::DroppedAnswer;
pub use http::tls::Tls;
pub use seed::SeedError;
pub use service::{Emulator, Exchange, Observer, Options};
pub use sign_in::{App, DeviceCodes, SignIn};
pub use state::limits::Limits;
pub use state::replica::Lag;
pub use store::{Error, Storage};

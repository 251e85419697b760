//! The embedded Planner service: Graph's Planner protocol on SQLite, served over HTTP.
//!
//! It exists so that every command works, and every test runs, without a tenant. What it answers
//! follows the protocol reference section by section; where the real service is unknown, the
//! reference fixes a choice and this module builds exactly that. It shares no behaviour with the
//! client, or a common mistake would agree with itself, and it keeps no state of the tenant outside
//! its database, so that two processes may serve one file.
//!
//! Start at [`Emulator`]: `open`, `seed_demo`, then `dispatch` or `serve`.

// The way in: one request, from bytes to bytes.
mod access;
mod batch;
mod handle;
mod line;
mod reply;
mod request;
mod route;
mod serve;
mod service;

// What an answer looks like.
mod answer;
mod fault;
mod view;

// The entities and their rules.
mod archive;
mod buckets;
mod call;
mod delta;
mod directory;
mod filter;
mod group;
mod limits;
mod notes;
mod personal;
mod plans;
mod recurrence;
mod rosters;
mod tasks;

// Bodies: what may be written, and how it merges.
mod open_type;
mod patch;
mod schema;

// Versions, ids, order and time.
mod changes;
mod etag;
mod hint;
mod id;
mod moment;

// State.
mod history;
mod object;
mod store;

// Tenants from texts, and the one that new users meet.
mod demo;
mod seed;

// Who asks, and what they may.
mod sign_in;

// For tests of other programs: trouble on request.
mod control;
mod rehearsal;

pub use access::{Access, Pass};
pub use demo::TENANT as DEMO_TENANT;

pub use control::{
    Action, Edit, Edits, FaultRule, Fired, InvalidRule, Lag, Logged, Origin, Throttle,
};
pub use limits::Limits;
pub use reply::Lost;
pub use seed::SeedError;
pub use service::{Emulator, Exchange, Observer, Options};
pub use sign_in::{App, DeviceCodes, SignIn};
pub use store::{Error, Storage};

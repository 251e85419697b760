//! Seeding: a tenant created from a text.
//!
//! The format is documented in `docs/guides/emulator.md`, and `demo/tenant.json` is an example.
//! The tenant is created by the code that answers requests, on behalf of the people in the text,
//! so that counts, completion and history are as if these people had done the work.

mod day;
mod load;
mod location;
mod schema;

pub use location::SeedError;

pub(crate) use load::plant;

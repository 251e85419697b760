//! Seeding: a tenant from a text.
//!
//! The format is documented in `docs/guides/emulator.md`, and `demo/tenant.json` is an example.
//! What a text describes is made by the code that answers requests, on behalf of the people in
//! it, so that counts, completion and history are what they would be had they worked.

mod day;
mod load;
mod location;
mod schema;

pub use location::SeedError;

pub(crate) use load::plant;

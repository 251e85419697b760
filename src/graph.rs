//! The client of Graph: it sends requests, follows pages, and repeats requests that may be
//! repeated.
//!
//! It decides nothing about changes: the writes and their tags come from above. A request that may
//! have been carried out is never repeated blindly.

pub mod address;
mod allowance;
pub mod attempt;
mod batch;
pub mod client;
pub mod delta;
pub mod error;
mod gate;
pub mod proxy;
pub mod retry;
pub mod secret;
pub mod tokens;
pub(crate) mod transport;

pub use crate::wire::batch::Order;
pub use address::{BadAddress, BaseUrl};
pub use attempt::Attempt;
pub(crate) use client::spread;
pub use client::{Client, Counts, Sent, WriteError};
pub use error::Error;
pub use proxy::{BadProxy, Proxy};
pub use secret::Secret;
pub use tokens::{Refused, SignInError, TokenFuture, Tokens};

//! Sign-in as in Entra ID: OAuth endpoints, the tokens they issue, and what those allow.
//!
//! planner-api.md 10, 2.6 and 2.7. Nobody types a password: whoever asks is signed in. Tokens are
//! unsigned, so they prove nothing, and no other service takes them for real.
//!
//! Start at [`Caller`], the identity behind a request, and `endpoints`, which lists the addresses.

mod app;
pub(super) mod caller;
mod consent;
mod endpoints;
mod flows;
mod grant;
mod refusal;
mod scope;
mod token;

pub use app::{App, DeviceCodes, SignIn};

pub(crate) use caller::Caller;
pub(crate) use endpoints::{Endpoint, Visit, answer};
pub(crate) use grant::{Decision, decide, pending};

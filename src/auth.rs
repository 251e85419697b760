//! Sign-in: who is signed in, how they signed in, and what is kept of it (design.md 9,
//! planner-api.md 10).
//!
//! A profile is one identity in one tenant. Its tokens are kept sealed, and renewed before they
//! expire, by one process at a time. The client of Graph asks [`SignedIn`] for a token; the refresh
//! token goes to the authority and nowhere else.

mod app_flow;
mod authority;
mod browser;
mod cache;
mod certificate;
mod claims;
mod device;
mod error;
mod keyring;
mod lent;
mod oauth;
mod profile;
mod scopes;
mod seal;
mod signed_in;
mod swap;

pub(crate) use app_flow::{Application, by_secret};
pub(crate) use authority::{Authority, Cloud};
pub(crate) use browser::by_browser;
pub(crate) use cache::{Cache, Kept};
pub(crate) use certificate::{Certificate, as_pem, by_certificate};
pub(crate) use claims::{
    ReadyApplication, account_of, account_of_app, account_of_user, end_of, is_of_app,
    permissions_of,
};
pub(crate) use device::by_device_code;
pub(crate) use error::Error;
pub(crate) use keyring::Keyring;
pub(crate) use lent::{Surroundings, lent};
pub(crate) use oauth::{Delegated, Granted};
pub(crate) use profile::{Account, EMBEDDED, Flow, Profile, Profiles, lock};
pub(crate) use scopes::{DEFAULT_SCOPES, missing, with_own};
pub(crate) use seal::{Keys, Known, Prompt};
pub(crate) use signed_in::SignedIn;
pub(crate) use swap::keep_out as keep_out_of_swap;

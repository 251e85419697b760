//! The addresses of Entra ID, with the checks that all flows share.
//!
//! planner-api.md 10.1. The flows themselves are in `flows`.

use axum::http::Method;
use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::emulator::message::request::Request;
use crate::emulator::message::response::Handled;
use crate::emulator::sign_in::app::{App, DeviceCodes};
use crate::emulator::sign_in::flows;
use crate::emulator::sign_in::refusal::{Refusal, Stop};
use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;
use crate::emulator::state::id::TENANT;

/// An endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    DeviceCode,
    Authorize,
    Token,
    Metadata,
    Keys,
    Instance,
}

impl Endpoint {
    /// Returns the tenant and the endpoint that a path names, if it is one of these.
    pub(crate) fn from_path(path: &str) -> Option<(&str, Self)> {
        let (tenant, rest) = path.strip_prefix('/')?.split_once('/')?;
        let endpoint = match rest {
            "oauth2/v2.0/devicecode" => Self::DeviceCode,
            "oauth2/v2.0/authorize" => Self::Authorize,
            "oauth2/v2.0/token" => Self::Token,
            "v2.0/.well-known/openid-configuration" => Self::Metadata,
            "discovery/v2.0/keys" => Self::Keys,
            "discovery/instance" => Self::Instance,
            _ => return None,
        };
        Some((tenant, endpoint))
    }

    /// Returns the verbs that a page of another site may use; `None` if it may not ask here.
    pub(crate) fn verbs_for_pages(self) -> Option<&'static str> {
        match self {
            Self::Token => Some("POST, OPTIONS"),
            Self::Metadata | Self::Keys | Self::Instance => Some("GET, OPTIONS"),
            // A browser shows the one itself, and the other is for machines without one.
            Self::Authorize | Self::DeviceCode => None,
        }
    }

    fn verbs(self) -> &'static str {
        match self {
            Self::DeviceCode | Self::Token => "POST",
            Self::Authorize => "GET, POST",
            Self::Metadata | Self::Keys | Self::Instance => "GET",
        }
    }
}

/// One request to an endpoint, inside its transaction.
pub(crate) struct Visit<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) request: &'a Request,
    pub(crate) now: Timestamp,
    pub(crate) apps: &'a [App],
    pub(crate) device_codes: DeviceCodes,
    pub(crate) tenant: &'a str,
    pub(crate) params: Vec<(String, String)>,
}

impl Visit<'_> {
    /// Returns a parameter; an empty one counts as absent.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.param(name).ok_or_else(|| Refusal::missing(name))
    }

    /// Returns the present second.
    pub(crate) fn second(&self) -> i64 {
        self.now.as_second()
    }

    pub(crate) fn issuer(&self) -> String {
        format!("{}/{TENANT}/v2.0", self.request.origin())
    }
}

/// Answers a request to an endpoint.
///
/// # Errors
///
/// Only for failures of the emulator and wrong verbs; a refused sign-in is an answer.
pub(crate) fn answer(visit: &mut Visit<'_>, endpoint: Endpoint) -> Result<Handled, GraphError> {
    let method = &visit.request.method;
    if !endpoint.verbs().split(", ").any(|verb| verb == method.as_str()) {
        return Err(GraphError::method_not_allowed(method, endpoint.verbs()));
    }
    let result = enter(visit, endpoint);
    match result {
        Ok(answer) => Ok(answer),
        // `Ok`, so that the transaction commits: a refused poll still counts as one.
        Err(Stop::Refused(refusal)) => Ok(refusal.answer(visit.request, visit.now)),
        Err(Stop::Broken(fault)) => Err(fault),
    }
}

fn enter(visit: &mut Visit<'_>, endpoint: Endpoint) -> Result<Handled, Stop> {
    check_tenant(visit.tenant)?;
    let form = if visit.request.method == Method::POST {
        if visit.request.check_media("application/x-www-form-urlencoded").is_err() {
            return Err(Refusal::missing("grant_type").into());
        }
        visit.request.body.as_slice()
    } else {
        visit.request.uri.query().unwrap_or_default().as_bytes()
    };
    visit.params = form_urlencoded::parse(form).into_owned().collect();
    match endpoint {
        Endpoint::DeviceCode => flows::device_code(visit),
        Endpoint::Authorize => flows::authorize(visit),
        Endpoint::Token => flows::token(visit),
        Endpoint::Metadata => Ok(metadata(visit)),
        Endpoint::Keys => Ok(Handled::plain(200, json!({ "keys": [] }))),
        Endpoint::Instance => instance(visit),
    }
}

/// Checks the tenant of a path; Planner knows work accounts only (planner-api.md 10.1).
fn check_tenant(tenant: &str) -> Result<(), Refusal> {
    if tenant == "consumers" {
        let reason = "Personal Microsoft accounts are not supported for this application.";
        return Err(Refusal::new("unauthorized_client", 9_002_346, reason));
    }
    let is_known = ["common", "organizations"].contains(&tenant)
        || id::guid(tenant).is_some()
        || tenant.contains('.');
    if is_known {
        return Ok(());
    }
    Err(Refusal::new("invalid_request", 90002, format!("Tenant '{tenant}' not found.")))
}

/// Answers whether a host is an authority, which libraries ask before they trust one
/// (planner-api.md 10.9).
fn instance(visit: &Visit<'_>) -> Result<Handled, Stop> {
    let origin = visit.request.origin();
    let own = Url::parse(&origin).ok();
    let asked = Url::parse(visit.required("authorization_endpoint")?).ok();
    let is_own = |asked: &Url| {
        let host = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        own.as_ref().is_some_and(|own| host(own) == host(asked))
    };
    let Some(asked) = asked.filter(is_own) else {
        let reason = "The authority of the authorization endpoint is not known.";
        return Err(Refusal::new("invalid_instance", 50049, reason).into());
    };
    let tenant = asked.path().split('/').nth(1).unwrap_or_default();
    check_tenant(tenant)?;
    let host = origin.rsplit('/').next().unwrap_or_default();
    Ok(Handled::plain(
        200,
        json!({
            "tenant_discovery_endpoint":
                format!("{origin}/{tenant}/v2.0/.well-known/openid-configuration"),
            "api-version": "1.1",
            "metadata": [{
                "preferred_network": host,
                "preferred_cache": host,
                "aliases": [host],
            }],
        }),
    ))
}

fn metadata(visit: &Visit<'_>) -> Handled {
    let origin = visit.request.origin();
    // By the tenant's id, whatever named it: libraries take the tenant of an account from here.
    let base = format!("{origin}/{TENANT}");
    Handled::plain(
        200,
        json!({
            "issuer": visit.issuer(),
            "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/oauth2/v2.0/token"),
            "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
            "jwks_uri": format!("{base}/discovery/v2.0/keys"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment"],
            "grant_types_supported": flows::GRANT_TYPES,
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["none"],
            "msgraph_host": origin.rsplit('/').next(),
        }),
    )
}

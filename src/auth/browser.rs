//! Signing in with a browser: authorization code with PKCE, which comes back to a port of this
//! machine (planner-api.md 10.3).

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::auth::claims::claims;
use crate::auth::error::Error;
use crate::auth::oauth::{Delegated, Granted, Refusal, client, ended_before, meaning};
use crate::graph::SignInError;

/// The time that a person has.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const DONE: &str = "<!doctype html><meta charset=utf-8><title>Planwright</title><p>You can close this window and go back to the terminal.";
const OTHER: &str = "<!doctype html><meta charset=utf-8><title>Planwright</title><p>This is not the sign-in that Planwright waits for.";

/// The answer that came back with the browser: a code, or the reason why there is none.
type Arrived = Result<AuthorizationCode, Refusal>;

/// The parameters that the browser brings, as the sign-in service has put them into the address.
#[derive(Deserialize)]
struct Brought {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// The wait for one sign-in.
struct Waiting {
    state: CsrfToken,
    arrived: mpsc::Sender<Arrived>,
}

/// Signs in with a browser; `tell` shows the person the address to open.
///
/// # Errors
/// The person declines or takes too long, or no port of this machine is free.
pub(crate) async fn by_browser(
    wanted: Delegated<'_>,
    tell: impl Fn(&str),
) -> Result<Granted, Error> {
    let Delegated { authority, client_id, scopes, claims: asked_claims } = wanted;
    let no_port = |source| Error::Io { path: "127.0.0.1".into(), source };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
    let port = listener.local_addr().map_err(no_port)?.port();
    // `localhost` may lead to either; a machine without IPv6 does with one.
    let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
    // Registered without a port, which does not count (planner-api.md 10.3).
    let redirect = RedirectUrl::new(format!("http://localhost:{port}"))
        .map_err(|_| Error::Invalid("the address of this machine is no URL".to_owned()))?;
    let client = client(authority, client_id)?.set_redirect_uri(redirect);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let nonce = CsrfToken::new_random();
    let mut asking = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge)
        .add_extra_param("response_mode", "query")
        .add_extra_param("prompt", "select_account")
        .add_extra_param("nonce", nonce.secret().as_str());
    if let Some(claims) = asked_claims {
        asking = asking.add_extra_param("claims", claims);
    }
    let (address, state) = asking.url();
    let (sender, mut arrivals) = mpsc::channel(1);
    let waiting = Arc::new(Waiting { state, arrived: sender });
    let router = Router::new().route("/", get(arrive)).with_state(waiting);
    let mut servers = tokio::task::JoinSet::new();
    for listener in [Some(listener), second].into_iter().flatten() {
        let router = router.clone();
        servers.spawn(async move {
            let _ended = axum::serve(listener, router).await;
        });
    }
    drop(router);
    tell(address.as_str());
    let arrived = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
    // A second request finds nobody waiting.
    arrivals.close();
    let late = || SignInError::Declined("15 minutes have passed".to_owned());
    let code = arrived.ok().flatten().ok_or_else(late)?.map_err(|refusal| refusal.meaning());
    let code = code.map_err(ended_before)?;
    let mut redeeming = client.exchange_code(code).set_pkce_verifier(verifier);
    if let Some(claims) = asked_claims {
        redeeming = redeeming.add_extra_param("claims", claims);
    }
    let answer = redeeming.request_async(&authority.http).await;
    let granted = Granted::of(&answer.map_err(meaning).map_err(ended_before)?)?;
    let told = granted.identity.as_ref().map(|identity| claims(identity)["nonce"].clone());
    // `openid` is always asked for, so there is an identity to compare.
    if told.is_none_or(|told| told != nonce.secret().as_str()) {
        let why = "the sign-in service answered another sign-in".to_owned();
        return Err(SignInError::Refused(why).into());
    }
    drop(servers);
    Ok(granted)
}

/// Takes what the browser brings, if it belongs to this sign-in.
async fn arrive(
    State(waiting): State<Arc<Waiting>>,
    Query(brought): Query<Brought>,
) -> impl IntoResponse {
    let is_ours = brought.state.as_ref() == Some(waiting.state.secret());
    let arrived = match (brought.code, brought.error) {
        (Some(code), None) => Some(Ok(AuthorizationCode::new(code))),
        (_, Some(error)) => Some(Err(Refusal::new(error, brought.error_description))),
        (None, None) => None,
    };
    let is_taken = match arrived.filter(|_| is_ours) {
        Some(arrived) => waiting.arrived.try_send(arrived).is_ok(),
        None => false,
    };
    let (status, page) =
        if is_taken { (StatusCode::OK, DONE) } else { (StatusCode::BAD_REQUEST, OTHER) };
    let headers = [(CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, "default-src 'none'")];
    (status, headers, Html(page))
}

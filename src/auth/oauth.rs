//! The bridge to the OAuth library: our way of sending, the types of what Entra ID answers, and
//! the meaning of its refusals (planner-api.md 10.4, 10.7).

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use oauth2::basic::{
    BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::http::StatusCode;
use oauth2::http::header::{DATE, RETRY_AFTER};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponse,
    EndpointNotSet, EndpointSet, ErrorResponse, ExtraTokenFields, HttpRequest, HttpResponse,
    RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use url::Url;

use crate::auth::authority::Authority;
use crate::auth::error::Error;
use crate::graph::retry::{Failed, Repeat, next_wait, parse_retry_after};
use crate::graph::tokens::claims_in;
use crate::graph::transport::{Incoming, Outgoing, Transport};
use crate::graph::{self, BaseUrl, Proxy, Secret, SignInError};

/// The most characters of a refusal that are shown, and bytes of one word of it.
const MAX_SHOWN: usize = 300;
const MAX_WORD: usize = 100;
/// The time for which one request is sent again: less than what whoever renews a token waits
/// (`signed_in`), with requests of a run behind them.
const PATIENCE: Duration = Duration::from_secs(30);
/// The lifetime of a token that comes without one (planner-api.md 10.8).
const USUAL_LIFE: Duration = Duration::from_secs(3600);

/// The way to a sign-in service: no redirect is followed, and nothing goes to another origin.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    transport: Transport,
    base: BaseUrl,
}

impl Http {
    pub(crate) fn new(base: BaseUrl, proxy: Option<&Proxy>) -> Result<Self, Error> {
        let transport = Transport::http(&base, proxy)
            .map_err(|error| SignInError::Unavailable(error.to_string()))?;
        Ok(Self { transport, base })
    }

    /// Makes the way to a model of a sign-in service.
    #[cfg(test)]
    pub(crate) fn of_model(
        base: BaseUrl,
        model: std::sync::Arc<dyn crate::graph::transport::Model>,
    ) -> Self {
        Self { transport: Transport::Model(model), base }
    }

    /// Returns the status with which an address answers.
    pub(crate) async fn status(&self, address: &str) -> Result<u16, Error> {
        let invalid = |_| Error::Invalid(format!("`{address}` is not a URL"));
        let request = oauth2::http::Request::get(address).body(Vec::new()).map_err(invalid)?;
        let response = self.carry(request).await;
        let response = response.map_err(|error| SignInError::Unavailable(error.to_string()))?;
        Ok(response.status().as_u16())
    }

    /// Sends a request until there is an answer that is worth it, or patience ends. To repeat one does no
    /// harm: a refresh token that was exchanged is not revoked at once, and a code is lost with its answer
    /// in any case (planner-api.md 10.3, 10.5).
    async fn carry_until(&self, outgoing: Outgoing) -> Result<Incoming, graph::Error> {
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            let sent = self.transport.carry(&self.base, outgoing.clone()).await;
            let refusal;
            let (error, retry_after) = match &sent {
                Ok(incoming) if !is_transient(incoming.status) => return sent,
                Ok(incoming) => {
                    refusal = graph::Error::of_status(incoming.status);
                    (&refusal, wait_asked(incoming))
                }
                Err(error) => (error, None),
            };
            let left = PATIENCE.saturating_sub(began.elapsed());
            let failed = Failed { error, repeat: Repeat::Harmless, attempt, retry_after, left };
            match (next_wait(failed, graph::spread()), retry_after) {
                (Some(wait), _) => tokio::time::sleep(wait).await,
                (None, Some(wait)) if wait > left => {
                    let seconds = wait.as_secs();
                    let why = format!("the sign-in service asks to wait {seconds} s");
                    return Err(SignInError::Unavailable(why).into());
                }
                (None, _) => return sent,
            }
            attempt += 1;
        }
    }

    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, graph::Error> {
        let (parts, body) = request.into_parts();
        let address = parts.uri.to_string();
        let url = self.base.own(&address).ok_or_else(|| graph::Error::ForeignLink {
            origin: self.base.origin(),
            link: "the address of another service".to_owned(),
        })?;
        // A form is ASCII.
        let sent = String::from_utf8_lossy(&body).into_owned();
        let body = Some(sent.clone());
        let outgoing = Outgoing { method: parts.method, url, headers: parts.headers, body };
        let mut incoming = self.carry_until(outgoing).await?;
        if incoming.status >= 400 {
            incoming.body = without_secrets(&sent, &incoming.body);
            // Only a refusal in its form says why; whatever else this is, it is not for good.
            let is_refusal = serde_json::from_slice::<Refusal>(&incoming.body).is_ok();
            if is_transient(incoming.status) || !is_refusal {
                let why = format!("the sign-in service answers with {}", incoming.status);
                return Err(SignInError::Unavailable(why).into());
            }
        }
        let mut response = HttpResponse::new(incoming.body);
        *response.status_mut() =
            StatusCode::from_u16(incoming.status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.headers_mut() = incoming.headers;
        Ok(response)
    }
}

/// Returns whether an answer with a status may be another one a moment later.
const fn is_transient(status: u16) -> bool {
    status == 429 || status >= 500
}

/// Returns the wait that the service asks for.
fn wait_asked(incoming: &Incoming) -> Option<Duration> {
    let header = |name| incoming.headers.get(name)?.to_str().ok();
    parse_retry_after(header(RETRY_AFTER)?, header(DATE))
}

/// Takes the secrets of a form that was sent out of a refusal of it, whose text is shown and kept.
fn without_secrets(sent: &str, refusal: &[u8]) -> Vec<u8> {
    const SECRET: [&str; 6] = [
        "refresh_token",
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "device_code",
    ];
    let mut text = String::from_utf8_lossy(refusal).into_owned();
    for part in sent.split('&') {
        let read = url::form_urlencoded::parse(part.as_bytes()).next();
        let Some((_, value)) = read.filter(|(name, _)| SECRET.contains(&&**name)) else { continue };
        let written = part.split_once('=').map_or("", |(_, value)| value);
        for secret in [&*value, written].into_iter().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "[redacted]");
        }
    }
    text.into_bytes()
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = graph::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, graph::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.carry(request))
    }
}

/// The parts of an answer that the standard does not have.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Extra {
    #[serde(default)]
    id_token: Option<String>,
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl ExtraTokenFields for Extra {}

/// An answer with tokens.
pub(crate) type Answer = StandardTokenResponse<Extra, BasicTokenType>;

/// The OAuth client of an application.
pub(crate) type Client = oauth2::Client<
    Refusal,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Makes the OAuth client of an application.
pub(crate) fn client(authority: &Authority, client_id: &str) -> Result<Client, Error> {
    let invalid = |_| Error::Invalid("the address of the sign-in service is no URL".to_owned());
    let authorize = AuthUrl::new(authority.endpoint("authorize")).map_err(invalid)?;
    let device = DeviceAuthorizationUrl::new(authority.endpoint("devicecode")).map_err(invalid)?;
    let token = TokenUrl::new(authority.endpoint("token")).map_err(invalid)?;
    Ok(oauth2::Client::new(ClientId::new(client_id.to_owned()))
        // A secret goes in the body, as Entra ID documents it.
        .set_auth_type(AuthType::RequestBody)
        .set_auth_uri(authorize)
        .set_device_authorization_url(device)
        .set_token_uri(token))
}

/// A sign-in of a person for an application.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delegated<'a> {
    pub(crate) authority: &'a Authority,
    pub(crate) client_id: &'a str,
    pub(crate) scopes: &'a [String],
    /// The claims that the service asks for, as JSON.
    pub(crate) claims: Option<&'a str>,
}

/// The tokens that were granted.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) access: Secret,
    pub(crate) refresh: Option<Secret>,
    /// Tells who signed in. It comes straight from the authority, so its signature is not checked.
    pub(crate) identity: Option<Secret>,
    /// The scopes that were granted, as far as the answer says.
    pub(crate) scopes: Vec<String>,
    pub(crate) life: Duration,
}

impl Granted {
    /// Takes the tokens of an answer.
    ///
    /// # Errors
    /// The token cannot be sent as a bearer token, so nobody is signed in by it.
    pub(crate) fn of(answer: &Answer) -> Result<Self, SignInError> {
        let token = answer.access_token().secret();
        let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_sendable || !matches!(answer.token_type(), BasicTokenType::Bearer) {
            let message = "the sign-in service answered with a token that cannot be used";
            return Err(SignInError::Unavailable(message.to_owned()));
        }
        let secret = |text: &String| Secret::new(text.clone());
        let scopes = answer.scopes().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            access: secret(token),
            refresh: answer.refresh_token().map(|token| secret(token.secret())),
            identity: answer.extra_fields().id_token.as_ref().map(secret),
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            life: answer.expires_in().unwrap_or(USUAL_LIFE),
        })
    }
}

/// A refusal of the token endpoint (planner-api.md 10.7).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refusal {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
    /// The claims that only a person can meet, as JSON.
    #[serde(default)]
    claims: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.error_description.as_deref().unwrap_or_default();
        // The rest helps only Microsoft's support.
        let text = text.split(" Trace ID:").next().unwrap_or_default();
        let text = text.lines().next().unwrap_or_default().trim();
        let (shown, name) = (shown(text), shown(&self.error));
        if shown.is_empty() { f.write_str(&name) } else { write!(f, "{shown} ({name})") }
    }
}

/// Returns a text of the service as it may be shown: a token that it repeats is nobody's business, and no word
/// of a sentence is as long.
fn shown(text: &str) -> String {
    let words = text.split(' ').map(|word| if word.len() > MAX_WORD { "[redacted]" } else { word });
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().filter(|ch| !ch.is_control()).take(MAX_SHOWN).collect()
}

impl ErrorResponse for Refusal {}

impl From<DeviceCodeErrorResponse> for Refusal {
    fn from(refusal: DeviceCodeErrorResponse) -> Self {
        Self {
            error: refusal.error().to_string(),
            error_description: refusal.error_description().cloned(),
            claims: None,
        }
    }
}

impl Refusal {
    /// Makes the refusal that came back with a redirect.
    pub(crate) fn new(error: String, error_description: Option<String>) -> Self {
        Self { error, error_description, claims: None }
    }

    /// Returns the claims that the next sign-in must carry, if it names some.
    pub(crate) fn claims(&self) -> Option<String> {
        claims_in(self.claims.as_ref()?.as_bytes())
    }

    /// Returns its meaning. Names decide, not texts.
    pub(crate) fn meaning(&self) -> SignInError {
        match self.error.as_str() {
            "invalid_grant" | "interaction_required" | "login_required" | "consent_required" => {
                SignInError::Ended(self.to_string())
            }
            "authorization_declined" | "access_denied" | "expired_token" => {
                SignInError::Declined(self.to_string())
            }
            "temporarily_unavailable" | "server_error" => {
                SignInError::Unavailable(self.to_string())
            }
            // An assertion that is not valid yet, or any more.
            _ if self.to_string().contains("AADSTS700024") => {
                let clock = "is the clock of this machine right? `planwright doctor` compares it";
                SignInError::Refused(format!("{self}; {clock}"))
            }
            _ => SignInError::Refused(self.to_string()),
        }
    }
}

/// Returns the meaning of a refusal where nobody was signed in before, so that nothing can have
/// ended.
pub(crate) fn ended_before(error: SignInError) -> SignInError {
    match error {
        SignInError::Ended(why) => SignInError::Refused(why),
        other => other,
    }
}

/// Returns the meaning of a failed request for tokens. An answer that cannot be read is not shown:
/// it may hold a token.
pub(crate) fn meaning<T>(error: RequestTokenError<graph::Error, T>) -> SignInError
where
    T: ErrorResponse + Into<Refusal> + 'static,
{
    match error {
        RequestTokenError::ServerResponse(refusal) => refusal.into().meaning(),
        RequestTokenError::Request(graph::Error::SignIn(error)) => error,
        RequestTokenError::Request(error) => SignInError::Unavailable(with_causes(&error)),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            SignInError::Unavailable("the sign-in service did not answer like one".to_owned())
        }
    }
}

/// Returns an error with what has caused it: a certificate that is not trusted is no cable.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes.map(ToString::to_string) {
        // Some repeat their cause.
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.chars().filter(|ch| !ch.is_control()).take(MAX_SHOWN).collect()
}

/// Returns the scope that stands for everything that was granted at a Graph service.
pub(crate) fn all_of(graph_url: &str) -> Result<String, Error> {
    let url =
        Url::parse(graph_url).map_err(|_| Error::Invalid(format!("`{graph_url}` is not a URL")))?;
    Ok(format!("{}/.default", url.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_repeats_what_was_sent_shows_no_secret() {
        let sent = "client_id=app&refresh_token=1.s8+F%2FkLK&client_secret=S3cret%7Ex&scope=all";
        let refusal = br#"{"error_description":"you sent 1.s8 F/kLK and 1.s8+F%2FkLK, S3cret~x, S3cret%7Ex for app, all"}"#;
        let shown = String::from_utf8(without_secrets(sent, refusal)).unwrap();
        assert!(!shown.contains("kLK") && !shown.contains("S3cret"), "{shown}");
        assert!(shown.contains("for app, all") && shown.contains("[redacted]"), "{shown}");
    }

    #[test]
    fn a_refusal_that_shows_a_token_shows_nothing_of_it() {
        let token = format!("eyJ{}", "x".repeat(200));
        let description = Some(format!("the token {token} is over"));
        let refusal = Refusal::new("invalid_grant".to_owned(), description);
        assert_eq!(refusal.to_string(), "the token [redacted] is over (invalid_grant)");
    }

    #[test]
    fn a_token_that_cannot_be_sent_signs_nobody_in() {
        let of = |token: &str, kind: &str| {
            let answer = serde_json::json!({ "access_token": token, "token_type": kind });
            Granted::of(&serde_json::from_value(answer).unwrap()).is_ok()
        };
        assert!(of("abc.def-_~", "Bearer"));
        assert!(!of("", "Bearer") && !of("a\r\nX: y", "Bearer") && !of("abc", "mac"));
    }
}

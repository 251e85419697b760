//! The identity of the machine: its platform gives tokens to whoever asks from there. The address is on this
//! machine or on the link that it hangs on, and no proxy is in between: the answer is a token.

use std::time::Duration;

use jiff::Timestamp;
use oauth2::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::Value;

use crate::auth::error::Error;
use crate::auth::lent::{Surroundings, granted, shown};
use crate::auth::oauth::Granted;
use crate::graph::transport::{Incoming, Outgoing, Transport};
use crate::graph::{BaseUrl, SignInError};

/// The metadata service of a machine in Azure.
const METADATA: &str = "http://169.254.169.254";
/// The longest wait for an answer: it comes from the same machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The answer of the platform. Some write numbers as texts.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_on: Option<Value>,
}

/// Asks for a token for a service, in the name of the machine or of one of the identities that it was
/// given.
pub(crate) async fn token(
    resource: &str,
    client_id: &str,
    surroundings: &Surroundings,
    now: Timestamp,
) -> Result<Granted, Error> {
    let (base, version, header) =
        match (&surroundings.identity_endpoint, &surroundings.identity_header) {
            (Some(endpoint), Some(secret)) => {
                let mut value = HeaderValue::try_from(secret.reveal())
                    .map_err(|_| Error::Invalid("IDENTITY_HEADER cannot be a header".to_owned()))?;
                value.set_sensitive(true);
                let header = (HeaderName::from_static("x-identity-header"), value);
                (endpoint.clone(), "2019-08-01", header)
            }
            _ => {
                let root = surroundings.metadata.as_deref().unwrap_or(METADATA);
                let root = root.trim_end_matches('/');
                let header =
                    (HeaderName::from_static("metadata"), HeaderValue::from_static("true"));
                (format!("{root}/metadata/identity/oauth2/token"), "2018-02-01", header)
            }
        };
    let (base, mut url) = BaseUrl::near(&base)?;
    url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", resource);
    if !client_id.is_empty() {
        url.query_pairs_mut().append_pair("client_id", client_id);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header.0, header.1);
    let outgoing = Outgoing { method: Method::GET, url, headers, body: None };
    let unavailable = |why: String| Error::from(SignInError::Unavailable(why));
    let transport = Transport::http(&base, None).map_err(|error| unavailable(error.to_string()))?;
    let carried = tokio::time::timeout(PATIENCE, transport.carry(&base, outgoing)).await;
    let Ok(Ok(incoming)) = carried else {
        let origin = base.origin();
        let why = format!("no platform that lends this machine an identity answers at {origin}");
        return Err(unavailable(why));
    };
    taken(&incoming, now)
}

fn taken(incoming: &Incoming, now: Timestamp) -> Result<Granted, Error> {
    if incoming.status == 200 {
        // What cannot be read is not shown: it may hold a token.
        let answer: Answer = serde_json::from_slice(&incoming.body).map_err(|_| {
            SignInError::Unavailable("the platform did not answer with a token".to_owned())
        })?;
        let second =
            answer.expires_on.and_then(|at| at.as_i64().or_else(|| at.as_str()?.parse().ok()));
        let ends = second.and_then(|at| Timestamp::from_second(at).ok());
        return Ok(granted(answer.access_token, ends, now));
    }
    let json: Value = serde_json::from_slice(&incoming.body).unwrap_or_default();
    let told = ["error_description", "message", "error"];
    let text = told.into_iter().find_map(|name| json.get(name)?.as_str()).unwrap_or_default();
    let text = if text.is_empty() { String::new() } else { format!(": {}", shown(text)) };
    let why = format!("the platform answers with {}{text}", incoming.status);
    // It may be starting, or busy.
    Err(if matches!(incoming.status, 404 | 410 | 429) || incoming.status >= 500 {
        SignInError::Unavailable(why).into()
    } else {
        SignInError::Refused(why).into()
    })
}

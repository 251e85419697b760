//! One request in parts: address, options, headers, body.
//!
//! Nothing here knows which resource is addressed. The rules of headers and options are in
//! planner-api.md 2.0, 8.1 and 9.3.

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, Method, Request as HttpRequest, Uri};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::emulator::state::graph_error::GraphError;
use crate::emulator::state::id;

/// The roots of the addresses of v1.0 and of the beta.
pub(crate) const ROOT: &str = "/v1.0";
pub(crate) const BETA: &str = "/beta";

/// Returns the root that a path begins with, in whatever spelling.
pub(crate) fn root_of(path: &str) -> Option<&'static str> {
    [ROOT, BETA]
        .into_iter()
        .find(|root| path.get(..root.len()).is_some_and(|head| head.eq_ignore_ascii_case(root)))
}

/// A request in parts.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    options: Vec<(String, String)>,
    /// The id under which this request is answered.
    pub(crate) id: String,
}

impl Request {
    pub(crate) fn new(request: HttpRequest<Vec<u8>>) -> Self {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default();
        let options = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
        Self { method, uri, headers, body, options, id: id::new_guid() }
    }

    /// Returns the scheme and host the request came to, to which links in answers lead back. A
    /// proxy that ends TLS in front of the emulator states the scheme in a header.
    pub(crate) fn origin(&self) -> String {
        let forwarded =
            self.header("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme));
        let scheme = forwarded.or_else(|| self.uri.scheme_str()).unwrap_or("http");
        let host = match self.uri.authority() {
            Some(authority) => authority.as_str(),
            None => self.header(HOST.as_str()).unwrap_or("localhost"),
        };
        format!("{scheme}://{host}")
    }

    /// Returns the address of the service root.
    pub(crate) fn root(&self) -> String {
        format!("{}{}", self.origin(), self.version())
    }

    /// Returns the root of the API version that is addressed.
    pub(crate) fn version(&self) -> &'static str {
        root_of(self.uri.path()).unwrap_or(ROOT)
    }

    /// Returns whether the beta is addressed.
    pub(crate) fn is_beta(&self) -> bool {
        self.version() == BETA
    }

    /// Returns all query options.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns a query option by its exact name, `$select` for instance.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the address of the page after this one (planner-api.md 8.2).
    pub(crate) fn next_link(&self, token: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.options.iter().filter(|(name, _)| name != "$skiptoken") {
            query.append_pair(name, value);
        }
        query.append_pair("$skiptoken", token);
        format!("{}{}?{}", self.origin(), self.uri.path(), query.finish())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn header_all(&self, name: &str) -> Vec<&str> {
        // A value that is not text is neither a valid tag nor a preference, but it still counts:
        // two `If-Match` headers are refused (planner-api.md 3.3).
        self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("")).collect()
    }

    pub(crate) fn if_match(&self) -> Vec<&str> {
        self.header_all(IF_MATCH.as_str())
    }

    pub(crate) fn if_none_match(&self) -> Vec<&str> {
        self.header_all(IF_NONE_MATCH.as_str())
    }

    /// Returns whether a preference is stated, on one header line or several
    /// (planner-api.md 2.0).
    pub(crate) fn prefers(&self, preference: &str) -> bool {
        self.header_all("prefer")
            .iter()
            .flat_map(|line| line.split(','))
            // Parameters do not change what is preferred: `return=representation; x=y`.
            .filter_map(|one| one.split(';').next())
            // A value may be quoted (RFC 7240).
            .any(|one| one.replace('"', "").trim().eq_ignore_ascii_case(preference))
    }

    /// Returns whether the client wants no `@odata` annotations (planner-api.md 9.4).
    pub(crate) fn wants_no_metadata(&self) -> bool {
        self.header_all("accept")
            .iter()
            .any(|accept| accept.to_ascii_lowercase().contains("odata.metadata=none"))
    }

    /// Returns the bearer token.
    pub(crate) fn bearer(&self) -> Result<&str, GraphError> {
        let Some(authorization) = self.header(AUTHORIZATION.as_str()) else {
            return Err(GraphError::unauthorized("Access token is empty."));
        };
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        };
        if token.is_empty() {
            return Err(GraphError::unauthorized("Access token is empty."));
        }
        Ok(token)
    }

    /// Returns the path with its query.
    pub(crate) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("", |target| target.as_str())
    }

    /// Refuses a body of any other type (planner-api.md 2.0).
    pub(crate) fn check_media(&self, expected: &str) -> Result<(), GraphError> {
        let media = self.header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(GraphError::new(
            415,
            "UnsupportedMediaType",
            format!("The content type of the request must be {expected}."),
        ))
    }

    /// Reads the body as a JSON object (planner-api.md 2.0 and 2.4).
    pub(crate) fn json(&self) -> Result<Map<String, Value>, GraphError> {
        self.check_media("application/json")?;
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(body)) => Ok(body),
            Ok(_) => Err(GraphError::bad_request("The body of the request must be a JSON object.")),
            Err(_) => Err(GraphError::bad_request(
                "Unable to read JSON request payload: it is not valid.",
            )),
        }
    }
}

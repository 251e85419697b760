//! The device flow against a model of the sign-in service, in virtual time.

use std::pin::Pin;
use std::sync::{Arc, Mutex};

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use super::*;
use crate::auth::authority::Authority;
use crate::graph::BaseUrl;
use crate::graph::transport::{Incoming, Model, Outgoing};

/// The claims that an earlier challenge asked for.
const CLAIMS: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;

type Carried = Pin<Box<dyn Future<Output = Option<Incoming>> + Send>>;

/// Answers the polls with these, one after the other, and notes when they came.
struct Entra {
    answers: Mutex<Vec<Value>>,
    polls: Mutex<Vec<u64>>,
    began: Instant,
}

impl Model for Entra {
    fn carry(&self, request: Outgoing) -> Carried {
        let form = form_urlencoded::parse(request.body.as_deref().unwrap().as_bytes());
        let claims: Vec<_> = form.filter(|(name, _)| name == "claims").collect();
        assert_eq!(claims.len(), 1);
        assert_eq!(claims[0].1, CLAIMS);
        let (status, body) = if request.url.path().ends_with("/devicecode") {
            let code = json!({
                "device_code": "device-canary", "user_code": "ABCD", "expires_in": 900,
                "interval": 5, "verification_uri": "https://login.example/device",
            });
            (200, code)
        } else {
            assert!(request.body.unwrap().contains("device_code=device-canary"));
            self.polls.lock().unwrap().push(self.began.elapsed().as_secs());
            let body = self.answers.lock().unwrap().remove(0);
            let status = body["status"].as_u64().and_then(|status| u16::try_from(status).ok());
            (status.unwrap_or(if body.get("error").is_some() { 400 } else { 200 }), body)
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.to_string().into_bytes();
        Box::pin(async move { Some(Incoming { status, headers, body }) })
    }
}

/// Signs in; returns what came of it, the seconds of the polls, and what the person was shown.
async fn signed_in(answers: &[Value]) -> (Result<Granted, Error>, Vec<u64>, Vec<String>) {
    let entra = Arc::new(Entra {
        answers: Mutex::new(answers.to_vec()),
        polls: Mutex::default(),
        began: Instant::now(),
    });
    let base = BaseUrl::parse("https://login.example").unwrap();
    let authority = Authority::of_model(base, "bos.example", entra.clone());
    let shown = Mutex::new(Vec::new());
    let scopes = ["Tasks.ReadWrite".to_owned()];
    let tell = |address: &str, code: &str| {
        shown.lock().unwrap().extend([address.to_owned(), code.to_owned()]);
    };
    let claims = Some(CLAIMS);
    let wanted = Delegated { authority: &authority, client_id: "client", scopes: &scopes, claims };
    let granted = by_device_code(wanted, tell).await;
    let polls = entra.polls.lock().unwrap().clone();
    (granted, polls, shown.into_inner().unwrap())
}

fn error(name: &str) -> Value {
    json!({ "error": name, "error_description": "AADSTS1: No. Trace ID: t", "error_codes": [1] })
}

#[tokio::test(start_paused = true)]
async fn a_code_is_polled_slower_when_the_service_asks_for_it() {
    let tokens = json!({
        "token_type": "Bearer", "access_token": "a", "refresh_token": "r", "expires_in": 4217,
        "scope": "Tasks.ReadWrite User.Read", "ext_expires_in": 4217,
    });
    let answers = [
        error("authorization_pending"),
        error("slow_down"),
        error("authorization_pending"),
        tokens,
    ];
    let (granted, polls, shown) = signed_in(&answers).await;
    let granted = granted.unwrap();
    assert_eq!(granted.refresh.unwrap().reveal(), "r");
    assert_eq!(granted.scopes, ["Tasks.ReadWrite", "User.Read"]);
    assert_eq!(granted.life.as_secs(), 4217);
    assert_eq!(polls, [0, 5, 15, 25]);
    assert_eq!(shown, ["https://login.example/device", "ABCD"]);
}

/// One failed answer does not lose the code.
#[tokio::test(start_paused = true)]
async fn a_service_that_fails_at_a_poll_is_asked_again() {
    let tokens = json!({ "token_type": "Bearer", "access_token": "a", "expires_in": 4217 });
    let answers = [error("authorization_pending"), json!({ "error": "x", "status": 503 }), tokens];
    let (granted, polls, _) = signed_in(&answers).await;
    assert_eq!((granted.unwrap().access.reveal(), polls.len()), ("a", 3));
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_declined_or_expires_ends_the_sign_in() {
    for name in ["authorization_declined", "access_denied", "expired_token", "invalid_grant"] {
        let (granted, polls, _) = signed_in(&[error("authorization_pending"), error(name)]).await;
        let error = granted.unwrap_err();
        assert_eq!(error.code(), "not_signed_in");
        assert!(error.to_string().ends_with(&format!("AADSTS1: No. ({name})")), "{error}");
        assert_eq!(polls.len(), 2);
    }
    let (granted, ..) = signed_in(&[json!({ "no": "tokens-canary" })]).await;
    let error = granted.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!(!format!("{error:?}").contains("canary"));
}

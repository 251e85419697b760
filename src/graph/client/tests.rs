//! The patience and the bounds of a client, against models of the service in virtual time.

use std::pin::Pin;
use std::sync::atomic::AtomicUsize;

use reqwest::header::HeaderName;
use serde_json::{Value, json};

use super::*;
use crate::graph::tokens::{SignInError, TokenFuture};
use crate::graph::transport::{Incoming, Model};
use crate::model::{ETag, Plan, PlanId, Task, TaskId, User, Versioned};
use crate::wire::batch::Order;
use crate::wire::request;

type Carried = Pin<Box<dyn Future<Output = Option<Incoming>> + Send>>;

/// Answers nothing, for ever.
struct Silent;

impl Model for Silent {
    fn carry(&self, _: Outgoing) -> Carried {
        Box::pin(std::future::pending())
    }
}

/// Answers every request with a status and, perhaps, a time to come back at.
struct Busy(u16, Option<&'static str>);

impl Model for Busy {
    fn carry(&self, _: Outgoing) -> Carried {
        let mut headers = HeaderMap::new();
        if let Some(after) = self.1 {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
        }
        let incoming = Incoming { status: self.0, headers, body: b"{}".to_vec() };
        Box::pin(async move { Some(incoming) })
    }
}

/// Serves a list page by page: a page by its number, counted from 0.
struct Pages<F>(F, AtomicUsize);

impl<F: Fn(usize) -> Value + Send + Sync> Model for Pages<F> {
    fn carry(&self, _: Outgoing) -> Carried {
        let n = self.1.fetch_add(1, Ordering::SeqCst);
        let mut body = (self.0)(n);
        if body["more"].take() == json!(true) {
            body["@odata.nextLink"] = json!(format!("https://graph.example.com/v1.0/x?p={n}"));
        }
        let body = body.to_string().into_bytes();
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("content-type"),
            HeaderValue::from_static("application/json"),
        )]);
        Box::pin(async move { Some(Incoming { status: 200, headers, body }) })
    }
}

fn client(model: impl Model + 'static) -> Client {
    let base = BaseUrl::parse("https://graph.example.com/v1.0").unwrap();
    Client::of_model(base, &Secret::new("token".to_owned()), Arc::new(model)).unwrap()
}

/// Returns the error that ended a read, and the time it took.
async fn timed(client: &Client) -> (Error, Duration) {
    let began = Instant::now();
    let read = client.read::<User>(&request::me()).await;
    (read.unwrap_err(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_read_gives_up_in_well_under_a_minute() {
    let (error, took) = timed(&client(Silent)).await;
    assert!(took <= Duration::from_secs(45), "{took:?}");
    assert!(error.is_unavailable(), "{error}");
    for (status, after) in
        [(429, Some("55")), (429, Some("11")), (503, Some("29")), (503, None), (502, Some("0"))]
    {
        let (error, took) = timed(&client(Busy(status, after))).await;
        assert!(took <= Duration::from_secs(45), "{status} {after:?}: {took:?}");
        assert!(error.is_unavailable(), "{error}");
    }
}

/// A wait that somebody else was asked for counts as well.
#[tokio::test(start_paused = true)]
async fn a_read_does_not_wait_for_ever_at_a_closed_gate() {
    let client = client(Busy(429, Some("55")));
    let _refused = timed(&client).await;
    let (error, took) = timed(&client).await;
    assert!(took <= Duration::from_secs(45), "{took:?}");
    assert!(error.is_unavailable(), "{error}");
}

fn plans(n: usize, count: usize, title: &str) -> Vec<Value> {
    let plan = |i| json!({ "id": format!("p{n}-{i}"), "title": title, "@odata.etag": "W/\"x\"" });
    (0..count).map(plan).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_as_large_as_planner_allows_is_read() {
    let page = |n| json!({ "value": plans(n, 400, "A title of some length"), "more": n < 24 });
    let client = client(Pages(page, AtomicUsize::new(0)));
    let all = client.list::<Versioned<Plan>>(&request::my_plans()).await.unwrap();
    assert_eq!(all.len(), 10_000);
}

/// As many tasks as no plan has, each with all that Planner's own have, within one session.
#[tokio::test(start_paused = true)]
async fn ten_thousand_tasks_are_within_what_a_session_may_hold() {
    let by = |id: &str| json!({ "user": { "displayName": null, "id": id }, "application": { "displayName": null, "id": id } });
    let id = "c4e8f2a6-1b3d-4e57-8f90-a1b2c3d4e5f6";
    let assignment = json!({
        "@odata.type": "#microsoft.graph.plannerAssignment", "assignedBy": by(id),
        "assignedDateTime": "2026-03-02T09:15:27.4821093Z", "orderHint": "8584291639579954714PB",
    });
    let task = json!({
        "@odata.etag": "W/\"JzEtVGFzayAgQEBAQEBAQEBAQEBAQEBARCc=\"", "planId": "1Lb49JAHX0-Dp9eu1bVbm2QARDtl",
        "bucketId": "nQCOAKpZRvg0P7pYqz18c2QA7d7k", "title": "A title of a length that is quite usual",
        "orderHint": "8584291639579954714", "assigneePriority": "8584291639579954714",
        "percentComplete": 50, "startDateTime": "2026-03-01T10:00:00Z",
        "createdDateTime": "2026-03-02T09:15:27.4821093Z", "dueDateTime": "2026-03-31T10:00:00Z",
        "hasDescription": true, "previewType": "automatic", "completedDateTime": null,
        "completedBy": by(id), "referenceCount": 3, "checklistItemCount": 5,
        "activeChecklistItemCount": 5, "conversationThreadId": null, "priority": 3,
        "createdBy": by(id), "appliedCategories": { "category3": true, "category9": true },
        "assignments": { "a": assignment.clone(), "b": assignment.clone(), "c": assignment },
    });
    let page = move |n| {
        let mut items = vec![task.clone(); 400];
        for (i, item) in items.iter_mut().enumerate() {
            item["id"] = json!(format!("t{n}-{i}"));
        }
        json!({ "value": items, "more": n < 24 })
    };
    let session = client(Pages(page, AtomicUsize::new(0))).for_session();
    let plan = PlanId::parse("p").unwrap();
    let all = session.list::<Versioned<Task>>(&request::plan_tasks(&plan)).await.unwrap();
    assert_eq!((all.len(), all[0].value.assignments.len()), (10_000, 3));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_no_longer_than_any_of_planners() {
    let endless = |n| json!({ "value": plans(n, 400, "P"), "more": true });
    let pages = client(Pages(endless, AtomicUsize::new(0)));
    let error = pages.list::<Versioned<Plan>>(&request::my_plans()).await.unwrap_err();
    assert!(matches!(error, Error::TooManyItems(50_000)), "{error}");
    assert_eq!(pages.counts().requests, 126);
    let empty = client(Pages(|_| json!({ "value": [], "more": true }), AtomicUsize::new(0)));
    let error = empty.list::<Versioned<Plan>>(&request::my_plans()).await.unwrap_err();
    assert!(matches!(error, Error::EndlessList(MAX_PAGES)), "{error}");
}

/// A session holds no more than its allowance, whatever it reads.
#[tokio::test(start_paused = true)]
async fn the_answers_of_a_session_are_weighed_together() {
    let title = "x".repeat(1000);
    let page = move |n| json!({ "value": plans(n, 100, &title), "more": n % 2 == 0 });
    let session =
        client(Pages(page, AtomicUsize::new(0))).with_allowance(Allowance::from_bytes(1 << 20));
    let mut lists = 0;
    let error = loop {
        match session.list::<Versioned<Plan>>(&request::my_plans()).await {
            Ok(plans) => lists += plans.len() / 200,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::TooMuch), "{error}");
    // A list weighs some 230 KiB.
    assert_eq!(lists, 4);
    // The next session has an allowance of its own.
    let plans = session.for_session().list::<Versioned<Plan>>(&request::my_plans()).await;
    assert!(!plans.unwrap().is_empty());
}

/// A run that has begun to write waits longer for its reads.
#[tokio::test(start_paused = true)]
async fn a_run_that_writes_has_more_patience() {
    let (error, took) = timed(&client(Busy(429, Some("55"))).patient()).await;
    assert!(error.refusal().is_some_and(|refusal| refusal.is_throttled()), "{error}");
    assert!(took >= Duration::from_secs(4 * 55) && took < Duration::from_secs(300), "{took:?}");
    let (_, took) = timed(&client(Silent).patient()).await;
    assert!(took <= Duration::from_secs(300), "{took:?}");
}

/// Refuses one token, with a challenge, and answers any other.
struct Demanding(&'static str);

impl Model for Demanding {
    fn carry(&self, request: Outgoing) -> Carried {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let is_old = request.headers.get(AUTHORIZATION).is_some_and(|sent| sent == "Bearer old");
        let incoming = if is_old {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(self.0));
            Incoming { status: 401, headers, body: b"{}".to_vec() }
        } else {
            Incoming {
                status: 200,
                headers,
                body: br#"{"id":"u","userPrincipalName":"u"}"#.to_vec(),
            }
        };
        Box::pin(async move { Some(incoming) })
    }
}

/// A sign-in that can be renewed once, and notes what it was asked for.
#[derive(Debug)]
struct Renewing {
    next: Result<&'static str, SignInError>,
    asked: Mutex<Vec<Option<Refused>>>,
}

impl Tokens for Renewing {
    fn token<'a>(&'a self, refused: Option<&'a Refused>) -> TokenFuture<'a> {
        self.asked.lock().unwrap().push(refused.cloned());
        let token = if refused.is_some() { self.next.clone() } else { Ok("old") };
        Box::pin(std::future::ready(token.map(|token| Secret::new(token.to_owned()))))
    }
}

async fn renewed(
    next: Result<&'static str, SignInError>,
) -> (Result<User, Error>, Vec<Option<Refused>>) {
    let tokens = Arc::new(Renewing { next, asked: Mutex::default() });
    let base = BaseUrl::parse("https://graph.example.com/v1.0").unwrap();
    // The claims are `{"a":1}`.
    let header = "Bearer error=\"insufficient_claims\", claims=\"eyJhIjoxfQ==\"";
    let client = Client::of_model_with(base, tokens.clone(), Arc::new(Demanding(header)));
    let read = client.read::<User>(&request::me()).await;
    let asked = tokens.asked.lock().unwrap().clone();
    (read, asked)
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_the_request_sent_again() {
    let (read, asked) = renewed(Ok("new")).await;
    assert_eq!(read.unwrap().upn, "u");
    let refused =
        Refused { token: Secret::new("old".to_owned()), claims: Some("{\"a\":1}".to_owned()) };
    assert_eq!(asked, [None, Some(refused)]);
    let (read, asked) = renewed(Ok("old")).await;
    assert!(read.unwrap_err().is_unauthorized());
    assert_eq!(asked.len(), 2);
    let (read, _) = renewed(Err(SignInError::Ended("AADSTS50173".to_owned()))).await;
    let error = read.unwrap_err();
    assert!(error.is_unauthorized() && !error.leaves_doubt(), "{error}");
    assert!(error.to_string().contains("AADSTS50173"));
    // What passes by itself is waited for as an answer of the service is.
    let (read, asked) = renewed(Err(SignInError::Unavailable("down".to_owned()))).await;
    assert!(read.unwrap_err().is_unavailable());
    assert!(asked.len() > 2, "{asked:?}");
}

/// Refuses each part of a batch with one token, and answers any other; notes the batches.
#[derive(Default)]
struct Parts(Mutex<Vec<Vec<String>>>);

impl Model for Parts {
    fn carry(&self, request: Outgoing) -> Carried {
        let is_old = request.headers.get(AUTHORIZATION).is_some_and(|sent| sent == "Bearer old");
        let body: Value = serde_json::from_str(&request.body.unwrap()).unwrap();
        let asked = body["requests"].as_array().unwrap();
        let urls = asked.iter().map(|part| part["url"].as_str().unwrap().to_owned()).collect();
        let is_first = self.0.lock().unwrap().is_empty();
        self.0.lock().unwrap().push(urls);
        let answers: Vec<Value> = asked
            .iter()
            .enumerate()
            .map(|(at, part)| {
                let status = match at {
                    // The token ends while the batch is under way.
                    0 if is_first => 200,
                    _ if !is_old => 200,
                    _ if part["dependsOn"].is_array() && at > 1 => 424,
                    _ => 401,
                };
                let challenge = "Bearer error=\"insufficient_claims\", claims=\"eyJhIjoxfQ==\"";
                let body = json!({ "id": "u", "userPrincipalName": "u" });
                json!({
                    "id": part["id"], "status": status, "body": body,
                    "headers": { "WWW-Authenticate": challenge },
                })
            })
            .collect();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = json!({ "responses": answers }).to_string().into_bytes();
        Box::pin(async move { Some(Incoming { status: 200, headers, body }) })
    }
}

/// A sign-in whose token is the new one once that was asked for.
#[derive(Debug, Default)]
struct Turning(Mutex<Vec<Refused>>);

impl Tokens for Turning {
    fn token<'a>(&'a self, refused: Option<&'a Refused>) -> TokenFuture<'a> {
        let mut asked = self.0.lock().unwrap();
        asked.extend(refused.cloned());
        let token = if asked.is_empty() { "old" } else { "new" };
        Box::pin(std::future::ready(Ok(Secret::new(token.to_owned()))))
    }
}

#[tokio::test(start_paused = true)]
async fn refused_parts_of_a_batch_go_out_again_after_one_renewal() {
    let ids = ["a", "b", "c"].map(|id| TaskId::parse(id).unwrap());
    let base = BaseUrl::parse("https://graph.example.com/v1.0").unwrap();
    for order in [None, Some(Order::Any), Some(Order::OneByOne)] {
        let (model, tokens) = (Arc::<Parts>::default(), Arc::<Turning>::default());
        let client = Client::of_model_with(base.clone(), tokens.clone(), model.clone());
        if let Some(order) = order {
            let tag = || ETag::new("W/\"x\"".into());
            let writes = ids.each_ref().map(|id| request::delete_task(id, tag()));
            let attempts = client.attempt_many(&writes.each_ref(), order, "id").await;
            assert!(attempts.iter().all(|attempt| attempt.result.is_ok()), "{attempts:?}");
        } else {
            let reads = ids.each_ref().map(request::task_details);
            let read = client.read_many::<User>(&reads).await.unwrap();
            assert!(read.iter().all(Result::is_ok), "{read:?}");
        }
        let asked = tokens.0.lock().unwrap().clone();
        assert_eq!(asked.len(), 1, "{order:?}");
        assert_eq!(asked[0].claims.as_deref(), Some("{\"a\":1}"));
        let batches = model.0.lock().unwrap().clone();
        assert_eq!(batches.len(), 2, "{order:?}");
        assert_eq!(batches[1], batches[0][1..], "{order:?}");
    }
}

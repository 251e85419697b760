//! The renewal of a sign-in, against a model of the sign-in service and a clock that is set.

use std::sync::Mutex as Plain;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};
use url::form_urlencoded;

use super::*;
use crate::auth::profile::Account;
use crate::auth::seal::close;
use crate::graph::BaseUrl;
use crate::graph::transport::{Incoming, Model, Outgoing};

type Carried = Pin<Box<dyn Future<Output = Option<Incoming>> + Send>>;
type Form = Vec<(String, String)>;

/// A clock that stands where it was set.
#[derive(Debug)]
struct Set(Plain<Timestamp>);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Gives a new access and refresh token for each refresh token but those it was told to refuse.
#[derive(Default)]
struct Entra {
    asked: Plain<Vec<Form>>,
    refusal: Plain<Option<Value>>,
    silent: Plain<bool>,
    hangs: Plain<bool>,
    roles: Plain<Vec<&'static str>>,
    /// The waits that it asks for before it answers.
    throttles: Plain<Vec<&'static str>>,
}

impl Entra {
    /// Returns an access token, which tells of roles if there are some.
    fn access(&self, n: usize) -> String {
        let roles = self.roles.lock().unwrap();
        if roles.is_empty() {
            return format!("access-{n}");
        }
        let claims = json!({ "roles": *roles }).to_string();
        format!("access-{n}.{}.", URL_SAFE_NO_PAD.encode(claims))
    }
}

impl Model for Entra {
    fn carry(&self, request: Outgoing) -> Carried {
        if *self.silent.lock().unwrap() {
            return Box::pin(async { None });
        }
        if *self.hangs.lock().unwrap() {
            return Box::pin(std::future::pending());
        }
        let wait = {
            let mut throttles = self.throttles.lock().unwrap();
            (!throttles.is_empty()).then(|| throttles.remove(0))
        };
        if let Some(wait) = wait {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(wait))]);
            // In the form of a refusal, with a name that means nothing.
            let body = br#"{"error":"x"}"#.to_vec();
            return Box::pin(async move { Some(Incoming { status: 429, headers, body }) });
        }
        let form: Form =
            form_urlencoded::parse(request.body.unwrap().as_bytes()).into_owned().collect();
        let mut asked = self.asked.lock().unwrap();
        asked.push(form);
        let n = asked.len();
        let (status, body) = match self.refusal.lock().unwrap().clone() {
            Some(refusal) => (400, refusal),
            None => (
                200,
                json!({
                    "token_type": "Bearer", "access_token": self.access(n),
                    "refresh_token": format!("refresh-{n}"), "expires_in": 3600,
                }),
            ),
        };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.to_string().into_bytes();
        Box::pin(async move { Some(Incoming { status, headers, body }) })
    }
}

/// One state folder with a profile that signed in an hour ago.
struct Stage {
    dir: tempfile::TempDir,
    entra: Arc<Entra>,
    clock: Arc<Set>,
}

impl Stage {
    fn new(flow: Flow) -> (Self, Profile) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key"), [9; 32]).unwrap();
        close(&dir.path().join("key"), 0o600);
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let clock = Arc::new(Set(Plain::new(now)));
        let stage = Self { dir, entra: Arc::default(), clock };
        let profile = Profile {
            name: "work".to_owned(),
            tenant: "bos.example".to_owned(),
            client_id: "0f9e8d7c-6b5a-4c3d-9e2f-1a0b9c8d7e6f".to_owned(),
            authority: "https://login.example".to_owned(),
            graph_url: "https://graph.example/v1.0".to_owned(),
            flow,
            scopes: Vec::new(),
            claims: None,
            account: Account::default(),
        };
        let kept = Kept {
            access: Secret::new("access-0".to_owned()),
            renew_at: now,
            expires_at: now,
            refresh: (!flow.is_app()).then(|| Secret::new("refresh-0".to_owned())),
            client_secret: flow.is_app().then(|| Secret::new("secret-0".to_owned())),
            scopes: Vec::new(),
        };
        let cache = Cache::of(stage.dir.path(), &profile).unwrap();
        cache.write(&stage.keys().for_new().unwrap(), &kept).unwrap();
        (stage, profile)
    }

    fn keys(&self) -> Keys {
        Keys { file: Some(self.dir.path().join("key")), ..Keys::default() }
    }

    /// Opens the sign-in, as one process does.
    fn open(&self, profile: &Profile) -> SignedIn {
        let base = BaseUrl::parse(&profile.authority).unwrap();
        let authority = Authority::of_model(base, "bos.example", self.entra.clone());
        let state = self.dir.path();
        SignedIn::open(profile.clone(), authority, state, &self.keys(), self.clock.clone()).unwrap()
    }

    fn asked(&self) -> Vec<Form> {
        self.entra.asked.lock().unwrap().clone()
    }
}

fn value<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn requests_and_processes_renew_it_once_together() {
    let (stage, profile) = Stage::new(Flow::Device);
    let processes = [(); 3].map(|()| Arc::new(stage.open(&profile)));
    let mut jobs = tokio::task::JoinSet::new();
    for process in processes.iter().cycle().take(30) {
        let process = Arc::clone(process);
        jobs.spawn(async move { process.token(None).await.unwrap() });
    }
    for token in jobs.join_all().await {
        assert_eq!(token.reveal(), "access-1");
    }
    assert_eq!(stage.asked().len(), 1);
    assert_eq!(value(&stage.asked()[0], "refresh_token"), Some("refresh-0"));
    // Half a day later the rotated one is used, by a process that never saw the first.
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(12);
    let token = stage.open(&profile).token(None).await.unwrap();
    assert_eq!(token.reveal(), "access-2");
    assert_eq!(value(&stage.asked()[1], "refresh_token"), Some("refresh-1"));
}

#[tokio::test]
async fn a_refused_token_is_renewed_with_the_claims_and_only_once() {
    let (stage, profile) = Stage::new(Flow::Browser);
    let signed_in = stage.open(&profile);
    let first = signed_in.token(None).await.unwrap();
    assert_eq!(signed_in.token(None).await.unwrap(), first);
    let refused = Refused { token: first, claims: Some(r#"{"a":1}"#.to_owned()) };
    for _ in 0..3 {
        assert_eq!(signed_in.token(Some(&refused)).await.unwrap().reveal(), "access-2");
    }
    let asked = stage.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(value(&asked[0], "claims"), None);
    assert_eq!(value(&asked[1], "claims"), Some(r#"{"a":1}"#));
    assert_eq!(value(&asked[1], "grant_type"), Some("refresh_token"));
    assert!(value(&asked[1], "client_secret").is_none());
}

#[tokio::test]
async fn a_sign_in_that_has_ended_says_so_and_one_that_cannot_be_reached_waits() {
    let (stage, profile) = Stage::new(Flow::Device);
    let signed_in = stage.open(&profile);
    let refusal = json!({ "error": "invalid_grant", "error_description": "AADSTS50173: Changed." });
    *stage.entra.refusal.lock().unwrap() = Some(refusal);
    let error = signed_in.token(None).await.unwrap_err();
    assert!(
        matches!(error.itself(), SignInError::Ended(why) if why.contains("AADSTS50173")),
        "{error}"
    );
    assert!(error.to_string().contains("AADSTS50173") && error.to_string().contains("`work`"));
    assert!(error.hint().contains("planwright auth login --profile work"), "{}", error.hint());
    *stage.entra.refusal.lock().unwrap() = None;
    *stage.entra.silent.lock().unwrap() = true;
    assert!(signed_in.token(None).await.unwrap_err().is_unavailable());
    *stage.entra.silent.lock().unwrap() = false;
    assert!(signed_in.token(None).await.is_ok());
    // Due, but not yet at its end: the old one still does.
    *stage.clock.0.lock().unwrap() += SignedDuration::from_mins(57);
    *stage.entra.silent.lock().unwrap() = true;
    assert_eq!(signed_in.token(None).await.unwrap().reveal(), "access-2");
}

/// All processes know of it: `auth status` must not call a revoked token good.
#[tokio::test]
async fn a_revoked_sign_in_is_known_to_others_and_the_next_one_carries_the_claims() {
    let (stage, profile) = Stage::new(Flow::Device);
    let list = |profiles: &mut Profiles| {
        profiles.set(profile.clone());
        Ok(())
    };
    Profiles::change(stage.dir.path(), list).unwrap();
    let signed_in = stage.open(&profile);
    let first = signed_in.token(None).await.unwrap();
    let refusal = json!({ "error": "interaction_required" });
    *stage.entra.refusal.lock().unwrap() = Some(refusal);
    let refused = Refused { token: first, claims: Some(r#"{"a":1}"#.to_owned()) };
    let ended = |error: SignInError| matches!(error.itself(), SignInError::Ended(_));
    assert!(ended(signed_in.token(Some(&refused)).await.unwrap_err()));
    assert!(ended(signed_in.token(None).await.unwrap_err()));
    assert!(ended(stage.open(&profile).token(None).await.unwrap_err()));
    let profiles = Profiles::read(stage.dir.path()).unwrap();
    assert_eq!(profiles.get("work").unwrap().claims.as_deref(), Some(r#"{"a":1}"#));
    // Whatever ended it may be over.
    *stage.entra.refusal.lock().unwrap() = None;
    assert!(stage.open(&profile).token(None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_to_wait_is_asked_again_after_that() {
    let (stage, profile) = Stage::new(Flow::Device);
    *stage.entra.throttles.lock().unwrap() = vec!["2", "7"];
    let began = tokio::time::Instant::now();
    assert_eq!(stage.open(&profile).token(None).await.unwrap().reveal(), "access-1");
    assert_eq!(began.elapsed().as_secs(), 9);
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(12);
    *stage.entra.throttles.lock().unwrap() = vec!["300"];
    let error = stage.open(&profile).token(None).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("300 s"), "{error}");
    // Without a time, or with a nonsensical one, it is tried a few times.
    *stage.entra.throttles.lock().unwrap() = vec!["", "soon", "100000", ""];
    assert_eq!(stage.open(&profile).token(None).await.unwrap().reveal(), "access-2");
    *stage.entra.throttles.lock().unwrap() = vec![""; 20];
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(12);
    let error = stage.open(&profile).token(None).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("answers with 429"), "{error}");
}

/// The token endpoint, too, can ask for more than a renewal brings, and Graph can go on refusing.
#[tokio::test]
async fn claims_are_noted_whoever_asks_for_them() {
    let (stage, profile) = Stage::new(Flow::Device);
    let noted = || {
        let profiles = Profiles::read(stage.dir.path()).unwrap();
        profiles.get("work").unwrap().claims.clone()
    };
    let list = |profiles: &mut Profiles| {
        profiles.set(profile.clone());
        Ok(())
    };
    Profiles::change(stage.dir.path(), list).unwrap();
    let refusal = |claims: &str| json!({ "error": "interaction_required", "claims": claims });
    for (claims, expected) in [("rubbish", None), (r#"{"b":2}"#, Some(r#"{"b":2}"#.to_owned()))] {
        *stage.entra.refusal.lock().unwrap() = Some(refusal(claims));
        assert!(stage.open(&profile).token(None).await.is_err());
        assert_eq!(noted(), expected);
    }
    *stage.entra.refusal.lock().unwrap() = None;
    Profiles::change(stage.dir.path(), list).unwrap();
    let signed_in = stage.open(&profile);
    let token = signed_in.token(None).await.unwrap();
    signed_in.unmet(&Refused { token: token.clone(), claims: None }).await;
    assert_eq!(noted(), None);
    signed_in.unmet(&Refused { token, claims: Some(r#"{"c":3}"#.to_owned()) }).await;
    assert_eq!(noted().as_deref(), Some(r#"{"c":3}"#));
}

#[tokio::test]
async fn an_application_signs_in_again_with_its_secret_and_says_who_it_is() {
    let (stage, profile) = Stage::new(Flow::Secret);
    let signed_in = stage.open(&profile);
    assert_eq!(signed_in.application().unwrap().id.as_str(), profile.client_id);
    assert_eq!(signed_in.token(None).await.unwrap().reveal(), "access-1");
    let asked = stage.asked();
    assert_eq!(value(&asked[0], "client_secret"), Some("secret-0"));
    assert_eq!(value(&asked[0], "scope"), Some("https://graph.example/.default"));
    assert!(!format!("{signed_in:?}").contains("secret-0"));
    // It is kept for the next time.
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(2);
    assert_eq!(stage.open(&profile).token(None).await.unwrap().reveal(), "access-2");
}

#[tokio::test]
async fn what_a_killed_write_leaves_behind_does_not_matter() {
    let (stage, profile) = Stage::new(Flow::Device);
    // Tokens of one service are not those of another, whatever the list of profiles says.
    let elsewhere =
        Profile { graph_url: "https://graph.elsewhere/v1.0".to_owned(), ..profile.clone() };
    let cache = Cache::of(stage.dir.path(), &elsewhere).unwrap();
    assert!(matches!(cache.open(&stage.keys()), Err(Error::WrongKey(_))));
    let folder = stage.dir.path().join("sign-in");
    std::fs::write(folder.join(".work.sealed.0.part"), b"half").unwrap();
    assert_eq!(stage.open(&profile).token(None).await.unwrap().reveal(), "access-1");
    // Signed out by another process, it is not written again.
    let signed_in = stage.open(&profile);
    assert!(Cache::new(stage.dir.path(), "work").unwrap().remove(&stage.keys()).unwrap());
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(2);
    let error = signed_in.token(None).await.unwrap_err();
    assert!(matches!(error.itself(), SignInError::Ended(_)), "{error}");
    assert!(!folder.join("work.sealed").exists());
}

/// A process at work goes on after somebody has signed in again, which seals it with another salt.
#[tokio::test]
async fn a_new_sign_in_of_the_same_profile_is_read_by_a_process_at_work() {
    let (stage, profile) = Stage::new(Flow::Device);
    let signed_in = stage.open(&profile);
    let cache = Cache::of(stage.dir.path(), &profile).unwrap();
    let later =
        Kept { refresh: Some(Secret::new("refresh-later".to_owned())), ..signed_in.kept().await };
    cache.renew(&stage.keys().for_new().unwrap(), &stage.keys(), &later).unwrap();
    assert_eq!(signed_in.token(None).await.unwrap().reveal(), "access-1");
    assert_eq!(value(&stage.asked()[0], "refresh_token"), Some("refresh-later"));
    // What it renewed is there for the next one.
    assert_eq!(stage.open(&profile).token(None).await.unwrap().reveal(), "access-1");
}

#[tokio::test]
async fn an_application_answers_a_challenge_and_learns_what_it_may_do_now() {
    let (stage, profile) = Stage::new(Flow::Secret);
    let signed_in = stage.open(&profile);
    let first = signed_in.token(None).await.unwrap();
    assert!(signed_in.kept().await.scopes.is_empty());
    *stage.entra.roles.lock().unwrap() = vec!["Tasks.ReadWrite.All"];
    let refused = Refused { token: first, claims: Some(r#"{"a":1}"#.to_owned()) };
    signed_in.token(Some(&refused)).await.unwrap();
    assert_eq!(value(&stage.asked()[1], "claims"), Some(r#"{"a":1}"#));
    assert_eq!(signed_in.kept().await.scopes, ["Tasks.ReadWrite.All"]);
}

/// Whoever waits for a renewal may give up: what came of it is kept all the same.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_nobody_waits_for_is_kept_and_one_without_an_answer_ends() {
    let (stage, profile) = Stage::new(Flow::Device);
    let signed_in = stage.open(&profile);
    {
        let mut asking = signed_in.token(None);
        let waker = std::task::Waker::noop();
        assert!(asking.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
    assert_eq!(signed_in.token(None).await.unwrap().reveal(), "access-1");
    assert_eq!(stage.asked().len(), 1);
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(12);
    *stage.entra.hangs.lock().unwrap() = true;
    let error = signed_in.token(None).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("45 s"), "{error}");
}

#[tokio::test]
async fn a_workload_signs_in_with_the_assertion_in_its_file_and_keeps_nothing() {
    let (stage, profile) = Stage::new(Flow::Workload);
    let file = stage.dir.path().join("assertion");
    std::fs::write(&file, "assertion-1\n").unwrap();
    let base = BaseUrl::parse(&profile.authority).unwrap();
    let authority = Authority::of_model(base, "bos.example", stage.entra.clone());
    let surroundings = Surroundings { token_file: Some(file.clone()), ..Surroundings::default() };
    let lent = SignedIn::lent(profile, authority, surroundings, stage.clock.clone());
    assert_eq!(lent.token(None).await.unwrap().reveal(), "access-1");
    assert_eq!(lent.token(None).await.unwrap().reveal(), "access-1");
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(2);
    // The platform has put another one there.
    std::fs::write(&file, "assertion-2").unwrap();
    assert_eq!(lent.token(None).await.unwrap().reveal(), "access-2");
    let asked = stage.asked();
    assert_eq!(value(&asked[0], "client_assertion"), Some("assertion-1"));
    assert_eq!(value(&asked[1], "client_assertion"), Some("assertion-2"));
    assert_eq!(value(&asked[1], "grant_type"), Some("client_credentials"));
    std::fs::remove_file(&file).unwrap();
    *stage.clock.0.lock().unwrap() += SignedDuration::from_hours(2);
    let error = lent.token(None).await.unwrap_err();
    assert!(!error.to_string().contains("assertion-"), "{error}");
}

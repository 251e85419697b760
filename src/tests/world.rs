//! A Planner with other people at work on its board, and an unreliable connection to it, in virtual
//! time. The service is the emulator, which shares no behaviour with the host. Beside it is a
//! record of what really happened there, hidden from everything under test.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Request;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::emulator::{Emulator, Options, Storage};
use crate::graph::transport::{Incoming, Model, Outgoing, TIMEOUT};
use crate::model::Clock;
use crate::tests::truth::{By, Commit, FIELDS, Kept, Truth};

pub(super) const ROOK: &str = "rook@bos.example";
const MEI: &str = "mei@bos.example";
/// The titles that runs and people give alike.
pub(super) const TITLES: [&str; 3] = ["New a", "New b", "Once"];
pub(super) const N_TASKS: usize = 6;
/// The time after an answer was given up in which its request may still be carried out.
pub(super) const LATEST: Duration = Duration::from_secs(40);
/// Pseudo-random numbers, the same for the same seed.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66)
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub(super) fn one_in(&mut self, sides: u64) -> bool {
        sides > 0 && self.roll(sides) == 0
    }
}

/// A clock that shows virtual time.
#[derive(Debug)]
pub(super) struct Virtual {
    began: Instant,
    ahead: SignedDuration,
}

impl Virtual {
    pub(super) const fn new(began: Instant, ahead: SignedDuration) -> Self {
        Self { began, ahead }
    }
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        let noon = Timestamp::from_second(1_790_000_000).unwrap();
        noon + SignedDuration::try_from(self.began.elapsed()).unwrap() + self.ahead
    }
}

/// The odds of trouble: one in so many.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) lost_before: u64,
    pub(super) lost_after: u64,
    pub(super) late: u64,
    pub(super) doubled: u64,
    pub(super) busy: u64,
    /// The odds that somebody acts before or after a request.
    pub(super) people: u64,
}

/// A guard that is switched off, to check that its absence is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Off {
    /// The service hides the creator and the time of a creation.
    Makers,
    /// A create is sent again at once.
    Quarantine,
    /// Writes go out with the tag of the moment.
    IfMatch,
    /// The reads of the program are not counted.
    Reads,
    /// The service claims to have done what it has not.
    Truth,
    /// The service claims to have refused what it has done.
    Refusals,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) emulator: Emulator,
    pub(super) began: Instant,
    pub(super) weather: Weather,
    pub(super) off: Option<Off>,
    pub(super) plan: String,
    pub(super) buckets: [String; 2],
    pub(super) ids: Vec<String>,
    dice: Mutex<Dice>,
    truth: Mutex<Truth>,
    /// The numbers of programs that draft, and of requests under way.
    pub(super) drafting: AtomicUsize,
    under_way: AtomicUsize,
}

impl World {
    pub(super) fn new(seed: u64, weather: Weather, off: Option<Off>) -> Arc<Self> {
        let mut dice = Dice::new(seed);
        let began = Instant::now();
        let ahead = SignedDuration::from_secs(i64::try_from(dice.roll(7201)).unwrap() - 3600);
        let options = Options::new(Storage::Memory, Arc::new(Virtual::new(began, ahead)));
        let emulator = Emulator::open(options).unwrap();
        let tasks: Vec<Value> = (0..N_TASKS)
            .map(|n| json!({ "title": format!("T{n}"), "bucket": if n % 2 == 0 { "A" } else { "B" }, "priority": n, "created": "-30d" }))
            .collect();
        let tenant = json!({
            "users": [{ "upn": ROOK, "name": "Rook" }, { "upn": MEI, "name": "Mei" }],
            "groups": [{ "name": "G", "created": "-60d", "members": ["rook", "mei"] }],
            "plans": [{ "title": "P", "group": "G", "created": "-50d", "buckets": ["A", "B"], "tasks": tasks }],
        });
        emulator.seed(&tenant.to_string()).unwrap();
        let list = |path: &str| answered(&emulator, ROOK, ("GET", path), None, &Value::Null).1;
        let ids = |path: &str| -> Vec<String> {
            let all = list(path)["value"].as_array().unwrap().clone();
            let mut all: Vec<(String, String)> = all
                .iter()
                .map(|entity| {
                    let name = entity["title"].as_str().or(entity["name"].as_str()).unwrap();
                    (name.to_owned(), entity["id"].as_str().unwrap().to_owned())
                })
                .collect();
            all.sort();
            all.into_iter().map(|pair| pair.1).collect()
        };
        let plan = ids("/me/planner/plans").remove(0);
        let buckets = ids(&format!("/planner/plans/{plan}/buckets")).try_into().unwrap();
        let tasks = ids(&format!("/planner/plans/{plan}/tasks"));
        let world = Self {
            emulator,
            began,
            weather,
            off,
            plan,
            buckets,
            ids: tasks,
            dice: Mutex::new(dice),
            truth: Mutex::default(),
            drafting: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
        };
        for id in &world.ids {
            let kept = Kept { maker: By::Person, titled: By::Person, is_there: true };
            world.truth().tasks.insert(id.clone(), kept);
            for path in [format!("/planner/tasks/{id}"), format!("/planner/tasks/{id}/details")] {
                let now = answered(&world.emulator, ROOK, ("GET", &path), None, &Value::Null).1;
                world.truth().holds(id, &now, By::Person);
            }
        }
        // The actor has created the same by hand, before anything runs.
        world.person(
            ROOK,
            "POST",
            "/planner/tasks",
            &json!({ "planId": world.plan, "bucketId": world.buckets[0], "title": TITLES[0], "priority": 1 }),
        );
        Arc::new(world)
    }

    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no request is under way any more, however late.
    pub(super) async fn quiet(&self) {
        while self.under_way.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Lets somebody else do something.
    fn somebody(&self) {
        let (what, at, n) = {
            let mut dice = self.dice();
            if !dice.one_in(self.weather.people) {
                return;
            }
            let mut truth = self.truth();
            truth.n_people += 1;
            (dice.roll(10), dice.roll(N_TASKS as u64 + 2) as usize, truth.n_people)
        };
        let made: Vec<String> = {
            let truth = self.truth();
            let there =
                truth.tasks.iter().filter(|pair| pair.1.is_there && !self.ids.contains(pair.0));
            there.map(|pair| pair.0.clone()).collect()
        };
        let id = self.ids.get(at).or_else(|| made.get(n % made.len().max(1))).cloned();
        let Some(id) = id else { return };
        let (task, details) =
            (format!("/planner/tasks/{id}"), format!("/planner/tasks/{id}/details"));
        match what {
            0 | 1 => {
                let body = json!({ "planId": self.plan, "bucketId": self.buckets[n % 2], "title": TITLES[n % 3], "priority": 1 + n % 2 });
                self.person(MEI, "POST", "/planner/tasks", &body);
            }
            2 | 3 => self.person(MEI, "PATCH", &task, &json!({ "title": format!("Mei {n}") })),
            4 => self.person(MEI, "PATCH", &task, &json!({ "priority": n % 10 })),
            5 => self.person(MEI, "PATCH", &task, &json!({ "percentComplete": 50 * (n % 3) })),
            6 => self.person(MEI, "PATCH", &task, &json!({ "bucketId": self.buckets[n % 2] })),
            7 => {
                let text = if n % 2 == 0 { "obsolete".to_owned() } else { format!("Mei {n}") };
                self.person(MEI, "PATCH", &details, &json!({ "description": text }));
            }
            8 if n % 3 == 0 => self.person(MEI, "DELETE", &task, &Value::Null),
            _ => {
                self.person(MEI, "PATCH", &task, &json!({ "dueDateTime": "2027-01-01T10:00:00Z" }));
            }
        }
    }

    fn person(&self, user: &str, method: &str, path: &str, body: &Value) {
        let tag = match method {
            "POST" => None,
            _ => {
                let (_, now) = answered(&self.emulator, user, ("GET", path), None, &Value::Null);
                let Some(tag) = now["@odata.etag"].as_str() else { return };
                Some(tag.to_owned())
            }
        };
        let (status, answer) = answered(&self.emulator, user, (method, path), tag.as_deref(), body);
        self.committed(By::Person, (method, path), body, (status, &answer));
    }

    /// Notes a write that was carried out.
    fn committed(
        &self,
        by: By,
        (method, path): (&str, &str),
        body: &Value,
        (status, answer): (u16, &Value),
    ) {
        if !(200..300).contains(&status) || method == "GET" {
            return;
        }
        let mut truth = self.truth();
        let of_path = path.split('/').skip_while(|part| *part != "tasks").nth(1);
        let id = of_path.or(answer["id"].as_str()).unwrap_or_default().to_owned();
        if let By::Run(run) = by {
            truth.check_overwrites(run, method, &id, body);
        }
        match method {
            "POST" => {
                truth.tasks.insert(id.clone(), Kept { maker: by, titled: by, is_there: true });
                truth.holds(&id, answer, by);
                truth.holds(&id, &json!({ "description": "" }), by);
            }
            "DELETE" => {
                truth.tasks.get_mut(&id).unwrap().is_there = false;
                let none = FIELDS.iter().map(|field| ((*field).to_owned(), Value::Null));
                truth.holds(&id, &none.collect::<serde_json::Map<_, _>>().into(), by);
            }
            _ => {
                if !body["title"].is_null() {
                    truth.tasks.get_mut(&id).unwrap().titled = by;
                }
                truth.holds(&id, body, by);
            }
        }
        let (method, path) = (method.to_owned(), path.to_owned());
        truth.commits.push(Commit { by, method, path, body: body.clone(), id });
    }

    /// Carries out a request of a run, and notes what really happened.
    fn perform(&self, run: usize, sent: &Sent) -> Incoming {
        let mut sent = sent.clone();
        if self.off == Some(Off::IfMatch) {
            self.retag(&mut sent);
        }
        let lies = self.off == Some(Off::Truth)
            && sent.parts().iter().all(|part| matches!(part.method.as_str(), "PATCH" | "DELETE"));
        let mut answer = if lies { told(&sent, 204, &Value::Null) } else { self.dispatch(&sent) };
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let parts = sent.parts();
        let mut refused = false;
        for part in &parts {
            let (status, body) = match &part.id {
                None => (answer.status, &value),
                Some(id) => {
                    let all = value["responses"].as_array().into_iter().flatten();
                    let Some(own) = all.clone().find(|response| response["id"] == **id) else {
                        continue;
                    };
                    (own["status"].as_u64().unwrap() as u16, &own["body"])
                }
            };
            if part.method == "GET" {
                self.truth().saw(run, body);
            } else if !lies {
                refused |= (200..300).contains(&status);
                let by = By::Run(run);
                self.committed(by, (&part.method, &part.path), &part.body, (status, body));
            }
        }
        if self.off == Some(Off::Refusals) && refused && self.dice().one_in(4) {
            let error = json!({ "error": { "code": "badRequest", "message": "no" } });
            return told(&sent, 400, &error);
        }
        if self.off == Some(Off::Makers) && sent.target.ends_with("/tasks") {
            let me = answered(&self.emulator, ROOK, ("GET", "/me"), None, &Value::Null).1;
            let mut list = value;
            for task in list["value"].as_array_mut().into_iter().flatten() {
                task["createdBy"]["user"]["id"] = me["id"].clone();
                task["createdDateTime"] = json!("2099-01-01T00:00:00Z");
            }
            answer.body = list.to_string().into_bytes();
        }
        answer
    }

    fn dispatch(&self, sent: &Sent) -> Incoming {
        let mut request = Request::builder().method(sent.method.as_str()).uri(&sent.target);
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        let body =
            if sent.body.is_null() { Vec::new() } else { sent.body.to_string().into_bytes() };
        let response =
            self.emulator.dispatch(request.header("host", "127.0.0.1").body(body).unwrap());
        let (parts, body) = response.into_parts();
        if traced() {
            let text = String::from_utf8_lossy(&body);
            println!(
                "{:?} {} {} {} {:?} -> {} {}",
                self.began.elapsed(),
                sent.method,
                sent.target,
                sent.body,
                sent.headers.get("if-match"),
                parts.status,
                text.chars().take(600).collect::<String>()
            );
        }
        Incoming { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// Puts the present tag on each write.
    fn retag(&self, sent: &mut Sent) {
        let tag = |path: &str| {
            let now = answered(&self.emulator, ROOK, ("GET", path), None, &Value::Null).1;
            now["@odata.etag"].as_str().map(str::to_owned)
        };
        if sent.headers.contains_key("if-match")
            && let Some(tag) = tag(sent.target.trim_start_matches("/v1.0"))
        {
            sent.headers.insert("if-match", tag.parse().unwrap());
        }
        for part in sent.body["requests"].as_array_mut().into_iter().flatten() {
            let Some(tag) = part["url"].as_str().and_then(tag) else { continue };
            if let Some(headers) = part["headers"].as_object_mut() {
                headers.retain(|name, _| !name.eq_ignore_ascii_case("if-match"));
                if part["method"] != "POST" && part["method"] != "GET" {
                    part["headers"]["If-Match"] = tag.into();
                }
            }
        }
    }
}

/// The number of the run that undoes another.
pub(super) const UNDO: usize = 2;

/// A request as the service sees it.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) method: String,
    /// The path, with the query and the version.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

/// One of the requests of a batch, or the only one.
pub(super) struct Part {
    pub(super) id: Option<String>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) body: Value,
}

impl Sent {
    pub(super) fn parts(&self) -> Vec<Part> {
        let path = self.target.trim_start_matches("/v1.0");
        if !path.ends_with("/$batch") {
            let (method, path) = (self.method.clone(), path.to_owned());
            return vec![Part { id: None, method, path, body: self.body.clone() }];
        }
        let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let all = self.body["requests"].as_array().into_iter().flatten();
        all.map(|request| Part {
            id: Some(text(request, "id")),
            method: text(request, "method"),
            path: text(request, "url"),
            body: request["body"].clone(),
        })
        .collect()
    }

    fn writes(&self) -> bool {
        self.parts().iter().any(|part| part.method != "GET")
    }
}

/// Returns a made-up answer of the service.
fn told(sent: &Sent, status: u16, body: &Value) -> Incoming {
    let headers = HeaderMap::new();
    if !sent.target.ends_with("/$batch") {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        return Incoming { status, headers, body };
    }
    let parts = sent.parts();
    let all = parts.iter().map(|part| json!({ "id": part.id, "status": status, "body": body }));
    let body = json!({ "responses": all.collect::<Vec<_>>() }).to_string().into_bytes();
    Incoming { status: 200, headers, body }
}

/// Repeats the first answer of a batch.
fn doubled(mut answer: Incoming) -> Incoming {
    let mut value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(all) = value["responses"].as_array_mut() {
        all.extend(all.first().cloned());
        answer.body = value.to_string().into_bytes();
    }
    answer
}

/// The connection of one run to the service.
pub(super) struct Way {
    pub(super) world: Arc<World>,
    pub(super) run: usize,
}

impl Model for Way {
    fn carry(&self, outgoing: Outgoing) -> Pin<Box<dyn Future<Output = Option<Incoming>> + Send>> {
        let (world, run) = (Arc::clone(&self.world), self.run);
        let body =
            outgoing.body.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let query = outgoing.url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let target = format!("{}{query}", outgoing.url.path());
        let sent =
            Sent { method: outgoing.method.to_string(), target, headers: outgoing.headers, body };
        Box::pin(async move { world.carry(run, sent).await })
    }
}

impl World {
    async fn carry(self: Arc<Self>, run: usize, sent: Sent) -> Option<Incoming> {
        self.somebody();
        if self.drafting.load(Ordering::SeqCst) > 0 && !sent.writes() {
            // A program's reads take no time and never fail: the trouble is for what follows.
            return Some(self.perform(run, &sent));
        }
        if sent.writes() {
            self.truth().check_facts(run, &sent);
        }
        let weather = self.weather;
        let (there, back, late, fate) = {
            let mut dice = self.dice();
            let ms = |dice: &mut Dice, most| Duration::from_millis(dice.roll(most));
            let fate = if dice.one_in(weather.busy) {
                Fate::Busy
            } else if dice.one_in(weather.lost_before) {
                Fate::Lost
            } else if sent.writes() && dice.one_in(weather.lost_after) {
                Fate::Silent
            } else if sent.writes() && dice.one_in(weather.late) {
                Fate::Late
            } else if sent.writes() && dice.one_in(weather.doubled) {
                Fate::Doubled
            } else {
                Fate::Well
            };
            let late = TIMEOUT + Duration::from_millis(dice.roll(LATEST.as_millis() as u64));
            (ms(&mut dice, 300), ms(&mut dice, 300), late, fate)
        };
        sleep(there).await;
        // A request that has reached the service goes on there, even if its sender is gone.
        let world = Arc::clone(&self);
        world.under_way.fetch_add(1, Ordering::SeqCst);
        let served = tokio::spawn(async move {
            let answer = match fate {
                Fate::Busy => {
                    let error = json!({ "error": { "code": "busy", "message": "later" } });
                    let mut answer = told(&Sent { target: String::new(), ..sent }, 503, &error);
                    answer.headers.insert("retry-after", "2".parse().unwrap());
                    Some(answer)
                }
                Fate::Lost => None,
                Fate::Silent => {
                    drop(world.perform(run, &sent));
                    None
                }
                Fate::Late => {
                    sleep(late).await;
                    drop(world.perform(run, &sent));
                    None
                }
                Fate::Doubled => Some(doubled(world.perform(run, &sent))),
                Fate::Well => Some(world.perform(run, &sent)),
            };
            world.somebody();
            world.under_way.fetch_sub(1, Ordering::SeqCst);
            answer
        });
        let answer = served.await.ok().flatten();
        sleep(back).await;
        answer
    }
}

/// The fate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Busy,
    Lost,
    Silent,
    Late,
    Doubled,
}

/// Returns whether every request is printed.
#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
pub(super) fn traced() -> bool {
    std::env::var_os("PLANWRIGHT_TEST_TRACE").is_some()
}

/// Asks the service in the name of a user.
pub(super) fn answered(
    emulator: &Emulator,
    user: &str,
    (method, path): (&str, &str),
    tag: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let mut request = Request::builder().method(method).uri(format!("/v1.0{path}"));
    request = request.header("authorization", format!("Bearer emulator:{user}"));
    request = request.header("host", "127.0.0.1").header("content-type", "application/json");
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let answer = emulator.dispatch(request.body(body).unwrap());
    let value = serde_json::from_slice(answer.body()).unwrap_or_default();
    (answer.status().as_u16(), value)
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
pub(super) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

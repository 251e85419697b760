//! Decisions through the API and the page: what a person has seen before they decide, and who they are.

use serde_json::{Value, json};

use crate::serve::{Server, token};
use crate::support::{PLAN, Place, Planner};

const TASK: &str = "Book the room for the customer day";
const HELD: &str = "[policies]\nalways = []\n[agents.rook]\nmay_apply = \"approved\"\n[agents.rook.limits]\nmax_changes = 400\nchanges_per_day = 1000\n";

/// Has a script of an agent held; returns the id of what waits.
fn held(place: &Place, script: &str) -> String {
    let report = place.script(script, &["--as", "rook", "--json"]).code(7).json();
    report["pending"].as_str().unwrap().to_owned()
}

fn update(what: &str) -> String {
    format!("plan(\"{PLAN}\").task(\"{TASK}\").update(#{{ {what} }});")
}

fn journal(place: &Place) -> rusqlite::Connection {
    let path = place.path().join("home/.local/share/planwright/journal.db");
    rusqlite::Connection::open(path).unwrap()
}

/// Between a look and a yes, another set can have come under the same id: it was held again.
#[test]
fn without_a_digest_only_what_was_held_at_first_is_approved() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", HELD);
    let approver = token(&place, "ben", "approver");
    let (first, other) =
        (held(&place, &update("priority: 1")), held(&place, &update("priority: 3")));
    let third = held(&place, &update("description: \"Third\""));
    let server = Server::start(&place);
    let path = |id: &str| format!("/api/v1/pending/{id}");
    let seen = server.get(&approver, &path(&first)).is(200).json()["digest"].clone();
    // A part of an id may be of something else a minute later.
    let (part, end) = first.split_at(28);
    let (part, end) = (path(part), path(end));
    server.get(&approver, &end).is(404);
    server.post(&approver, &format!("{end}/approve"), &json!({})).is(404);
    server.post(&approver, &format!("{part}/reject"), &json!({ "note": "No" })).is(404);
    let sql = "UPDATE kept_set SET (saved, digest) =
        (SELECT saved, digest FROM kept_set WHERE run_id = ?2) WHERE run_id = ?1";
    assert_eq!(journal(&place).execute(sql, [&first, &other]).unwrap(), 1);
    let approve = format!("{}/approve", path(&first));
    let refused = server.post(&approver, &approve, &json!({})).is(409);
    assert_eq!(refused.code(), "not_pending");
    let now = server.get(&approver, &path(&first)).is(200).json();
    let hint = refused.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(now["digest"] != seen && hint.contains(now["digest"].as_str().unwrap()), "{hint}");
    server.post(&approver, &approve, &json!({ "digest": seen })).is(409);
    assert_eq!(planner.task(TASK)["priority"], 5);
    server.post(&approver, &approve, &json!({ "digest": now["digest"] })).is(200);
    assert_eq!(planner.task(TASK)["priority"], 3);
    // One that nobody has held again needs none.
    server.post(&approver, &format!("{}/approve", path(&third)), &json!({})).is(200);
}

/// A look of anybody moves nothing: who has seen the first difference approves no other.
#[test]
fn a_look_at_a_proposal_approves_nothing_for_somebody_else() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.rook]\n");
    place.file("count.rhai", "//! Counts.\nplans().len()\n");
    let args = ["skill", "propose", "count", "count.rhai", "--reason", "Asked", "--json"];
    let proposed = place.run(&[&args[..], &["--as", "rook"]].concat()).code(7).json();
    let (viewer, approver) = (token(&place, "vic", "viewer"), token(&place, "ben", "approver"));
    place.file("scripts/skills/count.rhai", "//! Mine.\n42\n");
    let server = Server::start(&place);
    let path = format!("/api/v1/pending/{}", proposed["id"].as_str().unwrap());
    let seen = server.get(&viewer, &path).is(200).json();
    assert!(seen["diff"].as_str().unwrap().contains("-42"), "{seen}");
    assert_ne!(seen["digest"], proposed["digest"]);
    let approve = format!("{path}/approve");
    let refused = server.post(&approver, &approve, &json!({})).is(409);
    assert_eq!(refused.code(), "not_pending");
    server.post(&approver, &approve, &json!({ "digest": proposed["digest"] })).is(409);
    let skill = || std::fs::read_to_string(place.path().join("scripts/skills/count.rhai")).unwrap();
    assert!(skill().contains("Mine"));
    server.post(&approver, &approve, &json!({ "digest": seen["digest"] })).is(200);
    assert!(skill().contains("Counts"));
}

/// The page offers no yes to what it does not show: too many changes, or none that can be read.
#[test]
fn the_page_asks_only_about_what_it_shows_whole() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", HELD);
    let server = Server::start(&place);
    let cookie = server.sign_in();
    let page = || server.ask("GET", "/pending", &[("Cookie", &cookie)], "").is(200).body;
    let is_offered = |page: &str, id: &str| {
        assert!(page.contains(&format!("action=\"/pending/{id}/reject\"")), "{page}");
        page.contains(&format!("action=\"/pending/{id}/approve\""))
    };
    let (text, end) = ("long ".repeat(400), "and the end of it");
    let long = held(&place, &update(&format!("description: \"{text}{end}\"")));
    let shown = page();
    assert!(is_offered(&shown, &long) && shown.contains(end));
    let many = format!(
        "let p = plan(\"{PLAN}\"); for n in 0..302 {{ p.bucket(\"Inbox\").create_task(#{{ title: `N ${{n}}` }}); }}"
    );
    let many = held(&place, &many);
    let shown = page();
    assert!(!is_offered(&shown, &many) && is_offered(&shown, &long));
    assert!(shown.contains("2 more changes are not shown"), "{shown}");
    assert!(shown.contains(&format!("planwright pending show {many}")));
    planner.faults(&json!([{ "method": "GET", "path": "/me", "action": { "status": 403 } }]));
    let shown = page();
    assert!(!is_offered(&shown, &long) && !is_offered(&shown, &many));
    planner.faults(&Value::Array(Vec::new()));
    assert!(is_offered(&page(), &long));
}

const MEIS: &str = "Translate the brochure for Besançon";

/// Makes a token of somebody who is a user of the service.
fn token_of(place: &Place, name: &str, role: &str, user: &str) -> String {
    let user = format!("{user}@bos.example");
    let args = ["serve", "token", "create", "--name", name, "--role", role, "--json"];
    let made = place.run(&[&args[..], &["--user", &user]].concat()).code(0).json();
    assert_eq!(made["user"], user);
    format!("Bearer {}", made["token"].as_str().unwrap())
}

/// Returns the records of the audit log of a kind.
fn records(place: &Place, kind: &str) -> Vec<Value> {
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    let all = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|record| record["kind"] == kind).collect()
}

/// The server has one sign-in for all who come to it: whose eyes are whose, tokens say.
#[test]
fn four_eyes_are_those_of_people_and_not_of_the_server() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[approvals]\nfour_eyes = true\n");
    let args = ["serve", "token", "create", "--name", "x", "--role", "viewer", "--user"];
    place.run(&[&args[..], &["nobody@bos.example"]].concat()).code(1);
    let rooks = token_of(&place, "rook at the page", "approver", "rook");
    let admin = token_of(&place, "mei", "admin", "mei");
    let anas = token_of(&place, "ana", "approver", "ana");
    let unknown = token(&place, "somebody", "admin");
    let server = Server::start_with(&place, &[("PLANWRIGHT_TOKEN", "emulator:ana@bos.example")]);
    let approve = |who: &str, id: &str| {
        server.post(who, &format!("/api/v1/pending/{id}/approve"), &json!({}))
    };

    // Drafted at the command line, under a sign-in that is not the server's.
    let held = place.run(&["task", "complete", MEIS, "--json"]).code(7).json();
    let id = held["pending"].as_str().unwrap();
    assert_eq!(approve(&rooks, id).is(403).code(), "four_eyes");
    let refused = approve(&unknown, id).is(403).json();
    assert!(refused["error"]["hint"].as_str().unwrap().contains("--user"), "{refused}");
    assert_eq!(approve(&admin, id).is(200).json()["state"], "approved");
    assert_eq!(planner.task(MEIS)["percentComplete"], 0);
    place.run(&["apply", id]).code(0);

    // Asked for at the server, under the server's own sign-in.
    let script = |priority: u8| {
        let script =
            format!("plan(\"{PLAN}\").task(\"{MEIS}\").update(#{{ priority: {priority} }});");
        json!({ "script": script })
    };
    let ask = |who: &str, priority| {
        let report = server.post(who, "/api/v1/runs?wait=60", &script(priority)).is(200).json();
        assert_eq!(report["status"], "held", "{report}");
        report["pending"].as_str().unwrap().to_owned()
    };
    let id = ask(&admin, 1);
    assert_eq!(approve(&admin, &id).is(403).code(), "four_eyes");
    assert_eq!(approve(&anas, &id).is(200).json()["status"], "applied");
    assert_eq!(planner.task(MEIS)["priority"], 1);
    // Nobody knows who that was.
    let id = ask(&unknown, 3);
    assert_eq!(approve(&admin, &id).is(403).code(), "four_eyes");
    let ana = [("PLANWRIGHT_TOKEN", "emulator:ana@bos.example")];
    place.run_with(&["approve", &id], "", &ana).code(1).says(&[
        "somebody",
        "--user UPN",
        "ask for it again",
        &format!("planwright reject {id}"),
    ]);
    assert_eq!(planner.task(MEIS)["priority"], 1);
    place.run(&["audit", "verify"]).code(0);
}

/// Whoever asked for a run has asked for the rest of it as well, however often it was carried on.
#[test]
fn what_carries_on_a_run_is_not_approved_by_whoever_asked_for_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place
        .file("planwright.toml", "[approvals]\nfour_eyes = true\n[policies]\nalways = [\"ask\"]\n");
    place.file("scripts/policies/ask.rhai", "fn review(changes, run) { hold(\"a look\"); }\n");
    let (meis, anas) =
        (token_of(&place, "mei", "admin", "mei"), token_of(&place, "ana", "approver", "ana"));
    let ana = [("PLANWRIGHT_TOKEN", "emulator:ana@bos.example")];
    let server = Server::start_with(&place, &ana);
    let approve = |who: &str, id: &str| {
        server.post(who, &format!("/api/v1/pending/{id}/approve"), &json!({}))
    };
    let titles = [TASK, MEIS, "Answer the auditor's questions"];
    let script: String = titles
        .iter()
        .map(|title| format!("plan(\"{PLAN}\").task(\"{title}\").update(#{{ priority: 2 }});\n"))
        .collect();
    let wish = json!({ "script": script });
    let report = server.post(&meis, "/api/v1/runs?wait=60", &wish).is(200).json();
    let mut id = report["pending"].as_str().unwrap().to_owned();
    for rest in [2, 1] {
        assert_eq!(approve(&meis, &id).is(403).code(), "four_eyes", "{rest} are left after this");
        planner.faults(&json!([
            { "method": "PATCH", "path": "/planner/tasks", "nth": 2, "times": 9, "action": { "status": 403 } },
        ]));
        let partial = approve(&anas, &id).json();
        assert!(partial.to_string().contains("partial"), "{partial:#}");
        planner.faults(&json!([]));
        let run = partial["run_id"].as_str().unwrap();
        let resumed = place.run_with(&["resume", run, "--json"], "", &ana).code(7).json();
        id = resumed["pending"].as_str().unwrap().to_owned();
    }
    assert_eq!(approve(&meis, &id).is(403).code(), "four_eyes");
    assert_eq!(approve(&anas, &id).is(200).json()["status"], "applied");
    assert!(titles.iter().all(|title| planner.task(title)["priority"] == 2));
    place.run(&["audit", "verify"]).code(0);
}

/// The log says who came to a server, and not only whose sign-in the server has.
#[test]
fn who_asked_at_a_server_and_who_made_tokens_is_on_record() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.rook]\n");
    let admin = token_of(&place, "kim", "admin", "mei");
    let server = Server::start(&place);
    server.post(&admin, "/api/v1/agents/rook/pause", &json!({ "reason": "a look" })).is(200);
    let wish = json!({ "skill": "morning_triage", "to": "rook" });
    server.post(&admin, "/api/v1/inbox", &wish).is(200);
    server.post(&admin, "/api/v1/agents/rook/resume", &json!({})).is(200);
    for kind in ["paused", "submitted", "unpaused"] {
        let records = records(&place, kind);
        let by: Vec<&Value> = records.iter().map(|record| &record["by"]["name"]).collect();
        assert_eq!(by, ["kim"], "{kind}");
    }
    assert_eq!(records(&place, "submitted")[0]["detail"]["user"]["upn"], "mei@bos.example");
    place.run(&["serve", "token", "revoke", "--name", "kim"]).code(0);
    for kind in ["token_created", "token_revoked"] {
        let detail = &records(&place, kind)[0]["detail"];
        assert_eq!((&detail["token"], &detail["role"]), (&json!("kim"), &json!("admin")));
        assert_eq!(detail["user"]["upn"], "mei@bos.example");
    }
}

/// At the command line, the service is not asked who it is, so that this works when that does not.
#[test]
fn who_paused_an_agent_at_the_command_line_is_on_record() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[agents.rook]\n");
    planner.requests();
    let mei = [("PLANWRIGHT_TOKEN", "emulator:mei@bos.example")];
    place.run_with(&["agent", "pause", "rook", "--reason", "a look"], "", &mei).code(0);
    place.run_with(&["agent", "resume", "rook"], "", &mei).code(0);
    // A token that says nothing of whom it is for.
    let opaque = [("PLANWRIGHT_TOKEN", "opaque")];
    place.run_with(&["agent", "pause", "--all"], "", &opaque).code(0);
    assert_eq!(planner.requests(), Vec::<String>::new());
    let by = |kind: &str| -> Vec<String> {
        let name = |record: &Value| record["by"]["name"].as_str().unwrap().to_owned();
        records(&place, kind).iter().map(name).collect()
    };
    assert_eq!(by("paused"), ["mei@bos.example", "planwright"]);
    assert_eq!(by("unpaused"), ["mei@bos.example"]);
}

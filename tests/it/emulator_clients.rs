//! What clients that no one here wrote need: Entra ID as MSAL asks for it, browsers, the directory.

use planwright::emulator::{Lag, Throttle};
use serde_json::{Value, json};

use crate::emulator_support::{ASSIGNMENT, BOS, Bench, CHECKLIST_ITEM, MEI, MEI_ID, ROOK_ID};

#[test]
fn two_places_without_neighbours_are_not_the_same() {
    let bench = Bench::new();
    let plan = bench.new_plan();
    let (first, second) =
        (bench.new_task_in(&plan, &json!({})), bench.new_task_in(&plan, &json!({})));
    let anywhere = json!({ "orderHint": " !" });
    let hints: Vec<Value> = [&first, &second, &first]
        .into_iter()
        .map(|task| bench.change(task, &anywhere).expect(200)["orderHint"].clone())
        .collect();
    assert!(hints[0] != hints[1] && hints[1] != hints[2] && hints[0] != hints[2], "{hints:?}");
    let item = json!({ "@odata.type": CHECKLIST_ITEM, "title": "x", "orderHint": " !" });
    let body = json!({ "checklist": { "1": item, "2": item } });
    let items = bench.change(&format!("{first}/details"), &body).expect(200)["checklist"].clone();
    assert_ne!(items["1"]["orderHint"], items["2"]["orderHint"]);
}

#[test]
fn a_preference_may_have_parameters() {
    let bench = Bench::new();
    let task = bench.new_task();
    let tag = bench.tag(&task);
    let headers =
        [("if-match", tag.as_str()), ("prefer", "respond-async, return=representation; x=y")];
    let answer = bench.send("PATCH", &task, &headers, Some(&json!({ "title": "x" })));
    assert_eq!(answer.header("preference-applied"), "return=representation");
    assert_eq!(answer.expect(200)["title"], "x");
}

#[test]
fn a_key_that_is_no_user_or_category_is_refused_with_what_it_must_be() {
    let bench = Bench::new();
    let task = bench.new_task();
    for (body, name, reason) in [
        (json!({ "appliedCategories": { "category26": true } }), "'category26'", "'category25'"),
        (
            json!({ "assignments": { MEI: { "@odata.type": ASSIGNMENT, "orderHint": " !" } } }),
            MEI,
            "GUID",
        ),
    ] {
        let (code, message) = bench.change(&task, &body).error(400);
        assert_eq!(code, "BadRequest");
        assert!(message.contains(name) && message.contains(reason), "{message}");
    }
}

#[test]
fn settings_out_of_range_are_refused_and_change_nothing() {
    let bench = Bench::new();
    let throttle = Throttle { writes_per_s: 2.0, burst: None };
    let lag = Lag { create_ms: 5, ..Lag::default() };
    bench.emulator.set_throttle(Some(throttle)).unwrap();
    bench.emulator.set_lag(lag).unwrap();
    for writes_per_s in [0.0, -1.0, f64::NAN, 1e9] {
        let wrong = Throttle { writes_per_s, burst: None };
        assert!(bench.emulator.set_throttle(Some(wrong)).is_err(), "{writes_per_s}");
    }
    assert!(bench.emulator.set_lag(Lag { group_ms: u64::MAX, ..lag }).is_err());
    for (name, body) in [
        ("throttle", json!({ "writes_per_s": 0 })),
        ("throttle", json!({ "writes_per_s": 2, "burst": 0 })),
        ("throttle", json!({ "writes_per_s": 2, "burst": -1 })),
        ("throttle", json!({ "writes_per_s": 2, "burst": 1e12 })),
        ("lag", json!({ "create_ms": 86_400_001 })),
        ("lag", json!({ "board_formats_ms": -1 })),
    ] {
        let (code, message) = bench.control("POST", name, Some(&body)).error(400);
        assert!(code == "BadRequest" && !message.is_empty(), "{name} {body}");
    }
    assert_eq!((bench.emulator.throttle(), bench.emulator.lag()), (Some(throttle), lag));
}

//! Saved change sets, their seal, and the files that people name.

use std::fs;
use std::process::Command;

use planwright::change::Saved;
use serde_json::json;

use crate::support::{PLAN, Place, Planner};

const TASK: &str = "Book the room for the customer day";
const VIEWER: &str = "[policies]\nalways = []\n[agents.viewer]\nmay_apply = false\n[agents.bot]\n";

/// Returns a place in which the agent `viewer`, who may only preview, has saved a set.
fn saved_by_the_viewer(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", VIEWER);
    let update = ["task", "update", TASK, "--priority", "urgent", "--out", "set.json"];
    place.run(&[&update[..], &["--as", "viewer"]].concat()).code(0);
    place
}

fn text(place: &Place) -> String {
    fs::read_to_string(place.path().join("set.json")).unwrap()
}

#[test]
fn a_set_whose_agent_was_struck_out_is_refused() {
    let planner = Planner::demo();
    let place = saved_by_the_viewer(&planner);
    place.run(&["apply", "set.json"]).code(3).says(&["agent `viewer` may preview only"]);
    // Anyone who edits the file can compute everything again but the seal.
    let saved = Saved::parse(&text(&place)).unwrap();
    let own = Saved { agent: None, agent_may_apply: true, ..saved }.with_digest();
    place.file("set.json", &own.to_text());
    let refused = place.run(&["apply", "set.json"]).code(1);
    let refused = refused.says(&["`set.json`: changed since it was saved, or saved with another"]);
    assert!(refused.stderr.contains("`--unsealed`"), "{}", refused.stderr);
    assert_eq!(planner.task(TASK)["priority"], 5);
    assert!(planner.writes().is_empty());
}

#[test]
fn what_is_not_sealed_is_a_persons_own_and_never_an_agents() {
    let planner = Planner::demo();
    let place = saved_by_the_viewer(&planner);
    place.file("set.json", &text(&place).replace("\"viewer\"", "\"bot\""));
    let apply = ["apply", "set.json"];
    for agent in [&["--as", "bot"][..], &["--as", "viewer"]] {
        // An agent is not told what would allow it.
        let refused = place.run(&[&apply[..], agent].concat()).code(1);
        assert!(!refused.stderr.contains("--unsealed"), "{}", refused.stderr);
        place.run(&[&apply[..], &["--unsealed"], agent].concat()).code(2).says(&["for people"]);
    }
    let env = [("PLANWRIGHT_AGENT", "bot")];
    place.run_with(&["apply", "set.json", "--unsealed"], "", &env).code(2).says(&["for people"]);
    assert!(planner.writes().is_empty());
    // Judged as what it is now: the person's.
    place.file("planwright.toml", &VIEWER.replace("[]", "[\"nobody\"]"));
    let policy = "fn review(changes, run) { deny(`${run.agent} ${run.skill} ${run.purpose}`); }";
    place.file("scripts/policies/nobody.rhai", policy);
    place.run(&["apply", "set.json", "--unsealed"]).code(3).says(&[" apply apply"]);
    place.file("planwright.toml", VIEWER);
    let report = place.run(&["apply", "set.json", "--unsealed", "--json"]).code(0).json();
    assert_eq!(report["actor"]["agent"], json!(null));
    assert_eq!(planner.task(TASK)["priority"], 1);
    place.run(&["apply", "set.json", "--unsealed"]).code(1).says(&["was already applied"]);
}

#[test]
fn a_set_is_of_its_agent_and_applied_once_whatever_its_seal() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", VIEWER);
    let update = ["task", "update", TASK, "--priority", "urgent", "--out", "set.json"];
    place.run(&[&update[..], &["--as", "bot"]].concat()).code(0);
    let viewer = place.run(&["apply", "set.json", "--as", "viewer"]).code(1);
    viewer.says(&["the set belongs to the agent `bot`: `viewer` cannot apply it"]);
    let report = place.run(&["apply", "set.json", "--as", "bot", "--json"]).code(0).json();
    assert_eq!(report["actor"]["agent"], "bot");
    place.run(&["apply", "set.json", "--unsealed"]).code(1).says(&["was already applied"]);
    // A person's set is an agent's where an agent applies it.
    place.run(&["task", "update", TASK, "--priority", "low", "--out", "set.json"]).code(0);
    place.run(&["apply", "set.json", "--as", "viewer"]).code(3);
}

#[test]
fn a_set_from_another_state_folder_is_refused() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let update = ["task", "update", TASK, "--priority", "urgent", "--out", "set.json"];
    place.run(&[&update[..], &["--state-dir", "there"]].concat()).code(0);
    place.run(&["apply", "set.json"]).code(1).says(&["saved with another state folder"]);
    place.run(&["apply", "set.json", "--state-dir", "there"]).code(0);
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const SAVE: [&str; 7] = ["task", "update", TASK, "--priority", "urgent", "--out", "set.json"];

    fn mode(place: &Place, name: &str) -> u32 {
        fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(place: &Place, name: &str, mode: u32) {
        fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_that_others_could_have_is_not_used() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        let save = [&SAVE[..], &["--state-dir", "state"]].concat();
        place.run(&save).code(0);
        assert_eq!((mode(&place, "set.json"), mode(&place, "state/seal.key")), (0o600, 0o600));
        assert_eq!(fs::metadata(place.path().join("state/seal.key")).unwrap().len(), 32);
        let apply = ["apply", "set.json", "--state-dir", "state"];
        set_mode(&place, "state/seal.key", 0o640);
        place.run(&save).code(1).says(&["seal.key` is not private to you"]);
        place.run(&apply).code(1).says(&["is not private to you"]);
        let key = place.path().join("state/seal.key");
        fs::write(&key, "short").unwrap();
        set_mode(&place, "state/seal.key", 0o600);
        place.run(&apply).code(1).says(&["cannot use the key"]);
        fs::rename(&key, place.path().join("theirs")).unwrap();
        symlink("../theirs", &key).unwrap();
        place.run(&apply).code(1).says(&["cannot read the key"]);
        assert!(planner.writes().is_empty());
    }

    /// A folder such as /tmp is everybody's.
    #[test]
    fn no_link_that_was_put_in_the_way_is_followed() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.file("theirs", "untouched");
        for name in ["set.json.part", "set.json"] {
            symlink("theirs", place.path().join(name)).unwrap();
        }
        place.run(&SAVE).code(0);
        assert_eq!(fs::read_to_string(place.path().join("theirs")).unwrap(), "untouched");
        assert!(!place.path().join("set.json").is_symlink());
        place.run(&["apply", "set.json"]).code(0);
        // Nothing is left of the way there.
        let names = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".set")));
    }

    #[test]
    fn what_is_written_for_others_keeps_its_mode() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.file("board.yaml", "").file("plan.csv", "");
        set_mode(&place, "board.yaml", 0o664);
        set_mode(&place, "plan.csv", 0o400);
        place.run(&["pull", PLAN, "--to", "board.yaml"]).code(0);
        let export = ["plan", "export", PLAN, "--format", "csv", "--to", "plan.csv"];
        place.run(&export).code(0);
        assert_eq!((mode(&place, "board.yaml"), mode(&place, "plan.csv")), (0o664, 0o400));
    }

    #[test]
    fn neither_a_pipe_nor_a_device_is_waited_for() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        let made = Command::new("mkfifo").arg(place.path().join("pipe.rhai")).status().unwrap();
        assert!(made.success());
        let refuses = |args: &[&str]| {
            let output = place.run(args).code(1);
            assert!(output.stderr.contains("is not a regular file"), "{args:?}: {output:?}");
        };
        for file in ["pipe.rhai", "/dev/zero"] {
            refuses(&["apply", file]);
            refuses(&["diff", file]);
            refuses(&["plan", "import", file, "--format", "csv", "--plan", PLAN]);
            refuses(&["emulator", "--seed", file]);
            refuses(&["audit", "verify", file]);
            refuses(&["run", file]);
        }
        refuses(&["skill", "check", "pipe.rhai"]);
        refuses(&["test", "pipe.rhai"]);
        refuses(&["task", "update", TASK, "--priority", "urgent", "--out", "pipe.rhai"]);
        place.run(&["apply", "."]).code(1).says(&["`.` is a folder"]);
        fs::File::create(place.path().join("large")).unwrap().set_len((16 << 20) + 1).unwrap();
        place.run(&["apply", "large"]).code(1).says(&["`large`: larger than 16 MiB"]);
    }
}

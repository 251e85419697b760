//! Hostile answers, proxies, files and neighbours, against the program as a whole.

use crate::support::{PLAN, Place, Planner};

/// A task that is nobody else's.
const TASK: &str = "Book the room for the customer day";

#[cfg(unix)]
mod on_unix {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    fn mode(place: &Place, name: &str) -> u32 {
        fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_of_a_board_is_its_owners_alone() {
        let planner = Planner::demo();
        let place = Place::against(&planner);
        place.run(&["task", "update", TASK, "--priority", "urgent"]).code(0);
        place.run(&["pull", PLAN, "--to", "board.yaml"]).code(0);
        place.run(&["plan", "export", PLAN, "--to", "plan.json"]).code(0);
        place.run(&["audit", "export", "--to", "log.jsonl"]).code(0);
        for file in ["board.yaml", "plan.json", "log.jsonl"] {
            assert_eq!(mode(&place, file), 0o600, "{file}");
        }
        // Somebody else's file is replaced, and what it allowed goes with it.
        let theirs = place.path().join("board.yaml");
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o666)).unwrap();
        if chown(&theirs, Some(65534), None).is_ok() {
            place.run(&["pull", PLAN, "--to", "board.yaml"]).code(0);
            assert_eq!(mode(&place, "board.yaml"), 0o600);
        }
    }
}

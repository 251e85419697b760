//! The upkeep of the state folder: backups that are whole, whoever writes meanwhile, restored only where
//! that loses nothing; and old runs, pruned while what rests on them stays.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use planwright::journal::{Journal, NewRun, Note, NoteKind, RunId, RunStatus};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::serve::{Server, token};
use crate::support::{PLAN, Place, Planner, times, until};

const OPEN: &str = "[policies]\nalways = []\n[limits]\nquarantine_seconds = 0\n";

fn place(planner: &Planner) -> Place {
    let place = Place::against(planner);
    place.file("planwright.toml", OPEN);
    place
}

fn add(place: &Place, title: &str) -> Value {
    let script =
        format!("plan(\"{PLAN}\").create_task(#{{ title: \"{title}\", bucket: \"Inbox\" }});");
    place.script(&script, &["--json"]).code(0).json()
}

/// The files of a backup, by name.
type Unpacked = BTreeMap<String, Vec<u8>>;

/// Returns the files below a folder, with what is in them.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Takes a backup apart.
fn apart(backup: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = ZipArchive::new(Cursor::new(backup)).unwrap();
    (0..zip.len())
        .map(|n| {
            let mut file = zip.by_index(n).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// Puts one together.
fn together(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_backup_is_whole_whoever_writes_meanwhile() {
    let planner = Planner::demo();
    let place = place(&planner);
    let first = add(&place, "Before")["run_id"].as_str().unwrap().to_owned();
    place.file("home/.local/share/planwright/sign-in/work.sealed", "sealed");
    let n = times("BACKUPS", 3);
    // Another process writes all the time.
    let journal = Journal::open(&place.state().join("journal.db")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let (name, at) = ("test".to_owned(), "2026-01-01T00:00:00Z".parse().unwrap());
                let (kind, detail) = (NoteKind::Config, json!("x".repeat(2_000)));
                journal.note(&Note { kind, at, run: None, actor: None, name, detail }).unwrap();
            }
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 0..n {
                let file = format!("backup-{n}.zip");
                let made = place.run(&["state", "backup", &file, "--json"]).code(0).json();
                assert!(made["records"].as_i64().unwrap() > 0, "{made}");
            }
        }));
        done.store(true, Ordering::SeqCst);
        ended.unwrap();
    });
    drop(journal);
    for n in 0..n {
        let (file, folder) = (format!("backup-{n}.zip"), format!("restored-{n}"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let found = std::fs::metadata(place.path().join(&file)).unwrap();
            assert_eq!(found.permissions().mode() & 0o777, 0o600);
        }
        let there = ["--state-dir", folder.as_str()];
        place.run(&[&["state", "restore", &file], &there[..]].concat()).code(0);
        let audit = place.run(&[&["audit", "verify"], &there[..]].concat());
        audit.code(0);
        let shown = place.run(&[&["runs", "show", &first, "--json"], &there[..]].concat());
        assert_eq!(shown.code(0).json()["status"], "applied");
        assert!(!place.path().join(&folder).join("sign-in").exists());
    }
    // What is there is taken for nobody's.
    place.run(&["state", "backup", "backup-0.zip"]).code(1).says(&["there is a"]);
    place.run(&["state", "backup", "none.zip", "--state-dir", "empty"]).code(1);
    place.run(&["state", "backup", "x.zip", "--as", "rook"]).code(3);
}

#[test]
fn a_restoration_loses_nothing_that_is_there() {
    let planner = Planner::demo();
    let place = place(&planner);
    let admin = token(&place, "ana", "admin");
    let first = add(&place, "Before")["run_id"].as_str().unwrap().to_owned();
    place.run(&["state", "backup", "backup.zip"]).code(0);
    let later = add(&place, "After")["run_id"].as_str().unwrap().to_owned();
    place.file("home/.local/share/planwright/sign-in/work.sealed", "sealed");
    place.run(&["state", "restore", "backup.zip"]).code(1).says(&["--replace"]);
    let server = Server::start(&place);
    let replace = ["state", "restore", "backup.zip", "--replace"];
    place.run(&replace).code(1).says(&["another process has", "planwright serve"]);
    server.get(&admin, "/api/v1/runs").is(200);
    place.run(&["runs", "show", &later]).code(0);
    drop(server);
    let done = place.run(&[&replace[..], &["--json"]].concat()).code(0).json();
    place.run(&["runs", "show", &first]).code(0);
    place.run(&["runs", "show", &later]).code(1);
    place.run(&["audit", "verify"]).code(0);
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    assert!(audit.contains("\"kind\":\"restored\""), "{audit}");
    assert!(place.state().join("sign-in/work.sealed").exists());
    // What was there is a state folder of its own.
    let before = done["before"].as_str().unwrap();
    place.run(&["runs", "show", &later, "--state-dir", before]).code(0);
    place.run(&["audit", "verify", "--state-dir", before]).code(0);
    // The tokens are those of the backup, and the next backup does not have the one before in it.
    Server::start(&place).get(&admin, "/api/v1/runs").is(200);
    place.run(&["state", "backup", "again.zip"]).code(0);
    let again = apart(&std::fs::read(place.path().join("again.zip")).unwrap());
    assert!(again.keys().all(|name| !name.contains("before-restore")), "{:?}", again.keys());
    // A journal that cannot be opened is what there are backups for.
    let state = place.state();
    std::fs::write(state.join("journal.db"), "no journal at all, but a text").unwrap();
    place.run(&["runs"]).code(1);
    place.run(&["state", "restore", "again.zip", "--replace"]).code(0);
    place.run(&["runs", "show", &first]).code(0);
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn a_damaged_backup_changes_nothing() {
    let planner = Planner::demo();
    let place = place(&planner);
    add(&place, "Before");
    place.run(&["state", "backup", "backup.zip"]).code(0);
    let before = files(&place.state());
    let whole = std::fs::read(place.path().join("backup.zip")).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        std::fs::write(place.path().join("damaged.zip"), bytes).unwrap();
        for more in [&["--replace"][..], &["--state-dir", "elsewhere"]] {
            let output = place.run(&[&["state", "restore", "damaged.zip"], more].concat());
            assert_eq!(output.code, 1, "{what}: {}", output.stderr);
        }
        let journal = place.path().join("elsewhere/journal.db");
        assert!(!journal.exists(), "{what}");
        assert_eq!(
            files(&place.state()).keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>(),
            "{what}"
        );
    };
    refused(b"", "empty");
    refused(&whole[..whole.len() / 2], "cut off");
    for at in [whole.len() / 5, whole.len() / 2, whole.len() - 22] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        refused(&bytes, &format!("another byte at {at}"));
    }
    let change = |change: &dyn Fn(&mut Unpacked, &mut Value)| {
        let mut files = apart(&whole);
        let mut list = serde_json::from_slice(&files["backup.json"]).unwrap();
        change(&mut files, &mut list);
        files.insert("backup.json".into(), list.to_string().into_bytes());
        together(&files)
    };
    let digest = |bytes: &[u8]| {
        use sha2::Digest as _;
        json!(format!("sha256:{:x}", sha2::Sha256::digest(bytes)))
    };
    refused(&change(&|files, _| drop(files.remove("audit.anchor"))), "a file less");
    refused(&change(&|files, _| drop(files.insert("x".into(), vec![]))), "a file more");
    let outside = change(&|files, list| {
        files.insert("../outside".into(), b"x".to_vec());
        list["files"]["../outside"] = digest(b"x");
    });
    refused(&outside, "a name that leads outside");
    assert!(!place.path().join("outside").exists() && !place.state().join("../outside").exists());
    // Its digest fits, and still its log does not.
    let shortened = change(&|files, list| {
        let path = place.path().join("shortened.db");
        std::fs::write(&path, &files["journal.db"]).unwrap();
        let anchor = "{\"hash\":\"sha256:00\",\"seq\":999999}\n";
        files.insert("audit.anchor".into(), anchor.into());
        list["files"]["audit.anchor"] = digest(anchor.as_bytes());
    });
    refused(&shortened, "an end that is missing");
    refused(&change(&|_, list| list["format"] = json!(99)), "another form");
    place.run(&["audit", "verify"]).code(0);
}

#[test]
fn old_runs_are_pruned_and_those_of_late_stay() {
    let planner = Planner::demo();
    let place = place(&planner);
    let written = add(&place, "Written")["run_id"].as_str().unwrap().to_owned();
    let read = place.script("1 + 1", &["--json"]).code(0).json();
    let read = read["run_id"].as_str().unwrap();
    place.run(&["state", "prune"]).code(2).says(&["--older-than", "keep_runs_days"]);
    place.run(&["state", "prune", "--older-than", "1d"]).code(2).says(&["7 days"]);
    place.run(&["state", "prune", "--older-than", "7d", "--as", "rook"]).code(3);
    let none = place.run(&["state", "prune", "--older-than", "7d", "--json"]).code(0).json();
    assert_eq!((&none["runs"], &none["entries"]), (&json!(0), &json!(0)));
    place.file("planwright.toml", &format!("{OPEN}[state]\nkeep_runs_days = 3\n"));
    place.run(&["state", "prune"]).code(1).says(&["at least 7"]);
    place.file("planwright.toml", &format!("{OPEN}[state]\nkeep_run_days = 30\n"));
    place.run(&["config", "show"]).code(1).says(&["keep_run_days"]);
    place.file("planwright.toml", &format!("{OPEN}[state]\nkeep_runs_days = 30\n"));
    let shown = place.run(&["config", "show", "--origin", "--json"]).code(0).json();
    let setting =
        shown.as_array().unwrap().iter().find(|it| it["setting"] == "state.keep_runs_days");
    let setting = setting.unwrap();
    assert_eq!(setting["value"], 30);
    assert!(setting["origin"].as_str().unwrap().ends_with("planwright.toml"), "{setting}");
    place.run(&["state", "prune", "--dry-run"]).code(0).says(&["Would delete 0 runs"]);
    // As if they were of long ago.
    let journal = Journal::open(&place.state().join("journal.db")).unwrap();
    let (name, at) = ("test".to_owned(), "2026-01-01T00:00:00Z".parse().unwrap());
    let (kind, detail) = (NoteKind::Pruned, Value::Null);
    let note = Note { kind, at, run: None, actor: None, name, detail };
    let pruned = journal.prune("9999-01-01T00:00:00Z".parse().unwrap(), &note).unwrap();
    assert_eq!((pruned.runs, pruned.entries), (1, 0));
    drop(journal);
    place.run(&["runs", "show", read]).code(1);
    place.run(&["runs", "show", &written]).code(0);
    place.run(&["audit", "verify"]).code(0);
    place.run(&["undo", "last", "--yes", "--force"]).code(0);
}

/// The journal of a server has runs of long ago: the first that it does is to delete them.
#[test]
fn a_server_deletes_old_runs_by_itself() {
    let planner = Planner::demo();
    let place = place(&planner);
    let kept = add(&place, "Of today")["run_id"].as_str().unwrap().to_owned();
    let old = "0199f3c2-7a51-7cc3-98b1-4f0c3a5d2e11";
    {
        let journal = Journal::open(&place.state().join("journal.db")).unwrap();
        let own = journal.run(&kept).unwrap();
        let at = "2020-02-01T12:00:00Z".parse().unwrap();
        let run = NewRun { id: RunId::parse(old).unwrap(), at, ..own.start };
        journal.begin(&run).unwrap();
        journal.finish(&run.id, at, RunStatus::NoChanges, &json!({})).unwrap();
    }
    let ana = token(&place, "ana", "viewer");
    let path = |id: &str| format!("/api/v1/runs/{id}");
    {
        let server = Server::start(&place);
        server.get(&ana, &path(old)).is(200);
    }
    place.file("planwright.toml", &format!("{OPEN}[state]\nkeep_runs_days = 30\n"));
    let server = Server::start(&place);
    until(|| server.get(&ana, &path(old)).status == 404);
    server.get(&ana, &path(&kept)).is(200);
    drop(server);
    place.run(&["audit", "verify"]).code(0);
    let audit = place.run(&["audit", "export"]).code(0).stdout;
    let is_it = |line: &str| line.contains("\"kind\":\"pruned\"") && line.contains(old);
    assert_eq!(audit.lines().filter(|line| is_it(line)).count(), 1);
}

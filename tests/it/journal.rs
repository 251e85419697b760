//! The journal from outside: tampering, crashes, several writers, files that are none.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use planwright::change::{ChangeSet, Draft};
use planwright::journal::{
    Anchor, Error, ExportCheck, Intent, Journal, Judgement, NewRun, Note, NoteKind, Outcome,
    Purpose, RunId, RunStatus, Settled, StepId, Verification, verify_export,
};
use planwright::model::{ETag, PlanId, Task, TaskId, UserId, Versioned};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::Dice;

/// Where a child process of these tests finds the journal.
const JOURNAL: &str = "PLANWRIGHT_TEST_JOURNAL";
/// How many runs it makes.
const RUNS: &str = "PLANWRIGHT_TEST_RUNS";
/// Records of a run of `write_run`.
const RECORDS_A_RUN: i64 = 6;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_780_000_000 + second).unwrap()
}

fn new_id() -> RunId {
    RunId::parse(&uuid::Uuid::now_v7().to_string()).unwrap()
}

fn new_run(id: &RunId) -> NewRun {
    NewRun {
        id: id.clone(),
        at: at(0),
        service: "embedded".into(),
        actor: UserId::parse("6463a5ce-2119-4198-9f2a-628761df4a62").unwrap(),
        upn: "rook@bos.example".into(),
        agent: None,
        purpose: Purpose::Run,
        parent: None,
        takes_up: None,
        skill: "triage".into(),
        skill_digest: None,
        params: json!({}),
        policies: [].into(),
    }
}

fn set() -> ChangeSet {
    let plan = PlanId::parse("xqQg5FS2LkCp935s-FIFm2QAFkHM").unwrap();
    let id = TaskId::parse("01gzSlKkIUSUl6DF_EilrmQAKDhh").unwrap();
    let task = Task::new(id.clone(), plan, "Übersicht".into());
    let read = Versioned::new(task, ETag::new("W/\"JzEtVGFzay\"".into()));
    let mut draft = Draft::new("abc".into());
    draft.edit_task(Some(&read), None, &id, |it| it.task.percent_complete = 50);
    draft.finish(
        &planwright::change::ReadSet::new(),
        &planwright::model::snapshot::Snapshot::default(),
    )
}

fn step() -> StepId {
    StepId { round: 1, n: 1, step: "task".into() }
}

fn intent() -> Intent {
    Intent {
        step: step(),
        attempt: 1,
        method: "PATCH".into(),
        path: "/planner/tasks/01gzSlKkIUSUl6DF_EilrmQAKDhh".into(),
        if_match: Some("W/\"JzEtVGFzay\"".into()),
        body: Some(json!({ "percentComplete": 50 })),
        request_id: "ours".into(),
    }
}

fn settled() -> Settled {
    Settled {
        step: step(),
        attempt: 1,
        outcome: Outcome::Applied,
        status: Some(204),
        entity_id: None,
        etag: None,
        service_request_id: None,
        message: None,
    }
}

fn note(name: &str) -> Note {
    let (kind, name) = (NoteKind::Config, name.to_owned());
    Note { kind, at: at(9), run: None, actor: None, name, detail: Value::Null }
}

/// Records a run from its beginning to its end; says each step once it is recorded.
fn write_run(journal: &Journal, mut say: impl FnMut(&RunId, &str)) {
    let id = new_id();
    journal.begin(&new_run(&id)).unwrap();
    say(&id, "run_started");
    journal.judged(&id, at(1), &set(), &json!([]), Judgement::Cleared).unwrap();
    say(&id, "judged");
    journal.intend(&id, at(2), &[intent()]).unwrap();
    say(&id, "intent");
    journal.settle(&id, at(3), &[settled()]).unwrap();
    say(&id, "outcome");
    journal.note(&Note { run: Some(id.clone()), ..note("rook") }).unwrap();
    say(&id, "config");
    journal.finish(&id, at(4), RunStatus::Applied, &json!({ "status": "applied" })).unwrap();
    say(&id, "finished");
}

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/journal.db");
    (dir, path)
}

fn export(journal: &Journal) -> Vec<u8> {
    let mut out = Vec::new();
    journal.export_lines(&mut out).unwrap();
    out
}

#[track_caller]
fn whole(journal: &Journal) -> Verification {
    let found = journal.verify().unwrap();
    assert!(found.is_ok(), "{found:#?}");
    found
}

/// A log of 300 records.
fn sound_export() -> Vec<u8> {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    for _ in 0..10 {
        write_run(&journal, |_, _| ());
    }
    for n in 0..240 {
        journal.note(&note(&format!("name {n}"))).unwrap();
    }
    let sound = export(&journal);
    let found = verify_export(sound.as_slice(), None).unwrap();
    assert!(found.is_ok(), "{found:#?}");
    assert_eq!((found.records, found.anchored), (300, Some(300)));
    sound
}

/// Does one thing to one line, or to one bit of it.
fn corrupt(lines: &[Vec<u8>], dice: &mut Dice) -> (usize, Vec<u8>, String) {
    let (one, other) = (dice.below(lines.len()), dice.below(lines.len()));
    let mut lines = lines.to_vec();
    let (first, what) = match dice.below(12) {
        0 => {
            lines.remove(one);
            (one, "deleted")
        }
        1 if one != other => {
            lines.swap(one, other);
            (one.min(other), "swapped")
        }
        2 => {
            let line = lines[one].clone();
            lines.insert(other, line);
            (other, "doubled")
        }
        3 => {
            let at = dice.below(lines[one].len());
            lines[one].remove(at);
            (one, "a byte less")
        }
        4 => {
            let at = dice.below(lines[one].len());
            let byte = lines[one][at];
            lines[one].insert(at, byte);
            (one, "a byte twice")
        }
        5 => {
            lines.truncate(one);
            (one, "cut off")
        }
        _ => {
            let at = dice.below(lines[one].len());
            lines[one][at] ^= 1 << dice.below(8);
            (one, "a bit")
        }
    };
    (first, lines.concat(), format!("{what}: lines {one} and {other}"))
}

#[test]
fn every_one_of_10_000_corruptions_of_a_log_is_found() {
    let sound = sound_export();
    let lines: Vec<Vec<u8>> =
        sound.split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
    // The verification as it stands before each line: up to the first line that a corruption
    // touches it goes the same way every time.
    let mut check = ExportCheck::new(None);
    let mut before = Vec::new();
    let mut offset = 0;
    for line in &lines {
        before.push((check.clone(), offset));
        assert!(check.line(line));
        offset += line.len();
    }
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (before, lines, sound) = (&before, &lines, &sound);
            scope.spawn(move || {
                let mut dice = Dice::new(seed);
                let mut done = 0;
                while done < 5_000 {
                    let (first, corrupted, what) = corrupt(lines, &mut dice);
                    if corrupted == *sound {
                        continue;
                    }
                    done += 1;
                    let (check, offset) = &before[first];
                    let mut check = check.clone();
                    let mut rest = corrupted[*offset..].split_inclusive(|it| *it == b'\n');
                    let found = rest.any(|line| !check.line(line)) || !check.finish().is_ok();
                    assert!(found, "{what}");
                    if done % 100 == 0 {
                        let whole = verify_export(corrupted.as_slice(), None).unwrap();
                        assert!(!whole.is_ok(), "{what}");
                    }
                }
            });
        }
    });
}

#[test]
fn an_anchor_kept_elsewhere_finds_a_forged_end() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    journal.note(&note("one")).unwrap();
    let early = export(&journal);
    journal.note(&note("two")).unwrap();
    let anchor = fs::read_to_string(path.with_file_name("audit.anchor")).unwrap();
    let anchor = Anchor::parse(&anchor).unwrap();
    assert_eq!(anchor.seq, 2);
    assert!(verify_export(early.as_slice(), None).unwrap().is_ok());
    assert!(!verify_export(early.as_slice(), Some(&anchor)).unwrap().is_ok());
    assert!(verify_export(export(&journal).as_slice(), Some(&anchor)).unwrap().is_ok());
    let other = Anchor { hash: anchor.hash.replace(':', ":0"), ..anchor };
    assert!(!verify_export(export(&journal).as_slice(), Some(&other)).unwrap().is_ok());
}

/// Opens the database behind the journal's back.
fn behind(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let triggers: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for trigger in triggers {
        connection.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    connection
}

#[test]
fn tampering_with_the_tables_is_found() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    for _ in 0..3 {
        write_run(&journal, |_, _| ());
    }
    whole(&journal);
    drop(journal);
    for sql in [
        "UPDATE audit SET record = replace(record, 'triage', 'tirade') WHERE seq = 3",
        "UPDATE audit SET record = CAST(x'ff' AS TEXT) WHERE seq = 3",
        "UPDATE audit SET record = '' WHERE seq = 3",
        "UPDATE audit SET seq = seq + 1000 WHERE seq > 9",
        "UPDATE audit SET record = (SELECT record FROM audit WHERE seq = 4) WHERE seq = 10",
        "DELETE FROM audit WHERE seq = 4",
        "DELETE FROM audit WHERE seq = 18",
        "DELETE FROM audit",
        "INSERT INTO audit SELECT 19, record FROM audit WHERE seq = 18",
        "UPDATE run SET agent = 'victor' WHERE seq = 1",
        "UPDATE run SET id = upper(id) WHERE seq = 1",
        "UPDATE round SET outcome = 'denied' WHERE seq = 2",
        "UPDATE round SET change_set = replace(change_set, '50', '51') WHERE seq = 2",
        "UPDATE round SET rulings = '[1]' WHERE seq = 2",
        "UPDATE change SET summary = replace(summary, '50', '51')",
        "UPDATE intent SET body = '{}' WHERE seq = 3",
        "UPDATE intent SET path = '/x' WHERE seq = 3",
        "UPDATE outcome SET outcome = 'refused' WHERE seq = 4",
        "UPDATE outcome SET at = '2026-01-01T00:00:00Z' WHERE seq = 4",
        "UPDATE finish SET status = 'failed' WHERE seq = 6",
        "UPDATE finish SET report = '{}' WHERE seq = 6",
        "DELETE FROM outcome WHERE seq = 4",
        "DELETE FROM intent WHERE seq = 3",
        "DELETE FROM change",
        "DELETE FROM run WHERE seq = 1",
        "INSERT INTO outcome (seq, intent_seq, at, outcome) VALUES (5, 3, 'x', 'applied')",
    ] {
        let (_copy, there) = place();
        fs::create_dir(there.parent().unwrap()).unwrap();
        fs::copy(&path, &there).unwrap();
        let anchor = there.with_file_name("audit.anchor");
        fs::copy(path.with_file_name("audit.anchor"), anchor).unwrap();
        assert!(behind(&there).execute(sql, []).unwrap() > 0, "{sql}");
        let found = Journal::open_to_read(&there).unwrap().verify().unwrap();
        assert!(!found.is_ok(), "{sql}");
    }
}

/// A bit of the file that changes what it says is found, or the file is refused; the others are
/// in space that nothing uses.
#[test]
fn bits_of_the_file_that_turn_are_found_or_say_nothing() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    for _ in 0..8 {
        write_run(&journal, |_, _| ());
    }
    let says = |journal: &Journal| -> Result<_, Error> {
        let mut out = Vec::new();
        journal.export_lines(&mut out)?;
        let ids: Vec<_> = journal.runs(10, None)?.into_iter().map(|it| it.id).collect();
        let runs: Result<Vec<_>, Error> = ids.iter().map(|id| journal.run(id.as_str())).collect();
        Ok((out, runs?))
    };
    let sound = says(&journal).unwrap();
    drop(journal);
    let (_copy, there) = place();
    drop(Journal::open(&there).unwrap());
    fs::copy(path.with_file_name("audit.anchor"), there.with_file_name("audit.anchor")).unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut dice = Dice::new(7);
    let mut found = 0;
    for _ in 0..250 {
        let mut turned = bytes.clone();
        let at = dice.below(turned.len());
        turned[at] ^= 1 << dice.below(8);
        fs::write(&there, &turned).unwrap();
        let verified = Journal::open_to_read(&there).and_then(|it| Ok((it.verify()?, it)));
        match verified {
            Ok((verified, journal)) if verified.is_ok() => {
                assert!(says(&journal).is_ok_and(|it| it == sound), "byte {at}");
            }
            Ok(_) | Err(_) => found += 1,
        }
    }
    assert!(found > 50, "{found}");
}

#[test]
fn an_end_that_was_cut_off_stops_who_would_write() {
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    write_run(&journal, |_, _| ());
    write_run(&journal, |_, _| ());
    drop(journal);
    let kept = fs::read(&path).unwrap();
    let connection = behind(&path);
    for table in ["finish", "outcome", "intent", "change", "round", "run", "audit"] {
        let column =
            if table == "change" { "run_id IN (SELECT id FROM run WHERE seq" } else { "(seq" };
        connection.execute(&format!("DELETE FROM {table} WHERE {column} > 6)"), []).unwrap();
    }
    drop(connection);
    let found = Journal::open_to_read(&path).unwrap().verify().unwrap();
    let [problem] = found.problems.as_slice() else { panic!("{found:#?}") };
    assert_eq!(problem.seq, Some(7));
    assert_eq!(problem.what, "the log ends at record 6, but its anchor is at record 12");
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, Error::Altered { .. }), "{error}");
    assert!(error.to_string().ends_with("it ends at record 6, but once had 12"), "{error}");

    // Without the anchor it goes on, and the log says for good that it was missing.
    let anchor = path.with_file_name("audit.anchor");
    fs::remove_file(&anchor).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert!(!journal.verify().unwrap().is_ok());
    journal.note(&note("rook")).unwrap();
    let found = whole(&journal);
    assert_eq!((found.anchored, found.notes.len()), (Some(7), 1), "{found:#?}");
    assert_eq!(found.notes[0].seq, Some(7));
    drop(journal);

    // Neither does a log that took another way, nor an anchor that is none.
    fs::write(&path, kept).unwrap();
    assert!(matches!(Journal::open(&path), Err(Error::Altered { .. })));
    fs::write(&anchor, "{}").unwrap();
    assert!(matches!(Journal::open(&path), Err(Error::Altered { .. })));
    fs::remove_file(&path).unwrap();
    fs::write(&anchor, format!("{}\n", Anchor { seq: 3, ..Anchor::start() }.to_text())).unwrap();
    assert!(matches!(Journal::open(&path), Err(Error::Altered { .. })));
}

/// Not a test: what the tests below start as a process of its own.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn child_of_other_tests() {
    let Ok(path) = std::env::var(JOURNAL) else { return };
    let path = PathBuf::from(path);
    let Ok(runs) = std::env::var(RUNS) else { return as_a_stranger(&path) };
    let journal = Journal::open(&path).unwrap();
    for _ in 0..runs.parse().unwrap() {
        write_run(&journal, |id, kind| println!("\nack {id} {kind}"));
    }
}

fn child(path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "journal::child_of_other_tests", "--nocapture"]);
    command.env(JOURNAL, path).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn writer(path: &Path, runs: usize) -> Child {
    child(path).env(RUNS, runs.to_string()).spawn().unwrap()
}

/// Returns the run and kind of each record after `seq`, and the number of the last.
fn recorded(journal: &Journal, seq: i64) -> (Vec<(String, String)>, i64) {
    let records = journal.records(None, seq, usize::MAX).unwrap();
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let last = records.last().map_or(seq, |it| it["seq"].as_i64().unwrap());
    (records.iter().map(|it| (text(it, "run"), text(it, "kind"))).collect(), last)
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let (_dir, path) = place();
    let mut dice = Dice::new(30);
    let mut seen = 0;
    for _ in 0..30 {
        let mut child = writer(&path, 1000);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        let mut note = |line: String| {
            let mut words = line.split(' ').map(str::to_owned);
            if let (Some("ack"), Some(id), Some(kind)) =
                (words.next().as_deref(), words.next(), words.next())
            {
                acknowledged.push((id, kind));
            }
        };
        for _ in 0..dice.below(30) {
            note(lines.next().unwrap().unwrap());
        }
        child.kill().unwrap();
        lines.map_while(Result::ok).for_each(note);
        child.wait().unwrap();
        // A line may be torn.
        let kinds = ["run_started", "judged", "intent", "outcome", "config", "finished"];
        acknowledged.retain(|(_, kind)| kinds.contains(&kind.as_str()));

        let journal = Journal::open(&path).unwrap();
        let (there, last) = recorded(&journal, seen);
        seen = last;
        for it in &acknowledged {
            assert!(there.contains(it), "{it:?}");
        }
        assert!(there.len() <= acknowledged.len() + 1, "{there:?} {acknowledged:?}");
        for run in journal.runs(usize::MAX, None).unwrap() {
            let run = run.is_unfinished.then(|| journal.run(run.id.as_str()).unwrap());
            assert!(run.is_none_or(|it| it.rounds.len() <= 1 && it.finish.is_none()));
        }
    }
    let journal = Journal::open(&path).unwrap();
    assert_eq!(whole(&journal).records, seen);
}

#[test]
fn four_writers_record_everything_once() {
    const RUNS_EACH: usize = 34;
    let (_dir, path) = place();
    let mut children = [writer(&path, RUNS_EACH), writer(&path, RUNS_EACH)];
    std::thread::scope(|scope| {
        for child in &mut children {
            let mut out = child.stdout.take().unwrap();
            scope.spawn(move || out.read_to_end(&mut Vec::new()));
        }
        for _ in 0..2 {
            scope.spawn(|| {
                let journal = Journal::open(&path).unwrap();
                for _ in 0..RUNS_EACH {
                    write_run(&journal, |_, _| ());
                }
            });
        }
    });
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let journal = Journal::open(&path).unwrap();
    let records = i64::try_from(4 * RUNS_EACH).unwrap() * RECORDS_A_RUN;
    let found = whole(&journal);
    assert_eq!((found.records, found.anchored), (records, Some(records)));
    let (all, _) = recorded(&journal, 0);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(journal.runs(usize::MAX, None).unwrap().iter().all(|run| !run.is_unfinished));
}

#[test]
fn other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(1);
    let noise: Vec<u8> = (0..8192).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
    let path = dir.path().join("noise.db");
    fs::write(&path, &noise).unwrap();
    for opened in [Journal::open(&path), Journal::open_to_read(&path)] {
        let error = opened.unwrap_err();
        assert!(matches!(error, Error::Foreign { .. }), "{error}");
        assert_eq!(error.to_string(), format!("`{}` is not a journal", path.display()));
        assert!(error.hint().unwrap().contains("--state-dir"));
    }
    assert_eq!(fs::read(&path).unwrap(), noise);

    let path = dir.path().join("foreign.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(Error::Foreign { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);

    let path = dir.path().join("a/newer.db");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for opened in [Journal::open(&path), Journal::open_to_read(&path)] {
        assert!(matches!(opened, Err(Error::Newer { found: 99, .. })));
    }

    let path = dir.path().join("b/damaged.db");
    let journal = Journal::open(&path).unwrap();
    write_run(&journal, |_, _| ());
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..8192].fill(0xFF);
    fs::write(&path, bytes).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");

    let path = dir.path().join("c/none.db");
    assert!(matches!(Journal::open_to_read(&path), Err(Error::Absent { .. })));
    assert!(!path.parent().unwrap().exists());
    let within = dir.path().join("noise.db/journal.db");
    assert!(matches!(Journal::open(&within), Err(Error::Create { .. })));
}

#[test]
fn an_empty_file_becomes_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    for (name, sql) in [("nothing.db", None), ("header.db", Some("PRAGMA journal_mode = wal"))] {
        let path = dir.path().join(name).join("journal.db");
        fs::create_dir(path.parent().unwrap()).unwrap();
        match sql {
            None => fs::write(&path, "").unwrap(),
            Some(sql) => Connection::open(&path).unwrap().query_row(sql, [], |_| Ok(())).unwrap(),
        }
        let journal = Journal::open(&path).unwrap();
        write_run(&journal, |_, _| ());
        assert_eq!(whole(&journal).records, RECORDS_A_RUN);
    }
}

#[cfg(unix)]
#[test]
fn the_journal_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    write_run(&journal, |_, _| ());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = path.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// What someone finds who may read the journal and not write it.
fn as_a_stranger(path: &Path) {
    for file in ["journal.db", "own.db"] {
        let path = path.with_file_name(file);
        let journal = Journal::open_to_read(&path).unwrap();
        assert_eq!(journal.runs(10, None).unwrap().len(), 1);
        let error = journal.note(&note("rook")).unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        let error = Journal::open(&path).unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
    let error = Journal::open(&path.with_file_name("new.db")).unwrap_err();
    assert!(matches!(error, Error::Create { .. }), "{error}");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 4);
}

#[cfg(unix)]
#[test]
fn a_journal_that_can_not_be_written_is_read_and_left_alone() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let (dir, path) = place();
    let journal = Journal::open(&path).unwrap();
    write_run(&journal, |_, _| ());
    drop(journal);
    let folder = path.parent().unwrap();
    // One whose file may be written, in a folder that may not.
    let own = path.with_file_name("own.db");
    fs::copy(&path, &own).unwrap();
    let allow =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    allow(dir.path(), 0o755);
    allow(&path, 0o444);
    allow(&path.with_file_name("audit.anchor"), 0o444);
    allow(folder, 0o555);
    let mut stranger = child(&path);
    // Nothing is forbidden to root: then it is someone else who tries.
    if fs::File::create(folder.join("probe")).is_ok() {
        fs::remove_file(folder.join("probe")).unwrap();
        chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
        stranger.uid(NOBODY).gid(NOBODY).current_dir("/");
        assert!(matches!(Journal::open(&path), Err(Error::ReadOnly { .. })));
    }
    let output = stranger.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
    allow(folder, 0o755);
}

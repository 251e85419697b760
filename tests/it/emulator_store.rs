//! The database file, several processes on it, and the HTTP shell.

use std::path::Path;
use std::time::Duration;

use planwright::emulator::{Emulator, Error, Options, Storage};
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::emulator_support::{Bench, TestClock};

fn open(path: &Path) -> Result<Emulator, Error> {
    Emulator::open(Options::new(Storage::File(path.to_owned()), TestClock::new()))
}

fn bench(emulator: Emulator) -> Bench {
    Bench { emulator, ..Bench::new() }
}

#[test]
fn state_survives_and_is_shared_by_all_who_open_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emulator.db");
    let first = open(&path).unwrap();
    assert!(first.is_empty().unwrap());
    first.seed_demo().unwrap();
    assert!(!first.is_empty().unwrap());
    let first = bench(first);
    let second = bench(open(&path).unwrap());
    let task = first.new_task();
    let tag = second.tag(&task);
    let _ = first.change(&task, &json!({ "title": "x" })).expect(200);
    let _ = second.patch(&task, &tag, &json!({ "title": "y" })).error(409);
    let _ = second.change(&task, &json!({ "priority": 1 })).expect(200);
    drop((first, second));
    let third = bench(open(&path).unwrap());
    let task = third.get(&task);
    assert_eq!((&task["title"], &task["priority"]), (&json!("x"), &json!(1)));
}

#[test]
fn two_who_seed_and_write_at_once_agree() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emulator.db");
    drop(open(&path).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let emulator = open(&path).unwrap();
                emulator.seed_demo().unwrap();
                let bench = bench(emulator);
                for _ in 0..5 {
                    bench.new_plan();
                }
            });
        }
    });
    let bench = bench(open(&path).unwrap());
    assert_eq!(bench.items("/users").len(), 6);
    assert_eq!(bench.items("/me/planner/plans").len(), 22);
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emulator.db");
    open(&path).unwrap().seed_demo().unwrap();
    let emulator = open(&path).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    drop(emulator);
}

#[test]
fn files_of_others_and_of_newer_programs_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let newer = dir.path().join("newer.db");
    drop(open(&newer).unwrap());
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = open(&newer).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, known: 6 }), "{error}");
    assert_eq!(
        error.to_string(),
        "the emulator's database has version 99, but this program knows only 6"
    );

    let foreign = dir.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(open(&foreign).unwrap_err(), Error::Foreign { .. }));

    let text = dir.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to be taken for the header of one")
        .unwrap();
    assert!(matches!(open(&text).unwrap_err(), Error::Foreign { .. }));

    let nowhere = dir.path().join("missing/emulator.db");
    assert!(matches!(open(&nowhere).unwrap_err(), Error::Create { .. }));
}

#[test]
fn a_user_added_by_hand_can_sign_in() {
    let emulator = Emulator::open(Options::new(Storage::Memory, TestClock::new())).unwrap();
    let id = emulator.add_user("kim@lab.example", "Kim Park").unwrap();
    assert!(emulator.add_user("KIM@lab.example", "Kim").is_err());
    let bench = Bench { caller: "kim@lab.example", ..bench(emulator) };
    assert_eq!(bench.get("/me")["id"], id);
}

async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    let talk = async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(Duration::from_secs(10), talk).await.expect("an answer in time")
}

#[tokio::test]
async fn the_shell_serves_on_a_socket_until_it_is_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(Bench::new().emulator.serve(listener, async {
        drop(stopped.await);
    }));
    let head = format!(
        "GET /v1.0/me/planner/tasks?$select=id HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer emulator:rook@bos.example\r\nConnection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, &head).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!("http://{address}/v1.0/$metadata#Collection")), "{answer}");
    assert_eq!(answer.matches("\r\ndate: ").count(), 1, "{answer}");

    let large = format!(
        "POST /v1.0/planner/tasks HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: 99999999\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    let answer = exchange(&mut stream, &large).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), server).await;
    ended.expect("the server stops when told").unwrap().unwrap();
}

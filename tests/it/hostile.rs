//! Hostile answers, proxies, files and neighbours, against the program as a whole.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{PLAN, Place, Planner, answering};

const ME: &str = r#"{"id":"u","displayName":"Rook","userPrincipalName":"rook@bos.example"}"#;
/// A task that is nobody else's.
const TASK: &str = "Book the room for the customer day";
/// As large as an answer may be, or nearly.
const LARGE: usize = 15 << 20;

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Returns the address of a service that knows who is signed in, and lists their plans as given.
fn listing(plans: impl Fn(&str, &str) -> Vec<u8> + Send + 'static) -> Place {
    let url = answering(move |path, url| {
        if path.contains("/planner/plans") { plans(path, url) } else { http("200 OK", ME) }
    });
    Place::against_url(&url, "secret-canary-token")
}

/// A proxy that counts who comes by and answers nobody.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (address, seen)
}

const PROXIES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

#[test]
fn a_proxy_never_sees_what_stays_on_this_machine() {
    let planner = Planner::demo();
    let (address, seen) = proxy();
    for variable in PROXIES {
        for scheme in ["http", "https"] {
            let proxy = format!("{scheme}://{address}");
            let env = [(variable, proxy.as_str())];
            for place in [Place::embedded(), Place::against(&planner)] {
                let plans = place.run_with(&["plan", "list", "--json"], "", &env).code(0).json();
                assert!(!plans.as_array().unwrap().is_empty());
            }
        }
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

#[test]
fn a_proxy_that_is_not_https_is_refused_by_name() {
    let (address, seen) = proxy();
    let place = Place::against_url("https://graph.example.invalid/v1.0", "secret-canary-token");
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        for proxy in [&address, &format!("http://{address}"), &format!("socks5h://{address}")] {
            let output = place.run_with(&["plan", "list"], "", &[(variable, proxy)]).code(2);
            let _ = output.says(&[variable, "https", "NO_PROXY"]);
        }
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0);
    // What is not for this service is not looked at.
    let plain = format!("http://{address}");
    let others = [
        &[("HTTPS_PROXY", plain.as_str()), ("NO_PROXY", "localhost,.example.invalid")][..],
        &[("https_proxy", &plain), ("no_proxy", "*")],
        &[("http_proxy", &plain)],
        &[("HTTPS_PROXY", "")],
    ];
    for env in others {
        let output = place.run_with(&["plan", "list"], "", env).code(6);
        let _ = output.says(&["cannot reach https://graph.example.invalid"]);
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0);
}

/// A proxy behind TLS sees no word of a request before it has shown who it is.
#[test]
fn an_https_proxy_is_spoken_to_in_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("https://{}", listener.local_addr().unwrap());
    let first = std::thread::spawn(move || {
        let mut byte = [0];
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut byte).unwrap();
        byte[0]
    });
    let place = Place::against_url("https://graph.example.invalid/v1.0", "secret-canary-token");
    let output = place.run_with(&["plan", "list"], "", &[("HTTPS_PROXY", &proxy)]).code(6);
    let _ = output.says(&["cannot reach https://graph.example.invalid"]);
    // The type of a TLS handshake record.
    assert_eq!(first.join().unwrap(), 0x16);
}

fn filled(before: &str, item: &str, after: &str) -> String {
    let n = (LARGE - before.len() - after.len()) / (item.len() + 1);
    format!("{before}{}{after}", vec![item; n].join(","))
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_takes_little_more_memory_than_it_has_bytes() {
    let bodies = [
        ("200 OK", filled("{\"value\":[", "{\"a\":0}", "]}"), 1),
        ("200 OK", filled("{\"value\":[", "0", "]}"), 1),
        ("200 OK", filled("{\"value\":[],\"more\":[", "0", "]}"), 1),
        ("200 OK", format!("{}{}", "[".repeat(LARGE / 2), "]".repeat(LARGE / 2)), 1),
        ("403 Forbidden", filled("{\"error\":[", "0", "]}"), 5),
    ];
    for (status, body, code) in bodies {
        let start: String = body.chars().take(24).collect();
        let answer = http(status, &body);
        let place = listing(move |_, _| answer.clone());
        let (output, peak) = place.measured(&["plan", "list"], "");
        assert_eq!(output.code, code, "{start}: {output:?}");
        assert!(output.stderr.len() < 2000, "{start}: {}", output.stderr);
        assert!(peak < 200 << 20, "{start}: {} MiB", peak >> 20);
    }
}

#[test]
fn a_token_that_the_service_repeats_goes_nowhere() {
    let refused = json!({ "error": {
        "code": "Request_BadRequest", "message": "you sent Bearer secret-canary-token",
    } });
    let refused = refused.to_string();
    let url = answering(move |path, _| {
        if path.ends_with("/me") || path.contains("/me?") {
            http("200 OK", ME)
        } else {
            http("400 Bad Request", &refused)
        }
    });
    let place = Place::against_url(&url, "secret-canary-token");
    let script = "let b = my_tasks(); try { user(\"zz@x\"); } catch(e) { print(e.message); } user(\"00000000-0000-0000-0000-000000000001\");";
    for args in [&[][..], &["--json"], &["-vvv"]] {
        let output = place.script(script, args);
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains("[redacted]") && !said.contains("canary-token"), "{said}");
    }
    for file in std::fs::read_dir(place.state()).unwrap() {
        let path = file.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        assert!(!String::from_utf8_lossy(&bytes).contains("canary-token"), "{}", path.display());
    }
}

#[test]
#[cfg(unix)]
fn a_certificate_is_a_file_with_an_end() {
    let place = Place::embedded();
    let serve =
        ["serve", "--addr", "127.0.0.1:0", "--tls-cert", "/dev/zero", "--tls-key", "/dev/zero"];
    place.run(&serve).code(1).says(&["/dev/zero"]);
}

#[test]
fn a_list_that_never_ends_is_given_up() {
    let asked = Arc::new(AtomicUsize::new(0));
    let pages = Arc::clone(&asked);
    let place = listing(move |_, url| {
        let page = pages.fetch_add(1, Ordering::SeqCst);
        let plan =
            |n| json!({ "id": format!("p{page}-{n}"), "title": "P", "@odata.etag": "W/\"x\"" });
        let plans: Vec<Value> = (0..400).map(plan).collect();
        let next = format!("{url}/me/planner/plans?$skiptoken={page}");
        http("200 OK", &json!({ "value": plans, "@odata.nextLink": next }).to_string())
    });
    place.run(&["plan", "list"]).code(1).says(&["a list has more than 50000 items"]);
    assert!(asked.load(Ordering::SeqCst) <= 126, "{asked:?}");
}

/// A list continues at an address that is itself as large as an answer may be.
#[test]
fn the_address_of_a_page_is_no_place_to_hide_bytes() {
    let place = listing(|_, url| {
        let next = format!("{url}/me/planner/plans?{}", "x".repeat(100_000));
        http("200 OK", &json!({ "value": [], "@odata.nextLink": next }).to_string())
    });
    let output = place.run(&["plan", "list"]).code(1);
    assert!(output.stderr.len() < 2000, "{}", output.stderr);
    let _ = output.says(&["continues at an address of more than 8192 bytes"]);
}

/// Starts the emulator command; returns it and the address it announces.
fn emulator(mut command: std::process::Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    (child, first.trim().to_owned())
}

/// Stops a child, whatever becomes of the test.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Sends a head as it stands and returns the status of the answer.
fn status(address: &str, head: &str) -> u16 {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

#[test]
fn the_emulator_answers_only_to_its_own_names() {
    let place = Place::embedded();
    let (child, url) = emulator(place.command(&["emulator", "--demo", "--host", "Graph.Test"]));
    let _stopped = Stopped(child);
    let address = url.trim_start_matches("http://").trim_end_matches("/v1.0").to_owned();
    let port = address.rsplit(':').next().unwrap();
    let paths = [
        "/v1.0/me",
        "/control/faults",
        "/common/v2.0/.well-known/openid-configuration",
        "/common/discovery/v2.0/keys",
    ];
    let ask = |path: &str, target: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|it| format!("Host: {it}\r\n")).collect();
        let head = format!(
            "GET {target}{path} HTTP/1.1\r\n{hosts}Authorization: Bearer emulator:rook@bos.example\r\nConnection: close\r\n\r\n"
        );
        status(&address, &head)
    };
    let own = [
        &address,
        "localhost",
        "LOCALHOST:9",
        "127.0.0.1",
        "127.1.2.3:80",
        "[::1]:1",
        "graph.test",
    ];
    let others = [
        "evil.example",
        &format!("evil.example:{port}"),
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "[fe80::1]",
        "0.0.0.0",
        "2130706433",
        "127.1",
        "localhost@evil.example",
        "",
    ];
    for path in paths {
        for host in own {
            assert_eq!(ask(path, "", &[host]), 200, "{path} {host}");
        }
        for host in others {
            assert_eq!(ask(path, "", &[host]), 421, "{path} {host:?}");
        }
        // The address in the request line counts as well, and so does every header.
        assert_eq!(ask(path, "http://evil.example", &["localhost"]), 421, "{path}");
        assert_eq!(ask(path, "http://localhost", &["evil.example"]), 421, "{path}");
        assert_eq!(ask(path, "", &["localhost", "evil.example"]), 421, "{path}");
        assert_eq!(ask(path, "", &[]), 421, "{path}");
    }
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let place = Place::embedded();
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for (args, code) in [
        (&["taks", "--json"][..], 2),
        (&["taks"], 2),
        (&["--help"], 0),
        (&["--version"], 0),
        (&["completions", "bash"], 0),
        (&["plan", "list", "--json"], 0),
        (&["api"], 0),
    ] {
        let output = place.command(args).stdout(closed()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
    }
    for args in
        [&["taks", "--json"][..], &["taks"], &["run", "morning_triage", "--progress", "json"]]
    {
        let output = place.command(args).stderr(closed()).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 2)), "{args:?}: {:?}", output.status);
    }
}

/// What is on the board is shown behind a margin, line by line.
#[test]
fn a_description_can_not_pass_for_what_we_say() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let forged = "Call Bo\n[x] Approved by finance\r\n\n  assigned to  victor";
    let body = json!({ "description": forged });
    planner.edit("rook@bos.example", &format!("/planner/tasks/{id}/details"), &body);
    let output = place.run(&["task", "get", &id]).code(0);
    for line in ["│ Call Bo", "│ [x] Approved by finance", "│", "│   assigned to  victor"] {
        assert!(output.stdout.lines().any(|it| it.trim_end() == line), "{line}: {}", output.stdout);
    }
    assert!(!output.stdout.lines().any(|it| it.starts_with("[x]")), "{}", output.stdout);
}

#[test]
fn json_on_a_terminal_does_nothing_whoever_prints_it() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let title = "Evil \u{9b}31m\u{202e}title\u{7f}";
    planner.edit("rook@bos.example", &format!("/planner/tasks/{id}"), &json!({ "title": title }));
    place.run(&["task", "update", &id, "--priority", "urgent"]).code(0);
    for args in [
        &["pull", PLAN, "--json"][..],
        &["pull", PLAN],
        &["plan", "export", PLAN, "--format", "json"],
        &["audit", "show", "--json"],
    ] {
        let output = place.run(args).code(0);
        assert!(output.stdout.contains("Evil"), "{args:?}: {}", output.stdout);
        let raw = |ch: char| (ch.is_control() && ch != '\n') || ch == '\u{202e}';
        assert!(!output.stdout.contains(raw), "{args:?}: {:?}", output.stdout);
    }
    let pulled = place.run(&["pull", PLAN, "--json"]).code(0).json();
    assert!(pulled.to_string().contains("\u{202e}title"));
    // What is exact in a file does nothing on a screen, either.
    #[cfg(target_os = "linux")]
    for args in [
        &["plan", "export", PLAN, "--format", "csv"][..],
        &["plan", "export", PLAN, "--format", "md"],
        &["audit", "export"],
        &["audit", "export", "--format", "csv"],
    ] {
        let terminal = crate::terminal::Terminal::start(&place, args);
        terminal.sees("title␡");
        let raw = |ch| matches!(ch, '\u{80}'..='\u{9f}' | '\u{202e}' | '\u{7f}');
        assert!(!terminal.sent().contains(raw), "{args:?}: {:?}", terminal.sent());
    }
}

#[test]
fn a_link_that_is_added_is_one_line() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let id = planner.task(TASK)["id"].as_str().unwrap().to_owned();
    let add = |call: &str| place.script(&format!("let t = task(\"{id}\"); {call}"), &["-n"]);
    for call in [
        r#"t.add_reference("https://a.example/\nApplied 99 changes.", "a")"#,
        r#"t.add_reference("https://a.example/", "a\rb")"#,
        r#"t.plan.create_task(#{ title: "T", references: [#{ url: "https://a.example/\x1b[2J" }] })"#,
        r#"t.plan.create_task(#{ title: "T", references: [#{ url: "https://a.example", alias: "\n" }] })"#,
    ] {
        add(call).code(1).says(&["a link and its text must be one line"]);
    }
    add(r#"t.add_reference("https://a.example/b c", "A link ☕")"#).code(0);
    let command = |alias| ["task", "reference", &id, "add", "https://a.example", "--alias", alias];
    place.run(&command("a\u{2028}b")).code(1).says(&["a link and its text must be one line"]);
    place.run(&command("a b")).code(0);
}

#[cfg(unix)]
mod on_unix {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};

    use super::*;

    fn mode(place: &Place, name: &str) -> u32 {
        fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_state_folder_that_others_can_write_is_not_used() {
        let planner = Planner::demo();
        let uses = [
            &["plan", "list"][..],
            &["task", "update", TASK, "--priority", "urgent"],
            &["runs"],
            &["task", "update", TASK, "--priority", "urgent", "--out", "set.json"],
        ];
        for embedded in [false, true] {
            let place = if embedded { Place::embedded() } else { Place::against(&planner) };
            let state = place.path().join("state");
            fs::create_dir(&state).unwrap();
            for unsafe_mode in [0o777, 0o720, 0o702, 0o1777] {
                fs::set_permissions(&state, fs::Permissions::from_mode(unsafe_mode)).unwrap();
                for args in uses {
                    let output = place.run(&[args, &["--state-dir", "state"][..]].concat()).code(1);
                    let _ = output.says(&["state` can be written by others", "chmod go-w"]);
                }
                assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
            }
            fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
            // Only root can give a folder away.
            if chown(&state, Some(65534), None).is_ok() {
                let output = place.run(&["runs", "--state-dir", "state"]).code(1);
                let _ = output.says(&["state` belongs to somebody else"]);
                chown(&state, Some(rustix::process::geteuid().as_raw()), None).unwrap();
                // So does a link, which its owner can turn elsewhere.
                let link = place.path().join("link");
                std::os::unix::fs::symlink(&state, &link).unwrap();
                place.run(&["runs", "--state-dir", "link"]).code(0);
                std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
                let output = place.run(&["runs", "--state-dir", "link/within"]).code(1);
                let _ = output.says(&["link/within` belongs to somebody else"]);
                fs::remove_file(&link).unwrap();
            }
            place.run(&[uses[1], &["--state-dir", "state"]].concat()).code(0);
            // One that is made is private.
            place.run(&["plan", "list", "--state-dir", "new/state"]).code(0);
            let update = ["task", "update", TASK, "--priority", "low", "--state-dir", "new/state"];
            place.run(&update).code(0);
            assert_eq!((mode(&place, "new"), mode(&place, "new/state")), (0o700, 0o700));
        }
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

#[cfg(target_os = "linux")]
#[test]
fn no_core_is_dumped_with_a_token_in_it() {
    use std::os::unix::process::ExitStatusExt as _;
    let place = Place::embedded();
    let mut command = std::process::Command::new("sh");
    let program = place.command(&["emulator", "--demo"]);
    command.args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
    command.arg(program.get_program()).args(program.get_args()).current_dir(place.path());
    let (child, _) = emulator(command);
    let mut child = Stopped(child);
    let limits = fs_text(&format!("/proc/{}/limits", child.0.id()));
    let cores = limits.lines().find(|it| it.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().rev().nth(1), Some("0"), "{cores}");
    let pid = rustix::process::Pid::from_child(&child.0);
    rustix::process::kill_process(pid, rustix::process::Signal::QUIT).unwrap();
    let status = child.0.wait().unwrap();
    assert!(!status.core_dumped(), "{status:?}");
    let names = std::fs::read_dir(place.path()).unwrap().map(|it| it.unwrap().file_name());
    assert!(!names.into_iter().any(|it| it.to_string_lossy().starts_with("core")));
}

#[cfg(target_os = "linux")]
fn fs_text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// An agent that is named by the environment was taken for the person.
#[test]
fn the_agent_of_the_environment_is_an_agent_in_every_command() {
    let place = Place::embedded();
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.victor]\nplans = [\"BOS Operations\"]\nmay_apply = false\n",
    );
    let victor = [("PLANWRIGHT_AGENT", "victor")];
    assert!(place.run(&["plan", "list"]).code(0).stdout.contains("Website Relaunch"));
    let run = |args: &[&str]| place.run_with(args, "", &victor);
    let list = run(&["plan", "list", "--plain"]).code(0);
    assert!(!list.stdout.contains("Website"), "{}", list.stdout);
    run(&["task", "create", "--plan", "Website Relaunch", "x"]).code(1).says(&["there is no plan"]);
    run(&["task", "create", "--plan", PLAN, "x"]).code(3);
    // What it may not see is not shown by way of the record either.
    place
        .script(&format!("let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.priority = 1;"), &[])
        .code(0);
    let runs = run(&["runs", "--json"]).code(0).json();
    assert!(runs.as_array().unwrap().iter().all(|run| run["actor"]["agent"] == "victor"), "{runs}");
    run(&["runs", "show", "last"]).code(1);
    run(&["audit", "export"]).code(3);
    // It neither trusts a workspace nor settles what only a person can tell.
    run(&["config", "trust", "."]).code(3);
    run(&["resume", "last", "--not-made", "1"]).code(3);
    let unknown = [("PLANWRIGHT_AGENT", "nobody")];
    place.run_with(&["plan", "list"], "", &unknown).code(1).says(&["no agent `nobody`"]);
    let long = "x".repeat(65);
    place.run(&["plan", "list", "--as", &long]).code(2);
}

/// An agent saw every group, with its members.
#[test]
fn an_agent_sees_the_groups_of_its_plans() {
    let place = Place::embedded();
    place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.victor]\nplans = [\"BOS Operations\"]\n",
    );
    let script = format!(
        "for group in groups() {{ print(group.name); }} let t = plan(\"{PLAN}\").task(\"{TASK}\"); t.priority = 1;"
    );
    assert!(place.script(&script, &["-n"]).code(0).stdout.contains("Website"));
    // It counts as read, and is the same when it is read again before the write.
    let said = place.script(&script, &["--as", "victor"]).code(0);
    assert!(!said.stdout.contains("Website") && said.stdout.contains("BOS"), "{}", said.stdout);
}

/// A few megabytes of a file took gigabytes of memory.
#[test]
fn files_with_very_many_values_are_refused_before_they_are_read() {
    let place = Place::embedded();
    place.file("rows.csv", &format!("title\n{}", "a\n".repeat(200_000)));
    let import = ["plan", "import", "rows.csv", "--plan", PLAN, "-n"];
    place.run(&import).code(1).says(&["at most 100000 are read", "split it"]);
    place.file("seed.json", &format!("{{\"groups\":[{}{{}}]}}", "{},".repeat(1_000_000)));
    let seed = ["emulator", "--addr", "127.0.0.1:0", "--seed", "seed.json"];
    place.run(&seed).code(1).says(&["more than 1000000 values"]);
}

/// A report in which everything is escaped, and an error that shows a line as long as its file, were
/// larger than anybody reads.
#[test]
fn what_is_printed_is_bounded_as_it_is_printed() {
    let most = 4 << 20;
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let script = format!(
        "let p = plan(\"{PLAN}\"); let d = \"\"; d = d.pad(4000, \"\\u0080\"); for n in 0..30 {{ p.create_task(#{{ title: `${{n}}`, description: d }}); }}"
    );
    let report = place.script(&script, &["--json", "-n"]).code(0);
    assert!(report.stdout.len() < most, "{}", report.stdout.len());
    let line = format!("format: 1\nplan: x\nbuckets: {}\n", "[".repeat(6 << 20));
    place.file("line.yaml", &line);
    let text = place.run(&["diff", "line.yaml"]).code(1);
    let json = place.run(&["diff", "line.yaml", "--json"]).code(1);
    assert!(text.stderr.len() < 100_000 && json.stdout.len() < 100_000, "{}", text.stderr.len());
    let floods = format!(
        "fn test_a() {{ demo_board(); let t = plan(\"{PLAN}\").task(\"{TASK}\"); let d = \"\"; d = d.pad(30_000, \"x\"); for n in 0..100 {{ t.conflict_on(#{{ description: d }}); }} }}"
    );
    place.file("scripts/tests/floods.rhai", &floods);
    place.run(&["test", "floods"]).code(1).says(&["more than 1 MiB of edits by others"]);
}

/// A `switch` over a value that no case can equal judged nothing.
#[test]
fn a_policy_does_not_switch_over_what_it_cannot_compare() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = [\"p\"]\n");
    for over in ["change.after.bucket", "change.after.due", "change.after.percent_complete"] {
        let policy = format!(
            "fn review_change(change, run) {{ switch {over} {{ \"Done\" => deny(\"x\"), _ => () }} }}"
        );
        place.file("scripts/policies/p.rhai", &policy);
        place.run(&["policy", "check", "p"]).code(1).says(&["switch"]);
        let script = format!("plan(\"{PLAN}\").task(\"{TASK}\").move_to(\"Done\");");
        place.script(&script, &[]).code(3);
    }
    let policy =
        "fn review_change(change, run) { switch change.op { \"delete\" => deny(\"x\"), _ => () } }";
    place.file("scripts/policies/p.rhai", policy);
    place.run(&["policy", "check", "p"]).code(0);
}

/// What is written in one run is kept several times over by the journal.
#[test]
fn control_characters_count_as_the_journal_writes_them() {
    let place = Place::embedded();
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let script = format!(
        "let p = plan(\"{PLAN}\"); let d = \"\"; d = d.pad(8000, \"\\u0001\"); for n in 0..9 {{ p.create_task(#{{ title: `${{n}}`, description: d }}); }}"
    );
    for who in [&["--as", "victor"][..], &[]] {
        place.script(&script, who).code(1).says(&["text of edits", "256 KiB"]);
    }
}

/// A change is kept with what it replaces.
#[test]
fn what_edits_replace_counts_as_well_as_what_they_add() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let config =
        |kib| format!("[policies]\nalways = []\n[limits]\nmax_changes = 500\nedits_kib = {kib}\n");
    place.file("planwright.toml", &config(4096));
    let make = "let p = plan(\"BOS Operations\"); let d = \"\"; d = d.pad(30000, \"x\"); \
                for n in 0..72 { p.create_task(#{ title: `big ${n}`, description: d }); }";
    place.script(make, &[]).code(0);
    // Nothing is added here.
    let clear = "for t in plan(\"BOS Operations\").tasks.filter(|t| t.title.starts_with(\"big\")) { t.description = \"\"; }";
    place.file("planwright.toml", &config(256));
    place.script(clear, &["--dry-run"]).code(1).says(&["text that edits replace", "2048 KiB"]);
    place.file("planwright.toml", &config(512));
    place.script(clear, &["--dry-run"]).code(0);
}

/// What a run has committed and writes again counts as its own text, each time.
#[test]
fn texts_that_are_written_again_after_each_commit_count() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n");
    let script = "let ts = []; for i in 0..4 { ts.push(plan(\"BOS Operations\").create_task(#{ title: `H ${i}`, bucket: \"Inbox\" })); } \
        let big = \"\"; big = big.pad(20000, \"x\"); \
        for k in 0..22 { for t in ts { t.description = big + rand(); } commit(); }";
    let args = ["run", "-", "--state-dir", "state"];
    place.run_with(&args, script, &[]).code(8).says(&["text of edits", "256 KiB"]);
    let state = std::fs::read_dir(place.path().join("state")).unwrap();
    let size: u64 = state.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 6 << 20, "{size} bytes");
}

#[test]
fn a_run_of_a_person_adds_a_few_mib_to_the_journal_and_prints_no_more() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    place.file("planwright.toml", "[policies]\nalways = []\n[limits]\nmax_changes = 500\n");
    let many = |n: usize| {
        let script = "let p = plan(\"BOS Operations\"); let text = \"\"; text = text.pad(2000, \"x\"); \
                      for n in 0..COUNT { p.create_task(#{ title: `t${n}`, description: text }); }";
        script.replace("COUNT", &n.to_string())
    };
    place.script(&many(400), &["--state-dir", "state"]).code(1).says(&["text of edits", "256 KiB"]);
    place.script(&many(110), &["--state-dir", "state"]).code(0);
    let state = std::fs::read_dir(place.path().join("state")).unwrap();
    let size: u64 = state.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(size < 4 << 20, "{size} bytes");
    let line = "let a = \"\"; a = a.pad(200000, \"x\"); print(a)\n";
    let piped = place.run_with(&["repl"], &line.repeat(40), &[]).code(0);
    assert!(piped.stdout.len() < 4 << 20, "{} bytes", piped.stdout.len());
    let _ = piped.says(&["the rest is left out"]);
}

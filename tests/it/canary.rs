//! What must not be found anywhere: tokens, codes, secrets, passphrases and assertions, after every command
//! that there is, as talkative as it gets.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::sign_in::{APP, CLIENT, SECRET, Stage, leak};
use crate::support::{Output, PLAN};

const PASSPHRASE: &str = "passphrase-canary-7";
const ASSERTION: &str = "assertion-canary-7";
const SKILL: &str = "//! Adds a task.\nplan(\"BOS Operations\").create_task(#{ title: \"Seven\", bucket: \"Inbox\" });\n";
const TASK: &str = "Book the room for the customer day";

/// Every command, with arguments that take it past its first lines; after `=` all of its words. What it
/// says of them does not matter, as long as it says nothing that it must not.
const COMMANDS: &[(&str, &str)] = &[
    ("doctor", ""),
    ("auth login", "--profile work"),
    ("auth list", ""),
    ("auth use", "work"),
    ("auth status", ""),
    ("run", "seven"),
    ("submit", "seven --key k"),
    ("inbox list", ""),
    ("inbox show", "0"),
    ("inbox cancel", "0"),
    ("inbox", ""),
    ("work", "--once"),
    ("repl", ""),
    ("pull", "BOS_Operations --to board.yaml"),
    ("diff", "board.yaml"),
    ("run", "seven --out saved.json"),
    ("apply", "saved.json"),
    ("runs list", ""),
    ("runs show", "last"),
    ("runs", ""),
    ("pending list", ""),
    ("pending show", "last"),
    ("pending", ""),
    ("approve", "last"),
    ("reject", "last --reason no"),
    ("resume", ""),
    ("undo", "last"),
    ("redo", "last"),
    ("plan list", ""),
    ("plan get", "BOS_Operations"),
    ("plan details", "BOS_Operations"),
    ("plan create", "Canary --group BOS_Operations --dry-run"),
    ("plan update", "BOS_Operations --title BOS --dry-run"),
    ("plan label", "BOS_Operations 3 Canary --dry-run"),
    ("plan share", "BOS_Operations mei --dry-run"),
    ("plan archive", "BOS_Operations --beta --reason x --dry-run"),
    ("plan unarchive", "BOS_Operations --beta --reason x --dry-run"),
    ("plan add-member", "BOS_Operations mei --beta --dry-run"),
    ("plan copy", "BOS_Operations --title Copy --dry-run"),
    ("plan export", "BOS_Operations --to board.json"),
    ("plan import", "board.json --plan BOS_Operations --dry-run"),
    ("plan delete", "BOS_Operations --force --dry-run"),
    ("bucket list", "--plan BOS_Operations"),
    ("bucket get", "Inbox --plan BOS_Operations"),
    ("bucket create", "Canary --plan BOS_Operations"),
    ("bucket update", "Canary --name Bird --plan BOS_Operations"),
    ("bucket move", "Bird --plan BOS_Operations --before Inbox"),
    ("bucket delete", "Bird --plan BOS_Operations --force"),
    ("task list", ""),
    ("task get", "TASK"),
    ("task create", "Canary --plan BOS_Operations"),
    ("task update", "Canary --title Bird"),
    ("task assign", "Bird rook"),
    ("task move", "Bird Inbox"),
    ("task repeat", "Bird daily --beta"),
    ("task label", "Bird Urgent"),
    ("task checklist add", "=task checklist Bird add x"),
    ("task checklist check", "=task checklist Bird check x"),
    ("task checklist uncheck", "=task checklist Bird uncheck x"),
    ("task checklist remove", "=task checklist Bird remove x"),
    ("task reference add", "=task reference Bird add https://example.org"),
    ("task reference remove", "=task reference Bird remove https://example.org"),
    ("task complete", "Bird"),
    ("task reopen", "Bird"),
    ("task comment", "Bird Canary --beta"),
    ("task comments", "Bird --beta"),
    ("task open", "Bird"),
    ("task delete", "Bird --force"),
    ("user list", ""),
    ("user get", "rook"),
    ("group list", ""),
    ("group get", "BOS"),
    ("group members", "BOS"),
    ("delta", "--beta"),
    ("skill list", ""),
    ("skill show", "seven"),
    ("skill new", "eight"),
    ("skill check", ""),
    ("skill export", "seven --out exported"),
    ("policy list", ""),
    ("policy show", "agent_rules"),
    ("policy new", "nine"),
    ("policy check", ""),
    ("policy explain", "last"),
    ("test", "eight"),
    ("api", "task"),
    ("audit show", ""),
    ("audit verify", ""),
    ("audit export", ""),
    ("init", "elsewhere"),
    ("explain", "not_signed_in"),
    ("schedule list", ""),
    ("schedule next", ""),
    ("schedule pause", "daily"),
    ("schedule resume", "daily"),
    ("schedule run", "daily"),
    ("skill propose", "ten scripts/skills/seven.rhai --reason why --as rook"),
    ("serve token create", "--name ana --role viewer"),
    ("serve token list", ""),
    ("state backup", "state.zip"),
    ("state restore", "state.zip"),
    ("state prune", "--older-than 90d --dry-run"),
    ("serve token revoke", "--name ana"),
    ("agent list", ""),
    ("agent show", "rook"),
    ("agent pause", "rook"),
    ("agent resume", "rook"),
    ("config show", "--origin"),
    ("config trust", ""),
    ("mcp", "--as rook"),
    // It serves until it is ended, and knows no sign-in but its own.
    ("emulator", "--help"),
    ("man", "--out pages"),
    ("completions", "bash"),
    ("auth logout", "--profile app"),
];

/// Returns what of a secret is in a text.
fn found(text: &[u8]) -> Option<&'static str> {
    let has = |part: &&str| text.windows(part.len()).any(|window| window == part.as_bytes());
    leak(text).or_else(|| [PASSPHRASE, ASSERTION].iter().find(|part| has(part)).copied())
}

fn check(output: Output, args: &[&str]) -> Output {
    for text in [&output.stdout, &output.stderr] {
        assert_eq!(found(text.as_bytes()), None, "{args:?}: {text}");
    }
    // Wrong usage would end it before anything is asked.
    assert!(![2, 70].contains(&output.code), "{args:?}: {}", output.stderr);
    output
}

/// Returns a stage with three sign-ins, each of which has secrets of its own, and a folder for what they
/// come from.
fn stage() -> (Stage, tempfile::TempDir, Vec<(&'static str, String)>) {
    let stage = Stage::new();
    let given = tempfile::TempDir::new().unwrap();
    let claims = json!({ "aud": "api://AzureADTokenExchange", "exp": 4_102_444_800_i64 });
    let assertion = format!("e30.{}.{ASSERTION}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let file = given.path().join("assertion");
    std::fs::write(&file, assertion).unwrap();
    let env = vec![
        ("PLANWRIGHT_PASSPHRASE", PASSPHRASE.to_owned()),
        ("PLANWRIGHT_CLIENT_SECRET", SECRET.to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", file.display().to_string()),
    ];
    let origin = stage.origin();
    let to = ["--authority", &origin, "--graph-url", &stage.planner.url, "--tenant", "bos.example"];
    for (name, client, way) in
        [("work", CLIENT, &["--device"][..]), ("app", APP, &[]), ("job", APP, &["--workload"])]
    {
        let args = ["-vvv", "auth", "login", "--profile", name, "--client-id", client];
        let args = [&args[..], &to, way].concat();
        check(run(&stage, &args, "", &env), &args).code(0);
    }
    stage
        .place
        .file("planwright.toml", "[policies]\nalways = []\n[agents.rook]\nprofile = \"job\"\n[schedules.daily]\nskill = \"seven\"\ncron = \"0 9 * * *\"\n");
    stage.place.file("scripts/skills/seven.rhai", SKILL);
    (stage, given, env)
}

fn run(stage: &Stage, args: &[&str], stdin: &str, env: &[(&'static str, String)]) -> Output {
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    stage.place.run_with(args, stdin, &env)
}

#[test]
fn no_command_lets_a_secret_out() {
    let (stage, _given, env) = stage();
    let pages = check(run(&stage, &["man", "--out", "pages", "--json"], "", &env), &["man"]);
    let known: BTreeSet<String> = COMMANDS
        .iter()
        .map(|(name, _)| format!("planwright-{}.1", name.replace(' ', "-")))
        .collect();
    let pages = pages.json();
    let pages: Vec<&str> =
        pages["files"].as_array().unwrap().iter().map(|page| page.as_str().unwrap()).collect();
    let is_group = |page: &str| {
        let begin = page.trim_end_matches(".1").to_owned() + "-";
        pages.iter().any(|other| other.starts_with(&begin))
    };
    let missing: Vec<&&str> =
        pages.iter().filter(|page| !known.contains(**page) && !is_group(page)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
    for (name, more) in COMMANDS {
        let words = words(name, more);
        let args: Vec<&str> =
            ["-vvv"].into_iter().chain(words.iter().map(String::as_str)).collect();
        let stdin = if *name == "repl" { "print(me().upn);\n" } else { "" };
        check(run(&stage, &args, stdin, &env), &args);
    }
    // As an agent with a sign-in of its own, and with JSON in the place of text.
    for args in
        [&["-vvv", "run", "seven", "--as", "rook", "--json"][..], &["auth", "status", "--json"]]
    {
        check(run(&stage, args, "", &env), args).code(0);
    }
    let mut files = Vec::new();
    collect(stage.place.path(), &mut files);
    assert!(files.iter().any(|file| file.extension().is_some_and(|end| end == "sealed")));
    assert!(files.iter().any(|file| file.ends_with("journal.db")), "{files:?}");
    for file in files {
        assert_eq!(found(&std::fs::read(&file).unwrap()), None, "{}", file.display());
    }
}

/// Returns the words of a row of the table.
fn words(name: &str, more: &str) -> Vec<String> {
    // A word between those of its name comes with them.
    let whole = more.strip_prefix('=').map(str::to_owned);
    let whole = whole.unwrap_or_else(|| format!("{name} {more}"));
    let words = whole.split_whitespace();
    words
        .map(|word| match word {
            "TASK" => TASK.to_owned(),
            "agent_rules" | "not_signed_in" => word.to_owned(),
            _ => word.replace('_', " "),
        })
        .collect()
}

/// An application has no "me": whatever needs none works, and what does says so, in words of ours.
#[test]
fn an_application_goes_through_every_command() {
    let (stage, _given, env) = stage();
    check(run(&stage, &["auth", "use", "app"], "", &env), &["auth", "use"]).code(0);
    stage.place.file(
        "planwright.toml",
        "[policies]\nalways = []\n[agents.app]\n[agents.rook]\nprofile = \"job\"\n[schedules.daily]\nskill = \"seven\"\ncron = \"0 9 * * *\"\n",
    );
    let (mut needs_me, mut n) = (Vec::new(), 0);
    let others = ["auth login", "auth use", "auth logout"];
    for (name, more) in COMMANDS.iter().filter(|(name, _)| !others.contains(name)) {
        let words = words(name, more);
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = check(run(&stage, &args, "", &env), &args);
        for raw in ["delegated", "/me", "Bad Request"] {
            assert!(!output.stderr.contains(raw), "{args:?}: {}", output.stderr);
        }
        n += 1;
        if output.stderr.contains("needs a user, and an application is signed in") {
            needs_me.push(*name);
        }
    }
    assert_eq!(needs_me, ["task comment", "task comments"]);
    assert!(n > 90, "{n}");
    let made = stage.planner.task("Seven");
    assert_eq!(made["createdBy"]["application"]["id"], APP, "{made}");
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

/// The process of a script has neither arguments nor an environment from which it could learn anything, and
/// nothing is in the arguments of the program itself or in an address that it asks.
#[test]
fn the_process_of_a_script_is_told_no_secret() {
    let (stage, _given, env) = stage();
    let program = Arc::new(AtomicU32::new(0));
    let seen = Arc::new(Mutex::new((0, Vec::new())));
    let (of, to) = (Arc::clone(&program), Arc::clone(&seen));
    stage.planner.on_request(move |_, exchange| {
        let id = of.load(Ordering::SeqCst);
        let read =
            |id: u32, name: &str| std::fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
        let mut seen = to.lock().unwrap();
        seen.1.push(exchange.path.clone().into_bytes());
        seen.1.push(read(id, "cmdline"));
        let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let children: String = threads
            .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
            .collect();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            seen.0 += 1;
            seen.1.push(read(child, "cmdline"));
            seen.1.push(read(child, "environ"));
        }
    });
    let mut command = stage.place.command(&["run", "-", "--profile", "work"]);
    command.envs(env).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    program.store(child.id(), Ordering::SeqCst);
    let script = format!(
        "let n = 0; for task in plan(\"{PLAN}\").tasks {{ n += task.description.len(); }} n"
    );
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let seen = seen.lock().unwrap();
    assert!(seen.0 > 0, "no process of a script was seen");
    for text in &seen.1 {
        assert_eq!(found(text), None, "{}", String::from_utf8_lossy(text));
    }
}

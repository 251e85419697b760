//! The delay from a save until it is in force, against the floor: a watcher that only reads the
//! file.
//!
//! Both are measured save by save in one process, with as many threads busy as runs would be.
//! `cargo bench --bench reload`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use planwright::script::Watcher;
use planwright::script::reload::Options;

const SAVES: usize = 300;
const SKILLS: usize = 20;

fn main() {
    planwright::script::worker::set_program(env!("CARGO_BIN_EXE_planwright").into());
    println!("{SAVES} saves in a workspace of {SKILLS} skills, milliseconds until in force:");
    for (name, n_busy) in [("nothing else goes on", 0), ("8 threads compute", 8)] {
        let busy = AtomicBool::new(true);
        std::thread::scope(|scope| {
            for _ in 0..n_busy {
                scope.spawn(|| {
                    while busy.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            measure(name);
            busy.store(false, Ordering::Relaxed);
        });
    }
}

fn skill(at: usize, n: usize) -> String {
    let body = "let sum = 0;\nfor at in 0..10 { sum += at; }\n".repeat(20);
    format!("import \"dates\" as dates;\n{body}[{at}, {n}, dates::number()]\n")
}

fn measure(name: &str) {
    let dir = tempfile::tempdir().unwrap();
    // The temporary folder may be a link, and events carry the real path.
    let root = dir.path().canonicalize().unwrap();
    let skills = root.join("scripts/skills");
    fs::create_dir_all(&skills).unwrap();
    fs::create_dir_all(root.join("scripts/lib")).unwrap();
    fs::write(root.join("planwright.toml"), "").unwrap();
    let library = root.join("scripts/lib/dates.rhai");
    fs::write(&library, "fn number() { 0 }\n").unwrap();
    for at in 0..SKILLS {
        fs::write(skills.join(format!("s{at}.rhai")), skill(at, 0)).unwrap();
    }
    let watcher = Watcher::start(&root, Options::default()).unwrap();
    let (tell, events) = channel();
    watcher.subscribe(move |_| tell.send(Instant::now()).unwrap());
    let in_force = |save: &mut dyn FnMut()| {
        save();
        let saved = Instant::now();
        let at = events.recv_timeout(Duration::from_secs(60)).unwrap();
        at.saturating_duration_since(saved)
    };
    println!("{name}:");
    let file = skills.join("s0.rhai");
    let mut n = 0;
    let mut times = |save: fn(&Path, &str), file: &Path, of: fn(usize) -> String| {
        let mut all: Vec<Duration> = (0..SAVES)
            .map(|_| {
                n += 1;
                in_force(&mut || save(file, &of(n)))
            })
            .collect();
        all.sort();
        all
    };
    let of_writes = times(in_place, &file, |n| skill(0, n));
    let of_renames = times(by_rename, &file, |n| skill(0, n));
    let of_library = times(by_rename, &library, |n| format!("fn number() {{ {n} }}\n"));
    drop(watcher);
    let floor = floor(&file);
    show("floor", &floor, &floor);
    show("a skill, in place", &of_writes, &floor);
    show("a skill, by rename", &of_renames, &floor);
    show("a library that all skills import", &of_library, &floor);
}

fn in_place(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
}

fn by_rename(file: &Path, text: &str) {
    let beside = file.with_extension("tmp");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, file).unwrap();
}

/// Measures the time until a bare watcher has read the file.
fn floor(file: &Path) -> Vec<Duration> {
    let (tell, events): (_, Receiver<Instant>) = channel();
    let read = file.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: Result<Event, _>| {
        let is_whole = matches!(
            event.unwrap().kind,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
                | EventKind::Modify(ModifyKind::Name(RenameMode::To))
        );
        if is_whole && !fs::read(&read).unwrap().is_empty() {
            tell.send(Instant::now()).unwrap();
        }
    })
    .unwrap();
    watcher.watch(file.parent().unwrap(), RecursiveMode::NonRecursive).unwrap();
    let mut all: Vec<Duration> = (0..SAVES)
        .map(|n| {
            in_place(file, &skill(0, n));
            let saved = Instant::now();
            events.recv_timeout(Duration::from_secs(60)).unwrap().saturating_duration_since(saved)
        })
        .collect();
    all.sort();
    all
}

fn show(name: &str, times: &[Duration], floor: &[Duration]) {
    let at = |of: &[Duration], percent: usize| of[(of.len() - 1) * percent / 100].as_secs_f64();
    let ms = |percent| at(times, percent) * 1e3;
    println!(
        "  {name:<34} p50 {:6.2}  p99 {:6.2}  ({:.0} ms over the floor at p99)",
        ms(50),
        ms(99),
        (at(times, 99) - at(floor, 99)) * 1e3
    );
}

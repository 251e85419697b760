//! What the documents claim: their scripts run, their commands print what they show.

use std::path::Path;
use std::sync::Arc;

use planwright::emulator::{Emulator, Options, Storage};
use planwright::host::SystemClock;

use crate::support::{Place, Planner};

const DOCUMENTS: [&str; 15] = [
    "README.md",
    "docs/guides/tenant.md",
    "docs/guides/agents.md",
    "docs/guides/board-file.md",
    "docs/guides/workspace.md",
    "docs/guides/import.md",
    "docs/guides/skills.md",
    "docs/guides/policies.md",
    "docs/guides/repl.md",
    "docs/guides/testing.md",
    "docs/reference/api.md",
    "docs/guides/skills-shipped.md",
    "docs/guides/emulator.md",
    "docs/reference/commands.md",
    "docs/reference/protocol.md",
];

fn read(document: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap()
}

/// The fenced blocks of a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut inside: Option<String> = None;
    for line in read(document).lines() {
        match inside.take() {
            None if line == fence => inside = Some(String::new()),
            None => {}
            Some(block) if line == "```" => found.push(block),
            Some(mut block) => {
                block.push_str(line);
                block.push('\n');
                inside = Some(block);
            }
        }
    }
    found
}

#[test]
fn the_lines_in_the_documents_run() {
    let place = Place::embedded();
    let all: Vec<_> = DOCUMENTS.iter().flat_map(|it| blocks(it, "repl")).collect();
    assert!(!all.is_empty());
    for lines in all {
        let output = place.run_with(&["repl"], &lines, &[]).code(0);
        assert!(!output.stdout.is_empty(), "{lines}");
    }
}

#[test]
fn the_scripts_in_the_documents_run() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let mut n_scripts = 0;
    for document in DOCUMENTS {
        for script in blocks(document, "rhai") {
            n_scripts += 1;
            if script.contains("fn review") {
                place.file("planwright.toml", "[policies]\nalways = [\"documented\"]\n");
                place.file("scripts/policies/documented.rhai", &script);
                place
                    .run(&[
                        "task",
                        "update",
                        "Negotiate the parcel rates",
                        "--priority",
                        "low",
                        "-n",
                    ])
                    .code(0);
                std::fs::remove_file(place.path().join("planwright.toml")).unwrap();
            } else {
                place.script(&script, &["--dry-run"]).code(0);
            }
        }
    }
    assert_eq!(n_scripts, 5);
}

#[test]
fn the_commands_in_the_readme_print_what_it_shows() {
    let place = Place::embedded();
    let mut n_commands = 0;
    for block in blocks("README.md", "console") {
        let mut lines = block.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(command) = line.strip_prefix("$ planwright ") else { continue };
            let mut shown = Vec::new();
            while let Some(line) = lines.next_if(|it| !it.starts_with('$')) {
                shown.push(line);
            }
            if shown.is_empty() {
                continue;
            }
            n_commands += 1;
            let output = place.run(&words(command).iter().map(String::as_str).collect::<Vec<_>>());
            for line in shown {
                let mut printed = output.stderr.lines().chain(output.stdout.lines());
                assert!(printed.any(|it| it == line), "{command}: no\n{line}\nin\n{output:?}");
            }
        }
    }
    assert_eq!(n_commands, 2);
}

#[test]
fn the_guide_to_what_is_shipped_tells_of_all_of_it() {
    let guide = "docs/guides/skills-shipped.md";
    let place = Place::embedded();
    let mut n_commands = 0;
    for block in blocks(guide, "console") {
        let command = block.trim_end().strip_prefix("$ planwright ").unwrap();
        place.run(&words(command).iter().map(String::as_str).collect::<Vec<_>>()).code(0);
        n_commands += 1;
    }
    let text = read(guide);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    for folder in ["skills", "policies"] {
        for entry in std::fs::read_dir(scripts.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(text.contains(&format!("**{name}**")), "nothing of {name}");
        }
    }
    assert_eq!(n_commands, 8);
}

/// Splits a command line as a shell would, as far as the documents need it.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for ch in line.chars() {
        match ch {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().unwrap().push(ch),
        }
    }
    words
}

#[test]
fn the_shown_run_of_the_readme_is_the_real_one() {
    let place = Place::embedded();
    let real = place.run(&["run", "morning_triage"]).code(0);
    let shown = blocks("README.md", "text").remove(0);
    for line in shown.lines().filter(|it| *it != "…") {
        let is_there = real.stderr.lines().chain(real.stdout.lines()).any(|it| it == line);
        assert!(is_there, "no\n{line}\nin\n{}", real.stderr);
    }
}

#[test]
fn the_seeds_in_the_guide_can_be_planted() {
    for language in ["yaml", "json"] {
        let options = Options::new(Storage::Memory, Arc::new(SystemClock));
        let emulator = Emulator::open(options).unwrap();
        emulator.seed(&blocks("docs/guides/emulator.md", language)[0]).unwrap();
        assert!(!emulator.is_empty().unwrap());
    }
}

#[test]
fn the_board_files_in_the_guide_can_be_carried_out() {
    let planner = Planner::demo();
    let place = Place::against(&planner);
    let files = blocks("docs/guides/board-file.md", "yaml");
    assert_eq!(files.len(), 1);
    for file in files {
        place.file("board.yaml", &file);
        let run = ["run", "--from", "board.yaml", "--json"];
        assert_eq!(
            place.run(&["diff", "board.yaml", "--json"]).code(0).json()["status"],
            "previewed"
        );
        assert_eq!(place.run(&run).code(0).json()["status"], "applied");
        assert_eq!(place.run(&run).code(0).json()["status"], "no_changes");
    }
}

/// The cells of every row of a document's tables, without the heads.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<String> =
            line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        if cells[0].starts_with("---") {
            rows.pop();
        } else {
            rows.push(cells);
        }
    }
    rows
}

/// The texts between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn all_sources(dir: &Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_sources(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_table_of_the_protocol_names_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut tests, mut client) = (String::new(), String::new());
    all_sources(&root.join("tests/it"), &mut tests);
    all_sources(&root.join("src/wire"), &mut client);
    all_sources(&root.join("src"), &mut tests);
    let rows = rows("docs/reference/protocol.md");
    assert!(rows.len() > 80, "{}", rows.len());
    let mut endpoints = std::collections::BTreeSet::new();
    for row in &rows {
        let [endpoint, used, emulator, tested] = row.as_slice() else { panic!("{row:?}") };
        assert!(endpoints.insert(endpoint), "{endpoint} is there twice");
        for name in quoted(used) {
            assert!(client.contains(&format!("fn {name}(")), "{endpoint}: no request `{name}`");
        }
        for name in quoted(tested) {
            assert!(tests.contains(&format!("fn {name}()")), "{endpoint}: no test `{name}`");
        }
        // What works is tested, and so is every deliberate refusal.
        let is_absent = emulator.starts_with("no");
        assert!(is_absent || quoted(tested).count() > 0, "{endpoint} has no test");
        assert!(emulator == "yes" || is_absent || emulator.starts_with("refused"), "{endpoint}");
    }
}

/// Returns the anchor of a heading.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.map(|it| if it == ' ' { '-' } else { it }).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in DOCUMENTS.iter().chain(&[
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/guides/conflicts.md",
        "docs/guides/every-monday.md",
    ]) {
        let folder = root.join(document).parent().unwrap().to_owned();
        for link in read(document).split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            if target.starts_with("http") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { root.join(document) } else { folder.join(path) };
            assert!(path.exists(), "{document}: {target}");
            let found = anchor.is_empty() || {
                let text = std::fs::read_to_string(&path).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                headings.map(slug).any(|it| it == anchor)
            };
            assert!(found, "{document}: {target}");
        }
    }
}

#[test]
fn the_configuration_in_the_guide_is_understood() {
    let place = Place::embedded();
    let guides = ["docs/guides/workspace.md", "docs/guides/import.md"];
    for toml in guides.iter().flat_map(|it| blocks(it, "toml")) {
        place.file("planwright.toml", &toml);
        place.run(&["skill", "list"]).code(0);
    }
}

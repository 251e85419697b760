//! What the documents claim: their scripts run, their commands print what they show.

use std::path::Path;

use crate::support::{Place, Planner};

const DOCUMENTS: [&str; 4] = [
    "README.md",
    "docs/guides/workspace.md",
    "docs/guides/emulator.md",
    "docs/reference/commands.md",
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
    assert_eq!(n_scripts, 3);
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

/// Splits a command line as a shell would, as far as the documents need it.
fn words(line: &str) -> Vec<String> {
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
fn links_between_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in DOCUMENTS.iter().chain(&["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"])
    {
        let folder = root.join(document).parent().unwrap().to_owned();
        for link in read(document).split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            if !target.starts_with("http") {
                assert!(folder.join(target).exists(), "{document}: {target}");
            }
        }
    }
}

#[test]
fn the_configuration_in_the_guide_is_understood() {
    let place = Place::embedded();
    for toml in blocks("docs/guides/workspace.md", "toml") {
        place.file("planwright.toml", &toml);
        place.run(&["skill", "list"]).code(0);
    }
}

//! Rules about the source tree, checked as ordinary tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer -> the layers it may name. Anything absent is forbidden.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("change", &["model"]),
    ("policy", &["model", "change"]),
    ("wire", &["model", "change"]),
    ("files", &[]),
    ("journal", &["model", "change", "files"]),
    ("coordinate", &["model", "change", "journal"]),
    ("graph", &["model", "change", "wire"]),
    ("auth", &["model", "files", "graph"]),
    ("host", &["model", "change", "policy", "wire", "graph", "journal", "coordinate"]),
    ("emulator", &["model", "wire"]),
    ("script", &["model", "change", "policy", "host", "files"]),
    (
        "app",
        &[
            "model",
            "change",
            "policy",
            "graph",
            "auth",
            "host",
            "journal",
            "coordinate",
            "emulator",
            "script",
            "files",
        ],
    ),
    (
        "cli",
        &[
            "model",
            "change",
            "policy",
            "graph",
            "auth",
            "host",
            "journal",
            "coordinate",
            "emulator",
            "script",
            "files",
            "app",
        ],
    ),
    (
        "mcp",
        &[
            "model",
            "change",
            "policy",
            "graph",
            "auth",
            "host",
            "journal",
            "coordinate",
            "emulator",
            "script",
            "files",
            "app",
        ],
    ),
    (
        "serve",
        &[
            "model",
            "change",
            "policy",
            "graph",
            "auth",
            "host",
            "journal",
            "coordinate",
            "emulator",
            "script",
            "files",
            "app",
        ],
    ),
    // Whole runs against the emulator in virtual time; only in tests.
    ("tests", &["model", "change", "policy", "graph", "host", "journal", "emulator"]),
];
/// Crate -> the only layers that may name it.
const OWNERS: &[(&str, &[&str])] = &[
    ("rcgen", &["emulator"]),
    ("tokio_rustls", &["app", "emulator"]),
    ("reqwest", &["graph", "tests"]),
    ("rusqlite", &["emulator", "journal"]),
    ("croner", &["model"]),
    ("rhai", &["script"]),
    ("icu_casemap", &["model"]),
    ("icu_properties", &["model"]),
    ("unicode_normalization", &["model"]),
    ("unicode_security", &["model"]),
    ("notify", &["script"]),
    ("axum", &["app", "auth", "emulator", "mcp", "serve", "tests"]),
    ("oauth2", &["auth"]),
    ("argon2", &["auth"]),
    ("::keyring", &["auth"]),
    ("aws_lc_rs", &["app", "auth", "emulator"]),
    ("jsonwebtoken", &["auth"]),
    ("rustls_pki_types", &["app", "auth"]),
    ("rmcp", &["mcp"]),
    ("askama", &["serve"]),
    ("hyper", &["app"]),
    ("tokio_io_timeout", &["app"]),
    ("hyper_util", &["app"]),
    ("prometheus_client", &["serve"]),
    ("sd_notify", &["serve"]),
    ("hmac", &["change"]),
    ("flate2", &["emulator"]),
    ("getrandom", &["app"]),
    ("calamine", &["cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("comfy_table", &["cli"]),
    ("terminal_size", &["cli"]),
    ("csv", &["cli"]),
    ("indicatif", &["cli"]),
    ("rust_xlsxwriter", &["cli"]),
    ("rustyline", &["cli"]),
    ("shlex", &["app", "cli"]),
    ("anstream", &["cli"]),
    ("zip", &["app", "cli"]),
    ("directories", &["app"]),
    ("tokio", &["graph", "auth", "host", "emulator", "app", "cli", "mcp", "serve", "tests"]),
];
/// Layers that are pure: what they may not name, whatever the crate.
const PURE: &[&str] = &["model", "change", "policy", "wire"];
/// Signs of I/O, clocks, environment and concurrency, none of which the pure layers know.
const IMPURE: &[&str] = &[
    "async fn",
    ".await",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
];
/// Files that may be longer, each with its reason.
const LONG_FILES: &[(&str, &str)] = &[];
const MAX_LINES: usize = 600;

pub(crate) fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            out.push(path);
        }
    }
}

/// The file without its inline test module.
fn production(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// Names after `crate::`, also inside `use crate::{a::B, c}`.
fn crate_names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for tail in text.split("crate::").skip(1) {
        if let Some(list) = tail.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for ch in list.chars() {
                match ch {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        names.insert(std::mem::take(&mut word));
                        continue;
                    }
                    _ => (),
                }
                if depth == 0 {
                    word.push(ch);
                }
            }
            names.insert(word);
        } else {
            names
                .insert(tail.chars().take_while(|ch| ch.is_alphanumeric() || *ch == '_').collect());
        }
    }
    names
        .into_iter()
        .map(|name| name.trim().split("::").next().unwrap_or_default().trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn source_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut faults = Vec::new();
    for path in files {
        let rel = path.strip_prefix(&root).unwrap().display().to_string().replace('\\', "/");
        let text = fs::read_to_string(&path).unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if stem == "tests" {
            continue;
        }
        let code = production(&text);
        let excused = LONG_FILES.iter().any(|(file, _reason)| *file == rel);
        if code.lines().count() > MAX_LINES && !excused {
            faults.push(format!("{rel}: over {MAX_LINES} lines without its tests"));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{rel}: starts without a `//!` comment"));
        }
        if ["mod", "util", "utils", "helpers", "common", "misc", "types"].contains(&stem) {
            faults.push(format!("{rel}: the file name says nothing"));
        }
        let top = rel.split(['/', '.']).next().unwrap();
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == top) else { continue };
        let uncommented: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|l| format!("{l}\n"))
            .collect();
        if PURE.contains(&top) {
            for sign in IMPURE {
                if uncommented.contains(sign) {
                    faults.push(format!("{rel}: `{sign}` in a pure layer"));
                }
            }
        }
        for (krate, layers) in OWNERS {
            if is_named(&uncommented, krate) && !layers.contains(&top) {
                faults.push(format!("{rel}: `{krate}` belongs to {layers:?}"));
            }
        }
        if uncommented.contains("super::") {
            faults.push(format!("{rel}: write `crate::`, not `super::`"));
        }
        for name in crate_names(&uncommented) {
            let known = LAYERS.iter().any(|(layer, _)| *layer == name);
            if known && name != top && !allowed.contains(&name.as_str()) {
                faults.push(format!("{rel}: `{top}` may not use `crate::{name}`"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Returns whether a text names a crate, and not one whose name only ends like it.
fn is_named(text: &str, krate: &str) -> bool {
    let path = format!("{krate}::");
    text.match_indices(&path).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

#[test]
fn layers_are_listed_bottom_up() {
    for (at, (layer, allowed)) in LAYERS.iter().enumerate() {
        for lower in *allowed {
            let found = LAYERS[..at].iter().any(|(name, _)| name == lower);
            assert!(found, "`{layer}` uses `{lower}`, which is not listed above it");
        }
    }
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for line in lib.lines() {
        let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'))
        else {
            continue;
        };
        assert!(LAYERS.iter().any(|(layer, _)| *layer == name), "`{name}` has no row in LAYERS");
    }
}

#[test]
fn no_test_file_is_forgotten() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = fs::read_to_string(dir.join("main.rs")).unwrap();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_source = path.extension().is_some_and(|ext| ext == "rs");
        assert!(
            !is_source || stem == "main" || main.contains(&format!("mod {stem};")),
            "tests/it/{stem}.rs is not listed in main.rs"
        );
    }
}

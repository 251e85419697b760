# Recipes for developers; `just` lists them.

[private]
default:
    @just --list

# What must hold before a commit.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Every test.
test:
    cargo test

# What the continuous integration runs, and nothing else.
ci:
    bash .ci/run

# Licences, sources and duplicate dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# How many crates a build compiles, and how long each takes.
build-cost:
    cargo tree --prefix none -e no-dev | sed 's/ (\*)//' | sort -u | wc -l
    cargo build --timings

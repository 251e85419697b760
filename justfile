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

# The tests that a date can break, on every day and in every zone of the list.
clocks:
    bash .ci/other-clock all

# What applying costs, as ratios to a floor that is measured beside it.
bench:
    cargo bench --bench apply

# What an agent's work costs: the bytes that a model reads, and the time of a call and of a start.
bench-agents:
    cargo bench --bench agents

# A thousand runs that fifty clients ask `serve` for, beside a floor.
bench-serve:
    cargo bench --bench serve

# A hundred times the contention of the tests, and more of everything else that is random.
soak:
    PLANWRIGHT_TEST_SEEDS=100000 cargo test --release --lib -- tests::whatever_others_do
    PLANWRIGHT_TEST_ROUNDS=100 cargo test --test it -- contention:: --nocapture
    PLANWRIGHT_TEST_KILLS=20000 PLANWRIGHT_TEST_SETS=10000 PLANWRIGHT_TEST_CRASHES=500 PLANWRIGHT_TEST_SHARED_KILLS=2000 PLANWRIGHT_TEST_SCHEDULE_KILLS=200 PLANWRIGHT_TEST_SUBMISSIONS=1000 cargo test --test it -- kills:: undo:: crash:: coordinate:: schedules:: inbox:: --nocapture

# A million generated scripts, argument lists, policies and configurations, and a part of that of
# what needs a board read anew. `PLANWRIGHT_TEST_FUZZ_SEED` is where it begins.
fuzz:
    PLANWRIGHT_TEST_FUZZ=1000000 cargo test --release --test it -- fuzz:: --nocapture

# Forty things that people ask scripts to do, done by scripts that were written blind.
jobs:
    cargo test --test it -- jobs:: --nocapture

# The measures of the source tree: circles, comments, closures.
measures:
    cargo test --test it -- house:: --nocapture

# Licences, sources and duplicate dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources

# How many crates a build compiles, and how long each takes.
build-cost:
    cargo tree --prefix none -e no-dev | sed 's/ (\*)//' | sort -u | wc -l
    cargo build --timings

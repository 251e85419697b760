//! The integration tests: one binary, one module a subject.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

// A Planner to run against, a clean place to run the program in, runs without a process, and
// someone between them who changes what is said.
mod between;
mod driver;
mod support;
#[cfg(target_os = "linux")]
mod terminal;

// The program, end to end: runs, what is refused, what collides, what is typed wrong.
mod accepted;
mod adversary;
mod approvals;
mod attacks;
mod beta;
mod board_file;
#[cfg(target_os = "linux")]
mod canary;
mod commands;
mod comments;
mod commit;
mod compare;
mod conflicts;
mod contention;
mod coordinate;
mod core;
mod crash;
mod decisions;
mod door;
mod eyes;
mod faults;
mod habits;
mod health;
mod held;
mod history;
mod hostile;
mod identities;
mod inbox;
mod lists;
mod logging;
mod mcp;
mod mistakes;
mod model;
mod order;
mod policies;
mod proposals;
mod repl;
mod requests;
mod run;
mod saved;
mod scale;
mod serve;
mod sheets;
mod sign_in;
mod transfer;
mod undo;
mod upkeep;

// What the documents claim.
mod docs;

// Scripts: what they can do, what they can not, the ones we ship, edits while they run,
// and what nobody would write.
mod first_hour;
mod fuzz;
mod jobs;
mod reload;
mod sandbox;
mod schedules;
mod scripts;
mod shipped;

// The embedded Planner, request by request, without a network but for one test.
mod emulator_batch;
mod emulator_beta;
mod emulator_bodies;
mod emulator_clients;
mod emulator_demo;
mod emulator_faults;
mod emulator_lag;
mod emulator_lists;
mod emulator_objects;
mod emulator_robust;
mod emulator_seed;
mod emulator_sign_in;
mod emulator_store;
mod emulator_support;
mod emulator_versions;

// What is kept on disk: whole after a kill, and provably unaltered.
mod journal;
mod kills;

// Every trap of planner-api.md section 12, by its number.
mod tooling;
mod traps;

// The source tree itself: layers, owners, sizes, comments.
mod house;
mod tidy;

//! Planwright: a scriptable, safe automation host for Microsoft Planner.
//!
//! Scripts record edits; the host judges the whole change set by host rules and policies and only
//! then applies it, conditionally, entity by entity. The layers, bottom up, are listed below and
//! explained in `ARCHITECTURE.md`; `tests/it/tidy.rs` keeps them apart.

// Pure: no I/O, no async, no clock, no environment.
pub mod change;
pub mod model;
pub mod policy;
pub mod wire;

// Files, safe against what a name can lead to.
pub mod files;

// Runs on disk: what each was to write, sent and achieved.
pub mod journal;

// What processes share, behind one trait.
pub mod coordinate;

// Talks to Graph; decides nothing about changes.
pub mod graph;

// Who is signed in, and with which tokens.
mod auth;

// A run from end to end.
pub mod host;

// Scripts: the sandbox, the API that they call, policies.
pub mod script;

// Shared by all faces.
mod app;

// Faces.
mod cli;
mod mcp;

// The embedded Planner. Shares `wire` and `model` with the client, and no behaviour.
pub mod emulator;

/// Runs the program with the arguments of the process, name first.
pub fn main(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    cli::main(arguments, app::faces::Faces { mcp: mcp::serve })
}

// Whole runs in virtual time.
#[cfg(test)]
mod tests;

//! Rhai: the sandbox, what scripts can call, policies, workspaces.
//!
//! A script has no authority: it reads the board through a session of the host and records
//! wishes there. Nothing in here sends, and nothing outside names the script language.

// The sandbox.
pub mod budget;
pub mod engine;
mod memory;

// What scripts see.
pub mod api;
pub mod catalog;
mod check;
pub mod console;
mod convert;
pub mod coverage;
pub mod diagnose;

// Where they come from.
pub mod config;
pub mod library;
pub mod lint;
pub mod manifest;
pub mod ownership;
mod scan;
mod shipped;
pub mod workspace;

// What is in force of them, and how that changes.
pub mod bundle;
pub mod reload;

// What runs them.
mod code;
mod compiled;
pub mod policy;
pub mod skill;
pub mod testing;
pub mod worker;

pub use budget::Budget;
pub use bundle::Bundle;
pub use config::Config;
pub use manifest::Manifest;
pub use policy::Policies;
pub use reload::Watcher;
pub use skill::Skill;
pub use workspace::Workspace;

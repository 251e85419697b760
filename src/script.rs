//! Rhai: the sandbox, the script API, policies and workspaces.
//!
//! A script has no authority: it reads the board through a session of the host and records edits
//! there. Nothing in here sends a request, and nothing outside names the script language.

pub mod api;
pub mod budget;
pub mod catalog;
mod code;
pub mod console;
pub mod finding;
pub mod line_order;
pub mod lint;
pub mod policy;
pub mod reload;
mod remote_stage;
pub mod sandbox;
mod serve;
pub mod skill;
pub mod source;
pub mod stage;
pub mod syntax;
pub mod testing;
pub mod worker;
pub mod workspace;

pub use budget::Budget;
pub use policy::Policies;
pub use reload::Watcher;
pub use reload::bundle::Bundle;
pub use serve::serve;
pub use skill::Skill;
pub use workspace::Workspace;
pub use workspace::config::Config;
pub use workspace::manifest::Manifest;

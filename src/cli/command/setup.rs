//! The commands that set the program up and tell how it stands: `init`, `doctor`, `config`, `agent`,
//! `auth`, `explain`, `man`, and the servers that other modules are.

pub(crate) mod agent;
pub(crate) mod auth;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod init;
pub(crate) mod manual;
pub(crate) mod mcp;
pub(crate) mod serve;
pub(crate) mod state;

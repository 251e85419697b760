//! The faces that another face starts: `planwright mcp` is typed at the command line, and no face
//! knows another. Whoever starts the program hands them over as functions.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::app::App;
use crate::app::error::AppError;

/// The way that a client comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// Standard input and output of this process.
    Stdio,
    /// HTTP on an address of this machine.
    Http {
        /// The address.
        addr: SocketAddr,
        /// The file for the token; `None` to announce it.
        token_file: Option<PathBuf>,
    },
}

/// The start of a server for models.
pub(crate) struct McpStart {
    /// The application, with its workspace.
    pub(crate) app: App,
    /// The name of the agent that the connection is.
    pub(crate) agent: String,
    /// The way that its client comes in.
    pub(crate) way: Way,
    /// Prints a line that the caller waits for.
    pub(crate) announce: fn(&str),
}

/// The faces that the command line can start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faces {
    /// Serves models until the client leaves.
    pub(crate) mcp: fn(McpStart) -> Result<(), AppError>,
}

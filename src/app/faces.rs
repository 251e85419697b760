//! The faces that another face starts: `planwright mcp` and `planwright serve` are typed at the command
//! line, and no face knows another. Whoever starts the program hands them over as functions.

pub(crate) mod door;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;

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

/// The files of a TLS certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate with its chain, as PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, as PEM.
    pub(crate) key: PathBuf,
}

/// The start of the server for people and programs.
pub(crate) struct ServeStart {
    /// The application, with its workspace.
    pub(crate) app: App,
    /// The address to listen on.
    pub(crate) addr: SocketAddr,
    /// The certificate, for TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// True if a proxy stands in front of it and does TLS.
    pub(crate) behind_proxy: bool,
    /// The names that it may be called by, besides those of this machine.
    pub(crate) names: Vec<String>,
    /// True if the first line is JSON.
    pub(crate) json: bool,
    /// Prints a line that the caller waits for.
    pub(crate) announce: fn(&str),
    /// The server for models, to be mounted.
    pub(crate) mount: Mount,
}

/// A future that owns what it needs.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Opens a server for models, for one agent, that another server routes requests to.
pub(crate) type Mount = fn(App, String) -> Pending<Result<Mounted, AppError>>;

/// A server for models that is mounted in another.
pub(crate) struct Mounted {
    /// The way in. Whoever routes a request there has made sure that it is the agent's.
    pub(crate) router: axum::Router,
    /// Stops what is under way.
    pub(crate) stop: Box<dyn Fn() -> Pending<()> + Send + Sync>,
}

/// The faces that the command line can start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faces {
    /// Serves models until the client leaves.
    pub(crate) mcp: fn(McpStart) -> Result<(), AppError>,
    /// Opens the server for models inside another.
    pub(crate) mount: Mount,
    /// Serves people and programs until the process is asked to end.
    pub(crate) serve: fn(ServeStart) -> Result<(), AppError>,
}

//! `planwright mcp`: the start of a server for models. What it does there is its own business.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::app::App;
use crate::app::error::AppError;
use crate::app::faces::{Faces, McpStart, Way};
use crate::cli::exit::Exit;
use crate::cli::options::{Global, address};
use crate::cli::ui::{self, Ui};

/// The name of the agent where none is given.
const AGENT: &str = "mcp";

const NOTES: &str = "\
The connection is one agent: `--as`, else PLANWRIGHT_AGENT, else `mcp`. The client cannot choose another.
Without `--http` the client speaks on standard input and output. With it, the first two lines of
stdout are the URL and the header that a client must send, unless `--token-file` takes the token.

Examples:
  planwright mcp --as rook
  planwright mcp --as rook --http 127.0.0.1:0 --token-file rook.token";

/// Serve an AI agent over the Model Context Protocol
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(crate) struct McpArgs {
    /// Serve streamable HTTP on this address of this machine; port 0 takes a free one
    #[arg(long, value_name = "ADDR", value_parser = address)]
    http: Option<SocketAddr>,
    /// File for the bearer token, readable only by you, instead of stdout
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
}

pub(crate) fn run(
    global: &Global,
    ui: &Ui,
    args: &McpArgs,
    faces: Faces,
) -> Result<Exit, AppError> {
    if global.yes {
        return Err(AppError::usage("`--yes` is for people: an agent approves nothing"));
    }
    // Processes for scripts are started once the client has its first answer.
    let app = App::open(global.settings(), 0)?;
    for warning in app.workspace.config.warnings() {
        ui.note(&format!("warning: {warning}"));
    }
    let agents = &app.workspace.config.agents;
    if let (None, Some(first)) = (&global.agent, agents.keys().next())
        && !agents.contains_key(AGENT)
    {
        return Err(AppError::usage("say which agent the client is")
            .hint(format!("`planwright mcp --as {first}`")));
    }
    let way = match args.http {
        Some(addr) => Way::Http { addr, token_file: args.token_file.clone() },
        None => Way::Stdio,
    };
    let agent = global.agent.clone().unwrap_or_else(|| AGENT.to_owned());
    (faces.mcp)(McpStart { app, agent, way, announce: ui::announce })?;
    Ok(Exit::Done)
}

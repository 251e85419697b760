//! A face for models: the Model Context Protocol, on standard input and output or on HTTP.
//!
//! One connection is one agent, chosen when the server starts (design.md 7.1). Each call is a run
//! like any other, under that agent's scope, limits and policies; what is held waits for a person,
//! and nothing here can approve it.

mod answer;
mod board;
mod change_set;
mod desk;
mod elicit;
mod http;
mod propose;
mod report;
mod resources;
mod run;
mod server;
mod stdio;
mod submit;
mod teach;
mod tools;
mod turned_away;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::app::App;
use crate::app::agent::agent_of;
use crate::app::error::AppError;
use crate::app::faces::{McpStart, Mounted, Pending, Way};
use crate::app::workspace::check_time_zone;
use crate::mcp::desk::Desk;

/// The longest wait for what still ends when a client has left.
const LAST: Duration = Duration::from_secs(30);

/// Opens the protocol for an agent inside another server.
pub(crate) fn mount(app: App, agent: String) -> Pending<Result<Mounted, AppError>> {
    Box::pin(async move {
        agent_of(&app.workspace, Some(&agent))?;
        let desk = Arc::new(Desk::open(app, agent, Handle::current())?);
        desk.warm_up();
        let router = http::mounted(&desk);
        let stop = move || -> Pending<()> {
            let desk = Arc::clone(&desk);
            Box::pin(async move { desk.stop_all(LAST).await })
        };
        Ok(Mounted { router, stop: Box::new(stop) })
    })
}

/// Serves an agent until its client leaves, or the program is asked to end.
///
/// # Errors
/// The agent is not configured, no service is chosen, or the address is not one of this machine.
pub(crate) fn serve(start: McpStart) -> Result<(), AppError> {
    let McpStart { app, agent, way, announce } = start;
    // Before anything is connected: what is wrong with the configuration ends it at once.
    agent_of(&app.workspace, Some(&agent))?;
    check_time_zone(&app.workspace)?;
    if let Way::Http { addr, .. } = &way
        && !addr.ip().is_loopback()
    {
        let message = format!("{addr} can be reached from other machines");
        return Err(AppError::usage(message)
            .hint("an agent is served on this machine only: `--http 127.0.0.1:0`"));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let handle = runtime.handle().clone();
    let served = runtime.block_on(async {
        let desk = Arc::new(Desk::open(app, agent, handle)?);
        let served = match way {
            Way::Stdio => stdio::serve(&desk).await,
            Way::Http { addr, token_file } => {
                desk.warm_up();
                http::serve(&desk, addr, token_file.as_deref(), announce).await
            }
        };
        // Whoever asked is gone: nothing more is written, and what is under way is recorded.
        desk.stop_all(LAST).await;
        served
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

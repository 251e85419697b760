//! A face for other programs and for the browser: schedules and triggers that go on, an API, and a page
//! that people look at (design.md 8).
//!
//! Everything that it does goes through `app`, as it does from the command line: what a run may do, who
//! approves, what is kept. Here it is only told apart who asks and how it is shown.

mod access;
mod api;
mod assets;
mod call;
mod desk;
mod follow;
mod metrics;
mod models;
mod news;
mod openapi;
mod page;
mod refusals;
mod routes;
mod running;
mod server;
mod systemd;
mod unpoisoned;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpListener;

use crate::app::App;
use crate::app::engine::{AskedFor, Engine};
use crate::app::error::AppError;
use crate::app::faces::ServeStart;
use crate::app::faces::door::{self, Bounds};
use crate::app::workspace::{log_problems, time_zone};
use crate::host::{Stop, Watch};
use crate::serve::access::{Access, Place};
use crate::serve::desk::Desk;
use crate::serve::models::Models;
use crate::serve::running::Hears;

/// The most connections at once, for people, programs and agents together.
const BOUNDS: Bounds = Bounds::of(256);

/// The time in which everything has ended: what is under way, and what is left of connections.
const LAST: Duration = Duration::from_secs(7);
const LAST_OF_CONNECTIONS: Duration = Duration::from_secs(1);

/// Serves people and programs until the process is asked to end.
///
/// # Errors
/// The address is wrong, or one that others can reach without TLS; or the service, the journal or the
/// workspace cannot be read.
pub(crate) fn serve(start: ServeStart) -> Result<(), AppError> {
    if !start.addr.ip().is_loopback() && start.tls.is_none() && !start.behind_proxy {
        let message = format!("{} can be reached from other machines", start.addr);
        return Err(AppError::usage(message).hint(
            "give a certificate with `--tls-cert` and `--tls-key`, or `--behind-proxy` if a proxy has one",
        ));
    }
    time_zone(&start.app.workspace)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.block_on(run(start));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn run(start: ServeStart) -> Result<(), AppError> {
    let ServeStart { app, addr, tls, behind_proxy, names, json, announce, mount } = start;
    let tls = tls.as_ref().map(door::acceptor).transpose()?;
    // Before it is told to anybody that there is a server.
    let asked = asked_to_end()?;
    let listener = TcpListener::bind(addr).await.map_err(|error| {
        AppError::new("io", format!("cannot listen on {addr}"))
            .caused_by(&error)
            .hint("is another program using the port? `--addr 127.0.0.1:0` takes a free one")
    })?;
    let addr = listener.local_addr()?;
    let place = Place { addr, tls: tls.is_some(), behind_proxy, names };
    let access = Access::new(app.settings.clone(), place.clone());
    let of_engine = App {
        settings: app.settings.clone(),
        workspace: app.workspace.clone(),
        interrupt: Arc::new(Stop::default()),
    };
    let desk = Arc::new(Desk::open(app, access, server::document()).await?);
    let me = desk.work(desk::Work::me).await?;
    let asked_for = AskedFor { asking: Hears::of(&desk), wake: Arc::clone(&desk.running.wake) };
    let engine = Engine::start(Arc::new(of_engine), Watch::default(), Some(asked_for)).await?;
    // Not the desk itself: the watcher keeps its listeners, and belongs to the desk.
    let news = desk.news.clone();
    log_problems(desk.watcher());
    desk.watcher().subscribe(move |reloaded| {
        let problems: Vec<_> = reloaded.problems.iter().map(ToString::to_string).collect();
        news.tell("reload", json!({ "changed": reloaded.changed, "problems": problems }));
    });
    let following = tokio::spawn(follow::follow(Arc::clone(&desk)));
    let models = Arc::new(Models::new(mount));
    let router = server::router(&desk, &models);
    let link = format!("{}/login?code={}", place.url(), desk.access.make_code(me.into())?);
    if json {
        announce(&json!({ "url": place.url(), "sign_in": link }).to_string());
    } else {
        announce(&place.url());
        announce(&link);
    }
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let of_door = (
        async move {
            let _dropped = ended.await;
        },
        LAST_OF_CONNECTIONS,
    );
    let serving = tokio::spawn(door::serve(listener, tls, (router, BOUNDS), of_door));
    systemd::ready();
    let watched = tokio::spawn(systemd::watchdog(Arc::clone(&desk)));
    asked.await;
    systemd::stopping();
    drop(end);
    tokio::join!(desk.end(LAST), models_end(&models), engine.stop(LAST));
    let _in_time = tokio::time::timeout(LAST_OF_CONNECTIONS * 2, serving).await;
    following.abort();
    watched.abort();
    Ok(())
}

/// Ends the servers for models, at most as long as everything else may take.
async fn models_end(models: &Models) {
    let _in_time = tokio::time::timeout(LAST, models.end()).await;
}

/// Returns what waits for Ctrl-C or the signal that asks a service to end.
#[cfg(unix)]
fn asked_to_end() -> Result<impl Future<Output = ()>, AppError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _asked = terminate.recv() => {}
            _asked = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn asked_to_end() -> Result<impl Future<Output = ()>, AppError> {
    Ok(async {
        let _no_handler = tokio::signal::ctrl_c().await;
    })
}

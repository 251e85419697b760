//! What a service manager hears: that the server is ready, that it stops, and that it is well.
//!
//! Where nobody listens (`NOTIFY_SOCKET` is not set), and on other systems, nothing is said.

#[cfg(target_os = "linux")]
use std::sync::Arc;

#[cfg(target_os = "linux")]
use crate::serve::desk::Desk;

/// Says that requests are answered from now on.
#[cfg(target_os = "linux")]
pub(crate) fn ready() {
    say(sd_notify::NotifyState::Ready);
}

/// Says that it is about to end.
#[cfg(target_os = "linux")]
pub(crate) fn stopping() {
    say(sd_notify::NotifyState::Stopping);
}

/// Says that it is well as often as the manager wants to hear it, for as long as it is: a server whose
/// journal does not answer any more is one to start again.
#[cfg(target_os = "linux")]
pub(crate) async fn watchdog(desk: Arc<Desk>) {
    let Some(within) = sd_notify::watchdog_enabled().filter(|within| !within.is_zero()) else {
        return;
    };
    while !desk.is_ending() {
        let journal = Arc::clone(&desk.journal);
        match tokio::task::spawn_blocking(move || journal.last_record()).await {
            Ok(Ok(_)) => say(sd_notify::NotifyState::Watchdog),
            Ok(Err(error)) => tracing::error!(%error, "the journal cannot be read"),
            Err(_) => return,
        }
        tokio::time::sleep(within / 3).await;
    }
}

#[cfg(target_os = "linux")]
fn say(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn ready() {}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stopping() {}

#[cfg(not(target_os = "linux"))]
pub(crate) async fn watchdog(_: std::sync::Arc<crate::serve::desk::Desk>) {}

//! The stream of events, for whoever keeps a page open or a program running.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::app::error::AppError;
use crate::serve::call::Call;
use crate::serve::desk::Desk;

/// The most streams at once.
const MAX_STREAMS: i64 = 64;
/// The interval at which it is looked whether the one who listens still may.
const LOOK: Duration = Duration::from_secs(2);
/// The interval at which something is sent, so that a proxy keeps the stream open.
const ALIVE: Duration = Duration::from_secs(15);

/// Answers `GET events`.
pub(crate) fn stream(desk: &Arc<Desk>, call: &Call) -> Result<Response, AppError> {
    let Some(who) = call.who.clone() else {
        return Err(AppError::new("unauthorized", "sign in first"));
    };
    if desk.metrics.streams.inc() >= MAX_STREAMS {
        desk.metrics.streams.dec();
        return Err(AppError::new("unavailable", "too many streams of events are open"));
    }
    let (tell, told) = mpsc::channel::<Result<Event, Infallible>>(16);
    let (desk, mut heard) = (Arc::clone(desk), desk.news.listen());
    tokio::runtime::Handle::current().spawn(async move {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                event = heard.recv() => {
                    let event = match event {
                        Ok(event) => {
                            Event::default().event(event.kind).data(event.data.to_string())
                        }
                        // Whoever was too slow has missed something, and reads all of it again.
                        Err(RecvError::Lagged(_)) => Event::default().event("board").data("{}"),
                        Err(RecvError::Closed) => break,
                    };
                    if tell.send(Ok(event)).await.is_err() {
                        break;
                    }
                }
                _ = look.tick() => {
                    if desk.is_ending() || tell.is_closed() || !desk.access.still_holds(&who) {
                        break;
                    }
                }
            }
        }
        desk.metrics.streams.dec();
    });
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(ReceiverStream::new(told)).keep_alive(alive).into_response())
}

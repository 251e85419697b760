//! A Planner whose requests and answers are changed on their way.
//!
//! For what the emulator does not do by itself and the real service may: unknown members, other
//! spellings, answers without a body. Everything else goes through the emulator unchanged.

use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response};
use planwright::emulator::{Emulator, Options, Storage};
use planwright::host::SystemClock;
use serde_json::Value;
use tokio::sync::oneshot;

type Asked = dyn Fn(&mut Request<Vec<u8>>) + Send + Sync;
type Answered = dyn Fn(&Method, &str, &mut Response<Vec<u8>>) + Send + Sync;

/// A served Planner with the demo tenant, seen through two functions.
pub(crate) struct Between {
    pub(crate) url: String,
    pub(crate) emulator: Emulator,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

impl Between {
    /// Changes answers; the function is told verb and path.
    pub(crate) fn answering(
        answered: impl Fn(&Method, &str, &mut Response<Vec<u8>>) + Send + Sync + 'static,
    ) -> Self {
        Self::new(|_| (), |_| (), answered)
    }

    /// Changes options, requests and answers.
    pub(crate) fn new(
        options: impl FnOnce(&mut Options),
        asked: impl Fn(&mut Request<Vec<u8>>) + Send + Sync + 'static,
        answered: impl Fn(&Method, &str, &mut Response<Vec<u8>>) + Send + Sync + 'static,
    ) -> Self {
        let mut all = Options::new(Storage::Memory, Arc::new(SystemClock));
        options(&mut all);
        let emulator = Emulator::open(all).unwrap();
        emulator.seed_demo().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/v1.0", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(emulator.clone(), Arc::new(asked), Arc::new(answered));
        let server = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let end = async {
                    let _ = stopped.await;
                };
                axum::serve(listener, router).with_graceful_shutdown(end).await.unwrap();
            });
        });
        Self { url, emulator, stop: Some(stop), server: Some(server) }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(server) = self.server.take() {
            server.join().unwrap();
        }
    }
}

fn router(emulator: Emulator, asked: Arc<Asked>, answered: Arc<Answered>) -> Router {
    Router::new().fallback(move |request: Request<Body>| {
        let (emulator, asked, answered) = (emulator.clone(), asked.clone(), answered.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = to_bytes(body, 1 << 22).await.unwrap().to_vec();
            let mut request = Request::from_parts(parts, body);
            // What is edited on its way must be readable.
            request.headers_mut().remove("accept-encoding");
            asked(&mut request);
            let method = request.method().clone();
            let path = request.uri().path().to_owned();
            let mut answer = emulator.dispatch(request);
            answered(&method, &path, &mut answer);
            answer.headers_mut().remove("content-length");
            answer.map(Body::from)
        }
    })
}

/// Changes the body of an answer, if it has one.
pub(crate) fn edit_body(answer: &mut Response<Vec<u8>>, edit: impl FnOnce(&mut Value)) {
    if let Ok(mut body) = serde_json::from_slice::<Value>(answer.body()) {
        edit(&mut body);
        *answer.body_mut() = body.to_string().into_bytes();
    }
}

/// Changes every object in a value, from the outermost inward.
pub(crate) fn each_object(value: &mut Value, edit: &dyn Fn(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(members) => {
            edit(members);
            for member in members.values_mut() {
                each_object(member, edit);
            }
        }
        Value::Array(items) => {
            for item in items {
                each_object(item, edit);
            }
        }
        _ => (),
    }
}

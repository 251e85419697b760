//! Counts and times, for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The content type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter by labels. All values come from fixed lists, so that no client can make up series.
type Counted = Family<Vec<(&'static str, String)>, Counter>;

/// The figures of a server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Counted,
    runs: Counted,
    seconds: Histogram,
    /// Streams of events that are open.
    pub(crate) streams: Gauge,
    /// Runs that were accepted and are not over.
    pub(crate) runs_open: Gauge,
    /// Sets that wait for a person.
    pub(crate) pending: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("planwright");
        let (requests, runs) = (Counted::default(), Counted::default());
        let seconds = Histogram::new(exponential_buckets(0.001, 2.5, 12));
        let (streams, runs_open, pending) = (Gauge::default(), Gauge::default(), Gauge::default());
        let r = &mut registry;
        r.register("http_requests", "Requests that were answered", requests.clone());
        r.register("http_request_seconds", "Time to answer a request", seconds.clone());
        r.register("runs", "Runs that have ended, by status", runs.clone());
        r.register("runs_open", "Runs that were accepted and are not over", runs_open.clone());
        r.register("event_streams", "Streams of events that are open", streams.clone());
        r.register("pending_sets", "Sets that wait for a person", pending.clone());
        Self { registry, requests, runs, seconds, streams, runs_open, pending }
    }

    /// Counts a request that was answered: `path` is that of the route, not what was asked for.
    pub(crate) fn count(&self, (method, path): (&str, &str), status: u16, took: Duration) {
        let labels = vec![
            ("method", method.to_owned()),
            ("path", path.to_owned()),
            ("status", status.to_string()),
        ];
        self.requests.get_or_create(&labels).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a run that has ended.
    pub(crate) fn count_run(&self, status: &str) {
        self.runs.get_or_create(&vec![("status", status.to_owned())]).inc();
    }

    /// Returns all figures as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory does not fail.
        let _infallible = encode(&mut text, &self.registry);
        text
    }
}

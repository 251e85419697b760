//! Spans of runs, requests and answers for a collector of OpenTelemetry, over OTLP (HTTP, protobuf).
//!
//! The variables of the specification configure it: without `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, nothing is sent.

use std::env;
use std::ffi::OsString;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The most time that a collector gets for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// An exporter of spans. Dropped, it sends those it still has.
#[derive(Debug)]
pub(crate) struct Exporter(SdkTracerProvider);

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl Exporter {
    /// Makes one, if the environment names a collector.
    ///
    /// # Errors
    /// The environment holds an invalid address, or no client can be made.
    pub(crate) fn of_environment() -> Result<Option<Self>, ExporterBuildError> {
        if !is_wanted() {
            return Ok(None);
        }
        let client = crate::graph::transport::for_collector(PATIENCE)
            .map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?;
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build()?;
        let mut resource = Resource::builder();
        if !is_set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name("planwright");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Some(Self(provider)))
    }

    /// Makes the layer that hands it the spans of the program.
    pub(crate) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("planwright"))
            .with_location(false)
            .with_threads(false)
    }
}

fn is_wanted() -> bool {
    ENDPOINTS.into_iter().any(is_set) && !variable("OTEL_SDK_DISABLED").eq_ignore_ascii_case("true")
}

fn is_set(name: &str) -> bool {
    !variable(name).is_empty()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the exporter itself reads the rest of the specification's"
)]
fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_default()
}

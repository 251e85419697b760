//! Logging to stderr, and spans to a collector of OpenTelemetry where that is built in.

#[cfg(feature = "otlp")]
mod telemetry;

use std::io::{self, IsTerminal as _};

use anstream::ColorChoice;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::options::{Global, LogFormat};

/// Logging for as long as the program runs. Dropped, it sends the spans that are left.
#[derive(Debug)]
#[must_use]
pub(crate) struct Logging {
    #[cfg(feature = "otlp")]
    _exporter: Option<telemetry::Exporter>,
}

impl Logging {
    /// Starts to log: errors, with `-v` more, with `-vv` every request.
    pub(crate) fn start(global: &Global) -> Self {
        let level = match global.verbose {
            0 => LevelFilter::ERROR,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let lines = lines(global).with_filter(own(level));
        let registry = tracing_subscriber::registry().with(lines);
        #[cfg(feature = "otlp")]
        {
            let (exporter, mistake) = match telemetry::Exporter::of_environment() {
                Ok(exporter) => (exporter, None),
                Err(error) => (None, Some(error)),
            };
            let spans = exporter.as_ref().map(telemetry::Exporter::layer);
            let spans = spans.map(|layer| layer.with_filter(own(LevelFilter::INFO)));
            let _set_before = registry.with(spans).try_init();
            if let Some(error) = mistake {
                tracing::error!(%error, "no spans are sent");
            }
            Self { _exporter: exporter }
        }
        #[cfg(not(feature = "otlp"))]
        {
            let _set_before = registry.try_init();
            Self {}
        }
    }
}

/// Lets through what the program itself has to say: libraries log what may be secret.
fn own(level: LevelFilter) -> Targets {
    Targets::new().with_target("planwright", level)
}

fn lines<S>(global: &Global) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let ansi = match global.color.choice() {
        ColorChoice::Never => false,
        ColorChoice::Always | ColorChoice::AlwaysAnsi => true,
        ColorChoice::Auto => io::stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        // A closed stderr leaves nobody to tell.
        .log_internal_errors(false);
    match global.log_format {
        // Whoever keeps lines adds the time: a terminal's reader, or the journal of the system.
        LogFormat::Text => layer.without_time().boxed(),
        LogFormat::Json => layer.json().with_current_span(false).flatten_event(true).boxed(),
    }
}

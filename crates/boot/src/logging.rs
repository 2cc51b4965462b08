//! Logs and traces: one structured line an event on standard error, and spans to a collector when one is configured.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::Directive, fmt, layer::SubscriberExt as _};

use crate::sections::{LogFormat, Logging};

/// What is logged unless `RUST_LOG` says otherwise.
pub const DEFAULT_FILTER: &str = "info,sqlx=warn";

/// The job library writes a failed job's whole payload there; our own hook logs the failure instead. No filter can
/// switch it on.
const SILENCED: &str = "graphile_worker::runner::release=off";

/// Logs and traces could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("the log filter is malformed")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter of traces could not be made.
    #[error("traces cannot be exported to the configured endpoint")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Something else in the process logs already.
    #[error("logging was started twice")]
    Twice(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Running telemetry. Keep it until the end and [`Telemetry::shutdown`] it, or the last spans are lost.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logs, and traces under the name `service` when there is somewhere to send them.
    ///
    /// # Errors
    /// [`TelemetryError`]; nothing is logged then.
    pub fn start(logging: &Logging, service: &'static str) -> Result<Self, TelemetryError> {
        let traces = logging
            .otlp_endpoint
            .as_ref()
            .map(|endpoint| exporter(endpoint.as_str(), service))
            .transpose()?;
        let spans = traces.as_ref().map(|provider| {
            opentelemetry::global::set_tracer_provider(provider.clone());
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
            tracing_opentelemetry::layer().with_tracer(provider.tracer(service))
        });
        let subscriber =
            Registry::default().with(filter(&logging.filter)?).with(lines(logging.format)).with(spans);
        tracing::subscriber::set_global_default(subscriber)?;
        Ok(Self { traces })
    }

    /// Sends what is left and stops. The last step of a shutdown.
    pub async fn shutdown(self) {
        let Some(traces) = self.traces else { return };
        // The SDK waits for its own thread; that must not hold one of the runtime's.
        let stopped = tokio::task::spawn_blocking(move || traces.shutdown()).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

fn filter(directives: &str) -> Result<EnvFilter, TelemetryError> {
    let silenced: Directive = SILENCED.parse()?;
    Ok(EnvFilter::try_new(directives)?.add_directive(silenced))
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(std::io::stderr);
    match format {
        // All spans and not only the innermost: the request's id is on the outermost.
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(false).with_span_list(true).boxed()
        }
        LogFormat::Pretty => layer.with_target(false).compact().boxed(),
    }
}

fn exporter(endpoint: &str, service: &'static str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_line_with_the_payload_stays_off_whatever_the_filter_says() {
        for wish in
            [DEFAULT_FILTER, "trace", "graphile_worker=trace", "graphile_worker::runner::release=trace"]
        {
            let filter = filter(wish).unwrap().to_string();
            assert!(filter.contains(SILENCED), "{wish} became {filter}");
        }
    }
}

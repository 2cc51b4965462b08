//! The recorder behind `/metrics`.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use voxanne_credentials::Vault;

/// Upper bounds in seconds: finest where a tool call's latency is felt, wide enough for a provider that hangs.
const SECONDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Starts recording. The handle renders `/metrics`; a task empties the histograms' buffers, without which they grow.
///
/// # Errors
/// When something else in the process records already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Notes how `vault` is doing; to be called before the figures are rendered.
pub fn record_vault(vault: &Vault) {
    let stats = vault.cache_stats();
    for (result, count) in [("hit", stats.hits), ("negative", stats.negatives), ("miss", stats.misses)] {
        metrics::counter!("voxanne_credential_cache_total", "result" => result).absolute(count);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; a cache holds far fewer than 2^53 entries"
    )]
    metrics::gauge!("voxanne_credential_cache_entries").set(stats.size as f64);
    metrics::gauge!("voxanne_credential_cache_hears_of_changes").set(f64::from(vault.hears_of_changes()));
    metrics::counter!("voxanne_credential_unreadable_total").absolute(vault.resolver().unreadable());
}

//! Daily: compares what Twilio and Vapi hold with the records, and says what does not agree. It touches nothing; an
//! operator decides, with `voxctl numbers reconcile --release`.

use async_trait::async_trait;
use voxanne_telephony::numbers::{ReconcileError, ReconcileNumbers, Side};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

#[async_trait]
impl PlatformJob for ReconcileNumbers {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let Some(managed) = &work.managed_numbers else {
            tracing::info!("there are no managed numbers to compare: the platform has no account at Twilio");
            return Ok(());
        };
        let report = managed.reconcile.run(false).await.map_err(|error| {
            let chain = &error as &dyn std::error::Error;
            tracing::warn!(error = chain, "numbers could not be compared");
            match error {
                ReconcileError::Store(error) => JobError::from(error),
                error => JobError::Dependency(error.to_string()),
            }
        })?;
        for finding in &report.findings {
            let stray = &finding.stray;
            tracing::warn!(
                side = stray.side().as_str(),
                kind = stray.kind(),
                id = stray.id(),
                number = stray.number().map(voxanne_kernel::E164::masked),
                org_id = finding.org.map(|org| org.to_string()),
                "a stray"
            );
        }
        for side in Side::ALL {
            let strays = u32::try_from(report.on(side)).unwrap_or(u32::MAX);
            metrics::gauge!("voxanne_stray_numbers", "side" => side.as_str()).set(f64::from(strays));
        }
        let [twilio, vapi, database] = report.compared;
        tracing::info!(twilio, vapi, database, strays = report.findings.len(), "numbers were compared");
        Ok(())
    }
}

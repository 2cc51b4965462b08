//! Assembles what is done with calls behind the scenes: recordings fetched and erased, calls found that were placed.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use voxanne_boot::WorkerSettings;
use voxanne_calls::{
    call_back::{LineBook, LineRule, SettleCallBack},
    recordings::{AudioFiles, EraseRecordings, FetchRecording},
    sharing::RevealLink,
};
use voxanne_kernel::Clock;
use voxanne_postgres::PgStore;
use voxanne_storage::{Files, SealedLinks};
use voxanne_vapi::{Vapi, VapiClient, VapiRecordings};

/// How often lines are counted.
const EVERY: Duration = Duration::from_secs(5);

/// The use cases.
pub struct CallActions {
    /// Fetches recordings.
    pub fetch: FetchRecording,
    /// Erases them.
    pub erase: EraseRecordings,
    /// Finds out what became of calls that were placed.
    pub settle: SettleCallBack,
    lines: LineRule,
    book: Arc<dyn LineBook>,
}

impl CallActions {
    /// Assembles them.
    ///
    /// # Errors
    /// When the storage cannot be used as it is named, or no client can be built.
    pub fn wire(
        store: &Arc<PgStore>,
        settings: &WorkerSettings,
        (client, vapi): (&VapiClient, &Arc<Vapi>),
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let files: Arc<dyn AudioFiles> = Arc::new(match &settings.storage {
            Some(storage) => Files::at(&storage.url, storage.options())?,
            None => Files::none(),
        });
        let recordings = VapiRecordings::new(client.clone(), &settings.vapi.recording_hosts)?;
        Ok(Self {
            fetch: FetchRecording::new(store.clone(), Arc::new(recordings), files.clone(), clock.clone()),
            erase: EraseRecordings::new(store.clone(), files),
            settle: SettleCallBack::new(store.clone(), vapi.clone(), clock.clone()),
            lines: LineRule { concurrency: settings.vapi.concurrency },
            book: store.clone(),
        })
    }

    /// Counts what the voice provider's lines are used for, again and again.
    pub async fn count_lines(&self, stopping: CancellationToken) {
        while !stopping.is_cancelled() {
            match self.book.figures().await {
                Ok(figures) => {
                    let uses = [
                        ("inbound", figures.inbound),
                        ("outbound", figures.outbound),
                        ("waiting", figures.waiting),
                        ("reserved", LineRule::RESERVE),
                        ("limit", self.lines.concurrency),
                    ];
                    for (name, lines) in uses {
                        metrics::gauge!("voxanne_vapi_lines", "use" => name).set(f64::from(lines));
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the lines could not be counted"
                    );
                }
            }
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// What puts links into the e-mails that they are sent in.
pub fn reveal_link(store: &Arc<PgStore>, settings: &WorkerSettings) -> RevealLink {
    let links = SealedLinks::new(settings.encryption.keys.clone());
    RevealLink::new(store.clone(), Arc::new(links), &settings.backend.url)
}

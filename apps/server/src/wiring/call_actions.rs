//! What is done with calls, on PostgreSQL, the storage for files, and Vapi.

use std::sync::Arc;

use voxanne_calls::{
    ExportTranscript, FollowUp,
    call_back::{CallBack, LineBook, LineRule},
    recordings::{AudioFiles, Listen},
    sharing::ShareRecording,
};
use voxanne_postgres::{PgStore, PostOffice};
use voxanne_storage::{Files, SealedLinks};
use voxanne_vapi::{Limits, Vapi, VapiClient, VapiSettings};

use super::Base;

/// The area's use cases.
pub struct CallActions {
    /// Gives links to recordings, and takes them back.
    pub share: ShareRecording,
    /// Gives recordings out.
    pub listen: Listen,
    /// Writes transcripts as files.
    pub export: ExportTranscript,
    /// Follows calls up.
    pub follow_up: FollowUp,
    /// Calls contacts back.
    pub call_back: CallBack,
    /// How lines are shared.
    pub lines: LineRule,
    /// What lines are used for.
    pub line_book: Arc<dyn LineBook>,
}

impl CallActions {
    /// Assembles them; `office` records what is sent.
    ///
    /// # Errors
    /// When the storage cannot be used as it is named, or no client can be built.
    pub fn wire(base: &Base, office: Arc<dyn PostOffice>) -> anyhow::Result<Self> {
        let (settings, clock) = (&base.settings, &base.clock);
        let store: Arc<PgStore> = Arc::new(base.store.with_post_office(office));
        let files: Arc<dyn AudioFiles> = Arc::new(match &settings.storage {
            Some(storage) => Files::at(&storage.url, storage.options())?,
            None => Files::none(),
        });
        let links = Arc::new(SealedLinks::new(settings.encryption.keys.clone()));
        let reach = VapiSettings::new(settings.vapi.base_url.clone(), settings.vapi.private_key.clone());
        let client = VapiClient::new(reach.within(Limits::interactive()))?;
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let vapi = Arc::new(Vapi::new(client, webhook, clock.clone()));
        let lines = LineRule { concurrency: settings.vapi.concurrency };
        Ok(Self {
            share: ShareRecording::new(store.clone(), store.clone(), links, clock.clone()),
            listen: Listen::new(store.clone(), store.clone(), files, clock.clone()),
            export: ExportTranscript::new(store.clone()),
            follow_up: FollowUp::new(store.clone()),
            call_back: CallBack::new(store.clone(), store.clone(), vapi, lines, clock.clone()),
            lines,
            line_book: store,
        })
    }
}

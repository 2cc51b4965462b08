//! Recordings, links, calls that are placed, and what is sent, in memory.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use voxanne_kernel::{
    Begin, E164, OrgScope, StoreError,
    ids::{CallId, ContactId, MessageId, OrgId, RecordingId, RecordingShareId},
};

use super::{MemoryCalls, MemoryTx};
use crate::{
    call_back::{CallBackBegin, CallBackRecord, CallBackTx, CallBacks, OutboundLine, Placing, Standing},
    event::{CallEvent, ProviderCallId},
    export::{ExportTx, Transcript, Transcripts},
    follow_up::{Counterpart, Counterparts, FollowUpTx},
    post::{Letter, NotSent, Post, TextMessage},
    recordings::{
        AudioFiles, AudioKey, AudioStream, EraseTx, FileError, FindSharedRecording, Forget, Interrupted,
        KeepError, KeptAudio, Recording, RecordingSource, RecordingState, Recordings, RecordingsTx,
        SharedRecording, folder_of,
    },
    sharing::{LinkDigest, RevealTx, Share, ShareTx, Shares, SharesTx},
};

/// Something that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// An e-mail.
    Letter(Letter),
    /// A text message.
    Text(TextMessage),
}

/// What actions leave behind, and what decides about them.
#[derive(Debug, Clone)]
pub struct Actions {
    /// Where the organization wants to be told.
    pub alert_phone: Option<E164>,
    /// Recordings.
    pub recordings: Vec<Recording>,
    /// Links, with their digests and sealed secrets.
    pub shares: Vec<(Share, LinkDigest, Vec<u8>)>,
    /// What was sent.
    pub sent: Vec<(MessageId, Sent)>,
    /// Numbers that opted out.
    pub opted_out: Vec<E164>,
    /// Whether the organization may place calls.
    pub standing: Standing,
    /// What it places them with.
    pub line: OutboundLine,
    /// Calls that are placed.
    pub call_backs: Vec<CallBackRecord>,
}

impl Default for Actions {
    fn default() -> Self {
        Self {
            alert_phone: None,
            recordings: Vec::new(),
            shares: Vec::new(),
            sent: Vec::new(),
            opted_out: Vec::new(),
            standing: Standing::Active,
            line: OutboundLine { assistant: Some("assistant".to_owned()), number: Some("number".to_owned()) },
            call_backs: Vec::new(),
        }
    }
}

impl Actions {
    pub(super) fn adopt(&mut self, event: &CallEvent) {
        let waits = self.call_backs.iter_mut().find(|record| {
            record.placing == Placing::Asked
                && (event.ours == Some(record.call) || event.phone.as_ref() == Some(&record.phone))
        });
        if let Some(record) = waits {
            record.placing = Placing::Placed(event.call.clone());
        }
    }
}

macro_rules! begins {
    ($($unit:path),+) => {$(
        #[async_trait]
        impl Begin<dyn $unit> for MemoryCalls {
            async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn $unit>, StoreError> {
                Ok(Box::new(self.open(scope)))
            }
        }
    )+};
}
begins!(CallBackTx, EraseTx, ExportTx, FollowUpTx, RecordingsTx, RevealTx, ShareTx, SharesTx);

#[async_trait]
impl Recordings for MemoryTx {
    async fn expect_recording(
        &mut self,
        id: RecordingId,
        call: CallId,
        sources: &[RecordingSource],
    ) -> Result<bool, StoreError> {
        let known = self.rows.actions.recordings.iter().any(|recording| recording.call == call);
        if !known {
            let found = self.rows.calls.iter().find(|known| known.id == call);
            let provider_call = found.map_or_else(
                || ProviderCallId::new("unknown").unwrap_or_else(|| unreachable!("a plain word")),
                |call| call.provider_id.clone(),
            );
            let (sources, state) = (sources.to_vec(), RecordingState::Pending);
            let recording = Recording { id, call, provider_call, sources, state, attempts: 0 };
            self.rows.actions.recordings.push(recording);
        }
        Ok(!known)
    }

    async fn recording(&mut self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
        Ok(self.rows.actions.recordings.iter().find(|recording| recording.id == id).cloned())
    }

    async fn begin_recording(&mut self, id: RecordingId) -> Result<(), StoreError> {
        for recording in self.rows.actions.recordings.iter_mut().filter(|recording| recording.id == id) {
            recording.state = RecordingState::Processing;
            recording.attempts += 1;
        }
        Ok(())
    }

    async fn settle_recording(
        &mut self,
        id: RecordingId,
        state: &RecordingState,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        for recording in self.rows.actions.recordings.iter_mut().filter(|recording| recording.id == id) {
            recording.state = state.clone();
            recording.sources.clear();
        }
        Ok(())
    }

    async fn audio_of(
        &mut self,
        call: CallId,
    ) -> Result<Option<Option<(RecordingId, KeptAudio)>>, StoreError> {
        if !self.rows.calls.iter().any(|known| known.id == call) {
            return Ok(None);
        }
        let completed = |recording: &Recording| match recording.state {
            RecordingState::Completed(kept) => Some((recording.id, kept)),
            _ => None,
        };
        let mut own = self.rows.actions.recordings.iter().filter(|recording| recording.call == call);
        Ok(Some(own.find_map(completed)))
    }

    async fn forget_recordings(&mut self, which: Forget, limit: u16) -> Result<Vec<RecordingId>, StoreError> {
        let hit = |recording: &Recording| match which {
            Forget::Of(call) => recording.call == call,
            Forget::Before(_) | Forget::All => true,
        };
        let all = &self.rows.actions.recordings;
        let gone: Vec<_> =
            all.iter().filter(|r| hit(r)).take(usize::from(limit)).map(|recording| recording.id).collect();
        self.rows.actions.recordings.retain(|recording| !gone.contains(&recording.id));
        self.rows.actions.shares.retain(|(share, ..)| !gone.contains(&share.recording));
        Ok(gone)
    }
}

#[async_trait]
impl Shares for MemoryTx {
    async fn add_share(
        &mut self,
        share: &Share,
        digest: &LinkDigest,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        self.rows.actions.shares.push((share.clone(), *digest, sealed.to_vec()));
        Ok(())
    }

    async fn shares_of(&mut self, call: CallId) -> Result<Option<Vec<Share>>, StoreError> {
        let own = self.rows.actions.shares.iter().rev().filter(|(share, ..)| share.call == call);
        let own = own.map(|(share, ..)| share.clone()).collect();
        Ok(self.rows.calls.iter().any(|known| known.id == call).then_some(own))
    }

    async fn revoke_share(
        &mut self,
        call: CallId,
        share: RecordingShareId,
        at: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let found = self.rows.actions.shares.iter_mut().map(|(share, ..)| share);
        let found = found.filter(|known| known.id == share && known.call == call).last();
        Ok(found.map(|share| share.revoked_at.replace(at).is_none()))
    }

    async fn sealed_link(
        &mut self,
        share: RecordingShareId,
        message: MessageId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let own = self.rows.actions.shares.iter().find(|(s, ..)| s.id == share && s.message == message);
        Ok(own.map(|(_, _, sealed)| sealed.clone()))
    }
}

#[async_trait]
impl Post for MemoryTx {
    async fn letter(&mut self, letter: Letter) -> Result<MessageId, NotSent> {
        let id = MessageId::generate();
        self.rows.actions.sent.push((id, Sent::Letter(letter)));
        Ok(id)
    }

    async fn text(&mut self, text: TextMessage) -> Result<MessageId, NotSent> {
        if self.rows.actions.opted_out.contains(&text.to) {
            return Err(NotSent::OptedOut);
        }
        let id = MessageId::generate();
        self.rows.actions.sent.push((id, Sent::Text(text)));
        Ok(id)
    }
}

#[async_trait]
impl Transcripts for MemoryTx {
    async fn transcript(&mut self, call: CallId) -> Result<Option<Transcript>, StoreError> {
        let reported = self.rows.calls.iter().find(|known| known.id == call).and_then(|call| call.reported());
        let turns = reported.map(|reported| reported.report.transcript.clone()).unwrap_or_default();
        Ok((!turns.is_empty()).then_some(Transcript { turns }))
    }
}

#[async_trait]
impl Counterparts for MemoryTx {
    async fn counterpart(&mut self, call: CallId) -> Result<Option<Counterpart>, StoreError> {
        let found = self.rows.calls.iter().find(|known| known.id == call);
        Ok(found.map(|call| Counterpart { phone: call.phone.clone(), contact: call.contact }))
    }
}

#[async_trait]
impl CallBacks for MemoryTx {
    async fn standing(&mut self) -> Result<Standing, StoreError> {
        Ok(self.rows.actions.standing)
    }

    async fn outbound_line(&mut self) -> Result<OutboundLine, StoreError> {
        Ok(self.rows.actions.line.clone())
    }

    async fn has_opted_out(&mut self, phone: &E164) -> Result<bool, StoreError> {
        Ok(self.rows.actions.opted_out.contains(phone))
    }

    async fn latest_call_back(
        &mut self,
        contact: ContactId,
        since: Timestamp,
    ) -> Result<Option<CallBackRecord>, StoreError> {
        let own = self.rows.actions.call_backs.iter().rev().find(|record| record.contact == contact);
        Ok(own.filter(|record| record.requested_at > since).cloned())
    }

    async fn add_call_back(&mut self, record: &CallBackRecord) -> Result<(), StoreError> {
        self.rows.actions.call_backs.push(record.clone());
        Ok(())
    }

    async fn call_back(&mut self, call: CallId) -> Result<Option<CallBackRecord>, StoreError> {
        Ok(self.rows.actions.call_backs.iter().find(|record| record.call == call).cloned())
    }

    async fn note_placed(&mut self, call: CallId, provider: &ProviderCallId) -> Result<(), StoreError> {
        for record in self.rows.actions.call_backs.iter_mut().filter(|record| record.call == call) {
            record.placing = Placing::Placed(provider.clone());
        }
        Ok(())
    }

    async fn note_not_placed(&mut self, call: CallId, _: &str, _: Timestamp) -> Result<(), StoreError> {
        for record in self.rows.actions.call_backs.iter_mut().filter(|record| record.call == call) {
            record.placing = Placing::NotPlaced;
        }
        Ok(())
    }
}

#[async_trait]
impl CallBackBegin for MemoryCalls {
    async fn wait_for(
        &self,
        scope: &OrgScope,
        call: CallId,
        _: Duration,
    ) -> Result<Option<CallBackRecord>, StoreError> {
        Ok(self.rows(scope.org()).actions.call_backs.into_iter().find(|record| record.call == call))
    }
}

#[async_trait]
impl FindSharedRecording for MemoryCalls {
    async fn shared_recording(&self, digest: &LinkDigest) -> Result<Option<SharedRecording>, StoreError> {
        let all = self.lock();
        let found = all.iter().find_map(|(org, rows)| {
            let (share, ..) = rows.actions.shares.iter().find(|(_, known, _)| known == digest)?;
            let recording = rows.actions.recordings.iter().find(|known| known.id == share.recording);
            let audio = recording.and_then(|recording| match recording.state {
                RecordingState::Completed(kept) => Some(kept),
                _ => None,
            });
            Some(SharedRecording {
                key: AudioKey { org: *org, recording: share.recording },
                audio,
                expires_at: share.expires_at,
                is_revoked: share.revoked_at.is_some(),
            })
        });
        Ok(found)
    }
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl MemoryFiles {
    /// What lies under `key`.
    pub fn at(&self, key: &AudioKey) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key.to_string()).cloned()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

struct Once(Option<Bytes>);

#[async_trait]
impl AudioStream for Once {
    async fn next(&mut self) -> Result<Option<Bytes>, Interrupted> {
        Ok(self.0.take())
    }
}

#[async_trait]
impl AudioFiles for MemoryFiles {
    async fn keep(&self, key: &AudioKey, audio: &mut dyn AudioStream) -> Result<u64, KeepError> {
        let mut kept = Vec::new();
        while let Some(bytes) = audio.next().await? {
            kept.extend_from_slice(&bytes);
        }
        let length = u64::try_from(kept.len()).unwrap_or(u64::MAX);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_string(), kept);
        Ok(length)
    }

    async fn read(
        &self,
        key: &AudioKey,
        part: Range<u64>,
    ) -> Result<Option<Box<dyn AudioStream>>, FileError> {
        let part = usize::try_from(part.start).unwrap_or(0)..usize::try_from(part.end).unwrap_or(0);
        let found = self.at(key).and_then(|kept| kept.get(part).map(Bytes::copy_from_slice));
        Ok(found.map(|bytes| Box::new(Once(Some(bytes))) as Box<dyn AudioStream>))
    }

    async fn delete(&self, key: &AudioKey) -> Result<(), FileError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key.to_string());
        Ok(())
    }

    async fn delete_all(&self, org: OrgId) -> Result<u64, FileError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|key, _| !key.starts_with(&folder_of(org)));
        Ok(u64::try_from(before - all.len()).unwrap_or(0))
    }
}

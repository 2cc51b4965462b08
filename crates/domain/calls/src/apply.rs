//! Working a stored event into its call, the contact and the lead, in one unit of work.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    ActivityKind, Begin, Clock, Job, NewActivity, NewJob, OrgScope, StoreError,
    ids::{CallId, ContactId, RecordingId, WebhookEventId},
};

use crate::{
    assessment::Outcome,
    call::{Call, Changes, Direction, Status},
    contact::{Contact, ContactName},
    ending::EndStatus,
    event::{CallEvent, Happened},
    lead::{Intent, LeadScore, LeadStatus},
    ports::{ApplyTx, Appraisal, Appraiser, PhoneTaken, Talk},
    post::{NotSent, TextMessage, TextPurpose},
    recordings::FetchRecordingJob,
    report::{Redacted, Report, Speaker},
};

/// The job that applies an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyCallEventJob {
    /// Which event.
    pub event_id: WebhookEventId,
}

impl Job for ApplyCallEventJob {
    const TASK: &'static str = "apply_call_event";
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was applied now.
    Now(CallId),
    /// It had been applied before; nothing was changed.
    Before,
}

/// An event could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// There is no such event; it may have been deleted by retention. Trying again will not help.
    #[error("no such event")]
    UnknownEvent,
    /// The store failed; trying again may help, and does no harm.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies stored events, each exactly once, in whatever order they are given.
#[derive(Clone)]
pub struct ApplyCallEvent {
    store: Arc<dyn Begin<dyn ApplyTx>>,
    appraiser: Arc<dyn Appraiser>,
    clock: Arc<dyn Clock>,
}

impl ApplyCallEvent {
    /// Works on `store`, with values from `appraiser`.
    pub fn new(
        store: Arc<dyn Begin<dyn ApplyTx>>,
        appraiser: Arc<dyn Appraiser>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, appraiser, clock }
    }

    /// Applies one event.
    ///
    /// # Errors
    /// See [`ApplyError`].
    pub async fn run(&self, scope: &OrgScope, id: WebhookEventId) -> Result<Applied, ApplyError> {
        let Some((event, worth)) = self.prepare(scope, id).await? else { return Ok(Applied::Before) };
        let mut tx = self.store.begin(scope).await?;
        // Between preparing and now another worker may have been here.
        if tx.lock(id).await?.is_none_or(|stored| stored.processed) {
            return Ok(Applied::Before);
        }
        // The contact before the call: a booking in this very call locks them in this order.
        let caller = self.caller(&mut *tx, &event).await?;
        if event.direction == Direction::Outbound {
            tx.adopt(&event).await?;
        }
        let first = Call::first_heard_of(CallId::generate(), &event);
        let (mut call, is_new) = tx.lock_or_create(&first).await?;
        call.booked |= tx.made_an_appointment(&call.provider_id).await?;
        let changes = call.merge(&event, &worth);
        let contact = match (call.contact, caller) {
            (Some(known), Some(caller)) if known == caller.id => Some(caller),
            (Some(known), _) => tx.find(known).await?,
            (None, caller) => caller,
        };
        call.contact = contact.as_ref().map(|c| c.id);
        tx.save(&call).await?;
        if let Happened::Reported { report } = &event.what {
            expect_recording(&mut *tx, call.id, report).await?;
        }
        if changes.reported {
            alert(&mut *tx, scope, &call, contact.as_ref()).await?;
        }
        if let Some(contact) = contact {
            self.update_lead(&mut *tx, contact, &call, &worth).await?;
        }
        tell(&mut *tx, &call, is_new, changes).await?;
        tx.mark_processed(id).await?;
        tx.commit().await?;
        Ok(Applied::Now(call.id))
    }

    /// Reads the event and has it valued before the unit of work begins, so that this one never waits for a second
    /// connection while it holds the first. `None` when the event has been applied.
    async fn prepare(
        &self,
        scope: &OrgScope,
        id: WebhookEventId,
    ) -> Result<Option<(CallEvent, Appraisal)>, ApplyError> {
        let mut tx = self.store.begin(scope).await?;
        let stored = tx.lock(id).await?.ok_or(ApplyError::UnknownEvent)?;
        if stored.processed {
            return Ok(None);
        }
        let booked = tx.made_an_appointment(&stored.event.call).await?;
        drop(tx);
        let worth = match &stored.event.what {
            Happened::Reported { report } => self.worth(scope, report, booked).await?,
            _ => Appraisal::default(),
        };
        Ok(Some((stored.event, worth)))
    }

    async fn worth(&self, scope: &OrgScope, report: &Report, booked: bool) -> Result<Appraisal, StoreError> {
        let said_by =
            |speaker| report.transcript.iter().filter(move |t| t.speaker == speaker).map(|t| t.text.as_str());
        let analysis = report.services.iter().chain(&report.summary).map(Redacted::as_str);
        let wanted: Vec<_> = said_by(Speaker::Caller).chain(analysis).collect();
        let offered: Vec<_> = said_by(Speaker::Assistant).collect();
        self.appraiser.appraise(scope, &Talk { wanted: &wanted, offered: &offered, booked }).await
    }

    /// The contact with the event's number, added if need be.
    async fn caller(&self, tx: &mut dyn ApplyTx, event: &CallEvent) -> Result<Option<Contact>, StoreError> {
        let Some(phone) = event.phone.clone() else { return Ok(None) };
        let mut unknown = Contact::unknown(ContactId::generate(), phone, self.clock.now());
        unknown.name = event.name.as_deref().and_then(|name| ContactName::new(name).ok());
        let (contact, is_new) = tx.find_or_create(&unknown).await?;
        if is_new {
            let summary = "New contact from a call".to_owned();
            let kind = ActivityKind::ContactCreated;
            tx.note(NewActivity { kind, summary, call: None, appointment: None, contact: Some(contact.id) })
                .await?;
        }
        Ok(Some(contact))
    }

    /// Moves the lead on when the call is over. Everything is derived from stored calls rather than added to what was
    /// there, so that it does not matter how often or in which order this happens.
    async fn update_lead(
        &self,
        tx: &mut dyn ApplyTx,
        mut contact: Contact,
        call: &Call,
        worth: &Appraisal,
    ) -> Result<(), StoreError> {
        let Some(ending) = call.ending() else { return Ok(()) };
        let before = contact.clone();
        let reached = ending.status == EndStatus::Completed;
        let outcome = call.reported().map(|r| r.report.assessment.outcome);
        contact.lead_status =
            contact.lead_status.after_call(call.booked, outcome == Some(Outcome::Refused), reached);
        if reached {
            contact.last_contacted_at = contact.last_contacted_at.max(Some(ending.at));
        }
        contact.interests.add(worth.names.iter().map(String::as_str));
        if let Some(mut signals) = tx.latest_signals(contact.id).await? {
            if contact.lead_status == LeadStatus::Booked {
                signals.intent = Intent::Booked;
            }
            contact.score = signals.score();
        }
        if contact == before {
            return Ok(());
        }
        match tx.update(&contact).await {
            // The number is not touched here.
            Ok(()) | Err(PhoneTaken::Taken) => Ok(()),
            Err(PhoneTaken::Store(error)) => Err(error),
        }
    }
}

/// Has the recording fetched, if there is one and nobody does that yet.
async fn expect_recording(tx: &mut dyn ApplyTx, call: CallId, report: &Report) -> Result<(), StoreError> {
    if !report.has_recording {
        return Ok(());
    }
    let recording_id = RecordingId::generate();
    if tx.expect_recording(recording_id, call, &report.recording_sources).await? {
        tx.enqueue(NewJob::of(&FetchRecordingJob { recording_id })).await?;
    }
    Ok(())
}

/// Tells the organization of a hot lead, once for a call, where it wants to be told. Whatever keeps the message from
/// being sent keeps nothing else from happening.
async fn alert(
    tx: &mut dyn ApplyTx,
    scope: &OrgScope,
    call: &Call,
    contact: Option<&Contact>,
) -> Result<(), StoreError> {
    let Some(score) = call.lead_score().filter(|score| score.get() >= LeadScore::HOT) else { return Ok(()) };
    let Some(to) = tx.alert_phone().await? else { return Ok(()) };
    let number = call.phone.as_ref().map_or("an unknown number", |phone| phone.as_str());
    let body =
        format!("Hot lead, score {}: {number} just spoke with your assistant. Call soon.", score.get());
    let (purpose, contact) = (TextPurpose::HotLead, contact.map(|contact| contact.id));
    match tx.text(TextMessage { to, body, purpose, call: call.id, contact }).await {
        Ok(_) => Ok(()),
        Err(NotSent::Store(error)) => Err(error),
        Err(why) => {
            tracing::info!(org_id = %scope.org(), call_id = %call.id, %why, "nobody is told of a hot lead");
            Ok(())
        }
    }
}

/// Adds what others want to hear of to the activity stream.
async fn tell(tx: &mut dyn ApplyTx, call: &Call, is_new: bool, changes: Changes) -> Result<(), StoreError> {
    let way = match call.direction {
        Direction::Inbound => "Inbound call",
        Direction::Outbound => "Outbound call",
        Direction::Web => "Web call",
    };
    let how = match call.status() {
        Status::Failed => "failed",
        Status::NoAnswer => "was not answered",
        Status::Busy => "found the line busy",
        _ => "ended",
    };
    if is_new {
        note(tx, call, ActivityKind::CallStarted, format!("{way} started")).await?;
    }
    if changes.ended {
        note(tx, call, ActivityKind::CallEnded, format!("{way} {how}")).await?;
    }
    if changes.reported {
        let with = if call.booked { " with a booking" } else { "" };
        note(tx, call, ActivityKind::CallReported, format!("{way} reported{with}")).await?;
    }
    Ok(())
}

async fn note(
    tx: &mut dyn ApplyTx,
    call: &Call,
    kind: ActivityKind,
    summary: String,
) -> Result<(), StoreError> {
    tx.note(NewActivity { kind, summary, call: Some(call.id), appointment: None, contact: call.contact })
        .await
}

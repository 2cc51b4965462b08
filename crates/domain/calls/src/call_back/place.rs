//! Placing a call to a contact.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde_json::json;
use voxanne_kernel::{
    Clock, E164, NewAudit, NewJob, OrgScope, ProviderError, StoreError,
    ids::{CallId, ContactId},
};

use super::{
    CallBackBegin, CallBackRecord, CallBackTx, CallPlacer, LineBook, LineRefusal, LineRule, OutboundCall,
    Placed, Placing, SettleCallBackJob, Standing,
};
use crate::event::ProviderCallId;

/// A call that the provider places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledBack {
    /// Ours.
    pub call: CallId,
    /// The provider's.
    pub provider: ProviderCallId,
    /// Where.
    pub phone: E164,
}

/// A contact was not called.
#[derive(Debug, thiserror::Error)]
pub enum CallBackError {
    /// The organization has no such contact.
    #[error("no such contact")]
    NotFound,
    /// The organization is not approved yet.
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization is suspended.
    #[error("the organization is suspended")]
    Suspended,
    /// The contact does not want to hear from the organization.
    #[error("the contact has opted out")]
    OptedOut,
    /// The organization has nothing to place calls with.
    #[error("the organization has no {0} for outbound calls")]
    NotSetUp(&'static str),
    /// There is no line.
    #[error("there is no line for the call")]
    NoLine(LineRefusal),
    /// The provider did not place it; the call is on record as failed.
    #[error("the call was not placed")]
    Failed(#[source] Option<ProviderError>),
    /// The provider may have placed it; it is being found out.
    #[error("whether the call was placed is not known yet")]
    Unclear(#[source] Option<ProviderError>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Calls contacts of the organization in whose scope it is used.
#[derive(Clone)]
pub struct CallBack {
    store: Arc<dyn CallBackBegin>,
    lines: Arc<dyn LineBook>,
    placer: Arc<dyn CallPlacer>,
    rule: LineRule,
    clock: Arc<dyn Clock>,
}

/// What is there when somebody asks.
enum Found {
    /// The contact is being called, or was a moment ago.
    Earlier(CallBackRecord),
    /// Nothing.
    Nothing(OutboundCall),
}

impl CallBack {
    /// Within this time one call is all that asking again leads to.
    pub const ONCE_IN: SignedDuration = SignedDuration::from_mins(1);
    /// How long a request waits for a line.
    const PATIENCE_FOR_LINE: Duration = Duration::from_secs(3);
    /// How long a request waits for what another one is finding out.
    const PATIENCE_FOR_OTHER: Duration = Duration::from_secs(25);
    /// When the job looks that finds out what nobody lived to see: later than any request may take.
    const LOOK_LATER: SignedDuration = SignedDuration::from_secs(50);

    /// Works on these.
    pub fn new(
        store: Arc<dyn CallBackBegin>,
        lines: Arc<dyn LineBook>,
        placer: Arc<dyn CallPlacer>,
        rule: LineRule,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, lines, placer, rule, clock }
    }

    /// Calls a contact. It should be run to its end: what is cut off is found out by a job, a minute later.
    ///
    /// # Errors
    /// See [`CallBackError`].
    pub async fn run(&self, scope: &OrgScope, contact: ContactId) -> Result<CalledBack, CallBackError> {
        let id = CallId::generate();
        let mut tx = self.store.begin(scope).await?;
        let found = self.look(&mut *tx, scope, contact, id).await?;
        drop(tx);
        if let Found::Earlier(earlier) = found {
            return self.outcome_of(scope, earlier).await;
        }
        let line = self.lines.take(scope.org(), id, self.rule, Self::PATIENCE_FOR_LINE).await?;
        line.map_err(CallBackError::NoLine)?;
        let outcome = self.on_line(scope, contact, id).await;
        // A line that cannot be given back is free again after a minute.
        if let Err(error) = self.lines.give_back(scope.org(), id).await {
            tracing::warn!(org_id = %scope.org(), %error, "a line was not given back");
        }
        outcome
    }

    /// Writes the call down and places it, unless somebody was faster.
    async fn on_line(
        &self,
        scope: &OrgScope,
        contact: ContactId,
        id: CallId,
    ) -> Result<CalledBack, CallBackError> {
        let mut tx = self.store.begin(scope).await?;
        let call = match self.look(&mut *tx, scope, contact, id).await? {
            Found::Earlier(earlier) => {
                drop(tx);
                return self.outcome_of(scope, earlier).await;
            }
            Found::Nothing(call) => call,
        };
        let record = CallBackRecord {
            call: id,
            contact,
            phone: call.to.clone(),
            assistant: call.assistant.clone(),
            number: call.number.clone(),
            requested_at: self.clock.now(),
            placing: Placing::Asked,
        };
        tx.add_call_back(&record).await?;
        let later = record.requested_at.saturating_add(Self::LOOK_LATER).unwrap_or(record.requested_at);
        tx.enqueue(NewJob::of(&SettleCallBackJob { call_id: id }).not_before(later)).await?;
        tx.record(NewAudit {
            action: "contact.called_back",
            target_kind: "contact",
            target_id: contact.to_string(),
            before: None,
            after: Some(json!({ "call_id": id })),
        })
        .await?;
        tx.commit().await?;
        self.place(scope, record, &call).await
    }

    /// Everything that must hold, and the contact locked: of several who ask at once, one finds nothing.
    async fn look(
        &self,
        tx: &mut dyn CallBackTx,
        scope: &OrgScope,
        contact: ContactId,
        call: CallId,
    ) -> Result<Found, CallBackError> {
        let known = tx.find(contact).await?.ok_or(CallBackError::NotFound)?;
        match tx.standing().await? {
            Standing::Active => {}
            Standing::Pending => return Err(CallBackError::NotVerified),
            Standing::Suspended => return Err(CallBackError::Suspended),
        }
        let since = self.clock.now().saturating_sub(Self::ONCE_IN).unwrap_or(jiff::Timestamp::MIN);
        let earlier = tx.latest_call_back(contact, since).await?;
        // One that was not placed is no call.
        if let Some(earlier) = earlier.filter(|earlier| earlier.placing != Placing::NotPlaced) {
            return Ok(Found::Earlier(earlier));
        }
        if tx.has_opted_out(&known.phone).await? {
            return Err(CallBackError::OptedOut);
        }
        let line = tx.outbound_line().await?;
        Ok(Found::Nothing(OutboundCall {
            org: scope.org(),
            call,
            contact,
            name: known.name.map(|name| name.as_str().to_owned()),
            to: known.phone,
            assistant: line.assistant.ok_or(CallBackError::NotSetUp("assistant"))?,
            number: line.number.ok_or(CallBackError::NotSetUp("number"))?,
        }))
    }

    /// What became, or becomes, of a call that was asked for before.
    async fn outcome_of(
        &self,
        scope: &OrgScope,
        earlier: CallBackRecord,
    ) -> Result<CalledBack, CallBackError> {
        let record = match earlier.placing {
            Placing::Asked => {
                self.store.wait_for(scope, earlier.call, Self::PATIENCE_FOR_OTHER).await?.unwrap_or(earlier)
            }
            Placing::Placed(_) | Placing::NotPlaced => earlier,
        };
        match record.placing {
            Placing::Placed(provider) => Ok(CalledBack { call: record.call, provider, phone: record.phone }),
            Placing::NotPlaced => Err(CallBackError::Failed(None)),
            Placing::Asked => Err(CallBackError::Unclear(None)),
        }
    }

    async fn place(
        &self,
        scope: &OrgScope,
        record: CallBackRecord,
        call: &OutboundCall,
    ) -> Result<CalledBack, CallBackError> {
        match self.placer.place(call).await {
            Ok(Placed::Yes(provider)) => self.placed(scope, record, provider).await,
            Ok(Placed::NoLine(provider)) => {
                self.placed(scope, record, provider).await?;
                Err(CallBackError::NoLine(LineRefusal::AllBusy))
            }
            Err(unclear @ ProviderError::Unclear(_)) => {
                tracing::warn!(org_id = %scope.org(), call_id = %record.call, error = %Chain(&unclear),
                    "whether a call was placed is unclear; looking for it");
                let found = self.placer.find(&record.assistant, record.call, record.requested_at).await;
                match found {
                    Ok(Some(provider)) => self.placed(scope, record, provider).await,
                    Ok(None) => self.not_placed(scope, &record, unclear).await,
                    // The job looks again.
                    Err(_) => Err(CallBackError::Unclear(Some(unclear))),
                }
            }
            Err(error) => self.not_placed(scope, &record, error).await,
        }
    }

    async fn placed(
        &self,
        scope: &OrgScope,
        record: CallBackRecord,
        provider: ProviderCallId,
    ) -> Result<CalledBack, CallBackError> {
        let mut tx = self.store.begin(scope).await?;
        tx.note_placed(record.call, &provider).await?;
        tx.commit().await?;
        Ok(CalledBack { call: record.call, provider, phone: record.phone })
    }

    async fn not_placed(
        &self,
        scope: &OrgScope,
        record: &CallBackRecord,
        error: ProviderError,
    ) -> Result<CalledBack, CallBackError> {
        let mut tx = self.store.begin(scope).await?;
        tx.note_not_placed(record.call, NOT_PLACED, self.clock.now()).await?;
        tx.commit().await?;
        Err(CallBackError::Failed(Some(error)))
    }
}

/// Why a call ended that the provider did not place, as ours to say.
pub(super) const NOT_PLACED: &str = "call-start-error-not-placed";

/// An error with what is behind it, for the log.
struct Chain<'a>(&'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

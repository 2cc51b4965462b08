//! Calls as the provider reports them: whose they are, whether a message is genuine, what to answer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use moka::future::Cache;
use tokio::sync::Semaphore;
use voxanne_calls::ReceiveCallEvent;
use voxanne_credentials::{CredentialProvider, ResolveError, WebhookSecrets};
use voxanne_kernel::{Actor, E164, OrgScope, StoreError, ids::OrgId, scope::Provider};
use voxanne_postgres::lines::RingingLine;
use voxanne_tooling::{
    AnswerToolCalls, CallerContext, LineDirectory, LineIds, LineOwner, ToolMeter, ToolOutcome, Visit,
};
use voxanne_vapi::{Vapi, VapiClient, VapiSettings, webhook::Routing};

use super::{Base, desk::Desk, scheduling::Scheduling};

/// How long an answer to "whose line is it?" is believed. It bounds how long a suspended organization is still
/// greeted; what it books is refused at once, because the booking checks the calendar's version.
const ATTRIBUTION_KEPT: Duration = Duration::from_secs(30);
/// The same for "nobody's": short, so that a new line works at once, and long enough to blunt a flood.
const NOBODYS_KEPT: Duration = Duration::from_secs(2);
/// How often one organization's secrets are read again because a signature did not fit.
const SECOND_LOOK_EVERY: Duration = Duration::from_secs(5);
/// Notes to live calls under way at a time; beyond that they are skipped, being a courtesy.
const NOTES: usize = 64;

/// What the webhooks are answered with.
pub struct Voice {
    base: Base,
    owners: Cache<LineIds, LineOwner>,
    nobodys: Cache<LineIds, ()>,
    looked_again: Cache<OrgId, ()>,
    vapi: Arc<Vapi>,
    notes: Arc<Semaphore>,
    desk: Arc<Desk>,
    /// Answers tool calls.
    pub tools: AnswerToolCalls,
    /// Takes in what happened to calls.
    pub receive: ReceiveCallEvent,
}

/// Whose message it would be, if it is genuine.
#[derive(Debug, Clone, Copy)]
pub struct Attribution {
    org: OrgId,
    /// Whether the organization is suspended.
    pub suspended: bool,
    /// Whether the plain secret is accepted.
    pub allows_shared_secret: bool,
}

impl Attribution {
    /// The scope of the organization; only to be asked for once the message has been verified.
    pub fn vouched(&self) -> OrgScope {
        self.scope()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the message's ids led to this organization, whose secret is checked with it"
    )]
    fn scope(&self) -> OrgScope {
        OrgScope::vouch(self.org, Actor::Provider(Provider::Vapi))
    }
}

impl Voice {
    /// Assembles it around the calendar's use cases.
    pub fn wire(base: &Base, scheduling: &Scheduling) -> anyhow::Result<Self> {
        let (store, settings) = (&base.store, &base.settings);
        let client = VapiClient::new(VapiSettings::new(
            settings.vapi.base_url.clone(),
            settings.vapi.private_key.clone(),
        ))?;
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let vapi = Arc::new(Vapi::new(client, webhook, base.clock.clone()));
        let desk = Arc::new(Desk {
            calendars: scheduling.calendars.clone(),
            book: scheduling.book.clone(),
            check: scheduling.availability.clone(),
            reschedule: scheduling.reschedule.clone(),
            cancel: scheduling.cancel.clone(),
            find: scheduling.find.clone(),
            prices: store.clone(),
            store: store.clone(),
            vapi: vapi.clone(),
            clock: base.clock.clone(),
        });
        Ok(Self {
            owners: Cache::builder().max_capacity(100_000).time_to_live(ATTRIBUTION_KEPT).build(),
            nobodys: Cache::builder().max_capacity(10_000).time_to_live(NOBODYS_KEPT).build(),
            looked_again: Cache::builder().max_capacity(100_000).time_to_live(SECOND_LOOK_EVERY).build(),
            vapi,
            notes: Arc::new(Semaphore::new(NOTES)),
            tools: AnswerToolCalls::new(desk.clone(), Arc::new(Meter)),
            desk,
            receive: ReceiveCallEvent::new(store.clone()),
            base: base.clone(),
        })
    }

    /// The organization that the message's ids lead to; `None` for nobody's. Nothing falls back to somebody else's.
    pub async fn attribute(&self, routing: &Routing) -> Result<Option<Attribution>, StoreError> {
        let ids = LineIds {
            assistant: routing.assistant.clone(),
            number_id: routing.number_id.clone(),
            number: routing.number.clone(),
        };
        if let Some(owner) = self.owners.get(&ids).await {
            return Ok(Some(attribution(owner)));
        }
        if !routing.leads_anywhere() || self.nobodys.contains_key(&ids) {
            return Ok(None);
        }
        let Some(owner) = self.base.store.owner(&ids).await? else {
            self.nobodys.insert(ids, ()).await;
            return Ok(None);
        };
        self.owners.insert(ids, owner).await;
        Ok(Some(attribution(owner)))
    }

    /// The secrets that the attributed organization's messages may be signed with.
    pub async fn secrets(&self, to: &Attribution) -> Result<Option<Arc<WebhookSecrets>>, ResolveError> {
        self.base.vault.get(&to.scope()).await
    }

    /// Forgets the secrets after a signature did not fit, because they may have been rotated elsewhere; not more often
    /// than every few seconds, or forged messages could make us read them all the time. Tells whether it did.
    pub async fn forget_secrets(&self, to: &Attribution) -> bool {
        if self.looked_again.contains_key(&to.org) {
            return false;
        }
        self.looked_again.insert(to.org, ()).await;
        self.base.vault.invalidate(to.org, Some(CredentialProvider::VapiWebhook)).await;
        true
    }

    /// Which assistant answers a ringing line, with what it is told about the caller; `None` before it is set up.
    pub async fn assistant_for(
        &self,
        scope: &OrgScope,
        caller: Option<&E164>,
    ) -> Result<Option<(String, BTreeMap<&'static str, String>)>, StoreError> {
        let now = self.base.clock.now();
        let Some(line) = self.base.store.ringing_line(scope, caller, now).await? else { return Ok(None) };
        let variables = self.known_of(&line).variables();
        Ok(line.assistant.map(|assistant| (assistant, variables)))
    }

    /// Where a call goes that needs a person.
    pub async fn transfer_to(&self, scope: &OrgScope) -> Result<Option<E164>, StoreError> {
        Ok(self.desk.destination(scope, None).await?.map(|(_, number)| number))
    }

    /// Tells the model of a call that has just begun who calls, without anybody waiting for it (decision D22).
    pub fn greet_later(&self, scope: OrgScope, control_url: String, caller: Option<E164>) {
        let Ok(permit) = self.notes.clone().try_acquire_owned() else { return };
        let (base, vapi) = (self.base.clone(), self.vapi.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let now = base.clock.now();
            let line = match base.store.ringing_line(&scope, caller.as_ref(), now).await {
                Ok(Some(line)) if !line.answers_dynamically => line,
                Ok(_) => return,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a call's context could not be read"
                    );
                    return;
                }
            };
            let note = context(&line, now).note();
            if let Err(error) = vapi.add_note(&control_url, &note).await {
                tracing::info!(
                    error = &error as &dyn std::error::Error,
                    "a live call could not be told its context"
                );
            }
        });
    }

    fn known_of(&self, line: &RingingLine) -> CallerContext {
        context(line, self.base.clock.now())
    }
}

fn attribution(owner: LineOwner) -> Attribution {
    Attribution {
        org: owner.org,
        suspended: owner.suspended,
        allows_shared_secret: owner.allows_shared_secret,
    }
}

fn context(line: &RingingLine, now: voxanne_kernel::Timestamp) -> CallerContext {
    let next_visit = line.next_visit.as_ref().map(|visit| Visit {
        id: visit.id,
        service: visit.service.clone(),
        at: line.zone.local(visit.starts),
        awaits_approval: visit.awaits_approval,
        first_of_two: false,
    });
    CallerContext { now: line.zone.local(now), name: line.caller_name.clone(), next_visit }
}

/// Tool calls as Prometheus sees them.
struct Meter;

impl ToolMeter for Meter {
    fn record(&self, tool: &'static str, outcome: ToolOutcome, elapsed: Duration) {
        metrics::histogram!("voxanne_tool_call_duration_seconds", "tool" => tool, "outcome" => outcome.as_str())
            .record(elapsed.as_secs_f64());
    }
}

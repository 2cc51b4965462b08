//! Connecting, checking and removing accounts, against a store in memory and a provider that says what it is told.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;
use voxanne_kernel::{
    Begin, Commit, E164, NewJob, OrgScope, ProviderError, StoreError,
    ids::{CredentialId, OrgId},
};

use super::*;
use crate::{
    credential::{Credential, CredentialSource, CredentialStatus},
    oauth::Calendar,
    ports::{ChangeCredentialsTx, CredentialReader},
    provider::CredentialProvider,
    secrets::{Brought, Resend, Sender, Twilio},
    testing::{MemoryCredentials, World, through},
    verify::{Rejection, Verdict, VerifyCredential},
};

const TWILIO: CredentialProvider = CredentialProvider::Twilio;
const RESEND: CredentialProvider = CredentialProvider::Resend;

#[derive(Default)]
struct Shared {
    answers: Vec<Result<Verdict, ProviderError>>,
    asked: usize,
    /// Stored while the provider is being asked.
    meanwhile: Option<(OrgId, Option<Credential>)>,
    in_step: HashSet<CredentialId>,
    routing_stopped: HashSet<OrgId>,
    grant: Option<GrantStanding>,
}

#[derive(Clone)]
struct Bench {
    store: MemoryCredentials,
    shared: Arc<Mutex<Shared>>,
}

impl Bench {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self, answer: Result<Verdict, ProviderError>) {
        self.shared().answers.insert(0, answer);
    }
}

#[async_trait]
impl<C: Send + Sync> VerifyCredential<C> for Bench {
    async fn verify(&self, _: &C) -> Result<Verdict, ProviderError> {
        let mut shared = self.shared();
        shared.asked += 1;
        match shared.meanwhile.take() {
            Some((org, Some(credential))) => self.store.put(org, credential),
            Some((org, None)) => self.store.take(org, TWILIO),
            None => {}
        }
        shared.answers.pop().unwrap_or(Ok(Verdict::Verified))
    }
}

#[async_trait]
impl Grants for Bench {
    async fn check(&self, _: &OrgScope, _: Calendar) -> Result<Option<GrantStanding>, GrantError> {
        Ok(self.shared().grant)
    }

    async fn withdraw(&self, _: &OrgScope, _: Calendar) -> Result<bool, GrantError> {
        Ok(self.shared().grant.take().is_some())
    }
}

/// Something follows from Twilio's account and from no other.
struct Follows;

const JOB: &str = "follow";

impl FollowUp for Follows {
    fn after_change(&self, _: OrgId, provider: CredentialProvider) -> Option<NewJob> {
        (provider == TWILIO).then_some(NewJob {
            task: JOB,
            payload: Value::Null,
            queue: None,
            key: None,
            run_at: None,
            max_attempts: 1,
        })
    }
}

/// The memory's unit of work, with the line beside it.
struct BenchTx {
    org: OrgId,
    tx: Box<dyn ChangeCredentialsTx>,
    bench: Bench,
    stops: bool,
}

#[async_trait]
impl Begin<dyn IntegrationsTx> for Bench {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn IntegrationsTx>, StoreError> {
        let tx = self.store.begin(scope).await?;
        Ok(Box::new(BenchTx { org: scope.org(), tx, bench: self.clone(), stops: false }))
    }
}

#[async_trait]
impl CredentialReader for BenchTx {
    async fn credential(&mut self, provider: CredentialProvider) -> Result<Option<Credential>, StoreError> {
        self.tx.credential_to_change(provider).await
    }

    async fn credentials(&mut self) -> Result<Vec<Credential>, StoreError> {
        let mut all = Vec::new();
        for provider in CredentialProvider::ALL {
            all.extend(self.tx.credential_to_change(provider).await?);
        }
        Ok(all)
    }
}

through!(BenchTx, tx);

#[async_trait]
impl OwnLine for BenchTx {
    async fn stop_routing(&mut self) -> Result<(), StoreError> {
        self.stops = true;
        Ok(())
    }

    async fn is_in_step_with(&mut self, record: CredentialId) -> Result<bool, StoreError> {
        Ok(self.bench.shared().in_step.contains(&record))
    }
}

#[async_trait]
impl Commit for BenchTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.stops {
            self.bench.shared().routing_stopped.insert(self.org);
        }
        self.tx.commit().await
    }
}

struct Desk {
    world: World,
    bench: Bench,
    scope: OrgScope,
    connect: ConnectIntegration,
    verify: VerifyIntegration,
    remove: RemoveIntegration,
}

impl Desk {
    fn new() -> Self {
        let world = World::new();
        let bench = Bench { store: world.store.clone(), shared: Arc::default() };
        let asked = Arc::new(bench.clone());
        let verifiers = Verifiers {
            twilio: asked.clone(),
            resend: asked.clone(),
            sendgrid: asked.clone(),
            mailgun: asked.clone(),
            postmark: asked.clone(),
            ses: asked.clone(),
            smtp: asked.clone(),
            africastalking: asked.clone(),
            termii: asked.clone(),
            whatsapp: asked.clone(),
        };
        let (follows, vault) = (Arc::new(Follows), Arc::new(world.vault()));
        let (keys, clock) = (world.keys.clone(), world.clock.clone());
        Self {
            connect: ConnectIntegration::new(
                asked.clone(),
                keys.clone(),
                verifiers.clone(),
                follows.clone(),
                vault.clone(),
                clock.clone(),
            ),
            verify: VerifyIntegration::new(
                asked.clone(),
                keys,
                verifiers,
                asked.clone(),
                follows.clone(),
                clock,
            ),
            remove: RemoveIntegration::new(asked.clone(), asked, follows, vault),
            scope: world.scope(),
            world,
            bench,
        }
    }

    async fn connect(&self, brought: Brought) -> Result<Integration, ConnectError> {
        self.connect.run(&self.scope, &brought, true).await
    }

    async fn check(&self, provider: CredentialProvider) -> Result<Checked, VerifyError> {
        self.verify.run(&self.scope, provider).await
    }

    fn stored(&self, provider: CredentialProvider) -> Option<Credential> {
        self.world.store.stored(self.scope.org(), provider)
    }

    fn standing(&self, provider: CredentialProvider) -> (CredentialStatus, Option<String>) {
        let stored = self.stored(provider).unwrap();
        (stored.status, stored.error_code)
    }

    fn jobs(&self) -> usize {
        self.world.store.jobs().iter().filter(|job| job.task == JOB).count()
    }

    fn now_in_step(&self) {
        let id = self.stored(TWILIO).unwrap().id;
        self.bench.shared().in_step.insert(id);
        let stored = self.stored(TWILIO).unwrap().standing(CredentialStatus::Verified, None);
        self.world.store.put(self.scope.org(), stored);
    }
}

fn twilio(token: &str) -> Brought {
    let phone_number = E164::new("+15005550006").ok();
    Twilio { account_sid: "AC1".to_owned(), auth_token: SecretString::from(token), phone_number }.into()
}

fn resend(key: &str) -> Brought {
    let from = Sender { email: "desk@clinic.example".parse().unwrap(), name: None };
    Resend { api_key: SecretString::from(key), from, webhook_secret: None }.into()
}

fn down() -> ProviderError {
    ProviderError::RetryLater { after: None, source: "down".into() }
}

#[tokio::test]
async fn what_the_provider_accepts_is_stored_as_it_said() {
    for (verdict, status) in
        [(Verdict::Verified, CredentialStatus::Verified), (Verdict::Restricted, CredentialStatus::Restricted)]
    {
        let desk = Desk::new();
        desk.bench.answers(Ok(verdict));
        let shown = desk.connect(resend("a key long enough")).await.unwrap().configured.unwrap();
        assert_eq!((shown.status, shown.source), (status, CredentialSource::Byoc));
        assert_eq!(shown.last_verified, Some(desk.world.clock.now()));
        assert_eq!(shown.metadata["hint"], "ough");
        assert_eq!(desk.standing(RESEND), (status, None));
        assert_eq!(desk.world.store.audited(), ["credential.stored"]);
        assert_eq!(desk.jobs(), 0);
    }
}

#[tokio::test]
async fn what_the_provider_refuses_or_cannot_say_changes_nothing() {
    let desk = Desk::new();
    desk.connect(twilio("first")).await.unwrap();
    let (before, audited) = (desk.stored(TWILIO), desk.world.store.audited());
    for why in [Rejection::Credentials, Rejection::NumberNotInAccount] {
        desk.bench.answers(Ok(Verdict::Rejected(why)));
        let refused = desk.connect(twilio("second")).await;
        assert!(matches!(refused, Err(ConnectError::Rejected(said)) if said == why));
    }
    desk.bench.answers(Err(down()));
    assert!(matches!(desk.connect(twilio("second")).await, Err(ConnectError::Unavailable(_))));
    assert_eq!((desk.stored(TWILIO), desk.world.store.audited(), desk.jobs()), (before, audited, 1));
}

#[tokio::test]
async fn an_account_with_consequences_is_syncing_and_one_nobody_vouched_for_has_none() {
    let desk = Desk::new();
    desk.connect.run(&desk.scope, &twilio("unasked"), false).await.unwrap();
    assert_eq!(desk.standing(TWILIO), (CredentialStatus::Unverified, None));
    assert_eq!((desk.bench.shared().asked, desk.jobs()), (0, 0));
    assert_eq!(desk.stored(TWILIO).unwrap().last_verified, None);

    desk.connect(twilio("asked")).await.unwrap();
    assert_eq!(desk.standing(TWILIO), (CredentialStatus::Syncing, None));
    assert_eq!(desk.jobs(), 1);
}

fn resend_with(key: &str, email: &str, secret: Option<&str>) -> Brought {
    let from = Sender { email: email.parse().unwrap(), name: None };
    Resend { api_key: key.into(), from, webhook_secret: secret.map(SecretString::from) }.into()
}

#[tokio::test]
async fn what_changes_of_an_account_is_shown_to_its_provider_only_where_that_judges_it() {
    let desk = Desk::new();
    desk.connect(resend("a key long enough")).await.unwrap();
    let accepted_at = desk.stored(RESEND).unwrap().last_verified;
    let check = async |brought: Brought, asked: usize| {
        let before = desk.connect.stored(&desk.scope, RESEND).await.unwrap().unwrap();
        desk.connect.amend(&desk.scope, &before, &brought).await.unwrap();
        assert_eq!(desk.bench.shared().asked, asked, "{brought:?}");
        assert_eq!(desk.standing(RESEND), (CredentialStatus::Verified, None));
    };
    let (key, email) = ("a key long enough", "desk@clinic.example");
    check(resend_with(key, email, Some("whsec_1")), 1).await;
    assert_eq!(desk.stored(RESEND).unwrap().last_verified, accepted_at);
    check(resend_with(key, "front@clinic.example", Some("whsec_1")), 2).await;
    check(resend_with("another key", "front@clinic.example", Some("whsec_1")), 3).await;

    // What the provider did not accept is shown to it whatever changes.
    desk.bench.answers(Ok(Verdict::Rejected(Rejection::Credentials)));
    desk.check(RESEND).await.unwrap();
    check(resend_with("another key", "front@clinic.example", Some("whsec_2")), 5).await;
    assert_eq!(desk.connect.stored(&desk.scope, TWILIO).await.unwrap().map(|_| ()), None);
}

#[tokio::test]
async fn a_change_to_an_account_that_was_replaced_meanwhile_changes_nothing() {
    let desk = Desk::new();
    desk.connect(resend("a key long enough")).await.unwrap();
    let before = desk.connect.stored(&desk.scope, RESEND).await.unwrap().unwrap();
    desk.connect(resend("somebody else's key")).await.unwrap();
    let stored = desk.stored(RESEND);
    let changed = desk.connect.amend(&desk.scope, &before, &resend("my key")).await;
    assert!(matches!(changed, Err(ConnectError::Changed)));
    assert_eq!(desk.stored(RESEND), stored);
}

#[tokio::test]
async fn a_managed_account_is_neither_replaced_nor_removed_but_checked() {
    let desk = Desk::new();
    let managed = twilio("ours").seal(&desk.world.keys, desk.scope.org(), CredentialSource::Managed);
    desk.world.store.put(desk.scope.org(), managed.clone());
    assert!(matches!(desk.connect(twilio("theirs")).await, Err(ConnectError::SlotTaken)));
    assert_eq!(desk.bench.shared().asked, 0, "its provider is not even asked");
    assert!(matches!(desk.remove.run(&desk.scope, TWILIO).await, Err(RemoveError::Managed)));
    assert_eq!(desk.stored(TWILIO), Some(managed));
    desk.check(TWILIO).await.unwrap();
    assert_eq!(desk.standing(TWILIO), (CredentialStatus::Verified, None));
    assert_eq!(desk.jobs(), 0);
}

#[tokio::test]
async fn a_slot_that_became_managed_while_the_provider_was_asked_is_left_alone() {
    let desk = Desk::new();
    let managed = twilio("ours").seal(&desk.world.keys, desk.scope.org(), CredentialSource::Managed);
    desk.bench.shared().meanwhile = Some((desk.scope.org(), Some(managed.clone())));
    assert!(matches!(desk.connect(twilio("theirs")).await, Err(ConnectError::SlotTaken)));
    assert_eq!(desk.stored(TWILIO), Some(managed));
}

#[tokio::test]
async fn an_account_that_fails_says_why_and_one_that_works_again_is_verified() {
    let desk = Desk::new();
    desk.connect(resend("a key long enough")).await.unwrap();
    let accepted_at = desk.stored(RESEND).unwrap().last_verified;
    desk.bench.answers(Ok(Verdict::Rejected(Rejection::Credentials)));
    assert_eq!(desk.check(RESEND).await.unwrap(), Checked::Refused { code: "credentials_rejected" });
    let failed = (CredentialStatus::Failed, Some("credentials_rejected".to_owned()));
    assert_eq!(desk.standing(RESEND), failed);
    assert_eq!(desk.stored(RESEND).unwrap().last_verified, accepted_at);

    desk.bench.answers(Err(down()));
    assert!(matches!(desk.check(RESEND).await, Err(VerifyError::Unavailable(_))));
    assert_eq!(desk.standing(RESEND), failed);

    assert_eq!(desk.check(RESEND).await.unwrap(), Checked::Accepted { at: desk.world.clock.now() });
    assert_eq!(desk.standing(RESEND), (CredentialStatus::Verified, None));
}

#[tokio::test]
async fn a_line_that_is_not_in_step_is_tried_again_and_one_that_is_is_left_alone() {
    let desk = Desk::new();
    desk.connect(twilio("token")).await.unwrap();
    desk.check(TWILIO).await.unwrap();
    assert_eq!(desk.standing(TWILIO), (CredentialStatus::Syncing, None));
    assert_eq!(desk.jobs(), 2);

    desk.now_in_step();
    desk.bench.answers(Ok(Verdict::Rejected(Rejection::NumberNotInAccount)));
    desk.check(TWILIO).await.unwrap();
    let failed = (CredentialStatus::Failed, Some("number_not_in_account".to_owned()));
    assert_eq!(desk.standing(TWILIO), failed);
    desk.check(TWILIO).await.unwrap();
    assert_eq!(desk.standing(TWILIO), (CredentialStatus::Verified, None));
    assert_eq!(desk.jobs(), 2);
}

#[tokio::test]
async fn an_answer_about_a_replaced_or_removed_account_changes_nothing() {
    let desk = Desk::new();
    desk.connect(twilio("old")).await.unwrap();
    let new = twilio("new").seal(&desk.world.keys, desk.scope.org(), CredentialSource::Byoc);
    for meanwhile in [Some(new), None] {
        desk.bench.answers(Ok(Verdict::Rejected(Rejection::Credentials)));
        desk.bench.shared().meanwhile = Some((desk.scope.org(), meanwhile.clone()));
        assert!(matches!(desk.check(TWILIO).await, Err(VerifyError::Changed)));
        assert_eq!(desk.stored(TWILIO), meanwhile);
    }
    assert!(matches!(desk.check(TWILIO).await, Err(VerifyError::NotConfigured)));
}

#[tokio::test]
async fn an_account_that_does_not_open_is_an_error_and_nothing_is_overwritten() {
    let desk = Desk::new();
    let foreign = twilio("token").seal(&desk.world.keys, OrgId::generate(), CredentialSource::Byoc);
    desk.world.store.put(desk.scope.org(), foreign.clone());
    assert!(matches!(desk.check(TWILIO).await, Err(VerifyError::Unreadable(_))));
    assert_eq!(desk.stored(TWILIO), Some(foreign));
    assert_eq!(desk.world.keys.unreadable(), 1, "an operator is alerted");
}

#[tokio::test]
async fn what_was_granted_is_checked_and_withdrawn_by_whoever_looks_after_it() {
    let desk = Desk::new();
    let google = CredentialProvider::GoogleCalendar;
    assert!(matches!(desk.check(google).await, Err(VerifyError::NotConfigured)));
    assert!(matches!(desk.remove.run(&desk.scope, google).await, Err(RemoveError::NotConfigured)));
    desk.bench.shared().grant = Some(GrantStanding::ReconnectRequired);
    assert_eq!(desk.check(google).await.unwrap(), Checked::Refused { code: "reconnect_required" });
    let at = desk.world.clock.now();
    desk.bench.shared().grant = Some(GrantStanding::Good { at });
    assert_eq!(desk.check(google).await.unwrap(), Checked::Accepted { at });
    desk.remove.run(&desk.scope, google).await.unwrap();
    assert!(desk.bench.shared().grant.is_none());
    assert_eq!(desk.bench.shared().asked, 0);
}

#[tokio::test]
async fn a_removed_account_ends_its_routing_at_once_and_is_taken_back_by_a_job() {
    let desk = Desk::new();
    assert!(matches!(desk.remove.run(&desk.scope, TWILIO).await, Err(RemoveError::NotConfigured)));
    desk.connect(twilio("token")).await.unwrap();
    desk.connect(resend("a key long enough")).await.unwrap();
    desk.remove.run(&desk.scope, RESEND).await.unwrap();
    assert!(desk.bench.shared().routing_stopped.is_empty());
    desk.remove.run(&desk.scope, TWILIO).await.unwrap();
    assert!(desk.bench.shared().routing_stopped.contains(&desk.scope.org()));
    assert_eq!((desk.stored(TWILIO), desk.stored(RESEND), desk.jobs()), (None, None, 2));
    let audited = desk.world.store.audited();
    assert_eq!(audited.iter().filter(|action| **action == "credential.removed").count(), 2);
}

#[tokio::test]
async fn the_list_has_every_provider_once_and_never_our_own_secret() {
    let desk = Desk::new();
    let (ours, _) = crate::rotate::new_webhook_credential(&desk.world.keys, desk.scope.org()).unwrap();
    desk.world.store.put(desk.scope.org(), ours);
    desk.connect(resend("a key long enough")).await.unwrap();
    let list = ListIntegrations::new(Arc::new(desk.world.store.clone())).run(&desk.scope).await.unwrap();
    assert_eq!(list.len(), 12);
    assert!(list.iter().all(|entry| entry.provider.is_brought()));
    let configured: Vec<_> = list.iter().filter(|entry| entry.configured.is_some()).collect();
    assert_eq!(configured.len(), 1);
    assert_eq!(configured[0].provider, RESEND);
}

//! Connections from leaving to losing them, on the second store and the second provider.
#![expect(clippy::disallowed_methods, reason = "a test stands in for authentication")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use voxanne_kernel::{
    ActivityKind, Actor, Clock, ManualClock, NewJob, OrgScope,
    ids::{OrgId, UserId},
};

use super::{
    testing::{Goes, MemoryConnections, MemoryProvider},
    *,
};
use crate::{
    credential::{Credential, CredentialStatus},
    keyring::KeyRing,
    provider::CredentialProvider,
    resolve::ResolveError,
    secrets::OAuthGrant,
    testing::key_ring,
    vault::Vault,
};

const GOOGLE: Calendar = Calendar::Google;

struct World {
    store: MemoryConnections,
    google: MemoryProvider,
    clock: Arc<ManualClock>,
    keys: Arc<KeyRing>,
    start: StartConnection,
    finish: FinishConnection,
    access: AccessTokenOf,
    disconnect: Disconnect,
    verify: VerifyConnection,
    due: RefreshDue,
}

/// A person of an organization.
#[derive(Clone, Copy)]
struct Person {
    org: OrgId,
    user: UserId,
    scope: OrgScope,
}

impl World {
    fn new() -> Self {
        let start: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let (store, google) = (Arc::new(MemoryConnections::default()), MemoryProvider::default());
        let (clock, keys) = (Arc::new(ManualClock::at(start)), Arc::new(key_ring()));
        let providers = OAuthProviders { google: Some(Arc::new(google.clone())), outlook: None };
        let vault = Vault::new(store.clone(), keys.clone());
        let url = "https://api.example".to_owned();
        let access =
            AccessTokenOf::new(store.clone(), keys.clone(), vault.clone(), providers.clone(), clock.clone());
        Self {
            start: StartConnection::new(
                store.clone(),
                keys.clone(),
                providers.clone(),
                url.clone(),
                clock.clone(),
            ),
            finish: FinishConnection::new(
                store.clone(),
                keys.clone(),
                vault.clone(),
                providers.clone(),
                url,
                clock.clone(),
            ),
            disconnect: Disconnect::new(store.clone(), keys.clone(), vault, providers),
            verify: VerifyConnection::new(access.clone(), clock.clone()),
            due: RefreshDue::new(store.clone(), access.clone()),
            access,
            store: (*store).clone(),
            google,
            clock,
            keys,
        }
    }

    fn person(&self) -> Person {
        let (org, user) = (OrgId::generate(), UserId::generate());
        self.store.appoint(org, user);
        Person { org, user, scope: OrgScope::vouch(org, Actor::User(user)) }
    }

    /// Leaves for the consent page and returns the state that was sent along.
    async fn leave(&self, person: &Person) -> String {
        self.start.run(&person.scope, GOOGLE, ReturnPath::default()).await.unwrap();
        self.google.page().unwrap().0
    }

    async fn come_back(&self, person: &Person, state: &str, code: &str) -> Result<Connected, FinishError> {
        let pending = self.finish.take(GOOGLE, Some(state)).await?;
        assert_eq!((pending.org(), pending.user()), (person.org, person.user));
        let callback = Callback { code: Some(code.to_owned().into()), error: None };
        self.finish.run(&person.scope, pending, callback).await
    }

    async fn connect(&self, person: &Person) -> Result<Connected, FinishError> {
        let state = self.leave(person).await;
        self.come_back(person, &state, "code").await
    }

    async fn connected(&self) -> Person {
        let person = self.person();
        self.connect(&person).await.unwrap();
        person
    }

    fn credential(&self, person: &Person) -> Option<Credential> {
        self.store.credentials.stored(person.org, CredentialProvider::GoogleCalendar)
    }

    fn grant(&self, person: &Person) -> OAuthGrant {
        GOOGLE.open(&self.credential(person).unwrap(), &self.keys, person.org).unwrap()
    }

    async fn token(&self, person: &Person) -> Result<String, AccessError> {
        self.access.run(&person.scope, GOOGLE).await.map(|token| token.secret.expose_secret().to_owned())
    }

    /// Asks for a token in the background, until the provider has been asked and does not answer.
    async fn ask_slowly(self: &Arc<Self>, person: Person) -> JoinHandle<Result<String, AccessError>> {
        let (world, before) = (self.clone(), self.google.refreshed().len());
        self.google.hold(true);
        let asking = tokio::spawn(async move { world.token(&person).await });
        while self.google.refreshed().len() == before {
            tokio::task::yield_now().await;
        }
        asking
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

#[tokio::test]
async fn who_comes_back_with_the_state_is_connected_and_the_code_is_proven_to_be_ours() {
    let world = World::new();
    let person = world.person();
    let state = world.leave(&person).await;
    let connected = world.come_back(&person, &state, "code").await.unwrap();
    assert_eq!(connected.email, "ann@clinic.example");

    let (code, verifier, redirect_uri) = world.google.exchanged().remove(0);
    assert_eq!(code, "code");
    assert_eq!(redirect_uri, "https://api.example/api/integrations/google/callback");
    let digest = <sha2::Sha256 as sha2::Digest>::digest(verifier.as_bytes());
    let challenge = base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, digest);
    assert_eq!(world.google.page().unwrap().1, challenge);

    let stored = world.credential(&person).unwrap();
    assert_eq!(stored.status, CredentialStatus::Verified);
    assert_eq!(stored.metadata["email"], "ann@clinic.example");
    assert_eq!(stored.last_verified, Some(world.clock.now()));
    assert_eq!(world.store.credentials.audited(), ["credential.connected"]);
    let (connection, ended) = world.store.connection(person.org, GOOGLE).unwrap();
    assert_eq!((connection.subject.as_str(), ended), ("ann", None));
    assert_eq!(world.token(&person).await.unwrap(), "access-1");
}

#[tokio::test]
async fn a_state_is_good_once_for_its_calendar_and_for_ten_minutes() {
    let world = World::new();
    let person = world.person();
    let take = async |calendar, state: &str| {
        let taken = world.finish.take(calendar, Some(state)).await;
        assert!(taken.is_ok() || matches!(taken, Err(FinishError::StateInvalid)));
        taken.is_ok()
    };
    let state = world.leave(&person).await;
    assert!(!take(GOOGLE, "forged").await);
    assert!(!take(GOOGLE, "").await);
    assert!(!take(GOOGLE, &"x".repeat(5_000)).await);
    assert!(!take(Calendar::Outlook, &state).await);
    assert!(take(GOOGLE, &state).await);
    assert!(!take(GOOGLE, &state).await, "a second time");
    let state = world.leave(&person).await;
    world.pass(600);
    assert!(!take(GOOGLE, &state).await, "too late");
    assert_eq!(world.store.waiting(), 0);
    assert!(matches!(world.finish.take(GOOGLE, None).await, Err(FinishError::StateInvalid)));
}

#[tokio::test]
async fn only_administrators_leave_and_only_who_still_is_one_is_connected() {
    let world = World::new();
    let person = world.person();
    let state = world.leave(&person).await;
    world.store.dismiss(person.org, person.user);
    let refused = world.come_back(&person, &state, "code").await;
    assert!(matches!(refused, Err(FinishError::NotAllowed)));
    assert!(world.google.exchanged().is_empty() && world.credential(&person).is_none());

    let start = |scope| world.start.run(scope, GOOGLE, ReturnPath::default());
    assert!(matches!(start(&person.scope).await, Err(StartError::NotAllowed)));
    let machine = OrgScope::vouch(person.org, Actor::Machine);
    assert!(matches!(start(&machine).await, Err(StartError::NotAllowed)));
    let person = world.person();
    let outlook = world.start.run(&person.scope, Calendar::Outlook, ReturnPath::default()).await;
    assert!(matches!(outlook, Err(StartError::NotConfigured)));
    assert_eq!(world.store.waiting(), 0);
}

#[tokio::test]
async fn whatever_else_the_browser_brings_connects_nothing_and_has_a_name() {
    let world = World::new();
    let person = world.person();
    let check = async |code: Option<&str>, error: Option<&str>, expected: &str| {
        let state = world.leave(&person).await;
        let pending = world.finish.take(GOOGLE, Some(&state)).await.unwrap();
        let code = code.map(|code| code.to_owned().into());
        let callback = Callback { code, error: error.map(str::to_owned) };
        let failed = world.finish.run(&person.scope, pending, callback).await.unwrap_err();
        assert_eq!(failed.code(), expected, "{failed:?}");
        assert!(world.credential(&person).is_none());
    };
    check(None, Some("access_denied"), "access_denied").await;
    check(Some("code"), Some("access_denied"), "access_denied").await;
    check(None, Some("server_error"), "consent_failed").await;
    check(None, None, "consent_failed").await;
    check(Some("bad"), None, "code_rejected").await;
    check(Some("down"), None, "provider_unavailable").await;
}

#[tokio::test]
async fn a_grant_that_lacks_something_is_given_back_and_nothing_is_stored() {
    let world = World::new();
    let person = world.person();
    for missing in [Permission::Events, Permission::FreeBusy, Permission::Offline] {
        world.google.leaves_out(&[missing]);
        let refused = world.connect(&person).await.unwrap_err();
        let FinishError::Incomplete(found) = refused else { panic!("{refused:?}") };
        assert_eq!(found, [missing]);
        assert!(world.credential(&person).is_none());
    }
    assert_eq!(world.google.revoked(), ["access-1", "access-2", "access-3"]);
}

#[tokio::test]
async fn a_grant_that_somebody_lives_by_is_never_given_back() {
    let world = World::new();
    let (ours, theirs) = (world.connected().await, world.connected().await);
    world.google.leaves_out(&[Permission::Events]);
    assert!(world.connect(&ours).await.is_err());
    assert!(world.google.revoked().is_empty(), "the earlier connection of the same account works on");
    assert_eq!(world.token(&ours).await.unwrap(), "access-1");

    assert!(world.disconnect.run(&ours.scope, GOOGLE).await.unwrap());
    assert!(world.google.revoked().is_empty(), "another organization is connected to the same account");
    assert!(world.credential(&ours).is_none());
    assert!(matches!(world.token(&ours).await, Err(AccessError::Resolve(ResolveError::NotFound { .. }))));
    assert!(world.disconnect.run(&theirs.scope, GOOGLE).await.unwrap());
    assert_eq!(world.google.revoked(), ["refresh-2"], "our copy first, then the grant");
    assert!(!world.disconnect.run(&theirs.scope, GOOGLE).await.unwrap());
}

#[tokio::test]
async fn connecting_another_account_replaces_the_first_and_gives_it_back() {
    let world = World::new();
    let person = world.connected().await;
    world.google.signs_in("bob");
    assert_eq!(world.connect(&person).await.unwrap().email, "bob@clinic.example");
    assert_eq!(world.token(&person).await.unwrap(), "access-2");
    assert_eq!(world.google.revoked(), ["refresh-1"]);
    assert_eq!(world.store.connection(person.org, GOOGLE).unwrap().0.subject, "bob");
}

#[tokio::test]
async fn a_token_is_refreshed_ahead_of_its_end_and_the_refresh_token_is_kept() {
    let world = World::new();
    let person = world.connected().await;
    world.pass(3_600 - 226);
    assert_eq!(world.token(&person).await.unwrap(), "access-1");
    world.pass(1);
    assert_eq!(world.token(&person).await.unwrap(), "access-2");
    let grant = world.grant(&person);
    assert_eq!(grant.refresh_token.expose_secret(), "refresh-1");
    assert_eq!((grant.subject.as_str(), grant.email.as_str()), ("ann", "ann@clinic.example"));
    assert_eq!(grant.expires_at, world.clock.now() + SignedDuration::from_hours(1));
    assert_eq!(world.store.connection(person.org, GOOGLE).unwrap().0.refreshed_at, world.clock.now());
}

#[tokio::test]
async fn a_new_refresh_token_takes_the_old_ones_place() {
    let world = World::new();
    let person = world.connected().await;
    world.google.rotate();
    for _ in 0..3 {
        world.pass(3_600);
        world.token(&person).await.unwrap();
    }
    assert_eq!(world.google.refreshed(), ["refresh-1", "refresh-2", "refresh-3"]);
}

#[tokio::test]
async fn however_many_ask_at_once_one_refreshes() {
    let world = Arc::new(World::new());
    let (person, other) = (world.connected().await, world.connected().await);
    world.pass(3_600);
    let ask = |person: Person| {
        let world = world.clone();
        tokio::spawn(async move { world.token(&person).await.unwrap() })
    };
    let asking: Vec<_> = (0..50).flat_map(|_| [ask(person), ask(other)]).collect();
    let mut tokens = std::collections::HashSet::new();
    for token in asking {
        tokens.insert(token.await.unwrap());
    }
    assert_eq!(tokens.len(), 2, "{tokens:?}");
    assert_eq!(world.google.refreshed().len(), 2, "once for each organization");
}

#[tokio::test]
async fn a_grant_that_is_gone_is_told_once_and_only_signing_in_again_mends_it() {
    let world = World::new();
    let person = world.connected().await;
    world.pass(3_600);
    world.google.next_goes(Goes::Dead);
    let gone = world.token(&person).await.unwrap_err();
    assert_eq!(
        (gone.code(), gone.to_string().as_str()),
        ("reconnect_required", "Google Calendar token expired")
    );
    let stored = world.credential(&person).unwrap();
    assert_eq!(stored.status, CredentialStatus::ReconnectRequired);
    assert_eq!(stored.error_code.as_deref(), Some("reconnect_required"));
    assert!(world.store.connection(person.org, GOOGLE).unwrap().1.is_some());
    assert_eq!(world.store.credentials.audited(), ["credential.connected", "credential.reconnect_required"]);
    let told = world.store.activity();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].kind, ActivityKind::IntegrationNeedsReconnect);
    assert!(told[0].summary.starts_with("Google Calendar"));
    assert_eq!(world.store.told(), [(person.org, GOOGLE)]);

    assert_eq!(world.token(&person).await.unwrap_err().code(), "reconnect_required");
    assert_eq!(world.verify.run(&person.scope, GOOGLE).await.unwrap_err().code(), "reconnect_required");
    assert_eq!(world.google.refreshed().len(), 1, "the provider is not asked again");
    assert_eq!(world.store.activity().len(), 1);
    assert!(world.due.due(world.clock.now()).await.unwrap().is_empty());

    world.connect(&person).await.unwrap();
    assert_eq!(world.token(&person).await.unwrap(), "access-2");
    assert_eq!(world.credential(&person).unwrap().status, CredentialStatus::Verified);
}

#[tokio::test]
async fn nothing_else_a_provider_says_ends_a_connection() {
    for goes in [Goes::Down, Goes::Lost, Goes::OurFault] {
        let world = World::new();
        let person = world.connected().await;
        world.pass(3_600);
        world.google.next_goes(goes);
        assert!(matches!(world.token(&person).await, Err(AccessError::Provider(_))), "{goes:?}");
        assert_eq!(world.credential(&person).unwrap().status, CredentialStatus::Verified);
        assert!(world.store.activity().is_empty());
        assert!(world.token(&person).await.unwrap().starts_with("access-"), "the next try succeeds");
    }
}

#[tokio::test]
async fn while_the_provider_is_down_a_token_is_used_up_to_its_end() {
    let world = World::new();
    let person = world.connected().await;
    world.pass(3_600 - 60);
    world.google.next_goes(Goes::Down);
    assert_eq!(world.token(&person).await.unwrap(), "access-1");
    world.pass(55);
    world.google.next_goes(Goes::Down);
    assert!(world.token(&person).await.is_err(), "five seconds are too few for a request");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_however_many_saw_it_refused() {
    let world = World::new();
    let person = world.connected().await;
    let rejected = world.access.run(&person.scope, GOOGLE).await.unwrap().secret;
    for _ in 0..3 {
        let token = world.access.after_rejection(&person.scope, GOOGLE, &rejected).await.unwrap();
        assert_eq!(token.secret.expose_secret(), "access-2");
    }
    assert_eq!(world.google.refreshed().len(), 1);
}

#[tokio::test]
async fn a_refresh_that_was_overtaken_overwrites_nothing() {
    let world = Arc::new(World::new());
    let person = world.connected().await;
    world.pass(3_600);
    let slow = world.ask_slowly(person).await;
    world.google.signs_in("bob");
    world.connect(&person).await.unwrap();
    world.google.hold(false);
    let token = slow.await.unwrap().unwrap();
    assert_eq!(token, world.grant(&person).access_token.expose_secret(), "bob's");
    assert_eq!(world.grant(&person).subject, "bob");

    world.pass(3_600);
    let slow = world.ask_slowly(person).await;
    world.store.expire_claims();
    let before = world.credential(&person);
    world.google.hold(false);
    assert!(slow.await.unwrap().is_ok());
    assert_eq!(world.credential(&person), before, "whoever lost the claim does not write");
}

#[tokio::test]
async fn a_death_that_was_overtaken_ends_nothing() {
    let world = Arc::new(World::new());
    let person = world.connected().await;
    world.pass(3_600);
    world.google.next_goes(Goes::Dead);
    let slow = world.ask_slowly(person).await;
    world.connect(&person).await.unwrap();
    world.google.hold(false);
    assert_eq!(slow.await.unwrap().unwrap(), "access-2");
    assert_eq!(world.credential(&person).unwrap().status, CredentialStatus::Verified);
    assert!(world.store.activity().is_empty());
}

#[tokio::test]
async fn what_the_store_did_not_take_did_not_happen() {
    let world = World::new();
    let person = world.connected().await;
    world.pass(3_600);
    world.google.next_goes(Goes::Dead);
    world.store.fail_commits(true);
    assert!(world.token(&person).await.is_err());
    world.store.fail_commits(false);
    assert_eq!(world.credential(&person).unwrap().status, CredentialStatus::Verified);
    assert!(world.store.activity().is_empty());
    assert!(world.token(&person).await.is_ok());
}

#[tokio::test]
async fn the_schedule_refreshes_what_ends_soon_or_was_not_used_for_weeks() {
    let world = World::new();
    let person = world.connected().await;
    let due = async || world.due.due(world.clock.now()).await.unwrap();
    assert!(due().await.is_empty());
    world.pass(3_600 - 720 + 1);
    assert_eq!(due().await, [DueConnection { org: person.org, calendar: GOOGLE }]);
    world.due.enqueue(&person.scope, GOOGLE, None).await.unwrap();
    let job = RefreshToken { org_id: person.org, calendar: GOOGLE, now: None };
    assert_eq!(world.store.credentials.jobs(), [NewJob::of(&job).keyed("refresh-token:google_calendar")]);

    world.due.refresh(&person.scope, GOOGLE, world.clock.now()).await.unwrap();
    world.due.refresh(&person.scope, GOOGLE, world.clock.now()).await.unwrap();
    assert_eq!(world.google.refreshed().len(), 1, "the second finds nothing to do");
    assert!(due().await.is_empty());
}

#[tokio::test]
async fn verifying_refreshes_whatever_the_token_is_good_for() {
    let world = World::new();
    let person = world.connected().await;
    world.pass(60);
    assert_eq!(world.verify.run(&person.scope, GOOGLE).await.unwrap(), world.clock.now());
    assert_eq!(world.token(&person).await.unwrap(), "access-2");
    assert_eq!(world.credential(&person).unwrap().last_verified, Some(world.clock.now()));
    world.google.next_goes(Goes::Down);
    assert_eq!(world.verify.run(&person.scope, GOOGLE).await.unwrap_err().code(), "provider_unavailable");
    assert!(matches!(
        world.verify.run(&world.person().scope, GOOGLE).await,
        Err(AccessError::Resolve(ResolveError::NotFound { .. }))
    ));
}

//! What the cache promises: one load for many, nothing stale, an absence soon forgotten.

use secrecy::ExposeSecret;

use super::*;
use crate::testing::World;

fn twilio(token: &str) -> Twilio {
    Twilio { account_sid: "AC1".to_owned(), auth_token: token.into(), phone_number: None }
}

async fn store(vault: &Vault, scope: &OrgScope, token: &str) -> CredentialId {
    let (source, status) = (CredentialSource::Byoc, CredentialStatus::Unverified);
    vault.store(scope, &twilio(token), source, status, None).await.unwrap()
}

async fn token(vault: &Vault, scope: &OrgScope) -> String {
    vault.twilio(scope).await.unwrap().auth_token.expose_secret().to_owned()
}

#[tokio::test]
async fn a_hundred_readers_cause_one_load() {
    let world = World::new();
    let (vault, scope) = (world.vault(), world.scope());
    store(&vault, &scope, "one").await;
    let before = world.store.reads();
    let readers = (0..100).map(|_| {
        let vault = vault.clone();
        tokio::spawn(async move { token(&vault, &scope).await })
    });
    for reader in readers.collect::<Vec<_>>() {
        assert_eq!(reader.await.unwrap(), "one");
    }
    assert_eq!(world.store.reads() - before, 1);
    let stats = vault.cache_stats();
    assert_eq!((stats.hits, stats.negatives, stats.misses), (99, 0, 1));
}

#[tokio::test]
async fn what_is_stored_or_removed_through_it_is_seen_at_once_and_audited() {
    let world = World::new();
    let (vault, scope) = (world.vault(), world.scope());
    vault.connected();
    assert!(vault.get::<Twilio>(&scope).await.unwrap().is_none());
    store(&vault, &scope, "one").await;
    assert_eq!(token(&vault, &scope).await, "one");
    store(&vault, &scope, "two").await;
    assert_eq!(token(&vault, &scope).await, "two");
    assert!(vault.remove(&scope, CredentialProvider::Twilio).await.unwrap());
    assert!(!vault.remove(&scope, CredentialProvider::Twilio).await.unwrap());
    let error = vault.twilio(&scope).await.unwrap_err();
    assert_eq!(error.to_string(), format!("twilio credentials not found for org {}", scope.org()));
    assert_eq!(world.store.audited(), ["credential.stored", "credential.stored", "credential.removed"]);
}

#[tokio::test]
async fn a_change_made_elsewhere_is_seen_once_somebody_tells_of_it() {
    let world = World::new();
    let (here, there, scope, other) = (world.vault(), world.vault(), world.scope(), world.scope());
    here.connected();
    store(&there, &scope, "one").await;
    store(&there, &other, "other").await;
    assert_eq!(
        (token(&here, &scope).await, token(&here, &other).await),
        ("one".to_owned(), "other".to_owned())
    );
    store(&there, &scope, "two").await;
    assert_eq!(token(&here, &scope).await, "one");
    let reads = world.store.reads();
    here.changed(scope.org(), CredentialProvider::Resend).await;
    assert_eq!(token(&here, &scope).await, "one", "another provider's change");
    here.changed(scope.org(), CredentialProvider::Twilio).await;
    assert_eq!(token(&here, &scope).await, "two");
    store(&there, &scope, "three").await;
    here.invalidate(scope.org(), None).await;
    assert_eq!(token(&here, &scope).await, "three");
    assert_eq!(token(&here, &other).await, "other");
    assert!(world.store.reads() > reads);
}

#[tokio::test]
async fn a_grant_that_ran_out_says_so_without_reading_again() {
    let world = World::new();
    let (vault, scope) = (world.vault(), world.scope());
    let grant = crate::OAuthGrant {
        subject: "1".to_owned(),
        email: "ann@glow.example".to_owned(),
        scopes: Vec::new(),
        access_token: "a".into(),
        expires_at: Timestamp::UNIX_EPOCH,
        refresh_token: "r".into(),
    };
    let credential =
        Credential::seal(&world.keys, scope.org(), &GoogleCalendar(grant), CredentialSource::Byoc);
    world.store.put(scope.org(), credential.standing(CredentialStatus::ReconnectRequired, None));
    for _ in 0..2 {
        let error = vault.google_calendar(&scope).await.unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.code()),
            ("Google Calendar token expired", "reconnect_required")
        );
    }
    assert_eq!(world.store.reads(), 1);
}

#[tokio::test]
async fn what_does_not_open_is_an_error_every_time_and_stays_as_it_is() {
    let world = World::new();
    let (vault, scope) = (world.vault(), world.scope());
    let foreign = Credential::seal(&world.keys, OrgId::generate(), &twilio("x"), CredentialSource::Byoc);
    world.store.put(scope.org(), foreign.clone());
    for times in 1..=2 {
        assert_eq!(vault.twilio(&scope).await.unwrap_err().code(), "credential_unreadable");
        assert_eq!(vault.resolver().unreadable(), times);
    }
    assert_eq!(world.store.stored(scope.org(), CredentialProvider::Twilio), Some(foreign));
}

#[tokio::test]
async fn an_assistant_is_looked_up_once() {
    let world = World::new();
    let (vault, org) = (world.vault(), OrgId::generate());
    world.store.put_assistant("a1", org);
    for _ in 0..3 {
        assert_eq!(vault.org_of_assistant("a1").await.unwrap(), Some(org));
        assert_eq!(vault.org_of_assistant("nobody's").await.unwrap(), None);
    }
    assert_eq!(world.store.reads(), 2);
}

#[tokio::test]
async fn without_news_nothing_is_trusted_for_long() {
    let vault = World::new().vault();
    assert!(!vault.hears_of_changes());
    vault.connected();
    assert!(vault.hears_of_changes());
    vault.disconnected();
    assert!(!vault.hears_of_changes());
}

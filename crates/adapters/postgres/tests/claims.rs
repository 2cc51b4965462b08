//! Claims: one holder at a time, freed by release and by the clock.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test vouches for its own organization")]

use std::{sync::Arc, time::Duration};

use voxanne_kernel::{Actor, Begin, Claims, Commit, ConfirmClaim, ExtendClaim, OrgScope, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx};
use voxanne_testkit::TestDb;

const LONG: Duration = Duration::from_mins(1);
const NOW: Duration = Duration::ZERO;

async fn organization(db: &TestDb) -> OrgScope {
    let org = OrgId::generate();
    let mut owner = db.owner().await;
    sqlx::query(
        "insert into organizations (id, name, status, timezone) values ($1, 'Glow', 'verified', 'UTC')",
    )
    .bind(org.0)
    .execute(&mut owner)
    .await
    .unwrap();
    OrgScope::vouch(org, Actor::System)
}

#[tokio::test]
async fn of_many_at_once_one_holds_it_and_the_rest_follow_one_by_one() {
    let db = TestDb::new().await;
    let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
    let scope = organization(&db).await;
    let inside = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, inside) = (store.clone(), inside.clone());
            tokio::spawn(async move {
                let claim = store.claim(&scope, "assistant:inbound", LONG, LONG).await.unwrap().unwrap();
                assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                store.release(&scope, claim).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_claim_is_its_organizations_own_and_is_lost_to_the_clock() {
    let db = TestDb::new().await;
    let store = PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap();
    let (ours, theirs) = (organization(&db).await, organization(&db).await);
    let short = store.claim(&ours, "token", Duration::from_millis(1), NOW).await.unwrap().unwrap();
    assert!(store.claim(&theirs, "token", LONG, NOW).await.unwrap().is_some());

    let next = store.claim(&ours, "token", LONG, LONG).await.unwrap().unwrap();
    assert!(store.claim(&ours, "token", LONG, NOW).await.unwrap().is_none());
    store.release(&ours, short.clone()).await.unwrap();
    let mut tx: Box<TenantTx> = store.begin(&ours).await.unwrap();
    assert!(!tx.confirm(&short).await.unwrap(), "a lost claim gives nothing back and confirms nothing");
    assert!(tx.confirm(&next).await.unwrap());
}

#[tokio::test]
async fn a_claim_is_extended_by_its_holder_only() {
    let db = TestDb::new().await;
    let store = PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap();
    let scope = organization(&db).await;
    let extend = async |claim: &voxanne_kernel::Claim, length| {
        let mut tx: Box<TenantTx> = store.begin(&scope).await.unwrap();
        let extended = tx.extend(claim, length).await.unwrap();
        tx.commit().await.unwrap();
        extended
    };
    let ours = store.claim(&scope, "token", LONG, NOW).await.unwrap().unwrap();
    assert!(extend(&ours, LONG).await);
    assert!(extend(&ours, NOW).await, "it may be shortened too");
    let next = store.claim(&scope, "token", LONG, LONG).await.unwrap().unwrap();
    assert!(!extend(&ours, LONG).await, "it was lost");
    assert!(extend(&next, LONG).await);
}

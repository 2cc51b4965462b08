//! Migrating and starting: safe together, and refused under a login that policies do not hold for.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use sqlx::{Connection, Executor, PgConnection};
use voxanne_postgres::{
    PgStore, PoolSettings,
    guard::{UnsafeLogin, check_login},
    migrate::migrate,
};
use voxanne_testkit::TestDb;

async fn check(url: &str) -> Result<(), UnsafeLogin> {
    check_login(&PgStore::new(&PoolSettings::new(url, "test")).unwrap()).await
}

#[tokio::test]
async fn several_may_migrate_one_database_at_once() {
    let db = TestDb::empty().await;
    let url = db.owner_url();
    let all = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { migrate(&url, Some(voxanne_testkit::LOGIN)).await })
    });
    for migrated in all.collect::<Vec<_>>() {
        migrated.await.unwrap().unwrap();
    }
    check(&db.app_url()).await.unwrap();
}

#[tokio::test]
async fn a_login_that_policies_do_not_hold_for_is_refused() {
    let db = TestDb::new().await;
    let refusal = check(&db.owner_url()).await.unwrap_err().to_string();
    assert!(refusal.contains("is a superuser"), "{refusal}");

    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    let login = format!("l{}", std::process::id());
    let create = format!(
        "drop role if exists {login}; create role {login} login bypassrls; grant voxanne_app, voxanne_service to {login}"
    );
    owner.execute(sqlx::AssertSqlSafe(create)).await.unwrap();
    let refusal = check(&db.url_as(&login)).await.unwrap_err().to_string();
    assert!(refusal.contains("has BYPASSRLS"), "{refusal}");

    let demote = format!("alter role {login} nobypassrls; alter table contacts owner to {login}");
    owner.execute(sqlx::AssertSqlSafe(demote)).await.unwrap();
    let refusal = check(&db.url_as(&login)).await.unwrap_err().to_string();
    assert!(refusal.contains("owns the tables"), "{refusal}");

    let disown = format!("alter table contacts owner to current_user; revoke voxanne_service from {login}");
    owner.execute(sqlx::AssertSqlSafe(disown)).await.unwrap();
    let refusal = check(&db.url_as(&login)).await.unwrap_err().to_string();
    assert!(refusal.contains("not a member of voxanne_service"), "{refusal}");

    let tidy = format!("drop owned by {login}; drop role {login}");
    owner.execute(sqlx::AssertSqlSafe(tidy)).await.unwrap();
}

#[tokio::test]
async fn an_old_database_is_refused() {
    let db = TestDb::empty().await;
    assert!(matches!(check(&db.app_url()).await, Err(UnsafeLogin::NotMigrated)));
}

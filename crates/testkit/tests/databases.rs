//! What a test may rely on when it asks for a database.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, Row as _};
use voxanne_testkit::TestDb;

#[tokio::test]
async fn every_test_has_a_migrated_database_of_its_own() {
    let (one, other) = tokio::join!(TestDb::new(), TestDb::new());
    one.owner().await.execute("create table only_here (n int)").await.unwrap();
    let elsewhere = other.owner().await.execute("select * from only_here").await;
    assert!(elsewhere.unwrap_err().to_string().contains("does not exist"));
    other.owner().await.execute("select count(*) from organizations").await.unwrap();
}

#[tokio::test]
async fn the_programs_login_can_take_their_roles_and_bypass_nothing() {
    let db = TestDb::new().await;
    let mut app = db.app().await;
    let login = app
        .fetch_one("select rolsuper or rolbypassrls as mighty, rolname::text as name from pg_roles where rolname = current_user")
        .await
        .unwrap();
    assert!(!login.get::<bool, _>("mighty"));
    assert_eq!(login.get::<String, _>("name"), voxanne_testkit::LOGIN);
    for role in ["voxanne_app", "voxanne_service"] {
        app.execute(AssertSqlSafe(format!("set role {role}; reset role"))).await.unwrap();
    }
}

#[tokio::test]
async fn an_empty_database_holds_no_tables() {
    let db = TestDb::empty().await;
    let tables = "select count(*) from pg_tables where schemaname = 'public'";
    let row = db.owner().await.fetch_one(tables).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 0);
}

#[tokio::test]
async fn a_dropped_database_is_gone_though_somebody_was_connected() {
    let mut lookout = TestDb::empty().await.owner().await;
    let db = TestDb::new().await;
    let mut connected = db.app().await;
    connected.execute("select 1").await.unwrap();
    let name = db.name().to_owned();
    drop(db);
    assert!(connected.ping().await.is_err(), "its connections are cut");

    // The lookout's own database went with its value as well, so it looks from a fresh one.
    assert!(lookout.ping().await.is_err());
    let other = TestDb::empty().await;
    let found = sqlx::query_scalar::<_, bool>("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut other.owner().await)
        .await;
    assert!(!found.unwrap());
}

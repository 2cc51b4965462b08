//! What the vault's memory saves: `cargo bench -p voxanne-postgres --bench credential_read`.
//!
//! Reads one organization's credential from memory, and from the database with decryption, in the same run against a
//! PostgreSQL of its own, and prints how many times faster the first is. The goal is a thousand.

use std::{
    cell::Cell,
    hint::black_box,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use voxanne_credentials::{
    CredentialSource, CredentialStatus, Invalidations, Twilio, Vault, testing::key_ring,
};
use voxanne_kernel::{Actor, OrgScope, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_testkit::TestDb;

/// A vault with one organization that has one credential, which is in memory already.
async fn vault(db: &TestDb) -> (Vault, OrgScope) {
    let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "bench")).expect("a store"));
    let vault = Vault::new(store, Arc::new(key_ring()));
    // Nobody else writes here, so there are no changes to hear of.
    vault.connected();
    #[expect(clippy::disallowed_methods, reason = "the organization is made here")]
    let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
    sqlx::query("insert into organizations (id, name, timezone) values ($1, 'Glow', 'Europe/Paris')")
        .bind(scope.org().0)
        .execute(&mut db.owner().await)
        .await
        .expect("an organization");
    let twilio = Twilio {
        account_sid: "AC00000000000000000000000000000001".to_owned(),
        auth_token: "0123456789abcdef0123456789abcdef".into(),
        phone_number: None,
    };
    let (source, status) = (CredentialSource::Byoc, CredentialStatus::Verified);
    vault.store(&scope, &twilio, source, status, None).await.expect("it is stored");
    vault.twilio(&scope).await.expect("it is read");
    (vault, scope)
}

/// Keeps the mean of a measurement besides what criterion makes of it.
struct Mean(Cell<f64>);

impl Mean {
    fn of(&self, elapsed: Duration, times: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a mean is a float")]
        self.0.set(elapsed.as_secs_f64() / times as f64);
        elapsed
    }
}

fn reads(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let db = runtime.block_on(TestDb::new());
    let (vault, scope) = &runtime.block_on(vault(&db));
    let (memory, database) = (&Mean(Cell::new(0.0)), &Mean(Cell::new(0.0)));
    let mut group = criterion.benchmark_group("credential_read");
    group.bench_function("memory", |bencher| {
        bencher.to_async(&runtime).iter_custom(|times| async move {
            let began = Instant::now();
            for _ in 0..times {
                black_box(vault.twilio(scope).await.expect("it is read"));
            }
            memory.of(began.elapsed(), times)
        });
    });
    group.bench_function("database and decryption", |bencher| {
        bencher.to_async(&runtime).iter_custom(|times| async move {
            let began = Instant::now();
            for _ in 0..times {
                black_box(vault.resolver().open::<Twilio>(scope).await.expect("it is read"));
            }
            database.of(began.elapsed(), times)
        });
    });
    group.finish();
    let ratio = database.0.get() / memory.0.get();
    let _ = writeln!(
        std::io::stdout(),
        "a read from memory is {ratio:.0} times faster than one from the database"
    );
}

criterion_group!(benches, reads);
criterion_main!(benches);

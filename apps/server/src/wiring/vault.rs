//! The vault of this process, which hears of changes made by others.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use voxanne_credentials::{KeyRing, Vault};
use voxanne_postgres::PgStore;

/// A vault on `store` that follows changes made on other replicas and by hand until `closing`.
pub fn follow(store: &Arc<PgStore>, keys: Arc<KeyRing>, closing: CancellationToken) -> Vault {
    let vault = Vault::new(store.clone(), keys);
    let (store, heard) = (store.clone(), vault.clone());
    tokio::spawn(async move { closing.run_until_cancelled(store.follow_credentials(&heard)).await });
    vault
}

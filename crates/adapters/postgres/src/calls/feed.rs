//! The activity of all organizations, for the live dashboards: one poller a process reads it under the service role
//! and hands each organization its own.

use jiff::Timestamp;
use sqlx::FromRow;
use uuid::Uuid;
use voxanne_calls::ActivityEntry;
use voxanne_kernel::{StoreError, ids::OrgId};

use super::log::EntryRow;
use crate::{PgStore, constraint::store_error, sql::to_sql};

/// Entries are dated by the start of their transaction, so a later one can become visible first: whoever polls asks
/// again for a little while back, and tells what it has seen by the ids.
const SINCE: &str = "select org_id, id, at, kind, summary, call_id, appointment_id, contact_id
   from activity_events where at > $1 order by at, id limit $2";

/// An entry and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// Whose.
    pub org: OrgId,
    /// What happened.
    pub entry: ActivityEntry,
}

#[derive(FromRow)]
struct FeedRow {
    org_id: Uuid,
    #[sqlx(flatten)]
    entry: EntryRow,
}

impl PgStore {
    /// The oldest `limit` entries of all organizations dated after `since`.
    pub async fn activity_since(&self, since: Timestamp, limit: u16) -> Result<Vec<FeedEntry>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<FeedRow> = sqlx::query_as(SINCE)
            .bind(to_sql(since))
            .bind(i64::from(limit))
            .fetch_all(tx.conn())
            .await
            .map_err(store_error)?;
        Ok(rows
            .into_iter()
            .map(|row| FeedEntry { org: OrgId(row.org_id), entry: row.entry.into() })
            .collect())
    }
}

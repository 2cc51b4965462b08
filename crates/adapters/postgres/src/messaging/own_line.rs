//! The number that an organization's texts come from.

use async_trait::async_trait;
use voxanne_kernel::{Commit, E164, OrgScope, StoreError};
use voxanne_messaging::providers::{OwnLine, OwnLines, Payer};

use crate::{
    PgStore,
    constraint::{corrupt, store_error},
};

/// In an account that it brought, the number beside it; in the one that we opened, the oldest that we bought.
const OWN_LINE: &str = "select c.source = 'managed' as managed,
    case when c.source = 'managed'
         then (select n.phone_number from managed_phone_numbers n
                where n.org_id = c.org_id and n.status = 'active' order by n.asked_at, n.id limit 1)
         else c.metadata ->> 'phoneNumber' end as phone_number
  from org_credentials c where c.org_id = $1 and c.provider = 'twilio' and c.is_active";

#[async_trait]
impl OwnLines for PgStore {
    async fn own_line(&self, scope: &OrgScope) -> Result<Option<OwnLine>, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let found: Option<(bool, Option<String>)> = sqlx::query_as(OWN_LINE)
            .bind(scope.org().0)
            .fetch_optional(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        let Some((managed, Some(number))) = found else { return Ok(None) };
        let unreadable = |error| corrupt("org_credentials", "metadata", &scope.org(), error);
        let from = E164::new(&number).map_err(unreadable)?;
        Ok(Some(OwnLine { from, payer: if managed { Payer::Platform } else { Payer::Customer } }))
    }
}

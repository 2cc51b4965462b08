//! What an organization wrote about itself and where it wants its calls to go.

use serde_json::{Map, Value};
use sqlx::FromRow;
use voxanne_kernel::{Commit, E164, OrgScope, StoreError};
use voxanne_tooling::CallRouting;

use crate::{
    PgStore,
    constraint::{corrupt, store_error},
};

/// The number shown is the one that rings the longest time already.
const READ: &str = "select o.profile, o.call_routing, o.alert_phone,
        (select m.phone_number from phone_number_mapping m
          where m.org_id = o.id order by m.created_at, m.phone_number limit 1) as phone
   from organizations o where o.id = $1";

/// What an organization wrote about itself, besides its calendar and its prices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AboutOrganization {
    /// In its own shape.
    pub profile: Map<String, Value>,
    /// Where its calls go that need a person.
    pub routing: CallRouting,
    /// Who is called when nobody else is named.
    pub alert_phone: Option<E164>,
    /// The number that people call.
    pub phone: Option<String>,
}

#[derive(FromRow)]
struct Row {
    profile: Value,
    call_routing: Value,
    alert_phone: Option<String>,
    phone: Option<String>,
}

impl PgStore {
    /// What `scope`'s organization wrote; nothing when it is gone.
    pub async fn about_organization(&self, scope: &OrgScope) -> Result<AboutOrganization, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let row: Option<Row> =
            sqlx::query_as(READ).bind(scope.org().0).fetch_optional(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        let Some(row) = row else { return Ok(AboutOrganization::default()) };
        let object = |column, value| match value {
            Value::Object(object) => Ok(object),
            _ => Err(corrupt("organizations", column, &scope.org(), "is not an object")),
        };
        let alert_phone = row.alert_phone.as_deref().map(E164::new).transpose();
        Ok(AboutOrganization {
            profile: object("profile", row.profile)?,
            routing: CallRouting::read(&object("call_routing", row.call_routing)?),
            alert_phone: alert_phone.map_err(|e| corrupt("organizations", "alert_phone", &scope.org(), e))?,
            phone: row.phone,
        })
    }
}

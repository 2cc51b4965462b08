//! The organization itself.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{E164, StoreError, Zone, ids::OrgId};
use voxanne_tenancy::{Document, Organization, OrganizationName, ports::Organizations};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

#[derive(FromRow)]
pub(super) struct OrganizationRow {
    id: Uuid,
    name: String,
    status: String,
    timezone: String,
    currency: String,
    approval_mode: String,
    answer_mode: String,
    alert_phone: Option<String>,
    call_routing: Value,
    profile: Value,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<OrganizationRow> for Organization {
    type Error = StoreError;
    fn try_from(row: OrganizationRow) -> Result<Self, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("organizations", $column, &row.id, error))?
            };
        }
        Ok(Self {
            id: OrgId(row.id),
            name: read!("name", OrganizationName::new(&row.name)),
            status: read!("status", row.status.parse()),
            zone: read!("timezone", Zone::new(&row.timezone)),
            currency: read!("currency", row.currency.parse()),
            approval_mode: read!("approval_mode", row.approval_mode.parse()),
            answer_mode: read!("answer_mode", row.answer_mode.parse()),
            alert_phone: read!("alert_phone", row.alert_phone.as_deref().map(E164::new).transpose()),
            call_routing: read!("call_routing", Document::new(row.call_routing)),
            profile: read!("profile", Document::new(row.profile)),
            created_at: from_sql(row.created_at),
            updated_at: from_sql(row.updated_at),
        })
    }
}

const READ: &str = "select id, name, status, timezone, currency, approval_mode, answer_mode, alert_phone,
        call_routing, profile, created_at, updated_at
   from organizations where id = $1";

const READ_FOR_UPDATE: &str =
    "select id, name, status, timezone, currency, approval_mode, answer_mode, alert_phone,
        call_routing, profile, created_at, updated_at
   from organizations where id = $1 for no key update";

const ADD: &str = "insert into organizations
        (id, name, status, timezone, currency, approval_mode, answer_mode, alert_phone, call_routing, profile,
         created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const SAVE: &str = "update organizations
    set name = $2, status = $3, timezone = $4, currency = $5, approval_mode = $6, answer_mode = $7, alert_phone = $8,
        call_routing = $9, profile = $10, updated_at = $11
  where id = $1";

/// Reads an organization on a connection that may see it.
pub(super) async fn read(
    connection: &mut PgConnection,
    org: Uuid,
) -> Result<Option<Organization>, StoreError> {
    let row: Option<OrganizationRow> =
        sqlx::query_as(READ).bind(org).fetch_optional(connection).await.map_err(store_error)?;
    row.map(TryInto::try_into).transpose()
}

#[async_trait]
impl Organizations for TenantTx {
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError> {
        let org = self.org();
        read(self.conn(), org).await
    }

    async fn organization_for_update(&mut self) -> Result<Option<Organization>, StoreError> {
        let org = self.org();
        let row: Option<OrganizationRow> = sqlx::query_as(READ_FOR_UPDATE)
            .bind(org)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn add_organization(&mut self, organization: &Organization) -> Result<(), StoreError> {
        sqlx::query(ADD)
            .bind(self.org())
            .bind(organization.name.as_str())
            .bind(organization.status.as_str())
            .bind(organization.zone.name())
            .bind(organization.currency.as_str())
            .bind(organization.approval_mode.as_str())
            .bind(organization.answer_mode.as_str())
            .bind(organization.alert_phone.as_ref().map(E164::as_str))
            .bind(organization.call_routing.to_value())
            .bind(organization.profile.to_value())
            .bind(to_sql(organization.created_at))
            .bind(to_sql(organization.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn save_organization(&mut self, organization: &Organization) -> Result<(), StoreError> {
        sqlx::query(SAVE)
            .bind(self.org())
            .bind(organization.name.as_str())
            .bind(organization.status.as_str())
            .bind(organization.zone.name())
            .bind(organization.currency.as_str())
            .bind(organization.approval_mode.as_str())
            .bind(organization.answer_mode.as_str())
            .bind(organization.alert_phone.as_ref().map(E164::as_str))
            .bind(organization.call_routing.to_value())
            .bind(organization.profile.to_value())
            .bind(to_sql(organization.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

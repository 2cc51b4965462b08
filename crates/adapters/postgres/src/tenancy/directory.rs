//! All organizations and people, for the platform's operators.

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_kernel::{
    EmailAddress, Page, PageRequest, Position, StoreError,
    ids::{OrgId, UserId},
};
use voxanne_tenancy::{Organization, OrganizationStatus, User, ports::Directory};

use super::organizations::{self, OrganizationRow};
use crate::{
    SystemTx,
    constraint::{corrupt, store_error},
    sql::to_sql,
};

const LIST: &str = "select id, name, status, timezone, currency, approval_mode, answer_mode, alert_phone,
        call_routing, profile, created_at, updated_at
   from organizations
  where ($1::text is null or status = $1) and ($2::timestamptz is null or (created_at, id) < ($2, $3))
  order by created_at desc, id desc limit $4";

const OWNERLESS: &str = "select o.id from organizations o
  where not exists (select from profiles p where p.org_id = o.id and p.role = 'owner') order by o.id";

const UNATTACHED: &str = "select u.id, u.email from users u
  where not u.is_operator and not exists (select from profiles p where p.user_id = u.id) order by u.id";

#[async_trait]
impl Directory for SystemTx {
    async fn organizations(
        &mut self,
        status: Option<OrganizationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Organization>, StoreError> {
        let rows: Vec<OrganizationRow> = sqlx::query_as(LIST)
            .bind(status.map(OrganizationStatus::as_str))
            .bind(page.after.map(|after| to_sql(after.at)))
            .bind(page.after.map(|after| after.id))
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let organizations = rows.into_iter().map(Organization::try_from).collect::<Result<_, _>>()?;
        Ok(Page::cut(organizations, page, |organization: &Organization| Position {
            at: organization.created_at,
            id: organization.id.0,
        }))
    }

    async fn organization_by_id(&mut self, org: OrgId) -> Result<Option<Organization>, StoreError> {
        organizations::read(self.conn(), org.0).await
    }

    async fn ownerless(&mut self) -> Result<Vec<OrgId>, StoreError> {
        let ids: Vec<Uuid> =
            sqlx::query_scalar(OWNERLESS).fetch_all(self.conn()).await.map_err(store_error)?;
        Ok(ids.into_iter().map(OrgId).collect())
    }

    async fn unattached(&mut self) -> Result<Vec<User>, StoreError> {
        let rows: Vec<(Uuid, String)> =
            sqlx::query_as(UNATTACHED).fetch_all(self.conn()).await.map_err(store_error)?;
        rows.into_iter()
            .map(|(id, email)| {
                let email =
                    EmailAddress::new(&email).map_err(|error| corrupt("users", "email", &id, error))?;
                Ok(User { id: UserId(id), email })
            })
            .collect()
    }
}

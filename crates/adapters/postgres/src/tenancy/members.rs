//! The organization's members.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{EmailAddress, Page, PageRequest, Position, StoreError, ids::UserId};
use voxanne_tenancy::{Member, Role, User, member::NewMember, ports::Members};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

#[derive(FromRow)]
struct MemberRow {
    user_id: Uuid,
    email: String,
    role: String,
    created_at: OffsetDateTime,
}

impl TryFrom<MemberRow> for Member {
    type Error = StoreError;
    fn try_from(row: MemberRow) -> Result<Self, StoreError> {
        let email =
            EmailAddress::new(&row.email).map_err(|error| corrupt("users", "email", &row.user_id, error))?;
        let role = row.role.parse().map_err(|error: voxanne_tenancy::member::UnknownRole| {
            corrupt("profiles", "role", &row.user_id, error)
        })?;
        Ok(Self { user: User { id: UserId(row.user_id), email }, role, since: from_sql(row.created_at) })
    }
}

const ONE: &str = "select p.user_id, u.email, p.role, p.created_at
   from profiles p join users u on u.id = p.user_id
  where p.org_id = $1 and p.user_id = $2";

const LIST: &str = "select p.user_id, u.email, p.role, p.created_at
   from profiles p join users u on u.id = p.user_id
  where p.org_id = $1 and ($2::timestamptz is null or (p.created_at, p.user_id) < ($2, $3))
  order by p.created_at desc, p.user_id desc limit $4";

/// In one order, so that two who lock the same owners do not wait for each other in a circle.
const LOCK_OWNERS: &str =
    "select user_id from profiles where org_id = $1 and role = 'owner' order by user_id for update";

/// A person of another organization is a conflict like any other; the policy keeps that row out of sight.
const ADD: &str = "insert into profiles (org_id, user_id, role, created_at) values ($1, $2, $3, $4)
    on conflict do nothing";

#[async_trait]
impl Members for TenantTx {
    async fn member(&mut self, user: UserId) -> Result<Option<Member>, StoreError> {
        let row: Option<MemberRow> = sqlx::query_as(ONE)
            .bind(self.org())
            .bind(user.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn members(&mut self, page: &PageRequest) -> Result<Page<Member>, StoreError> {
        let rows: Vec<MemberRow> = sqlx::query_as(LIST)
            .bind(self.org())
            .bind(page.after.map(|after| to_sql(after.at)))
            .bind(page.after.map(|after| after.id))
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let members = rows.into_iter().map(Member::try_from).collect::<Result<_, _>>()?;
        Ok(Page::cut(members, page, |member: &Member| Position { at: member.since, id: member.user.id.0 }))
    }

    async fn lock_owners(&mut self) -> Result<Vec<UserId>, StoreError> {
        let owners: Vec<Uuid> = sqlx::query_scalar(LOCK_OWNERS)
            .bind(self.org())
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(owners.into_iter().map(UserId).collect())
    }

    async fn add_member(&mut self, member: &NewMember) -> Result<bool, StoreError> {
        let done = sqlx::query(ADD)
            .bind(self.org())
            .bind(member.user.0)
            .bind(member.role.as_str())
            .bind(to_sql(member.since))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn set_role(&mut self, user: UserId, role: Role) -> Result<(), StoreError> {
        sqlx::query("update profiles set role = $3 where org_id = $1 and user_id = $2")
            .bind(self.org())
            .bind(user.0)
            .bind(role.as_str())
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn remove_member(&mut self, user: UserId) -> Result<(), StoreError> {
        sqlx::query("delete from profiles where org_id = $1 and user_id = $2")
            .bind(self.org())
            .bind(user.0)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

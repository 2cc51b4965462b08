//! People, under the service role.

use async_trait::async_trait;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;
use voxanne_kernel::{EmailAddress, StoreError, ids::UserId};
use voxanne_tenancy::{
    Account, PasswordHash, User,
    member::UnknownRole,
    ports::Accounts,
    user::{NewUser, Standing},
};

use super::organizations;
use crate::{
    SystemTx, TenantTx,
    constraint::{corrupt, store_error},
    sql::to_sql,
};

#[derive(FromRow)]
struct AccountRow {
    id: Uuid,
    email: String,
    password_hash: Option<String>,
    is_operator: bool,
    org_id: Option<Uuid>,
    role: Option<String>,
}

const BY_EMAIL: &str = "select u.id, u.email, u.password_hash, u.is_operator, p.org_id, p.role
   from users u left join profiles p on p.user_id = u.id where u.email = $1";

const BY_ID: &str = "select u.id, u.email, u.password_hash, u.is_operator, p.org_id, p.role
   from users u left join profiles p on p.user_id = u.id where u.id = $1";

const ADD: &str =
    "insert into users (id, email, password_hash, is_operator, created_at) values ($1, $2, $3, $4, $5)
    on conflict (email) do nothing";

async fn by_email(
    connection: &mut PgConnection,
    email: &EmailAddress,
) -> Result<Option<Account>, StoreError> {
    let row = sqlx::query_as(BY_EMAIL)
        .bind(email.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    complete(connection, row).await
}

async fn by_id(connection: &mut PgConnection, user: UserId) -> Result<Option<Account>, StoreError> {
    let row =
        sqlx::query_as(BY_ID).bind(user.0).fetch_optional(&mut *connection).await.map_err(store_error)?;
    complete(connection, row).await
}

/// Adds to a row the organization it mentions.
async fn complete(
    connection: &mut PgConnection,
    row: Option<AccountRow>,
) -> Result<Option<Account>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let standing = match (row.is_operator, row.org_id, &row.role) {
        (true, ..) => Standing::Operator,
        (false, Some(org), Some(role)) => Standing::Member {
            organization: organizations::read(connection, org)
                .await?
                .map(Box::new)
                .ok_or_else(|| corrupt("profiles", "org_id", &row.id, "there is no such organization"))?,
            role: role.parse().map_err(|error: UnknownRole| corrupt("profiles", "role", &row.id, error))?,
        },
        (false, ..) => Standing::Nobody,
    };
    let email = EmailAddress::new(&row.email).map_err(|error| corrupt("users", "email", &row.id, error))?;
    let user = User { id: UserId(row.id), email };
    Ok(Some(Account { user, password: row.password_hash.map(PasswordHash::new), standing }))
}

async fn add(connection: &mut PgConnection, new: &NewUser) -> Result<bool, StoreError> {
    let done = sqlx::query(ADD)
        .bind(new.user.id.0)
        .bind(new.user.email.as_str())
        .bind(new.password.as_ref().map(PasswordHash::as_phc))
        .bind(new.is_operator)
        .bind(to_sql(new.since))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(done.rows_affected() == 1)
}

async fn replace_password(
    connection: &mut PgConnection,
    user: UserId,
    hash: &PasswordHash,
) -> Result<(), StoreError> {
    sqlx::query("update users set password_hash = $2 where id = $1")
        .bind(user.0)
        .bind(hash.as_phc())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl Accounts for SystemTx {
    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        by_email(self.conn(), email).await
    }

    async fn account(&mut self, user: UserId) -> Result<Option<Account>, StoreError> {
        by_id(self.conn(), user).await
    }

    async fn add_user(&mut self, user: &NewUser) -> Result<bool, StoreError> {
        add(self.conn(), user).await
    }

    async fn set_password(&mut self, user: UserId, hash: &PasswordHash) -> Result<(), StoreError> {
        replace_password(self.conn(), user, hash).await
    }
}

#[async_trait]
impl Accounts for TenantTx {
    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        let outcome = by_email(self.service().await?, email).await;
        self.application(outcome).await
    }

    async fn account(&mut self, user: UserId) -> Result<Option<Account>, StoreError> {
        let outcome = by_id(self.service().await?, user).await;
        self.application(outcome).await
    }

    async fn add_user(&mut self, user: &NewUser) -> Result<bool, StoreError> {
        let outcome = add(self.service().await?, user).await;
        self.application(outcome).await
    }

    async fn set_password(&mut self, user: UserId, hash: &PasswordHash) -> Result<(), StoreError> {
        let outcome = replace_password(self.service().await?, user, hash).await;
        self.application(outcome).await
    }
}

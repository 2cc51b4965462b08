//! The credit ledger and the price table.
//!
//! An entry moves the account by a trigger, so that the two cannot differ. What may be spent is read under the account's
//! lock, and what was spent for a message in a later statement: one that waits for a lock sees nothing else that changed
//! while it waited.

use async_trait::async_trait;
use sqlx::{FromRow, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    Currency, Money, Page, PageRequest, Position, StoreError, Timestamp, Zone,
    ids::{CreditEntryId, MessageId},
    place::Country,
};
use voxanne_messaging::{
    channel::{Channel, Provider},
    credits::{
        AccountStatement, Balance, CREDIT_CURRENCY, EntryKind, Ledger, LedgerEntry, MonthSpend, Prices,
        Reservation, Settlement, Statements, Tariff, UnitPrice,
    },
    limits::month_of,
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const WAS_OPENED: &str =
    "select exists (select from credit_entries where org_id = $1 and grant_key = 'signup')";
const OPEN: &str = "insert into credit_accounts (org_id) values ($1) on conflict do nothing";
const SIGN_UP: &str =
    "insert into credit_entries (id, org_id, kind, amount_minor, grant_key, note, created_at)
 values ($1, $2, 'grant', $3, 'signup', 'given to new organizations', $4)
 on conflict (org_id, grant_key) where grant_key is not null do nothing";
const GRANT: &str = "insert into credit_entries (id, org_id, kind, amount_minor, note, created_at)
 values ($1, $2, 'grant', $3, $4, $5)";
const LOCK: &str = "select balance_minor, currency from credit_accounts where org_id = $1 for update";
const READ: &str = "select balance_minor, currency from credit_accounts where org_id = $1";
const MONTH: &str = "select spent_minor, told_percent from credit_accounts where org_id = $1 and month = $2";
const OF_MESSAGE: &str =
    "select kind, amount_minor, month from credit_entries where org_id = $1 and message_id = $2";
const MOVE: &str =
    "insert into credit_entries (id, org_id, kind, amount_minor, message_id, month, created_at)
 values ($1, $2, $3, $4, $5, $6, $7)";
const TOLD: &str = "update credit_accounts set told_percent = $2 where org_id = $1 and month = $3";
const STATEMENT: &str = "select a.balance_minor, a.currency, e.total, e.entries, e.reserved
   from credit_accounts a
  cross join lateral (
        select coalesce(sum(x.amount_minor), 0)::bigint as total, count(*) as entries,
               coalesce(-sum(x.amount_minor) filter (where x.kind = 'reserve' and not exists (
                   select from credit_entries y where y.org_id = x.org_id and y.message_id = x.message_id
                                                  and y.kind in ('settle', 'refund'))), 0)::bigint as reserved
          from credit_entries x where x.org_id = a.org_id) e
  where a.org_id = $1";
const ENTRIES: &str =
    "select id, kind, amount_minor, message_id, note, created_at from credit_entries where org_id = ";
/// A country's own price goes before the one for everywhere else.
const TARIFF: &str = "select distinct on (provider) provider, unit_micros from message_prices
  where channel = $1 and country in ($2, '*') order by provider, country = '*'";

#[derive(FromRow)]
struct AccountRow {
    balance_minor: i64,
    currency: String,
}

#[derive(FromRow)]
struct EntryRow {
    kind: String,
    amount_minor: i64,
    month: Option<String>,
}

#[derive(FromRow)]
struct StatementRow {
    balance_minor: i64,
    currency: String,
    total: i64,
    entries: i64,
    reserved: i64,
}

#[derive(FromRow)]
struct LedgerRow {
    id: Uuid,
    kind: String,
    amount_minor: i64,
    message_id: Option<Uuid>,
    note: Option<String>,
    created_at: OffsetDateTime,
}

impl TryFrom<LedgerRow> for LedgerEntry {
    type Error = StoreError;
    fn try_from(row: LedgerRow) -> Result<Self, StoreError> {
        let kind = EntryKind::read(&row.kind);
        Ok(Self {
            id: CreditEntryId(row.id),
            kind: kind.ok_or_else(|| corrupt("credit_entries", "kind", &row.id, "it is none we know"))?,
            amount: Money::from_minor(row.amount_minor),
            message: row.message_id.map(MessageId),
            note: row.note,
            at: from_sql(row.created_at),
        })
    }
}

/// The ledger's page, behind `sql`.
pub(super) fn entries_of(
    mut sql: QueryBuilder<Postgres>,
    org: Uuid,
    page: &PageRequest,
) -> QueryBuilder<Postgres> {
    sql.push(ENTRIES).push_bind(org);
    if let Some(Position { at, id }) = page.after {
        sql.push(" and (created_at, id) < (").push_bind(to_sql(at)).push(", ").push_bind(id).push(")");
    }
    sql.push(" order by created_at desc, id desc limit ").push_bind(i64::from(page.limit()) + 1);
    sql
}

/// What the ledger says of one message.
struct OfMessage(Vec<EntryRow>);

impl OfMessage {
    fn has(&self, kind: EntryKind) -> bool {
        self.0.iter().any(|entry| entry.kind == kind.as_str())
    }

    /// What the message has cost so far.
    fn cost(&self) -> i64 {
        self.0.iter().map(|entry| entry.amount_minor).fold(0, i64::saturating_sub)
    }

    /// The month it was reserved in.
    fn month(&self) -> Option<&str> {
        self.0.iter().find(|entry| entry.kind == EntryKind::Reserve.as_str())?.month.as_deref()
    }
}

/// The month that an amount counts for.
fn month(at: Timestamp) -> String {
    month_of(at, &Zone::utc()).name
}

impl TenantTx {
    fn balance_of(&self, row: Option<AccountRow>) -> Result<Balance, StoreError> {
        let Some(row) = row else { return Ok(Balance { amount: Money::ZERO, currency: CREDIT_CURRENCY }) };
        let currency: Currency = row
            .currency
            .parse()
            .map_err(|error| corrupt("credit_accounts", "currency", &self.org(), error))?;
        Ok(Balance { amount: Money::from_minor(row.balance_minor), currency })
    }

    /// The account, which nobody else can spend from until the end.
    async fn locked_balance(&mut self) -> Result<Balance, StoreError> {
        let org = self.org();
        let row = sqlx::query_as(LOCK).bind(org).fetch_optional(self.conn()).await.map_err(store_error)?;
        self.balance_of(row)
    }

    async fn of_message(&mut self, message: MessageId) -> Result<OfMessage, StoreError> {
        let org = self.org();
        let rows = sqlx::query_as(OF_MESSAGE).bind(org).bind(message.0).fetch_all(self.conn()).await;
        rows.map(OfMessage).map_err(store_error)
    }

    async fn move_credit(
        &mut self,
        kind: EntryKind,
        amount: i64,
        message: MessageId,
        month: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(MOVE)
            .bind(CreditEntryId::generate().0)
            .bind(org)
            .bind(kind.as_str())
            .bind(amount)
            .bind(message.0)
            .bind(month)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl Ledger for TenantTx {
    async fn open(&mut self, signup: Money, at: Timestamp) -> Result<(), StoreError> {
        let org = self.org();
        let was_opened: bool =
            sqlx::query_scalar(WAS_OPENED).bind(org).fetch_one(self.conn()).await.map_err(store_error)?;
        if was_opened {
            return Ok(());
        }
        sqlx::query(OPEN).bind(org).execute(self.conn()).await.map_err(store_error)?;
        sqlx::query(SIGN_UP)
            .bind(CreditEntryId::generate().0)
            .bind(org)
            .bind(signup.minor())
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn reserve(
        &mut self,
        message: MessageId,
        amount: Money,
        at: Timestamp,
    ) -> Result<Reservation, StoreError> {
        let balance = self.locked_balance().await?;
        if self.of_message(message).await?.has(EntryKind::Reserve) {
            return Ok(Reservation::Already);
        }
        if balance.amount < amount {
            return Ok(Reservation::Insufficient(balance));
        }
        let month = month(at);
        self.move_credit(EntryKind::Reserve, -amount.minor(), message, &month, at).await?;
        let org = self.org();
        // Nothing when a message of an earlier month was reserved by a slow clock.
        let spent: Option<(i64, i16)> = sqlx::query_as(MONTH)
            .bind(org)
            .bind(&month)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        let (spent, told) = spent.unwrap_or((0, 100));
        let told_percent = u8::try_from(told).unwrap_or(u8::MAX);
        Ok(Reservation::Reserved(MonthSpend { spent: Money::from_minor(spent), told_percent }))
    }

    async fn settle(
        &mut self,
        message: MessageId,
        actual: Money,
        at: Timestamp,
    ) -> Result<Settlement, StoreError> {
        self.locked_balance().await?;
        let so_far = self.of_message(message).await?;
        let Some(month) = so_far.month() else { return Ok(Settlement::Nothing) };
        if so_far.has(EntryKind::Settle) || so_far.has(EntryKind::Refund) {
            return Ok(Settlement::Nothing);
        }
        self.move_credit(EntryKind::Settle, so_far.cost() - actual.minor(), message, month, at).await?;
        Ok(Settlement::Done(actual))
    }

    async fn refund(&mut self, message: MessageId, at: Timestamp) -> Result<Settlement, StoreError> {
        self.locked_balance().await?;
        let so_far = self.of_message(message).await?;
        let Some(month) = so_far.month() else { return Ok(Settlement::Nothing) };
        if so_far.has(EntryKind::Refund) {
            return Ok(Settlement::Nothing);
        }
        self.move_credit(EntryKind::Refund, so_far.cost(), message, month, at).await?;
        Ok(Settlement::Done(Money::ZERO))
    }

    async fn balance(&mut self) -> Result<Balance, StoreError> {
        let org = self.org();
        let row = sqlx::query_as(READ).bind(org).fetch_optional(self.conn()).await.map_err(store_error)?;
        self.balance_of(row)
    }

    async fn grant(&mut self, amount: Money, note: &str, at: Timestamp) -> Result<Balance, StoreError> {
        let org = self.org();
        sqlx::query(OPEN).bind(org).execute(self.conn()).await.map_err(store_error)?;
        sqlx::query(GRANT)
            .bind(CreditEntryId::generate().0)
            .bind(org)
            .bind(amount.minor())
            .bind(note)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        self.balance().await
    }

    async fn note_told(&mut self, percent: u8, at: Timestamp) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(TOLD)
            .bind(org)
            .bind(i16::from(percent))
            .bind(month(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl Statements for TenantTx {
    async fn statement(&mut self) -> Result<Option<AccountStatement>, StoreError> {
        let org = self.org();
        let row: Option<StatementRow> =
            sqlx::query_as(STATEMENT).bind(org).fetch_optional(self.conn()).await.map_err(store_error)?;
        let Some(StatementRow { balance_minor, currency, total, entries, reserved }) = row else {
            return Ok(None);
        };
        Ok(Some(AccountStatement {
            balance: self.balance_of(Some(AccountRow { balance_minor, currency }))?,
            sum_of_entries: Money::from_minor(total),
            entries: entries.unsigned_abs(),
            reserved: Money::from_minor(reserved),
        }))
    }

    async fn entries(&mut self, page: &PageRequest) -> Result<Page<LedgerEntry>, StoreError> {
        let mut sql = entries_of(QueryBuilder::default(), self.org(), page);
        let rows: Vec<LedgerRow> = sql.build_query_as().fetch_all(self.conn()).await.map_err(store_error)?;
        let entries = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<LedgerEntry>, _>>()?;
        Ok(Page::cut(entries, page, |entry| Position { at: entry.at, id: entry.id.0 }))
    }

    async fn organization_exists(&mut self) -> Result<bool, StoreError> {
        let org: Uuid = self.org();
        let exists = sqlx::query_scalar("select exists (select from organizations where id = $1)")
            .bind(org)
            .fetch_one(self.conn())
            .await;
        exists.map_err(store_error)
    }
}

#[async_trait]
impl Prices for TenantTx {
    async fn tariff(&mut self, channel: Channel, country: Option<&Country>) -> Result<Tariff, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(TARIFF)
            .bind(channel.as_str())
            .bind(country.map_or("*", Country::as_str))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let read = |(provider, micros): (String, i64)| {
            let known: Provider =
                provider.parse().map_err(|error| corrupt("message_prices", "provider", &provider, error))?;
            let price = UnitPrice::from_micros(micros)
                .ok_or_else(|| corrupt("message_prices", "unit_micros", &provider, "it is negative"))?;
            Ok((known, price))
        };
        rows.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>().map(Tariff::new)
    }
}

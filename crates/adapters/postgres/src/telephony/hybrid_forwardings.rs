//! How the calls of the organization's own phones are forwarded, and whether a test call arrived.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    E164, StoreError,
    ids::{CallerIdId, ForwardingConfigId},
};
use voxanne_telephony::hybrid::{
    Code, ConfigState, Destination, ForwardingConfig, RingTime, Setup, TestCall,
    ports::{Forwardings, Standing, TestCalls},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const TABLE: &str = "hybrid_forwarding_configs";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, verified_caller_id, sim_phone_number, forwarding_type, carrier, carrier_country_code,
                destination_phone_number, ring_time_seconds, status, confirmed_at, test_call_verified_at, test_call_from,
                test_call_started_at, test_call_sid, created_at, updated_at
           from hybrid_forwarding_configs where org_id = $1 ",
            $rest
        )
    };
}

const ONE_TO_CHANGE: &str = select!("and id = $2 for update");
const OF_CALLER_ID: &str = select!("and verified_caller_id = $2 for update");
const ACTIVE_TO: &str =
    select!("and destination_phone_number = $2 and status = 'active' order by created_at, id");

const ADD: &str = "insert into hybrid_forwarding_configs
    (org_id, id, verified_caller_id, sim_phone_number, forwarding_type, carrier, carrier_country_code,
     destination_phone_number, ring_time_seconds, generated_activation_code, generated_deactivation_code, status,
     confirmed, confirmed_at, test_call_verified_at, test_call_from, test_call_started_at, test_call_sid, created_at,
     updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 is not null, $13, $14, $15, $16, $17, $18, $19)
 on conflict (org_id, sim_phone_number) do nothing";

const PUT: &str = "update hybrid_forwarding_configs
    set forwarding_type = $5, carrier = $6, carrier_country_code = $7, destination_phone_number = $8,
        ring_time_seconds = $9, generated_activation_code = $10, generated_deactivation_code = $11, status = $12,
        confirmed = $13 is not null, confirmed_at = $13, test_call_verified_at = $14, test_call_from = $15,
        test_call_started_at = $16, test_call_sid = $17, created_at = $18, updated_at = $19
  where org_id = $1 and id = $2 and verified_caller_id = $3 and sim_phone_number = $4";

/// Numbers that we manage come first, then those that the voice service answers, the oldest of them first of all.
const ACTIVE_NUMBERS: &str = "select p.phone_number from phone_number_mapping p where p.org_id = $1
  order by exists (select from managed_phone_numbers m
                    where m.org_id = p.org_id and m.phone_number = p.phone_number and m.status = 'active') desc,
           p.vapi_phone_id is null, p.created_at, p.phone_number for share of p";

const BEGINS_A_TEST: &str = "select pg_advisory_xact_lock(hashtextextended('test-call:' || $1::text, 0))";

const ANOTHER_TEST: &str = "select exists (select from hybrid_forwarding_configs
  where org_id = $1 and id <> $2 and test_call_started_at > $3)";

/// A call that has proved something proves nothing else.
const ARRIVAL: &str = "select min(started_at) from calls
  where org_id = $1 and started_at between $3 and $4 and call_type = 'inbound' and phone_number = $2
    and started_at > (select coalesce(max(test_call_verified_at), '-infinity') from hybrid_forwarding_configs
                       where org_id = $1)";

const STANDING: &str = "select status from organizations where id = $1";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    verified_caller_id: Uuid,
    sim_phone_number: String,
    forwarding_type: String,
    carrier: String,
    carrier_country_code: String,
    destination_phone_number: String,
    ring_time_seconds: i16,
    status: String,
    confirmed_at: Option<OffsetDateTime>,
    test_call_verified_at: Option<OffsetDateTime>,
    test_call_from: Option<String>,
    test_call_started_at: Option<OffsetDateTime>,
    test_call_sid: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

macro_rules! read {
    ($row:expr, $column:ident, $value:expr) => {
        $value.map_err(|error| corrupt(TABLE, stringify!($column), &$row.id, error))?
    };
}

impl TryFrom<Row> for ForwardingConfig {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let sim = read!(row, sim_phone_number, E164::new(&row.sim_phone_number));
        let to = read!(row, destination_phone_number, E164::new(&row.destination_phone_number));
        let state = match (row.status.as_str(), row.confirmed_at) {
            ("pending_setup", _) => ConfigState::PendingSetup,
            ("active", Some(at)) => ConfigState::Active { confirmed_at: from_sql(at) },
            ("disabled", _) => ConfigState::Disabled,
            _ => return Err(corrupt(TABLE, "status", &row.id, row.status)),
        };
        let from = read!(row, test_call_from, row.test_call_from.as_deref().map(E164::new).transpose());
        let test = from.zip(row.test_call_started_at).map(|(from, started_at)| TestCall {
            from,
            started_at: from_sql(started_at),
            call: row.test_call_sid,
        });
        Ok(Self {
            id: ForwardingConfigId(row.id),
            setup: Setup {
                caller_id: CallerIdId(row.verified_caller_id),
                kind: read!(row, forwarding_type, row.forwarding_type.parse()),
                carrier: read!(row, carrier, row.carrier.parse()),
                country: read!(row, carrier_country_code, row.carrier_country_code.parse()),
                ring: read!(row, ring_time_seconds, RingTime::new(row.ring_time_seconds.into())),
            },
            to: read!(row, destination_phone_number, Destination::new(to, &sim)),
            sim,
            state,
            proved_at: row.test_call_verified_at.map(from_sql),
            test,
            created_at: from_sql(row.created_at),
            updated_at: from_sql(row.updated_at),
        })
    }
}

impl TenantTx {
    async fn write_forwarding(
        &mut self,
        statement: &'static str,
        config: &ForwardingConfig,
    ) -> Result<bool, StoreError> {
        let plan = config.plan().map_err(|error| corrupt(TABLE, "carrier", &config.id, error))?;
        let confirmed_at = match config.state {
            ConfigState::Active { confirmed_at } => Some(to_sql(confirmed_at)),
            ConfigState::PendingSetup | ConfigState::Disabled => None,
        };
        let test = config.test.as_ref();
        let done = sqlx::query(statement)
            .bind(self.org())
            .bind(config.id.0)
            .bind(config.setup.caller_id.0)
            .bind(config.sim.as_str())
            .bind(config.setup.kind.as_str())
            .bind(config.setup.carrier.as_str())
            .bind(config.setup.country.as_str())
            .bind(config.to.number().as_str())
            .bind(i16::from(config.setup.ring.seconds()))
            .bind(plan.activation_code().map(Code::as_str))
            .bind(plan.deactivation_code().map(Code::as_str))
            .bind(config.state.as_str())
            .bind(confirmed_at)
            .bind(config.proved_at.map(to_sql))
            .bind(test.map(|test| test.from.as_str()))
            .bind(test.map(|test| to_sql(test.started_at)))
            .bind(test.and_then(|test| test.call.as_deref()))
            .bind(to_sql(config.created_at))
            .bind(to_sql(config.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn read_forwarding(
        &mut self,
        statement: &'static str,
        id: Uuid,
    ) -> Result<Option<ForwardingConfig>, StoreError> {
        let row: Option<Row> = sqlx::query_as(statement)
            .bind(self.org())
            .bind(id)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(ForwardingConfig::try_from).transpose()
    }
}

#[async_trait]
impl Forwardings for TenantTx {
    async fn forwarding_to_change(
        &mut self,
        id: ForwardingConfigId,
    ) -> Result<Option<ForwardingConfig>, StoreError> {
        self.read_forwarding(ONE_TO_CHANGE, id.0).await
    }

    async fn forwarding_of(&mut self, caller_id: CallerIdId) -> Result<Option<ForwardingConfig>, StoreError> {
        self.read_forwarding(OF_CALLER_ID, caller_id.0).await
    }

    async fn active_forwardings_to(&mut self, number: &E164) -> Result<Vec<ForwardingConfig>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(ACTIVE_TO)
            .bind(self.org())
            .bind(number.as_str())
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        rows.into_iter().map(ForwardingConfig::try_from).collect()
    }

    async fn add_forwarding(&mut self, config: &ForwardingConfig) -> Result<bool, StoreError> {
        self.write_forwarding(ADD, config).await
    }

    async fn put_forwarding(&mut self, config: &ForwardingConfig) -> Result<(), StoreError> {
        self.write_forwarding(PUT, config).await.map(drop)
    }

    async fn active_numbers(&mut self) -> Result<Vec<E164>, StoreError> {
        let numbers: Vec<String> = sqlx::query_scalar(ACTIVE_NUMBERS)
            .bind(self.org())
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let read = |number: String| {
            E164::new(&number).map_err(|e| corrupt("phone_number_mapping", "phone_number", &number, e))
        };
        numbers.into_iter().map(read).collect()
    }
}

#[async_trait]
impl TestCalls for TenantTx {
    async fn another_test_since(
        &mut self,
        than: ForwardingConfigId,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        sqlx::query(BEGINS_A_TEST).bind(self.org()).execute(self.conn()).await.map_err(store_error)?;
        sqlx::query_scalar(ANOTHER_TEST)
            .bind(self.org())
            .bind(than.0)
            .bind(to_sql(since))
            .fetch_one(self.conn())
            .await
            .map_err(store_error)
    }

    async fn arrival(
        &mut self,
        from: &E164,
        (first, last): (Timestamp, Timestamp),
    ) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<OffsetDateTime> = sqlx::query_scalar(ARRIVAL)
            .bind(self.org())
            .bind(from.as_str())
            .bind(to_sql(first))
            .bind(to_sql(last))
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        Ok(at.map(from_sql))
    }

    async fn standing(&mut self) -> Result<Option<Standing>, StoreError> {
        let status: Option<String> = sqlx::query_scalar(STANDING)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(status.map(|status| match status.as_str() {
            "verified" => Standing::Verified,
            "suspended" => Standing::Suspended,
            // Rejected ones included: whatever else there is may not cause calls either.
            _ => Standing::Pending,
        }))
    }
}

//! Managed numbers on a real PostgreSQL: rows read back as they were, are each organization's own, and what is counted
//! and written at the same time stays within its bounds.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test vouches for its own organizations")]

use std::sync::Arc;

use jiff::SignedDuration;
use sqlx::Connection as _;
use voxanne_credentials::{
    Credential, CredentialProvider, CredentialReader as _, CredentialSource, CredentialWriter as _,
    SecretString, Twilio, testing::key_ring,
};
use voxanne_kernel::{
    Actor, Begin, Commit as _, E164, OrgScope, Timestamp,
    ids::{ManagedNumberId, OrgId},
};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx};
use voxanne_telephony::numbers::{
    AccountRecord, ManagedNumber, NumberInventory as _, NumberState, NumbersTx, Progress, Releasing, Slot,
    Standing, Wish,
};
use voxanne_testkit::TestDb;

struct World {
    db: TestDb,
    store: Arc<PgStore>,
}

fn digits(line: u8) -> E164 {
    E164::new(&format!("+151055501{line:02}")).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn number(line: u8) -> ManagedNumber {
    let id = ManagedNumberId::generate();
    ManagedNumber {
        id,
        account: "AC1".to_owned(),
        tag: ManagedNumber::tag_of(id),
        number: digits(line),
        wish: Wish {
            country: "US".parse().unwrap(),
            area_code: Some("510".parse().unwrap()),
            number: None,
            allow_fallback: true,
        },
        state: NumberState::Buying(Progress::Chosen),
        texts: None,
        asked_at: at(0),
        purchased_at: None,
    }
}

fn states() -> [NumberState; 7] {
    let (carrier_id, voice_id) = ("PN1".to_owned(), "vapi-1".to_owned());
    let releasing = Releasing {
        carrier_id: Some(carrier_id.clone()),
        voice_id: Some(voice_id.clone()),
        voice_released: true,
        carrier_released: false,
    };
    [
        NumberState::Buying(Progress::Chosen),
        NumberState::Failed { code: "number_not_available".to_owned() },
        NumberState::Buying(Progress::Chosen),
        NumberState::Buying(Progress::Bought { carrier_id: carrier_id.clone() }),
        NumberState::Active { carrier_id, voice_id },
        NumberState::Releasing(releasing),
        NumberState::Released { at: at(60) },
    ]
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        Self { db, store }
    }

    async fn organization(&self, status: &str) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        sqlx::query("insert into organizations (id, name, status, timezone) values ($1, 'Glow', $2, 'UTC')")
            .bind(scope.org().0)
            .bind(status)
            .execute(&mut self.db.owner().await)
            .await
            .unwrap();
        scope
    }

    async fn tx(&self, scope: &OrgScope) -> Box<dyn NumbersTx> {
        Begin::<dyn NumbersTx>::begin(&*self.store, scope).await.unwrap()
    }

    async fn put(&self, scope: &OrgScope, number: &ManagedNumber) -> bool {
        let mut tx = self.tx(scope).await;
        let put = tx.put_managed_number(number).await.unwrap();
        tx.commit().await.unwrap();
        put
    }

    async fn slot(&self, scope: &OrgScope, source: CredentialSource) {
        let twilio =
            Twilio { account_sid: "AC1".to_owned(), auth_token: SecretString::from("t"), phone_number: None };
        let sealed = Credential::seal(&key_ring(), scope.org(), &twilio, source);
        let mut tx: Box<TenantTx> = self.store.begin(scope).await.unwrap();
        tx.put_credential(&sealed).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn jobs(&self, task: &str) -> i64 {
        sqlx::query_scalar("select count(*) from outbox where task = $1")
            .bind(task)
            .fetch_one(&mut self.db.owner().await)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_number_reads_back_in_every_state_and_only_at_home() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization("verified").await, world.organization("pending").await);
    let mut stored = number(1);
    for state in states() {
        stored.purchased_at = matches!(state.as_str(), "active" | "releasing" | "released").then(|| at(30));
        stored.state = state;
        assert!(world.put(&ours, &stored).await);
        let mut tx = world.tx(&ours).await;
        assert_eq!(tx.managed_number(stored.id).await.unwrap().as_ref(), Some(&stored));
        let live = tx.live_number(&stored.number).await.unwrap();
        assert_eq!(live.is_some(), stored.state.is_live(), "{:?}", stored.state);
        let shown = tx.managed_numbers().await.unwrap();
        assert_eq!(shown.is_empty(), matches!(stored.state, NumberState::Failed { .. }));
        let mut tx = world.tx(&theirs).await;
        assert_eq!(tx.managed_number(stored.id).await.unwrap(), None);
        assert_eq!(tx.live_number(&stored.number).await.unwrap(), None);
        assert!(tx.managed_numbers().await.unwrap().is_empty());
    }
    assert_eq!(world.tx(&ours).await.standing().await.unwrap(), Some(Standing::Verified));
    assert_eq!(world.tx(&theirs).await.standing().await.unwrap(), Some(Standing::NotVerified));
    let gone = OrgScope::vouch(OrgId::generate(), Actor::System);
    assert_eq!(world.tx(&gone).await.standing().await.unwrap(), None);
}

#[tokio::test]
async fn two_purchases_never_go_after_the_same_number() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization("verified").await, world.organization("verified").await);
    let first = number(1);
    assert!(world.put(&ours, &first).await);
    let second = number(1);
    let mut tx = world.tx(&theirs).await;
    assert!(!tx.put_managed_number(&second).await.unwrap());
    // The unit of work goes on: the next choice is stored in it.
    let second = ManagedNumber { number: digits(2), ..second };
    assert!(tx.put_managed_number(&second).await.unwrap());
    assert!(!tx.put_managed_number(&ManagedNumber { number: digits(1), ..second.clone() }).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(world.tx(&theirs).await.managed_numbers().await.unwrap(), [second]);
    // Released, it can be bought by anybody.
    assert!(world.put(&ours, &ManagedNumber { state: NumberState::Released { at: at(1) }, ..first }).await);
    assert!(world.put(&theirs, &number(1)).await);
}

#[tokio::test]
async fn spending_counts_what_costs_money_and_what_was_bought_lately() {
    let world = World::new().await;
    let scope = world.organization("verified").await;
    for (line, state) in (1..).zip(states()) {
        let mut number = number(line);
        number.asked_at = at(i64::from(line));
        number.purchased_at =
            state.carrier_id().map(|_| at(30)).or_else(|| (state.as_str() == "released").then(|| at(30)));
        number.state = state;
        assert!(world.put(&scope, &number).await);
    }
    let mut tx = world.tx(&scope).await;
    let spent = tx.spending(at(0)).await.unwrap();
    assert_eq!((spent.held, spent.recent, spent.oldest), (5, 6, Some(at(1))));
    let spent = tx.spending(at(5)).await.unwrap();
    assert_eq!((spent.held, spent.recent, spent.oldest), (5, 2, Some(at(6))));
    let spent = tx.spending(at(0) + SignedDuration::from_hours(24)).await.unwrap();
    assert_eq!((spent.held, spent.recent, spent.oldest), (5, 0, None));
}

#[tokio::test]
async fn counting_and_buying_are_one_however_many_ask_at_once() {
    let world = Arc::new(World::new().await);
    let scope = world.organization("verified").await;
    let buyers = (1..=8_u8).map(|line| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut tx = world.tx(&scope).await;
            tx.account_to_change().await.unwrap();
            if tx.spending(at(-1)).await.unwrap().held >= 3 {
                return false;
            }
            assert!(tx.put_managed_number(&number(line)).await.unwrap());
            tx.commit().await.unwrap();
            true
        })
    });
    let mut bought = 0;
    for buyer in buyers.collect::<Vec<_>>() {
        bought += usize::from(buyer.await.unwrap());
    }
    assert_eq!(bought, 3);
    assert_eq!(world.tx(&scope).await.managed_numbers().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_managed_slot_is_put_away_and_into_use_and_one_that_was_brought_is_left_alone() {
    let world = World::new().await;
    let (managed, brought) = (world.organization("verified").await, world.organization("verified").await);
    assert_eq!(world.tx(&managed).await.slot().await.unwrap(), Slot::Empty);
    world.slot(&managed, CredentialSource::Managed).await;
    world.slot(&brought, CredentialSource::Byoc).await;
    for is_active in [false, true, false] {
        for scope in [&managed, &brought] {
            let mut tx = world.tx(scope).await;
            tx.use_slot(is_active).await.unwrap();
            tx.commit().await.unwrap();
        }
        assert_eq!(world.tx(&managed).await.slot().await.unwrap(), Slot::Managed { is_active });
        assert_eq!(world.tx(&brought).await.slot().await.unwrap(), Slot::Brought);
        let mut tx: Box<TenantTx> = world.store.begin(&managed).await.unwrap();
        assert_eq!(tx.credential(CredentialProvider::Twilio).await.unwrap().is_some(), is_active);
    }
}

#[tokio::test]
async fn an_account_is_noted_before_it_is_opened_and_follows_its_organization() {
    let world = World::new().await;
    let (ours, other) = (world.organization("verified").await, world.organization("verified").await);
    let mut tx = world.tx(&ours).await;
    assert_eq!(tx.account().await.unwrap(), None);
    assert_eq!(tx.account_to_change().await.unwrap(), AccountRecord::default());
    let record = AccountRecord { account: Some("AC1".to_owned()), voice_account: Some("c-1".to_owned()) };
    tx.put_account(&record).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.tx(&ours).await.account_to_change().await.unwrap(), record);
    assert_eq!(world.tx(&other).await.account().await.unwrap(), None);

    let mut owner = world.db.owner().await;
    for (status, jobs) in [("verified", 0), ("suspended", 1), ("suspended", 1), ("verified", 2)] {
        for scope in [&ours, &other] {
            sqlx::query("update organizations set status = $2 where id = $1")
                .bind(scope.org().0)
                .bind(status)
                .execute(&mut owner)
                .await
                .unwrap();
        }
        assert_eq!(world.jobs("sync_managed_account").await, jobs, "{status}");
    }
    // As the programs do it, under the application's role.
    let mut app = sqlx::PgConnection::connect(&world.db.app_url()).await.unwrap();
    let mut tx = app.begin().await.unwrap();
    sqlx::query("select enter_org($1)").bind(ours.org().0).execute(&mut *tx).await.unwrap();
    let suspend = "update organizations set status = 'suspended' where id = $1";
    sqlx::query(suspend).bind(ours.org().0).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.jobs("sync_managed_account").await, 3);
}

#[tokio::test]
async fn the_inventory_knows_every_organizations_live_numbers() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization("verified").await, world.organization("suspended").await);
    let active = NumberState::Active { carrier_id: "PN1".to_owned(), voice_id: "vapi-1".to_owned() };
    let (first, second) = (ManagedNumber { state: active, ..number(1) }, number(2));
    let released = ManagedNumber { state: NumberState::Released { at: at(1) }, ..number(3) };
    for (scope, number) in [(&ours, &first), (&theirs, &second), (&theirs, &released)] {
        assert!(world.put(scope, number).await);
    }
    sqlx::query(
        "insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
         select gen_random_uuid(), id, 'inbound', case status when 'verified' then 'a-1' end, 'Glow', 'p', 'v'
           from organizations",
    )
    .execute(&mut world.db.owner().await)
    .await
    .unwrap();
    let mut tx = world.tx(&ours).await;
    tx.account_to_change().await.unwrap();
    tx.ring(&digits(1), "vapi-1").await.unwrap();
    tx.commit().await.unwrap();
    let known = world.store.known().await.unwrap();
    assert_eq!(known.numbers.len(), 2);
    assert!(known.numbers.contains(&(ours.org(), first)) && known.numbers.contains(&(theirs.org(), second)));
    assert_eq!(known.accounts, [(ours.org(), AccountRecord::default())]);
    assert!(known.voice_numbers.contains("vapi-1") && known.imports.contains(&digits(2)));
    assert_eq!(known.organizations.len(), 2);
    assert_eq!(known.assistants.iter().collect::<Vec<_>>(), ["a-1"]);
    assert_eq!(known.expecting_assistants.iter().collect::<Vec<_>>(), [&theirs.org()]);
    assert_eq!(world.store.every_managed_number(None).await.unwrap().len(), 3);
    assert_eq!(world.store.every_managed_number(Some(theirs.org())).await.unwrap().len(), 2);
    let access = world.store.access_of(ours.org()).await.unwrap().unwrap();
    assert!(access.is_verified && !access.is_dynamic && access.assistant.as_deref() == Some("a-1"));
    assert_eq!(access.routed, [(digits(1).to_string(), Some("vapi-1".to_owned()))]);
    assert_eq!(world.store.access_of(OrgId::generate()).await.unwrap(), None);
    let mut tx = world.tx(&ours).await;
    tx.silence(&digits(1)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(world.store.access_of(ours.org()).await.unwrap().unwrap().routed.is_empty());
}

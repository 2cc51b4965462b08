//! What may be sent, to whom, and for how much, on a real PostgreSQL: nobody spends the same credit twice, limits hold
//! over many at once, and nobody sees another organization's.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Begin, Clock, Commit, E164, ManualClock, Money, OrgScope, PageRequest, SendingLimit, Timestamp,
    Zone,
    ids::{ContactId, MessageId, OrgId, TemplateId},
};
use voxanne_messaging::{
    channel::{Channel, Provider},
    consent::{
        Consent, Heard, Meaning, QuietHours, SuppressionReason, Suppressions, SuppressionsError, hear,
    },
    credits::{
        Balance, CreditAccounts, CreditsError, Ledger, Prices, Reservation, Settlement, SignupCredits,
        Statements, least_cost, reserve,
    },
    limits::{
        Counted, ReadRules, Rules, RulesPatch, SetRules, SetRulesError, Taken, Throttle, take_contact,
        take_for_organization, take_room,
    },
    model::{MessagingModel, Mode, Model, Source, Switch, SwitchError, SwitchModel},
    numbering::country_of,
    providers::{
        Account, AccountError, Accounts, EmailProvider, ReadEvents, SmsProvider, WhatsAppProvider, Whose,
    },
    templates::{ManageTemplates, NewTemplate, TemplateChange, TemplateError, TemplateName},
};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx, retention::forget_expired};
use voxanne_testkit::TestDb;

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    clock: Arc<ManualClock>,
}

fn money(minor: i64) -> Money {
    Money::from_minor(minor)
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let settings = PoolSettings { connections: 24, ..PoolSettings::new(db.app_url(), "test") };
        let store = Arc::new(PgStore::new(&settings).unwrap());
        let clock = Arc::new(ManualClock::at("2026-11-21T12:00:00Z".parse().unwrap()));
        Self { db, store, clock }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn organization(&self) -> OrgScope {
        let org = OrgId::generate();
        let mut db = self.db.owner().await;
        sqlx::query(
            "insert into organizations (id, name, timezone) values ($1, 'Clinique', 'America/New_York')",
        )
        .bind(org.0)
        .execute(&mut db)
        .await
        .unwrap();
        sqlx::query(
            "with person as (insert into users (id, email) values ($1, $2) returning id)
             insert into profiles (org_id, user_id, role) select $3, id, 'owner' from person",
        )
        .bind(Uuid::now_v7())
        .bind(format!("{org}@example.com"))
        .bind(org.0)
        .execute(&mut db)
        .await
        .unwrap();
        OrgScope::vouch(org, Actor::System)
    }

    async fn tx(&self, scope: &OrgScope) -> Box<TenantTx> {
        Begin::<TenantTx>::begin(&*self.store, scope).await.unwrap()
    }

    /// An organization with so much to spend.
    async fn with_credit(&self, minor: i64) -> OrgScope {
        let scope = self.organization().await;
        let mut tx = self.tx(&scope).await;
        tx.open(money(minor), self.now()).await.unwrap();
        tx.commit().await.unwrap();
        scope
    }

    async fn reserve(&self, scope: &OrgScope, message: MessageId, minor: i64) -> Reservation {
        let mut tx = self.tx(scope).await;
        let reservation = tx.reserve(message, money(minor), self.now()).await.unwrap();
        tx.commit().await.unwrap();
        reservation
    }

    /// What is left, once the ledger has been seen to prove it.
    async fn left(&self, scope: &OrgScope) -> i64 {
        let statement = self.tx(scope).await.statement().await.unwrap().unwrap();
        assert!(statement.agrees(), "{statement:?}");
        statement.balance.amount.minor()
    }

    async fn rows(&self, query: &'static str, org: &OrgScope) -> Vec<String> {
        sqlx::query_scalar(query).bind(org.org().0).fetch_all(&mut self.db.owner().await).await.unwrap()
    }

    async fn credential(&self, scope: &OrgScope, provider: &str, status: &str, metadata: Value) {
        sqlx::query(
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, metadata, status)
             values ($1, $2, $3, 'byoc', 'x', 'k', $4, $5)",
        )
        .bind(Uuid::now_v7())
        .bind(scope.org().0)
        .bind(provider)
        .bind(metadata)
        .bind(status)
        .execute(&mut self.db.owner().await)
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_cannot_spend_more_than_there_is() {
    let world = Arc::new(World::new().await);
    let scope = world.with_credit(1_007).await;
    let mut racing = JoinSet::new();
    for _ in 0..200 {
        let world = world.clone();
        racing.spawn(async move { world.reserve(&scope, MessageId::generate(), 100).await });
    }
    let outcomes = racing.join_all().await;
    let reserved = outcomes.iter().filter(|outcome| matches!(outcome, Reservation::Reserved(_))).count();
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Reservation::Insufficient(Balance { amount, .. }) if amount.minor() < 100))
        .count();
    assert_eq!((reserved, refused), (10, 190));
    assert_eq!(world.left(&scope).await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_new_organizations_get_is_given_once_whoever_asks() {
    let world = Arc::new(World::new().await);
    let scope = world.organization().await;
    let mut racing = JoinSet::new();
    for _ in 0..40 {
        let world = world.clone();
        racing.spawn(async move {
            let mut tx = world.tx(&scope).await;
            tx.open(money(1_000), world.now()).await.unwrap();
            tx.commit().await.unwrap();
        });
    }
    racing.join_all().await;
    assert_eq!(world.left(&scope).await, 1_000);
    // Somebody who was granted something before still gets it.
    let granted = world.organization().await;
    let mut tx = world.tx(&granted).await;
    tx.grant(money(50), "", world.now()).await.unwrap();
    tx.open(money(1_000), world.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.left(&granted).await, 1_050);
}

#[tokio::test]
async fn a_message_is_paid_for_once_and_given_back_once() {
    let world = World::new().await;
    let scope = world.with_credit(1_000).await;
    let now = world.now();
    let message = MessageId::generate();
    assert!(matches!(world.reserve(&scope, message, 30).await, Reservation::Reserved(_)));
    assert_eq!(world.reserve(&scope, message, 30).await, Reservation::Already);
    assert_eq!(world.left(&scope).await, 970);
    let mut tx = world.tx(&scope).await;
    assert_eq!(tx.settle(message, money(20), now).await.unwrap(), Settlement::Done(money(20)));
    assert_eq!(tx.settle(message, money(25), now).await.unwrap(), Settlement::Nothing);
    tx.commit().await.unwrap();
    assert_eq!(world.left(&scope).await, 980);
    // It was sent, and then did not arrive.
    let mut tx = world.tx(&scope).await;
    assert_eq!(tx.refund(message, now).await.unwrap(), Settlement::Done(Money::ZERO));
    assert_eq!(tx.refund(message, now).await.unwrap(), Settlement::Nothing);
    assert_eq!(tx.settle(message, money(20), now).await.unwrap(), Settlement::Nothing);
    tx.commit().await.unwrap();
    assert_eq!(world.left(&scope).await, 1_000);
    // Nothing comes back for what was never reserved.
    let mut tx = world.tx(&scope).await;
    assert_eq!(tx.refund(MessageId::generate(), now).await.unwrap(), Settlement::Nothing);
    assert_eq!(tx.settle(MessageId::generate(), money(5), now).await.unwrap(), Settlement::Nothing);
    tx.commit().await.unwrap();
    // It cost more than was set aside: the account may be overdrawn by that, and nothing is sent on it then.
    let dear = MessageId::generate();
    world.reserve(&scope, dear, 1_000).await;
    let mut tx = world.tx(&scope).await;
    tx.settle(dear, money(1_010), now).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.left(&scope).await, -10);
    assert!(matches!(world.reserve(&scope, MessageId::generate(), 1).await, Reservation::Insufficient(_)));
}

#[tokio::test]
async fn what_is_not_committed_was_not_spent() {
    let world = World::new().await;
    let scope = world.with_credit(100).await;
    let mut tx = world.tx(&scope).await;
    assert!(matches!(
        tx.reserve(MessageId::generate(), money(100), world.now()).await,
        Ok(Reservation::Reserved(_))
    ));
    drop(tx);
    assert_eq!(world.left(&scope).await, 100);
    assert!(matches!(world.reserve(&scope, MessageId::generate(), 100).await, Reservation::Reserved(_)));
}

#[tokio::test]
async fn the_ledger_cannot_be_rewritten_and_moves_the_balance_by_itself() {
    let world = World::new().await;
    let scope = world.with_credit(100).await;
    let mut owner = world.db.owner().await;
    for rewrite in [
        "update credit_entries set amount_minor = 5",
        "delete from credit_entries",
        "truncate credit_entries",
    ] {
        let error = sqlx::query(rewrite).execute(&mut owner).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
    let forged = "insert into credit_entries (id, org_id, kind, amount_minor, message_id, month, created_at)
                  values (gen_random_uuid(), $1, 'reserve', -101, gen_random_uuid(), '2026-11', now())";
    let error = sqlx::query(forged).bind(scope.org().0).execute(&mut owner).await.unwrap_err();
    assert!(error.to_string().contains("more credit is reserved than there is"), "{error}");
    assert_eq!(world.left(&scope).await, 100);
}

#[tokio::test]
async fn owners_hear_of_their_budget_once_for_each_share_and_month() {
    let world = World::new().await;
    let scope = world.with_credit(10_000).await;
    let rules = SetRules::new(world.store.clone());
    let patch = RulesPatch { monthly_budget: Some(Some(money(1_000))), ..RulesPatch::default() };
    rules.change(&scope, patch).await.unwrap();
    let spend = async |minor| {
        let mut tx = world.tx(&scope).await;
        let message = MessageId::generate();
        reserve(&mut *tx, message, money(minor), world.now()).await.unwrap();
        tx.commit().await.unwrap();
        message
    };
    let told = async || {
        let activity = "select summary from activity_events where org_id = $1 order by at, id";
        let mails = "select data ->> 'percent' from platform_mails where org_id = $1 order by created_at, id";
        (world.rows(activity, &scope).await, world.rows(mails, &scope).await)
    };
    spend(499).await;
    assert_eq!(told().await.1, Vec::<String>::new());
    let last = spend(1).await;
    assert_eq!(
        told().await,
        (vec!["50 % of this month's budget for messages is used".to_owned()], vec!["50".to_owned()])
    );
    // What comes back and is spent again is not told of again.
    let mut tx = world.tx(&scope).await;
    tx.refund(last, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    spend(1).await;
    assert_eq!(told().await.1, ["50"]);
    // From below 80 to above 100 at once: the highest only.
    spend(700).await;
    spend(100).await;
    assert_eq!(told().await.1, ["50", "100"]);
    // The next month begins anew; what is refunded of the last one does not count for it.
    world.clock.set("2026-12-01T00:00:00Z".parse().unwrap());
    spend(600).await;
    assert_eq!(told().await.1, ["50", "100", "50"]);
    let jobs: i64 = sqlx::query_scalar("select count(*) from outbox where task = 'send_mail'")
        .fetch_one(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(jobs, 3);
}

#[tokio::test]
async fn operators_grant_and_see_the_proof() {
    let world = World::new().await;
    let scope = world.organization().await;
    let accounts = CreditAccounts::new(world.store.clone(), SignupCredits::default(), world.clock.clone());
    let shown = accounts.show(&scope).await.unwrap();
    assert_eq!((shown.balance.amount, shown.entries, shown.agrees()), (money(1_000), 1, true));
    assert_eq!(accounts.grant(&scope, money(500)).await.unwrap().amount, money(1_500));
    world.reserve(&scope, MessageId::generate(), 40).await;
    let shown = accounts.show(&scope).await.unwrap();
    assert_eq!((shown.balance.amount, shown.reserved, shown.entries), (money(1_460), money(40), 3));
    assert!(shown.agrees());
    assert_eq!(
        world.rows("select action from audit_events where org_id = $1", &scope).await,
        ["credits.granted"]
    );
    for wrong in [0, -5, i64::MAX] {
        assert!(matches!(accounts.grant(&scope, money(wrong)).await, Err(CreditsError::BadAmount)));
    }
    let nobody = OrgScope::vouch(OrgId::generate(), Actor::CommandLine);
    assert!(matches!(accounts.grant(&nobody, money(5)).await, Err(CreditsError::NotFound)));
    assert!(matches!(accounts.show(&nobody).await, Err(CreditsError::NotFound)));
}

#[tokio::test]
async fn the_table_says_what_a_message_costs_and_who_is_cheapest() {
    let world = World::new().await;
    let scope = world.organization().await;
    let mut tx = world.tx(&scope).await;
    let all = [(Provider::Twilio, 1), (Provider::AfricasTalking, 1), (Provider::Termii, 1)];
    let mut cheapest = async |number: &str| {
        let country = country_of(&E164::new(number).unwrap());
        let tariff = tx.tariff(Channel::Sms, country.as_ref()).await.unwrap();
        least_cost(&tariff, &all)[0]
    };
    assert_eq!(cheapest("+15005550006").await, (Provider::Twilio, money(1)));
    assert_eq!(cheapest("+2348012345678").await, (Provider::Termii, money(1)));
    assert_eq!(cheapest("+254712345678").await, (Provider::AfricasTalking, money(1)));
    // A country without a row of its own, and a number of none.
    assert_eq!(cheapest("+3725123456").await, (Provider::Twilio, money(12)));
    assert_eq!(cheapest("+881612345678").await, (Provider::Twilio, money(12)));
    // Every provider that can send for the platform has a price for everywhere.
    for channel in Channel::ALL {
        let tariff = tx.tariff(channel, None).await.unwrap();
        for provider in channel.of_platform() {
            assert!(tariff.price(*provider).is_some(), "{channel} {provider}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_follow_ups_to_a_contact_goes_within_the_hour() {
    let world = Arc::new(World::new().await);
    let scope = world.organization().await;
    let contact = ContactId::generate();
    let take = |world: Arc<World>, contact| async move {
        let mut tx = world.tx(&scope).await;
        let rules = tx.rules().await.unwrap();
        let taken = take_contact(&mut *tx, &rules, contact, world.now()).await.unwrap();
        tx.commit().await.unwrap();
        taken
    };
    let mut racing = JoinSet::new();
    for _ in 0..50 {
        racing.spawn(take(world.clone(), contact));
    }
    let taken = racing.join_all().await;
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Yes).count(), 1);
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Wait(Duration::from_hours(1))).count(), 49);
    assert_eq!(take(world.clone(), ContactId::generate()).await, Taken::Yes);
    world.clock.advance(SignedDuration::from_mins(59));
    assert_eq!(take(world.clone(), contact).await, Taken::Wait(Duration::from_mins(1)));
    world.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(take(world.clone(), contact).await, Taken::Yes);
    // What came to nothing does not count.
    let mut tx = world.tx(&scope).await;
    tx.give_back(voxanne_messaging::limits::Bucket::Contact(contact)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(take(world.clone(), contact).await, Taken::Yes);
    // Another organization knows nothing of it, and one that wants no pause has none.
    let other = world.organization().await;
    let patch = RulesPatch { contact_pause_minutes: Some(0), ..RulesPatch::default() };
    SetRules::new(world.store.clone()).change(&other, patch).await.unwrap();
    for _ in 0..2 {
        let mut tx = world.tx(&other).await;
        let rules = tx.rules().await.unwrap();
        assert_eq!(take_contact(&mut *tx, &rules, contact, world.now()).await.unwrap(), Taken::Yes);
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_over_many_workers() {
    let world = Arc::new(World::new().await);
    let scope = world.organization().await;
    let patch = RulesPatch { rate_per_minute: Some(120), ..RulesPatch::default() };
    SetRules::new(world.store.clone()).change(&scope, patch).await.unwrap();
    let round = async || {
        let mut racing = JoinSet::new();
        for _ in 0..60 {
            let world = world.clone();
            racing.spawn(async move {
                let mut tx = world.tx(&scope).await;
                let rules = tx.rules().await.unwrap();
                let taken = take_for_organization(&mut *tx, &rules, world.now()).await.unwrap();
                tx.commit().await.unwrap();
                taken
            });
        }
        racing.join_all().await.iter().filter(|taken| **taken == Taken::Yes).count()
    };
    // A tenth of the minute's at once, then one every half second.
    assert_eq!(round().await, 12);
    world.clock.advance(SignedDuration::from_secs(2));
    assert_eq!(round().await, 4);
    assert_eq!(round().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_of_the_day_and_the_month_hold_over_many_at_once() {
    let world = Arc::new(World::new().await);
    let scope = world.organization().await;
    let patch =
        RulesPatch { daily_cap: Some(Some(30)), monthly_cap: Some(Some(40)), ..RulesPatch::default() };
    SetRules::new(world.store.clone()).change(&scope, patch).await.unwrap();
    let round = async || {
        let mut racing = JoinSet::new();
        for _ in 0..50 {
            let world = world.clone();
            racing.spawn(async move {
                let mut tx = world.tx(&scope).await;
                let rules = tx.rules().await.unwrap();
                let taken = take_room(&mut *tx, &rules, 1, world.now()).await.unwrap();
                tx.commit().await.unwrap();
                taken
            });
        }
        let taken = racing.join_all().await;
        let full = taken.iter().find(|taken| **taken != Counted::Yes).copied();
        (taken.iter().filter(|taken| **taken == Counted::Yes).count(), full)
    };
    // Noon in UTC is seven in the morning in New York.
    let full = |limit, after| Some(Counted::Full { limit, after });
    assert_eq!(round().await, (30, full(SendingLimit::Day, Duration::from_hours(17))));
    world.clock.advance(SignedDuration::from_hours(24));
    let days_left = "2026-12-01T05:00:00Z".parse::<Timestamp>().unwrap().duration_since(world.now());
    assert_eq!(round().await, (10, full(SendingLimit::Month, days_left.try_into().unwrap())));
    let counted = world
        .rows("select period || ' ' || messages from messaging_counts where org_id = $1 order by 1", &scope);
    assert_eq!(counted.await, ["2026-11 40", "2026-11-21 30", "2026-11-22 10"]);
    // All of a batch or none of it.
    let other = world.organization().await;
    let mut tx = world.tx(&other).await;
    let rules = Rules { daily_cap: Some(5), ..tx.rules().await.unwrap() };
    assert!(matches!(take_room(&mut *tx, &rules, 6, world.now()).await, Ok(Counted::Full { .. })));
    assert_eq!(take_room(&mut *tx, &rules, 5, world.now()).await.unwrap(), Counted::Yes);
}

#[tokio::test]
async fn rules_are_the_usual_ones_until_somebody_sets_others() {
    let world = World::new().await;
    let scope = world.organization().await;
    let rules = SetRules::new(world.store.clone());
    let usual = Rules::usual(Zone::new("America/New_York").unwrap());
    assert_eq!(rules.show(&scope).await.unwrap(), usual);
    // A row with the table's own defaults says the same.
    let mut db = world.db.owner().await;
    sqlx::query("insert into messaging_settings (org_id) values ($1)")
        .bind(scope.org().0)
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(rules.show(&scope).await.unwrap(), usual);
    assert_eq!(world.tx(&scope).await.messaging_model().await.unwrap(), MessagingModel::default());
    let quiet = QuietHours::new(jiff::civil::time(22, 30, 0, 0), jiff::civil::time(7, 15, 0, 0)).unwrap();
    let patch = RulesPatch {
        quiet_hours: Some(Some(quiet)),
        contact_pause_minutes: Some(30),
        rate_per_minute: Some(10),
        daily_cap: Some(Some(0)),
        monthly_cap: Some(Some(500)),
        monthly_budget: Some(Some(money(2_500))),
    };
    let changed = rules.change(&scope, patch).await.unwrap();
    assert_eq!(rules.show(&scope).await.unwrap(), changed);
    assert_eq!(
        (changed.quiet_hours, changed.daily_cap, changed.monthly_budget),
        (Some(quiet), Some(0), Some(money(2_500)))
    );
    let none = RulesPatch { quiet_hours: Some(None), daily_cap: Some(None), ..RulesPatch::default() };
    let changed = rules.change(&scope, none).await.unwrap();
    assert_eq!((changed.quiet_hours, changed.daily_cap, changed.contact_pause_minutes), (None, None, 30));
    assert_eq!(rules.show(&scope).await.unwrap(), changed);
    // Nothing different is nothing done, and what cannot be changes nothing.
    rules.change(&scope, RulesPatch::default()).await.unwrap();
    for (patch, field) in [
        (RulesPatch { contact_pause_minutes: Some(10_081), ..RulesPatch::default() }, "contactPauseMinutes"),
        (RulesPatch { rate_per_minute: Some(0), ..RulesPatch::default() }, "ratePerMinute"),
        (RulesPatch { daily_cap: Some(Some(10_000_001)), ..RulesPatch::default() }, "dailyCap"),
        (RulesPatch { monthly_cap: Some(Some(u32::MAX)), ..RulesPatch::default() }, "monthlyCap"),
        (RulesPatch { monthly_budget: Some(Some(money(-1))), ..RulesPatch::default() }, "monthlyBudget"),
    ] {
        let refused = rules.change(&scope, patch).await;
        assert!(matches!(refused, Err(SetRulesError::Bad(bad)) if bad.field == field), "{field}");
    }
    let audited = world.rows("select action from audit_events where org_id = $1", &scope).await;
    assert_eq!(audited, ["messaging_settings.updated"; 2]);
}

#[tokio::test]
async fn stop_is_heard_and_start_lifts_it() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let number = E164::new("+15005550006").unwrap();
    let say = async |text: &str| {
        let mut tx = world.tx(&scope).await;
        let heard =
            hear(&mut *tx, Channel::Sms, &number, Meaning::of(text, None), world.now()).await.unwrap();
        tx.commit().await.unwrap();
        heard
    };
    assert_eq!(say("When are you open?").await, Heard::Said);
    assert_eq!(say("yes").await, Heard::Started(false));
    assert_eq!(say("Stop").await, Heard::Stopped(true));
    assert_eq!(say("QUIT").await, Heard::Stopped(false));
    let suppressed = async |scope: &OrgScope, channel| {
        world.tx(scope).await.suppression(channel, number.as_str()).await.unwrap().map(|found| found.reason)
    };
    assert_eq!(suppressed(&scope, Channel::Sms).await, Some(SuppressionReason::Stop));
    assert_eq!(suppressed(&scope, Channel::Whatsapp).await, None);
    assert_eq!(suppressed(&other, Channel::Sms).await, None);
    assert_eq!(say("help").await, Heard::Helped);
    assert_eq!(say("START").await, Heard::Started(true));
    assert_eq!(suppressed(&scope, Channel::Sms).await, None);
}

#[tokio::test]
async fn suppressions_are_listed_and_lifted_by_hand_and_by_nobody_else() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let list = Suppressions::new(world.store.clone());
    let mut tx = world.tx(&scope).await;
    for (channel, recipient, reason) in [
        (Channel::Sms, "+15005550006", SuppressionReason::Stop),
        (Channel::Email, "ann@example.com", SuppressionReason::HardBounce),
        (Channel::Email, "bob@example.com", SuppressionReason::Complaint),
    ] {
        assert!(tx.suppress(channel, recipient, reason, world.now()).await.unwrap());
        world.clock.advance(SignedDuration::from_secs(1));
    }
    // The first reason stays.
    assert!(
        !tx.suppress(Channel::Email, "ann@example.com", SuppressionReason::Manual, world.now())
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let first = PageRequest::new(2, None).unwrap();
    let page = list.list(&scope, None, &first).await.unwrap();
    let names = |rows: &[voxanne_messaging::consent::Suppression]| {
        rows.iter().map(|row| format!("{} {}", row.recipient, row.reason)).collect::<Vec<_>>()
    };
    assert_eq!(names(&page.rows), ["bob@example.com complaint", "ann@example.com hard_bounce"]);
    let rest = list.list(&scope, None, &PageRequest::new(2, page.next).unwrap()).await.unwrap();
    assert_eq!((names(&rest.rows), rest.next), (vec!["+15005550006 stop".to_owned()], None));
    assert_eq!(list.list(&scope, Some(Channel::Sms), &first).await.unwrap().rows.len(), 1);
    let id = page.rows[0].id;
    assert!(matches!(list.get(&other, id).await, Err(SuppressionsError::NotFound)));
    assert!(matches!(list.lift(&other, id).await, Err(SuppressionsError::NotFound)));
    list.lift(&scope, id).await.unwrap();
    assert!(matches!(list.lift(&scope, id).await, Err(SuppressionsError::NotFound)));
    assert!(list.list(&other, None, &first).await.unwrap().rows.is_empty());
    let audited = world
        .rows("select action || coalesce(before::text, '') from audit_events where org_id = $1", &scope)
        .await;
    assert_eq!(audited.len(), 1);
    assert!(
        audited[0].starts_with("messaging_suppression.lifted") && !audited[0].contains('@'),
        "{audited:?}"
    );
}

fn template(name: &str, body: &str) -> NewTemplate {
    NewTemplate::new(TemplateName::new(name).unwrap(), Channel::Sms, None, body.to_owned()).unwrap()
}

#[tokio::test]
async fn every_change_of_a_template_makes_a_version() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let templates = ManageTemplates::new(world.store.clone(), world.clock.clone());
    let first = templates.add(&scope, template("Reminder", "Hi {{name}}")).await.unwrap();
    let taken = templates.add(&scope, template("REMINDER", "x")).await;
    assert!(matches!(taken, Err(TemplateError::NameTaken)));
    templates.add(&other, template("Reminder", "theirs")).await.unwrap();
    let say = |body: &str| TemplateChange { body: Some(body.to_owned()), ..TemplateChange::default() };
    let second = templates.change(&scope, first.id, say("Hello {{name}}")).await.unwrap();
    assert_eq!((second.version, second.variables()), (2, vec!["name".to_owned()]));
    // The same again is no version.
    assert_eq!(templates.change(&scope, first.id, say("Hello {{name}}")).await.unwrap().version, 2);
    let refused = templates.change(&scope, first.id, say("Reply CANCEL to cancel")).await;
    assert!(matches!(refused, Err(TemplateError::Bad(bad)) if bad.field == "body"));
    let moved = TemplateChange { channel: Some(Channel::Email), ..TemplateChange::default() };
    assert!(
        matches!(templates.change(&scope, first.id, moved).await, Err(TemplateError::Bad(bad)) if bad.field == "channel")
    );
    let versions = templates.versions(&scope, first.id).await.unwrap();
    let said: Vec<_> = versions.iter().map(|version| (version.version, version.body.as_str())).collect();
    assert_eq!(said, [(2, "Hello {{name}}"), (1, "Hi {{name}}")]);
    assert_eq!(templates.get(&scope, first.id).await.unwrap(), second);
    let (_, rendered) =
        templates.preview(&scope, first.id, &[("name".to_owned(), "Ann".to_owned())].into()).await.unwrap();
    assert_eq!(rendered.text, "Hello Ann");
    let missing = templates.preview(&scope, first.id, &[].into()).await;
    assert!(matches!(missing, Err(TemplateError::Render(_))));
    // Nobody else's.
    for id in [first.id, TemplateId::generate()] {
        assert!(matches!(templates.get(&other, id).await, Err(TemplateError::NotFound)));
        assert!(matches!(templates.versions(&other, id).await, Err(TemplateError::NotFound)));
        assert!(matches!(templates.change(&other, id, say("x")).await, Err(TemplateError::NotFound)));
        assert!(matches!(templates.remove(&other, id).await, Err(TemplateError::NotFound)));
    }
    assert_eq!(templates.list(&scope, None, &PageRequest::first()).await.unwrap().rows.len(), 1);
    assert!(
        templates.list(&scope, Some(Channel::Email), &PageRequest::first()).await.unwrap().rows.is_empty()
    );
    templates.remove(&scope, first.id).await.unwrap();
    assert!(matches!(templates.get(&scope, first.id).await, Err(TemplateError::NotFound)));
    assert!(matches!(templates.versions(&scope, first.id).await, Err(TemplateError::NotFound)));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_once_are_versions_one_after_the_other() {
    let world = Arc::new(World::new().await);
    let scope = world.organization().await;
    let templates = Arc::new(ManageTemplates::new(world.store.clone(), world.clock.clone()));
    let id = templates.add(&scope, template("Reminder", "start")).await.unwrap().id;
    let mut racing = JoinSet::new();
    for number in 0..20 {
        let templates = templates.clone();
        let change = TemplateChange { body: Some(format!("text {number}")), ..TemplateChange::default() };
        racing.spawn(async move { templates.change(&scope, id, change).await.unwrap().version });
    }
    let mut versions = racing.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    assert_eq!(templates.versions(&scope, id).await.unwrap().len(), 21);
}

/// The platform sends mails, and nothing else.
struct OnlyMails;

#[async_trait]
impl Accounts for OnlyMails {
    async fn sms(
        &self,
        _: &OrgScope,
        _: Whose,
        _: Provider,
    ) -> Result<Option<Account<dyn SmsProvider>>, AccountError> {
        Ok(None)
    }

    async fn email(
        &self,
        _: &OrgScope,
        _: Whose,
        _: Provider,
    ) -> Result<Option<Account<dyn EmailProvider>>, AccountError> {
        Ok(None)
    }

    async fn whatsapp(
        &self,
        _: &OrgScope,
        _: Whose,
        _: Provider,
    ) -> Result<Option<Account<dyn WhatsAppProvider>>, AccountError> {
        Ok(None)
    }

    async fn events(
        &self,
        _: Option<&OrgScope>,
        _: Whose,
        _: Provider,
    ) -> Result<Option<Arc<dyn ReadEvents>>, AccountError> {
        Ok(None)
    }

    fn of_platform(&self, channel: Channel) -> Vec<Provider> {
        if channel == Channel::Email { vec![Provider::Resend] } else { Vec::new() }
    }
}

#[tokio::test]
async fn the_model_is_switched_only_to_something_that_can_send() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let model = SwitchModel::new(
        world.store.clone(),
        Arc::new(OnlyMails),
        SignupCredits::default(),
        world.clock.clone(),
    );
    let wanted = Switch {
        mode: Mode::CustomerManaged,
        fallback_to_platform: None,
        notify_users: true,
        reason: Some("cheaper".to_owned()),
    };
    let view = model.show(&scope).await.unwrap();
    assert_eq!(view.model, MessagingModel { mode: Mode::PlatformManaged, fallback_to_platform: true });
    assert_eq!(view.credits.amount, money(1_000));
    assert_eq!(view.channels[1].first, Some((Provider::Resend, Source::Platform)));
    assert!(matches!(model.switch(&scope, wanted.clone()).await, Err(SwitchError::NothingVerified)));
    // Somebody else's account, one that nobody verified, and one for calendars do not help.
    world.credential(&other, "resend", "verified", json!({})).await;
    world.credential(&scope, "termii", "unverified", json!({})).await;
    world.credential(&scope, "google_calendar", "verified", json!({})).await;
    world.credential(&scope, "twilio", "verified", json!({})).await;
    assert!(matches!(model.switch(&scope, wanted.clone()).await, Err(SwitchError::NothingVerified)));
    world.credential(&scope, "sendgrid", "restricted", json!({})).await;
    let view = model.switch(&scope, wanted.clone()).await.unwrap();
    assert_eq!(view.model.mode, Mode::CustomerManaged);
    let first: Vec<_> = view.channels.iter().map(|state| (state.first, state.is_verified)).collect();
    assert_eq!(
        first,
        [(None, false), (Some((Provider::Sendgrid, Source::Organization)), true), (None, false)]
    );
    assert_eq!(model.show(&scope).await.unwrap(), view);
    // The same again changes and tells nothing.
    model.switch(&scope, wanted).await.unwrap();
    let back = Switch {
        mode: Mode::PlatformManaged,
        fallback_to_platform: Some(false),
        notify_users: false,
        reason: None,
    };
    let view = model.switch(&scope, back).await.unwrap();
    assert!(!view.model.fallback_to_platform);
    let audited = "select concat_ws(' ', before ->> 'messagingModel', after ->> 'messagingModel', after ->> 'reason')
                     from audit_events where org_id = $1 and action = 'messaging_model.switched' order by at, id";
    assert_eq!(
        world.rows(audited, &scope).await,
        ["platform_managed customer_managed cheaper", "customer_managed platform_managed"]
    );
    let shown = "select kind from activity_events where org_id = $1";
    assert_eq!(world.rows(shown, &scope).await, ["messaging_model_switched"; 2]);
    let mailed = "select data ->> 'mode' from platform_mails where org_id = $1";
    assert_eq!(world.rows(mailed, &scope).await, ["customer_managed"]);
}

#[tokio::test]
async fn the_ledger_is_shown_page_by_page_and_to_nobody_else() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let accounts = CreditAccounts::new(world.store.clone(), SignupCredits::default(), world.clock.clone());
    let first = accounts.ledger(&scope, &PageRequest::first()).await.unwrap();
    assert_eq!((first.0.amount, first.1.rows.len(), first.1.next), (money(1_000), 1, None));
    accounts.grant(&scope, money(500)).await.unwrap();
    let message = MessageId::generate();
    world.reserve(&scope, message, 40).await;
    let mut tx = world.tx(&scope).await;
    tx.refund(message, world.now()).await.unwrap();
    tx.commit().await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let (balance, page) = accounts.ledger(&scope, &PageRequest::new(3, after).unwrap()).await.unwrap();
        assert_eq!(balance.amount, money(1_500));
        seen.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // All of one moment, so that only their ids order them.
    let mut kinds: Vec<_> = seen.iter().map(|entry| (entry.kind.as_str(), entry.amount.minor())).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("grant", 500), ("grant", 1_000), ("refund", 40), ("reserve", -40)]);
    assert!(seen.iter().all(|entry| entry.message.is_none() == (entry.kind.as_str() == "grant")));
    assert!(seen.is_sorted_by_key(|entry| std::cmp::Reverse((entry.at, entry.id.0))));
    let theirs = accounts.ledger(&other, &PageRequest::first()).await.unwrap();
    assert_eq!((theirs.0.amount, theirs.1.rows.len()), (money(1_000), 1));
}

#[tokio::test]
async fn rates_and_counts_that_matter_no_more_are_forgotten() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let now: Timestamp = "2026-11-02T12:00:00Z".parse().unwrap();
    for org in [&scope, &other] {
        let statement = format!(
            "insert into messaging_rates (org_id, bucket, due_at)
             select '{0}', 'contact:' || n, timestamptz '2026-11-01T11:59:59Z' - n * interval '1 second'
               from generate_series(1, 6000) n;
             insert into messaging_rates (org_id, bucket, due_at)
             values ('{0}', 'organization', '2026-11-01T12:00:01Z'), ('{0}', 'contact:soon', '2026-11-09');
             insert into messaging_counts (org_id, period, messages) select '{0}', p, 5
               from unnest('{{2025-12,2026-09,2026-10,2026-11,2026-10-29,2026-10-30,2026-11-01,2026-11-02,2026-11-03}}'::text[]) p",
            org.org()
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut world.db.owner().await).await.unwrap();
    }
    for _ in 0..2 {
        forget_expired(&world.store, now).await.unwrap();
        for org in [&scope, &other] {
            let left =
                world.rows("select bucket from messaging_rates where org_id = $1 order by bucket", org).await;
            assert_eq!(left, ["contact:soon", "organization"]);
            let left = world
                .rows(
                    "select period from messaging_counts where org_id = $1 order by period collate \"C\"",
                    org,
                )
                .await;
            assert_eq!(left, ["2026-10", "2026-10-30", "2026-11", "2026-11-01", "2026-11-02", "2026-11-03"]);
        }
    }
}

//! Messages on a real PostgreSQL: every state survives its row, nothing is sent twice however many work at once, and
//! nobody sees what is another's.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Begin, Clock, ManualClock, Money, OrgScope, PageRequest, Timestamp,
    ids::{CallId, ContactId, MessageId, OrgId},
};
use voxanne_messaging::{
    accounts_book::{AccountsBook, BookError, Change, KeepCredential, KeepError, Kept, NewEntry},
    channel::{Channel, Provider},
    credits::{CreditAccounts, SignupCredits},
    message::{
        Carrier, Content, Doubt, EmailContent, Message, MessageStatus, NewMessage, Purpose, Recipient, State,
    },
    model::{Mode, Source, Switch, SwitchModel},
    providers::{
        Attachment, DeliveryEvent, EventBatch, Fate, InboundMessage, Payer, ProviderEvent, WhatsAppBody,
        Whose,
    },
    send::{
        Applied, ApplyEvents, EventSource, LookAfter, Origin, Outcome, QueueError, QueueMessage, Resolution,
        ResolveError, ResolveMessage, SendMessage, SendTx, WebhookAddresses,
        ports::{AcrossOrganizations, Standing},
        testing::{Carriage, Carriages, Fuse, Memory, Mishap},
    },
    stats::{Breaker, MessageFilter, ShowMessages},
    templates::Variables,
};
use voxanne_postgres::{PgStore, PoolSettings, SystemTx};
use voxanne_testkit::TestDb;

const TO: &str = "+12025550143";
const NOW: &str = "2026-03-02T15:00:00Z";

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    clock: Arc<ManualClock>,
    accounts: Arc<Carriages>,
    queue: QueueMessage,
    send: SendMessage,
    apply: ApplyEvents,
    sweep: LookAfter,
    show: ShowMessages,
    credits: CreditAccounts,
}

impl World {
    /// Where we have these accounts, and organizations these of their own.
    async fn with(ours: &[(Provider, Memory)], own: &[(Provider, Memory)]) -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at(NOW.parse().unwrap()));
        let mut accounts = Carriages::default();
        for (is_platform, list) in [(true, ours), (false, own)] {
            for (provider, memory) in list {
                let carriage = Carriage::new(*memory, &Fuse::default());
                accounts.accounts.insert((is_platform, *provider), carriage);
            }
        }
        let accounts = Arc::new(accounts);
        let base = WebhookAddresses::new("https://api.voxanne.example".parse().unwrap());
        let signup = SignupCredits::default();
        let apply = ApplyEvents::new(store.clone(), store.clone(), clock.clone());
        Self {
            queue: QueueMessage::new(store.clone(), accounts.clone(), signup, clock.clone()),
            send: SendMessage::new(
                store.clone(),
                store.clone(),
                accounts.clone(),
                signup,
                base,
                clock.clone(),
            ),
            sweep: LookAfter::new(store.clone(), store.clone(), apply.clone(), clock.clone()),
            show: ShowMessages::new(store.clone(), clock.clone()),
            credits: CreditAccounts::new(store.clone(), signup, clock.clone()),
            apply,
            db,
            store,
            clock,
            accounts,
        }
    }

    async fn organization(&self) -> OrgScope {
        let org = OrgId::generate();
        self.owner_says(&format!(
            "with o as (insert into organizations (id, name, timezone, status)
                        values ('{org}', 'Clinique', 'Europe/Paris', 'verified') returning id),
                  u as (insert into users (id, email) values ('{}', 'ann-{org}@example.com') returning id)
             insert into profiles (org_id, user_id, role) select o.id, u.id, 'owner' from o, u",
            Uuid::now_v7()
        ))
        .await;
        OrgScope::vouch(org, Actor::System)
    }

    async fn owner_says(&self, sql: &str) {
        let mut db = self.db.owner().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    }

    /// An account of the organization's own, with its credential.
    async fn own_account(&self, scope: &OrgScope, channel: Channel, provider: Provider, priority: i32) {
        let org = scope.org();
        self.owner_says(&format!(
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status)
             values ('{}', '{org}', '{provider}', 'byoc', '\\x00', 'k', 'verified');
             insert into messaging_providers (id, org_id, channel, provider, from_address, priority, created_at, updated_at)
             values ('{}', '{org}', '{channel}', '{provider}', 'x', {priority}, now(), now())",
            Uuid::now_v7(),
            Uuid::now_v7()
        ))
        .await;
    }

    async fn count(&self, sql: &str) -> i64 {
        let mut db = self.db.owner().await;
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut db).await.unwrap()
    }

    async fn queued(&self, scope: &OrgScope, new: NewMessage) -> MessageId {
        self.queue.run(scope, new).await.unwrap().id
    }

    async fn run(&self, scope: &OrgScope, id: MessageId) -> Outcome {
        self.send.run(scope, id).await.unwrap()
    }

    async fn message(&self, scope: &OrgScope, id: MessageId) -> Option<Message> {
        let mut tx = Begin::<dyn SendTx>::begin(&*self.store, scope).await.unwrap();
        tx.message_for_update(id).await.unwrap()
    }

    async fn state(&self, scope: &OrgScope, id: MessageId) -> State {
        self.message(scope, id).await.unwrap().state
    }

    fn carriage(&self, is_platform: bool, provider: Provider) -> &Carriage {
        &self.accounts.accounts[&(is_platform, provider)]
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    async fn told(&self, source: EventSource, provider: Provider, events: Vec<ProviderEvent>) -> Applied {
        self.apply.run(source, provider, EventBatch { events, unreadable: 0 }).await.unwrap()
    }
}

fn delivery(id: &str, message: Option<MessageId>, external: Option<String>, fate: Fate) -> ProviderEvent {
    let at = Some(NOW.parse().unwrap());
    ProviderEvent::Delivery(DeliveryEvent {
        id: id.to_owned(),
        message,
        external_id: external,
        fate,
        at,
        cost: None,
    })
}

fn sms(body: &str) -> NewMessage {
    let to = Recipient::Phone(TO.parse().unwrap());
    NewMessage::new(to, Content::Sms { body: body.to_owned() }, Purpose::Direct)
}

fn mail() -> NewMessage {
    let content = EmailContent {
        subject: "Ihr Termin – 15:30".to_owned(),
        text: "Bis morgen!".to_owned(),
        html: Some("<p>Bis morgen!</p>".to_owned()),
        reply_to: Some("desk@clinic.example".parse().unwrap()),
        attachments: vec![Attachment {
            name: "termin.ics".to_owned(),
            content_type: "text/calendar".to_owned(),
            content: vec![0, 255, 10],
        }],
    };
    NewMessage::new(
        Recipient::Email("ann@example.com".parse().unwrap()),
        Content::Email(content),
        Purpose::Direct,
    )
}

const OURS: &[(Provider, Memory)] = &[(Provider::Twilio, Memory::Searched), (Provider::Resend, Memory::Keys)];

#[tokio::test]
async fn a_message_of_every_kind_survives_its_row() {
    let world = World::with(&[OURS, &[(Provider::Whatsapp, Memory::Nothing)]].concat(), &[]).await;
    let scope = world.organization().await;
    let (contact, call) = (ContactId::generate(), CallId::generate());
    let org = scope.org();
    world
        .owner_says(&format!(
            "insert into contacts (id, org_id, phone) values ('{contact}', '{org}', '{TO}');
             insert into calls (id, org_id, vapi_call_id, call_type, status, started_at)
             values ('{call}', '{org}', 'v1', 'inbound', 'completed', now())"
        ))
        .await;
    let template = WhatsAppBody::Template {
        name: "reminder".to_owned(),
        language: "de".to_owned(),
        parameters: vec!["15:30".to_owned(), "€".to_owned()],
    };
    let to = Recipient::Phone(TO.parse().unwrap());
    let not_after: Timestamp = "2026-03-03T15:00:00Z".parse().unwrap();
    for new in [
        sms("Grüße aus Zürich"),
        NewMessage { contact: Some(contact), call: Some(call), purpose: Purpose::FollowUp, ..sms("Hello") },
        NewMessage { not_after: Some(not_after), not_before: Some(NOW.parse().unwrap()), ..mail() },
        NewMessage::new(to.clone(), Content::WhatsApp(template), Purpose::Test),
        NewMessage::new(to, Content::WhatsApp(WhatsAppBody::Text("Hi".to_owned())), Purpose::HotLead),
    ] {
        let id = world.queued(&scope, new.clone()).await;
        let message = world.message(&scope, id).await.unwrap();
        assert_eq!((message.new, message.state, message.queued_at), (new, State::Queued, world.clock.now()));
        assert!(message.is_reserved && message.cost.is_some_and(|cost| cost.amount > Money::ZERO));
        let sent = Outcome::Settled { status: MessageStatus::Sent, code: None };
        assert_eq!(world.run(&scope, id).await, sent);
        assert!(
            matches!(world.state(&scope, id).await, State::Given(given) if given.at == world.clock.now())
        );
    }
    assert_eq!(world.count("select count(*) from messages where extra is not null").await, 0);
    assert_eq!(world.count("select count(*) from outbox where task = 'send_message'").await, 5);
    assert_eq!(world.count("select count(*) from message_attempts where outcome = 'accepted'").await, 5);
    assert!(world.credits.show(&scope).await.unwrap().agrees());
}

#[tokio::test]
async fn what_is_unknown_is_looked_for_and_sent_again_only_if_it_was_not() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    for (mishap, times) in [(Mishap::AnswerLost, 1), (Mishap::RequestLost, 1)] {
        world.carriage(true, Provider::Twilio).mishaps([mishap]);
        let id = world.queued(&scope, sms("Hello")).await;
        let shown = world.clock.now().checked_add(SignedDuration::from_secs(60)).unwrap();
        assert_eq!(world.run(&scope, id).await, Outcome::Later(shown));
        assert!(matches!(
            world.state(&scope, id).await,
            State::Unknown(Doubt { is_for_a_person: false, .. })
        ));
        assert_eq!(world.run(&scope, id).await, Outcome::Later(shown));
        world.pass(61);
        assert!(matches!(world.run(&scope, id).await, Outcome::Settled { status: MessageStatus::Sent, .. }));
        let taken = world.carriage(true, Provider::Twilio).taken();
        assert_eq!(taken.iter().filter(|taken| **taken == id).count(), times);
    }
    let statement = world.credits.show(&scope).await.unwrap();
    assert!(statement.agrees() && statement.reserved == Money::ZERO, "{statement:?}");
}

#[tokio::test]
async fn one_message_that_eight_work_on_is_sent_once() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    for _ in 0..5 {
        let id = world.queued(&scope, sms("Hello")).await;
        let mut all = JoinSet::new();
        for _ in 0..8 {
            let send = world.send.clone();
            all.spawn(async move { send.run(&scope, id).await.unwrap() });
        }
        all.join_all().await;
        assert_eq!(
            world.carriage(true, Provider::Twilio).taken().iter().filter(|taken| **taken == id).count(),
            1
        );
    }
}

#[tokio::test]
async fn many_messages_whose_workers_are_killed_are_each_sent_once() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    world.credits.grant(&scope, Money::from_minor(100_000)).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..200 {
        ids.push(world.queued(&scope, if number % 2 == 0 { sms("Hello") } else { mail() }).await);
    }
    let mut killed = 0_usize;
    for round in 0..40_u64 {
        let mut all = JoinSet::new();
        for id in &ids {
            let (send, id) = (world.send.clone(), *id);
            all.spawn(async move { send.run(&scope, id).await });
        }
        // The first rounds are cut short, each a little later.
        if round < 25 {
            tokio::time::sleep(Duration::from_millis(3 + 2 * round)).await;
            all.abort_all();
        }
        while let Some(ended) = all.join_next().await {
            killed += usize::from(ended.is_err_and(|error| error.is_cancelled()));
        }
        world.pass(61);
    }
    for (is_platform, provider) in [(true, Provider::Twilio), (true, Provider::Resend)] {
        let mut taken = world.carriage(is_platform, provider).taken();
        taken.sort_unstable();
        let count = taken.len();
        taken.dedup();
        assert_eq!((count, taken.len()), (100, 100), "{provider}");
    }
    assert_eq!(world.count("select count(*) from messages where status <> 'sent'").await, 0);
    let statement = world.credits.show(&scope).await.unwrap();
    assert!(statement.agrees() && statement.reserved == Money::ZERO, "{statement:?}");
    println!("200 messages, {killed} runs killed");
    assert!(killed > 0);
}

#[tokio::test]
async fn two_sends_for_the_last_credit_one_goes() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    let price = world.queue.run(&scope, sms("Hello")).await.unwrap().cost.unwrap().amount.minor();
    let org = scope.org();
    let left = world.credits.show(&scope).await.unwrap().balance.amount.minor();
    // All but one message's worth is spent on one long text.
    let fits = (left - price) / price;
    for _ in 0..fits {
        world.queued(&scope, sms("Hello")).await;
    }
    let left = world.credits.show(&scope).await.unwrap().balance.amount.minor();
    assert!((price..2 * price).contains(&left), "{left} of {price}");
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let queue = world.queue.clone();
        all.spawn(async move { queue.run(&scope, sms("Hello")).await });
    }
    let results = all.join_all().await;
    let went = results.iter().filter(|result| result.is_ok()).count();
    let refused =
        results.iter().filter(|result| matches!(result, Err(QueueError::InsufficientCredits))).count();
    assert_eq!((went, refused), (1, 7));
    let messages = format!("select count(*) from messages where org_id = '{org}'");
    assert_eq!(world.count(&messages).await, fits + 2);
    assert!(world.credits.show(&scope).await.unwrap().agrees());
}

#[tokio::test]
async fn an_account_that_fails_is_passed_over_left_alone_and_told_of_once() {
    let own = [(Provider::Termii, Memory::Searched), (Provider::AfricasTalking, Memory::Nothing)];
    let world = World::with(OURS, &own).await;
    let scope = world.organization().await;
    world.own_account(&scope, Channel::Sms, Provider::Termii, 1).await;
    world.own_account(&scope, Channel::Sms, Provider::AfricasTalking, 2).await;
    world.carriage(false, Provider::Termii).mishaps([Mishap::Later(None); 4]);
    for _ in 0..4 {
        let queued = world.queue.run(&scope, sms("Hello")).await.unwrap();
        assert_eq!(queued.mode, Mode::CustomerManaged);
        world.run(&scope, queued.id).await;
        let message = world.message(&scope, queued.id).await.unwrap();
        assert_eq!(message.carrier().provider, Provider::AfricasTalking);
    }
    assert_eq!(
        world.count("select count(*) from activity_events where kind = 'messages_failed_over'").await,
        1
    );
    assert_eq!(
        world.count("select count(*) from platform_mails where kind = 'messages_failed_over'").await,
        1
    );
    let health = world.show.health(&scope, &Carriages::default()).await.unwrap();
    let termii = health.iter().find(|one| one.provider == Provider::Termii).unwrap();
    assert_eq!((termii.refused, termii.failures), (3, 3));
    assert_eq!(termii.breaker(world.clock.now()), Breaker::Open);
    world.pass(31);
    assert_eq!(termii.breaker(world.clock.now()), Breaker::HalfOpen);
    // It fails once more, is left alone for longer, and works then.
    for (wait, by) in [(0, Provider::AfricasTalking), (61, Provider::Termii)] {
        world.pass(wait);
        let id = world.queued(&scope, sms("Hello")).await;
        world.run(&scope, id).await;
        assert_eq!(world.message(&scope, id).await.unwrap().carrier().provider, by);
    }
    let health = world.show.health(&scope, &Carriages::default()).await.unwrap();
    let termii = health.iter().find(|one| one.provider == Provider::Termii).unwrap();
    assert_eq!((termii.failures, termii.breaker(world.clock.now())), (0, Breaker::Closed));
    assert_eq!(
        world.count("select count(*) from platform_mails where kind = 'messages_failed_over'").await,
        1
    );
}

#[tokio::test]
async fn the_same_words_of_two_organizations_are_two_messages_of_our_account() {
    let world = World::with(&[(Provider::Twilio, Memory::Words)], &[]).await;
    let scopes = [world.organization().await, world.organization().await];
    let (mut ids, carriage) = (Vec::new(), &world.accounts.accounts[&(true, Provider::Twilio)]);
    for (scope, mishap) in scopes.iter().zip([None, Some(Mishap::RequestLost)]) {
        let id = world.queued(scope, sms("See you tomorrow")).await;
        carriage.mishaps(mishap);
        world.run(scope, id).await;
        ids.push(id);
    }
    world.pass(61);
    world.run(&scopes[1], ids[1]).await;
    for (scope, id) in scopes.iter().zip(&ids) {
        assert_eq!(world.message(scope, *id).await.unwrap().status(), MessageStatus::Sent);
    }
    assert_eq!(carriage.taken(), ids);
    assert_eq!(world.count("select count(distinct external_id) from messages").await, 2);
    // Whatever goes wrong, no two are found to be the same at our account; at their own they may be.
    for (whose, expected) in [(Whose::Platform, [true, false]), (Whose::Organization, [true, true])] {
        let mut found = Vec::new();
        for (scope, id) in scopes.iter().zip(&ids) {
            let message = world.message(scope, *id).await.unwrap();
            let carrier = Carrier { whose, ..message.carrier().clone() };
            let mut tx: Box<dyn SendTx> = world.store.begin(scope).await.unwrap();
            found.push(tx.found_as(&message, &carrier, "SM1", world.clock.now()).await.unwrap());
            tx.commit().await.unwrap();
        }
        assert_eq!(found, expected, "{whose:?}");
        world.owner_says("delete from messages_found").await;
    }
}

#[tokio::test]
async fn a_refused_credential_is_marked_and_the_next_message_goes_past_it() {
    let world = World::with(OURS, &[(Provider::Sendgrid, Memory::Searched)]).await;
    let scope = world.organization().await;
    world.own_account(&scope, Channel::Email, Provider::Sendgrid, 1).await;
    let org = scope.org();
    world
        .owner_says(&format!(
            "insert into messaging_settings (org_id, mode) values ('{org}', 'customer_managed')"
        ))
        .await;
    world.carriage(false, Provider::Sendgrid).mishaps([Mishap::Account { credential: true }]);
    let id = world.queued(&scope, mail()).await;
    assert!(matches!(world.run(&scope, id).await, Outcome::Settled { status: MessageStatus::Sent, .. }));
    let failed = "select count(*) from org_credentials where status = 'failed' and error_code = 'credentials_rejected'";
    assert_eq!(world.count(failed).await, 1);
    assert_eq!(world.queue.run(&scope, mail()).await.unwrap().provider, Provider::Resend);
}

#[tokio::test]
async fn the_switchboard_knows_the_organizations_own_line() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    let org = scope.org();
    let own = async || {
        let mut tx = Begin::<dyn SendTx>::begin(&*world.store, &scope).await.unwrap();
        let board = tx.switchboard(Channel::Sms).await.unwrap();
        assert_eq!(board.standing, Standing::Active);
        board.own.iter().map(|one| (one.provider, one.payer, one.is_asked)).collect::<Vec<_>>()
    };
    assert_eq!(own().await, []);
    world
        .owner_says(&format!(
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status, metadata)
             values ('{}', '{org}', 'twilio', 'byoc', '\\x00', 'k', 'verified', '{{\"phoneNumber\": \"+15005550006\"}}')",
            Uuid::now_v7()
        ))
        .await;
    assert_eq!(own().await, [(Provider::Twilio, Payer::Customer, true)]);
    world.owner_says(&format!("update org_credentials set source = 'managed' where org_id = '{org}'")).await;
    assert_eq!(own().await, [], "there is no number yet");
    world.owner_says(&format!("update organizations set status = 'suspended' where id = '{org}'")).await;
    assert!(matches!(world.queue.run(&scope, sms("Hello")).await, Err(QueueError::Suspended)));
}

#[tokio::test]
async fn events_count_once_wait_for_their_message_and_find_their_organization() {
    let world = World::with(OURS, &[(Provider::Termii, Memory::Searched)]).await;
    let scope = world.organization().await;
    world.own_account(&scope, Channel::Sms, Provider::Termii, 1).await;
    let mine = EventSource::Organization(scope);
    let id = world.queued(&scope, sms("Hello")).await;
    let delivered = || vec![delivery("e1", None, Some(format!("ext-{id}")), Fate::Delivered)];
    assert_eq!(world.told(mine, Provider::Termii, delivered()).await.waiting, 1);
    assert_eq!(world.told(mine, Provider::Termii, delivered()).await.repeated, 1);
    world.run(&scope, id).await;
    let State::Given(given) = world.state(&scope, id).await else { panic!() };
    assert_eq!((given.status, given.delivered_at), (MessageStatus::Delivered, Some(world.clock.now())));
    assert_eq!(world.told(mine, Provider::Termii, delivered()).await.repeated, 1);
    let late = vec![delivery("e2", None, Some(format!("ext-{id}")), Fate::Sent)];
    assert_eq!(world.told(mine, Provider::Termii, late).await.applied, 1);
    assert!(
        matches!(world.state(&scope, id).await, State::Given(given) if given.status == MessageStatus::Delivered)
    );

    // Through our own account, before anybody knows whose it is.
    let id = world.queued(&scope, mail()).await;
    let bounced =
        vec![delivery("e3", None, Some(format!("ext-{id}")), Fate::Bounced { code: "hard_bounce" })];
    assert_eq!(world.told(EventSource::Platform, Provider::Resend, bounced).await.waiting, 1);
    world.run(&scope, id).await;
    assert_eq!(world.sweep.run(world.clock.now()).await.unwrap().matched, 1);
    assert!(
        matches!(world.state(&scope, id).await, State::Given(given) if given.status == MessageStatus::Bounced)
    );
    assert_eq!(world.sweep.run(world.clock.now()).await.unwrap().matched, 0);
    assert!(matches!(world.queue.run(&scope, mail()).await, Err(QueueError::OptedOut)));
    assert_eq!(world.count("select count(*) from messaging_orphans").await, 0);
}

#[tokio::test]
async fn who_stops_stops_for_everybody_who_writes_from_our_number() {
    let world = World::with(OURS, &[]).await;
    let (one, two) = (world.organization().await, world.organization().await);
    for scope in [one, two] {
        let id = world.queued(&scope, sms("Hello")).await;
        world.run(&scope, id).await;
        world.pass(1);
    }
    let said = |id: &str, text: &str| {
        vec![ProviderEvent::Inbound(InboundMessage {
            id: id.to_owned(),
            channel: Channel::Sms,
            from: Some(TO.parse().unwrap()),
            to: None,
            text: text.to_owned(),
            opt_out: None,
        })]
    };
    // Messages are as old as their clock says; who wrote is asked of the database's.
    world.owner_says("update messages set created_at = now() - interval '1 day'").await;
    assert_eq!(world.told(EventSource::Platform, Provider::Twilio, said("i1", "STOP")).await.applied, 1);
    assert_eq!(world.told(EventSource::Platform, Provider::Twilio, said("i1", "STOP")).await.repeated, 1);
    for scope in [one, two] {
        assert!(matches!(world.queue.run(&scope, sms("Hello")).await, Err(QueueError::OptedOut)));
    }
    assert_eq!(world.count("select count(*) from messages where direction = 'inbound'").await, 1);
}

#[tokio::test]
async fn lists_and_figures_show_what_was_sent_and_nothing_of_others() {
    let world = World::with(OURS, &[]).await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let mut ids = Vec::new();
    for number in 0..5 {
        let id = world.queued(&scope, if number == 4 { mail() } else { sms("Hello") }).await;
        if number > 0 {
            world.run(&scope, id).await;
        }
        ids.push(id);
        world.pass(1);
    }
    let source = EventSource::Platform;
    world.told(source, Provider::Twilio, vec![delivery("e1", Some(ids[1]), None, Fate::Delivered)]).await;
    let failed = Fate::Failed { code: "message_rejected" };
    world.told(source, Provider::Twilio, vec![delivery("e2", Some(ids[2]), None, failed)]).await;
    let list = async |scope: &OrgScope, filter: MessageFilter| {
        let page = world.show.list(scope, &filter, &PageRequest::first()).await.unwrap();
        page.rows.iter().map(|view| view.id).collect::<Vec<_>>()
    };
    let newest: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(list(&scope, MessageFilter::default()).await, newest);
    assert_eq!(list(&other, MessageFilter::default()).await, []);
    let of = |status| MessageFilter { status: Some(status), ..MessageFilter::default() };
    assert_eq!(list(&scope, of(MessageStatus::Queued)).await, [ids[0]]);
    assert_eq!(list(&scope, of(MessageStatus::Delivered)).await, [ids[1]]);
    let mails = MessageFilter { method: Some(Channel::Email), ..MessageFilter::default() };
    assert_eq!(list(&scope, mails).await, [ids[4]]);
    let from = Some(world.clock.now().checked_sub(SignedDuration::from_secs(2)).unwrap());
    assert_eq!(list(&scope, MessageFilter { from, ..MessageFilter::default() }).await, newest[..2]);
    // Page by page.
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let request = PageRequest::new(2, after).unwrap();
        let page = world.show.list(&scope, &MessageFilter::default(), &request).await.unwrap();
        seen.extend(page.rows.iter().map(|view| view.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, newest);
    assert_eq!(world.show.get(&other, ids[1]).await.unwrap(), None);
    let view = world.show.get(&scope, ids[1]).await.unwrap().unwrap();
    assert_eq!((view.status, view.recipient.as_str()), (MessageStatus::Delivered, TO));

    let figures = world.show.stats(&scope, None, None).await.unwrap();
    let of_sms = figures.iter().find(|one| one.channel == Channel::Sms).unwrap();
    assert_eq!((of_sms.sent, of_sms.delivered, of_sms.failed), (3, 1, 1));
    assert_eq!(of_sms.costs.iter().map(|cost| cost.amount.minor()).sum::<i64>(), {
        let one = world.show.get(&scope, ids[1]).await.unwrap().unwrap().cost.unwrap().amount.minor();
        2 * one
    });
    assert_eq!(world.show.stats(&other, None, None).await.unwrap(), []);
    assert_eq!(world.show.stats(&scope, None, Some(NOW.parse().unwrap())).await.unwrap(), []);
}

#[tokio::test]
async fn a_webhooks_address_leads_to_its_organization_only() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    let mut tx = Begin::<dyn SendTx>::begin(&*world.store, &scope).await.unwrap();
    let token = tx.webhook_token(Provider::Termii).await.unwrap();
    assert_eq!(token, tx.webhook_token(Provider::Termii).await.unwrap());
    assert_ne!(token, tx.webhook_token(Provider::Twilio).await.unwrap());
    assert_eq!(token.len(), 64);
    tx.commit().await.unwrap();
    let mut tx = voxanne_kernel::BeginSystem::<SystemTx>::begin_system(&*world.store).await.unwrap();
    assert_eq!(tx.owner_of_token(Provider::Termii, &token).await.unwrap(), Some(scope.org()));
    assert_eq!(tx.owner_of_token(Provider::Twilio, &token).await.unwrap(), None);
    assert_eq!(tx.owner_of_token(Provider::Termii, "platform").await.unwrap(), None);
}

#[tokio::test]
async fn a_message_that_lost_its_job_gets_another() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    world.queued(&scope, sms("Hello")).await;
    world.owner_says("delete from outbox").await;
    world.pass(181);
    assert_eq!(world.sweep.run(world.clock.now()).await.unwrap().restarted, 1);
    assert_eq!(world.sweep.run(world.clock.now()).await.unwrap().restarted, 0);
    assert_eq!(world.count("select count(*) from outbox where task = 'send_message'").await, 1);
}

/// Keeps nothing, and refuses what is empty.
struct Slots;

#[async_trait]
impl KeepCredential<&'static str> for Slots {
    async fn keep(&self, _: &OrgScope, _: Provider, credential: &'static str) -> Result<Kept, KeepError> {
        if credential.is_empty() {
            return Err(KeepError::Rejected { code: "credentials_rejected" });
        }
        Ok(Kept { from: "+15005550006".to_owned(), status: "verified".to_owned(), verified_at: None })
    }
    async fn release(&self, _: &OrgScope, _: Provider) -> Result<(), KeepError> {
        Ok(())
    }
}

#[tokio::test]
async fn the_book_of_accounts_has_one_of_each_and_keeps_them_apart() {
    let world = World::with(OURS, &[]).await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let book = AccountsBook::new(world.store.clone(), Arc::new(Slots), world.clock.clone());
    let new =
        |provider, priority| NewEntry { channel: Channel::Sms, provider, from: None, priority, active: true };
    let termii = book.add(&scope, new(Provider::Termii, 5), "secret").await.unwrap();
    let twilio = book.add(&scope, new(Provider::Twilio, 1), "secret").await.unwrap();
    assert!(matches!(book.add(&scope, new(Provider::Termii, 5), "secret").await, Err(BookError::Exists)));
    assert!(matches!(
        book.add(&scope, new(Provider::Resend, 5), "secret").await,
        Err(BookError::NotOfChannel)
    ));
    let refused = book.add(&scope, new(Provider::AfricasTalking, 5), "").await;
    assert!(matches!(refused, Err(BookError::Credential(KeepError::Rejected { .. }))));
    assert!(matches!(
        book.add(&scope, new(Provider::AfricasTalking, -1), "x").await,
        Err(BookError::Invalid { field: "priority", .. })
    ));
    let order = async |scope: &OrgScope| {
        let entries = book.list(scope, Channel::Sms).await.unwrap();
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(order(&scope).await, [twilio.id, termii.id]);
    assert_eq!(order(&other).await, []);
    let change = Change { priority: Some(0), active: Some(false), ..Change::default() };
    let changed = book.change(&scope, Channel::Sms, termii.id, change.clone(), None).await.unwrap();
    assert_eq!((changed.priority, changed.active), (0, false));
    assert_eq!(order(&scope).await, [termii.id, twilio.id]);
    for (scope, channel) in [(other, Channel::Sms), (scope, Channel::Email)] {
        let refused = book.change(&scope, channel, termii.id, change.clone(), None).await;
        assert!(matches!(refused, Err(BookError::NotFound)));
        assert!(matches!(book.remove(&scope, channel, termii.id).await, Err(BookError::NotFound)));
    }
    book.remove(&scope, Channel::Sms, termii.id).await.unwrap();
    assert_eq!(order(&scope).await, [twilio.id]);
    let audited = "select count(*) from audit_events where target_kind = 'messaging_provider'";
    assert_eq!(world.count(audited).await, 4);
}

#[tokio::test]
async fn a_person_and_the_provider_decide_about_a_message_once() {
    let world = World::with(&[(Provider::Termii, Memory::Nothing)], &[]).await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let resolve = ResolveMessage::new(world.store.clone(), world.clock.clone());
    let doubtful = async || {
        // An account that fails again and again would be left alone.
        world.owner_says("delete from messaging_account_health").await;
        world.carriage(true, Provider::Termii).mishaps([Mishap::AnswerLost]);
        let id = world.queued(&scope, sms("Hello")).await;
        world.run(&scope, id).await;
        world.pass(61);
        world.run(&scope, id).await;
        assert!(matches!(world.state(&scope, id).await, State::Unknown(Doubt { is_for_a_person: true, .. })));
        id
    };
    for (resolution, status) in
        [(Resolution::Sent, MessageStatus::Sent), (Resolution::Failed, MessageStatus::Failed)]
    {
        let id = doubtful().await;
        assert!(matches!(resolve.run(&other, id, resolution).await, Err(ResolveError::NotFound)));
        // Many people at once: one of them decides.
        let mut all = JoinSet::new();
        for _ in 0..6 {
            let resolve = resolve.clone();
            all.spawn(async move { resolve.run(&scope, id, resolution).await.is_ok() });
        }
        assert_eq!(all.join_all().await.into_iter().filter(|is_done| *is_done).count(), 1);
        let message = world.message(&scope, id).await.unwrap();
        assert_eq!((message.status(), message.is_reserved), (status, false));
        let entries =
            world.count(&format!("select count(*) from credit_entries where message_id = '{id}'")).await;
        assert_eq!(entries, 2, "reserved, and then settled or refunded");
        let shown = world.show.get(&scope, id).await.unwrap().unwrap();
        assert_eq!((shown.status, shown.cost.is_some()), (status, resolution == Resolution::Sent));
        // What the provider tells later is the truth; what was paid or given back stays so.
        let told = delivery(&format!("late-{id}"), Some(id), Some(format!("ext-{id}")), Fate::Delivered);
        world.told(EventSource::Platform, Provider::Termii, vec![told]).await;
        let message = world.message(&scope, id).await.unwrap();
        assert_eq!(message.status(), MessageStatus::Delivered);
        let entries =
            world.count(&format!("select count(*) from credit_entries where message_id = '{id}'")).await;
        assert_eq!(entries, 2);
    }
    // The provider and a person at the same moment, again and again.
    for _ in 0..5 {
        let id = doubtful().await;
        let told = delivery(&format!("now-{id}"), Some(id), Some(format!("ext-{id}")), Fate::Delivered);
        let (_, decided) = tokio::join!(
            world.told(EventSource::Platform, Provider::Termii, vec![told]),
            resolve.run(&scope, id, Resolution::Failed)
        );
        assert!(matches!(decided, Ok(_) | Err(ResolveError::NotUnknown(MessageStatus::Delivered))));
        assert_eq!(world.message(&scope, id).await.unwrap().status(), MessageStatus::Delivered);
        let entries =
            world.count(&format!("select count(*) from credit_entries where message_id = '{id}'")).await;
        assert_eq!(entries, 2);
    }
    let statement = world.credits.show(&scope).await.unwrap();
    assert!(statement.agrees() && statement.reserved == Money::ZERO, "{statement:?}");
    let audited = world.count("select count(*) from audit_events where action = 'message.resolved'").await;
    assert!(audited >= 2, "{audited}");
}

#[tokio::test]
async fn a_request_to_a_thousand_that_comes_twice_at_once_queues_each_once() {
    let world = World::with(OURS, &[]).await;
    let scope = world.organization().await;
    world.credits.grant(&scope, Money::from_minor(100_000)).await.unwrap();
    let origin = Origin::new(world.clock.now(), [7; 32]);
    let wanted: Arc<[_]> = (0..1_000)
        .map(|number| {
            let to = Recipient::Phone(format!("+1202555{number:04}").parse().unwrap());
            (origin.message(&to, &Variables::new()), NewMessage { to, ..sms("Closed on Friday") })
        })
        .collect();
    let began = Instant::now();
    let mut both = JoinSet::new();
    for _ in 0..2 {
        let (queue, wanted) = (world.queue.clone(), wanted.clone());
        both.spawn(async move { queue.run_all(&scope, &wanted).await });
    }
    for outcomes in both.join_all().await {
        let told: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap().id).collect();
        assert!(told.iter().eq(wanted.iter().map(|(id, _)| id)));
    }
    println!("a thousand recipients twice at once: {:?}", began.elapsed());
    let began = Instant::now();
    assert!(world.queue.run_all(&scope, &wanted).await.iter().all(Result::is_ok));
    println!("and once more: {:?}", began.elapsed());
    assert_eq!(world.count("select count(*) from messages").await, 1_000);
    assert_eq!(world.count("select count(*) from outbox where task = 'send_message'").await, 1_000);
    assert_eq!(world.count("select max(messages) from messaging_counts").await, 1_000);
    let statement = world.credits.show(&scope).await.unwrap();
    assert!(statement.agrees() && statement.entries == 1_002, "{statement:?}");
}

#[tokio::test]
async fn the_model_names_who_carries_the_next_message() {
    let own = [(Provider::Termii, Memory::Searched), (Provider::AfricasTalking, Memory::Nothing)];
    let world = World::with(OURS, &own).await;
    let scope = world.organization().await;
    let org = scope.org();
    let model = SwitchModel::new(
        world.store.clone(),
        world.accounts.clone(),
        SignupCredits::default(),
        world.clock.clone(),
    );
    let check = async |expected: Option<(Provider, Source)>, is_verified: bool| {
        let shown = model.show(&scope).await.unwrap().channels;
        let state = shown.iter().find(|state| state.channel == Channel::Sms).unwrap();
        assert_eq!((state.first, state.is_verified), (expected, is_verified));
        match (world.queue.run(&scope, sms("Hello")).await, expected) {
            (Ok(queued), Some((provider, source))) => {
                let whose = [
                    (Mode::CustomerManaged, Source::Organization),
                    (Mode::PlatformManaged, Source::Platform),
                ];
                assert!(queued.provider == provider && whose.contains(&(queued.mode, source)), "{queued:?}");
            }
            (Err(QueueError::NoProvider), None) => {}
            (other, _) => panic!("{expected:?}: {other:?}"),
        }
    };
    let (brought, platform) = (Source::Organization, Source::Platform);
    check(Some((Provider::Twilio, platform)), true).await;
    world.own_account(&scope, Channel::Sms, Provider::Termii, 2).await;
    check(Some((Provider::Termii, brought)), true).await;
    world.own_account(&scope, Channel::Sms, Provider::AfricasTalking, 1).await;
    check(Some((Provider::AfricasTalking, brought)), true).await;
    let only_own = Switch {
        mode: Mode::CustomerManaged,
        fallback_to_platform: Some(false),
        notify_users: false,
        reason: None,
    };
    model.switch(&scope, only_own).await.unwrap();
    check(Some((Provider::AfricasTalking, brought)), true).await;
    let say = async |change: &str| world.owner_says(&format!("{change} and org_id = '{org}'")).await;
    say("update org_credentials set status = 'unverified' where provider = 'africastalking'").await;
    check(Some((Provider::AfricasTalking, brought)), false).await;
    say("update messaging_providers set active = false where provider = 'africastalking'").await;
    check(Some((Provider::Termii, brought)), true).await;
    say("update org_credentials set status = 'failed' where provider = 'termii'").await;
    check(None, false).await;
    say("update org_credentials set status = 'verified' where provider = 'termii'").await;
    say("update messaging_settings set fallback_to_platform = true where mode = 'customer_managed'").await;
    // One that keeps failing is left alone for a while.
    world
        .owner_says(&format!(
            "insert into messaging_account_health (org_id, method, provider, is_platform, failures, open_until)
             values ('{org}', 'sms', 'termii', false, 3, timestamptz '{NOW}' + interval '30 seconds')"
        ))
        .await;
    check(Some((Provider::Twilio, platform)), true).await;
    world.pass(31);
    check(Some((Provider::Termii, brought)), true).await;
}

//! The platform's mails on a real PostgreSQL: recorded once, sent once, and seen by nobody else.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use jiff::SignedDuration;
use sqlx::Connection;
use tokio::task::JoinSet;
use uuid::Uuid;
use voxanne_kernel::{
    Actor, ManualClock, OrgScope,
    ids::{MailId, OrgId},
};
use voxanne_messaging::{
    mail::{
        Attempt, CalendarService, Failure, Label, Letterhead, Notice, Outcome, SendMails, TellAccountHolder,
        TellOwners, Whose,
    },
    testing::{Postbox, Trouble},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_testkit::TestDb;

struct World {
    db: TestDb,
    clock: Arc<ManualClock>,
    postbox: Arc<Postbox>,
    owners: TellOwners,
    holder: TellAccountHolder,
    send: SendMails,
}

const LOST: Notice = Notice::CalendarDisconnected { calendar: CalendarService::Outlook };

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse().unwrap()));
        let postbox = Arc::new(Postbox::default());
        let head = Letterhead { support: "help@voxanne.example".parse().unwrap() };
        Self {
            owners: TellOwners::new(store.clone(), clock.clone()),
            holder: TellAccountHolder::new(store.clone(), clock.clone()),
            send: SendMails::new(store.clone(), store, Some((postbox.clone(), head)), clock.clone()),
            db,
            clock,
            postbox,
        }
    }

    /// An organization with an owner of each of these names.
    async fn organization(&self, owners: &[&str]) -> OrgScope {
        let org = OrgId::generate();
        let mut db = self.db.owner().await;
        sqlx::query("insert into organizations (id, name, timezone) values ($1, 'Clinique', 'Europe/Paris')")
            .bind(org.0)
            .execute(&mut db)
            .await
            .unwrap();
        for name in owners {
            sqlx::query(
                "with person as (insert into users (id, email) values ($1, $2) returning id)
                 insert into profiles (org_id, user_id, role) select $3, id, 'owner' from person",
            )
            .bind(Uuid::now_v7())
            .bind(format!("{name}@example.com"))
            .bind(org.0)
            .execute(&mut db)
            .await
            .unwrap();
        }
        OrgScope::vouch(org, Actor::System)
    }

    async fn mails(&self, of: Option<OrgId>) -> Vec<MailId> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "select id from platform_mails where org_id is not distinct from $1 order by created_at, id",
        )
        .bind(of.map(|org| org.0))
        .fetch_all(&mut self.db.owner().await)
        .await
        .unwrap();
        ids.into_iter().map(MailId).collect()
    }

    async fn jobs(&self, task: &str) -> i64 {
        sqlx::query_scalar("select count(*) from outbox where task = $1")
            .bind(task)
            .fetch_one(&mut self.db.owner().await)
            .await
            .unwrap()
    }

    /// Status, error code, whether a provider's id and words are there.
    async fn row(&self, id: MailId) -> (String, Option<String>, bool, bool) {
        sqlx::query_as(
            "select status, error_code, provider_message_id is not null, subject is not null
               from platform_mails where id = $1",
        )
        .bind(id.0)
        .fetch_one(&mut self.db.owner().await)
        .await
        .unwrap()
    }
}

fn row(status: &str, error: Option<&str>, id: bool, words: bool) -> (String, Option<String>, bool, bool) {
    (status.to_owned(), error.map(str::to_owned), id, words)
}

#[tokio::test]
async fn owners_are_told_once_each_and_the_words_stay_only_while_they_are_needed() {
    let world = World::new().await;
    let clinic = world.organization(&["ann", "ben"]).await;
    world.owners.run(&clinic, &LOST).await.unwrap();
    let mails = world.mails(Some(clinic.org())).await;
    assert_eq!((mails.len(), world.jobs("send_mail").await), (2, 2));
    let id = mails[0];
    assert_eq!(world.row(id).await, row("queued", None, false, false));

    world.postbox.trouble([Trouble::Later(None), Trouble::AnswerLost]);
    assert!(matches!(world.send.run(Whose::Organization(&clinic), id).await.unwrap(), Attempt::Later(_)));
    assert_eq!(world.row(id).await, row("queued", None, false, true));
    assert!(matches!(world.send.run(Whose::Organization(&clinic), id).await.unwrap(), Attempt::Later(_)));
    assert_eq!(world.row(id).await, row("sending", None, false, true));
    let sent = Attempt::Settled(Outcome::Sent { provider_id: format!("provider-{id}") });
    for _ in 0..2 {
        assert_eq!(world.send.run(Whose::Organization(&clinic), id).await.unwrap(), sent);
    }
    assert_eq!(world.row(id).await, row("sent", None, true, false));
    assert_eq!((world.postbox.asked(), world.postbox.taken().len()), (3, 1));
    assert_eq!(world.jobs("send_mail").await, 4);
}

#[tokio::test]
async fn every_end_is_stored_and_read_back() {
    let world = World::new().await;
    let clinic = world.organization(&["ann"]).await;
    for (trouble, failure) in [(Trouble::Refused, Failure::Refused), (Trouble::OurFault, Failure::OurAccount)]
    {
        world.owners.run(&clinic, &LOST).await.unwrap();
        // It is not worth trying a third time then.
        world.clock.advance(SignedDuration::from_hours(72));
        let id = *world.mails(Some(clinic.org())).await.last().unwrap();
        world.postbox.trouble([trouble]);
        for _ in 0..2 {
            let attempt = world.send.run(Whose::Organization(&clinic), id).await.unwrap();
            assert_eq!(attempt, Attempt::Settled(Outcome::Failed(failure)));
        }
        assert_eq!(world.row(id).await, row("failed", Some(failure.as_str()), false, false));
    }
    world.owners.run(&clinic, &LOST).await.unwrap();
    let id = *world.mails(Some(clinic.org())).await.last().unwrap();
    world.postbox.trouble([Trouble::AnswerLost]);
    world.send.run(Whose::Organization(&clinic), id).await.unwrap();
    world.clock.advance(SignedDuration::from_hours(24));
    for _ in 0..2 {
        let attempt = world.send.run(Whose::Organization(&clinic), id).await.unwrap();
        assert_eq!(attempt, Attempt::Settled(Outcome::Unknown));
    }
    assert_eq!(world.row(id).await, row("unknown", None, false, false));
}

#[tokio::test]
async fn an_organization_does_not_find_anothers_mails_nor_those_of_account_holders() {
    let world = World::new().await;
    let (clinic, other) = (world.organization(&["ann"]).await, world.organization(&["ben"]).await);
    world.owners.run(&clinic, &LOST).await.unwrap();
    world.holder.run(&"ann@example.com".parse().unwrap(), &Notice::AddressTaken {}).await.unwrap();
    let (theirs, personal) = (world.mails(Some(clinic.org())).await[0], world.mails(None).await[0]);
    for (whose, id) in [
        (Whose::Organization(&other), theirs),
        (Whose::Organization(&clinic), personal),
        (Whose::AccountHolders, theirs),
    ] {
        assert_eq!(world.send.run(whose, id).await.unwrap(), Attempt::Gone);
    }
    assert_eq!(world.postbox.asked(), 0);
    let sent = world.send.run(Whose::AccountHolders, personal).await.unwrap();
    assert!(matches!(sent, Attempt::Settled(Outcome::Sent { .. })));
    assert!(world.postbox.taken()[0].text.contains("Organization: Clinique"));
}

#[tokio::test]
async fn a_hundred_sign_ups_with_one_address_at_once_are_told_of_once() {
    let world = Arc::new(World::new().await);
    world.organization(&["ann"]).await;
    let mut crowd = JoinSet::new();
    for _ in 0..100 {
        let world = world.clone();
        crowd.spawn(async move {
            let ann = "ann@example.com".parse().unwrap();
            world.holder.run(&ann, &Notice::AddressTaken {}).await.unwrap();
        });
    }
    crowd.join_all().await;
    assert_eq!((world.mails(None).await.len(), world.jobs("send_account_mail").await), (1, 1));
}

#[tokio::test]
async fn a_line_is_announced_once_however_many_say_so_at_once() {
    let world = Arc::new(World::new().await);
    let clinic = world.organization(&["ann"]).await;
    let mut crowd = JoinSet::new();
    for _ in 0..20 {
        let world = world.clone();
        crowd.spawn(async move {
            let ready = Notice::SetUpSucceeded {
                number: "+15005550006".parse().unwrap(),
                inbound: Label::new("Receptionist"),
                outbound: Label::new("Caller"),
            };
            world.owners.run(&clinic, &ready).await.unwrap();
        });
    }
    crowd.join_all().await;
    assert_eq!(world.mails(Some(clinic.org())).await.len(), 1);
}

#[tokio::test]
async fn workers_that_have_the_same_mail_at_once_send_it_once() {
    let world = Arc::new(World::new().await);
    let clinic = world.organization(&["ann"]).await;
    world.owners.run(&clinic, &LOST).await.unwrap();
    let id = world.mails(Some(clinic.org())).await[0];
    world.postbox.trouble([Trouble::Later(None), Trouble::AnswerLost, Trouble::Later(None)]);
    let mut crowd = JoinSet::new();
    for _ in 0..10 {
        let world = world.clone();
        crowd.spawn(async move { world.send.run(Whose::Organization(&clinic), id).await.unwrap() });
    }
    crowd.join_all().await;
    assert_eq!(world.row(id).await, row("sent", None, true, false));
    assert_eq!(world.postbox.taken().len(), 1);
}

#[tokio::test]
async fn somebody_without_an_organization_is_written_to_as_well() {
    let world = World::new().await;
    let mut db = world.db.owner().await;
    let mut tx = db.begin().await.unwrap();
    sqlx::query("insert into users (id, email) values (gen_random_uuid(), 'zoe@example.com')")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.holder.run(&"zoe@example.com".parse().unwrap(), &Notice::AddressTaken {}).await.unwrap();
    let id = world.mails(None).await[0];
    world.send.run(Whose::AccountHolders, id).await.unwrap();
    let letter = world.postbox.taken().remove(0);
    assert_eq!(letter.to.as_str(), "zoe@example.com");
    assert!(letter.text.contains("(UTC)") && !letter.text.contains("Organization:"), "{}", letter.text);
}

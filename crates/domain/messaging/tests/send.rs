//! Telling and sending, on a store in memory and with a provider that fails on demand.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use voxanne_kernel::{
    Actor, EmailAddress, Job, ManualClock, OrgScope, Timestamp, Zone,
    ids::{MailId, OrgId, SetupId, UserId},
};
use voxanne_messaging::{
    mail::{
        Attempt, CalendarService, Failure, Label, Letterhead, Notice, Office, Outcome, SendAccountMail,
        SendMail, SendMails, State, Step, TellAccountHolder, TellOwners, Whose,
    },
    testing::{MemoryStore, Postbox, Trouble},
};

struct World {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    postbox: Arc<Postbox>,
    scope: OrgScope,
    owners: TellOwners,
    holder: TellAccountHolder,
    send: SendMails,
}

const LOST: Notice = Notice::CalendarDisconnected { calendar: CalendarService::Google };

fn address(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

impl World {
    /// With an organization that ann and ben own.
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse().unwrap()));
        let (store, postbox) = (MemoryStore::default(), Arc::new(Postbox::default()));
        let (org, people) = (OrgId::generate(), ["ann@example.com", "ben@example.com"]);
        store.tamper(|world| {
            let ids: Vec<_> = people.iter().map(|_| UserId::generate()).collect();
            world.people = ids.iter().copied().zip(people.map(address)).collect();
            let office = Office { name: Label::new("Clinique"), zone: Zone::new("Europe/Paris").unwrap() };
            world.organizations.insert(org, (office, ids));
        });
        let shared = Arc::new(store.clone());
        let office = Letterhead { support: address("help@voxanne.example") };
        Self {
            owners: TellOwners::new(shared.clone(), clock.clone()),
            holder: TellAccountHolder::new(shared.clone(), clock.clone()),
            send: SendMails::new(shared.clone(), shared, Some((postbox.clone(), office)), clock.clone()),
            scope: OrgScope::vouch(org, Actor::System),
            clock,
            store,
            postbox,
        }
    }

    fn pass(&self, hours: i64) {
        self.clock.advance(SignedDuration::from_hours(hours));
    }

    /// Tells the owners of a lost calendar, and gives the mail to the first of them.
    async fn told(&self) -> MailId {
        self.owners.run(&self.scope, &LOST).await.unwrap();
        *self.store.world().mails.keys().next().unwrap()
    }

    async fn send(&self, id: MailId) -> Attempt {
        self.send.run(Whose::Organization(&self.scope), id).await.unwrap()
    }

    fn state(&self, id: MailId) -> State {
        self.store.world().mails[&id].mail.state.clone()
    }

    /// When the newest job is due.
    fn due(&self) -> Option<Timestamp> {
        self.store.world().outbox.last().and_then(|(_, job)| job.run_at)
    }
}

#[tokio::test]
async fn every_owner_gets_one_mail_and_the_provider_is_asked_once_for_each() {
    let world = World::new();
    world.told().await;
    let jobs = world.store.world().outbox;
    assert_eq!(jobs.len(), 2);
    for (org, job) in jobs {
        assert_eq!((org, job.task), (Some(world.scope.org()), SendMail::TASK));
        let id = serde_json::from_value::<SendMail>(job.payload).unwrap().mail_id;
        for _ in 0..3 {
            let sent = Outcome::Sent { provider_id: format!("provider-{id}") };
            assert_eq!(world.send(id).await, Attempt::Settled(sent));
        }
    }
    let to: Vec<_> = world.postbox.taken().iter().map(|letter| letter.to.to_string()).collect();
    assert_eq!(to, ["ann@example.com", "ben@example.com"]);
    assert_eq!(world.postbox.asked(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_nobody_gets_two_mails() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::AnswerLost]);
    assert!(matches!(world.send(id).await, Attempt::Later(_)));
    // Whatever changes meanwhile, the words do not.
    let org = world.scope.org();
    world.store.tamper(|stored| stored.organizations.get_mut(&org).unwrap().0.name = Label::new("Renamed"));
    assert!(matches!(world.send(id).await, Attempt::Settled(Outcome::Sent { .. })));
    let taken = world.postbox.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].subject.starts_with("Clinique: "), "{}", taken[0].subject);
}

#[tokio::test]
async fn a_worker_killed_after_acceptance_does_not_send_twice() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::AnswerLost]);
    // Everything that was committed before the provider answered is all that a killed worker leaves.
    world.send(id).await;
    world.store.tamper(|stored| stored.outbox.clear());
    assert!(matches!(world.state(id), State::Sending { .. }));
    world.pass(22);
    assert!(matches!(world.send(id).await, Attempt::Settled(Outcome::Sent { .. })));
    assert_eq!(world.postbox.taken().len(), 1);
}

#[tokio::test]
async fn what_may_have_been_sent_is_not_sent_again_once_the_provider_has_forgotten_the_key() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::AnswerLost, Trouble::Later(None)]);
    world.send(id).await;
    world.pass(20);
    // It could not be served this time: that does not make the first attempt undone.
    world.send(id).await;
    world.pass(4);
    assert_eq!(world.send(id).await, Attempt::Settled(Outcome::Unknown));
    assert_eq!((world.postbox.asked(), world.postbox.taken().len()), (2, 1));
}

#[tokio::test]
async fn a_mail_that_was_surely_not_taken_is_tried_for_three_days() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::Later(None); 4]);
    for _ in 0..3 {
        assert!(matches!(world.send(id).await, Attempt::Later(_)));
        assert!(matches!(world.state(id), State::Queued(Some(_))));
        world.pass(23);
    }
    assert!(matches!(world.send(id).await, Attempt::Later(_)));
    world.pass(4);
    assert_eq!(world.send(id).await, Attempt::Settled(Outcome::Failed(Failure::TooLate)));
    assert_eq!(world.postbox.taken(), []);
}

#[tokio::test]
async fn the_provider_is_left_alone_for_as_long_as_it_wants_and_longer_each_time() {
    let world = World::new();
    let id = world.told().await;
    let hour = Duration::from_hours(1);
    world.postbox.trouble([Trouble::Later(None), Trouble::Later(Some(hour)), Trouble::Later(None)]);
    let start: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
    for seconds in [5, 3_600, 20] {
        let at = start + SignedDuration::from_secs(seconds);
        assert_eq!(world.send(id).await, Attempt::Later(at));
        assert_eq!(world.due(), Some(at));
    }
}

#[tokio::test]
async fn a_refusal_is_final() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::Refused]);
    for _ in 0..2 {
        assert_eq!(world.send(id).await, Attempt::Settled(Outcome::Failed(Failure::Refused)));
    }
    assert_eq!(world.postbox.asked(), 1);
}

#[tokio::test]
async fn an_account_that_is_not_accepted_delays_a_mail_until_it_is_mended_or_for_three_days() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::OurFault; 2]);
    let start: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
    for seconds in [5, 10] {
        let at = start + SignedDuration::from_secs(seconds);
        assert_eq!(world.send(id).await, Attempt::AccountRefused(at));
        assert_eq!(world.due(), Some(at));
        assert!(matches!(world.state(id), State::Queued(Some(_))));
    }
    assert!(matches!(world.send(id).await, Attempt::Settled(Outcome::Sent { .. })));
    assert_eq!(world.postbox.taken().len(), 1);

    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::OurFault; 2]);
    assert!(matches!(world.send(id).await, Attempt::AccountRefused(_)));
    world.pass(72);
    assert_eq!(world.send(id).await, Attempt::Settled(Outcome::Failed(Failure::OurAccount)));
    assert_eq!(world.postbox.taken(), []);
}

#[tokio::test]
async fn other_words_under_a_used_key_are_nothing_to_be_sure_of() {
    let world = World::new();
    let id = world.told().await;
    world.postbox.trouble([Trouble::AnswerLost]);
    world.send(id).await;
    world.store.tamper(|stored| {
        let State::Sending { letter, .. } = &mut stored.mails.get_mut(&id).unwrap().mail.state else {
            panic!()
        };
        letter.subject.push('!');
    });
    assert_eq!(world.send(id).await, Attempt::Settled(Outcome::Unknown));
}

#[tokio::test]
async fn who_is_no_owner_any_more_gets_nothing() {
    let world = World::new();
    let id = world.told().await;
    let org = world.scope.org();
    world.store.tamper(|stored| stored.organizations.get_mut(&org).unwrap().1.clear());
    assert_eq!(world.send(id).await, Attempt::Settled(Outcome::Failed(Failure::NobodyThere)));
    assert_eq!(world.postbox.asked(), 0);
}

#[tokio::test]
async fn without_an_account_a_mail_says_so_and_stays_unsent() {
    let world = World::new();
    let id = world.told().await;
    let shared = Arc::new(world.store.clone());
    let send = SendMails::new(shared.clone(), shared, None, world.clock.clone());
    for _ in 0..2 {
        let attempt = send.run(Whose::Organization(&world.scope), id).await.unwrap();
        assert_eq!(attempt, Attempt::Settled(Outcome::NotConfigured));
    }
}

#[tokio::test]
async fn an_account_holder_hears_of_the_same_at_most_once_an_hour() {
    let world = World::new();
    let taken = Notice::AddressTaken {};
    let tell = async |to: &str| world.holder.run(&address(to), &taken).await.unwrap();
    for _ in 0..5 {
        tell("ann@example.com").await;
        tell("nobody@example.com").await;
    }
    assert_eq!(world.store.world().mails.len(), 1);
    tell("ben@example.com").await;
    world.pass(1);
    tell("ann@example.com").await;
    let stored = world.store.world();
    assert_eq!(stored.mails.len(), 3);
    assert!(stored.outbox.iter().all(|(org, job)| org.is_none() && job.task == SendAccountMail::TASK));
    let id = *stored.mails.keys().next().unwrap();
    let sent = world.send.run(Whose::AccountHolders, id).await.unwrap();
    assert!(matches!(sent, Attempt::Settled(Outcome::Sent { .. })));
    // Nobody finds it from inside an organization.
    assert_eq!(world.send(id).await, Attempt::Gone);
}

#[tokio::test]
async fn a_line_is_announced_once_and_its_failures_once_an_hour() {
    let world = World::new();
    let ready = Notice::SetUpSucceeded {
        number: "+15005550006".parse().unwrap(),
        inbound: Label::new("Receptionist"),
        outbound: Label::new("Caller"),
    };
    let failed = |step| Notice::SetUpFailed { step, attempt: None };
    let count = async |notice: &Notice| {
        world.owners.run(&world.scope, notice).await.unwrap();
        world.store.world().mails.len() / 2
    };
    assert_eq!(count(&failed(Step::Configuration)).await, 1);
    assert_eq!(count(&failed(Step::Configuration)).await, 1);
    assert_eq!(count(&failed(Step::InboundAssistant)).await, 2);
    assert_eq!(count(&ready).await, 3);
    world.pass(1);
    assert_eq!(count(&ready).await, 3);
    assert_eq!(count(&failed(Step::Configuration)).await, 4);
}

#[tokio::test]
async fn each_attempt_that_failed_is_told_once() {
    let world = World::new();
    let failed = |attempt| Notice::SetUpFailed { step: Step::PhoneNumber, attempt: Some(attempt) };
    let organizations = |attempt| Notice::OrganizationSetUpFailed {
        organization: Label::new("Clinique"),
        org_id: world.scope.org(),
        step: Step::PhoneNumber,
        is_stuck: false,
        attempt: Some(attempt),
    };
    let count = async |attempt: SetupId| {
        world.owners.run(&world.scope, &failed(attempt)).await.unwrap();
        world.holder.run(&address("ann@example.com"), &organizations(attempt)).await.unwrap();
        world.store.world().mails.len() / 3
    };
    let (first, second) = (SetupId::generate(), SetupId::generate());
    assert_eq!(count(first).await, 1);
    assert_eq!(count(first).await, 1, "the job ran twice");
    assert_eq!(count(second).await, 2, "within the hour, at the same step");
    world.pass(24);
    assert_eq!(count(second).await, 2, "the job ran twice, long after");
}

//! The words of every mail.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use proptest::prelude::*;
use voxanne_kernel::{
    Actor, ManualClock, OrgScope, Timestamp, Zone,
    ids::{OrgId, UserId},
};
use voxanne_messaging::{
    mail::{
        CalendarService, Label, Letter, Letterhead, Notice, Office, SendMails, Step, TellOwners, Template,
        Whose, preview,
    },
    testing::{MemoryStore, Postbox},
};

/// The mail that an owner of an organization of this name gets.
async fn letter(organization: &str, notice: Notice) -> Letter {
    let clock = Arc::new(ManualClock::at("2026-03-01T09:05:00Z".parse().unwrap()));
    let (store, postbox) = (MemoryStore::default(), Arc::new(Postbox::default()));
    let (org, owner) = (OrgId::generate(), UserId::generate());
    store.tamper(|world| {
        world.people.insert(owner, "ann@example.com".parse().unwrap());
        let office = Office { name: Label::new(organization), zone: Zone::new("America/New_York").unwrap() };
        world.organizations.insert(org, (office, vec![owner]));
    });
    let (scope, shared) = (OrgScope::vouch(org, Actor::System), Arc::new(store.clone()));
    TellOwners::new(shared.clone(), clock.clone()).run(&scope, &notice).await.unwrap();
    let head = Letterhead { support: "help@voxanne.example".parse().unwrap() };
    let send = SendMails::new(shared.clone(), shared, Some((postbox.clone(), head)), clock);
    let id = *store.world().mails.keys().next().unwrap();
    send.run(Whose::Organization(&scope), id).await.unwrap();
    postbox.taken().remove(0)
}

#[test]
fn every_mail_reads_as_reviewed() {
    let at: Timestamp = "2026-11-21T13:05:00Z".parse().unwrap();
    for template in Template::ALL {
        let letter = preview(template, at).unwrap();
        let whole = format!("Subject: {}\n\n{}", letter.subject, letter.text);
        insta::assert_snapshot!(format!("{template}.txt"), whole);
        insta::assert_snapshot!(format!("{template}.html"), letter.html);
    }
}

#[tokio::test]
async fn a_hostile_name_is_text_and_nothing_else() {
    let name = "<script>alert(1)</script>\"'&\r\nBcc: victim@example.com\u{202e}";
    let hostile = Notice::SetUpSucceeded {
        number: "+15005550006".parse().unwrap(),
        inbound: Label::new("<b onmouseover=x>"),
        outbound: Label::new("{{ support }}"),
    };
    let letter = letter(name, hostile).await;
    assert_eq!(
        letter.subject,
        "<script>alert(1)</script>\"'& Bcc: victim@example.com: your AI receptionist is ready"
    );
    assert!(!letter.html.contains("<script") && !letter.html.contains("<b "), "{}", letter.html);
    assert!(!letter.text.contains("\nBcc"), "{}", letter.text);
    insta::assert_snapshot!("hostile.txt", letter.text);
    insta::assert_snapshot!("hostile.html", letter.html);
}

#[tokio::test]
async fn times_are_the_organizations() {
    let lost = Notice::CalendarDisconnected { calendar: CalendarService::Outlook };
    let letter = letter("Clinic", lost).await;
    assert!(letter.text.contains("Date: 1 March 2026, 04:05 (America/New_York)"), "{}", letter.text);
    assert_eq!(letter.subject, "Clinic: please reconnect Outlook Calendar");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_name_ends_the_subject_or_opens_a_tag(name in ".{0,60}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let tags = |html: &str| html.matches('<').count();
        let of = |name: &str| runtime.block_on(letter(name, Notice::SetUpFailed { step: Step::Organization, attempt: None }));
        let (plain, hostile) = (of("x"), of(&name));
        prop_assert!(!hostile.subject.contains(char::is_control));
        prop_assert_eq!(tags(&hostile.html), tags(&plain.html));
        prop_assert_eq!(hostile.text.lines().count(), plain.text.lines().count());
    }
}

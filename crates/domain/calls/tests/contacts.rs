//! What staff do with contacts, on the store in memory.
#![expect(clippy::disallowed_methods, reason = "a test vouches for the organizations it makes up")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;

use voxanne_calls::{
    ContactBook, ContactError, ContactFilter, ContactName, ContactPatch, Interests, LeadStatus, NewContact,
    testing::MemoryCalls,
};
use voxanne_kernel::{Actor, ManualClock, OrgScope, PageRequest, ids::OrgId};

struct World {
    store: MemoryCalls,
    book: ContactBook,
    scope: OrgScope,
}

fn world() -> World {
    let store = MemoryCalls::default();
    let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse().unwrap()));
    let book = ContactBook::new(Arc::new(store.clone()), clock);
    World { store, book, scope: OrgScope::vouch(OrgId::generate(), Actor::System) }
}

fn ann(phone: &str) -> NewContact {
    NewContact {
        name: ContactName::new("Ann Smith").unwrap(),
        phone: phone.parse().unwrap(),
        email: None,
        lead_status: LeadStatus::New,
        interests: Interests::new(["Botox", " Botox "]).unwrap(),
        notes: None,
    }
}

#[tokio::test]
async fn a_number_belongs_to_one_contact_of_an_organization() {
    let w = world();
    let ann_id = w.book.add(&w.scope, ann("+15005550006")).await.unwrap().id;
    assert!(matches!(w.book.add(&w.scope, ann("+15005550006")).await, Err(ContactError::PhoneTaken)));
    let other = w.book.add(&w.scope, ann("+15005550007")).await.unwrap();
    let patch = ContactPatch { phone: Some("+15005550006".parse().unwrap()), ..ContactPatch::default() };
    assert!(matches!(w.book.change(&w.scope, other.id, patch).await, Err(ContactError::PhoneTaken)));
    let neighbour = OrgScope::vouch(OrgId::generate(), Actor::System);
    assert!(w.book.add(&neighbour, ann("+15005550006")).await.is_ok());
    assert!(matches!(w.book.get(&neighbour, ann_id).await, Err(ContactError::NotFound)));
}

#[tokio::test]
async fn the_audit_trail_holds_no_name_or_number() {
    let w = world();
    let contact = w.book.add(&w.scope, ann("+15005550006")).await.unwrap();
    let patch = ContactPatch { lead_status: Some(LeadStatus::Lost), ..ContactPatch::default() };
    w.book.change(&w.scope, contact.id, patch).await.unwrap();
    let trail = format!("{:?}", w.store.rows(w.scope.org()).audit);
    assert!(trail.contains("contact.updated") && !trail.contains("Ann") && !trail.contains("5550006"));
}

#[tokio::test]
async fn who_has_booked_stays_booked() {
    let w = world();
    let booked = NewContact { lead_status: LeadStatus::Booked, ..ann("+15005550006") };
    let id = w.book.add(&w.scope, booked).await.unwrap().id;
    let patch = ContactPatch { lead_status: Some(LeadStatus::Lost), ..ContactPatch::default() };
    assert!(matches!(w.book.change(&w.scope, id, patch).await, Err(ContactError::AlreadyBooked)));
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let w = world();
    for n in 0..5 {
        w.book.add(&w.scope, ann(&format!("+1500555000{n}"))).await.unwrap();
    }
    let filter = ContactFilter { text: Some("smith".into()), ..ContactFilter::default() };
    let first = w.book.list(&w.scope, &filter, &PageRequest::new(3, None).unwrap()).await.unwrap();
    let second = w.book.list(&w.scope, &filter, &PageRequest::new(3, first.next).unwrap()).await.unwrap();
    assert_eq!((first.rows.len(), second.rows.len(), second.next), (3, 2, None));
    assert!(first.rows[0].id > second.rows[0].id);
    let none = ContactFilter { lead_status: Some(LeadStatus::Lost), ..ContactFilter::default() };
    assert!(w.book.list(&w.scope, &none, &PageRequest::first()).await.unwrap().rows.is_empty());
    assert_eq!(w.book.stats(&w.scope).await.unwrap().cold, 5);
}

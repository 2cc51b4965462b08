//! The catalogue on the store in memory.
#![expect(clippy::disallowed_methods, reason = "a test vouches for the organizations it makes up")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;

use voxanne_kernel::{
    Actor, ManualClock, Money, OrgScope, PageRequest,
    ids::{OrgId, ServiceId},
};
use voxanne_pricing::{
    CatalogueError, Conversation, Keywords, NewService, Price, ServiceCatalogue, ServiceName, ServicePatch,
    ValueConversation, testing::MemoryCatalogue,
};

struct World {
    store: MemoryCatalogue,
    catalogue: ServiceCatalogue,
    scope: OrgScope,
}

fn world() -> World {
    let store = MemoryCatalogue::default();
    let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse().unwrap()));
    let catalogue = ServiceCatalogue::new(Arc::new(store.clone()), clock);
    World { store, catalogue, scope: OrgScope::vouch(OrgId::generate(), Actor::System) }
}

fn peel() -> NewService {
    NewService {
        name: ServiceName::new("Chemical Peel").unwrap(),
        price: Price::new(Money::from_minor(25_000)).unwrap(),
        currency: None,
        duration: None,
        keywords: Keywords::new(["peel"]).unwrap(),
        is_active: true,
    }
}

#[tokio::test]
async fn what_was_added_is_listed_and_audited_and_another_organization_sees_none_of_it() {
    let w = world();
    let added = w.catalogue.add(&w.scope, peel()).await.unwrap();
    assert_eq!(added.currency.as_str(), "USD");
    assert_eq!(added.duration.get(), 30);
    assert_eq!(
        w.catalogue.list(&w.scope, &PageRequest::first()).await.unwrap().rows,
        std::slice::from_ref(&added)
    );
    assert_eq!(w.store.audited(), ["service.created"]);
    let stranger = OrgScope::vouch(OrgId::generate(), Actor::System);
    assert!(matches!(w.catalogue.get(&stranger, added.id).await, Err(CatalogueError::NotFound)));
}

#[tokio::test]
async fn a_name_is_taken_only_by_an_active_service() {
    let w = world();
    let first = w.catalogue.add(&w.scope, peel()).await.unwrap();
    assert!(matches!(w.catalogue.add(&w.scope, peel()).await, Err(CatalogueError::NameTaken)));
    let off = ServicePatch { is_active: Some(false), ..ServicePatch::default() };
    w.catalogue.change(&w.scope, first.id, off).await.unwrap();
    w.catalogue.add(&w.scope, peel()).await.unwrap();
    let on = ServicePatch { is_active: Some(true), ..ServicePatch::default() };
    assert!(matches!(w.catalogue.change(&w.scope, first.id, on).await, Err(CatalogueError::NameTaken)));
}

#[tokio::test]
async fn a_change_that_changes_nothing_leaves_no_trace() {
    let w = world();
    let service = w.catalogue.add(&w.scope, peel()).await.unwrap();
    w.catalogue.change(&w.scope, service.id, ServicePatch::default()).await.unwrap();
    assert_eq!(w.store.audited(), ["service.created"]);
}

#[tokio::test]
async fn a_removed_service_is_gone_and_worth_nothing() {
    let w = world();
    let value = ValueConversation::new(Arc::new(w.store.clone()));
    let talk = Conversation { wanted: &["a peel"], ..Conversation::default() };
    let service = w.catalogue.add(&w.scope, peel()).await.unwrap();
    assert_eq!(value.run(&w.scope, &talk).await.unwrap().amount.minor(), 25_000);
    w.catalogue.remove(&w.scope, service.id).await.unwrap();
    assert!(matches!(w.catalogue.get(&w.scope, service.id).await, Err(CatalogueError::NotFound)));
    assert!(matches!(
        w.catalogue.remove(&w.scope, ServiceId::generate()).await,
        Err(CatalogueError::NotFound)
    ));
    assert_eq!(value.run(&w.scope, &talk).await.unwrap().amount, Money::ZERO);
}

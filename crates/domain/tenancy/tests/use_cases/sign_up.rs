//! Founding an organization with its first owner.

use voxanne_tenancy::{Role, SignUpError, user::Standing};

use crate::world::{PASSWORD, World, home};

#[tokio::test]
async fn a_sign_up_founds_a_pending_organization_with_one_owner_who_is_signed_in() {
    let world = World::new();
    let ann = world.sign_up("Ann@Example.com").await.unwrap();
    let state = world.store.state();
    let organization = &state.organizations[&home(&ann)];
    assert_eq!((organization.status.as_str(), organization.zone.name()), ("pending", "Europe/Paris"));
    assert_eq!(state.profiles[&(organization.id, ann.account.user.id)].role, Role::Owner);
    assert_eq!(state.audit[0].1.action, "organization.created");
    assert!(world.refresh(&ann.refresh).await.is_some());
    let again = world.sign_in("ann@example.com", PASSWORD).await.unwrap();
    assert!(matches!(again.account.standing, Standing::Member { role: Role::Owner, .. }));
}

#[tokio::test]
async fn a_taken_address_is_refused_without_a_trace_and_costs_as_much_work() {
    let world = World::new();
    world.sign_up("ann@example.com").await.unwrap();
    let before = world.passwords.work();
    assert!(matches!(world.sign_up("ann@example.com").await, Err(SignUpError::Rejected)));
    assert_eq!(world.passwords.work(), before + 1);
    let state = world.store.state();
    assert_eq!((state.organizations.len(), state.users.len(), state.profiles.len()), (1, 1, 1));
    assert_eq!((state.sessions.len(), state.audit.len()), (1, 1));
}

#[tokio::test]
async fn the_holder_of_a_taken_address_hears_of_it_and_whoever_asked_does_not_notice() {
    let world = World::new();
    world.sign_up("ann@example.com").await.unwrap();
    assert!(world.holders.told.lock().unwrap().is_empty());
    for is_broken in [false, true] {
        *world.holders.is_broken.lock().unwrap() = is_broken;
        assert!(matches!(world.sign_up("Ann@Example.com").await, Err(SignUpError::Rejected)));
    }
    assert_eq!(*world.holders.told.lock().unwrap(), ["ann@example.com".parse().unwrap()]);
}

//! Who may manage whom, and that nobody reaches into another organization.

use voxanne_kernel::PageRequest;
use voxanne_tenancy::{
    AnswerMode, ApprovalMode, MemberError, OrganizationChange, Role, SettingsError, SignedIn, user::Standing,
};

use crate::world::{PASSWORD, World, home, scope};

/// A second person with a password in the organization of `owner`.
async fn colleague(world: &World, owner: &SignedIn, email: &str, role: Role) -> SignedIn {
    let theirs = world.sign_up(email).await.unwrap();
    let (user, old) = (theirs.account.user.id, home(&theirs));
    world.store.tamper(|state| {
        let mut profile = state.profiles.remove(&(old, user)).unwrap();
        profile.role = role;
        state.profiles.insert((home(owner), user), profile);
    });
    world.sign_in(email, PASSWORD).await.unwrap()
}

#[tokio::test]
async fn an_invited_person_is_a_member_who_cannot_sign_in_yet() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let ben =
        world.members.invite(&scope(&ann), "ben@example.com".parse().unwrap(), Role::Admin).await.unwrap();
    let listed = world.members.list(&scope(&ann), &PageRequest::first()).await.unwrap();
    assert_eq!(listed.rows.len(), 2);
    assert!(listed.rows.contains(&ben));
    assert!(world.sign_in("ben@example.com", "").await.is_err());
}

#[tokio::test]
async fn people_of_other_organizations_and_operators_are_refused_alike() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    world.sign_up("eve@example.com").await.unwrap();
    let password = voxanne_tenancy::NewPassword::new(PASSWORD.into()).unwrap();
    world.create_operator.run("op@example.com".parse().unwrap(), password).await.unwrap();
    for email in ["eve@example.com", "op@example.com"] {
        let refused = world.members.invite(&scope(&ann), email.parse().unwrap(), Role::Member).await;
        assert!(matches!(refused, Err(MemberError::Rejected)), "{email}");
    }
    let again = world.members.invite(&scope(&ann), "ann@example.com".parse().unwrap(), Role::Member).await;
    assert!(matches!(again, Err(MemberError::AlreadyMember)));
}

#[tokio::test]
async fn the_last_owner_stays_an_owner() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let id = ann.account.user.id;
    assert!(matches!(world.members.remove(&scope(&ann), id).await, Err(MemberError::LastOwner)));
    let demoted = world.members.change_role(&scope(&ann), id, Role::Member).await;
    assert!(matches!(demoted, Err(MemberError::LastOwner)));
    let ben = colleague(&world, &ann, "ben@example.com", Role::Owner).await;
    world.members.remove(&scope(&ann), id).await.unwrap();
    let left = world.members.remove(&scope(&ben), ben.account.user.id).await;
    assert!(matches!(left, Err(MemberError::LastOwner)));
}

#[tokio::test]
async fn admins_manage_all_but_owners_and_members_manage_nobody() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let adam = colleague(&world, &ann, "adam@example.com", Role::Admin).await;
    let mia = colleague(&world, &ann, "mia@example.com", Role::Member).await;
    let (ann_id, adam_id, mia_id) = (ann.account.user.id, adam.account.user.id, mia.account.user.id);
    let refused = |result: Result<(), MemberError>| assert!(matches!(result, Err(MemberError::NotAllowed)));
    refused(world.members.remove(&scope(&adam), ann_id).await);
    refused(world.members.change_role(&scope(&adam), ann_id, Role::Member).await.map(|_| ()));
    refused(world.members.change_role(&scope(&adam), adam_id, Role::Owner).await.map(|_| ()));
    refused(
        world.members.invite(&scope(&adam), "x@example.com".parse().unwrap(), Role::Owner).await.map(|_| ()),
    );
    refused(
        world.members.invite(&scope(&mia), "x@example.com".parse().unwrap(), Role::Member).await.map(|_| ()),
    );
    refused(world.members.remove(&scope(&mia), adam_id).await);
    world.members.change_role(&scope(&adam), mia_id, Role::Admin).await.unwrap();
    world.members.remove(&scope(&mia), mia_id).await.unwrap();
}

#[tokio::test]
async fn a_removed_member_loses_rights_and_sessions_at_once_and_may_be_invited_again() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let adam = colleague(&world, &ann, "adam@example.com", Role::Admin).await;
    world.members.remove(&scope(&ann), adam.account.user.id).await.unwrap();
    assert!(world.refresh(&adam.refresh).await.is_none());
    let change = OrganizationChange { approval_mode: Some(ApprovalMode::Manual), ..Default::default() };
    let refused = world.settings.change(&scope(&adam), change).await;
    assert!(matches!(refused, Err(SettingsError::NotAllowed)));
    let homeless = world.sign_in("adam@example.com", PASSWORD).await.unwrap();
    assert_eq!(homeless.account.standing, Standing::Nobody);
    world.members.invite(&scope(&ann), "adam@example.com".parse().unwrap(), Role::Member).await.unwrap();
    assert_eq!(home(&world.sign_in("adam@example.com", PASSWORD).await.unwrap()), home(&ann));
}

#[tokio::test]
async fn a_change_of_settings_is_audited_with_what_was_and_what_is() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let change = OrganizationChange { approval_mode: Some(ApprovalMode::Manual), ..Default::default() };
    world.settings.change(&scope(&ann), change.clone()).await.unwrap();
    world.settings.change(&scope(&ann), change).await.unwrap();
    let state = world.store.state();
    let [_, (_, event)] = state.audit.as_slice() else { panic!("{:?}", state.audit) };
    assert_eq!(event.before, Some(serde_json::json!({"approvalMode": "auto"})));
    assert_eq!(event.after, Some(serde_json::json!({"approvalMode": "manual"})));
    assert_eq!(event.actor_id, Some(ann.account.user.id.0));
}

#[tokio::test]
async fn numbers_follow_a_change_of_how_calls_are_answered_and_no_other() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let jobs = || world.store.state().outbox.iter().filter(|(_, job)| job.task == "bind_numbers").count();
    let change =
        async |change: OrganizationChange| world.settings.change(&scope(&ann), change).await.unwrap();
    change(OrganizationChange { approval_mode: Some(ApprovalMode::Manual), ..Default::default() }).await;
    assert_eq!(jobs(), 0);
    let dynamic = OrganizationChange { answer_mode: Some(AnswerMode::Dynamic), ..Default::default() };
    change(dynamic.clone()).await;
    change(dynamic).await;
    assert_eq!(jobs(), 1);
}

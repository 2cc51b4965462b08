//! What operators decide about organizations, and that nobody else does.

use voxanne_kernel::{
    PageRequest,
    ids::{OrgId, UserId},
};
use voxanne_tenancy::{
    CreateOperatorError, Decision, NewPassword, OrganizationStatus, ReviewError, Role,
    fix_membership::Remedy, review::Reviewer,
};

use crate::world::{PASSWORD, World, home, scope};

async fn operator(world: &World) -> UserId {
    let password = NewPassword::new(PASSWORD.into()).unwrap();
    world.create_operator.run("op@example.com".parse().unwrap(), password).await.unwrap().id
}

#[tokio::test]
async fn an_approval_is_audited_and_sets_the_organization_up_once() {
    let world = World::new();
    let org = home(&world.sign_up("ann@example.com").await.unwrap());
    let op = Reviewer::Operator(operator(&world).await);
    for _ in 0..2 {
        let approved = world.review.decide(op, org, Decision::Approve).await.unwrap();
        assert_eq!(approved.status, OrganizationStatus::Verified);
    }
    let state = world.store.state();
    assert_eq!(state.outbox.len(), 1);
    assert_eq!(state.audit.iter().filter(|(_, event)| event.action == "organization.approved").count(), 1);
}

#[tokio::test]
async fn whoever_is_no_operator_decides_and_sees_nothing() {
    let world = World::new();
    let ann = world.sign_up("ann@example.com").await.unwrap();
    for user in [ann.account.user.id, UserId::generate()] {
        let reviewer = Reviewer::Operator(user);
        let refused = world.review.decide(reviewer, home(&ann), Decision::Approve).await;
        assert!(matches!(refused, Err(ReviewError::NotAllowed)));
        let refused = world.review.list(reviewer, None, &PageRequest::first()).await;
        assert!(matches!(refused, Err(ReviewError::NotAllowed)));
    }
    assert_eq!(world.store.state().organizations[&home(&ann)].status, OrganizationStatus::Pending);
}

#[tokio::test]
async fn only_fitting_decisions_are_carried_out() {
    use Decision::{Admit, Approve, Reject, Suspend};
    let world = World::new();
    let org = home(&world.sign_up("ann@example.com").await.unwrap());
    let steps = [
        (Reject, Ok("rejected")),
        (Suspend, Err("the organization is rejected")),
        (Approve, Ok("verified")),
        (Reject, Err("the organization is verified")),
        (Admit, Ok("verified")),
        (Suspend, Ok("suspended")),
        (Admit, Err("the organization is suspended")),
        (Approve, Ok("verified")),
        (Suspend, Ok("suspended")),
        (Reject, Err("the organization is suspended")),
    ];
    for (decision, expected) in steps {
        let outcome = world.review.decide(Reviewer::CommandLine, org, decision).await;
        let outcome = outcome.map(|org| org.status.as_str()).map_err(|error| error.to_string());
        assert_eq!(outcome, expected.map_err(str::to_owned), "{decision:?}");
    }
    let missing = world.review.decide(Reviewer::CommandLine, OrgId::generate(), Approve).await;
    assert!(matches!(missing, Err(ReviewError::NotFound)));
}

#[tokio::test]
async fn the_desk_lists_by_status_newest_first() {
    let world = World::new();
    let mut orgs = Vec::new();
    for name in ["ann", "ben", "cat"] {
        orgs.push(home(&world.sign_up(&format!("{name}@example.com")).await.unwrap()));
        world.pass(1);
    }
    world.review.decide(Reviewer::CommandLine, orgs[1], Decision::Approve).await.unwrap();
    let page = PageRequest::new(1, None).unwrap();
    let first =
        world.review.list(Reviewer::CommandLine, Some(OrganizationStatus::Pending), &page).await.unwrap();
    assert_eq!(first.rows[0].id, orgs[2]);
    let page = PageRequest::new(1, first.next).unwrap();
    let second =
        world.review.list(Reviewer::CommandLine, Some(OrganizationStatus::Pending), &page).await.unwrap();
    assert_eq!((second.rows[0].id, second.next), (orgs[0], None));
}

#[tokio::test]
async fn a_taken_address_makes_no_operator() {
    let world = World::new();
    world.sign_up("ann@example.com").await.unwrap();
    let password = NewPassword::new(PASSWORD.into()).unwrap();
    let refused = world.create_operator.run("ann@example.com".parse().unwrap(), password).await;
    assert!(matches!(refused, Err(CreateOperatorError::EmailTaken)));
}

#[tokio::test]
async fn organizations_without_an_owner_get_one_back() {
    let world = World::new();
    let lost = world.sign_up("lost@example.com").await.unwrap();
    let demoted = world.sign_up("demoted@example.com").await.unwrap();
    world.members.invite(&scope(&demoted), "later@example.com".parse().unwrap(), Role::Admin).await.unwrap();
    world.sign_up("fine@example.com").await.unwrap();
    let (lost_id, demoted_id) = (lost.account.user.id, demoted.account.user.id);
    world.store.tamper(|state| {
        state.profiles.remove(&(home(&lost), lost_id));
        state.profiles.get_mut(&(home(&demoted), demoted_id)).unwrap().role = Role::Admin;
    });
    let found = world.fix.run(false).await.unwrap();
    let expected = [(home(&lost), Remedy::Restore(lost_id)), (home(&demoted), Remedy::Promote(demoted_id))];
    assert_eq!(found.ownerless, expected);
    assert_eq!(world.fix.run(true).await.unwrap().ownerless, expected);
    let after = world.fix.run(false).await.unwrap();
    assert_eq!((after.ownerless.len(), after.unattached.len()), (0, 0));
}

//! Deleting an organization: nothing of it is lost track of while somebody still holds something for it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use voxanne_kernel::{OrgScope, ids::OrgId};
use voxanne_tenancy::{
    Decision, DeleteError, DeleteOrganization, Holding, NotGivenUp, OrganizationStatus, review::Reviewer,
};

use crate::world::{World, home};

/// Holds something, and gives it up unless it is told not to. Clones are the same.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<(bool, u32)>>);

#[async_trait]
impl Holding for Held {
    fn name(&self) -> &'static str {
        "a number"
    }

    async fn give_up(&self, _: &OrgScope) -> Result<(), NotGivenUp> {
        let mut held = self.0.lock().unwrap();
        held.1 += 1;
        if held.0 { Err(NotGivenUp("the provider is down".into())) } else { Ok(()) }
    }
}

fn delete(world: &World, holdings: &[&Held]) -> DeleteOrganization {
    let holdings = holdings.iter().map(|held| Box::new((*held).clone()) as Box<dyn Holding>).collect();
    DeleteOrganization::new(Arc::new(world.store.clone()), holdings, world.clock.clone())
}

#[tokio::test]
async fn data_goes_when_nobody_holds_anything_any_more_and_the_trail_stays() {
    let world = World::new();
    let (ann, bob) =
        (world.sign_up("ann@example.com").await.unwrap(), world.sign_up("bob@example.com").await.unwrap());
    let (stubborn, willing) = (Held::default(), Held::default());
    stubborn.0.lock().unwrap().0 = true;
    let delete = delete(&world, &[&stubborn, &willing]);

    let refused = delete.run(Reviewer::CommandLine, home(&ann)).await.unwrap_err();
    assert!(matches!(&refused, DeleteError::Held(held) if held.len() == 1), "{refused:?}");
    assert_eq!(refused.to_string(), "still there: a number");
    assert_eq!(willing.0.lock().unwrap().1, 1, "one that fails does not stop the others");
    assert_eq!(world.store.state().organizations[&home(&ann)].status, OrganizationStatus::Suspended);

    stubborn.0.lock().unwrap().0 = false;
    let erased = delete.run(Reviewer::CommandLine, home(&ann)).await.unwrap();
    assert_eq!(erased["users"], 1);
    let state = world.store.state();
    assert_eq!(state.organizations.keys().collect::<Vec<_>>(), [&home(&bob)]);
    let actions: Vec<&str> = state
        .audit
        .iter()
        .filter(|(org, _)| *org == home(&ann))
        .map(|(_, event)| event.action.as_str())
        .collect();
    assert_eq!(&actions[actions.len() - 2..], ["organization.suspended", "organization.deleted"]);
    assert!(world.sign_up("ann@example.com").await.is_ok(), "the address is free again");

    let gone = delete.run(Reviewer::CommandLine, home(&ann)).await;
    assert!(matches!(gone, Err(DeleteError::NotFound)));
}

#[tokio::test]
async fn what_was_stopped_before_stays_as_it_was_and_strangers_are_not_found() {
    let world = World::new();
    let org = home(&world.sign_up("ann@example.com").await.unwrap());
    world.review.decide(Reviewer::CommandLine, org, Decision::Reject).await.unwrap();
    let held = Held::default();
    held.0.lock().unwrap().0 = true;
    let delete = delete(&world, &[&held]);
    assert!(delete.run(Reviewer::CommandLine, org).await.is_err());
    assert_eq!(world.store.state().organizations[&org].status, OrganizationStatus::Rejected);
    let unknown = delete.run(Reviewer::CommandLine, OrgId::generate()).await;
    assert!(matches!(unknown, Err(DeleteError::NotFound)));
    assert_eq!(held.0.lock().unwrap().1, 1, "nothing is asked for a stranger");
}

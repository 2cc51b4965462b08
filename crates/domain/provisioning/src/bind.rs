//! Binding an organization's numbers again: after the assistant that answers them was made anew, or after it decided
//! that they are to be answered differently.

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Job, NewJob, OrgScope, ids::OrgId};

use crate::{
    ports::StepError,
    set_up::{SetUpLine, spec},
};

/// The job that makes an organization's numbers ring at its present assistant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindNumbers {
    /// Whose numbers.
    pub org_id: OrgId,
}

impl Job for BindNumbers {
    const TASK: &'static str = "bind_numbers";
}

impl BindNumbers {
    /// The job as it is recorded: never beside a setup, and one waiting is enough.
    pub fn job(org: OrgId) -> NewJob {
        NewJob::of(&Self { org_id: org }).in_queue(format!("setup:{org}")).keyed(Self::TASK)
    }
}

impl SetUpLine {
    /// Makes every number that the organization has ring at its present inbound assistant, or ask us, as it decided.
    /// Without a number or an assistant, or when it was stopped, there is nothing to do.
    ///
    /// # Errors
    /// [`StepError`]; doing it again is safe.
    pub async fn bind_numbers(&self, scope: &OrgScope) -> Result<(), StepError> {
        let mut tx = self.store.begin(scope).await?;
        let (organization, assistant, numbers) =
            (tx.organization().await?, tx.inbound_assistant().await?, tx.numbers().await?);
        tx.commit().await?;
        let (Some(organization), Some(assistant)) =
            (organization.filter(|found| !found.is_stopped), assistant)
        else {
            return Ok(());
        };
        if numbers.is_empty() {
            return Ok(());
        }
        let credential = self.assistants.signing_credential(scope).await?;
        let spec = spec(scope, organization, assistant, credential);
        for number in numbers {
            if !self.provider.bind_number(&number.provider_id, &spec).await? {
                tracing::warn!(org_id = %scope.org(), number_id = number.provider_id, "a number is gone at the provider");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::World;

    #[tokio::test]
    async fn numbers_follow_to_the_new_assistant() {
        let world = World::new();
        world.set_up.bind_numbers(&world.scope).await.unwrap();
        let line = world.run().await.unwrap();
        world.store.answer_with(Some("another assistant"));
        world.set_up.bind_numbers(&world.scope).await.unwrap();
        assert_eq!(world.provider.bound_to(&line.number.provider_id).as_deref(), Some("another assistant"));
        assert_eq!(world.provider.held(), ["number"]);

        world.store.answer_with(None);
        world.set_up.bind_numbers(&world.scope).await.unwrap();
        world.store.suspend();
        world.store.answer_with(Some("a third"));
        world.set_up.bind_numbers(&world.scope).await.unwrap();
        assert_eq!(world.provider.bound_to(&line.number.provider_id).as_deref(), Some("another assistant"));
    }
}

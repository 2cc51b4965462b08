//! Binding an organization's numbers again: after the assistant that answers them was made anew, or after it decided
//! that they are to be answered differently.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Begin, Job, NewJob, OrgScope, ids::OrgId};

use crate::ports::{LineAssistants, LineProvider, LineTx, NumberSpec, Organization, StepError};

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

/// Binds numbers to the assistant that answers them.
#[derive(Clone)]
pub struct BindLine {
    store: Arc<dyn Begin<dyn LineTx>>,
    provider: Arc<dyn LineProvider>,
    assistants: Arc<dyn LineAssistants>,
}

impl BindLine {
    /// Reads records in `store`; `assistants` is a neighbour.
    pub fn new(
        store: Arc<dyn Begin<dyn LineTx>>,
        provider: Arc<dyn LineProvider>,
        assistants: Arc<dyn LineAssistants>,
    ) -> Self {
        Self { store, provider, assistants }
    }

    /// Makes every number that the organization has ring at its present inbound assistant, or ask us, as it decided.
    /// Without a number or an assistant, or when it was stopped, there is nothing to do.
    ///
    /// # Errors
    /// [`StepError`]; doing it again is safe.
    pub async fn run(&self, scope: &OrgScope) -> Result<(), StepError> {
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
        let spec = spec(organization, assistant, credential);
        for number in numbers {
            if !self.provider.bind_number(&number.provider_id, &spec).await? {
                tracing::warn!(org_id = %scope.org(), number_id = number.provider_id, "a number is gone at the provider");
            }
        }
        Ok(())
    }
}

/// How the organization's number should be at the provider.
pub(crate) fn spec(organization: Organization, assistant: String, credential: String) -> NumberSpec {
    NumberSpec {
        answering: organization.answering,
        assistant,
        credential,
        fallback: organization.alert_phone,
    }
}

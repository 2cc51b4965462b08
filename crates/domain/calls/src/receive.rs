//! Taking a message in: stored once, with the job that will apply it, and nothing more. The provider is waiting.

use std::sync::Arc;

use voxanne_kernel::{NewJob, OrgScope, StoreError, ids::WebhookEventId};

use crate::{
    apply::ApplyCallEventJob,
    event::CallEvent,
    ports::{EventInbox, NewEvent, Received},
};

/// Takes in a verified message of the organization in whose scope it is used.
#[derive(Clone)]
pub struct ReceiveCallEvent {
    inbox: Arc<dyn EventInbox>,
}

impl ReceiveCallEvent {
    /// Stores into `inbox`.
    pub fn new(inbox: Arc<dyn EventInbox>) -> Self {
        Self { inbox }
    }

    /// Stores `event` and the job that applies it; the second delivery of a message changes nothing.
    ///
    /// # Errors
    /// When the store fails; the provider should then send it again.
    pub async fn run(&self, scope: &OrgScope, event: CallEvent) -> Result<Received, StoreError> {
        let id = WebhookEventId::generate();
        let job = NewJob::of(&ApplyCallEventJob { event_id: id });
        self.inbox.receive(scope, NewEvent { id, key: event.key(), event, job }).await
    }
}

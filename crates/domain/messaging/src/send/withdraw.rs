//! Taking back what was to be said about an appointment and is not true any more.

use voxanne_kernel::{
    StoreError, Timestamp,
    ids::{AppointmentId, MessageId},
};

use super::{ports::Messages, settle};
use crate::{credits::Ledger, limits::Throttle, message::State};

/// Our code of a message that was taken back.
pub(super) const SUPERSEDED: &str = "superseded";

/// Takes back, in the unit of work that changes `appointment`, what waits to be said about it: it ends as failed, and
/// its credit comes back. A message that a provider is being asked to take at this moment, or may have taken, ends in
/// the same way as soon as it is known that none has it. Gives those that have ended.
///
/// # Errors
/// The store's.
pub async fn withdraw<Tx: Messages + Ledger + Throttle + ?Sized>(
    tx: &mut Tx,
    appointment: AppointmentId,
    now: Timestamp,
) -> Result<Vec<MessageId>, StoreError> {
    let mut ended = Vec::new();
    for mut message in tx.withdraw(appointment).await? {
        if message.state != State::Queued {
            continue;
        }
        settle::failed(tx, &mut message, SUPERSEDED.into(), now).await?;
        tx.save_message(&message, now).await?;
        ended.push(message.id);
    }
    Ok(ended)
}

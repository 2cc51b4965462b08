//! The ends of a message, with what each means for its credit and for what was taken from limits.

use voxanne_kernel::{StoreError, Timestamp};

use super::ports::is_charged;
use crate::{
    channel::Channel,
    credits::Ledger,
    limits::{Bucket, Throttle},
    message::{Carrier, Code, Given, Message, MessageStatus, State},
    providers::Cost,
};

/// A provider has taken `message`, whoever told us so.
pub(super) struct Taken {
    pub(super) carrier: Carrier,
    pub(super) external_id: Option<String>,
    pub(super) segments: Option<u32>,
    /// What the provider says it cost.
    pub(super) cost: Option<Cost>,
    pub(super) at: Timestamp,
}

/// Turns `message` into one that a provider has, and settles its credit.
pub(super) async fn given<Tx: Ledger + ?Sized>(
    tx: &mut Tx,
    message: &mut Message,
    taken: Taken,
) -> Result<(), StoreError> {
    let Taken { carrier, external_id, segments, cost, at } = taken;
    let external_id = external_id.filter(|id| !id.is_empty());
    if is_charged(&carrier) {
        // What is charged is our price, whatever the provider takes from us.
        if let (true, Some(charge)) = (message.is_reserved, message.cost) {
            tx.settle(message.id, charge.amount, at).await?;
        }
    } else {
        if message.is_reserved {
            tx.refund(message.id, at).await?;
        }
        message.cost = cost;
    }
    message.is_reserved = false;
    message.segments = segments.filter(|count| *count > 0).or(message.segments);
    message.due_at = None;
    let (status, code, delivered_at) = (MessageStatus::Sent, None, None);
    message.state = State::Given(Given { carrier, external_id, at, status, code, delivered_at });
    Ok(())
}

/// Gives `message` up: no provider has it, its credit comes back, and its contact may be written to again.
pub(super) async fn failed<Tx: Ledger + Throttle + ?Sized>(
    tx: &mut Tx,
    message: &mut Message,
    code: Code,
    at: Timestamp,
) -> Result<(), StoreError> {
    // In the order in which queueing takes them, or two units of work could wait for each other.
    if let (Channel::Sms, true, Some(contact)) =
        (message.channel(), message.new.purpose.is_limited_for_each_contact(), message.new.contact)
    {
        tx.give_back(Bucket::Contact(contact)).await?;
        if message.new.as_of.is_some() {
            tx.give_back(Bucket::ContactAsOf(contact)).await?;
        }
    }
    if message.is_reserved {
        tx.refund(message.id, at).await?;
        message.is_reserved = false;
    }
    message.cost = None;
    message.due_at = None;
    message.state = State::Failed { code };
    Ok(())
}

//! Giving an appointment another time, length or resource inside a unit of work; shared by rescheduling and updating.

use jiff::Timestamp;
use voxanne_kernel::StoreError;

use crate::{
    appointment::Appointment,
    availability::{NEARBY, with_margin},
    calendar::{CalendarSnapshot, Wish},
    hours::Interval,
    outcome::Refusal,
    ports::{ChangeTx, SaveError},
};

/// Why an appointment was not moved.
#[derive(Debug)]
pub(crate) enum NotMoved {
    /// It must not be. The unit of work is still good.
    Refused(Refusal),
    /// The calendar is of another version by now: read it anew and begin again.
    Stale,
    /// The store failed.
    Store(StoreError),
}

impl From<StoreError> for NotMoved {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for NotMoved {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

/// Moves `appointment` to `starts` and stores it. Its old time is given up only with this change.
///
/// The resource it has is preferred. Alternatives come from what is booked within a week around.
pub(crate) async fn hold(
    tx: &mut dyn ChangeTx,
    calendar: &CalendarSnapshot,
    appointment: &mut Appointment,
    wish: &Wish<'_>,
    starts: Timestamp,
    now: Timestamp,
) -> Result<(), NotMoved> {
    let placement = calendar.place(wish, starts, now);
    if let Ok(placement) = &placement {
        tx.lock_days(&placement.slot.days(&calendar.zone)).await?;
    }
    let asked = starts.max(now);
    let busy = tx.busy(with_margin(Interval::about(asked, NEARBY)), Some(appointment.id)).await?;
    if busy.version != calendar.version {
        return Err(NotMoved::Stale);
    }
    let offering = |mut why: Refusal| {
        if why.alternatives().is_some() {
            why.offer(calendar.nearest(wish, asked, NEARBY, &busy.spans, now));
        }
        why
    };
    let mut placement = placement.map_err(offering)?;
    placement.candidates.sort_by_key(|id| *id != appointment.resource);
    let blocked = placement.slot.blocked();
    let is_free = |id| !busy.spans.iter().any(|b| b.resource == id && b.interval().overlaps(blocked));
    let Some(resource) = placement.candidates.into_iter().find(|id| is_free(*id)) else {
        return Err(offering(Refusal::SlotTaken { alternatives: Vec::new() }).into());
    };
    if appointment.slot.starts != placement.slot.starts {
        appointment.status = appointment.status.after_move();
    }
    appointment.resource = resource;
    appointment.slot = placement.slot;
    match tx.save_appointment(appointment).await {
        Ok(()) => Ok(()),
        // Only a booking decided under another zone can slip past the day's lock; the next attempt sees it.
        Err(SaveError::SlotTaken) => Err(NotMoved::Stale),
        Err(SaveError::Store(error)) => Err(error.into()),
    }
}

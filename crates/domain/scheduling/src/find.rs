//! Finding appointments: for the dashboard's list, and for a caller who means one of theirs.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use voxanne_kernel::{Begin, Clock, E164, OrgScope, Page, PageRequest, StoreError, Zone, ids::AppointmentId};

use crate::{
    appointment::AppointmentDetails,
    outcome::Refusal,
    ports::{AppointmentFilter, Appointments, FindTx},
    spoken::{self, Field, NotUnderstood},
};

/// An appointment that began this recently can still be meant by "my appointment".
const JUST_BEGUN: SignedDuration = SignedDuration::from_mins(30);

/// Which appointment is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// This one.
    Id(AppointmentId),
    /// The coming one of whoever has this number.
    Of {
        /// The number.
        phone: E164,
        /// The day it is on, in the caller's words.
        on: Option<String>,
    },
}

/// Finds appointments.
pub struct FindAppointments {
    store: Arc<dyn Begin<dyn FindTx>>,
    clock: Arc<dyn Clock>,
}

impl FindAppointments {
    /// With its ports.
    pub fn new(store: Arc<dyn Begin<dyn FindTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// One appointment; `None` if there is none.
    pub async fn one(
        &self,
        scope: &OrgScope,
        id: AppointmentId,
    ) -> Result<Option<AppointmentDetails>, StoreError> {
        self.store.begin(scope).await?.appointment(id).await
    }

    /// A page of those that pass the filter, latest start first.
    pub async fn list(
        &self,
        scope: &OrgScope,
        filter: &AppointmentFilter,
        page: &PageRequest,
    ) -> Result<Page<AppointmentDetails>, StoreError> {
        self.store.begin(scope).await?.appointments(filter, page).await
    }

    /// The coming appointments of whoever has this number, next first.
    pub async fn upcoming(
        &self,
        scope: &OrgScope,
        phone: &E164,
    ) -> Result<Vec<AppointmentDetails>, StoreError> {
        let from = just_now(self.clock.now());
        self.store.begin(scope).await?.upcoming(phone, from).await
    }
}

fn just_now(now: Timestamp) -> Timestamp {
    now.checked_sub(JUST_BEGUN).unwrap_or(now)
}

/// Why the one that is meant was not found.
pub(crate) enum NotFound {
    Refused(Refusal),
    Store(StoreError),
}

impl From<StoreError> for NotFound {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for NotFound {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

/// Finds the one appointment that is meant and holds it against changes by others.
pub(crate) async fn meant<Tx: Appointments + ?Sized>(
    tx: &mut Tx,
    which: &Which,
    zone: &Zone,
    now: Timestamp,
) -> Result<AppointmentDetails, NotFound> {
    let id = match which {
        Which::Id(id) => *id,
        Which::Of { phone, on } => {
            let day = on.as_deref().filter(|text| !text.trim().is_empty());
            let day = day.map(|text| spoken_day(text, zone, now)).transpose()?;
            let mut coming = tx.upcoming(phone, just_now(now)).await?;
            coming.retain(|it| day.is_none_or(|day| zone.date(it.appointment.slot.starts) == day));
            match coming.as_slice() {
                [] => return Err(Refusal::NotFound.into()),
                [one] => one.appointment.id,
                several => {
                    let choices = several.iter().map(|it| it.appointment.slot.starts).collect();
                    return Err(Refusal::WhichOne { choices }.into());
                }
            }
        }
    };
    Ok(tx.appointment_for_change(id).await?.ok_or(Refusal::NotFound)?)
}

fn spoken_day(text: &str, zone: &Zone, now: Timestamp) -> Result<jiff::civil::Date, Refusal> {
    let heard = spoken::hear(text, Field::Date, &zone.local(now));
    let day = heard.and_then(|heard| heard.date.ok_or(NotUnderstood::DateMissing));
    day.map_err(|what| Refusal::NotUnderstood { what })
}

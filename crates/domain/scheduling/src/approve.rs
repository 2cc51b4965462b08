//! Approving an appointment that waits for it (decision D13).

use std::sync::Arc;

use voxanne_kernel::{OrgScope, ids::AppointmentId};

use crate::{
    appointment::{AppointmentDetails, AppointmentStatus},
    reschedule::ChangeError,
    update::{AppointmentUpdate, UpdateAppointment},
};

/// Approves appointments.
pub struct ApproveAppointment {
    update: Arc<UpdateAppointment>,
}

impl ApproveAppointment {
    /// Approval is an update of the state, with its own rule for repeats.
    pub fn new(update: Arc<UpdateAppointment>) -> Self {
        Self { update }
    }

    /// Confirms it. Its time is held since it was made. One that is confirmed stays so.
    pub async fn run(&self, scope: &OrgScope, id: AppointmentId) -> Result<AppointmentDetails, ChangeError> {
        let approve = AppointmentUpdate { status: Some(AppointmentStatus::Confirmed), ..Default::default() };
        self.update.run(scope, id, &approve).await
    }
}

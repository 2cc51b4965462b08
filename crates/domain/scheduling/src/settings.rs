//! Reading and replacing an organization's hours, rules and resources.

use std::sync::Arc;

use voxanne_kernel::{Begin, NewAudit, OrgScope, StoreError, ids::ResourceId};

use crate::{
    calendar::CalendarSnapshot,
    hours::WeekHours,
    ports::{CalendarSnapshots, SettingsTx},
    schedule::{Resource, Schedule, ScheduleProblem},
};

/// The most resources an organization has.
const MOST_RESOURCES: usize = 100;

/// A resource as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourcePlan {
    /// Which one; without an id the one with the same name, or a new one.
    pub id: Option<ResourceId>,
    /// What staff call it.
    pub name: String,
    /// Its own hours.
    pub hours: Option<WeekHours>,
}

/// Why a schedule was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Rules that are broken, all of them.
    #[error("the schedule breaks a rule")]
    Invalid(Vec<ScheduleProblem>),
    /// A plan's id names no resource of the organization.
    #[error("there is no such resource")]
    UnknownResource,
    /// The organization does not exist.
    #[error("there is no such organization")]
    NotFound,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps schedules.
pub struct ScheduleSettings {
    calendars: Arc<dyn CalendarSnapshots>,
    store: Arc<dyn Begin<dyn SettingsTx>>,
}

impl ScheduleSettings {
    /// With its ports.
    pub fn new(calendars: Arc<dyn CalendarSnapshots>, store: Arc<dyn Begin<dyn SettingsTx>>) -> Self {
        Self { calendars, store }
    }

    /// The calendar as it is; `None` if the organization does not exist.
    pub async fn get(&self, scope: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError> {
        self.calendars.fresh(scope).await
    }

    /// Replaces hours and rules, and the resources if some are given: those that are not named any more are retired,
    /// which leaves the appointments they hold alone.
    pub async fn put(
        &self,
        scope: &OrgScope,
        schedule: &Schedule,
        resources: Option<Vec<ResourcePlan>>,
    ) -> Result<Arc<CalendarSnapshot>, SettingsError> {
        let problems = schedule.problems();
        if !problems.is_empty() {
            return Err(SettingsError::Invalid(problems));
        }
        let mut tx = self.store.begin(scope).await?;
        let before = tx.calendar().await?.ok_or(SettingsError::NotFound)?;
        tx.save_schedule(schedule).await?;
        if let Some(plans) = resources {
            let resources = settle(&before.resources, plans)?;
            for gone in before.resources.iter().filter(|old| resources.iter().all(|new| new.id != old.id)) {
                tx.retire_resource(gone.id).await?;
            }
            for resource in resources.iter().filter(|new| !before.resources.contains(new)) {
                tx.save_resource(resource).await?;
            }
        }
        let after = tx.calendar().await?.map(|after| described(&after.schedule, &after.resources));
        tx.record(NewAudit {
            action: "schedule.replaced",
            target_kind: "organization",
            target_id: scope.org().to_string(),
            before: Some(described(&before.schedule, &before.resources)),
            after,
        })
        .await?;
        tx.commit().await?;
        self.calendars.fresh(scope).await?.ok_or(SettingsError::NotFound)
    }
}

fn settle(current: &[Resource], plans: Vec<ResourcePlan>) -> Result<Vec<Resource>, SettingsError> {
    let broken = |rule| SettingsError::Invalid(vec![ScheduleProblem { field: "resources", rule }]);
    if plans.is_empty() || plans.len() > MOST_RESOURCES {
        return Err(broken("must name 1 to 100 resources"));
    }
    let mut settled: Vec<Resource> = Vec::with_capacity(plans.len());
    for plan in plans {
        let name = plan.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 120 || name.contains('\0') {
            return Err(broken("each needs a name of 1 to 120 characters"));
        }
        let id = match plan.id {
            Some(id) if current.iter().any(|resource| resource.id == id) => id,
            Some(_) => return Err(SettingsError::UnknownResource),
            None => {
                let same = current.iter().find(|resource| resource.name == name).map(|resource| resource.id);
                same.filter(|id| settled.iter().all(|it| it.id != *id)).unwrap_or_else(ResourceId::generate)
            }
        };
        if settled.iter().any(|it| it.id == id) {
            return Err(broken("an id is given twice"));
        }
        settled.push(Resource { id, name, hours: plan.hours });
    }
    Ok(settled)
}

fn described(schedule: &Schedule, resources: &[Resource]) -> serde_json::Value {
    serde_json::json!({
        "slot_minutes": schedule.slot_minutes,
        "buffer_before_minutes": schedule.buffer_before_minutes,
        "buffer_after_minutes": schedule.buffer_after_minutes,
        "min_notice_minutes": schedule.min_notice_minutes,
        "horizon_days": schedule.horizon_days,
        "hours": schedule.hours,
        "holidays": schedule.holidays,
        "resources": resources.iter().map(|r| serde_json::json!({"id": r.id, "name": r.name, "hours": r.hours}))
            .collect::<Vec<_>>(),
    })
}

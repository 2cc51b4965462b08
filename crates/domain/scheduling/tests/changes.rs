//! Moving, cancelling, updating and finding, on the in-memory store.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use voxanne_kernel::{E164, PageRequest, ids::AppointmentId};
use voxanne_scheduling::{
    AppointmentStatus, Confirmation, Refusal, When,
    cancel::CancelRequest,
    find::Which,
    hours::WeekHours,
    ports::{AppointmentFilter, Via},
    reschedule::{ChangeError, RescheduleRequest},
    schedule::Schedule,
    settings::{ResourcePlan, SettingsError},
    testing::{CALLER, World},
    update::AppointmentUpdate,
};

const NOW: &str = "2026-11-18T15:00:00Z";

fn refusal<T: std::fmt::Debug>(result: Result<T, ChangeError>) -> Refusal {
    match result {
        Err(ChangeError::Refused(refused)) => refused.why,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn mine(on: Option<&str>) -> Which {
    Which::Of { phone: E164::new(CALLER).unwrap(), on: on.map(Into::into) }
}

async fn move_to(
    world: &World,
    which: Which,
    date: &str,
    time: &str,
    tool_call: &str,
) -> Result<Confirmation, ChangeError> {
    let to = When::Spoken { date: date.into(), time: time.into() };
    let request = RescheduleRequest { which, to, via: World::tool_call(tool_call) };
    world.reschedule.run(&world.scope, &request).await
}

async fn cancel(world: &World, which: Which, tool_call: &str) -> Result<Confirmation, ChangeError> {
    let request = CancelRequest { which, reason: Some("ill".into()), via: World::tool_call(tool_call) };
    world.cancel.run(&world.scope, &request).await
}

#[tokio::test]
async fn a_moved_appointment_holds_its_new_time_and_frees_the_old_one() {
    let world = World::at(NOW);
    let booked = world.book("tomorrow", "14:00", "t1").await.unwrap();
    let moved = move_to(&world, mine(None), "friday", "3pm", "t2").await.unwrap();
    assert_eq!(moved.appointment, booked.appointment);
    assert_eq!(moved.status, AppointmentStatus::Rescheduled);
    assert_eq!(moved.starts, "2026-11-20T20:00:00Z".parse().unwrap());
    world.book("tomorrow", "14:00", "t3").await.unwrap();
    assert!(world.book("friday", "3pm", "t4").await.is_err());
}

#[tokio::test]
async fn a_refused_move_leaves_everything_as_it_was() {
    let world = World::at(NOW);
    let first = world.book("tomorrow", "14:00", "t1").await.unwrap();
    world.book("friday", "15:00", "t2").await.unwrap();
    let before = world.appointments();
    let why = refusal(move_to(&world, Which::Id(first.appointment), "friday", "15:00", "t3").await);
    assert!(matches!(&why, Refusal::SlotTaken { alternatives } if alternatives.len() == 3));
    assert_eq!(world.appointments(), before);
    // It may overlap itself.
    move_to(&world, Which::Id(first.appointment), "tomorrow", "14:15", "t4").await.unwrap();
}

#[tokio::test]
async fn a_repeated_move_or_cancellation_has_one_effect_and_one_answer() {
    let world = World::at(NOW);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    let moved = move_to(&world, mine(None), "friday", "15:00", "t2").await.unwrap();
    assert_eq!(move_to(&world, mine(None), "friday", "15:00", "t2").await.unwrap(), moved);
    let cancelled = cancel(&world, mine(None), "t3").await.unwrap();
    assert_eq!(cancel(&world, mine(None), "t3").await.unwrap(), cancelled);
    assert_eq!(refusal(cancel(&world, mine(None), "t4").await), Refusal::NotFound);
    assert_eq!(world.activity().len(), 3);
    assert_eq!(world.appointments()[0].notes.as_deref(), Some("Cancelled: ill"));
    world.book("friday", "15:00", "t5").await.unwrap();
}

#[tokio::test]
async fn one_of_several_has_to_be_named_by_its_day() {
    let world = World::at(NOW);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    let friday = world.book("friday", "14:00", "t2").await.unwrap();
    assert!(
        matches!(refusal(cancel(&world, mine(None), "t3").await), Refusal::WhichOne { choices } if choices.len() == 2)
    );
    assert_eq!(cancel(&world, mine(Some("friday")), "t4").await.unwrap().appointment, friday.appointment);
    assert_eq!(refusal(cancel(&world, mine(Some("monday")), "t5").await), Refusal::NotFound);
    assert!(matches!(refusal(cancel(&world, mine(Some("soon")), "t6").await), Refusal::NotUnderstood { .. }));
    assert_eq!(refusal(cancel(&world, Which::Id(AppointmentId::generate()), "t7").await), Refusal::NotFound);
}

#[tokio::test]
async fn a_key_that_was_used_for_something_else_changes_nothing() {
    let world = World::at(NOW);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    assert_eq!(refusal(cancel(&world, mine(None), "t1").await), Refusal::OtherRequest);
    assert!(world.appointments()[0].status.is_held());
}

#[tokio::test]
async fn staff_change_several_things_at_once_or_nothing() {
    let world = World::at(NOW);
    let it = world.book("tomorrow", "14:00", "t1").await.unwrap().appointment;
    world.book("friday", "14:00", "t2").await.unwrap();
    let update = AppointmentUpdate {
        starts: Some(When::parse("2026-11-20T14:00:00", None).unwrap()),
        notes: Some("bring the papers".into()),
        ..Default::default()
    };
    assert!(matches!(refusal(world.update.run(&world.scope, it, &update).await), Refusal::SlotTaken { .. }));
    assert_eq!(world.appointments()[0].notes, None);
    let update = AppointmentUpdate { minutes: Some(60), notes: Some("long".into()), ..Default::default() };
    let changed = world.update.run(&world.scope, it, &update).await.unwrap();
    assert_eq!(
        (changed.appointment.slot.minutes(), changed.appointment.notes.as_deref()),
        (60, Some("long"))
    );
    assert_eq!(changed.appointment.status, AppointmentStatus::Confirmed);
}

#[tokio::test]
async fn a_state_changes_only_along_its_life() {
    let world = World::at(NOW);
    let it = world.book("tomorrow", "14:00", "t1").await.unwrap().appointment;
    let to = |status| AppointmentUpdate { status: Some(status), ..Default::default() };
    let set = async |status| world.update.run(&world.scope, it, &to(status)).await;
    assert!(matches!(refusal(set(AppointmentStatus::PendingApproval).await), Refusal::NotChangeable { .. }));
    set(AppointmentStatus::NoShow).await.unwrap();
    set(AppointmentStatus::Completed).await.unwrap();
    assert!(matches!(refusal(set(AppointmentStatus::Confirmed).await), Refusal::NotChangeable { .. }));
    assert!(matches!(refusal(cancel(&world, Which::Id(it), "t2").await), Refusal::NotChangeable { .. }));
}

#[tokio::test]
async fn the_list_runs_from_the_latest_start_in_pages_without_gaps() {
    let world = World::at(NOW);
    for hour in 9..16 {
        world.book("tomorrow", &format!("{hour:02}:00"), &format!("t{hour}")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut page = PageRequest::new(3, None).unwrap();
    loop {
        let found = world.find.list(&world.scope, &AppointmentFilter::default(), &page).await.unwrap();
        seen.extend(found.rows.iter().map(|it| it.appointment.slot.starts));
        match found.next {
            Some(next) => page = PageRequest::new(3, Some(next)).unwrap(),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b));
}

#[tokio::test]
async fn a_new_schedule_applies_at_once_and_is_audited() {
    let world = World::at(NOW);
    world.book("tomorrow", "14:00", "t1").await.unwrap();
    let schedule = Schedule { slot_minutes: 60, hours: WeekHours::default(), ..Schedule::default() };
    let plan = |name: &str| ResourcePlan { id: None, name: name.into(), hours: None };
    let after = world
        .settings
        .put(&world.scope, &schedule, Some(vec![plan("Room 1"), plan("Room 2")]))
        .await
        .unwrap();
    assert_eq!(after.resources.len(), 2);
    assert_eq!(after.resources[0].id, world.appointments()[0].resource, "the same name is the same room");
    assert!(world.book("friday", "14:00", "t2").await.is_err());
    assert_eq!(world.audit()[0].action, "schedule.replaced");
}

#[tokio::test]
async fn a_schedule_that_breaks_rules_names_all_of_them() {
    let world = World::at(NOW);
    let schedule = Schedule { slot_minutes: 1, horizon_days: 0, ..Schedule::default() };
    let Err(SettingsError::Invalid(problems)) = world.settings.put(&world.scope, &schedule, None).await
    else {
        panic!("it breaks two rules")
    };
    assert_eq!(problems.iter().map(|p| p.field).collect::<Vec<_>>(), ["slot_minutes", "horizon_days"]);
    let unknown =
        ResourcePlan { id: Some(voxanne_kernel::ids::ResourceId::generate()), name: "X".into(), hours: None };
    for plans in [vec![], vec![unknown], vec![ResourcePlan { id: None, name: " ".into(), hours: None }]] {
        let put = world.settings.put(&world.scope, &Schedule::default(), Some(plans)).await;
        assert!(matches!(put, Err(SettingsError::Invalid(_) | SettingsError::UnknownResource)));
    }
    assert_eq!(Via::Api.source().as_str(), "api");
}

#[tokio::test]
async fn a_change_takes_back_what_was_to_be_said_of_a_time_that_is_not_true_any_more() {
    let world = World::at(NOW);
    let it = world.book("tomorrow", "14:00", "t1").await.unwrap().appointment;
    let check = async |update: AppointmentUpdate, times: usize| {
        world.update.run(&world.scope, it, &update).await.unwrap();
        assert_eq!(world.taken_back(), vec![it; times], "{update:?}");
    };
    check(AppointmentUpdate { notes: Some("tired".into()), ..Default::default() }, 0).await;
    check(AppointmentUpdate { minutes: Some(60), ..Default::default() }, 0).await;
    let friday = When::parse("2026-11-20T14:00:00", None).unwrap();
    check(AppointmentUpdate { starts: Some(friday.clone()), ..Default::default() }, 1).await;
    check(AppointmentUpdate { starts: Some(friday), ..Default::default() }, 1).await;
    check(AppointmentUpdate { status: Some(AppointmentStatus::Confirmed), ..Default::default() }, 1).await;
    move_to(&world, Which::Id(it), "friday", "15:00", "t2").await.unwrap();
    assert_eq!(world.taken_back().len(), 2);
    move_to(&world, Which::Id(it), "friday", "15:00", "t2").await.unwrap();
    refusal(move_to(&world, Which::Id(it), "sunday", "15:00", "t3").await);
    assert_eq!(world.taken_back().len(), 2, "nothing was changed");
    check(AppointmentUpdate { status: Some(AppointmentStatus::Completed), ..Default::default() }, 3).await;
    check(AppointmentUpdate { status: Some(AppointmentStatus::NoShow), ..Default::default() }, 3).await;
    let other = world.book("friday", "9:00", "t4").await.unwrap().appointment;
    cancel(&world, Which::Id(other), "t5").await.unwrap();
    assert_eq!(world.taken_back().last(), Some(&other));
}

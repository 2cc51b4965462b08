//! Saving, approving, linking and removing assistants against a provider and rows in memory: at once, interrupted
//! anywhere, and with answers that get lost.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::{join, join_all};
use jiff::Timestamp;
use voxanne_kernel::{Job, NewJob, ProviderError};

use crate::{
    assistant::AssistantKind::{self, Inbound, Outbound},
    definition::definitions,
    ensure::EnsureError,
    name::ToolName,
    ports::{AssistantRecord, ToolState},
    register::RegisterError,
    remove::RemoveError,
    save::SavedAgent,
    settings::{AssistantSettings, FirstMessage, SettingsDraft, SystemPrompt},
    show::ToolSync,
    signing::SigningError,
    sync::{LostTools, SyncTools, Synced},
    testing::{Death, Fault, KeptAssistant, MemoryRegistrations, World, until_dead},
    voice::Voice,
};

fn draft(prompt: &str) -> SettingsDraft {
    SettingsDraft {
        name: None,
        system_prompt: SystemPrompt::new(prompt).unwrap(),
        first_message: Some(FirstMessage::new(prompt).unwrap()),
        voice: None,
        language: None,
        max_duration: None,
    }
}

impl World {
    async fn saving(&self, prompt: &str) -> Result<SavedAgent, EnsureError> {
        self.save.run(&self.scope, Inbound, draft(prompt)).await
    }

    async fn saved(&self, prompt: &str) -> SavedAgent {
        self.saving(prompt).await.unwrap()
    }

    async fn linked(&self) -> Synced {
        self.link
            .work(&self.scope, SyncTools { org_id: self.scope.org(), retry: 0, looks: false })
            .await
            .unwrap()
    }

    fn row(&self) -> AssistantRecord {
        self.store.row(self.scope.org(), Inbound).unwrap()
    }

    /// The only assistant there is.
    fn only(&self) -> KeptAssistant {
        let ids = self.provider.assistants();
        assert_eq!(ids.len(), 1, "{ids:?}");
        self.provider.kept(&ids[0]).unwrap()
    }

    /// The one assistant, which says `prompt`, as our row says too.
    #[track_caller]
    fn agrees(&self, prompt: &str) {
        let (kept, row) = (self.only(), self.row());
        assert_eq!(row.provider_id.as_ref(), Some(&kept.id));
        assert_eq!(kept.blueprint.settings, row.settings);
        assert_eq!(row.settings.system_prompt.as_str(), prompt);
        assert_eq!(row.creation_begun, None);
        assert!(self.store.is_free());
        assert_eq!(self.provider.credentials().len(), 1);
    }

    fn tasks(&self) -> Vec<&'static str> {
        self.store.take_jobs().iter().map(|job| job.task).collect()
    }
}

#[tokio::test]
async fn a_first_save_writes_one_credential_and_one_assistant_and_leaves_the_tools_to_a_job() {
    let world = World::new();
    let saved = world.saved("Be brief.").await;
    assert_eq!(world.provider.take_requests(), ["create credential", "create"]);
    let assistant = saved.assistant;
    assert!(assistant.is_new && !assistant.was_deleted && assistant.name == "Glow inbound");
    world.agrees("Be brief.");
    assert_eq!(world.tasks(), [SyncTools::TASK, "bind_numbers"]);
    let audit = world.store.audited().remove(0);
    assert_eq!(audit.action, "assistant.saved");
    assert!(!format!("{audit:?}").contains("brief"), "{audit:?}");

    world.save.run(&world.scope, Outbound, draft("Call.")).await.unwrap();
    assert_eq!(world.provider.take_requests(), ["create"]);
    assert_eq!(world.tasks(), [SyncTools::TASK]);
}

#[tokio::test]
async fn a_later_save_updates_and_what_it_leaves_out_takes_its_default() {
    let world = World::new();
    let voice = Some(Voice::named("Elliot"));
    let first =
        world.save.run(&world.scope, Inbound, SettingsDraft { voice, ..draft("One.") }).await.unwrap();
    world.provider.take_requests();
    let voice = Some(Voice::named("Paige"));
    let second =
        world.save.run(&world.scope, Inbound, SettingsDraft { voice, ..draft("Two.") }).await.unwrap();
    assert_eq!(world.provider.take_requests(), ["update"]);
    assert!(!second.assistant.is_new && !second.assistant.was_deleted);
    assert_eq!(second.assistant.provider_id, first.assistant.provider_id);
    assert_eq!(second.voice_replaced.unwrap().wanted, "Paige");
    world.agrees("Two.");
    assert_eq!(world.row().settings.voice.as_str(), "Clara");
}

#[tokio::test]
async fn what_is_registered_is_linked_in_the_save_itself() {
    let world = World::new();
    world.saved("One.").await;
    assert!(matches!(world.linked().await, Synced::Done));
    world.store.take_jobs();
    let outbound = world.save.run(&world.scope, Outbound, draft("Two.")).await.unwrap().assistant;
    let carried = world.provider.kept(&outbound.provider_id).unwrap().tool_ids;
    assert_eq!(carried.len(), ToolName::ALL.len());
    let shown = world.show.get(&world.scope, Outbound).await.unwrap().unwrap();
    assert_eq!(shown.tool_sync(), ToolSync::Synced);
    assert!(world.store.tools(world.scope.org()).iter().all(|tool| tool.state == ToolState::Linked));
}

#[tokio::test]
async fn saves_at_once_make_one_assistant_and_the_later_one_stands_whole() {
    for savers in [2, 10] {
        let world = World::new();
        let prompts: Vec<String> = (0..savers).map(|n| format!("Writer {n}.")).collect();
        let answers = join_all(prompts.iter().map(|prompt| world.saving(prompt))).await;
        let ids: std::collections::HashSet<_> =
            answers.into_iter().map(|answer| answer.unwrap().assistant.provider_id).collect();
        assert_eq!(ids.len(), 1);
        let said = world.row().settings.system_prompt.as_str().to_owned();
        world.agrees(&said);
        assert_eq!(world.row().settings.first_message.as_str(), said);
        assert!(prompts.contains(&said));
    }
}

#[tokio::test]
async fn a_save_and_an_approval_and_a_sync_at_once_lose_no_prompt() {
    let world = World::new();
    let approve = world.ensure.run(&world.scope, "Glow", Inbound);
    let (saved, (approved, synced)) = join(world.saving("Mine."), join(approve, world.linked())).await;
    assert_eq!(saved.unwrap().assistant.provider_id, approved.unwrap().provider_id);
    assert!(matches!(synced, Synced::Done), "{synced:?}");
    world.agrees("Mine.");
    let (first, second) = (world.saving("Again."), world.linked());
    let (saved, synced) = join(first, second).await;
    assert!(saved.is_ok() && matches!(synced, Synced::Done), "{synced:?}");
    world.agrees("Again.");
    assert_eq!(world.only().tool_ids.len(), ToolName::ALL.len());
}

#[tokio::test]
async fn approval_keeps_what_was_saved_and_begins_with_the_defaults_otherwise() {
    let world = World::new();
    world.saved("Mine.").await;
    let approved = world.ensure.run(&world.scope, "Glow", Inbound).await.unwrap();
    assert!(!approved.is_new);
    world.agrees("Mine.");
    let outbound = world.ensure.run(&world.scope, "Glow", Outbound).await.unwrap();
    assert!(outbound.is_new);
    let kept = world.provider.kept(&outbound.provider_id).unwrap();
    assert_eq!(kept.blueprint.settings, AssistantSettings::default_for("Glow", Outbound));
}

#[tokio::test]
async fn a_deleted_assistant_is_created_anew() {
    let world = World::new();
    let first = world.saved("One.").await.assistant;
    world.tasks();
    world.provider.lose_assistant(&first.provider_id);
    let second = world.saved("Two.").await.assistant;
    assert!(second.was_deleted && !second.is_new && second.provider_id != first.provider_id);
    world.agrees("Two.");
    assert_eq!(world.tasks(), [SyncTools::TASK, "bind_numbers"], "its numbers ring at the new one");
    assert!(!world.saved("Three.").await.assistant.was_deleted);
}

#[tokio::test]
async fn a_deleted_assistant_whose_replacement_was_interrupted_is_still_told_as_deleted() {
    let world = World::new();
    let first = world.saved("One.").await.assistant;
    world.provider.lose_assistant(&first.provider_id);
    world.provider.fail([Fault::None, Fault::Lost]);
    assert!(matches!(world.saving("Two.").await, Err(EnsureError::Provider(ProviderError::Unclear(_)))));
    world.store.let_claims_run_out();
    let third = world.saved("Three.").await.assistant;
    assert!(third.was_deleted && !third.is_new);
    world.agrees("Three.");
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_is_settled_in_the_same_save() {
    let world = World::new();
    world.provider.fail([Fault::AfterTheEffect, Fault::AfterTheEffect]);
    assert!(world.saved("One.").await.assistant.is_new);
    world.agrees("One.");
    let asked = world.provider.take_requests();
    assert_eq!(asked, ["create credential", "list credentials", "create", "list"]);
    world.provider.fail_next(Fault::AfterTheEffect);
    world.saved("Two.").await;
    world.agrees("Two.");
    assert_eq!(world.provider.take_requests(), ["update", "update"]);
}

#[tokio::test]
async fn a_creation_that_nobody_heard_of_is_looked_for_by_the_next_save_only() {
    let world = World::new();
    world.provider.fail([Fault::None, Fault::Lost]);
    assert!(matches!(world.saving("One.").await, Err(EnsureError::Provider(ProviderError::Unclear(_)))));
    assert!(world.row().creation_begun.is_some());
    assert!(matches!(world.saving("Two.").await, Err(EnsureError::Busy)), "it may yet appear");
    world.store.let_claims_run_out();
    world.provider.take_requests();
    assert!(world.saved("Two.").await.assistant.is_new);
    assert_eq!(world.provider.take_requests(), ["list", "create"]);
    world.agrees("Two.");
    world.saved("Three.").await;
    assert_eq!(world.provider.take_requests(), ["update"]);
}

#[tokio::test]
async fn a_failure_that_is_certain_leaves_nothing_and_costs_the_next_save_nothing() {
    for fault in [Fault::BeforeTheEffect, Fault::Refused] {
        let world = World::new();
        world.provider.fail([Fault::None, fault]);
        assert!(world.saving("One.").await.is_err());
        assert_eq!(world.store.row(world.scope.org(), Inbound), None);
        assert!(world.store.is_free() && world.tasks().is_empty());
        world.provider.take_requests();
        world.saved("Two.").await;
        assert_eq!(world.provider.take_requests(), ["create"]);

        world.provider.fail([fault]);
        assert!(world.saving("Three.").await.is_err());
        world.agrees("Two.");
    }
}

#[tokio::test]
async fn how_long_the_provider_wants_to_be_left_alone_is_passed_on() {
    let world = World::new();
    world.provider.fail([Fault::None, Fault::BeforeTheEffect]);
    let error = world.saving("One.").await.unwrap_err();
    let EnsureError::Provider(ProviderError::RetryLater { after, .. }) = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
}

/// Kills a save at each of its writes and commits, on either side, and saves again.
#[test]
fn killed_anywhere_and_saved_again_there_is_one_assistant_with_the_last_prompt() {
    type Before = fn(&World);
    let nothing: Before = |_| {};
    let existing: Before = |world| drop(until_dead(world.saved("Zero.")).unwrap());
    let deleted: Before = |world| {
        let saved = until_dead(world.saved("Zero.")).unwrap();
        world.provider.lose_assistant(&saved.assistant.provider_id);
    };
    let mut deaths = 0;
    for prepare in [nothing, existing, deleted] {
        for death in [Death::Before, Death::After] {
            for at in 0.. {
                let world = World::new();
                prepare(&world);
                world.die_at(at, death);
                if until_dead(world.saving("One.")).is_some() {
                    break;
                }
                deaths += 1;
                world.revive();
                assert!(world.provider.assistants().len() <= 1, "at {at}, {death:?}");
                until_dead(world.saved("Two.")).unwrap();
                world.agrees("Two.");
                assert!(matches!(until_dead(world.linked()).unwrap(), Synced::Done));
                world.agrees("Two.");
                assert_eq!(world.provider.tool_names().len(), ToolName::ALL.len());
            }
        }
    }
    assert!(deaths > 20, "{deaths}");
}

#[test]
fn killed_anywhere_an_approval_that_follows_has_what_was_saved() {
    for at in 0.. {
        let world = World::new();
        world.die_at(at, Death::After);
        if until_dead(world.saving("One.")).is_some() {
            break;
        }
        world.revive();
        let has_row = world.store.row(world.scope.org(), Inbound).is_some();
        until_dead(world.ensure.run(&world.scope, "Glow", Inbound)).unwrap().unwrap();
        let default = AssistantSettings::default_for("Glow", Inbound).system_prompt;
        world.agrees(if has_row { "One." } else { default.as_str() });
    }
}

/// Every combination of what the first four writes may come to, with saves until one succeeds.
#[tokio::test]
async fn whatever_fails_a_repeated_save_succeeds_and_nothing_is_doubled() {
    let faults = [Fault::None, Fault::BeforeTheEffect, Fault::Lost, Fault::AfterTheEffect];
    for n in 0..256_usize {
        let world = World::new();
        world.provider.fail([0, 2, 4, 6].map(|shift| faults[(n >> shift) & 3]));
        for _ in 0..10 {
            if world.saving("One.").await.is_ok() {
                break;
            }
            assert!(world.provider.assistants().len() <= 1);
            world.store.let_claims_run_out();
        }
        world.agrees("One.");
    }
}

#[tokio::test]
async fn a_sync_registers_and_links_once_and_then_finds_nothing_to_do() {
    let world = World::new();
    world.saved("One.").await;
    world.provider.add_tool(&world.only().id, "theirs");
    world.provider.take_requests();
    let before = world.show.get(&world.scope, Inbound).await.unwrap().unwrap();
    assert_eq!(before.tool_sync(), ToolSync::Queued);
    assert!(before.tools.iter().all(|tool| tool.state == ToolState::Pending && tool.id.is_none()));
    assert!(matches!(world.linked().await, Synced::Done));
    let asked = world.provider.take_requests();
    let created = vec!["create tool"; ToolName::ALL.len()];
    assert_eq!(asked, [vec!["list tools"], created, vec!["connect"]].concat());
    let kept = world.only();
    assert_eq!(kept.tool_ids.len(), ToolName::ALL.len() + 1);
    assert_eq!(kept.tool_ids[0], "theirs");
    let after = world.show.list(&world.scope).await.unwrap().remove(0);
    assert_eq!(after.tool_sync(), ToolSync::Synced);
    world.agrees("One.");
    assert!(matches!(world.linked().await, Synced::Done));
    assert_eq!(world.provider.take_requests(), ["connect"]);
}

#[tokio::test]
async fn an_older_generation_is_replaced_and_somebody_elses_tools_stay() {
    let world = World::new();
    world.saved("One.").await;
    let id = world.only().id;
    world.registrations.add_older(ToolName::ALL[0], "older");
    world.provider.add_tool(&id, "older");
    world.provider.add_tool(&id, "theirs");
    assert!(matches!(world.linked().await, Synced::Done));
    let carried = world.only().tool_ids;
    assert!(!carried.contains(&"older".to_owned()) && carried.contains(&"theirs".to_owned()));
    assert_eq!(carried.len(), ToolName::ALL.len() + 1);
}

#[tokio::test]
async fn a_link_that_fails_leaves_the_tools_registered_and_is_tried_after_2_4_and_8_seconds() {
    let world = World::new();
    world.saved("One.").await;
    assert!(matches!(world.linked().await, Synced::Done));
    let outbound = world.save.run(&world.scope, Outbound, draft("Two.")).await.unwrap().assistant;
    world.provider.lose_assistant(&outbound.provider_id);
    world.remove.run(&world.scope, Outbound).await.unwrap();
    world.store.take_jobs();

    let mut job = SyncTools { org_id: world.scope.org(), retry: 0, looks: false };
    for seconds in [2, 4, 8] {
        world.provider.fail([Fault::Lost, Fault::Lost]);
        assert!(matches!(world.link.work(&world.scope, job).await.unwrap(), Synced::Again(_)));
        let shown = world.show.get(&world.scope, Inbound).await.unwrap().unwrap();
        // What it carried it still carries, although looking after it failed.
        assert_eq!(shown.tool_sync(), ToolSync::Synced);
        assert_eq!(shown.record.link_error.as_deref(), Some("The voice provider did not answer."));
        let [next] = <[NewJob; 1]>::try_from(world.store.take_jobs()).unwrap();
        assert_eq!(next.run_at, Timestamp::from_second(seconds).ok());
        job = serde_json::from_value(next.payload).unwrap();
    }
    world.provider.fail([Fault::Lost, Fault::Lost]);
    let given_up = world.link.work(&world.scope, job).await.unwrap();
    assert_eq!(given_up.outcome(), "failed");
    assert!(world.store.take_jobs().is_empty());
    assert!(world.show.sync(&world.scope, Inbound).await.unwrap());
    assert_eq!(world.store.take_jobs(), [SyncTools::looking(world.scope.org())]);
    assert!(matches!(world.linked().await, Synced::Done));
    assert_eq!(world.row().link_error, None);
}

#[tokio::test]
async fn a_tool_that_is_refused_does_not_keep_what_was_decided_from_being_saved() {
    let world = World::new();
    world.saved("One.").await;
    world.linked().await;
    world.provider.fail_next(Fault::Refused);
    let saved = world.saved("Two.").await;
    assert!(!saved.assistant.is_new);
    assert_eq!(world.row().settings.system_prompt.as_str(), "Two.");
    assert_eq!(world.only().blueprint.settings.system_prompt.as_str(), "Two.");
    assert_eq!((world.only().tool_ids.len(), world.row().tool_ids.len()), (0, 0));
    let shown = world.show.get(&world.scope, Inbound).await.unwrap().unwrap();
    assert_eq!(shown.tool_sync(), ToolSync::Queued);
    assert!(matches!(world.linked().await, Synced::Done));
    assert_eq!(world.only().tool_ids.len(), ToolName::ALL.len());

    world.provider.fail([Fault::Refused, Fault::Refused]);
    assert!(matches!(world.saving("Three.").await, Err(EnsureError::Provider(ProviderError::Refused(_)))));
    assert_eq!(world.row().settings.system_prompt.as_str(), "Two.");
}

/// Says that one tool is gone, once.
struct OneGone(MemoryRegistrations, Mutex<Option<String>>);

#[async_trait]
impl LostTools for OneGone {
    async fn forget_lost(&self) -> Result<usize, RegisterError> {
        let gone = self.1.lock().unwrap().take();
        if let Some(id) = &gone {
            self.0.forget(id);
        }
        Ok(gone.into_iter().count())
    }
}

#[tokio::test]
async fn a_tool_that_is_gone_is_noticed_when_somebody_asks_or_the_provider_refuses_it() {
    for asked in [true, false] {
        let mut world = World::new();
        world.saved("One.").await;
        world.linked().await;
        let gone = world.only().tool_ids[3].clone();
        world.provider.lose_tool(&gone);
        let lost = OneGone(world.registrations.clone(), Mutex::new(Some(gone.clone())));
        world.link = world.link.clone().noticing(Arc::new(lost));
        let plain = SyncTools { org_id: world.scope.org(), retry: 0, looks: false };
        if asked {
            assert!(matches!(world.link.work(&world.scope, plain).await.unwrap(), Synced::Done));
            assert!(world.only().tool_ids.contains(&gone), "nobody looked");
        } else {
            world.provider.fail_next(Fault::Refused);
        }
        let job = SyncTools { looks: asked, ..plain };
        assert!(matches!(world.link.work(&world.scope, job).await.unwrap(), Synced::Done));
        let carried = world.only().tool_ids;
        assert_eq!((carried.len(), carried.contains(&gone)), (ToolName::ALL.len(), false), "asked: {asked}");
    }
}

#[tokio::test]
async fn a_provider_that_asks_for_more_time_gets_it_and_a_refusal_is_not_repeated() {
    let world = World::new();
    world.saved("One.").await;
    world.store.take_jobs();
    world.provider.fail(vec![Fault::BeforeTheEffect; ToolName::ALL.len()]);
    assert!(matches!(world.linked().await, Synced::Again(_)));
    let next = world.store.take_jobs().remove(0);
    assert_eq!(next.run_at, Timestamp::from_second(7).ok());
    let shown = world.show.get(&world.scope, Inbound).await.unwrap().unwrap();
    assert_eq!(shown.tool_sync(), ToolSync::Failed);
    let failed = ToolState::Failed("The voice provider cannot be reached right now.".to_owned());
    assert!(shown.tools.iter().all(|tool| tool.state == failed));

    world.provider.fail_next(Fault::Refused);
    let synced = world.linked().await;
    assert!(matches!(synced, Synced::GivenUp(_)), "{synced:?}");
    let shown = world.show.get(&world.scope, Inbound).await.unwrap().unwrap();
    let linked = shown.tools.iter().filter(|tool| tool.state == ToolState::Linked).count();
    assert_eq!(linked, ToolName::ALL.len() - 1, "one refusal does not keep the others from being linked");
    assert_eq!(shown.tools.iter().filter(|tool| matches!(tool.state, ToolState::Failed(_))).count(), 1);
}

#[tokio::test]
async fn syncs_of_many_organizations_at_once_register_each_tool_once() {
    let worlds: Vec<World> = {
        let first = World::new();
        (0..20).map(|_| first.neighbour()).collect()
    };
    join_all(worlds.iter().map(|world| world.saved("One."))).await;
    join_all(worlds.iter().map(|world| async {
        loop {
            match world.linked().await {
                Synced::Done => break,
                Synced::Again(EnsureError::Busy) => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    }))
    .await;
    let mut names = worlds[0].provider.tool_names();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), ToolName::ALL.len());
    assert_eq!(worlds[0].provider.tool_names().len(), ToolName::ALL.len());
    assert_eq!(worlds[0].provider.assistants().len(), 20);
}

#[tokio::test]
async fn an_assistant_deleted_at_the_provider_fails_its_tools_until_it_is_saved() {
    let world = World::new();
    world.saved("One.").await;
    world.linked().await;
    world.provider.lose_assistant(&world.only().id);
    assert!(matches!(world.linked().await, Synced::Done));
    let shown = world.show.get(&world.scope, Inbound).await.unwrap().unwrap();
    assert_eq!(shown.tool_sync(), ToolSync::Failed);
    assert!(shown.record.link_error.unwrap().contains("Save it again"));
    world.saved("Two.").await;
    assert_eq!(world.show.get(&world.scope, Inbound).await.unwrap().unwrap().tool_sync(), ToolSync::Synced);
}

#[tokio::test]
async fn removing_takes_the_numbers_off_first_and_the_row_last() {
    let world = World::new();
    assert!(matches!(world.remove.run(&world.scope, Inbound).await, Err(RemoveError::NotFound)));
    let id = world.saved("One.").await.assistant.provider_id;
    world.linked().await;
    world.provider.bind_number("+15005550006", &id);
    world.provider.take_requests();
    world.remove.run(&world.scope, Inbound).await.unwrap();
    assert_eq!(world.provider.take_requests(), ["release numbers", "delete"]);
    assert_eq!((world.provider.bound_to("+15005550006"), world.provider.assistants()), (None, Vec::new()));
    assert_eq!(world.store.tools(world.scope.org()), []);
    assert!(matches!(world.remove.run(&world.scope, Inbound).await, Err(RemoveError::NotFound)));
    let again = world.saved("Two.").await.assistant;
    assert!(again.is_new && !again.was_deleted);
}

#[tokio::test]
async fn while_the_provider_is_down_nothing_is_removed() {
    let world = World::new();
    world.saved("One.").await;
    world.provider.fail_next(Fault::BeforeTheEffect);
    assert!(matches!(world.remove.run(&world.scope, Inbound).await, Err(RemoveError::Provider(_))));
    world.agrees("One.");
}

#[test]
fn killed_anywhere_a_removal_is_finished_by_the_next() {
    for death in [Death::Before, Death::After] {
        for at in 0.. {
            let world = World::new();
            let id = until_dead(world.saved("One.")).unwrap().assistant.provider_id;
            world.provider.bind_number("+15005550006", &id);
            world.die_at(at, death);
            if until_dead(world.remove.run(&world.scope, Inbound)).is_some() {
                break;
            }
            world.revive();
            let gone = world.store.row(world.scope.org(), Inbound).is_none();
            let second = until_dead(world.remove.run(&world.scope, Inbound)).unwrap();
            assert!(if gone { matches!(second, Err(RemoveError::NotFound)) } else { second.is_ok() });
            assert_eq!(
                (world.provider.bound_to("+15005550006"), world.provider.assistants().len()),
                (None, 0)
            );
        }
    }
}

#[test]
fn a_removal_after_an_interrupted_creation_leaves_nothing_at_the_provider() {
    let world = World::new();
    // Commits: claim nothing; credential begun, created, known; row begun; then the assistant itself.
    let created = (0..20).find(|at| {
        world.die_at(*at, Death::After);
        let _ = until_dead(world.saving("One."));
        world.revive();
        !world.provider.assistants().is_empty()
    });
    assert!(created.is_some());
    until_dead(world.remove.run(&world.scope, Inbound)).unwrap().unwrap();
    assert_eq!(world.provider.assistants(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rotated_secret_reaches_the_provider_and_a_lost_credential_is_made_anew() {
    let world = World::new();
    world.saved("One.").await;
    world.secrets.set(Some("second"));
    world.ensure.signing().publish(&world.scope).await.unwrap();
    let name = format!("org-{}", world.scope.org());
    assert_eq!(name.len(), 40);
    assert_eq!(world.provider.credentials(), [(name.clone(), "second".to_owned())]);

    let before = world.only().blueprint.signing_credential;
    world.provider.lose_credentials();
    world.store.take_jobs();
    world.secrets.set(Some("third"));
    world.ensure.signing().publish(&world.scope).await.unwrap();
    assert_eq!(world.provider.credentials(), [(name, "third".to_owned())]);
    assert_eq!(world.store.take_jobs(), [SyncTools::job(world.scope.org())]);
    assert!(matches!(world.linked().await, Synced::Done));
    assert_ne!(world.only().blueprint.signing_credential, before);
}

#[tokio::test]
async fn without_a_secret_nothing_is_made() {
    let world = World::new();
    world.secrets.set(None);
    assert!(matches!(world.saving("One.").await, Err(EnsureError::Signing(SigningError::NoSecret))));
    assert!(world.provider.take_requests().is_empty());
}

#[tokio::test]
async fn the_kinds_are_each_other_s_strangers() {
    let world = World::new();
    join(world.saving("One."), world.save.run(&world.scope, Outbound, draft("Two."))).await.0.unwrap();
    assert_eq!(world.provider.credentials().len(), 1);
    for (kind, prompt) in [(Inbound, "One."), (Outbound, "Two.")] {
        let row = world.store.row(world.scope.org(), kind).unwrap();
        let kept = world.provider.kept(row.provider_id.as_ref().unwrap()).unwrap();
        assert_eq!((kept.blueprint.kind, kept.blueprint.settings.system_prompt.as_str()), (kind, prompt));
    }
    assert_eq!(AssistantKind::ALL.len(), world.provider.assistants().len());
    assert_eq!(definitions().len(), ToolName::ALL.len());
}

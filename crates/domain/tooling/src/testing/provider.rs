//! The voice provider, with answers that get lost and a process that is killed.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use voxanne_kernel::{ProviderError, ids::OrgId};

use super::lock;
use crate::{
    assistant::{AssistantBlueprint, AssistantKind},
    definition::ToolDefinition,
    ports::{HostedTool, SigningProvider, VoiceProvider},
};

/// How one of the provider's next writes goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not acted on, and says so.
    BeforeTheEffect,
    /// It is not acted on, and nobody hears why.
    Lost,
    /// It is acted on and the answer is lost.
    AfterTheEffect,
    /// It is refused for good.
    Refused,
    /// It goes well.
    None,
}

/// Where everything stops for good, as if the process had been killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Before the effect of that write or commit.
    Before,
    /// After it.
    After,
}

/// Counts writes at the provider and commits, and stops at one of them.
#[derive(Clone, Default)]
pub(super) struct Steps(Arc<Mutex<Counted>>);

#[derive(Default)]
pub(super) struct Counted {
    done: usize,
    end: Option<(usize, Death)>,
}

impl Steps {
    /// Starts counting anew; everything stops at `end`, if there is one.
    pub(super) fn restart(&self, end: Option<(usize, Death)>) {
        *lock(&self.0) = Counted { done: 0, end };
    }

    /// Counts a step and says where in it everything stops.
    pub(super) fn next(&self) -> Option<Death> {
        let mut steps = lock(&self.0);
        let here = steps.end.filter(|(at, _)| *at == steps.done).map(|(_, death)| death);
        steps.done += 1;
        here
    }

    pub(super) async fn before(death: Option<Death>) {
        if death == Some(Death::Before) {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn after(death: Option<Death>) {
        if death == Some(Death::After) {
            std::future::pending::<()>().await;
        }
    }
}

/// Lets whatever else is ready go on first, as waiting for an answer would.
pub(super) async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// An assistant as [`MemoryProvider`] holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAssistant {
    /// Its id.
    pub id: String,
    /// What it was last told to be; its tools are [`Self::tool_ids`].
    pub blueprint: AssistantBlueprint,
    /// The tools it carries, whoever added them.
    pub tool_ids: Vec<String>,
}

#[derive(Default)]
struct Hosted {
    tools: Vec<HostedTool>,
    assistants: Vec<KeptAssistant>,
    credentials: Vec<(String, String, String)>,
    numbers: Vec<(String, Option<String>)>,
    faults: VecDeque<Fault>,
    requests: Vec<&'static str>,
    made: u32,
}

/// A voice provider in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryProvider {
    hosted: Arc<Mutex<Hosted>>,
    steps: Steps,
}

impl MemoryProvider {
    pub(super) fn counting(steps: Steps) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Makes the next write fail.
    pub fn fail_next(&self, fault: Fault) {
        self.fail([fault]);
    }

    /// Makes the next writes go so, one after the other.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        lock(&self.hosted).faults = faults.into_iter().collect();
    }

    /// The names of the registered tools.
    pub fn tool_names(&self) -> Vec<String> {
        lock(&self.hosted).tools.iter().map(|tool| tool.name.clone()).collect()
    }

    /// The ids of the assistants.
    pub fn assistants(&self) -> Vec<String> {
        lock(&self.hosted).assistants.iter().map(|assistant| assistant.id.clone()).collect()
    }

    /// An assistant as it is held.
    pub fn kept(&self, id: &str) -> Option<KeptAssistant> {
        lock(&self.hosted).assistants.iter().find(|assistant| assistant.id == id).cloned()
    }

    /// The secrets of the credentials, by name.
    pub fn credentials(&self) -> Vec<(String, String)> {
        let hosted = lock(&self.hosted);
        hosted.credentials.iter().map(|(_, name, secret)| (name.clone(), secret.clone())).collect()
    }

    /// What was asked since the last time, in order.
    pub fn take_requests(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.hosted).requests)
    }

    /// As if somebody had deleted the tool.
    pub fn lose_tool(&self, id: &str) {
        lock(&self.hosted).tools.retain(|tool| tool.id != id);
    }

    /// Deletes an assistant behind our back.
    pub fn lose_assistant(&self, id: &str) {
        lock(&self.hosted).assistants.retain(|assistant| assistant.id != id);
    }

    /// Deletes the credentials behind our back.
    pub fn lose_credentials(&self) {
        lock(&self.hosted).credentials.clear();
    }

    /// Adds a tool of somebody else's to an assistant.
    pub fn add_tool(&self, assistant: &str, tool: &str) {
        let mut hosted = lock(&self.hosted);
        for kept in hosted.assistants.iter_mut().filter(|kept| kept.id == assistant) {
            kept.tool_ids.push(tool.to_owned());
        }
    }

    /// Lets a number ring at an assistant.
    pub fn bind_number(&self, number: &str, assistant: &str) {
        lock(&self.hosted).numbers.push((number.to_owned(), Some(assistant.to_owned())));
    }

    /// The assistant that a number rings at.
    pub fn bound_to(&self, number: &str) -> Option<String> {
        lock(&self.hosted).numbers.iter().find(|(known, _)| known == number)?.1.clone()
    }

    async fn read<T>(&self, what: &'static str, look: impl FnOnce(&Hosted) -> T + Send) -> T {
        pause().await;
        let mut hosted = lock(&self.hosted);
        hosted.requests.push(what);
        look(&hosted)
    }

    async fn write<T>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut Hosted) -> T + Send,
    ) -> Result<T, ProviderError> {
        let death = self.steps.next();
        Steps::before(death).await;
        pause().await;
        let outcome = {
            let mut hosted = lock(&self.hosted);
            hosted.requests.push(what);
            let lost = || ProviderError::Unclear("the connection was reset".into());
            match hosted.faults.pop_front() {
                None | Some(Fault::None) => Ok(act(&mut hosted)),
                Some(Fault::BeforeTheEffect) => Err(ProviderError::RetryLater {
                    after: Some(Duration::from_secs(7)),
                    source: "overloaded".into(),
                }),
                Some(Fault::Lost) => Err(lost()),
                Some(Fault::Refused) => Err(ProviderError::Refused("a rule".into())),
                Some(Fault::AfterTheEffect) => {
                    act(&mut hosted);
                    Err(lost())
                }
            }
        };
        Steps::after(death).await;
        pause().await;
        outcome
    }
}

impl Hosted {
    fn id(&mut self) -> String {
        self.made += 1;
        format!("made-{}", self.made)
    }

    fn change(&mut self, id: &str, blueprint: &AssistantBlueprint, settings: bool) -> bool {
        let Some(kept) = self.assistants.iter_mut().find(|kept| kept.id == id) else { return false };
        let kept_settings = kept.blueprint.settings.clone();
        kept.blueprint = blueprint.clone();
        if !settings {
            kept.blueprint.settings = kept_settings;
        }
        kept.tool_ids.retain(|id| !blueprint.superseded_tools.contains(id));
        for tool in &blueprint.tool_ids {
            if !kept.tool_ids.contains(tool) {
                kept.tool_ids.push(tool.clone());
            }
        }
        true
    }
}

#[async_trait]
impl VoiceProvider for MemoryProvider {
    async fn tools(&self) -> Result<Vec<HostedTool>, ProviderError> {
        Ok(self.read("list tools", |hosted| hosted.tools.clone()).await)
    }

    async fn register_tool(&self, definition: &ToolDefinition) -> Result<String, ProviderError> {
        self.write("create tool", |hosted| {
            let (id, name) = (hosted.id(), definition.name.as_str().to_owned());
            hosted.tools.push(HostedTool {
                id: id.clone(),
                name,
                definition: Some(definition.hash().short()),
            });
            id
        })
        .await
    }

    async fn find_assistant(&self, org: OrgId, kind: AssistantKind) -> Result<Option<String>, ProviderError> {
        let is_it = |kept: &&KeptAssistant| (kept.blueprint.org, kept.blueprint.kind) == (org, kind);
        Ok(self.read("list", |held| held.assistants.iter().find(is_it).map(|kept| kept.id.clone())).await)
    }

    async fn create_assistant(&self, blueprint: &AssistantBlueprint) -> Result<String, ProviderError> {
        self.write("create", |hosted| {
            let (id, blueprint) = (hosted.id(), blueprint.clone());
            let tool_ids = blueprint.tool_ids.clone();
            hosted.assistants.push(KeptAssistant { id: id.clone(), blueprint, tool_ids });
            id
        })
        .await
    }

    async fn update_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError> {
        self.write("update", |hosted| hosted.change(id, blueprint, true)).await
    }

    async fn connect_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError> {
        self.write("connect", |hosted| hosted.change(id, blueprint, false)).await
    }

    async fn release_numbers(&self, id: &str) -> Result<(), ProviderError> {
        self.write("release numbers", |hosted| {
            for (_, bound) in hosted.numbers.iter_mut().filter(|(_, bound)| bound.as_deref() == Some(id)) {
                *bound = None;
            }
        })
        .await
    }

    async fn delete_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.write("delete", |hosted| hosted.assistants.retain(|kept| kept.id != id)).await
    }
}

#[async_trait]
impl SigningProvider for MemoryProvider {
    async fn find_credential(&self, name: &str) -> Result<Option<String>, ProviderError> {
        let find = |hosted: &Hosted| {
            hosted.credentials.iter().find(|(_, known, _)| known == name).map(|(id, ..)| id.clone())
        };
        Ok(self.read("list credentials", find).await)
    }

    async fn create_credential(&self, name: &str, secret: &SecretString) -> Result<String, ProviderError> {
        self.write("create credential", |hosted| {
            let id = hosted.id();
            hosted.credentials.push((id.clone(), name.to_owned(), secret.expose_secret().to_owned()));
            id
        })
        .await
    }

    async fn update_credential(
        &self,
        id: &str,
        _: &str,
        secret: &SecretString,
    ) -> Result<bool, ProviderError> {
        self.write("update credential", |hosted| {
            let kept = hosted.credentials.iter_mut().find(|(known, ..)| known == id);
            kept.map(|(.., kept)| secret.expose_secret().clone_into(kept)).is_some()
        })
        .await
    }

    async fn delete_credential(&self, id: &str) -> Result<(), ProviderError> {
        self.write("delete credential", |hosted| hosted.credentials.retain(|(known, ..)| known != id)).await
    }
}

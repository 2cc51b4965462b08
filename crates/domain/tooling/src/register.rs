//! Registering our tools once for everybody, however many ask at the same time.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use voxanne_kernel::{ProviderError, StoreError};

use crate::{
    definition::{ToolDefinition, definitions},
    name::ToolName,
    ports::{Claim, ClaimToken, HostedTool, RegisteredTool, Registration, ToolRegistrations, VoiceProvider},
};

/// Tools registered at the same time by one of us.
const AT_ONCE: usize = 8;
/// How long nobody tries again after an answer that was lost: the tool may yet appear, and is then found.
const REST: Duration = Duration::from_secs(2);

/// Why the tools are not all registered. Asking again continues where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Somebody else is registering one right now; ask again in a moment.
    #[error("the tools are being registered by somebody else")]
    Busy,
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The registrations, by what they mean today.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownTools {
    /// Those of today's definitions, in their order.
    pub current: Vec<RegisteredTool>,
    /// The provider's ids of those that today's replace: an older definition of the same tool, or a tool that we no
    /// longer offer. An older definition whose successor is not registered yet is still needed.
    pub superseded: Vec<String>,
    /// The provider's ids of the older definitions that are still needed.
    older: Vec<String>,
}

impl KnownTools {
    /// Sorts `registrations`.
    pub fn of(registrations: &[Registration]) -> Self {
        let current: Vec<RegisteredTool> = definitions()
            .into_iter()
            .filter_map(|definition| {
                let hash = definition.hash();
                let text = hash.to_string();
                let found = registrations
                    .iter()
                    .find(|known| known.name == definition.name.as_str() && known.hash == text)?;
                Some(RegisteredTool { name: definition.name, hash, id: found.id.clone() })
            })
            .collect();
        let is_superseded = |known: &&Registration| match known.name.parse::<ToolName>() {
            Ok(name) => current.iter().any(|tool| tool.name == name && tool.id != known.id),
            Err(_) => true,
        };
        let (superseded, rest): (Vec<_>, Vec<_>) = registrations.iter().partition(is_superseded);
        let ids = |known: Vec<&Registration>| known.into_iter().map(|known| known.id.clone()).collect();
        let (superseded, mut older): (_, Vec<String>) = (ids(superseded), ids(rest));
        older.retain(|id| current.iter().all(|tool| tool.id != *id));
        Self { current, superseded, older }
    }

    /// The same for an assistant that carries `before` of ours: those of which no registration is left were gone at
    /// the provider and are taken off too.
    pub(crate) fn for_carrier_of(mut self, before: &[String]) -> Self {
        let ids = self.ids();
        let is_known =
            |id: &String| ids.contains(id) || self.older.contains(id) || self.superseded.contains(id);
        let gone: Vec<String> = before.iter().filter(|id| !is_known(id)).cloned().collect();
        self.superseded.extend(gone);
        self
    }

    /// Whether every tool is registered as it is defined today.
    pub fn is_complete(&self) -> bool {
        self.current.len() == ToolName::ALL.len()
    }

    /// The provider's ids of today's registrations.
    pub fn ids(&self) -> Vec<String> {
        self.current.iter().map(|tool| tool.id.clone()).collect()
    }

    /// The same with nothing to link, for an assistant that is to carry none of ours.
    pub(crate) fn set_aside(&self) -> Self {
        let superseded = self.superseded.iter().cloned().chain(self.ids()).collect();
        Self { current: Vec::new(), superseded, older: self.older.clone() }
    }

    /// What an assistant that carried `before` carries of ours once it is linked.
    pub(crate) fn carried(&self, before: &[String]) -> Vec<String> {
        let mut ids = self.ids();
        let kept = before.iter().filter(|id| !self.superseded.contains(id)).cloned();
        for id in kept {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }
}

/// Makes sure that every tool is registered with its present definition.
#[derive(Clone)]
pub struct RegisterTools {
    registrations: Arc<dyn ToolRegistrations>,
    provider: Arc<dyn VoiceProvider>,
}

impl RegisterTools {
    /// Registers at `provider` and remembers in `registrations`.
    pub fn new(registrations: Arc<dyn ToolRegistrations>, provider: Arc<dyn VoiceProvider>) -> Self {
        Self { registrations, provider }
    }

    /// What is registered, without asking the provider.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn known(&self) -> Result<KnownTools, StoreError> {
        Ok(KnownTools::of(&self.registrations.registered().await?))
    }

    /// Every tool's registration, in the order of their definitions. Those that are missing are registered at the same
    /// time.
    ///
    /// # Errors
    /// [`RegisterError`]; what was registered before the failure stays so.
    pub async fn run(&self) -> Result<Vec<RegisteredTool>, RegisterError> {
        let known = self.known().await?;
        if known.is_complete() {
            return Ok(known.current);
        }
        let (mut registered, mut ours, mut busy) = (known.current, Vec::new(), false);
        for definition in definitions() {
            if registered.iter().any(|tool| tool.name == definition.name) {
                continue;
            }
            let hash = definition.hash();
            match self.registrations.claim(definition.name, &hash).await? {
                Claim::Registered(id) => registered.push(RegisteredTool { name: definition.name, hash, id }),
                Claim::Taken => busy = true,
                Claim::Yours(claim) => ours.push((definition, claim)),
            }
        }
        registered.extend(self.register(ours).await?);
        if busy {
            return Err(RegisterError::Busy);
        }
        registered.sort_by_key(|tool| tool.name);
        Ok(registered)
    }

    /// Registers the tools that we have claimed.
    async fn register(
        &self,
        ours: Vec<(ToolDefinition, ClaimToken)>,
    ) -> Result<Vec<RegisteredTool>, RegisterError> {
        if ours.is_empty() {
            return Ok(Vec::new());
        }
        let left = match self.provider.tools().await {
            Ok(left) => left,
            Err(error) => {
                for (_, claim) in ours {
                    self.registrations.give_up(claim, Duration::ZERO).await?;
                }
                return Err(error.into());
            }
        };
        let outcomes: Vec<_> = stream::iter(ours)
            .map(|(definition, claim)| self.register_one(definition, claim, &left))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        outcomes.into_iter().collect()
    }

    async fn register_one(
        &self,
        definition: ToolDefinition,
        claim: ClaimToken,
        left: &[HostedTool],
    ) -> Result<RegisteredTool, RegisterError> {
        let id = match self.adopt_or_register(&definition, left).await {
            Ok(id) => id,
            Err(error) => {
                let rest = if matches!(error, ProviderError::Unclear(_)) { REST } else { Duration::ZERO };
                self.registrations.give_up(claim, rest).await?;
                return Err(error.into());
            }
        };
        if !self.registrations.complete(claim, &id).await? {
            return Err(RegisterError::Busy);
        }
        Ok(RegisteredTool { name: definition.name, hash: definition.hash(), id })
    }

    /// Takes what an interrupted attempt left at the provider, or registers anew. An answer that was lost is settled by
    /// looking.
    async fn adopt_or_register(
        &self,
        definition: &ToolDefinition,
        left: &[HostedTool],
    ) -> Result<String, ProviderError> {
        if let Some(id) = registered_as(definition, left) {
            tracing::info!(tool = %definition.name, "adopted a tool that an interrupted attempt left");
            return Ok(id);
        }
        match self.provider.register_tool(definition).await {
            Err(unclear @ ProviderError::Unclear(_)) => match self.provider.tools().await {
                Ok(tools) => registered_as(definition, &tools).ok_or(unclear),
                Err(_) => Err(unclear),
            },
            registered => registered,
        }
    }
}

/// The provider's id of the oldest tool with exactly this definition.
fn registered_as(definition: &ToolDefinition, tools: &[HostedTool]) -> Option<String> {
    let wanted = definition.hash().short();
    let is_it = |tool: &&HostedTool| {
        tool.name == definition.name.as_str() && tool.definition.as_deref() == Some(wanted.as_str())
    };
    tools.iter().find(is_it).map(|tool| tool.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        name::ToolName,
        testing::{Fault, MemoryProvider, MemoryRegistrations},
    };

    fn world() -> (MemoryProvider, MemoryRegistrations, RegisterTools) {
        let (provider, registrations) = (MemoryProvider::default(), MemoryRegistrations::default());
        let register = RegisterTools::new(Arc::new(registrations.clone()), Arc::new(provider.clone()));
        (provider, registrations, register)
    }

    #[tokio::test]
    async fn a_hundred_at_once_register_each_tool_once() {
        let (provider, _, register) = world();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let register = register.clone();
                tokio::spawn(async move {
                    loop {
                        match register.run().await {
                            Ok(tools) => return tools,
                            Err(RegisterError::Busy) => tokio::task::yield_now().await,
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.push(task.await.unwrap());
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(provider.tool_names().len(), ToolName::ALL.len());
    }

    #[tokio::test]
    async fn an_answer_lost_after_the_effect_leaves_no_second_tool() {
        let (provider, registrations, register) = world();
        provider.fail_next(Fault::AfterTheEffect);
        register.run().await.unwrap();
        assert_eq!(provider.tool_names().len(), ToolName::ALL.len());
        assert_eq!(registrations.registered().await.unwrap().len(), ToolName::ALL.len());
    }

    #[tokio::test]
    async fn after_a_request_that_may_yet_arrive_nobody_tries_again_at_once() {
        let (provider, registrations, register) = world();
        provider.fail_next(Fault::Lost);
        assert!(matches!(register.run().await, Err(RegisterError::Provider(ProviderError::Unclear(_)))));
        assert!(matches!(register.run().await, Err(RegisterError::Busy)), "until the claim runs out");
        registrations.let_claims_run_out();
        register.run().await.unwrap();
        assert_eq!(provider.tool_names().len(), ToolName::ALL.len());
    }

    #[tokio::test]
    async fn a_refusal_gives_the_claim_up_at_once() {
        let (provider, _, register) = world();
        provider.fail_next(Fault::BeforeTheEffect);
        assert!(matches!(register.run().await, Err(RegisterError::Provider(_))));
        assert_eq!(register.run().await.unwrap().len(), ToolName::ALL.len());
    }

    #[test]
    fn registrations_of_other_definitions_are_superseded_once_there_is_a_current_one() {
        let [booking, checking] = [0, 1].map(|at| definitions().remove(at));
        let registration = |name: &str, hash: &str, id: &str| Registration {
            name: name.to_owned(),
            hash: hash.to_owned(),
            id: id.to_owned(),
        };
        let known = KnownTools::of(&[
            registration(booking.name.as_str(), "an older hash", "t1"),
            registration(booking.name.as_str(), &booking.hash().to_string(), "t2"),
            registration(checking.name.as_str(), "an older hash", "t3"),
            registration("aToolWeNoLongerOffer", "any hash", "t4"),
        ]);
        assert_eq!(known.ids(), ["t2"]);
        assert_eq!(known.superseded, ["t1", "t4"]);
        assert!(!known.is_complete());
        let before = ["t1", "t3", "t2"].map(str::to_owned);
        assert_eq!(known.carried(&before), ["t2", "t3"]);
    }
}

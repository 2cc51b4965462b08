//! Registering our tools once for everybody, however many ask at the same time.

use std::sync::Arc;

use voxanne_kernel::{ProviderError, StoreError};

use crate::{
    definition::{ToolDefinition, definitions},
    ports::{Claim, HostedTool, RegisteredTool, ToolRegistrations, VoiceProvider},
};

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

    /// Every tool's registration, in the order of their definitions.
    ///
    /// # Errors
    /// [`RegisterError`]; what was registered before the failure stays so.
    pub async fn run(&self) -> Result<Vec<RegisteredTool>, RegisterError> {
        let mut registered = Vec::new();
        let mut found: Option<Vec<HostedTool>> = None;
        for definition in definitions() {
            let hash = definition.hash();
            let id = match self.registrations.claim(definition.name, &hash).await? {
                Claim::Registered(id) => id,
                Claim::Taken => return Err(RegisterError::Busy),
                Claim::Yours(claim) => {
                    let id = match self.adopt_or_register(&definition, &mut found).await {
                        Ok(id) => id,
                        // The tool may yet appear: the claim runs out instead of being given up at once, so that the
                        // next one looks only when an answer that is still under way has had its time.
                        Err(error @ ProviderError::Unclear(_)) => return Err(error.into()),
                        Err(error) => {
                            self.registrations.give_up(claim).await?;
                            return Err(error.into());
                        }
                    };
                    if !self.registrations.complete(claim, &id).await? {
                        return Err(RegisterError::Busy);
                    }
                    id
                }
            };
            registered.push(RegisteredTool { name: definition.name, hash, id });
        }
        Ok(registered)
    }

    /// Takes what an interrupted attempt left at the provider, or registers anew.
    async fn adopt_or_register(
        &self,
        definition: &ToolDefinition,
        found: &mut Option<Vec<HostedTool>>,
    ) -> Result<String, ProviderError> {
        let tools = match found {
            Some(tools) => tools,
            None => found.insert(self.provider.tools().await?),
        };
        let wanted = definition.hash().short();
        let left = tools.iter().find(|tool| {
            tool.name == definition.name.as_str() && tool.definition.as_deref() == Some(wanted.as_str())
        });
        match left {
            Some(tool) => {
                tracing::info!(tool = %definition.name, "adopted a tool that an interrupted attempt left");
                Ok(tool.id.clone())
            }
            None => self.provider.register_tool(definition).await,
        }
    }
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
}

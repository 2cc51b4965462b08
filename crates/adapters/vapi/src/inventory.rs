//! What Vapi holds of telephony, for comparing it with the records.

use async_trait::async_trait;
use serde_json::Value;
use voxanne_kernel::{E164, ProviderError, ids::OrgId};
use voxanne_telephony::numbers::{VoiceInventory, VoiceThing};
use voxanne_tooling::assistant::MANAGED_BY;

use crate::{
    Vapi,
    twilio_line::{account_of, is_imported},
    wire,
};

fn thing(object: &Value, name: &Value) -> Option<VoiceThing> {
    Some(VoiceThing {
        id: wire::id(object)?,
        name: name.as_str().unwrap_or_default().to_owned(),
        number: object["number"].as_str().and_then(|number| E164::new(number).ok()),
        account: account_of(object).map(ToOwned::to_owned),
        unrecorded_since: None,
    })
}

/// Whether an assistant's marks are those of ours: an organization, and that we made it or in which setup
/// (`spec/13-names-and-shapes.md`, Onboarding). Somebody else's marks are theirs.
fn is_ours(marks: &Value) -> bool {
    let names_organization = marks["org_id"].as_str().is_some_and(|id| id.parse::<OrgId>().is_ok());
    let names_setup = marks["setup_id"].as_str().is_some_and(|id| !id.is_empty());
    names_organization && (names_setup || marks["managed_by"] == MANAGED_BY)
}

#[async_trait]
impl VoiceInventory for Vapi {
    async fn every_number(&self) -> Result<Vec<VoiceThing>, ProviderError> {
        let all = self.all("list_numbers", "phone-number").await?;
        let shown = |number: &Value| {
            let mut shown = thing(number, &number["name"])?;
            // Imports are written down before they are made; what Vapi provides is not.
            if !is_imported(number) {
                shown.unrecorded_since = number["createdAt"].as_str().and_then(|at| at.parse().ok());
            }
            Some(shown)
        };
        Ok(all.iter().filter_map(shown).collect())
    }

    async fn every_account(&self) -> Result<Vec<VoiceThing>, ProviderError> {
        let all = self.all("list_credentials", "credential").await?;
        let carriers = all.iter().filter(|credential| credential["provider"] == "twilio");
        Ok(carriers.filter_map(|credential| thing(credential, &credential["name"])).collect())
    }

    async fn every_assistant(&self) -> Result<Vec<VoiceThing>, ProviderError> {
        let all = self.all("list_assistants", "assistant").await?;
        let ours = all.iter().filter(|assistant| is_ours(&assistant["metadata"]));
        Ok(ours.filter_map(|assistant| thing(assistant, &assistant["metadata"]["org_id"])).collect())
    }

    async fn delete_stray_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_assistant", "assistant", id).await.map(drop)
    }
}

/// Who answers a number's calls at Vapi.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// This assistant.
    pub assistant: Option<String>,
    /// Whoever this server names.
    pub server: Option<String>,
}

impl Vapi {
    /// Who answers the number with this id; `None` when it was deleted.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn answers(&self, number: &str) -> Result<Option<Answers>, ProviderError> {
        let found = self.one("get_number", "phone-number", number).await?;
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        Ok(found.map(|found| Answers {
            assistant: text(&found["assistantId"]),
            server: text(&found["server"]["url"]),
        }))
    }

    /// The tools that an assistant is linked to; `None` when it was deleted.
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn tools_of(&self, assistant: &str) -> Result<Option<Vec<String>>, ProviderError> {
        let found = self.one("get_assistant", "assistant", assistant).await?;
        Ok(found.map(|found| crate::audit::tool_ids(&found["model"]).collect()))
    }
}

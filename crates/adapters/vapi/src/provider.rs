//! The ports of `tooling`, `provisioning` and `calls`, answered by Vapi.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;
use voxanne_calls::{CallEvent, CallSource, ProviderCallId, SourceError};
use voxanne_kernel::{Clock, ProviderError, ids::OrgId};
use voxanne_provisioning::{LineNumber, LineProvider, NumberSpec};
use voxanne_tooling::{
    AssistantBlueprint, AssistantKind, HostedAssistant, HostedTool, ToolDefinition, VoiceProvider,
};

use crate::{
    client::{Failure, VapiClient},
    webhook, wire,
};

/// Rows asked for at a time; Vapi's default is 100, its most 1,000.
const PAGE: usize = 250;

/// Vapi as the service that runs our assistants.
#[derive(Clone)]
pub struct Vapi {
    client: VapiClient,
    server_url: String,
    area_code: Option<String>,
    clock: Arc<dyn Clock>,
}

impl Vapi {
    /// Speaks through `client`; messages about calls go to `server_url`, our webhook's public address.
    pub fn new(client: VapiClient, server_url: String, clock: Arc<dyn Clock>) -> Self {
        Self { client, server_url, area_code: None, clock }
    }

    /// Asks for new numbers in this three-digit area code.
    #[must_use]
    pub fn in_area_code(mut self, area_code: String) -> Self {
        self.area_code = Some(area_code);
        self
    }

    pub(crate) fn client(&self) -> &VapiClient {
        &self.client
    }

    /// Every object of a kind, oldest first. The lists have no cursor: a page ends where the next one's newest row is.
    async fn all(&self, operation: &'static str, kind: &str) -> Result<Vec<Value>, ProviderError> {
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        let mut before: Option<String> = None;
        loop {
            let mut query = vec![("limit", PAGE.to_string())];
            query.extend(before.iter().map(|at| ("createdAtLe", at.clone())));
            let answer = self.client.get(operation, &[kind], &query).await?;
            let Value::Array(page) = answer else {
                return Err(ProviderError::Unclear(format!("the list of {kind} is not a list").into()));
            };
            let full = page.len() >= PAGE;
            let known = seen.len();
            rows.extend(page.into_iter().filter(|row| wire::id(row).is_some_and(|id| seen.insert(id))));
            let oldest = rows.iter().filter_map(|row| row["createdAt"].as_str()).min().map(ToOwned::to_owned);
            // Rows of one instant on both sides of a page's end are asked for twice and kept once; a page without
            // anything new is the last.
            if !full || seen.len() == known || oldest.is_none() {
                break;
            }
            before = oldest;
        }
        rows.sort_by(|a, b| a["createdAt"].as_str().cmp(&b["createdAt"].as_str()));
        Ok(rows)
    }

    async fn one(
        &self,
        operation: &'static str,
        kind: &str,
        id: &str,
    ) -> Result<Option<Value>, ProviderError> {
        self.client.get(operation, &[kind, id], &[]).await.map(Some).or_else(Failure::absent)
    }

    async fn create(
        &self,
        operation: &'static str,
        kind: &str,
        body: &Value,
    ) -> Result<Value, ProviderError> {
        Ok(self.client.post(operation, &[kind], body).await?)
    }

    /// Sends `repairs`, if there are any; `false` when the object was deleted.
    async fn repair(
        &self,
        operation: &'static str,
        kind: &str,
        id: &str,
        repairs: Option<Value>,
    ) -> Result<bool, ProviderError> {
        let Some(repairs) = repairs else { return Ok(true) };
        let changed = self.client.patch(operation, &[kind, id], &repairs).await.map(Some);
        changed.or_else(Failure::absent).map(|found| found.is_some())
    }
}

/// The id in the answer to a request that created something.
fn created_id(answer: &Value) -> Result<String, ProviderError> {
    wire::id(answer).ok_or_else(|| ProviderError::Unclear("the answer has no id".into()))
}

#[async_trait]
impl VoiceProvider for Vapi {
    async fn tools(&self) -> Result<Vec<HostedTool>, ProviderError> {
        Ok(self.all("list_tools", "tool").await?.iter().filter_map(wire::hosted_tool).collect())
    }

    async fn register_tool(&self, definition: &ToolDefinition) -> Result<String, ProviderError> {
        created_id(&self.create("create_tool", "tool", &wire::tool(definition)).await?)
    }

    async fn assistant(&self, id: &str) -> Result<Option<HostedAssistant>, ProviderError> {
        let found = self.one("get_assistant", "assistant", id).await?;
        Ok(found.as_ref().and_then(wire::hosted_assistant))
    }

    async fn find_assistant(
        &self,
        org: OrgId,
        kind: AssistantKind,
    ) -> Result<Option<HostedAssistant>, ProviderError> {
        let all = self.all("list_assistants", "assistant").await?;
        let mut ours = all.iter().filter(|found| wire::is_assistant_of(found, org, kind.as_str()));
        let oldest = ours.next().and_then(wire::hosted_assistant);
        let strays = ours.count();
        if strays > 0 {
            tracing::warn!(org_id = %org, %kind, strays, "Vapi holds more than one assistant of a kind");
        }
        Ok(oldest)
    }

    async fn create_assistant(&self, blueprint: &AssistantBlueprint) -> Result<String, ProviderError> {
        created_id(&self.create("create_assistant", "assistant", &wire::assistant(blueprint)).await?)
    }

    async fn connect_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_assistant", "assistant", id).await? else { return Ok(false) };
        let repairs = wire::assistant_repairs(&stored, blueprint);
        self.repair("update_assistant", "assistant", id, repairs).await
    }
}

#[async_trait]
impl LineProvider for Vapi {
    async fn find_credential(&self, name: &str) -> Result<Option<String>, ProviderError> {
        let all = self.all("list_credentials", "credential").await?;
        let ours = all.iter().find(|found| found["name"] == name && found["provider"] == "custom-credential");
        Ok(ours.and_then(wire::id))
    }

    async fn create_credential(&self, name: &str, secret: &SecretString) -> Result<String, ProviderError> {
        let body = wire::signing_credential(name, secret);
        created_id(&self.create("create_credential", "credential", &body).await?)
    }

    async fn update_credential(
        &self,
        id: &str,
        name: &str,
        secret: &SecretString,
    ) -> Result<bool, ProviderError> {
        let body = wire::signing_credential(name, secret);
        self.repair("update_credential", "credential", id, Some(body)).await
    }

    async fn find_number(&self, name: &str) -> Result<Option<LineNumber>, ProviderError> {
        let all = self.all("list_numbers", "phone-number").await?;
        Ok(all.iter().find(|found| found["name"] == name).and_then(wire::line_number))
    }

    async fn number(&self, id: &str) -> Result<Option<LineNumber>, ProviderError> {
        let found = self.one("get_number", "phone-number", id).await?;
        Ok(found.as_ref().and_then(wire::line_number))
    }

    async fn create_number(&self, spec: &NumberSpec) -> Result<LineNumber, ProviderError> {
        let body = wire::number(spec, &self.server_url, self.area_code.as_deref());
        let answer = self.create("create_number", "phone-number", &body).await?;
        wire::line_number(&answer).ok_or_else(|| ProviderError::Unclear("the answer has no id".into()))
    }

    async fn bind_number(&self, id: &str, spec: &NumberSpec) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_number", "phone-number", id).await? else { return Ok(false) };
        let repairs = wire::number_repairs(&stored, spec, &self.server_url);
        self.repair("update_number", "phone-number", id, repairs).await
    }
}

#[async_trait]
impl CallSource for Vapi {
    async fn fetch(&self, call: &ProviderCallId) -> Result<Option<CallEvent>, SourceError> {
        let found = self.one("get_call", "call", call.as_str()).await.map_err(|error| match error {
            ProviderError::RetryLater { .. } | ProviderError::Unclear(_) => {
                SourceError::Unavailable(Box::new(error))
            }
            ProviderError::Refused(_) | ProviderError::OurFault(_) => SourceError::Refused(Box::new(error)),
        })?;
        let Some(found) = found else { return Ok(None) };
        let answer = found.to_string();
        webhook::fetched(answer.as_bytes(), self.clock.now())
            .map_err(|error| SourceError::Refused(Box::new(error)))
    }
}

/// Why nothing was said to a live call.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The address does not belong to Vapi, so nothing was sent to it.
    #[error("the call's control address is not Vapi's")]
    ForeignAddress,
    /// Vapi failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl Vapi {
    /// Adds a message for the model to a live call, without making it speak. `control_url` comes from a webhook.
    ///
    /// # Errors
    /// [`ControlError::ForeignAddress`] unless the host is Vapi's or the configured stand-in's.
    pub async fn add_note(&self, control_url: &str, note: &str) -> Result<(), ControlError> {
        let url = self.control_address(control_url).ok_or(ControlError::ForeignAddress)?;
        let body = serde_json::json!({
            "type": "add-message",
            "message": { "role": "system", "content": note },
            "triggerResponseEnabled": false,
        });
        Ok(self.client().post_to("add_note", url, &body).await?)
    }

    fn control_address(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let base = self.client().base();
        let host = url.host_str()?;
        let is_vapi = url.scheme() == "https" && (host == "vapi.ai" || host.ends_with(".vapi.ai"));
        let is_stand_in = url.scheme() == base.scheme()
            && Some(host) == base.host_str()
            && url.port_or_known_default() == base.port_or_known_default();
        (is_vapi || is_stand_in).then_some(url)
    }
}

//! The ports of `tooling`, `provisioning` and `calls`, answered by Vapi.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;
use voxanne_calls::{CallEvent, CallSource, ProviderCallId, SourceError};
use voxanne_http::Refusal;
use voxanne_kernel::{Clock, E164, ProviderError, ids::OrgId};
use voxanne_provisioning::{LineNumber, LineProvider, NumberSpec};
use voxanne_tooling::{
    AssistantBlueprint, AssistantKind, HostedTool, SigningProvider, ToolDefinition, VoiceProvider,
};

use crate::{
    client::VapiClient,
    twilio_line::{is_imported, is_our_import},
    webhook, wire,
};

/// Rows asked for at a time: the most that Vapi gives. Rows of one instant that do not fit into a page cannot be told
/// apart by their time, so a page is as large as it can be.
const PAGE: usize = 1_000;

/// Vapi as the service that runs our assistants.
#[derive(Clone)]
pub struct Vapi {
    client: VapiClient,
    server_url: String,
    clock: Arc<dyn Clock>,
}

impl Vapi {
    /// Speaks through `client`; messages about calls go to `server_url`, our webhook's public address.
    pub fn new(client: VapiClient, server_url: String, clock: Arc<dyn Clock>) -> Self {
        Self { client, server_url, clock }
    }

    /// Where messages about calls go.
    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    pub(crate) fn client(&self) -> &VapiClient {
        &self.client
    }

    /// Every object of a kind, oldest first. The lists have no cursor: a page goes on where the one before it ended.
    /// In which order they come is not promised; the next page is asked for at whichever end was cut off.
    pub(crate) async fn all(&self, operation: &'static str, kind: &str) -> Result<Vec<Value>, ProviderError> {
        let (mut rows, mut seen) = (Vec::new(), HashSet::new());
        let (mut from, mut reached): (Option<(&'static str, String)>, _) = (None, None);
        loop {
            let mut query = vec![("limit", PAGE.to_string())];
            query.extend(from.clone());
            let answer = self.client.get(operation, &[kind], &query).await;
            let answer = answer.map_err(Refusal::into_error)?;
            let Value::Array(page) = answer else {
                return Err(ProviderError::Unclear(format!("the list of {kind} is not a list").into()));
            };
            let (full, end, known) = (page.len() >= PAGE, end_of(&page), seen.len());
            rows.extend(page.into_iter().filter(|row| wire::id(row).is_some_and(|id| seen.insert(id))));
            if !full {
                break;
            }
            let is_new = seen.len() > known;
            if is_new {
                reached = end;
            }
            // Rows of one instant on both sides of a page's end are asked for twice and kept once. Where that brings
            // nothing more (a whole page of one instant), the next is asked for without them.
            let Some(end) = &reached else { break };
            let (included, excluded) = (Some(end.included()), Some(end.excluded()));
            let next = if is_new && from != included { included } else { excluded };
            if from == next {
                break;
            }
            from = next;
        }
        rows.sort_by(|a, b| a["createdAt"].as_str().cmp(&b["createdAt"].as_str()));
        Ok(rows)
    }

    /// The object with this id, `None` when it was deleted.
    pub(crate) async fn one(
        &self,
        operation: &'static str,
        kind: &str,
        id: &str,
    ) -> Result<Option<Value>, ProviderError> {
        self.client.get(operation, &[kind, id], &[]).await.map(Some).or_else(Refusal::absent)
    }

    /// Creates an object and gives it back as Vapi has it.
    pub(crate) async fn create(
        &self,
        operation: &'static str,
        kind: &str,
        body: &Value,
    ) -> Result<Value, ProviderError> {
        self.client.post(operation, &[kind], body).await.map_err(Refusal::into_error)
    }

    /// Sends `repairs`, if there are any; `false` when the object was deleted.
    pub(crate) async fn repair(
        &self,
        operation: &'static str,
        kind: &str,
        id: &str,
        repairs: Option<Value>,
    ) -> Result<bool, ProviderError> {
        let Some(repairs) = repairs else { return Ok(true) };
        let changed = self.client.patch(operation, &[kind, id], &repairs).await.map(Some);
        changed.or_else(Refusal::absent).map(|found| found.is_some())
    }

    /// Deletes an object; `false` when it was gone already, which is as good.
    pub(crate) async fn delete(
        &self,
        operation: &'static str,
        kind: &str,
        id: &str,
    ) -> Result<bool, ProviderError> {
        let deleted = self.client.delete(operation, &[kind, id]).await.map(Some);
        deleted.or_else(Refusal::absent).map(|found| found.is_some())
    }
}

/// Where a page was cut off.
enum End {
    /// What follows is older than this.
    Older(String),
    /// What follows is newer.
    Newer(String),
}

impl End {
    /// The question for what follows, with what was made at the same instant.
    fn included(&self) -> (&'static str, String) {
        match self {
            Self::Older(at) => ("createdAtLe", at.clone()),
            Self::Newer(at) => ("createdAtGe", at.clone()),
        }
    }

    /// The question for what follows, without it.
    fn excluded(&self) -> (&'static str, String) {
        match self {
            Self::Older(at) => ("createdAtLt", at.clone()),
            Self::Newer(at) => ("createdAtGt", at.clone()),
        }
    }
}

/// The end of a page, by the times of its first and last rows.
fn end_of(page: &[Value]) -> Option<End> {
    let at = |row: Option<&Value>| row?["createdAt"].as_str().map(ToOwned::to_owned);
    let (first, last) = (at(page.first())?, at(page.last())?);
    Some(if first < last { End::Newer(last) } else { End::Older(last) })
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

    async fn find_assistant(&self, org: OrgId, kind: AssistantKind) -> Result<Option<String>, ProviderError> {
        let all = self.all("list_assistants", "assistant").await?;
        let mut ours = all.iter().filter(|found| wire::is_assistant_of(found, org, kind.as_str()));
        let oldest = ours.next().and_then(wire::id);
        let strays = ours.count();
        if strays > 0 {
            tracing::warn!(org_id = %org, %kind, strays, "Vapi holds more than one assistant of a kind");
        }
        Ok(oldest)
    }

    async fn create_assistant(&self, blueprint: &AssistantBlueprint) -> Result<String, ProviderError> {
        created_id(&self.create("create_assistant", "assistant", &wire::assistant(blueprint)).await?)
    }

    async fn update_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_assistant", "assistant", id).await? else { return Ok(false) };
        let repairs = wire::assistant_update(&stored, blueprint);
        self.repair("update_assistant", "assistant", id, repairs).await
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

    async fn release_numbers(&self, assistant: &str) -> Result<(), ProviderError> {
        let all = self.all("list_numbers", "phone-number").await?;
        for number in all.iter().filter(|number| number["assistantId"] == assistant) {
            let Some(id) = wire::id(number) else { continue };
            // One that was deleted meanwhile rings nowhere any more.
            let released = wire::released_number();
            match self.repair("update_number", "phone-number", &id, Some(released)).await {
                Ok(_) => {}
                // Asking again would be refused again. What we imported can go and be imported again.
                Err(ProviderError::Refused(_)) if is_our_import(number) => {
                    self.delete("delete_number", "phone-number", &id).await?;
                }
                Err(ProviderError::Refused(error)) => {
                    tracing::warn!(number_id = id, error = &*error, "a number keeps an assistant that goes");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn delete_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_assistant", "assistant", id).await.map(drop)
    }
}

#[async_trait]
impl SigningProvider for Vapi {
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

    async fn delete_credential(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_credential", "credential", id).await.map(drop)
    }
}

#[async_trait]
impl LineProvider for Vapi {
    async fn find_number(&self, name: &str) -> Result<Option<LineNumber>, ProviderError> {
        let all = self.all("list_numbers", "phone-number").await?;
        // A number that the organization brought goes by the same name.
        let ours = all.iter().find(|found| found["name"] == name && !is_imported(found));
        Ok(ours.and_then(wire::line_number))
    }

    async fn bind_number(&self, id: &str, spec: &NumberSpec) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_number", "phone-number", id).await? else { return Ok(false) };
        let repairs = wire::number_repairs(&stored, spec, &self.server_url);
        self.repair("update_number", "phone-number", id, repairs).await
    }

    async fn delete_number(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_number", "phone-number", id).await.map(drop)
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

    /// Puts a live call through to `number`, saying `spoken` first. `control_url` comes from a webhook.
    ///
    /// # Errors
    /// [`ControlError::ForeignAddress`] unless the host is Vapi's or the configured stand-in's.
    pub async fn transfer(&self, control_url: &str, number: &E164, spoken: &str) -> Result<(), ControlError> {
        let url = self.control_address(control_url).ok_or(ControlError::ForeignAddress)?;
        let body = serde_json::json!({
            "type": "transfer",
            "destination": { "type": "number", "number": number.as_str() },
            "content": spoken,
        });
        Ok(self.client().post_to("transfer", url, &body).await?)
    }

    fn control_address(&self, text: &str) -> Option<Url> {
        let url = Url::parse(text).ok()?;
        let base = self.client().base();
        let host = url.host_str()?;
        let is_vapi = url.scheme() == "https" && (host == "vapi.ai" || host.ends_with(".vapi.ai"));
        // On whatever port: what stands in for Vapi may have its calls answered by another program.
        let is_stand_in = url.scheme() == base.scheme() && Some(host) == base.host_str();
        (is_vapi || is_stand_in).then_some(url)
    }
}

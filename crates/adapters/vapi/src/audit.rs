//! The ports of `tooling`'s audit and of its generations of tools, answered by Vapi.
//!
//! Whatever is sent back to an assistant is its own `model` with other tools: Vapi replaces each top-level field whole,
//! so what is not sent back inside it would be lost, the prompt first.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use voxanne_kernel::{ProviderError, ids::OrgId};
use voxanne_tooling::{
    assistant::MANAGED_BY,
    audit::{AssistantInventory, Carried, ListedAssistant},
    retire::{ListedTool, ToolInventory},
};

use crate::{Vapi, wire};

#[async_trait]
impl ToolInventory for Vapi {
    async fn listed_tools(&self) -> Result<Vec<ListedTool>, ProviderError> {
        Ok(self.all("list_tools", "tool").await?.iter().filter_map(listed_tool).collect())
    }

    async fn has_tool(&self, id: &str) -> Result<bool, ProviderError> {
        Ok(self.one("get_tool", "tool", id).await?.is_some())
    }

    async fn linked_tools(&self) -> Result<HashSet<String>, ProviderError> {
        let assistants = self.all("list_assistants", "assistant").await?;
        Ok(assistants.iter().flat_map(|assistant| tool_ids(&assistant["model"])).collect())
    }

    async fn delete_tool(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_tool", "tool", id).await.map(drop)
    }
}

#[async_trait]
impl AssistantInventory for Vapi {
    async fn listed_assistants(&self) -> Result<Vec<ListedAssistant>, ProviderError> {
        let assistants = self.all("list_assistants", "assistant").await?;
        Ok(assistants.iter().filter_map(listed_assistant).collect())
    }

    async fn credential_ids(&self) -> Result<HashSet<String>, ProviderError> {
        Ok(self.all("list_credentials", "credential").await?.iter().filter_map(wire::id).collect())
    }

    async fn answering_assistants(&self) -> Result<HashSet<String>, ProviderError> {
        let numbers = self.all("list_numbers", "phone-number").await?;
        Ok(numbers.iter().filter_map(|number| text(&number["assistantId"])).collect())
    }

    async fn restore_carried(&self, id: &str, carried: &Carried) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_assistant", "assistant", id).await? else { return Ok(false) };
        let repairs = carried_repairs(&stored, self.server_url(), carried)?;
        self.repair("update_assistant", "assistant", id, repairs).await
    }

    async fn remove_tool_server(&self, id: &str) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_tool", "tool", id).await? else { return Ok(false) };
        let repairs = has_server(&stored).then(|| json!({ "server": null }));
        self.repair("update_tool", "tool", id, repairs).await
    }

    async fn delete_listed_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_assistant", "assistant", id).await.map(drop)
    }
}

fn listed_tool(tool: &Value) -> Option<ListedTool> {
    let hosted = wire::hosted_tool(tool)?;
    Some(ListedTool {
        id: hosted.id,
        kind: text(&tool["type"]).unwrap_or_default(),
        name: hosted.name,
        mark: hosted.definition,
        has_server: has_server(tool),
        created_at: moment(tool),
    })
}

fn has_server(tool: &Value) -> bool {
    !tool["server"].is_null()
}

fn listed_assistant(assistant: &Value) -> Option<ListedAssistant> {
    let (metadata, server, model) = (&assistant["metadata"], &assistant["server"], &assistant["model"]);
    let embedded = model["tools"].as_array().into_iter().flatten();
    let credentials = assistant["credentialIds"].as_array();
    Some(ListedAssistant {
        id: wire::id(assistant)?,
        is_managed: metadata["managed_by"] == MANAGED_BY,
        org: metadata["org_id"].as_str().and_then(|id| id.parse::<OrgId>().ok()),
        kind: metadata["kind"].as_str().and_then(|kind| kind.parse().ok()),
        server_url: text(&server["url"]),
        server_credential: text(&server["credentialId"]),
        credentials: credentials.map(|ids| ids.iter().filter_map(text).collect()),
        embedded: embedded.map(|tool| text(&tool["type"]).unwrap_or_else(|| "unknown".to_owned())).collect(),
        tool_ids: tool_ids(model).collect(),
        created_at: moment(assistant),
    })
}

/// The tools that a model links, by id or with a version.
pub(crate) fn tool_ids(model: &Value) -> impl Iterator<Item = String> {
    let plain = model["toolIds"].as_array().into_iter().flatten().filter_map(text);
    let versions = model["toolRefs"].as_array().into_iter().flatten();
    plain.chain(versions.filter_map(|tool| text(&tool["toolId"])))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

fn moment(object: &Value) -> Option<voxanne_kernel::Timestamp> {
    object["createdAt"].as_str()?.parse().ok()
}

/// `wanted`, those first that are linked already, as they are: a model reads its tools in this order.
fn in_their_order<'m>(model: &'m Map<String, Value>, wanted: &'m [String]) -> Vec<&'m str> {
    let there =
        model.get("toolIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut ids: Vec<&str> = Vec::with_capacity(wanted.len());
    for id in
        there.filter(|id| wanted.iter().any(|wanted| wanted == id)).chain(wanted.iter().map(String::as_str))
    {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// What has to be changed in the assistant `stored` for it to carry exactly `carried` and to speak to `server_url`;
/// `None` when it does.
fn carried_repairs(
    stored: &Value,
    server_url: &str,
    carried: &Carried,
) -> Result<Option<Value>, ProviderError> {
    // Without a model there is no prompt to keep; whoever saves the assistant again writes both.
    let Value::Object(model) = &stored["model"] else {
        return Err(ProviderError::Refused("the assistant has no model".into()));
    };
    let mut repairs = Map::new();
    let mut linked = model.clone();
    linked.remove("tools");
    linked.remove("toolRefs");
    linked.insert("toolIds".to_owned(), json!(in_their_order(model, &carried.tool_ids)));
    if linked != *model {
        repairs.insert("model".to_owned(), Value::Object(linked));
    }
    let server = &stored["server"];
    if let Some(credential) = &carried.credential {
        if server["url"] != server_url || server["credentialId"] != *credential {
            repairs.insert("server".to_owned(), wire::server(server_url, credential));
        }
        let narrowed = json!([credential]);
        if stored["credentialIds"] != narrowed {
            repairs.insert("credentialIds".to_owned(), narrowed);
        }
    } else if server["url"] != server_url {
        let credential = server["credentialId"].as_str().unwrap_or_default();
        let mut server = wire::server(server_url, credential);
        if let (true, Some(fields)) = (credential.is_empty(), server.as_object_mut()) {
            fields.remove("credentialId");
        }
        repairs.insert("server".to_owned(), server);
    }
    Ok((!repairs.is_empty()).then_some(Value::Object(repairs)))
}

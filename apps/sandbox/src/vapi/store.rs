//! What one Vapi account holds.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::collection::{Collection, Object, text};
use super::live::Command;

/// States in which a call takes up one of the account's lines.
const ON_A_LINE: &[&str] = &["queued", "ringing", "in-progress", "forwarding"];

/// The account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) org_id: String,
    pub(crate) assistants: Collection,
    pub(crate) tools: Collection,
    pub(crate) phone_numbers: Collection,
    pub(crate) credentials: Collection,
    pub(crate) calls: Collection,
    /// Commands that reached live calls through their control URL, until the call takes them.
    #[serde(skip)]
    pub(crate) inboxes: HashMap<String, Vec<Command>>,
}

impl Store {
    /// An account with nothing in it.
    pub(crate) fn new(org_id: String) -> Self {
        Self {
            org_id,
            assistants: Collection::default(),
            tools: Collection::default(),
            phone_numbers: Collection::default(),
            credentials: Collection::default(),
            calls: Collection::default(),
            inboxes: HashMap::new(),
        }
    }

    /// The part that outlives the sandbox: all but the calls under way, which nobody would ever end.
    pub(crate) fn kept(&self) -> Self {
        let mut calls: Vec<Object> = self.calls.clone().into();
        calls.retain(|call| !is_on_a_line(call));
        Self {
            org_id: self.org_id.clone(),
            assistants: self.assistants.clone(),
            tools: self.tools.clone(),
            phone_numbers: self.phone_numbers.clone(),
            credentials: self.credentials.clone(),
            calls: calls.into_iter().collect(),
            inboxes: HashMap::new(),
        }
    }

    /// Calls that take up a line now.
    pub(crate) fn lines_in_use(&self) -> u32 {
        let busy = self.calls.newest_first().filter(|call| is_on_a_line(call));
        u32::try_from(busy.count()).unwrap_or(u32::MAX)
    }

    /// The tools an assistant links to, or the id of the first that is not there.
    pub(crate) fn linked_tools(&self, assistant: &Object) -> Result<Vec<&Object>, String> {
        let ids = assistant.get("model").and_then(|model| model["toolIds"].as_array());
        let ids = ids.into_iter().flatten().filter_map(Value::as_str);
        ids.map(|id| self.tools.get(id).ok_or_else(|| id.to_owned())).collect()
    }

    /// The number object of a dialled number.
    pub(crate) fn number(&self, dialled: &str) -> Option<&Object> {
        self.phone_numbers.newest_first().find(|number| text(number, "number") == dialled)
    }
}

fn is_on_a_line(call: &Object) -> bool {
    ON_A_LINE.contains(&text(call, "status"))
}

//! How far an organization's tools have come, from what is registered and what its assistants carry.

use voxanne_kernel::ProviderError;

use crate::{
    definition::definitions,
    ports::{AssistantRecord, OrgTool, ToolState},
    register::KnownTools,
};

/// What an organization is told of an assistant that somebody deleted.
pub(crate) const DELETED: &str = "The assistant no longer exists at the voice provider. Save it again.";

/// What an organization is told of a failure; the provider's own words are for the log (decision D12).
pub(crate) fn told(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::RetryLater { .. } => "The voice provider cannot be reached right now.",
        ProviderError::Unclear(_) => "The voice provider did not answer.",
        ProviderError::Refused(_) => "The voice provider refused the change.",
        ProviderError::OurFault(_) => "Something is wrong between us and the voice provider.",
    }
}

/// The rows of an organization with `assistants`, after `before`. Without an assistant it uses no tool.
pub(crate) fn of(assistants: &[AssistantRecord], tools: &KnownTools, before: &[OrgTool]) -> Vec<OrgTool> {
    after(assistants, tools, before, None)
}

/// The same after registering what is not registered failed for a reason that the organization may read.
pub(crate) fn after(
    assistants: &[AssistantRecord],
    tools: &KnownTools,
    before: &[OrgTool],
    not_registered: Option<&str>,
) -> Vec<OrgTool> {
    if assistants.is_empty() {
        return Vec::new();
    }
    let made: Vec<&AssistantRecord> =
        assistants.iter().filter(|assistant| assistant.provider_id.is_some()).collect();
    let link_error = made.iter().find_map(|assistant| assistant.link_error.clone());
    let is_carried = |id: &String| made.iter().any(|assistant| assistant.tool_ids.contains(id));
    definitions()
        .into_iter()
        .map(|definition| {
            let name = definition.name;
            let earlier = before.iter().find(|tool| tool.name == name);
            // While some assistant carries an older registration, that is the one the row is about.
            let older = earlier.filter(|tool| tool.id.as_ref().is_some_and(is_carried));
            let Some(tool) = tools.current.iter().find(|tool| tool.name == name) else {
                let (id, hash) = match older {
                    Some(older) => (older.id.clone(), older.hash.clone()),
                    None => (None, definition.hash().to_string()),
                };
                let state =
                    not_registered.map_or(ToolState::Pending, |reason| ToolState::Failed(reason.to_owned()));
                return OrgTool { name, id, hash, state };
            };
            let current = (Some(tool.id.clone()), tool.hash.to_string());
            if !made.is_empty() && made.iter().all(|assistant| assistant.tool_ids.contains(&tool.id)) {
                let (id, hash) = current;
                return OrgTool { name, id, hash, state: ToolState::Linked };
            }
            let (id, hash) = older.map_or(current, |older| (older.id.clone(), older.hash.clone()));
            let state = link_error.clone().map_or(ToolState::Registered, ToolState::Failed);
            OrgTool { name, id, hash, state }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        assistant::AssistantKind,
        name::ToolName,
        ports::{RegisteredTool, Registration},
        testing::record,
    };

    fn known(id_of: impl Fn(ToolName) -> Option<String>) -> KnownTools {
        let registrations: Vec<Registration> = definitions()
            .into_iter()
            .filter_map(|definition| {
                let (name, hash) = (definition.name.to_string(), definition.hash().to_string());
                Some(Registration { name, hash, id: id_of(definition.name)? })
            })
            .collect();
        KnownTools::of(&registrations)
    }

    fn first(
        assistants: &[AssistantRecord],
        tools: &KnownTools,
        before: &[OrgTool],
    ) -> (Option<String>, ToolState) {
        let OrgTool { id, state, .. } = of(assistants, tools, before).remove(0);
        (id, state)
    }

    #[test]
    fn a_tool_is_linked_when_every_assistant_that_exists_carries_it() {
        let tools = known(|name| Some(format!("new-{name}")));
        let ids: Vec<String> = tools.current.iter().map(|tool: &RegisteredTool| tool.id.clone()).collect();
        let bare = record(AssistantKind::Inbound, Some("a1"), &[]);
        let full =
            AssistantRecord { tool_ids: ids.clone(), ..record(AssistantKind::Outbound, Some("a2"), &[]) };
        let unmade = record(AssistantKind::Inbound, None, &[]);
        let failed = AssistantRecord { link_error: Some("why".to_owned()), ..bare.clone() };
        let id = Some(ids[0].clone());
        for (assistants, expected) in [
            (vec![full.clone()], (id.clone(), ToolState::Linked)),
            (vec![unmade.clone(), full.clone()], (id.clone(), ToolState::Linked)),
            (vec![bare, full.clone()], (id.clone(), ToolState::Registered)),
            (vec![failed, full], (id.clone(), ToolState::Failed("why".to_owned()))),
            (vec![unmade], (id, ToolState::Registered)),
        ] {
            assert_eq!(first(&assistants, &tools, &[]), expected);
        }
        assert_eq!(of(&[], &tools, &[]), []);
    }

    #[test]
    fn an_older_registration_is_named_until_nobody_carries_it() {
        let old = OrgTool {
            name: ToolName::ALL[0],
            id: Some("old".to_owned()),
            hash: "old".to_owned(),
            state: ToolState::Linked,
        };
        let carries = |ids: &[&str]| vec![record(AssistantKind::Inbound, Some("a1"), ids)];
        let new = known(|name| Some(format!("new-{name}")));
        let before = std::slice::from_ref(&old);
        assert_eq!(first(&carries(&["old"]), &new, before), (old.id.clone(), ToolState::Registered));
        let id = new.ids().remove(0);
        assert_eq!(first(&carries(&[&id]), &new, before), (Some(id.clone()), ToolState::Linked));
        assert_eq!(first(&carries(&[]), &new, before), (Some(id), ToolState::Registered));
        let none = known(|_| None);
        assert_eq!(first(&carries(&["old"]), &none, before), (old.id.clone(), ToolState::Pending));
        let failed = after(&carries(&["old"]), &none, before, Some("why")).remove(0);
        assert_eq!((failed.id, failed.state), (old.id, ToolState::Failed("why".to_owned())));
    }
}

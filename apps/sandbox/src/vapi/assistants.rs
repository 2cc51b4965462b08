//! `/assistant`.

use super::collection::Object;
use super::refusal::Refusal;
use super::resource::Resource;
use super::store::Store;
use crate::world::World;

/// Voices of Vapi that went out of service on 1 March 2026.
const RETIRED_VOICES: &[&str] = &["Paige", "Spencer", "Neha", "Harry", "Cole", "Hana", "Lily", "Kylie"];

pub(crate) const ASSISTANTS: Resource = Resource {
    path: "/assistant",
    label: "Assistant",
    rows: |store| &mut store.assistants,
    create_schema: |_| Ok("CreateAssistantDTO"),
    update_schema: |_| "UpdateAssistantDTO",
    admit,
    show: Object::clone,
};

/// Tools and credentials are not looked up here: the provider too notices a missing one when a call starts.
fn admit(_: &World, _: &mut Store, assistant: &mut Object) -> Result<(), Refusal> {
    let Some(voice) = assistant.get("voice") else { return Ok(()) };
    if voice["provider"] == "vapi"
        && voice["voiceId"].as_str().is_some_and(|voice| RETIRED_VOICES.contains(&voice))
    {
        let voice = voice["voiceId"].as_str().unwrap_or_default();
        return Err(Refusal::invalid(vec![format!("voice.voiceId {voice} is no longer available")]));
    }
    Ok(())
}

//! `/tool`.

use super::collection::{Object, text};
use super::refusal::Refusal;
use super::resource::Resource;

pub(crate) const TOOLS: Resource = Resource {
    path: "/tool",
    label: "Tool",
    rows: |store| &mut store.tools,
    create_schema: |tool| {
        schemas(text(tool, "type")).map(|(create, _)| create).ok_or_else(|| {
            let known: Vec<&str> = SCHEMAS.iter().map(|(name, ..)| *name).collect();
            let known = known.join(", ");
            Refusal::invalid(vec![format!("type must be one of the following values: {known}")])
        })
    },
    update_schema: |tool| schemas(text(tool, "type")).map_or("UpdateFunctionToolDTO", |(_, update)| update),
    admit: |_, _, _| Ok(()),
    show: Object::clone,
};

fn schemas(of: &str) -> Option<(&'static str, &'static str)> {
    SCHEMAS.iter().find(|(name, ..)| *name == of).map(|(_, create, update)| (*create, *update))
}

/// Type of tool, schema of a new one, schema of a change.
const SCHEMAS: &[(&str, &str, &str)] = &[
    ("code", "CreateCodeToolDTO", "UpdateCodeToolDTO"),
    ("apiRequest", "CreateApiRequestToolDTO", "UpdateApiRequestToolDTO"),
    ("bash", "CreateBashToolDTO", "UpdateBashToolDTO"),
    ("computer", "CreateComputerToolDTO", "UpdateComputerToolDTO"),
    ("dtmf", "CreateDtmfToolDTO", "UpdateDtmfToolDTO"),
    ("endCall", "CreateEndCallToolDTO", "UpdateEndCallToolDTO"),
    ("function", "CreateFunctionToolDTO", "UpdateFunctionToolDTO"),
    (
        "gohighlevel.calendar.availability.check",
        "CreateGoHighLevelCalendarAvailabilityToolDTO",
        "UpdateGoHighLevelCalendarAvailabilityToolDTO",
    ),
    (
        "gohighlevel.calendar.event.create",
        "CreateGoHighLevelCalendarEventCreateToolDTO",
        "UpdateGoHighLevelCalendarEventCreateToolDTO",
    ),
    (
        "gohighlevel.contact.create",
        "CreateGoHighLevelContactCreateToolDTO",
        "UpdateGoHighLevelContactCreateToolDTO",
    ),
    ("gohighlevel.contact.get", "CreateGoHighLevelContactGetToolDTO", "UpdateGoHighLevelContactGetToolDTO"),
    (
        "google.calendar.availability.check",
        "CreateGoogleCalendarCheckAvailabilityToolDTO",
        "UpdateGoogleCalendarCheckAvailabilityToolDTO",
    ),
    (
        "google.calendar.event.create",
        "CreateGoogleCalendarCreateEventToolDTO",
        "UpdateGoogleCalendarCreateEventToolDTO",
    ),
    ("google.sheets.row.append", "CreateGoogleSheetsRowAppendToolDTO", "UpdateGoogleSheetsRowAppendToolDTO"),
    ("handoff", "CreateHandoffToolDTO", "UpdateHandoffToolDTO"),
    ("mcp", "CreateMcpToolDTO", "UpdateMcpToolDTO"),
    ("query", "CreateQueryToolDTO", "UpdateQueryToolDTO"),
    ("sipRequest", "CreateSipRequestToolDTO", "UpdateSipRequestToolDTO"),
    ("slack.message.send", "CreateSlackSendMessageToolDTO", "UpdateSlackSendMessageToolDTO"),
    ("sms", "CreateSmsToolDTO", "UpdateSmsToolDTO"),
    ("textEditor", "CreateTextEditorToolDTO", "UpdateTextEditorToolDTO"),
    ("transferCall", "CreateTransferCallToolDTO", "UpdateTransferCallToolDTO"),
    ("voicemail", "CreateVoicemailToolDTO", "UpdateVoicemailToolDTO"),
];

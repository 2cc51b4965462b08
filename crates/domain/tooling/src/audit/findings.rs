//! What is wrong with what was seen: judged without asking anybody.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
};

use voxanne_kernel::ids::OrgId;

use super::ports::{ListedAssistant, RecordedLine};
use crate::{
    assistant::AssistantKind, definition::definitions, name::ToolName, ports::RegisteredTool,
    retire::ListedTool,
};

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A native integration is written into the assistant.
    EmbeddedNative(String),
    /// A tool of this kind is written into the assistant.
    Embedded(String),
    /// A linked tool is a native integration: id and kind.
    LinkedNative(String, String),
    /// A linked tool is none of our functions: id and kind.
    LinkedForeign(String, String),
    /// A linked tool does not exist.
    LinkedMissing(String),
    /// A linked tool of ours is of an older definition: id and name.
    LinkedOutdated(String, String),
    /// A present tool is not linked.
    NotLinked(ToolName),
    /// Its messages go elsewhere, or nowhere.
    WrongServer,
    /// Its messages are not signed with the organization's credential.
    WrongCredential,
    /// It may use credentials that are not the organization's.
    TooManyCredentials,
    /// The organization's credential does not exist at the provider.
    CredentialGone(String),
    /// It claims an organization that we do not have.
    UnknownOrganization,
    /// It claims to be a kind of which the organization has another one, which is this.
    SecondOfItsKind(String),
    /// It claims to be an organization's that has recorded no assistant of that kind.
    NotRecorded,
    /// Our row points to an assistant that does not exist.
    AssistantGone(AssistantKind),
    /// A tool of ours sends its calls to a server of its own.
    ToolHasServer(String),
    /// A tool is recorded as registered and does not exist.
    RegistrationGone(String),
    /// A tool is not registered although assistants need it.
    NotRegistered(ToolName),
}

impl Fault {
    /// A short name for scripts, `snake_case`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::EmbeddedNative(_) => "embedded_native_tool",
            Self::Embedded(_) => "embedded_tool",
            Self::LinkedNative(..) => "linked_native_tool",
            Self::LinkedForeign(..) => "linked_foreign_tool",
            Self::LinkedMissing(_) => "linked_missing_tool",
            Self::LinkedOutdated(..) => "linked_outdated_tool",
            Self::NotLinked(_) => "tool_not_linked",
            Self::WrongServer => "wrong_server",
            Self::WrongCredential => "wrong_credential",
            Self::TooManyCredentials => "too_many_credentials",
            Self::CredentialGone(_) => "credential_gone",
            Self::UnknownOrganization => "unknown_organization",
            Self::SecondOfItsKind(_) => "second_of_its_kind",
            Self::NotRecorded => "not_recorded",
            Self::AssistantGone(_) => "assistant_gone",
            Self::ToolHasServer(_) => "tool_has_server",
            Self::RegistrationGone(_) => "registration_gone",
            Self::NotRegistered(_) => "tool_not_registered",
        }
    }

    /// Whether it is about an assistant that should not be there at all.
    pub(super) fn is_stray(&self) -> bool {
        matches!(self, Self::UnknownOrganization | Self::SecondOfItsKind(_) | Self::NotRecorded)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmbeddedNative(kind) => {
                write!(f, "the native integration {kind} is written into model.tools")
            }
            Self::Embedded(kind) => write!(f, "a tool of type {kind} is written into model.tools"),
            Self::LinkedNative(id, kind) => {
                write!(f, "the linked tool {id} is the native integration {kind}")
            }
            Self::LinkedForeign(id, kind) => write!(f, "the linked tool {id} of type {kind} is none of ours"),
            Self::LinkedMissing(id) => write!(f, "the linked tool {id} does not exist"),
            Self::LinkedOutdated(id, name) => write!(f, "the linked tool {id} is an old {name}"),
            Self::NotLinked(name) => write!(f, "the tool {name} is not linked"),
            Self::WrongServer => f.write_str("its messages do not go to our server"),
            Self::WrongCredential => {
                f.write_str("its messages are not signed with the organization's credential")
            }
            Self::TooManyCredentials => f.write_str("it may use other credentials than the organization's"),
            Self::CredentialGone(id) => write!(f, "the signing credential {id} does not exist"),
            Self::UnknownOrganization => f.write_str("it claims an organization that does not exist"),
            Self::SecondOfItsKind(first) => write!(f, "it is a second assistant beside {first}"),
            Self::NotRecorded => f.write_str("no row of ours points to it"),
            Self::AssistantGone(kind) => write!(f, "our {kind} assistant does not exist"),
            Self::ToolHasServer(id) => write!(f, "the tool {id} has a server of its own"),
            Self::RegistrationGone(id) => write!(f, "the registered tool {id} does not exist"),
            Self::NotRegistered(name) => write!(f, "the tool {name} is not registered"),
        }
    }
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The provider's id of the assistant; `None` for tools.
    pub assistant: Option<String>,
    /// Whose it is or claims to be.
    pub org: Option<OrgId>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.assistant {
            Some(id) => write!(f, "assistant {id}, ")?,
            None => f.write_str("tools, ")?,
        }
        match self.org {
            Some(org) => write!(f, "organization {org}: ")?,
            None => f.write_str("no organization: ")?,
        }
        self.fault.fmt(f)
    }
}

/// What the audit holds an assistant against.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Where messages go.
    pub server_url: String,
    /// The present tools.
    pub present: Vec<RegisteredTool>,
    /// Every tool at the provider, by its id.
    pub tools: HashMap<String, ListedTool>,
    /// Our organizations, by their id.
    pub lines: HashMap<OrgId, RecordedLine>,
    /// Whose the assistants are that we know, by their id.
    pub owners: HashMap<String, (OrgId, AssistantKind)>,
}

/// The integrations that would bypass us (decision D14).
pub fn is_native(kind: &str) -> bool {
    kind == "ghl"
        || kind == "make"
        || ["google.", "gohighlevel.", "slack."].iter().any(|p| kind.starts_with(p))
}

/// What is wrong with one assistant; nothing is when it is none of ours.
pub fn findings(assistant: &ListedAssistant, expected: &Expected) -> Vec<Finding> {
    let at = |org: Option<OrgId>, fault: Fault| Finding { assistant: Some(assistant.id.clone()), org, fault };
    let Some(&(org, _)) = expected.owners.get(&assistant.id) else {
        let stray = stray(assistant, expected);
        return stray.map(|fault| at(assistant.org, fault)).into_iter().collect();
    };
    let mut faults = tool_faults(assistant, expected);
    if assistant.server_url.as_deref() != Some(&expected.server_url) {
        faults.push(Fault::WrongServer);
    }
    // An organization whose credential is not made yet has none that could be the right one.
    if let Some(credential) = expected.lines.get(&org).and_then(|line| line.credential.as_ref()) {
        if assistant.server_credential.as_ref() != Some(credential) {
            faults.push(Fault::WrongCredential);
        }
        if assistant.credentials.as_deref() != Some(std::slice::from_ref(credential)) {
            faults.push(Fault::TooManyCredentials);
        }
    }
    faults.into_iter().map(|fault| at(Some(org), fault)).collect()
}

/// Why an assistant that no row of ours points to should not be there; `None` when it is somebody else's.
pub(super) fn stray(assistant: &ListedAssistant, expected: &Expected) -> Option<Fault> {
    let line = assistant.org.and_then(|org| expected.lines.get(&org));
    let Some(line) = line else {
        // Whose messages go elsewhere is another installation's on the same account.
        let elsewhere = assistant.server_url.as_ref().is_some_and(|url| *url != expected.server_url);
        return (assistant.is_managed && !elsewhere).then_some(Fault::UnknownOrganization);
    };
    match assistant.kind.and_then(|kind| line.assistants.get(&kind)) {
        Some(first) => Some(Fault::SecondOfItsKind(first.clone())),
        None => Some(Fault::NotRecorded),
    }
}

fn tool_faults(assistant: &ListedAssistant, expected: &Expected) -> Vec<Fault> {
    let embedded = assistant.embedded.iter().map(|kind| {
        if is_native(kind) { Fault::EmbeddedNative(kind.clone()) } else { Fault::Embedded(kind.clone()) }
    });
    let linked: BTreeSet<&String> = assistant.tool_ids.iter().collect();
    let wrong = linked.iter().filter_map(|id| {
        let is_present = expected.present.iter().any(|ours| ours.id == **id);
        Some(match expected.tools.get(*id) {
            None => Fault::LinkedMissing((*id).clone()),
            Some(_) if is_present => return None,
            Some(tool) if is_native(&tool.kind) => Fault::LinkedNative((*id).clone(), tool.kind.clone()),
            Some(tool) if tool.mark.is_some() => Fault::LinkedOutdated((*id).clone(), tool.name.clone()),
            Some(tool) => Fault::LinkedForeign((*id).clone(), tool.kind.clone()),
        })
    });
    let missing = expected.present.iter().filter(|ours| !linked.contains(&ours.id));
    embedded.chain(wrong).chain(missing.map(|ours| Fault::NotLinked(ours.name))).collect()
}

/// Everything that was looked at.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What assistants are held against.
    pub expected: Expected,
    /// Every assistant at the provider.
    pub assistants: Vec<ListedAssistant>,
    /// The ids of every credential at the provider.
    pub credentials: HashSet<String>,
    /// The ids of the assistants that numbers are bound to.
    pub answering: HashSet<String>,
    /// Rows that pointed to an assistant before the provider was asked, and still do.
    pub settled: Vec<(OrgId, AssistantKind, String)>,
    /// The ids of all registrations.
    pub registered: Vec<String>,
}

/// Everything that is wrong: with tools, with assistants in the provider's order, with rows.
pub fn examine(seen: &Seen) -> Vec<Finding> {
    let expected = &seen.expected;
    let global = |fault| Finding { assistant: None, org: None, fault };
    let mut found = Vec::new();
    let gone = seen.registered.iter().filter(|id| !expected.tools.contains_key(*id));
    found.extend(gone.map(|id| global(Fault::RegistrationGone(id.clone()))));
    if !expected.owners.is_empty() {
        let names: HashSet<_> = expected.present.iter().map(|ours| ours.name).collect();
        let missing = definitions().into_iter().map(|definition| definition.name);
        found.extend(
            missing.filter(|name| !names.contains(name)).map(|name| global(Fault::NotRegistered(name))),
        );
    }
    let mut served: Vec<_> =
        expected.tools.values().filter(|tool| tool.mark.is_some() && tool.has_server).collect();
    served.sort_by(|a, b| a.id.cmp(&b.id));
    found.extend(served.into_iter().map(|tool| global(Fault::ToolHasServer(tool.id.clone()))));

    found.extend(seen.assistants.iter().flat_map(|assistant| findings(assistant, expected)));

    let listed: HashSet<&str> = seen.assistants.iter().map(|assistant| assistant.id.as_str()).collect();
    for (org, kind, id) in &seen.settled {
        let at = |fault| Finding { assistant: Some(id.clone()), org: Some(*org), fault };
        if !listed.contains(id.as_str()) {
            found.push(at(Fault::AssistantGone(*kind)));
        }
        let credential = expected.lines.get(org).and_then(|line| line.credential.as_ref());
        if let Some(credential) = credential.filter(|id| !seen.credentials.contains(*id)) {
            found.push(at(Fault::CredentialGone(credential.clone())));
        }
    }
    found
}

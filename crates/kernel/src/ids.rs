//! One type per kind of id, so that a call's id cannot be handed to something that wants a contact's.
//!
//! Ours are UUIDv7 (decision D10): they sort by age, and say nothing about how many others exist.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id, later in order than every id made before it by this process.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// An organization: the tenant.
    OrgId;
    /// A person who can sign in.
    UserId;
    /// A call, ours; Vapi's own id is text.
    CallId;
    /// A person whom an organization deals with.
    ContactId;
    /// A booked appointment.
    AppointmentId;
    /// Something an organization sells.
    ServiceId;
    /// A practitioner or a room that can be booked.
    ResourceId;
    /// One of an organization's two assistants, our row of it.
    AssistantId;
    /// A stored provider message that waits to be applied or was applied.
    WebhookEventId;
    /// A stored credential.
    CredentialId;
    /// An entry of the audit trail.
    AuditId;
    /// An entry of an organization's activity stream.
    ActivityId;
    /// A chain of refresh tokens: one sign-in on one device.
    SessionId;
    /// One refresh token of a session.
    RefreshTokenId;
    /// A mail of the platform itself to one person.
    MailId;
    /// A phone number that an organization is proving, or has proved, to be its own.
    CallerIdId;
    /// How the calls of one such number are forwarded.
    ForwardingConfigId;
    /// A phone number that the platform bought for an organization.
    ManagedNumberId;
    /// One attempt at setting an organization's line up; what it makes at providers is labelled with it.
    SetupId;
    /// A message to or from somebody: an SMS, an e-mail, a WhatsApp message.
    MessageId;
    /// An account that an organization sends messages through.
    MessagingProviderId;
    /// A text that messages are made of.
    TemplateId;
    /// A recipient to whom an organization does not send.
    SuppressionId;
    /// A batch of messages that were sent together.
    BulkId;
    /// A movement of an organization's credit.
    CreditEntryId;
    /// A recording of a call, as we keep it.
    RecordingId;
    /// A link that somebody was given to a recording.
    RecordingShareId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_later() {
        let ids: Vec<_> = (0..1_000).map(|_| CallId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_is_a_bare_uuid_on_the_wire() {
        let id = OrgId(Uuid::nil());
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"00000000-0000-0000-0000-000000000000\"");
        assert!("not-a-uuid".parse::<OrgId>().is_err());
    }
}

//! The tenant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use voxanne_kernel::{Currency, E164, Timestamp, Zone, ids::OrgId};

use crate::document::Document;

/// Declares an enum with the one text per variant that the database and the wire use.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $error:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The stored and sent name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownName($error)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// The text is none of the names that are known; says which are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct UnknownName(&'static str);

named! {
    /// How far the platform trusts an organization (`spec/13-names-and-shapes.md`, Tenancy).
    OrganizationStatus, "pending, verified, rejected, suspended" {
        /// Signed up, not yet looked at: may configure, but not send, call or buy.
        Pending = "pending",
        /// Approved by an operator.
        Verified = "verified",
        /// Turned down by an operator.
        Rejected = "rejected",
        /// Stopped by an operator; its data is kept, its tool calls and sends are refused.
        Suspended = "suspended",
    }
}

named! {
    /// Whether a booking counts at once (decision D13).
    ApprovalMode, "auto, manual" {
        /// Bookings are confirmed at once.
        Auto = "auto",
        /// Bookings wait for the staff's approval.
        Manual = "manual",
    }
}

named! {
    /// How the organization's number is answered (decision D22).
    AnswerMode, "bound, dynamic" {
        /// The number is bound to the inbound assistant, and is answered even while we are down.
        Bound = "bound",
        /// We are asked first, at every call.
        Dynamic = "dynamic",
    }
}

/// An organization's name, as people read it: trimmed, 1 to 200 characters, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganizationName(Box<str>);

/// The text cannot be an organization's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 200 characters and no control characters")]
pub struct NotAName;

impl OrganizationName {
    /// Reads a name, without the white space around it.
    ///
    /// # Errors
    /// [`NotAName`] when nothing is left, too much is, or there are control characters in it.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let text = text.trim();
        let length = text.chars().count();
        if (1..=200).contains(&length) && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            Err(NotAName)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for OrganizationName {
    type Error = NotAName;
    fn try_from(text: String) -> Result<Self, NotAName> {
        Self::new(&text)
    }
}

impl From<OrganizationName> for String {
    fn from(name: OrganizationName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A clinic, or another business that lives by appointments.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    /// Its id, in every row it owns.
    pub id: OrgId,
    /// Its name.
    pub name: OrganizationName,
    /// How far it is trusted.
    pub status: OrganizationStatus,
    /// The zone of its opening hours and spoken times (decision D8).
    pub zone: Zone,
    /// What its prices are in.
    pub currency: Currency,
    /// Whether bookings wait for approval.
    pub approval_mode: ApprovalMode,
    /// How its number is answered.
    pub answer_mode: AnswerMode,
    /// Who is told about hot leads, and where calls go when nothing else can take them.
    pub alert_phone: Option<E164>,
    /// Where calls are transferred to, by department; shaped by the organization.
    pub call_routing: Document,
    /// What the assistant may say about the business; shaped by the organization.
    pub profile: Document,
    /// When it signed up.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Organization {
    /// An organization as it is right after signing up.
    pub fn founded(id: OrgId, name: OrganizationName, zone: Zone, at: Timestamp) -> Self {
        Self {
            id,
            name,
            status: OrganizationStatus::Pending,
            zone,
            currency: Currency::USD,
            approval_mode: ApprovalMode::Auto,
            answer_mode: AnswerMode::Bound,
            alert_phone: None,
            call_routing: Document::default(),
            profile: Document::default(),
            created_at: at,
            updated_at: at,
        }
    }

    /// Its settings as the audit trail shows them, by their names on the wire.
    fn audited(&self) -> Map<String, Value> {
        let shown = json!({
            "name": self.name,
            "status": self.status,
            "timezone": self.zone.name(),
            "currency": self.currency,
            "approvalMode": self.approval_mode,
            "answerMode": self.answer_mode,
            "alertPhone": self.alert_phone,
            "callRouting": self.call_routing,
            "profile": self.profile,
        });
        if let Value::Object(fields) = shown { fields } else { Map::new() }
    }

    /// What differs between `self` and `after`, as it was and as it is; `None` when nothing does.
    pub fn difference(&self, after: &Self) -> Option<(Value, Value)> {
        let (mut before, mut after) = (self.audited(), after.audited());
        let same: Vec<_> =
            before.iter().filter(|(k, v)| after.get(*k) == Some(v)).map(|(k, _)| k.clone()).collect();
        for field in same {
            before.remove(&field);
            after.remove(&field);
        }
        (!before.is_empty()).then_some((Value::Object(before), Value::Object(after)))
    }
}

/// What a member asks to change; `None` leaves a field as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OrganizationChange {
    /// A new name.
    pub name: Option<OrganizationName>,
    /// A new zone.
    pub zone: Option<Zone>,
    /// A new alert phone, or `Some(None)` for none at all.
    pub alert_phone: Option<Option<E164>>,
    /// Whether bookings wait for approval.
    pub approval_mode: Option<ApprovalMode>,
    /// How the number is answered.
    pub answer_mode: Option<AnswerMode>,
    /// Replaces the routing.
    pub call_routing: Option<Document>,
    /// Replaces the profile.
    pub profile: Option<Document>,
}

impl OrganizationChange {
    /// `organization` with the change made.
    pub fn apply(self, organization: &Organization) -> Organization {
        let old = organization.clone();
        Organization {
            name: self.name.unwrap_or(old.name),
            zone: self.zone.unwrap_or(old.zone),
            alert_phone: self.alert_phone.unwrap_or(old.alert_phone),
            approval_mode: self.approval_mode.unwrap_or(old.approval_mode),
            answer_mode: self.answer_mode.unwrap_or(old.answer_mode),
            call_routing: self.call_routing.unwrap_or(old.call_routing),
            profile: self.profile.unwrap_or(old.profile),
            ..old
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clinic() -> Organization {
        let name = OrganizationName::new("Clinique").unwrap();
        Organization::founded(OrgId::generate(), name, Zone::utc(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_change_touches_only_what_it_names_and_the_difference_says_so() {
        let before = clinic();
        let change = OrganizationChange {
            zone: Some(Zone::new("Europe/Paris").unwrap()),
            alert_phone: Some(Some(E164::new("+15005550006").unwrap())),
            ..OrganizationChange::default()
        };
        let after = change.apply(&before);
        assert_eq!(
            before.difference(&after).unwrap(),
            (
                json!({"timezone": "UTC", "alertPhone": null}),
                json!({"timezone": "Europe/Paris", "alertPhone": "+15005550006"})
            )
        );
        assert_eq!(before.difference(&OrganizationChange::default().apply(&before)), None);
    }

    #[test]
    fn names_are_trimmed_and_readable() {
        assert_eq!(OrganizationName::new("  Clinique Étoile ").unwrap().as_str(), "Clinique Étoile");
        for bad in ["", "  ", "a\0b", "a\nb", &"é".repeat(201)] {
            assert_eq!(OrganizationName::new(bad), Err(NotAName), "{bad:?}");
        }
        assert!(OrganizationName::new(&"é".repeat(200)).is_ok());
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        assert_eq!(
            "Verified".parse::<OrganizationStatus>().unwrap_err().to_string(),
            "must be one of pending, verified, rejected, suspended"
        );
    }
}

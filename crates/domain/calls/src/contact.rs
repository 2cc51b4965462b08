//! A contact: a person the organization deals with, known by their phone number, and where they stand as a lead.

use jiff::Timestamp;
use voxanne_kernel::{E164, EmailAddress, ids::ContactId};

use crate::lead::{LeadScore, LeadStatus};

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub id: ContactId,
    /// Name, once known.
    pub name: Option<ContactName>,
    /// Phone number, unique within the organization.
    pub phone: E164,
    /// E-mail address.
    pub email: Option<EmailAddress>,
    /// Where they stand.
    pub lead_status: LeadStatus,
    /// The score without recency; see [`LeadScore::at`].
    pub score: LeadScore,
    /// What they were interested in.
    pub interests: Interests,
    /// What staff wrote.
    pub notes: Option<Notes>,
    /// When they were last spoken to.
    pub last_contacted_at: Option<Timestamp>,
    /// When they were added; the list is sorted by it.
    pub created_at: Timestamp,
}

impl Contact {
    /// Somebody of whom only the number is known.
    pub fn unknown(id: ContactId, phone: E164, now: Timestamp) -> Self {
        Self {
            id,
            name: None,
            phone,
            email: None,
            lead_status: LeadStatus::New,
            score: LeadScore::default(),
            interests: Interests::default(),
            notes: None,
            last_contacted_at: None,
            created_at: now,
        }
    }

    /// The score now.
    pub fn score_at(&self, now: Timestamp) -> LeadScore {
        self.score.at(now, self.last_contacted_at)
    }
}

/// The part of a contact that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactField {
    /// `name`
    Name,
    /// `service_interests`
    Interests,
    /// `notes`
    Notes,
}

impl ContactField {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Interests => "service_interests",
            Self::Notes => "notes",
        }
    }
}

/// A part of a contact breaks its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct BadContact {
    /// Which part.
    pub field: ContactField,
    /// The rule.
    pub rule: &'static str,
}

/// A name: 1 to 200 characters, trimmed, no control characters.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactName(Box<str>);

impl ContactName {
    /// Trims and checks `text`.
    ///
    /// # Errors
    /// [`BadContact`] when it is empty, too long or holds control characters.
    pub fn new(text: &str) -> Result<Self, BadContact> {
        let text = text.trim();
        let rule = if !(1..=200).contains(&text.chars().count()) {
            "must have 1 to 200 characters"
        } else if text.chars().any(char::is_control) {
            "must not contain control characters"
        } else {
            return Ok(Self(text.into()));
        };
        Err(BadContact { field: ContactField::Name, rule })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ContactName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContactName(…)")
    }
}

/// What staff wrote about a contact: up to 5,000 characters, lines allowed.
#[derive(Clone, PartialEq, Eq)]
pub struct Notes(Box<str>);

impl Notes {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`BadContact`] when it is too long or holds a NUL.
    pub fn new(text: &str) -> Result<Self, BadContact> {
        let rule = if text.chars().count() > 5_000 {
            "must have at most 5000 characters"
        } else if text.contains('\0') {
            "must not contain NUL"
        } else {
            return Ok(Self(text.into()));
        };
        Err(BadContact { field: ContactField::Notes, rule })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notes(…)")
    }
}

/// Names of services a contact was interested in: at most 50, each of 1 to 120 characters, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interests(Vec<String>);

impl Interests {
    const MOST: usize = 50;

    /// Trims and checks each; a repeated one is kept once.
    ///
    /// # Errors
    /// [`BadContact`] when there are too many, or one is empty, too long or holds control characters.
    pub fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, BadContact> {
        let bad = |rule| Err(BadContact { field: ContactField::Interests, rule });
        let mut kept: Vec<String> = Vec::new();
        for name in names {
            let name = name.as_ref().trim();
            if !(1..=120).contains(&name.chars().count()) {
                return bad("must each have 1 to 120 characters");
            }
            if name.chars().any(char::is_control) {
                return bad("must not contain control characters");
            }
            if !kept.iter().any(|known| known == name) {
                kept.push(name.to_owned());
            }
        }
        if kept.len() > Self::MOST {
            return bad("must be at most 50");
        }
        Ok(Self(kept))
    }

    /// Adds what is new among `names`, as far as there is room.
    pub fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            if self.0.len() < Self::MOST && !self.0.iter().any(|known| known == name) {
                self.0.push(name.to_owned());
            }
        }
    }

    /// The names.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

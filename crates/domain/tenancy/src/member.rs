//! A person's place in an organization.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Timestamp, ids::UserId};

use crate::user::User;

/// What a member may do; each role may do what the ones below it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Works with calls, contacts and appointments.
    Member,
    /// Also changes settings, and adds and removes people.
    Admin,
    /// Also makes and unmakes owners. There is always at least one.
    Owner,
}

/// The text names no role of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of owner, admin, member")]
pub struct UnknownRole;

impl Role {
    /// The stored and sent name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Whether someone of this role may give, change or take away `other`: admins manage everyone but owners.
    pub fn manages(self, other: Self) -> bool {
        self >= Self::Admin && self >= other
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user of an organization, with their role in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub user: User,
    /// What they may do.
    pub role: Role,
    /// When they joined.
    pub since: Timestamp,
}

/// A membership about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewMember {
    /// Who joins.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// When.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admins_manage_everyone_but_owners() {
        use Role::{Admin, Member, Owner};
        let may: Vec<_> = [Member, Admin, Owner]
            .into_iter()
            .flat_map(|who| [Member, Admin, Owner].map(|whom| (who, whom)))
            .filter(|(who, whom)| who.manages(*whom))
            .collect();
        assert_eq!(may, [(Admin, Member), (Admin, Admin), (Owner, Member), (Owner, Admin), (Owner, Owner)]);
    }

    #[test]
    fn operators_are_not_a_role_of_an_organization() {
        assert_eq!("platform_admin".parse::<Role>(), Err(UnknownRole));
        assert_eq!("owner".parse(), Ok(Role::Owner));
    }
}

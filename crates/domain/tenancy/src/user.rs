//! People who can sign in.

use voxanne_kernel::{EmailAddress, Timestamp, ids::UserId};

use crate::{member::Role, organization::Organization, password::PasswordHash};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id; the `sub` of their tokens.
    pub id: UserId,
    /// Where mail reaches them, and what they sign in with.
    pub email: EmailAddress,
}

/// A user about to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The person.
    pub user: User,
    /// Their password; `None` for somebody invited, who cannot sign in until they have chosen one.
    pub password: Option<PasswordHash>,
    /// Whether they are one of the platform's operators.
    pub is_operator: bool,
    /// When.
    pub since: Timestamp,
}

/// All that signing in needs to know about a user.
#[derive(Debug, Clone)]
pub struct Account {
    /// The person.
    pub user: User,
    /// Their password, if they have chosen one.
    pub password: Option<PasswordHash>,
    /// What they are.
    pub standing: Standing,
}

/// What a user is to the platform.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// One of our operators, beside all organizations.
    Operator,
    /// A member of an organization.
    Member {
        /// Their organization.
        organization: Box<Organization>,
        /// Their role in it.
        role: Role,
    },
    /// Neither: somebody who was removed from theirs.
    Nobody,
}

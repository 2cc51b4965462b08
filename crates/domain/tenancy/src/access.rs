//! Access tokens: what they say, and the ports behind which they are made and checked (`spec/01-platform.md`,
//! Authentication).

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::SecretString;
use voxanne_kernel::ids::{OrgId, UserId};

use crate::{
    member::Role,
    user::{Account, Standing},
};

/// How long an access token of ours lasts.
pub const ACCESS_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// What a checked access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// Who holds it.
    pub user: UserId,
    /// What they may reach with it.
    pub access: Access,
}

/// What the holder of a token may reach. A copy made when the token was issued: what matters is checked against the
/// database again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The routes of one organization.
    Organization {
        /// Which one.
        org: OrgId,
        /// With what rights.
        role: Role,
    },
    /// The operators' routes, and no organization's.
    Operator,
    /// Neither.
    Nothing,
}

impl Claims {
    /// What a new token for `account` says.
    pub fn of(account: &Account) -> Self {
        let access = match &account.standing {
            Standing::Operator => Access::Operator,
            Standing::Member { organization, role } => {
                Access::Organization { org: organization.id, role: *role }
            }
            Standing::Nobody => Access::Nothing,
        };
        Self { user: account.user.id, access }
    }
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is forged, expired, meant for somebody else, or no token at all. The holder must sign in again.
    #[error("the access token is not valid")]
    Invalid,
    /// The keys that could tell cannot be had just now; trying again may help.
    #[error("the keys of the token's issuer are not available")]
    KeysUnavailable,
}

/// Checks access tokens.
#[async_trait]
pub trait AccessTokens: Send + Sync {
    /// What `token` says, once its signature, issuer, audience and times have been checked.
    async fn verify(&self, token: &str) -> Result<Claims, TokenError>;
}

/// A token that was just made.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The token.
    pub token: SecretString,
    /// How long it lasts from now.
    pub lifetime: SignedDuration,
}

/// No token could be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// This installation has no secret of its own to sign with: an external issuer signs people in.
    #[error("signing in here is not configured")]
    NotConfigured,
    /// Signing failed.
    #[error("the access token could not be signed")]
    Signing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Makes access tokens.
pub trait TokenIssuer: Send + Sync {
    /// Signs `claims` into a token that lasts for `lifetime` from now.
    fn issue(&self, claims: &Claims, lifetime: SignedDuration) -> Result<IssuedToken, IssueError>;
}

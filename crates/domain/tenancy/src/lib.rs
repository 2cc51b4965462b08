//! Who may act, and for which organization.
//!
//! An [`Organization`] is the tenant: a clinic with its zone, its settings and its [`OrganizationStatus`]. A [`User`]
//! is a person who can sign in; a [`Member`] is a user's place in the one organization they belong to, with a
//! [`Role`]. Operators are users of the platform itself, beside all organizations. A [`Session`] is one sign-in on one
//! device, kept alive by a chain of refresh tokens.
//!
//! Promises: a refused sign-up leaves nothing behind and does not say why; a sign-in's answer and its timing do not
//! tell whether an account exists; a refresh token works once; an organization never loses its last owner; every
//! change to an organization or its members is in the audit trail, written in the same unit of work.
//!
//! What is deliberately absent: how passwords are hashed and tokens are signed ([`Passwords`], [`TokenIssuer`] and
//! [`AccessTokens`] are ports), services, calendars and credentials (a newcomer gets its first ones through
//! [`Newcomer`], which whoever assembles the program joins to the other domains), mails ([`AccountHolders`] likewise),
//! and HTTP.

pub mod access;
pub mod audit_trail;
pub mod delete;
pub mod document;
pub mod fix_membership;
pub mod manage_members;
pub mod me;
pub mod member;
pub mod operators;
pub mod organization;
pub mod password;
pub mod ports;
pub mod refresh;
pub mod review;
pub mod session;
pub mod settings;
pub mod sign_in;
pub mod sign_up;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod throttle;
pub mod user;

pub use access::{Access, AccessTokens, Claims, IssueError, IssuedToken, TokenError, TokenIssuer};
pub use audit_trail::{AuditEvent, AuditTx, ListAudit};
pub use delete::{DeleteError, DeleteOrganization, DeleteTx, Erased, Erasure, Holding, NotGivenUp};
pub use document::{Document, NotADocument};
pub use fix_membership::{FixMembership, MembershipReport};
pub use manage_members::{ManageMembers, MemberError, MembersTx};
pub use me::{Me, WhoAmI};
pub use member::{Member, Role};
pub use operators::{CreateOperator, CreateOperatorError, OperatorAccountsTx};
pub use organization::{
    AnswerMode, ApprovalMode, Organization, OrganizationChange, OrganizationName, OrganizationStatus,
};
pub use password::{HashingFailed, NewPassword, PasswordCheck, PasswordHash, Passwords, WeakPassword};
pub use refresh::{Refresh, RefreshError, RefreshTx, SignOut};
pub use review::{AfterApproval, Decision, ReviewError, ReviewOrganization, ReviewTx};
pub use session::{RefreshToken, Session, TokenDigest};
pub use settings::{AfterChange, OrganizationSettings, SettingsError, SettingsTx};
pub use sign_in::{SignIn, SignInError, SignInRequest, SignInTx, SignedIn};
pub use sign_up::{AccountHolders, Newcomer, SignUp, SignUpError, SignUpRequest, SignUpTx};
pub use throttle::{Attempts, Subject};
pub use user::{Account, User};

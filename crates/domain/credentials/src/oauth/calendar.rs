//! Which calendars can be connected by signing in.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{OrgScope, ids::OrgId};

use crate::{
    credential::{Credential, CredentialSource, CredentialStatus},
    envelope::Unreadable,
    keyring::KeyRing,
    provider::CredentialProvider,
    resolve::ResolveError,
    secrets::{GoogleCalendar, OAuthGrant, OutlookCalendar},
    vault::Vault,
};

use super::token::AccessToken;

/// A calendar that is connected by signing in at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// Google Calendar.
    Google,
    /// Outlook Calendar.
    Outlook,
}

/// The provider's credential is not made by signing in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a calendar that is connected by signing in")]
pub struct NotACalendar;

impl Calendar {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Google, Self::Outlook];

    /// Whose credential it is.
    pub const fn provider(self) -> CredentialProvider {
        match self {
            Self::Google => CredentialProvider::GoogleCalendar,
            Self::Outlook => CredentialProvider::OutlookCalendar,
        }
    }

    /// The name in paths.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Outlook => "outlook",
        }
    }

    /// Seals `grant` as `org`'s credential, verified at `now`.
    pub(super) fn seal(self, keys: &KeyRing, org: OrgId, grant: OAuthGrant, now: Timestamp) -> Credential {
        let source = CredentialSource::Byoc;
        let sealed = match self {
            Self::Google => Credential::seal(keys, org, &GoogleCalendar(grant), source),
            Self::Outlook => Credential::seal(keys, org, &OutlookCalendar(grant), source),
        };
        sealed.standing(CredentialStatus::Verified, Some(now))
    }

    /// Opens `org`'s credential.
    pub(super) fn open(
        self,
        credential: &Credential,
        keys: &KeyRing,
        org: OrgId,
    ) -> Result<OAuthGrant, Unreadable> {
        match self {
            Self::Google => credential.open::<GoogleCalendar>(keys, org).map(|opened| opened.0),
            Self::Outlook => credential.open::<OutlookCalendar>(keys, org).map(|opened| opened.0),
        }
    }

    /// The token as the vault remembers it.
    pub(super) async fn remembered(
        self,
        vault: &Vault,
        scope: &OrgScope,
    ) -> Result<Option<AccessToken>, ResolveError> {
        Ok(match self {
            Self::Google => vault.get::<GoogleCalendar>(scope).await?.map(|held| AccessToken::of(&held.0)),
            Self::Outlook => vault.get::<OutlookCalendar>(scope).await?.map(|held| AccessToken::of(&held.0)),
        })
    }
}

impl TryFrom<CredentialProvider> for Calendar {
    type Error = NotACalendar;
    fn try_from(provider: CredentialProvider) -> Result<Self, NotACalendar> {
        Self::ALL.into_iter().find(|calendar| calendar.provider() == provider).ok_or(NotACalendar)
    }
}

impl FromStr for Calendar {
    type Err = NotACalendar;
    fn from_str(slug: &str) -> Result<Self, NotACalendar> {
        Self::ALL.into_iter().find(|calendar| calendar.slug() == slug).ok_or(NotACalendar)
    }
}

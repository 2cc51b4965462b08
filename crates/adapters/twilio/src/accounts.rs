//! Subaccounts: one per organization, found by its friendly name, suspended with the organization, closed on deletion.
//!
//! Twilio knows no idempotency keys. Whoever opens a subaccount looks for it by name first, because the answer to an
//! earlier attempt may have been lost. Its token is shown when it is made and perhaps never again.

use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    parent::{Listing, ParentAccount, ParentError, read_sid},
    wire::filled,
};

const ACCOUNTS: &str = "/2010-04-01/Accounts";

/// A subaccount that was just opened.
pub struct NewSubaccount {
    /// `AC…`.
    pub sid: String,
    /// What its requests are authenticated and its callbacks signed with.
    pub auth_token: SecretString,
}

/// A subaccount as a list shows it.
pub struct Subaccount {
    /// `AC…`.
    pub sid: String,
    /// The name we gave it.
    pub friendly_name: String,
    /// Whether it may be used.
    pub status: SubaccountStatus,
    /// Its token, where Twilio still shows it.
    pub auth_token: Option<SecretString>,
}

impl std::fmt::Debug for Subaccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subaccount({}, {:?})", self.sid, self.status)
    }
}

/// Whether a subaccount may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubaccountStatus {
    /// It may.
    Active,
    /// It makes and takes no calls and texts; its numbers still cost money.
    Suspended,
    /// It is gone for good, and its numbers with it.
    Closed,
}

impl SubaccountStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// A status that nobody here has heard of is one that does not work.
    fn read(text: Option<&str>) -> Self {
        match text {
            None | Some("active") => Self::Active,
            Some("closed") => Self::Closed,
            Some(_) => Self::Suspended,
        }
    }
}

#[derive(Deserialize)]
struct Page {
    accounts: Vec<Row>,
    #[serde(default, deserialize_with = "filled")]
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "filled")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    friendly_name: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    status: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    auth_token: Option<String>,
}

impl Listing for Page {
    type Row = Row;
    fn take(self) -> (Vec<Row>, Option<String>) {
        (self.accounts, self.next_page_uri)
    }
}

impl Row {
    fn shown(self) -> Option<Subaccount> {
        Some(Subaccount {
            sid: self.sid?,
            friendly_name: self.friendly_name.unwrap_or_default(),
            status: SubaccountStatus::read(self.status.as_deref()),
            auth_token: self.auth_token.map(SecretString::from),
        })
    }
}

impl ParentAccount {
    /// Opens a subaccount. Asking twice opens two.
    ///
    /// # Errors
    /// [`ParentError`]; after an unclear one, look for it by name.
    pub async fn open_subaccount(&self, friendly_name: &str) -> Result<NewSubaccount, ParentError> {
        let form = [("FriendlyName", friendly_name)];
        let answer = self.post("create_account", &format!("{ACCOUNTS}.json"), &form).await?;
        let row: Row = answer.secret_object()?;
        match (row.sid, row.auth_token) {
            (Some(sid), Some(token)) => Ok(NewSubaccount { sid, auth_token: token.into() }),
            _ => Err(ParentError::Provider(voxanne_kernel::ProviderError::Unclear(
                "the new account has no name or no token".into(),
            ))),
        }
    }

    /// The subaccounts of exactly this name, closed ones left out.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn subaccounts_named(&self, friendly_name: &str) -> Result<Vec<Subaccount>, ParentError> {
        let mut found = self.listed(&[("FriendlyName", friendly_name)]).await?;
        found.retain(|account| account.friendly_name == friendly_name);
        Ok(found)
    }

    /// Every subaccount, closed ones left out.
    ///
    /// # Errors
    /// [`ParentError`].
    pub async fn subaccounts(&self) -> Result<Vec<Subaccount>, ParentError> {
        self.listed(&[]).await
    }

    async fn listed(&self, filter: &[(&str, &str)]) -> Result<Vec<Subaccount>, ParentError> {
        let rows = self.list::<Page>("list_accounts", ACCOUNTS, filter).await?;
        let mut found: Vec<_> = rows.into_iter().filter_map(Row::shown).collect();
        // A list of accounts holds the one that asks as well.
        found.retain(|account| account.status != SubaccountStatus::Closed && account.sid != self.sid());
        Ok(found)
    }

    /// A subaccount, whatever its status.
    ///
    /// # Errors
    /// [`ParentError::NotFound`] when it never was one of ours.
    pub async fn subaccount(&self, sid: &str) -> Result<Subaccount, ParentError> {
        let path = format!("{}.json", read_sid(sid)?.path());
        let row: Row = self.read("get_account", &path, &[]).await?.secret_object()?;
        row.shown().filter(|account| account.sid.eq_ignore_ascii_case(sid)).ok_or(ParentError::NotFound)
    }

    /// Suspends a subaccount, takes it back into use, or closes it for good. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ParentError`]; one that is closed stays closed, which is refused unless that is what was asked for.
    pub async fn set_subaccount_status(
        &self,
        sid: &str,
        status: SubaccountStatus,
    ) -> Result<(), ParentError> {
        let path = format!("{}.json", read_sid(sid)?.path());
        let changed = self.post("update_account", &path, &[("Status", status.as_str())]).await;
        match changed {
            Ok(_) => Ok(()),
            Err(ParentError::NotFound) if status == SubaccountStatus::Closed => Ok(()),
            Err(ParentError::Provider(error)) if status == SubaccountStatus::Closed => {
                // Twilio refuses to close again what is closed.
                match self.subaccount(sid).await {
                    Ok(account) if account.status == SubaccountStatus::Closed => Ok(()),
                    Err(ParentError::NotFound) => Ok(()),
                    _ => Err(ParentError::Provider(error)),
                }
            }
            Err(error) => Err(error),
        }
    }
}

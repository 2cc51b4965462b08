//! The platform's own account, with which everything is done in its subaccounts, and how that can fail.

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use voxanne_http::Answer;
use voxanne_kernel::{E164, ProviderError};

use crate::{
    account_sid::AccountSid,
    client::{Login, MOST_PAGES, TwilioClient, unintelligible},
    refusal::Failure,
    wire::ErrorBody,
};

/// The account that pays: it opens subaccounts and acts in them with its own credentials.
#[derive(Clone)]
pub struct ParentAccount {
    client: TwilioClient,
    sid: String,
    auth_token: SecretString,
    sender: Option<E164>,
}

impl std::fmt::Debug for ParentAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ParentAccount({})", self.sid)
    }
}

/// The text is no account's SID: `AC` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an account is AC followed by 32 hexadecimal digits")]
pub struct NotAnAccount;

/// Why Twilio did not do what the platform asked, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    /// Somebody else bought the number meanwhile, or it never was one: try the next.
    #[error("the number is not for sale any more")]
    NumberGone,
    /// The area has no numbers.
    #[error("there are no numbers in the area")]
    NoneInArea,
    /// A trial account may not have more of this: the platform's account has to be upgraded.
    #[error("the platform's trial account may not have more")]
    TrialLimit,
    /// There are as many subaccounts as there may be.
    #[error("the platform's account may not have more subaccounts")]
    TooManyAccounts,
    /// The number's country wants an address or documents of its holder.
    #[error("the number needs a registered address or documents")]
    DocumentsNeeded,
    /// There is no such account or number, or it is closed.
    #[error("there is no such thing at the provider")]
    NotFound,
    /// The platform's account is not accepted, or may not do this, or the subaccount is suspended.
    #[error("the account is not accepted")]
    Denied,
    /// Anything else.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl ParentError {
    /// The same as a failure of any provider's, for whoever can do nothing particular about it.
    pub fn into_provider(self) -> ProviderError {
        match self {
            Self::Provider(error) => error,
            Self::Denied => ProviderError::OurFault(Box::new(self)),
            other => ProviderError::Refused(Box::new(other)),
        }
    }

    fn of(answer: &Answer) -> Self {
        let code = serde_json::from_slice::<ErrorBody>(answer.body()).unwrap_or_default().code();
        let kind = match code {
            Some(21_421 | 21_422) => Self::NumberGone,
            Some(21_451 | 21_452) => Self::NoneInArea,
            Some(21_404) => Self::TrialLimit,
            Some(21_480) => Self::TooManyAccounts,
            Some(21_615 | 21_631 | 21_649 | 21_650) => Self::DocumentsNeeded,
            _ => return Failure::of(answer).into(),
        };
        tracing::info!(code, kind = %kind, "Twilio refused");
        kind
    }
}

impl From<Failure> for ParentError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Denied => Self::Denied,
            Failure::NotFound => Self::NotFound,
            Failure::Other(error) => Self::Provider(error),
        }
    }
}

/// A page of a list.
pub(crate) trait Listing: DeserializeOwned {
    /// What is listed.
    type Row;

    /// The rows, and where the next page is, below the base address.
    fn take(self) -> (Vec<Self::Row>, Option<String>);
}

impl ParentAccount {
    /// The account `sid`, asked for with `client`; nothing is sent.
    ///
    /// # Errors
    /// [`NotAnAccount`] when `sid` is none.
    pub fn new(client: TwilioClient, sid: String, auth_token: SecretString) -> Result<Self, NotAnAccount> {
        AccountSid::read(&sid).ok_or(NotAnAccount)?;
        Ok(Self { client, sid, auth_token, sender: None })
    }

    /// With the number of its own that the platform itself calls and texts from.
    #[must_use]
    pub fn calling_from(mut self, sender: Option<E164>) -> Self {
        self.sender = sender;
        self
    }

    /// That number.
    pub(crate) fn sender(&self) -> Option<&E164> {
        self.sender.as_ref()
    }

    /// The account's SID.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    fn login(&self) -> Result<Login<'_>, ParentError> {
        Ok(Login { account: read_sid(&self.sid)?, auth_token: &self.auth_token })
    }

    /// Reads what is at `path`.
    pub(crate) async fn read(
        &self,
        operation: &'static str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Answer, ParentError> {
        let login = self.login()?;
        understood(self.client.look(operation, &login, path, |request| request.query(query)).await?)
    }

    /// Creates or changes what is at `path`; sent once.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<Answer, ParentError> {
        let login = self.login()?;
        understood(self.client.change(operation, &login, (voxanne_http::Method::POST, path), form).await?)
    }

    /// Deletes what is at `path`; sent once.
    pub(crate) async fn delete(&self, operation: &'static str, path: &str) -> Result<(), ParentError> {
        let login = self.login()?;
        let at = (voxanne_http::Method::DELETE, path);
        understood(self.client.change(operation, &login, at, &[]).await?).map(drop)
    }

    /// Every row of the list at `list`, which stands without `.json`.
    pub(crate) async fn list<L: Listing>(
        &self,
        operation: &'static str,
        list: &str,
        filter: &[(&str, &str)],
    ) -> Result<Vec<L::Row>, ParentError> {
        let mut query = vec![("PageSize", "1000")];
        query.extend_from_slice(filter);
        let mut answer = self.read(operation, &format!("{list}.json"), &query).await?;
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            // There may be tokens in it.
            let (rows, next) = answer.secret_object::<L>()?.take();
            all.extend(rows);
            let Some(next) = next else { return Ok(all) };
            // The credentials go nowhere but to the list that was asked for.
            let next = self.client.below_base(&next);
            if !next.starts_with(list) {
                return Err(unintelligible("the next page is elsewhere").into());
            }
            answer = self.read(operation, next, &[]).await?;
        }
        Err(unintelligible("the list does not end").into())
    }
}

/// An account as part of a path; what is none is not there.
pub(crate) fn read_sid(sid: &str) -> Result<AccountSid<'_>, ParentError> {
    AccountSid::read(sid).ok_or(ParentError::NotFound)
}

fn understood(answer: Answer) -> Result<Answer, ParentError> {
    if answer.status().is_success() { Ok(answer) } else { Err(ParentError::of(&answer)) }
}

//! Asking Twilio.

use secrecy::{ExposeSecret, SecretString};
use url::Url;
use voxanne_http::{Answer, ClientError, Http, Limits, Method, RequestBuilder};
use voxanne_kernel::{E164, ProviderError};

use crate::{
    account_sid::AccountSid,
    refusal::{Failure, success},
    wire::{Account, Numbers},
};

/// Where Twilio is, unless something stands in for it.
const TWILIO: &str = "https://api.twilio.com";
/// How many pages are walked in search of one number. Twilio filters by it, so that one is usual.
pub(crate) const MOST_PAGES: usize = 20;

/// Speaks to Twilio with whatever credentials it is given. Clones share its connections.
#[derive(Debug, Clone)]
pub struct TwilioClient {
    http: Http,
    base: String,
    /// The path in `base`, without a slash at its end.
    prefix: String,
}

/// Credentials that a request is made with.
pub(crate) struct Login<'a> {
    pub(crate) account: AccountSid<'a>,
    pub(crate) auth_token: &'a SecretString,
}

impl TwilioClient {
    /// Prepares a client for Twilio, or for what stands in for it at `base_url`; nothing is sent.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(base_url: Option<Url>) -> Result<Self, ClientError> {
        // A person waits for what is asked here.
        Self::within(base_url, Limits::interactive())
    }

    /// The same with other time-outs and retries.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn within(base_url: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        let prefix =
            base_url.as_ref().map_or_else(String::new, |base| base.path().trim_end_matches('/').to_owned());
        let base = base_url.map_or_else(|| TWILIO.to_owned(), String::from);
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http: Http::new("twilio", limits)?, base, prefix })
    }

    /// The account itself. Only its auth token opens it, which is what callbacks are signed with.
    pub(crate) async fn account(&self, login: &Login<'_>) -> Result<Account, Failure> {
        let path = format!("{}.json", login.account.path());
        let answer = self.read("get_account", login, &path, |request| request).await?;
        // There may be the token in it.
        let account: Account = answer.secret_object()?;
        if account.is(login.account.as_str()) {
            Ok(account)
        } else {
            Err(unintelligible("the answer is about something else"))
        }
    }

    /// Whether the account has exactly this number.
    pub(crate) async fn has_number(&self, login: &Login<'_>, number: &E164) -> Result<bool, Failure> {
        let list = format!("{}/IncomingPhoneNumbers", login.account.path());
        let first = format!("{list}.json");
        let filter = |request: RequestBuilder| request.query(&[("PhoneNumber", number.as_str())]);
        let mut answer = self.read("list_numbers", login, &first, filter).await?;
        for _ in 0..MOST_PAGES {
            let page: Numbers = answer.json()?;
            // The filter also finds numbers that contain it.
            let mut found = page.incoming_phone_numbers.iter().filter_map(|row| row.phone_number.as_deref());
            if found.any(|found| found == number.as_str()) {
                return Ok(true);
            }
            let Some(next) = page.next_page_uri else { return Ok(false) };
            // The credentials go nowhere but to the list that was asked for.
            let next = self.below_base(&next);
            if !next.starts_with(&list) {
                return Err(unintelligible("the next page is elsewhere"));
            }
            answer = self.read("list_numbers", login, next, |request| request).await?;
        }
        Err(unintelligible("the list does not end"))
    }

    /// The address of a page below the base: what stands in for Twilio below a path may name that path as well.
    pub(crate) fn below_base<'a>(&self, page: &'a str) -> &'a str {
        let below = page.strip_prefix(&*self.prefix).unwrap_or(page);
        if below.starts_with('/') { below } else { page }
    }

    async fn read(
        &self,
        operation: &'static str,
        login: &Login<'_>,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        success(self.look(operation, login, path, with).await?)
    }

    /// Reads; the answer may have any status.
    pub(crate) async fn look(
        &self,
        operation: &'static str,
        login: &Login<'_>,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, ProviderError> {
        self.http.read(operation, with(self.request(Method::GET, login, path))).await
    }

    /// Changes something, with a form's fields; sent once. The answer may have any status.
    pub(crate) async fn change(
        &self,
        operation: &'static str,
        login: &Login<'_>,
        (method, path): (Method, &str),
        form: &[(&str, &str)],
    ) -> Result<Answer, ProviderError> {
        let request = self.request(method, login, path);
        let request = if form.is_empty() { request } else { request.form(form) };
        self.http.write(operation, request).await
    }

    fn request(&self, method: Method, login: &Login<'_>, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.base))
            .basic_auth(login.account.as_str(), Some(login.auth_token.expose_secret()))
    }
}

pub(crate) fn unintelligible(problem: &'static str) -> Failure {
    Failure::Other(ProviderError::RetryLater { after: None, source: problem.into() })
}

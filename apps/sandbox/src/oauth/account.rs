//! A person's account, and what it is told to do for a test.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An account. What is left out when one is made has the value that a real account would have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "switches that a test sets one by one")]
pub(crate) struct Account {
    pub(crate) email: String,
    /// The id that never changes.
    pub(crate) sub: String,
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The only scopes it grants; everything that is asked for when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Vec<String>>,
    /// Whether its owner says yes.
    #[serde(default = "yes")]
    pub(crate) consents: bool,
    /// Whether tokens come with an identity.
    #[serde(default = "yes")]
    pub(crate) id_token: bool,
    /// Whether Graph knows a mailbox of it; where not, its sign-in name has to do.
    #[serde(default = "yes")]
    pub(crate) has_mail: bool,
    /// Whether a refresh token dies as soon as it is replaced.
    #[serde(default)]
    pub(crate) strict_rotation: bool,
    /// How long its access tokens live, unlike others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_seconds: Option<i64>,
    /// What its requests for tokens are refused with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refuse: Option<Refuse>,
    /// How much later than others' its requests for tokens are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slow_ms: Option<u64>,
}

const fn yes() -> bool {
    true
}

/// How requests for tokens are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Refuse {
    /// `invalid_grant`, `invalid_client`, `interaction_required` …; without one the answer is a page of the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Google's `error_subtype`, such as `invalid_rapt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subtype: Option<String>,
    /// 400, 401 for `invalid_client`, or 503 without an `error`, unless it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// How often; always when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<u32>,
}

impl Refuse {
    /// The status it answers.
    pub(crate) fn status(&self) -> u16 {
        self.status.unwrap_or(match self.error.as_deref() {
            None => 503,
            Some("invalid_client") => 401,
            Some(_) => 400,
        })
    }
}

impl Account {
    /// Its mailbox, which not every account has.
    pub(crate) fn mail(&self) -> Option<&str> {
        self.has_mail.then_some(&*self.email)
    }

    /// The account with the given fields changed; `null` puts one back to what a real account has.
    ///
    /// # Errors
    /// What is wrong with a field.
    pub(crate) fn changed(&self, fields: Map<String, Value>) -> Result<Self, String> {
        let mut whole = json!(self);
        for (name, value) in fields {
            if value.is_null() {
                whole.as_object_mut().map(|whole| whole.remove(&name));
            } else {
                whole[name] = value;
            }
        }
        Self::read(whole)
    }

    /// An account from its JSON.
    ///
    /// # Errors
    /// What is wrong with a field.
    pub(crate) fn read(whole: Value) -> Result<Self, String> {
        let account: Self = serde_json::from_value(whole).map_err(|error| error.to_string())?;
        if !account.email.contains('@') {
            return Err("email: an e-mail address".to_owned());
        }
        let status = account.refuse.as_ref().and_then(|refuse| refuse.status);
        if status.is_some_and(|status| !(400..=599).contains(&status)) {
            return Err("refuse.status: an HTTP status from 400 to 599".to_owned());
        }
        Ok(account)
    }
}

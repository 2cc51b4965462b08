//! What Twilio holds: accounts, the numbers in them, and how many numbers there are to buy.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::caller_ids::CallerId;
use super::calls::Call;
use super::carriers::Phone;
use super::messages::Message;
use super::number::Number;
use super::texting::Texting;

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Active,
    /// It neither calls nor texts, and keeps its numbers.
    Suspended,
    /// For good, and without its numbers.
    Closed,
}

impl Status {
    /// As it stands in answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// What a parameter says.
    pub(crate) fn read(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Closed].into_iter().find(|status| status.as_str() == text)
    }
}

/// Whether an account is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Plan {
    Trial,
    Full,
}

impl Plan {
    /// How many subaccounts there may be.
    pub(crate) const fn subaccounts(self) -> usize {
        match self {
            Self::Trial => 1,
            Self::Full => 1_000,
        }
    }
}

/// An account, or a subaccount of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) sid: String,
    pub(crate) auth_token: String,
    pub(crate) friendly_name: String,
    pub(crate) status: Status,
    pub(crate) plan: Plan,
    /// The parent of a subaccount.
    pub(crate) owner: Option<String>,
    /// In US cents. A subaccount has none of its own.
    pub(crate) balance: i64,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// Oldest first.
    pub(crate) numbers: Vec<Number>,
}

/// Everything.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Store {
    /// Oldest first.
    pub(crate) accounts: Vec<Account>,
    /// How many numbers an area code has, where a rehearsal said so.
    pub(crate) stock: BTreeMap<String, u32>,
    /// Oldest first.
    #[serde(default)]
    pub(crate) caller_ids: Vec<CallerId>,
    /// Calls that the API placed, oldest first.
    #[serde(default)]
    pub(crate) calls: Vec<Call>,
    /// Messages in both directions, oldest first.
    #[serde(default)]
    pub(crate) messages: Vec<Message>,
    /// What becomes of messages, and what everybody who writes has said about them.
    #[serde(default)]
    pub(crate) texting: Texting,
    /// Phones elsewhere, by their numbers; everybody else's does what phones usually do.
    #[serde(default)]
    pub(crate) phones: BTreeMap<String, Phone>,
}

impl Store {
    pub(crate) fn account(&self, sid: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.sid == sid)
    }

    pub(crate) fn account_mut(&mut self, sid: &str) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.sid == sid)
    }

    /// The status that counts: nothing works below a parent that is suspended.
    pub(crate) fn standing(&self, account: &Account) -> Status {
        let owner = account.owner.as_deref().and_then(|owner| self.account(owner));
        match owner {
            Some(owner) if account.status == Status::Active => owner.status,
            _ => account.status,
        }
    }

    /// Subaccounts of this account that are not closed.
    pub(crate) fn subaccounts(&self, owner: &str) -> usize {
        let open =
            |account: &&Account| account.owner.as_deref() == Some(owner) && account.status != Status::Closed;
        self.accounts.iter().filter(open).count()
    }

    /// The account that has this number.
    pub(crate) fn holder(&self, phone_number: &str) -> Option<&Account> {
        let holds = |account: &&Account| account.number(phone_number).is_some();
        self.accounts.iter().find(holds)
    }
}

impl Account {
    /// The number with exactly these digits.
    pub(crate) fn number(&self, phone_number: &str) -> Option<&Number> {
        self.numbers.iter().find(|number| number.e164 == phone_number)
    }
}

//! An organization's credit as its people and our operators see it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use voxanne_kernel::{
    Audit, Begin, Clock, Commit, Money, NewAudit, OrgScope, Page, PageRequest, StoreError, Timestamp,
    ids::{CreditEntryId, MessageId},
};

use super::ledger::{Balance, CREDIT_CURRENCY, EntryKind, Ledger};

/// What a new organization is given (`SIGNUP_CREDITS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignupCredits(Money);

impl Default for SignupCredits {
    fn default() -> Self {
        Self(Money::from_minor(1_000))
    }
}

impl SignupCredits {
    /// So many minor units; `None` when negative.
    pub fn new(minor: i64) -> Option<Self> {
        (minor >= 0).then(|| Self(Money::from_minor(minor)))
    }

    /// The amount.
    pub fn amount(self) -> Money {
        self.0
    }
}

/// The account beside what its entries add up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountStatement {
    /// What the account says is left.
    pub balance: Balance,
    /// The sum of all its entries.
    pub sum_of_entries: Money,
    /// How many there are.
    pub entries: u64,
    /// What is set aside for messages whose outcome is not known yet.
    pub reserved: Money,
}

impl AccountStatement {
    /// Whether the ledger proves the balance.
    pub fn agrees(&self) -> bool {
        self.balance.amount == self.sum_of_entries
    }
}

/// A movement of credit, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its id.
    pub id: CreditEntryId,
    /// What moved it.
    pub kind: EntryKind,
    /// By how much, in [`CREDIT_CURRENCY`]; negative for what was taken.
    pub amount: Money,
    /// The message that it is for; `None` of a grant.
    pub message: Option<MessageId>,
    /// Why it was granted.
    pub note: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Reads accounts in a unit of work.
#[async_trait]
pub trait Statements: Send {
    /// The organization's, seen at one moment; `None` when it has no account yet.
    async fn statement(&mut self) -> Result<Option<AccountStatement>, StoreError>;

    /// A page of its entries, newest first.
    async fn entries(&mut self, page: &PageRequest) -> Result<Page<LedgerEntry>, StoreError>;

    /// Whether there is such an organization.
    async fn organization_exists(&mut self) -> Result<bool, StoreError>;
}

/// What granting and showing touch.
pub trait CreditsTx: Ledger + Statements + Audit + Commit {}
impl<T: Ledger + Statements + Audit + Commit> CreditsTx for T {}

/// Why credit was not granted or shown.
#[derive(Debug, thiserror::Error)]
pub enum CreditsError {
    /// There is no such organization.
    #[error("there is no such organization")]
    NotFound,
    /// The amount is not one that can be given.
    #[error("the amount must be 1 to 100000000000 minor units")]
    BadAmount,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Grants and shows credit.
pub struct CreditAccounts {
    store: Arc<dyn Begin<dyn CreditsTx>>,
    signup: SignupCredits,
    clock: Arc<dyn Clock>,
}

impl CreditAccounts {
    /// The most that is granted at once, in minor units.
    const MOST: i64 = 100_000_000_000;

    /// Works in `store`. An organization that never got what new ones get is given `signup` first.
    pub fn new(store: Arc<dyn Begin<dyn CreditsTx>>, signup: SignupCredits, clock: Arc<dyn Clock>) -> Self {
        Self { store, signup, clock }
    }

    /// Gives an organization credit; audited.
    ///
    /// # Errors
    /// See [`CreditsError`].
    pub async fn grant(&self, scope: &OrgScope, amount: Money) -> Result<Balance, CreditsError> {
        if !(1..=Self::MOST).contains(&amount.minor()) {
            return Err(CreditsError::BadAmount);
        }
        let now = self.clock.now();
        let mut tx = self.opened(scope).await?;
        let balance = tx.grant(amount, "granted by an operator", now).await?;
        tx.record(NewAudit {
            action: "credits.granted",
            target_kind: "organization",
            target_id: scope.org().to_string(),
            before: None,
            after: Some(json!({ "amount": amount, "balance": balance.amount, "currency": balance.currency })),
        })
        .await?;
        tx.commit().await?;
        Ok(balance)
    }

    /// Shows an organization's account with the proof of its balance.
    ///
    /// # Errors
    /// See [`CreditsError`].
    pub async fn show(&self, scope: &OrgScope) -> Result<AccountStatement, CreditsError> {
        let mut tx = self.opened(scope).await?;
        let nothing = AccountStatement {
            balance: Balance { amount: Money::ZERO, currency: CREDIT_CURRENCY },
            sum_of_entries: Money::ZERO,
            entries: 0,
            reserved: Money::ZERO,
        };
        let statement = tx.statement().await?.unwrap_or(nothing);
        tx.commit().await?;
        Ok(statement)
    }

    /// What is left, and a page of what moved it, newest first; both of one moment.
    ///
    /// # Errors
    /// See [`CreditsError`].
    pub async fn ledger(
        &self,
        scope: &OrgScope,
        page: &PageRequest,
    ) -> Result<(Balance, Page<LedgerEntry>), CreditsError> {
        let mut tx = self.opened(scope).await?;
        let entries = tx.entries(page).await?;
        let balance = tx.balance().await?;
        tx.commit().await?;
        Ok((balance, entries))
    }

    async fn opened(&self, scope: &OrgScope) -> Result<Box<dyn CreditsTx>, CreditsError> {
        let mut tx = self.store.begin(scope).await?;
        if !tx.organization_exists().await? {
            return Err(CreditsError::NotFound);
        }
        tx.open(self.signup.amount(), self.clock.now()).await?;
        Ok(tx)
    }
}

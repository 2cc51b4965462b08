//! What managed numbers need, in this domain's words.

use async_trait::async_trait;
use secrecy::SecretString;
use voxanne_kernel::{
    Audit, Claim, Commit, Currency, E164, ExtendClaim, Money, OrgScope, Outbox, ProviderError, StoreError,
    Timestamp, ids::ManagedNumberId,
};

use super::number::{AreaCode, Country, ManagedNumber};
use crate::{
    hybrid::Forwarded,
    ports::{CarrierAccount, Custom, RouteError},
};

/// Why the carrier did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// The number is not for sale (any more): another one may be.
    #[error("the number is not for sale any more")]
    NumberGone,
    /// There is nothing for sale there.
    #[error("there are no numbers for sale there")]
    NoneForSale,
    /// The platform's own account may not have more of this; its operator has to raise the limit.
    #[error("the platform's account at the carrier may not have more")]
    PlatformLimit,
    /// The number's country wants an address or documents of its holder.
    #[error("the number needs a registered address or documents")]
    DocumentsNeeded,
    /// Anything else.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl CarrierError {
    /// The stable name that is stored with a purchase that failed.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NumberGone => "number_not_available",
            Self::NoneForSale => "no_numbers_available",
            Self::PlatformLimit => "platform_limit",
            Self::DocumentsNeeded => "number_needs_documents",
            Self::Provider(_) => "provider_unavailable",
        }
    }
}

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// Of a place.
    Local,
    /// Of a mobile network.
    Mobile,
    /// Free for whoever calls.
    TollFree,
}

impl NumberKind {
    /// The name that is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Mobile => "mobile",
            Self::TollFree => "toll_free",
        }
    }
}

/// What a number costs a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
}

/// A number that can be bought now. Being shown reserves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The number.
    pub number: E164,
    /// Its kind.
    pub kind: NumberKind,
    /// Its town.
    pub locality: Option<String>,
    /// Its state or province.
    pub region: Option<String>,
    /// What it costs a month, where the carrier says so.
    pub monthly_price: Option<Price>,
}

/// Which offers are wanted. All of them can be called and texted.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// In which country.
    pub country: &'a Country,
    /// Where in it.
    pub area_code: Option<&'a AreaCode>,
    /// Digits and letters that it contains, `*` for any one.
    pub contains: Option<&'a str>,
    /// At most so many.
    pub limit: u16,
}

/// An account that was just opened.
pub struct OpenedAccount {
    /// The carrier's id.
    pub id: String,
    /// Its secret, which may never be shown again.
    pub token: SecretString,
}

/// An account that was found.
pub struct FoundAccount {
    /// The carrier's id.
    pub id: String,
    /// Its secret, where the carrier still shows it.
    pub token: Option<SecretString>,
}

/// A number of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    /// The carrier's id.
    pub id: String,
    /// The digits.
    pub number: E164,
    /// The name we gave it.
    pub tag: String,
    /// Where texts to it are brought, if anywhere.
    pub texts: Option<String>,
}

/// A number as it is to be bought.
#[derive(Debug, Clone, Copy)]
pub struct NewNumber<'a> {
    /// Exactly these digits.
    pub number: &'a E164,
    /// The name that it gets.
    pub tag: &'a str,
    /// Where texts to it are brought.
    pub texts: &'a str,
}

/// Our addresses, as the carrier is told them.
pub trait InboundTexts: Send + Sync {
    /// Where texts to the numbers of the organization with this [token](NumberRecords::texts_token) are brought.
    fn address(&self, token: &str) -> String;
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountUse {
    /// It may.
    Active,
    /// It takes and makes no calls; its numbers are kept.
    Suspended,
    /// It is gone for good, with its numbers.
    Closed,
}

/// The carrier, with the platform's own account. Reads may be repeated inside; what changes something never is.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Open accounts of exactly this name, oldest first.
    async fn accounts_named(&self, name: &str) -> Result<Vec<FoundAccount>, CarrierError>;

    /// Opens an account. Asking twice opens two.
    async fn open_account(&self, name: &str) -> Result<OpenedAccount, CarrierError>;

    /// Suspends an account, takes it into use again, or closes it. What is already so stays so.
    async fn use_account(&self, account: &str, wanted: AccountUse) -> Result<(), CarrierError>;

    /// What is for sale. Nothing is an empty list.
    async fn offers(&self, search: &Search<'_>) -> Result<Vec<Offer>, CarrierError>;

    /// Area codes near this one in which something is for sale, at most `most`.
    async fn areas_near(
        &self,
        country: &Country,
        area_code: &AreaCode,
        most: usize,
    ) -> Result<Vec<String>, CarrierError>;

    /// Buys exactly this number for an account and gives the carrier's id of it. Texts are brought from the first one on.
    async fn buy(&self, account: &str, wanted: &NewNumber<'_>) -> Result<String, CarrierError>;

    /// Has texts to a number brought to `address` from now on; `false` when the account has no such number (any more).
    async fn bring_texts(&self, account: &str, carrier_id: &str, address: &str)
    -> Result<bool, CarrierError>;

    /// The account's numbers with exactly this tag.
    async fn tagged(&self, account: &str, tag: &str) -> Result<Vec<Bought>, CarrierError>;

    /// The account's number with exactly these digits.
    async fn number_of(&self, account: &str, number: &E164) -> Result<Option<Bought>, CarrierError>;

    /// Every number of an account; none where the account is gone.
    async fn numbers_of(&self, account: &str) -> Result<Vec<Bought>, CarrierError>;

    /// Gives a number up. One that is gone, or whose account is closed, counts as given up.
    async fn release(&self, account: &str, carrier_id: &str) -> Result<(), CarrierError>;
}

/// Why an account could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Whoever keeps it has lost the right to.
    #[error("somebody else has taken over")]
    Superseded,
    /// The organization brought an account of its own meanwhile.
    #[error("the organization has an account of its own")]
    SlotTaken,
    /// It is stored and does not open.
    #[error("the stored account cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the secrets of managed accounts are kept: the same slot as that of an account the organization brings
/// (decision D6).
#[async_trait]
pub trait AccountVault: Send + Sync {
    /// Keeps an account in the slot and puts it into use; `number` is the one that calls and texts go through. What a
    /// managed slot held before is replaced, one that the organization brought never is. With `right` only while that is
    /// still held.
    async fn keep(
        &self,
        scope: &OrgScope,
        account: &str,
        token: &SecretString,
        number: Option<&E164>,
        right: Option<&Claim>,
    ) -> Result<(), VaultError>;

    /// The managed account that is in use, as it is stored now.
    async fn managed(&self, scope: &OrgScope) -> Result<Option<CarrierAccount>, VaultError>;
}

/// Whether an organization may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was let in.
    Verified,
    /// Nobody has let it in, or it was turned down.
    NotVerified,
    /// It was stopped.
    Suspended,
}

/// What the slot for a carrier's account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Nothing.
    Empty,
    /// An account that the organization brought.
    Brought,
    /// The account that we opened, in use or put away.
    Managed {
        /// Whether it is in use.
        is_active: bool,
    },
}

/// What is known of the account that we opened for an organization.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountRecord {
    /// The carrier's id; `None` from before it is opened until it is known.
    pub account: Option<String>,
    /// The voice service's id of it, once that knows it.
    pub voice_account: Option<String>,
}

/// What an organization has spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spending {
    /// Numbers that it pays for, or is about to.
    pub held: u32,
    /// Purchases in the time that was asked about.
    pub recent: u32,
    /// The oldest of those.
    pub oldest: Option<Timestamp>,
}

/// The organization's managed numbers in a unit of work.
#[async_trait]
pub trait NumberRecords: Send {
    /// Whether it may spend; `None` when it is gone.
    async fn standing(&mut self) -> Result<Option<Standing>, StoreError>;

    /// What the slot holds.
    async fn slot(&mut self) -> Result<Slot, StoreError>;

    /// The same, and nobody else changes it before this unit of work ends.
    async fn slot_to_change(&mut self) -> Result<Slot, StoreError>;

    /// Puts a managed account into use or away; nothing happens to one that was brought.
    async fn use_slot(&mut self, is_active: bool) -> Result<(), StoreError>;

    /// What is known of the account, `None` when none was ever asked for.
    async fn account(&mut self) -> Result<Option<AccountRecord>, StoreError>;

    /// The same, noted as about to be opened where there is none. Nobody else gets here before this unit of work ends,
    /// which makes counting and writing one.
    async fn account_to_change(&mut self) -> Result<AccountRecord, StoreError>;

    /// Replaces what is known of the account.
    async fn put_account(&mut self, record: &AccountRecord) -> Result<(), StoreError>;

    /// What was spent on; purchases since `since`.
    async fn spending(&mut self, since: Timestamp) -> Result<Spending, StoreError>;

    /// Every managed number that was ever bought, newest first, at most a thousand; those that failed are left out.
    async fn managed_numbers(&mut self) -> Result<Vec<ManagedNumber>, StoreError>;

    /// One of them, or one that failed. Nobody else changes it before this unit of work ends.
    async fn managed_number(&mut self, id: ManagedNumberId) -> Result<Option<ManagedNumber>, StoreError>;

    /// The live one with these digits, likewise.
    async fn live_number(&mut self, number: &E164) -> Result<Option<ManagedNumber>, StoreError>;

    /// Stores a number, new or changed; `false`, and nothing is stored, when somebody else's purchase has the digits.
    async fn put_managed_number(&mut self, number: &ManagedNumber) -> Result<bool, StoreError>;

    /// The unguessable part of the address that texts to the organization's numbers are brought to; made when there is
    /// none, and the same ever after.
    async fn texts_token(&mut self) -> Result<String, StoreError>;

    /// How the organization wants its calls taken; `None` when it is gone.
    async fn wanted_custom(&mut self) -> Result<Option<Custom>, StoreError>;

    /// Attributes calls to `number` to the organization.
    async fn ring(&mut self, number: &E164, voice_id: &str) -> Result<(), RouteError>;

    /// Where the organization is said to be reached by `number`, its oldest other number that rings takes its place; with
    /// none left it is said not to be reached. Nobody else says so before this unit of work ends. `at` is now.
    async fn leave(&mut self, number: &E164, at: Timestamp) -> Result<(), StoreError>;

    /// Attributes them to nobody.
    async fn silence(&mut self, number: &E164) -> Result<(), StoreError>;

    /// The phones whose calls go to `number`.
    async fn forwarded(&mut self, number: &E164) -> Result<Vec<Forwarded>, StoreError>;
}

/// What looking after managed numbers may touch.
pub trait NumbersTx: NumberRecords + ExtendClaim + Outbox + Audit + Commit {}
impl<T: NumberRecords + ExtendClaim + Outbox + Audit + Commit> NumbersTx for T {}

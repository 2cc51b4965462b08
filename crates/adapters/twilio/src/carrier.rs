//! The platform's account as the carrier of managed numbers.

use async_trait::async_trait;
use voxanne_kernel::E164;
use voxanne_telephony::numbers::{
    AccountUse, AreaCode, Bought, Carrier, CarrierError, CarrierInventory, Country, FoundAccount, NewNumber,
    NumberKind, Offer, OpenedAccount, Search,
};

use crate::{
    accounts::SubaccountStatus,
    numbers::{self, NumberSearch, OwnedNumber},
    parent::{ParentAccount, ParentError},
};

impl From<ParentError> for CarrierError {
    fn from(error: ParentError) -> Self {
        match error {
            ParentError::NumberGone => Self::NumberGone,
            ParentError::NoneInArea => Self::NoneForSale,
            ParentError::TrialLimit | ParentError::TooManyAccounts => Self::PlatformLimit,
            ParentError::DocumentsNeeded => Self::DocumentsNeeded,
            error @ (ParentError::NotFound | ParentError::Denied | ParentError::Provider(_)) => {
                Self::Provider(error.into_provider())
            }
        }
    }
}

fn bought(owned: OwnedNumber) -> Bought {
    Bought { id: owned.sid, number: owned.number, tag: owned.friendly_name, texts: owned.sms_url }
}

impl ParentAccount {
    /// Whether a subaccount is closed, or was never there: then it has nothing.
    async fn is_closed(&self, account: &str) -> Result<bool, ParentError> {
        match self.subaccount(account).await {
            Ok(found) => Ok(found.status == SubaccountStatus::Closed),
            Err(ParentError::NotFound) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn numbers_unless_closed(
        &self,
        account: &str,
        listed: Result<Vec<OwnedNumber>, ParentError>,
    ) -> Result<Vec<Bought>, CarrierError> {
        match listed {
            Ok(numbers) => Ok(numbers.into_iter().map(bought).collect()),
            Err(ParentError::NotFound | ParentError::Denied) if self.is_closed(account).await? => {
                Ok(Vec::new())
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Carrier for ParentAccount {
    async fn accounts_named(&self, name: &str) -> Result<Vec<FoundAccount>, CarrierError> {
        let found = self.subaccounts_named(name).await?;
        let mut found: Vec<_> =
            found.into_iter().map(|one| FoundAccount { id: one.sid, token: one.auth_token }).collect();
        // The list begins with the newest.
        found.reverse();
        Ok(found)
    }

    async fn open_account(&self, name: &str) -> Result<OpenedAccount, CarrierError> {
        let opened = self.open_subaccount(name).await?;
        Ok(OpenedAccount { id: opened.sid, token: opened.auth_token })
    }

    async fn use_account(&self, account: &str, wanted: AccountUse) -> Result<(), CarrierError> {
        let status = match wanted {
            AccountUse::Active => SubaccountStatus::Active,
            AccountUse::Suspended => SubaccountStatus::Suspended,
            AccountUse::Closed => SubaccountStatus::Closed,
        };
        Ok(self.set_subaccount_status(account, status).await?)
    }

    async fn offers(&self, search: &Search<'_>) -> Result<Vec<Offer>, CarrierError> {
        let search = NumberSearch {
            country: search.country.as_str(),
            area_code: search.area_code.map(AreaCode::as_str),
            contains: search.contains,
            limit: search.limit,
        };
        let mut found = self.numbers_for_sale(&search).await?;
        // Those that anybody can have first.
        found.sort_by_key(|offer| offer.needs_address);
        let offer = |found: numbers::ForSale| Offer {
            number: found.number,
            kind: match found.kind {
                numbers::NumberKind::Local => NumberKind::Local,
                numbers::NumberKind::Mobile => NumberKind::Mobile,
                numbers::NumberKind::TollFree => NumberKind::TollFree,
            },
            locality: found.locality,
            region: found.region,
            // This interface of Twilio's does not tell.
            monthly_price: None,
        };
        Ok(found.into_iter().map(offer).collect())
    }

    async fn areas_near(
        &self,
        country: &Country,
        area_code: &AreaCode,
        most: usize,
    ) -> Result<Vec<String>, CarrierError> {
        if !country.has_area_codes() {
            return Ok(Vec::new());
        }
        Ok(self.nearby_area_codes(country.as_str(), area_code.as_str(), most).await?)
    }

    async fn buy(&self, account: &str, wanted: &NewNumber<'_>) -> Result<String, CarrierError> {
        Ok(self.buy_number(account, wanted.number, wanted.tag, wanted.texts).await?.sid)
    }

    async fn bring_texts(
        &self,
        account: &str,
        carrier_id: &str,
        address: &str,
    ) -> Result<bool, CarrierError> {
        match self.set_sms_url(account, carrier_id, address).await {
            Ok(()) => Ok(true),
            Err(ParentError::NotFound) => Ok(false),
            Err(ParentError::Denied) if self.is_closed(account).await? => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn tagged(&self, account: &str, tag: &str) -> Result<Vec<Bought>, CarrierError> {
        self.numbers_unless_closed(account, self.numbers_tagged(account, tag).await).await
    }

    async fn number_of(&self, account: &str, number: &E164) -> Result<Option<Bought>, CarrierError> {
        let found = ParentAccount::number_of(self, account, number).await.map(Vec::from_iter);
        Ok(self.numbers_unless_closed(account, found).await?.pop())
    }

    async fn numbers_of(&self, account: &str) -> Result<Vec<Bought>, CarrierError> {
        let listed = ParentAccount::numbers_of(self, account).await;
        self.numbers_unless_closed(account, listed).await
    }

    async fn release(&self, account: &str, carrier_id: &str) -> Result<(), CarrierError> {
        match self.release_number(account, carrier_id).await {
            Err(ParentError::Denied) if self.is_closed(account).await? => Ok(()),
            outcome => Ok(outcome?),
        }
    }
}

#[async_trait]
impl CarrierInventory for ParentAccount {
    async fn every_account(&self) -> Result<Vec<(String, String)>, CarrierError> {
        let found = self.subaccounts().await?;
        Ok(found.into_iter().map(|account| (account.sid, account.friendly_name)).collect())
    }

    async fn own_numbers(&self) -> Result<(String, Vec<Bought>), CarrierError> {
        let found = ParentAccount::numbers_of(self, self.sid()).await?;
        let others = found.into_iter().filter(|owned| Some(&owned.number) != self.sender());
        Ok((self.sid().to_owned(), others.map(bought).collect()))
    }
}

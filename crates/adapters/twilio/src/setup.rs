//! Joins `provisioning` to `telephony`: how a setup has its number bought, connected and given back.

use async_trait::async_trait;
use voxanne_kernel::{Claim, E164, OrgScope};
use voxanne_provisioning::{ForwardingPhone, GivenBack, LineNumbers, RoutedNumber, SetupWish, StepError};
use voxanne_telephony::numbers::{
    AccountProblem, CarrierError, NumberState, ProvisionError, Tagged, Unfinished, Wish,
};

use crate::ManagedNumbers;

#[async_trait]
impl LineNumbers for ManagedNumbers {
    async fn open_account(&self, scope: &OrgScope) -> Result<(), StepError> {
        self.account.ensure(scope).await.map(drop).map_err(|error| step(error.into()))
    }

    async fn buy(
        &self,
        scope: &OrgScope,
        wish: &SetupWish,
        tag: &str,
        right: &Claim,
    ) -> Result<E164, StepError> {
        let SetupWish { country, area_code, allow_fallback } = wish.clone();
        let wish = Wish { country, area_code, number: None, allow_fallback };
        match self.provision.buy_tagged(scope, wish, Tagged { tag, right }).await {
            // No particular number was asked for: others were quicker, so it is searched again.
            Err(ProvisionError::NumberGone) => Err(StepError::Busy),
            outcome => outcome.map_err(step),
        }
    }

    async fn connect(&self, scope: &OrgScope, tag: &str, right: &Claim) -> Result<RoutedNumber, StepError> {
        let connected = self.provision.connect_tagged(scope, Tagged { tag, right }).await.map_err(step)?;
        match connected.map(|number| (number.number, number.state)) {
            Some((number, NumberState::Active { voice_id, .. })) => {
                Ok(RoutedNumber { number, provider_id: voice_id })
            }
            _ => Err(StepError::Denied("number_released")),
        }
    }

    async fn forwarded(&self, scope: &OrgScope) -> Result<Vec<ForwardingPhone>, StepError> {
        let forwarded = self.provision.forwarded(scope).await?;
        let phones = forwarded.into_iter().map(|phone| ForwardingPhone {
            number: phone.sim,
            erase: phone.erase.iter().map(ToString::to_string).collect(),
        });
        Ok(phones.collect())
    }

    async fn give_back(&self, scope: &OrgScope, tag: Option<&str>) -> Result<GivenBack, StepError> {
        match self.release.run_all(scope, tag).await {
            Ok((voice, carrier)) => Ok(GivenBack { voice, carrier }),
            Err(Unfinished::Store(error)) => Err(error.into()),
            Err(Unfinished::Busy) => Err(StepError::Busy),
            Err(Unfinished::Voice(error)) => Err(error.into()),
            Err(Unfinished::Carrier(error)) => Err(step(error.into())),
            Err(Unfinished::Account(error)) => Err(step(error.into())),
        }
    }

    async fn put_account_away(&self, scope: &OrgScope) -> Result<(), StepError> {
        match self.account.put_away_if_idle(scope).await {
            Ok(()) | Err(AccountProblem::SlotTaken) => Ok(()),
            Err(error) => Err(step(error.into())),
        }
    }
}

/// Why nothing was bought, as a setup tells it.
fn step(error: ProvisionError) -> StepError {
    match error {
        // Whoever was stopped finds out before the next step.
        ProvisionError::NotVerified | ProvisionError::Suspended | ProvisionError::Busy => StepError::Busy,
        ProvisionError::SlotTaken => StepError::OwnAccount,
        ProvisionError::TooManyNumbers { .. } => StepError::Denied("number_limit"),
        ProvisionError::TooManyPurchases { .. } => StepError::Denied("purchase_limit"),
        ProvisionError::NoneForSale { nearby, .. } => StepError::NoneForSale { nearby },
        ProvisionError::NumberGone => StepError::Denied(CarrierError::NumberGone.code()),
        ProvisionError::DocumentsNeeded => StepError::Denied(CarrierError::DocumentsNeeded.code()),
        ProvisionError::PlatformLimit => StepError::Denied(CarrierError::PlatformLimit.code()),
        ProvisionError::Unreadable(error) => StepError::Unreadable(error),
        ProvisionError::Provider(error) => StepError::Provider(error),
        ProvisionError::Store(error) => StepError::Store(error),
    }
}

//! Making a bought number ring: the voice service imports it, and its calls are attributed to the organization. Texts to
//! it come in from the purchase on; where we have moved since, they are brought to where we are now.

use voxanne_kernel::ProviderError;

use super::{
    ProvisionNumber, ROUNDS, audited,
    drive::{Purchase, Stop},
    error::ProvisionError,
};
use crate::{
    numbers::{
        number::{ManagedNumber, NumberState},
        ports::CarrierError,
    },
    ports::{NumberSpec, RouteError, is_anothers, provider_name},
};

impl ProvisionNumber {
    /// Imports the number and makes it ring.
    pub(super) async fn connect(&self, purchase: &mut Purchase<'_>, carrier_id: String) -> Result<(), Stop> {
        let scope = purchase.scope;
        let rights: Vec<_> = std::iter::once(purchase.claim).chain(purchase.right).collect();
        let known = self.account.make_known(scope, purchase.account, &rights).await;
        known.map_err(|error| Stop::Later(error.into()))?;
        let mut tx = self.store.begin(scope).await?;
        let custom = tx.wanted_custom().await?;
        let texts = self.texts.address(&tx.texts_token().await?);
        tx.commit().await?;
        let custom = custom.ok_or(Stop::Undo(ProvisionError::NotVerified))?;
        let texts = self.brought(purchase, &carrier_id, texts).await?;
        let name = provider_name(scope.org());
        let spec = NumberSpec {
            name: &name,
            number: &purchase.number.number,
            account: purchase.account,
            custom: &custom,
        };
        let voice_id = self.imported(purchase, &spec).await?.map_err(|error| match error {
            error if error.is_worth_retrying() => Stop::Later(ProvisionError::Provider(error)),
            error => Stop::Undo(ProvisionError::Provider(error)),
        })?;
        let (mut tx, stored) = self.step(purchase).await?;
        let state = NumberState::Active { carrier_id, voice_id: voice_id.clone() };
        let number = ManagedNumber { state, texts, ..stored };
        match tx.ring(&number.number, &voice_id).await {
            Ok(()) => {}
            Err(RouteError::Taken(_)) => return Err(Stop::Undo(ProvisionError::NumberGone)),
            Err(RouteError::Store(error)) => return Err(error.into()),
        }
        tx.put_managed_number(&number).await?;
        tx.record(audited("number.provisioned", &number)).await?;
        tx.commit().await?;
        tracing::info!(org_id = %scope.org(), number_id = %number.id, "a number was bought");
        purchase.number = number;
        Ok(())
    }

    /// Has texts to the number brought to `texts`, unless they are since it was bought. Gives where they are brought.
    async fn brought(
        &self,
        purchase: &Purchase<'_>,
        carrier_id: &str,
        texts: String,
    ) -> Result<Option<String>, Stop> {
        let number = &purchase.number;
        if number.texts.as_ref() == Some(&texts) {
            return Ok(Some(texts));
        }
        self.renew(purchase).await?;
        match self.carrier.bring_texts(&number.account, carrier_id, &texts).await {
            Ok(true) => Ok(Some(texts)),
            Ok(false) => Ok(number.texts.clone()),
            Err(CarrierError::Provider(error)) if error.is_worth_retrying() => {
                Err(Stop::Later(ProvisionError::Provider(error)))
            }
            // A number that rings is better than none; the job tries again.
            Err(error) => {
                let chain = &error as &dyn std::error::Error;
                tracing::warn!(number_id = %number.id, error = chain, "texts are not brought to us yet");
                Ok(number.texts.clone())
            }
        }
    }

    /// The number at the voice service: what an interrupted attempt left, or imported now.
    async fn imported(
        &self,
        purchase: &Purchase<'_>,
        spec: &NumberSpec<'_>,
    ) -> Result<Result<String, ProviderError>, Stop> {
        for _ in 1..ROUNDS {
            match self.import_once(purchase, spec).await? {
                Err(ProviderError::Unclear(error)) => {
                    let org = purchase.scope.org();
                    tracing::info!(org_id = %org, error = &*error, "looking for an import that may have happened");
                }
                outcome => return Ok(outcome),
            }
        }
        self.import_once(purchase, spec).await
    }

    /// Looks first, and makes sure before each change that the purchase is still ours.
    async fn import_once(
        &self,
        purchase: &Purchase<'_>,
        spec: &NumberSpec<'_>,
    ) -> Result<Result<String, ProviderError>, Stop> {
        let found = match self.voice.find_number(spec.number).await {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        self.renew(purchase).await?;
        if let Some(found) = found {
            if is_anothers(&found.name, purchase.scope.org()) {
                let source = "another organization still holds the number".into();
                return Ok(Err(ProviderError::RetryLater { after: None, source }));
            }
            match self.voice.update_number(&found.id, spec).await {
                Ok(true) => return Ok(Ok(found.id)),
                Ok(false) => self.renew(purchase).await?,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(self.voice.import_number(spec).await)
    }
}

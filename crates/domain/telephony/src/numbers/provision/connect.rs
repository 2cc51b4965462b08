//! Making a bought number ring: the voice service imports it, and its calls are attributed to the organization.

use voxanne_kernel::{OrgScope, ProviderError};

use super::{
    ProvisionNumber, ROUNDS, audited,
    drive::{Purchase, Stop},
    error::ProvisionError,
};
use crate::{
    numbers::number::{ManagedNumber, NumberState},
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
        tx.commit().await?;
        let custom = custom.ok_or(Stop::Undo(ProvisionError::NotVerified))?;
        let name = provider_name(scope.org());
        let spec = NumberSpec {
            name: &name,
            number: &purchase.number.number,
            account: purchase.account,
            custom: &custom,
        };
        self.renew(purchase).await?;
        let voice_id = self.imported(scope, &spec).await.map_err(|error| match error {
            error if error.is_worth_retrying() => Stop::Later(ProvisionError::Provider(error)),
            error => Stop::Undo(ProvisionError::Provider(error)),
        })?;
        let (mut tx, stored) = self.step(purchase).await?;
        let number =
            ManagedNumber { state: NumberState::Active { carrier_id, voice_id: voice_id.clone() }, ..stored };
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

    /// The number at the voice service: what an interrupted attempt left, or imported now.
    async fn imported(&self, scope: &OrgScope, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        for _ in 1..ROUNDS {
            match self.import_once(scope, spec).await {
                Err(ProviderError::Unclear(error)) => {
                    tracing::info!(org_id = %scope.org(), error = &*error, "looking for an import that may have happened");
                }
                outcome => return outcome,
            }
        }
        self.import_once(scope, spec).await
    }

    async fn import_once(&self, scope: &OrgScope, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        match self.voice.find_number(spec.number).await? {
            Some(found) if is_anothers(&found.name, scope.org()) => Err(ProviderError::RetryLater {
                after: None,
                source: "another organization still holds the number".into(),
            }),
            Some(found) if self.voice.update_number(&found.id, spec).await? => Ok(found.id),
            _ => self.voice.import_number(spec).await,
        }
    }
}

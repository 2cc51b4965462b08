//! `voxctl org delete`: what an organization holds at the providers, and how each part of it is given up.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use voxanne_calls::recordings::{EraseRecordings, FileError};
use voxanne_credentials::{
    CredentialProvider, CredentialSource, ReadCredentialsTx, Vault,
    oauth::{Calendar, Disconnect},
};
use voxanne_kernel::{Begin, OrgScope, ids::OrgId};
use voxanne_postgres::PgStore;
use voxanne_provisioning::setup::{CleanUpError, CleanUpSetup};
use voxanne_telephony::{
    AccountError, CarrierAccount, CarrierAccounts, LineProvider, SyncTwilioLine,
    hybrid::{self, RemoveCallerId, ports::HybridTx},
    numbers::NumbersTx,
};
use voxanne_tenancy::{DeleteError, DeleteOrganization, Holding, NotGivenUp, review::Reviewer};
use voxanne_tooling::{AssistantKind, RemoveAssistant, RemoveError, SigningProvider, credential_name};
use voxanne_twilio::ManagedNumbers;
use voxanne_vapi::Vapi;

use crate::{
    commands::telephony::Telephony,
    output::{AlreadySaid, Output},
};

pub(super) async fn run(org: OrgId, output: &Output) -> anyhow::Result<()> {
    let telephony = Telephony::open().await?;
    let delete =
        DeleteOrganization::new(telephony.store.clone(), holdings(&telephony)?, telephony.clock.clone());
    output.tell("Having the providers give up what they hold …")?;
    match delete.run(Reviewer::CommandLine, org).await {
        Ok(erased) => {
            let rows: u64 = erased.values().sum();
            output.say(&json!({ "deleted": true, "organizationId": org, "rows": erased }), || {
                format!("The organization is deleted, with {rows} rows. Its audit trail is kept.")
            })?;
            Ok(())
        }
        Err(DeleteError::Held(held)) => {
            let held: Vec<(&str, String)> = held
                .into_iter()
                .map(|(name, error)| (name, format!("{:#}", anyhow::Error::new(error))))
                .collect();
            let outcome = json!({
                "deleted": false, "organizationId": org,
                "held": held.iter().map(|(what, why)| json!({ "what": what, "why": why })).collect::<Vec<_>>(),
            });
            output.say(&outcome, || {
                let lines = held.iter().map(|(what, why)| format!("{what}: {why}"));
                let lines: Vec<String> = lines.collect();
                format!(
                    "{}\nThe organization is stopped and its data kept. Run this again.",
                    lines.join("\n")
                )
            })?;
            Err(AlreadySaid.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Everything that may be held for an organization; what needs an account is given up before the account.
fn holdings(telephony: &Telephony) -> anyhow::Result<Vec<Box<dyn Holding>>> {
    let (store, vapi) = (telephony.store.clone(), telephony.vapi.clone());
    let vault = Vault::new(store.clone(), telephony.keys.clone());
    let calendars = Disconnect::new(store.clone(), telephony.keys.clone(), vault.clone(), telephony.oauth()?);
    let line = SyncTwilioLine::new(store.clone(), Arc::new(NoAccount), vapi.clone());
    Ok(vec![
        Box::new(Phones { store: store.clone(), remove: telephony.remove_caller_id()? }),
        Box::new(Line { clean_up: telephony.clean_up() }),
        Box::new(Numbers { store: store.clone(), managed: telephony.managed.clone() }),
        Box::new(Calendars { disconnect: calendars }),
        Box::new(OwnLine { store: store.clone(), vault, line }),
        Box::new(Assistants { remove: RemoveAssistant::new(telephony.ensure.clone()) }),
        Box::new(Signing { vapi }),
        Box::new(Account { store, managed: telephony.managed.clone() }),
        Box::new(Recorded { erase: telephony.recordings()? }),
    ])
}

fn because(error: impl std::error::Error + Send + Sync + 'static) -> NotGivenUp {
    NotGivenUp(Box::new(error))
}

/// The line that was set up for it.
struct Line {
    clean_up: CleanUpSetup,
}

#[async_trait]
impl Holding for Line {
    fn name(&self) -> &'static str {
        "the line"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        match self.clean_up.forced(scope).await {
            Ok(results) if results.is_done() => Ok(()),
            Ok(_) => Err(NotGivenUp("a provider has not let go of every part of it".into())),
            Err(CleanUpError::NoSetup) => Ok(()),
            Err(error) => Err(because(error)),
        }
    }
}

/// What the carrier knows of its people's phones. What is known in the account that we opened for it goes with that.
struct Phones {
    store: Arc<PgStore>,
    remove: RemoveCallerId,
}

#[async_trait]
impl Holding for Phones {
    fn name(&self) -> &'static str {
        "verified phones"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        let mut tx = Begin::<dyn HybridTx>::begin(&*self.store, scope).await.map_err(because)?;
        let phones = tx.caller_ids().await.map_err(because)?;
        tx.commit().await.map_err(because)?;
        let ours = opened_account(&self.store, scope).await?;
        for (phone, _) in phones {
            if ours.as_ref() == Some(&phone.attempt.account) {
                continue;
            }
            match self.remove.run(scope, phone.id).await {
                // One that is locked was never verified: the carrier knows nothing of it.
                Ok(_) | Err(hybrid::RemoveError::NotFound | hybrid::RemoveError::Locked { .. }) => {}
                Err(error) => return Err(because(error)),
            }
        }
        Ok(())
    }
}

/// Numbers that we bought for it.
struct Numbers {
    store: Arc<PgStore>,
    managed: Option<ManagedNumbers>,
}

#[async_trait]
impl Holding for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        let numbers = self.store.every_managed_number(Some(scope.org())).await.map_err(because)?;
        for (_, number) in numbers.into_iter().filter(|(_, number)| number.state.is_live()) {
            let managed = self.managed.as_ref().ok_or_else(not_configured)?;
            let results = managed.release.run(scope, &number.number, true).await.map_err(because)?;
            if !results.is_done() {
                return Err(NotGivenUp("a provider has not let go of one of them".into()));
            }
        }
        Ok(())
    }
}

/// The account that we opened for it at the carrier.
async fn opened_account(store: &PgStore, scope: &OrgScope) -> Result<Option<String>, NotGivenUp> {
    let mut tx = Begin::<dyn NumbersTx>::begin(store, scope).await.map_err(because)?;
    let known = tx.account().await.map_err(because)?;
    tx.commit().await.map_err(because)?;
    Ok(known.and_then(|known| known.account))
}

fn not_configured() -> NotGivenUp {
    NotGivenUp("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are not set".into())
}

/// Calendars that it connected.
struct Calendars {
    disconnect: Disconnect,
}

#[async_trait]
impl Holding for Calendars {
    fn name(&self) -> &'static str {
        "calendars"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        for calendar in Calendar::ALL {
            self.disconnect.run(scope, calendar).await.map_err(because)?;
        }
        Ok(())
    }
}

/// The account that it brought, as Vapi knows it. Its account with the carrier stays as it is.
struct OwnLine {
    store: Arc<PgStore>,
    vault: Vault,
    line: SyncTwilioLine,
}

#[async_trait]
impl Holding for OwnLine {
    fn name(&self) -> &'static str {
        "its own line"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        let mut tx = Begin::<dyn ReadCredentialsTx>::begin(&*self.store, scope).await.map_err(because)?;
        let stored = tx.credential(CredentialProvider::Twilio).await.map_err(because)?;
        tx.commit().await.map_err(because)?;
        if stored.is_some_and(|stored| stored.source == CredentialSource::Byoc) {
            self.vault.remove(scope, CredentialProvider::Twilio).await.map_err(because)?;
        }
        self.line.run(scope).await.map(drop).map_err(because)
    }
}

/// An organization that goes has no account of its own, so that everything that followed from it is taken back.
struct NoAccount;

#[async_trait]
impl CarrierAccounts for NoAccount {
    async fn own(&self, _: &OrgScope) -> Result<Option<CarrierAccount>, AccountError> {
        Ok(None)
    }
}

/// Assistants, whoever made them.
struct Assistants {
    remove: RemoveAssistant,
}

#[async_trait]
impl Holding for Assistants {
    fn name(&self) -> &'static str {
        "assistants"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        for kind in AssistantKind::ALL {
            match self.remove.run(scope, kind).await {
                Ok(()) | Err(RemoveError::NotFound) => {}
                Err(error) => return Err(because(error)),
            }
        }
        Ok(())
    }
}

/// What Vapi signs its messages with.
struct Signing {
    vapi: Arc<Vapi>,
}

#[async_trait]
impl Holding for Signing {
    fn name(&self) -> &'static str {
        "signing credential"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        let name = credential_name(scope.org());
        // An interrupted creation may have left a second one; more would be somebody else's doing.
        for _ in 0..5 {
            let Some(id) = self.vapi.find_credential(&name).await.map_err(because)? else { return Ok(()) };
            self.vapi.delete_account(&id).await.map_err(because)?;
        }
        Err(NotGivenUp("there are too many of them".into()))
    }
}

/// The account that we opened for it at the carrier. Whatever is left in it goes with it.
struct Account {
    store: Arc<PgStore>,
    managed: Option<ManagedNumbers>,
}

#[async_trait]
impl Holding for Account {
    fn name(&self) -> &'static str {
        "account at the carrier"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        if let Some(managed) = &self.managed {
            return managed.account.close(scope).await.map_err(because);
        }
        match opened_account(&self.store, scope).await? {
            Some(_) => Err(not_configured()),
            None => Ok(()),
        }
    }
}

/// Recordings of its calls, in our storage.
struct Recorded {
    erase: EraseRecordings,
}

#[async_trait]
impl Holding for Recorded {
    fn name(&self) -> &'static str {
        "recordings"
    }

    async fn give_up(&self, scope: &OrgScope) -> Result<(), NotGivenUp> {
        let known = self.erase.all(scope).await.map_err(because)?;
        match self.erase.files(scope).await {
            Ok(_) => Ok(()),
            // A worker that knows the storage deletes them.
            Err(FileError::NotConfigured) if known == 0 => Ok(()),
            Err(error) => Err(because(error)),
        }
    }
}

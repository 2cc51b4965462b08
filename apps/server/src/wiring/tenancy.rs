//! Sign-up, sessions, organizations, members and operators, on PostgreSQL and our own token issuer.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_credentials::{KeyRing, new_webhook_credential};
use voxanne_identity::{Argon2Passwords, ExternalIssuer, SigningSecret, Tokens};
use voxanne_kernel::{
    EmailAddress, NewJob, StoreError,
    ids::{OrgId, ResourceId},
};
use voxanne_messaging::mail::{Notice, TellAccountHolder};
use voxanne_postgres::tenancy::NewcomerTx;
use voxanne_pricing::{InsertError, Services, seeds::services};
use voxanne_provisioning::{BindNumbers, SetUpOrganization};
use voxanne_scheduling::schedule::{Resource, Schedule};
use voxanne_tenancy::{
    AccessTokens, AccountHolders, AfterApproval, AfterChange, ListAudit, ManageMembers, Me, Newcomer,
    Organization, OrganizationSettings, Refresh, ReviewOrganization, SignIn, SignOut, SignUp,
};

use super::Base;

/// The area's use cases.
pub struct Tenancy {
    /// Checks access tokens.
    pub tokens: Arc<dyn AccessTokens>,
    /// Signs organizations up.
    pub sign_up: SignUp<dyn NewcomerTx>,
    /// Signs people in.
    pub sign_in: SignIn,
    /// Keeps them signed in.
    pub refresh: Refresh,
    /// Signs them out.
    pub sign_out: SignOut,
    /// Tells them who they are.
    pub me: Me,
    /// An organization's settings.
    pub settings: OrganizationSettings,
    /// An organization's members.
    pub members: ManageMembers,
    /// An organization's audit trail.
    pub audit: ListAudit,
    /// The operators' desk.
    pub review: ReviewOrganization,
    /// Whether cookies are for HTTPS only, as our public address is.
    pub secure_cookies: bool,
}

impl Tenancy {
    /// Assembles them.
    pub fn wire(base: &Base) -> anyhow::Result<Self> {
        let (store, clock) = (base.store.clone(), base.clock.clone());
        let auth = &base.settings.auth;
        let secret = auth.secret.clone().map(SigningSecret::new).transpose()?;
        let external = auth
            .external
            .clone()
            .map(|issuer| ExternalIssuer::new(issuer.jwks_url, issuer.issuer, issuer.audience));
        let tokens = Arc::new(Tokens::new(secret.as_ref(), external.transpose()?, clock.clone()));
        let passwords = Arc::new(Argon2Passwords::new());
        let newcomer = Arc::new(StarterKit { keys: base.settings.encryption.keys.clone() });
        Ok(Self {
            sign_up: SignUp::new(
                store.clone(),
                newcomer,
                Arc::new(MailedHolders(TellAccountHolder::new(store.clone(), clock.clone()))),
                passwords.clone(),
                tokens.clone(),
                clock.clone(),
            ),
            sign_in: SignIn::new(store.clone(), passwords, tokens.clone(), clock.clone()),
            refresh: Refresh::new(store.clone(), tokens.clone(), clock.clone()),
            sign_out: SignOut::new(store.clone(), clock.clone()),
            me: Me::new(store.clone()),
            settings: OrganizationSettings::new(store.clone(), Arc::new(SetUpLater), clock.clone()),
            members: ManageMembers::new(store.clone(), clock.clone()),
            audit: ListAudit::new(store.clone()),
            review: ReviewOrganization::new(store.clone(), store, Arc::new(SetUpLater), clock),
            tokens,
            secure_cookies: base.settings.backend.url.starts_with("https://"),
        })
    }
}

/// What every new organization starts with: the seven services, a calendar with one resource, a webhook secret.
struct StarterKit {
    keys: Arc<KeyRing>,
}

#[async_trait]
impl Newcomer<dyn NewcomerTx> for StarterKit {
    async fn equip(
        &self,
        tx: &mut (dyn NewcomerTx + 'static),
        organization: &Organization,
    ) -> Result<(), StoreError> {
        add_services(tx, organization, organization.created_at).await?;
        tx.save_schedule(&Schedule::default()).await?;
        let resource = Resource { id: ResourceId::generate(), name: "Main".to_owned(), hours: None };
        tx.save_resource(&resource).await?;
        let (secret, _) = new_webhook_credential(&self.keys, organization.id).map_err(refused)?;
        tx.put_credential(&secret).await
    }
}

async fn add_services(
    tx: &mut (dyn NewcomerTx + 'static),
    organization: &Organization,
    now: Timestamp,
) -> Result<(), StoreError> {
    for service in services(organization.currency, now).map_err(refused)? {
        Services::insert(tx, &service).await.map_err(|error| match error {
            InsertError::Store(error) => error,
            InsertError::NameTaken => refused(error),
        })?;
    }
    Ok(())
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Refused(Box::new(error))
}

/// Holders of accounts are told by mail.
struct MailedHolders(TellAccountHolder);

#[async_trait]
impl AccountHolders for MailedHolders {
    async fn address_taken(&self, address: &EmailAddress) -> Result<(), StoreError> {
        self.0.run(address, &Notice::AddressTaken {}).await
    }
}

/// An approved organization's line is set up by the worker, and its numbers follow its decisions there.
struct SetUpLater;

impl AfterApproval for SetUpLater {
    fn set_up(&self, org: OrgId) -> NewJob {
        SetUpOrganization::job(org)
    }
}

impl AfterChange for SetUpLater {
    fn answer_anew(&self, org: OrgId) -> NewJob {
        BindNumbers::job(org)
    }
}

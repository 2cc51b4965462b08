//! The organization's own phones, on PostgreSQL and Twilio.

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_credentials::{ResolveError, Twilio, Vault, resolve::unshared};
use voxanne_identity::Argon2Passwords;
use voxanne_kernel::{Actor, OrgScope, scope::Provider};
use voxanne_telephony::{
    AccountError,
    hybrid::{
        Forward, ForwardedTo, RemoveCallerId, TestForwarding, VerifyCallerId,
        ports::{LineAccount, LineAccounts, Named},
    },
};
use voxanne_twilio::TwilioClient;

use super::Base;

/// Where Twilio tells what came of a verification call, below our public address.
pub const CALLER_ID_CALLBACKS: &str = "/webhooks/twilio/caller-id";

/// The area's use cases.
pub struct Hybrid {
    /// Proves that a number is the organization's.
    pub verify: VerifyCallerId,
    /// Gives a number up.
    pub remove: RemoveCallerId,
    /// Sets forwardings up.
    pub forward: Forward,
    /// Proves them.
    pub test: TestForwarding,
    /// Says what is forwarded to a number, for whoever wants to give it up.
    pub forwarded_to: ForwardedTo,
    /// The address that callbacks were given, without the token at its end: what Twilio signs.
    pub callbacks: Arc<str>,
}

impl Hybrid {
    /// Assembles them.
    pub fn wire(base: &Base) -> anyhow::Result<Self> {
        let (store, clock) = (base.store.clone(), base.clock.clone());
        let providers = &base.settings.providers;
        let twilio = Arc::new(TwilioClient::new(providers.base_urls.twilio.clone())?);
        let platform = providers.twilio.as_ref().map(|account| {
            Arc::new(LineAccount {
                sid: account.account_sid.clone(),
                token: account.auth_token.clone(),
                is_shared: true,
                from: account.from_number.clone(),
            })
        });
        let accounts = Arc::new(Accounts { vault: base.vault.clone(), platform });
        let callbacks: Arc<str> = format!("{}{CALLER_ID_CALLBACKS}", base.settings.backend.url).into();
        Ok(Self {
            verify: VerifyCallerId::new(
                store.clone(),
                store.clone(),
                accounts.clone(),
                twilio.clone(),
                Arc::new(Argon2Passwords::new()),
                clock.clone(),
                callbacks.clone(),
            ),
            remove: RemoveCallerId::new(store.clone(), accounts.clone(), twilio.clone(), clock.clone()),
            forward: Forward::new(store.clone(), clock.clone()),
            test: TestForwarding::new(store.clone(), accounts, twilio, clock),
            forwarded_to: ForwardedTo::new(store),
            callbacks,
        })
    }

    /// A scope in the organization that a callback's token leads to; what is done in it waits for the signature.
    #[expect(
        clippy::disallowed_methods,
        reason = "the callback's token led to this organization, whose account's secret it is checked with"
    )]
    pub fn scope_of(named: &Named) -> OrgScope {
        OrgScope::vouch(named.org, Actor::Provider(Provider::Twilio))
    }
}

/// The organizations' accounts, from the vault, and our own.
struct Accounts {
    vault: Vault,
    platform: Option<Arc<LineAccount>>,
}

#[async_trait]
impl LineAccounts for Accounts {
    async fn own(&self, scope: &OrgScope) -> Result<Option<Arc<LineAccount>>, AccountError> {
        let found = self.vault.get::<Twilio>(scope).await.map_err(account_error)?;
        Ok(found.map(|twilio| {
            Arc::new(LineAccount {
                sid: twilio.account_sid.clone(),
                token: twilio.auth_token.clone(),
                is_shared: false,
                from: twilio.phone_number.clone(),
            })
        }))
    }

    fn platforms(&self) -> Option<Arc<LineAccount>> {
        self.platform.clone()
    }
}

fn account_error(error: ResolveError) -> AccountError {
    match error {
        ResolveError::Store(error) => AccountError::Store(unshared(error)),
        other => AccountError::Unreadable(Box::new(other)),
    }
}

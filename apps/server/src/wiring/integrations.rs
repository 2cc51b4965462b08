//! Accounts with providers, on PostgreSQL and the providers' own interfaces.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use voxanne_credentials::{
    CredentialProvider, Verdict, VerifyCredential,
    integrations::{
        CalendarGrants, ConnectIntegration, FollowUp, ListIntegrations, RemoveIntegration, Verifiers,
        VerifyIntegration,
    },
    oauth::{AccessTokenOf, Disconnect, OAuthProviders, VerifyConnection},
};
use voxanne_email::EmailProviders;
use voxanne_kernel::{NewJob, ProviderError, ids::OrgId};
use voxanne_sms::SmsProviders;
use voxanne_telephony::SyncTwilioLineJob;
use voxanne_twilio::TwilioClient;
use voxanne_whatsapp::WhatsappCloud;

use super::Base;

/// The area's use cases.
pub struct Integrations {
    /// Lists them.
    pub list: ListIntegrations,
    /// Connects an account.
    pub connect: Arc<ConnectIntegration>,
    /// Has a stored account checked.
    pub verify: VerifyIntegration,
    /// Removes an account.
    pub remove: Arc<RemoveIntegration>,
}

impl Integrations {
    /// Assembles them; what people grant by signing in at one of `providers` is looked after there.
    pub fn wire(base: &Base, providers: OAuthProviders) -> anyhow::Result<Self> {
        let (store, clock) = (base.store.clone(), base.clock.clone());
        let keys = base.settings.encryption.keys.clone();
        let verifiers = verifiers(base)?;
        let grants = Arc::new(grants(base, providers));
        let (follow_up, vault) = (Arc::new(SyncLater), Arc::new(base.vault.clone()));
        Ok(Self {
            list: ListIntegrations::new(store.clone()),
            connect: Arc::new(ConnectIntegration::new(
                store.clone(),
                keys.clone(),
                verifiers.clone(),
                follow_up.clone(),
                vault.clone(),
                clock.clone(),
            )),
            verify: VerifyIntegration::new(
                store.clone(),
                keys,
                verifiers,
                grants.clone(),
                follow_up.clone(),
                clock,
            ),
            remove: Arc::new(RemoveIntegration::new(store, grants, follow_up, vault)),
        })
    }
}

fn grants(base: &Base, providers: OAuthProviders) -> CalendarGrants {
    let (store, vault, clock) = (base.store.clone(), base.vault.clone(), base.clock.clone());
    let keys = base.settings.encryption.keys.clone();
    let (access, disconnect) = (
        AccessTokenOf::new(store.clone(), keys.clone(), vault.clone(), providers.clone(), clock.clone()),
        Disconnect::new(store, keys, vault, providers),
    );
    CalendarGrants::new(VerifyConnection::new(access, clock), disconnect)
}

/// Asks each provider at its own place, or at what stands in for it.
fn verifiers(base: &Base) -> anyhow::Result<Verifiers> {
    let providers = &base.settings.providers;
    let (urls, private) = (providers.base_urls.clone(), providers.allow_private_hosts);
    let email = voxanne_email::BaseUrls {
        resend: urls.resend,
        sendgrid: urls.sendgrid,
        mailgun: urls.mailgun,
        postmark: urls.postmark,
        ses: urls.ses,
    };
    let sms = voxanne_sms::BaseUrls { africastalking: urls.africastalking, termii: urls.termii };
    let email = Arc::new(InTime(EmailProviders::new(email, private)?));
    let sms = Arc::new(InTime(SmsProviders::new(sms, private)?));
    Ok(Verifiers {
        twilio: Arc::new(InTime(TwilioClient::new(urls.twilio)?)),
        resend: email.clone(),
        sendgrid: email.clone(),
        mailgun: email.clone(),
        postmark: email.clone(),
        ses: email.clone(),
        smtp: email,
        africastalking: sms.clone(),
        termii: sms,
        whatsapp: Arc::new(InTime(WhatsappCloud::new(urls.whatsapp)?)),
    })
}

/// How long a provider's word is waited for, however many requests and pages it takes: what is left of a request's time
/// is enough to answer that the provider cannot be reached.
const PATIENCE: Duration = Duration::from_secs(25);

/// Asks, and gives up in time.
struct InTime<V>(V);

#[async_trait]
impl<C: Send + Sync + 'static, V: VerifyCredential<C>> VerifyCredential<C> for InTime<V> {
    async fn verify(&self, credential: &C) -> Result<Verdict, ProviderError> {
        let answered = tokio::time::timeout(PATIENCE, self.0.verify(credential)).await;
        answered.unwrap_or_else(|_| {
            Err(ProviderError::RetryLater { after: None, source: "it took too long".into() })
        })
    }
}

/// An organization's own line is brought into step by the worker.
struct SyncLater;

impl FollowUp for SyncLater {
    fn after_change(&self, org: OrgId, provider: CredentialProvider) -> Option<NewJob> {
        (provider == CredentialProvider::Twilio).then(|| SyncTwilioLineJob::job(org))
    }
}

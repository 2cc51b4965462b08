//! Finds the account that a message goes out through, whoever carries it: the port [`Accounts`] over the organizations'
//! vault, the platform's own accounts and the adapters of all providers.
//!
//! A credential is asked for each time a message is sent; the vault answers from memory and forgets a changed one at
//! once. The clients that speak to a provider are shared by all accounts with it.
//!
//! It decides nothing: who is asked, in which order and who pays are rules of `voxanne-messaging`.

mod guarded;
mod platform;

use std::sync::Arc;

use async_trait::async_trait;
use voxanne_boot::providers::Providers;
use voxanne_credentials::{ProviderSecret, ResolveError, Vault, resolve::unshared, secrets};
use voxanne_email::{
    ClientError, EmailProviders, MailgunEmail, MailgunEvents, PostmarkEmail, PostmarkEvents, ResendEmail,
    ResendEvents, SendgridEmail, SendgridEvents, SesEmail, SesEvents, SmtpEmail,
};
use voxanne_kernel::{EmailAddress, OrgScope};
use voxanne_messaging::{
    channel::{Channel, Provider},
    providers::{
        Account, AccountError, Accounts, EmailProvider, OwnLines, Payer, ReadEvents, SmsProvider,
        WhatsAppProvider, Whose,
    },
};
use voxanne_sms::{AfricasTalkingEvents, AfricasTalkingSms, SmsProviders, TermiiEvents, TermiiSms};
use voxanne_twilio::{TwilioClient, TwilioEvents, TwilioSms, TwilioWhatsapp};
use voxanne_whatsapp::{WhatsappCloud, WhatsappEvents, WhatsappSender};

use guarded::Guarded;
pub use platform::Platform;

/// What speaks to the providers; shared by all accounts.
pub struct Clients {
    /// To those for e-mail.
    pub email: EmailProviders,
    /// To those for text messages.
    pub sms: SmsProviders,
    /// To Twilio.
    pub twilio: TwilioClient,
    /// To Meta.
    pub whatsapp: WhatsappCloud,
}

/// Every account there is.
pub struct Channels {
    vault: Vault,
    lines: Arc<dyn OwnLines>,
    clients: Clients,
    platform: Platform,
}

impl Clients {
    /// As the configuration says where providers are.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(providers: &Providers) -> Result<Self, ClientError> {
        let (urls, private) = (providers.base_urls.clone(), providers.allow_private_hosts);
        let email = voxanne_email::BaseUrls {
            resend: urls.resend,
            sendgrid: urls.sendgrid,
            mailgun: urls.mailgun,
            postmark: urls.postmark,
            ses: urls.ses,
        };
        let sms = voxanne_sms::BaseUrls { africastalking: urls.africastalking, termii: urls.termii };
        Ok(Self {
            email: EmailProviders::new(email, private)?,
            sms: SmsProviders::new(sms, private)?,
            twilio: TwilioClient::new(urls.twilio)?,
            whatsapp: WhatsappCloud::new(urls.whatsapp)?,
        })
    }
}

impl Channels {
    /// Organizations' accounts are in `vault`, the numbers of their lines in `lines`; `platform` holds ours.
    pub fn new(vault: Vault, lines: Arc<dyn OwnLines>, clients: Clients, platform: Platform) -> Self {
        Self { vault, lines, clients, platform }
    }

    /// The credential of an account; `None` when there is none.
    async fn credential<C: ProviderSecret>(
        &self,
        scope: &OrgScope,
        whose: Whose,
        ours: Option<&Arc<C>>,
    ) -> Result<Option<Arc<C>>, AccountError> {
        match whose {
            Whose::Platform => Ok(ours.cloned()),
            Whose::Organization => self.brought(scope).await,
        }
    }

    async fn brought<C: ProviderSecret>(&self, scope: &OrgScope) -> Result<Option<Arc<C>>, AccountError> {
        self.vault.get(scope).await.map_err(|error| match error {
            ResolveError::Store(error) => AccountError::Store(unshared(error)),
            error => AccountError::Unusable(Box::new(error)),
        })
    }

    /// Twilio's account with the number that messages come from.
    async fn twilio_sms(
        &self,
        scope: &OrgScope,
        whose: Whose,
    ) -> Result<Option<Account<dyn SmsProvider>>, AccountError> {
        let (credential, line) = match whose {
            Whose::Platform => (self.platform.twilio.clone(), self.platform.twilio_line()),
            Whose::Organization => {
                (self.brought::<secrets::Twilio>(scope).await?, self.lines.own_line(scope).await?)
            }
        };
        let Some((credential, line)) = credential.zip(line) else { return Ok(None) };
        let sender = TwilioSms::new(&self.clients.twilio, credential, &line.from);
        Ok(Some(Account { provider: Arc::new(sender), payer: line.payer, from: line.from.to_string() }))
    }
}

fn pays(whose: Whose) -> Payer {
    match whose {
        Whose::Organization => Payer::Customer,
        Whose::Platform => Payer::Platform,
    }
}

fn account<P: ?Sized>(provider: Arc<P>, whose: Whose, from: impl Into<String>) -> Account<P> {
    Account { provider, payer: pays(whose), from: from.into() }
}

fn mail(provider: Arc<dyn EmailProvider>, whose: Whose, from: &EmailAddress) -> Account<dyn EmailProvider> {
    account(provider, whose, from.as_str())
}

#[async_trait]
impl Accounts for Channels {
    async fn sms(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn SmsProvider>>, AccountError> {
        let (sms, ours) = (&self.clients.sms, &self.platform);
        Ok(match provider {
            Provider::Twilio => self.twilio_sms(scope, whose).await?,
            Provider::AfricasTalking => {
                let found = self.credential(scope, whose, ours.africastalking.as_ref()).await?;
                found.map(|found| {
                    let from = found.from.clone().unwrap_or_default();
                    account(Arc::new(AfricasTalkingSms::new(sms, found)) as Arc<dyn SmsProvider>, whose, from)
                })
            }
            Provider::Termii => {
                let found = self.credential(scope, whose, ours.termii.as_ref()).await?;
                found.map(|found| {
                    let from = found.from.clone();
                    account(Arc::new(TermiiSms::new(sms, found)) as Arc<dyn SmsProvider>, whose, from)
                })
            }
            _ => None,
        })
    }

    async fn email(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn EmailProvider>>, AccountError> {
        let (email, ours) = (&self.clients.email, &self.platform);
        macro_rules! account_of {
            ($ours:expr, $sender:ident) => {
                self.credential(scope, whose, $ours).await?.map(|found| {
                    let from = found.from.email.clone();
                    mail(Arc::new($sender::new(email, found)), whose, &from)
                })
            };
        }
        Ok(match provider {
            Provider::Resend => account_of!(ours.resend.as_ref(), ResendEmail),
            Provider::Sendgrid => account_of!(ours.sendgrid.as_ref(), SendgridEmail),
            Provider::Mailgun => account_of!(ours.mailgun.as_ref(), MailgunEmail),
            Provider::Smtp => account_of!(ours.smtp.as_ref(), SmtpEmail),
            Provider::Postmark => account_of!(None::<&Arc<secrets::Postmark>>, PostmarkEmail),
            Provider::Ses => account_of!(None::<&Arc<secrets::Ses>>, SesEmail),
            _ => None,
        })
    }

    async fn whatsapp(
        &self,
        scope: &OrgScope,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Account<dyn WhatsAppProvider>>, AccountError> {
        Ok(match (provider, whose) {
            (Provider::Whatsapp, _) => {
                let found = self.credential(scope, whose, self.platform.whatsapp.as_ref()).await?;
                found.map(|found| {
                    let from = found.phone_number.as_ref().map(ToString::to_string);
                    let from = from.unwrap_or_else(|| found.phone_number_id.clone());
                    let sender = WhatsappSender::new(&self.clients.whatsapp, found);
                    account(Arc::new(sender) as Arc<dyn WhatsAppProvider>, whose, from)
                })
            }
            (Provider::Twilio, Whose::Platform) => self.platform.twilio_whatsapp().map(|(found, from)| {
                let sender = TwilioWhatsapp::new(&self.clients.twilio, found, from);
                account(Arc::new(sender) as Arc<dyn WhatsAppProvider>, whose, from.as_str())
            }),
            _ => None,
        })
    }

    async fn events(
        &self,
        scope: Option<&OrgScope>,
        whose: Whose,
        provider: Provider,
    ) -> Result<Option<Arc<dyn ReadEvents>>, AccountError> {
        macro_rules! events_of {
            ($ours:expr, $read:expr) => {{
                let found = match (whose, scope) {
                    (Whose::Platform, _) => $ours.cloned(),
                    (Whose::Organization, Some(scope)) => self.brought(scope).await?,
                    (Whose::Organization, None) => None,
                };
                found.map(|found| Arc::new($read(found)) as Arc<dyn ReadEvents>)
            }};
        }
        let ours = &self.platform;
        Ok(match provider {
            Provider::Twilio => events_of!(ours.twilio.as_ref(), TwilioEvents::new),
            Provider::Termii => events_of!(ours.termii.as_ref(), TermiiEvents::new),
            Provider::Resend => events_of!(ours.resend.as_ref(), ResendEvents::new),
            Provider::Sendgrid => events_of!(ours.sendgrid.as_ref(), SendgridEvents::new),
            Provider::Mailgun => events_of!(ours.mailgun.as_ref(), MailgunEvents::new),
            Provider::Whatsapp => {
                let read = |found| WhatsappEvents::new(found, ours.whatsapp_app_secret.as_ref());
                events_of!(ours.whatsapp.as_ref(), read)
            }
            Provider::Postmark => events_of!(None::<&Arc<secrets::Postmark>>, PostmarkEvents::new),
            Provider::Ses => {
                let read = |found| SesEvents::new(&self.clients.email, found);
                events_of!(None::<&Arc<secrets::Ses>>, read)
            }
            // Nothing of it is signed: an organization's address cannot be guessed, ours can and needs a secret.
            Provider::AfricasTalking if whose == Whose::Platform => {
                let secret = ours.africastalking.as_ref().and_then(|found| found.webhook_secret.clone());
                secret
                    .map(|secret| Arc::new(Guarded::new(AfricasTalkingEvents, secret)) as Arc<dyn ReadEvents>)
            }
            Provider::AfricasTalking => {
                let read = |_: Arc<secrets::AfricasTalking>| AfricasTalkingEvents;
                events_of!(None::<&Arc<secrets::AfricasTalking>>, read)
            }
            // A mail server tells nothing.
            Provider::Smtp => None,
        })
    }

    fn of_platform(&self, channel: Channel) -> Vec<Provider> {
        self.platform.of(channel)
    }

    fn preferred(&self, channel: Channel) -> Option<Provider> {
        self.platform.first(channel)
    }
}

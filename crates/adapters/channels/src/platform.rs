//! The platform's own accounts.

use std::sync::Arc;

use voxanne_boot::{
    platform_messaging::{EmailDefault, SmsDefault},
    providers::Providers,
};
use voxanne_credentials::{
    SecretString,
    secrets::{AfricasTalking, Mailgun, Resend, Sendgrid, Smtp, Termii, Twilio, Whatsapp},
};
use voxanne_kernel::E164;
use voxanne_messaging::{
    channel::{Channel, Provider},
    providers::{OwnLine, Payer},
};

/// Our accounts; what is `None` is not set up.
#[derive(Default)]
pub struct Platform {
    /// Which account for text messages is asked first; the cheapest without one.
    pub first_for_sms: Option<Provider>,
    /// Which account for e-mails is asked first.
    pub first_for_email: Option<Provider>,
    /// Twilio; texts go out from its number.
    pub twilio: Option<Arc<Twilio>>,
    /// The number of that account that WhatsApp messages come from.
    pub twilio_whatsapp_from: Option<E164>,
    /// Africa's Talking.
    pub africastalking: Option<Arc<AfricasTalking>>,
    /// Termii.
    pub termii: Option<Arc<Termii>>,
    /// Resend.
    pub resend: Option<Arc<Resend>>,
    /// SendGrid.
    pub sendgrid: Option<Arc<Sendgrid>>,
    /// Mailgun.
    pub mailgun: Option<Arc<Mailgun>>,
    /// A mail server.
    pub smtp: Option<Arc<Smtp>>,
    /// Meta's cloud API.
    pub whatsapp: Option<Arc<Whatsapp>>,
    /// What Meta signs events with about numbers of organizations that use our app there.
    pub whatsapp_app_secret: Option<SecretString>,
}

impl Platform {
    /// Those that the configuration names.
    pub fn new(providers: &Providers) -> Self {
        let ours = providers.messaging.clone();
        let twilio = providers.twilio.as_ref().map(|twilio| {
            Arc::new(Twilio {
                account_sid: twilio.account_sid.clone(),
                auth_token: twilio.auth_token.clone(),
                phone_number: twilio.from_number.clone(),
            })
        });
        Self {
            first_for_sms: ours.sms_default.map(|first| match first {
                SmsDefault::Twilio => Provider::Twilio,
                SmsDefault::AfricasTalking => Provider::AfricasTalking,
                SmsDefault::Termii => Provider::Termii,
            }),
            first_for_email: ours.email_default.map(|first| match first {
                EmailDefault::Resend => Provider::Resend,
                EmailDefault::Sendgrid => Provider::Sendgrid,
                EmailDefault::Mailgun => Provider::Mailgun,
                EmailDefault::Smtp => Provider::Smtp,
            }),
            twilio,
            twilio_whatsapp_from: ours.twilio_whatsapp_from,
            africastalking: ours.africastalking,
            termii: ours.termii,
            resend: ours.resend,
            sendgrid: ours.sendgrid,
            mailgun: ours.mailgun,
            smtp: ours.smtp,
            whatsapp: ours.whatsapp,
            whatsapp_app_secret: ours.whatsapp_app_secret,
        }
    }

    pub(crate) fn twilio_line(&self) -> Option<OwnLine> {
        let from = self.twilio.as_ref()?.phone_number.clone()?;
        Some(OwnLine { from, payer: Payer::Platform })
    }

    pub(crate) fn twilio_whatsapp(&self) -> Option<(Arc<Twilio>, &E164)> {
        self.twilio.clone().zip(self.twilio_whatsapp_from.as_ref())
    }

    /// The one that was configured to be asked first.
    pub(crate) fn first(&self, channel: Channel) -> Option<Provider> {
        match channel {
            Channel::Sms => self.first_for_sms,
            Channel::Email => self.first_for_email,
            Channel::Whatsapp => None,
        }
    }

    /// Those that are set up for `channel`, the one that is asked first in front.
    pub(crate) fn of(&self, channel: Channel) -> Vec<Provider> {
        let mut ready: Vec<_> =
            channel.of_platform().iter().copied().filter(|provider| self.has(channel, *provider)).collect();
        let first = self.first(channel);
        // The sort is stable: the others stay as they are.
        ready.sort_by_key(|provider| Some(*provider) != first);
        ready
    }

    fn has(&self, channel: Channel, provider: Provider) -> bool {
        match provider {
            Provider::Twilio if channel == Channel::Whatsapp => self.twilio_whatsapp().is_some(),
            Provider::Twilio => self.twilio_line().is_some(),
            Provider::AfricasTalking => self.africastalking.is_some(),
            Provider::Termii => self.termii.is_some(),
            Provider::Resend => self.resend.is_some(),
            Provider::Sendgrid => self.sendgrid.is_some(),
            Provider::Mailgun => self.mailgun.is_some(),
            Provider::Smtp => self.smtp.is_some(),
            Provider::Whatsapp => self.whatsapp.is_some(),
            Provider::Postmark | Provider::Ses => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use voxanne_credentials::secrets::TermiiChannel;

    use super::*;

    #[test]
    fn the_configured_one_comes_first_and_only_what_is_set_up_comes() {
        let from = E164::new("+15005550006").unwrap();
        let twilio = Twilio {
            account_sid: format!("AC{}", "0".repeat(32)),
            auth_token: SecretString::from("token"),
            phone_number: Some(from.clone()),
        };
        let termii = Termii {
            api_key: SecretString::from("key"),
            base_url: "https://v3.api.termii.com".parse().unwrap(),
            from: "Clinic".to_owned(),
            channel: TermiiChannel::Generic,
            webhook_secret: None,
        };
        let mut platform = Platform {
            twilio: Some(Arc::new(twilio)),
            termii: Some(Arc::new(termii)),
            ..Platform::default()
        };
        assert_eq!(platform.of(Channel::Sms), [Provider::Twilio, Provider::Termii]);
        platform.first_for_sms = Some(Provider::Termii);
        assert_eq!(platform.of(Channel::Sms), [Provider::Termii, Provider::Twilio]);
        assert_eq!(platform.of(Channel::Email), []);
        assert_eq!(platform.of(Channel::Whatsapp), []);
        platform.twilio_whatsapp_from = Some(from);
        assert_eq!(platform.of(Channel::Whatsapp), [Provider::Twilio]);
    }
}

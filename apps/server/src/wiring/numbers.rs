//! Numbers that we buy for organizations, on PostgreSQL, Twilio and Vapi.

use std::sync::Arc;

use voxanne_telephony::numbers::{Carrier, FindNumbers, Limits};
use voxanne_twilio::{ManagedNumbers, ParentAccount, TwilioClient};
use voxanne_vapi::{Limits as Patience, Vapi, VapiClient, VapiSettings};

use super::Base;

/// The area's use cases.
pub struct Numbers {
    /// Shows offers, and what an organization has.
    pub find: FindNumbers,
    /// Buys and releases; `None` where the platform has no account at Twilio.
    pub managed: Option<ManagedNumbers>,
}

impl Numbers {
    /// Assembles them.
    pub fn wire(base: &Base) -> anyhow::Result<Self> {
        let settings = &base.settings;
        let Some(twilio) = &settings.providers.twilio else {
            return Ok(Self { find: FindNumbers::new(base.store.clone(), None), managed: None });
        };
        let client = TwilioClient::new(settings.providers.base_urls.twilio.clone())?;
        let (sid, token) = (twilio.account_sid.clone(), twilio.auth_token.clone());
        let parent = ParentAccount::new(client, sid, token)?.calling_from(twilio.from_number.clone());
        let parent = Arc::new(parent);
        // A person waits for it.
        let reach = VapiSettings::new(settings.vapi.base_url.clone(), settings.vapi.private_key.clone());
        let client = VapiClient::new(reach.within(Patience::interactive()))?;
        let webhook = format!("{}/api/vapi/webhook", settings.backend.url);
        let vapi = Arc::new(Vapi::new(client, webhook, base.clock.clone()));
        let limits = Limits {
            numbers: settings.purchases.numbers_per_org,
            purchases_per_day: settings.purchases.per_day,
        };
        let keys = settings.encryption.keys.clone();
        let here = settings.backend.url.parse()?;
        let managed = ManagedNumbers::new(&base.store, keys, (&parent, &vapi), here, &base.clock, limits);
        let carrier: Arc<dyn Carrier> = parent;
        Ok(Self { find: FindNumbers::new(base.store.clone(), Some(carrier)), managed: Some(managed) })
    }
}

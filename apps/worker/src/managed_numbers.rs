//! Assembles what looks after numbers that we buy.

use std::sync::Arc;

use voxanne_boot::WorkerSettings;
use voxanne_kernel::Clock;
use voxanne_postgres::PgStore;
use voxanne_telephony::numbers::Limits;
use voxanne_twilio::{ManagedNumbers, ParentAccount, TwilioClient};
use voxanne_vapi::{Limits as Patience, Vapi};

/// With the platform's account at Twilio, if it has one.
pub(crate) fn managed_numbers(
    store: &Arc<PgStore>,
    vapi: &Arc<Vapi>,
    (clock, patience): (&Arc<dyn Clock>, Option<Patience>),
    settings: &WorkerSettings,
) -> anyhow::Result<Option<ManagedNumbers>> {
    let Some(twilio) = &settings.providers.twilio else { return Ok(None) };
    let base = settings.providers.base_urls.twilio.clone();
    let client = match patience {
        Some(limits) => TwilioClient::within(base, limits)?,
        None => TwilioClient::new(base)?,
    };
    let (sid, token) = (twilio.account_sid.clone(), twilio.auth_token.clone());
    let parent = ParentAccount::new(client, sid, token)?.calling_from(twilio.from_number.clone());
    let parent = Arc::new(parent);
    let bounds = &settings.purchases;
    let limits = Limits { numbers: bounds.numbers_per_org, purchases_per_day: bounds.per_day };
    let keys = settings.encryption.keys.clone();
    let here = settings.backend.url.parse()?;
    Ok(Some(ManagedNumbers::new(store, keys, (&parent, vapi), here, clock, limits)))
}

//! The platform's own mails: the domain's use cases on PostgreSQL, and the platform's account at its provider.

use std::sync::Arc;

use url::Url;
use voxanne_boot::mail::Mail;
use voxanne_email::{ClientError, ResendPlatform};
use voxanne_kernel::Clock;
use voxanne_messaging::mail::{Letterhead, Mailer, SendMails, TellAccountHolder};
use voxanne_postgres::PgStore;

/// What jobs tell people by.
pub struct Mails {
    /// Tells people who belong to no organization, such as operators.
    pub holders: TellAccountHolder,
    /// Sends what was told.
    pub send: SendMails,
}

impl Mails {
    /// Assembles them; without an `account` mails are recorded and not sent. `base` is where the provider is, for
    /// whatever stands in for it.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn wire(
        store: &Arc<PgStore>,
        clock: &Arc<dyn Clock>,
        account: Option<Mail>,
        base: Option<Url>,
    ) -> Result<Self, ClientError> {
        let office = account.map(|account| office(account, base)).transpose()?;
        Ok(Self {
            holders: TellAccountHolder::new(store.clone(), clock.clone()),
            send: SendMails::new(store.clone(), store.clone(), office, clock.clone()),
        })
    }
}

fn office(account: Mail, base: Option<Url>) -> Result<(Arc<dyn Mailer>, Letterhead), ClientError> {
    let Mail { api_key, from, support } = account;
    let mailer = ResendPlatform::new(base, api_key, &from.name, &from.address, support.clone())?;
    Ok((Arc::new(mailer), Letterhead { support }))
}

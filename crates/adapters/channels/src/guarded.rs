//! Webhooks of a provider that signs nothing, at an address that anybody can guess.

use async_trait::async_trait;
use subtle::ConstantTimeEq;
use url::Url;
use voxanne_credentials::{ExposeSecret, SecretString};
use voxanne_messaging::providers::{EventBatch, EventRefusal, EventRequest, ReadEvents};

/// Believes only requests whose address has `?secret=` with the right value.
pub(crate) struct Guarded<R> {
    inner: R,
    secret: SecretString,
}

impl<R> Guarded<R> {
    pub(crate) fn new(inner: R, secret: SecretString) -> Self {
        Self { inner, secret }
    }

    fn knows_the_secret(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else { return false };
        let given = url.query_pairs().find(|(name, _)| name == "secret").map(|(_, value)| value.into_owned());
        given.is_some_and(|given| given.as_bytes().ct_eq(self.secret.expose_secret().as_bytes()).into())
    }
}

#[async_trait]
impl<R: ReadEvents> ReadEvents for Guarded<R> {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        if !self.knows_the_secret(&request.url) {
            return Err(EventRefusal::Signature);
        }
        self.inner.read(request).await
    }
}

#[cfg(test)]
mod tests {
    use voxanne_sms::AfricasTalkingEvents;

    use super::*;

    #[test]
    fn only_the_right_secret_is_believed() {
        let guarded = Guarded::new(AfricasTalkingEvents, SecretString::from("right"));
        let check = |query: &str, expected: bool| {
            let url = format!("https://api.example/webhooks/messaging/africastalking/platform{query}");
            assert_eq!(guarded.knows_the_secret(&url), expected, "{query}");
        };
        check("?secret=right", true);
        check("?a=b&secret=right", true);
        check("?secret=wrong", false);
        check("?secret=", false);
        check("", false);
    }
}

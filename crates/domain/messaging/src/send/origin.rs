//! What the messages of one request have in common, however often the request comes.

use sha2::{Digest, Sha256};
use uuid::Builder;
use voxanne_kernel::{Timestamp, ids::MessageId};

use crate::{message::Recipient, templates::Variables};

/// Where messages come from: a request, which may come again because its sender never heard what became of it.
///
/// A message of it has the same id each time, so a repetition finds what was recorded before and records the rest. The
/// same recipient twice in a request is one message, unless the two get other values for their variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    since: Timestamp,
    digest: [u8; 32],
}

impl Origin {
    /// The request that came first at `since`; `digest` tells it from every other one, also of other organizations.
    pub fn new(since: Timestamp, digest: [u8; 32]) -> Self {
        Self { since, digest }
    }

    /// A request that does not come again.
    pub fn once(now: Timestamp) -> Self {
        Self::new(now, Sha256::digest(MessageId::generate().0.as_bytes()).into())
    }

    /// The id of its message to `to`, made with `variables`. Like every id of ours it tells when it was made (decision
    /// D10); what is chance in others is derived here.
    pub fn message(&self, to: &Recipient, variables: &Variables) -> MessageId {
        let mut digest = Sha256::new();
        digest.update(self.digest);
        let pairs = variables.iter().flat_map(|(name, value)| [name.as_str(), value]);
        for part in [to.as_str()].into_iter().chain(pairs) {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut chance = [0; 10];
        chance.copy_from_slice(&digest[..10]);
        let millis = u64::try_from(self.since.as_millisecond()).unwrap_or_default();
        MessageId(Builder::from_unix_timestamp_millis(millis, &chance).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(number: &str) -> Recipient {
        Recipient::Phone(number.parse().unwrap())
    }

    fn named(name: &str) -> Variables {
        [("name".to_owned(), name.to_owned())].into()
    }

    #[test]
    fn a_message_is_known_again_by_its_request_its_recipient_and_its_variables() {
        let at = "2026-03-02T15:00:00Z".parse().unwrap();
        let origin = Origin::new(at, [7; 32]);
        let (ann, bob) = (to("+15005550006"), to("+15005550007"));
        let id = origin.message(&ann, &named("Ann"));
        assert_eq!(origin.message(&ann, &named("Ann")), id);
        assert_eq!((id.0.get_version_num(), id.0.get_timestamp().unwrap().to_unix().0), (7, 1_772_463_600));
        for other in [
            origin.message(&bob, &named("Ann")),
            origin.message(&ann, &named("Bob")),
            origin.message(&ann, &Variables::new()),
            Origin::new(at, [8; 32]).message(&ann, &named("Ann")),
            Origin::once(at).message(&ann, &named("Ann")),
            Origin::once(at).message(&ann, &named("Ann")),
        ] {
            assert_ne!(other, id);
        }
    }
}

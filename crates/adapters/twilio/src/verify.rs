//! Whether a Twilio credential is good: the account opens, may be used, and has the number.

use async_trait::async_trait;
use voxanne_credentials::{Rejection, Twilio, Verdict, VerifyCredential};
use voxanne_kernel::ProviderError;

use crate::{
    account_sid::AccountSid,
    client::{Login, TwilioClient},
    refusal::Failure,
};

#[async_trait]
impl VerifyCredential<Twilio> for TwilioClient {
    async fn verify(&self, credential: &Twilio) -> Result<Verdict, ProviderError> {
        // What is no SID must not become part of a path.
        let Some(account) = AccountSid::read(&credential.account_sid) else {
            return Ok(Verdict::Rejected(Rejection::Credentials));
        };
        let login = Login { account, auth_token: &credential.auth_token };
        match self.account(&login).await {
            Ok(account) if account.is_active() => {}
            Ok(_) | Err(Failure::Denied | Failure::NotFound) => {
                return Ok(Verdict::Rejected(Rejection::Credentials));
            }
            Err(Failure::Other(error)) => return Err(error),
        }
        let Some(number) = &credential.phone_number else { return Ok(Verdict::Verified) };
        match self.has_number(&login, number).await {
            Ok(true) => Ok(Verdict::Verified),
            Ok(false) => Ok(Verdict::Rejected(Rejection::NumberNotInAccount)),
            Err(Failure::Denied | Failure::NotFound) => Ok(Verdict::Rejected(Rejection::Credentials)),
            Err(Failure::Other(error)) => Err(error),
        }
    }
}

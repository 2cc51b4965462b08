//! Verified caller ids: Twilio rings a number and shows us the code that the person who answers has to type there.
//!
//! A failed verification leaves nothing behind at Twilio, and one under way cannot be asked about: there is the
//! callback, or the caller id that appears.

use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use voxanne_http::{Answer, Method};
use voxanne_kernel::{E164, ProviderError};
use voxanne_telephony::hybrid::ports::{
    KnownNumber, LineAccount, RingError, Ringing, VerificationCall, VerifyingCarrier,
};

use crate::{
    account_sid::AccountSid,
    client::{Login, TwilioClient},
    refusal::{Failure, success},
    wire::{ErrorBody, filled},
};

/// The number is verified in this account already.
const KNOWN: u32 = 21_450;

#[derive(Deserialize)]
struct ValidationRequest {
    #[serde(default, deserialize_with = "filled")]
    call_sid: Option<String>,
    #[serde(default, deserialize_with = "code")]
    validation_code: Option<SecretString>,
}

#[derive(Deserialize)]
struct Page {
    outgoing_caller_ids: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "filled")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    friendly_name: Option<String>,
}

/// Six digits, which older answers write as a number.
fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Text(String),
        Number(u32),
    }
    let code = Option::<Code>::deserialize(deserializer)?.map(|code| match code {
        Code::Text(text) => text,
        Code::Number(number) => format!("{number:06}"),
    });
    Ok(code.filter(|code| !code.is_empty()).map(SecretString::from))
}

#[async_trait]
impl VerifyingCarrier for TwilioClient {
    async fn ring(&self, account: &LineAccount, call: &VerificationCall<'_>) -> Result<Ringing, RingError> {
        let login = login(account)?;
        let form = [
            ("PhoneNumber", call.number.as_str()),
            ("FriendlyName", call.name),
            ("StatusCallback", call.callback),
            ("StatusCallbackMethod", "POST"),
        ];
        let path = list(&login);
        let answer = self.change("validate_caller_id", &login, (Method::POST, &path), &form).await?;
        let answer = accepted(answer)?;
        let made: ValidationRequest = answer.secret_object()?;
        match (made.call_sid, made.validation_code) {
            (Some(call), Some(code)) => Ok(Ringing { call, code }),
            _ => Err(ProviderError::Unclear("the call has no name or no code".into()).into()),
        }
    }

    async fn look_up(
        &self,
        account: &LineAccount,
        number: &E164,
    ) -> Result<Option<KnownNumber>, ProviderError> {
        let login = login(account)?;
        let filter = [("PhoneNumber", number.as_str())];
        let path = list(&login);
        let answer = self.look("list_caller_ids", &login, &path, |request| request.query(&filter)).await?;
        let page: Page = success(answer).map_err(failed)?.json()?;
        // An account has a number once, so that there is no second page.
        let mut rows = page.outgoing_caller_ids.into_iter();
        let found = rows.find(|row| row.phone_number.as_deref() == Some(number.as_str()));
        Ok(found
            .and_then(|row| Some(KnownNumber { sid: row.sid?, name: row.friendly_name.unwrap_or_default() })))
    }

    async fn forget(&self, account: &LineAccount, within: &str, sid: &str) -> Result<(), ProviderError> {
        // It becomes part of a path; what is no SID is nothing of Twilio's.
        let digits = sid.strip_prefix("PN").unwrap_or_default();
        if digits.len() != 32 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Ok(());
        }
        let login = login(account)?;
        let Some(within) = AccountSid::read(within) else { return Ok(()) };
        let path = format!("{}/OutgoingCallerIds/{sid}.json", within.path());
        let answer = self.change("delete_caller_id", &login, (Method::DELETE, &path), &[]).await?;
        match success(answer) {
            Ok(_) | Err(Failure::NotFound) => Ok(()),
            Err(failure) => Err(failed(failure)),
        }
    }
}

fn list(login: &Login<'_>) -> String {
    format!("{}/OutgoingCallerIds.json", login.account.path())
}

/// What Twilio has against a verification call: the number, mostly.
fn accepted(answer: Answer) -> Result<Answer, RingError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let code = serde_json::from_slice::<ErrorBody>(answer.body()).unwrap_or_default().code();
    Err(match (code, Failure::of(&answer)) {
        (Some(KNOWN), _) => RingError::Known,
        (_, Failure::Other(error @ ProviderError::Refused(_))) => RingError::NotCallable(error),
        (_, failure) => failed(failure).into(),
    })
}

/// The account as a login; one whose name is none of Twilio's is our mistake.
pub(crate) fn login(account: &LineAccount) -> Result<Login<'_>, ProviderError> {
    match AccountSid::read(&account.sid) {
        Some(sid) => Ok(Login { account: sid, auth_token: &account.token }),
        None => Err(ProviderError::OurFault("the account is none of Twilio's".into())),
    }
}

/// A failure for whoever can do nothing particular about it.
pub(crate) fn failed(failure: Failure) -> ProviderError {
    match failure {
        Failure::Denied => ProviderError::OurFault("the account is not accepted".into()),
        Failure::NotFound => ProviderError::Refused("there is no such thing in the account".into()),
        Failure::Other(error) => error,
    }
}

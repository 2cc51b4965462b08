//! What a refusal of Twilio's means: by its status, then by its code.

use voxanne_http::Answer;
use voxanne_kernel::ProviderError;

use crate::wire::ErrorBody;

/// A refusal, by what it is about.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The credentials: wrong, of an account that may not be used, or not good for this.
    Denied,
    /// There is no such thing, or not in this account.
    NotFound,
    /// It was not done.
    Other(ProviderError),
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        Self::Other(error)
    }
}

/// It is there but not ready: the one refusal of its kind that asks for another try.
const NOT_READY: u32 = 21_501;

impl Failure {
    /// What an answer that is no success means.
    pub(crate) fn of(answer: &Answer) -> Self {
        let code = serde_json::from_slice::<ErrorBody>(answer.body()).unwrap_or_default().code();
        let status = answer.status().as_u16();
        // Twilio's words may hold a number of somebody's; the code says the same to whoever looks it up.
        let said = format!(
            "error {} in request {}",
            code.map_or_else(|| "without a code".to_owned(), |code| code.to_string()),
            answer.header("twilio-request-id").unwrap_or("without an id"),
        );
        match (status, code) {
            (400 | 402..=428, Some(NOT_READY)) => {
                let after = answer.retry_after();
                Self::Other(ProviderError::RetryLater { after, source: said.into() })
            }
            // Twilio splits its codes into finer ones over time; all of them say that this request will not do.
            (400 | 402 | 403 | 405..=407 | 409..=428, Some(21_000..=21_999)) => {
                Self::Other(ProviderError::Refused(said.into()))
            }
            (401 | 403, _) => {
                tracing::info!(said, status, "Twilio does not accept the credentials");
                Self::Denied
            }
            (404, _) => Self::NotFound,
            _ => Self::Other(answer.refusal(&said).into_error()),
        }
    }
}

/// Whether Twilio's answer is a success.
pub(crate) fn success(answer: Answer) -> Result<Answer, Failure> {
    if answer.status().is_success() { Ok(answer) } else { Err(Failure::of(&answer)) }
}

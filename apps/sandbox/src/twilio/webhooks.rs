//! What another provider does in a customer's account with the customer's own credentials: Vapi logs in and points the
//! number's webhooks to itself.

use serde_json::json;

use super::store::Status;
use crate::world::World;

/// Where a number's calls, and perhaps its texts, are to go.
#[derive(Debug)]
pub(crate) struct AnswerAt<'a> {
    pub(crate) account: &'a str,
    /// Not there for a login by API key, which is taken at its word.
    pub(crate) auth_token: Option<&'a str>,
    pub(crate) number: &'a str,
    pub(crate) voice_url: String,
    /// Not there when the texts stay where they are.
    pub(crate) sms_url: Option<String>,
}

/// Why that was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The credentials do not open the account, or it may not be used.
    Login,
    /// The account has no such number.
    Number,
}

/// Points the webhooks of a number somewhere else. An account that is not here is somebody else's business.
pub(crate) fn answer_at(world: &World, asked: &AnswerAt<'_>) -> Result<(), Problem> {
    let at = world.clock.now();
    let mut store = world.twilio.store();
    let Some(account) = store.account(asked.account) else { return Ok(()) };
    let knows_token = asked.auth_token.is_none_or(|token| token == account.auth_token);
    if !knows_token || store.standing(account) != Status::Active {
        return Err(Problem::Login);
    }
    let numbers = store.account_mut(asked.account).map(|account| &mut account.numbers);
    let mut numbers = numbers.into_iter().flatten();
    let number = numbers.find(|number| number.e164 == asked.number).ok_or(Problem::Number)?;
    number.settings.insert("voice_url".to_owned(), json!(asked.voice_url));
    if let Some(sms_url) = &asked.sms_url {
        number.settings.insert("sms_url".to_owned(), json!(sms_url));
    }
    number.updated = at;
    Ok(())
}

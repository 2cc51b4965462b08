//! Giving a message to Twilio.

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use voxanne_http::{Answer, Method};
use voxanne_kernel::ids::MessageId;
use voxanne_messaging::providers::{Accepted, Cost, SendFailure};

use super::{Desk, codes};
use crate::{
    account_sid::AccountSid,
    client::Login,
    wire::{ErrorBody, filled},
};

/// The parameter of our address that carries our id of the message: it comes back even if the answer was lost.
pub(super) const REFERENCE: &str = "ref";

/// What a message says.
pub(super) enum Content<'a> {
    Text(&'a str),
    Template { sid: &'a str, parameters: &'a [String] },
}

/// A message as Twilio shows it.
#[derive(Deserialize)]
pub(super) struct Message {
    #[serde(default, deserialize_with = "filled")]
    pub(super) sid: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) status: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) body: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) to: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) direction: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    pub(super) date_created: Option<String>,
    /// Whatever stands in these: the message was taken.
    #[serde(default)]
    num_segments: Value,
    #[serde(default)]
    price: Value,
    #[serde(default)]
    price_unit: Value,
    #[serde(default)]
    error_code: Value,
}

impl Desk {
    /// Who asks; nobody when the account's SID is none, which must not become part of a path.
    pub(super) fn login(&self) -> Option<Login<'_>> {
        let account = AccountSid::read(&self.account.account_sid)?;
        Some(Login { account, auth_token: &self.account.auth_token })
    }

    pub(super) async fn send(
        &self,
        id: MessageId,
        to: &str,
        content: &Content<'_>,
        events_url: Option<&Url>,
    ) -> Result<Accepted, SendFailure> {
        let login = self.login().ok_or_else(|| codes::credentials("the account's SID is none".into()))?;
        let path = format!("{}/Messages.json", login.account.path());
        let callback = events_url.map(|url| referring_to(url, id));
        let variables;
        let mut form = vec![("To", to), ("From", &self.from)];
        match content {
            Content::Text(text) => form.push(("Body", text)),
            Content::Template { sid, parameters } => {
                form.push(("ContentSid", sid));
                if !parameters.is_empty() {
                    variables = numbered(parameters);
                    form.push(("ContentVariables", &variables));
                }
            }
        }
        form.extend(callback.as_ref().map(|url| ("StatusCallback", url.as_str())));
        let answer = self.client.change("send_message", &login, (Method::POST, &path), &form).await?;
        understood(&answer)
    }
}

/// The address with our id in it.
fn referring_to(url: &Url, id: MessageId) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair(REFERENCE, &id.to_string());
    url
}

/// What stands for `{{1}}`, `{{2}}`, … in a template.
fn numbered(parameters: &[String]) -> String {
    let named = parameters.iter().enumerate();
    let named = named.map(|(index, value)| ((index + 1).to_string(), Value::String(value.clone())));
    Value::Object(named.collect::<Map<_, _>>()).to_string()
}

fn understood(answer: &Answer) -> Result<Accepted, SendFailure> {
    if answer.status().is_success() {
        // A write's success that cannot be read is unclear.
        let message: Message = answer.secret_object()?;
        return message.accepted();
    }
    let code = serde_json::from_slice::<ErrorBody>(answer.body()).unwrap_or_default().code();
    // Twilio's words may hold a number of somebody's; the code says the same to whoever looks it up.
    let said = format!(
        "status {}, error {} in request {}",
        answer.status().as_u16(),
        code.map_or_else(|| "without a code".to_owned(), |code| code.to_string()),
        answer.header("twilio-request-id").unwrap_or("without an id"),
    );
    Err(codes::refusal(answer, code, said))
}

impl Message {
    /// What a created message comes to.
    fn accepted(self) -> Result<Accepted, SendFailure> {
        // A message can be refused with the status of a success.
        if matches!(self.status.as_deref(), Some("failed" | "undelivered" | "canceled")) {
            let code = number(&self.error_code).unwrap_or_default();
            return Err(codes::failure(code, None, format!("created as failed, error {code}")));
        }
        if self.sid.is_none() {
            return Err(SendFailure::Unknown("the message has no SID".into()));
        }
        Ok(self.taken())
    }

    /// What is known of a message that was taken.
    pub(super) fn taken(self) -> Accepted {
        let unit = self.price_unit.as_str().unwrap_or("USD");
        Accepted {
            // A messaging service counts the parts later and says 0 until then.
            segments: number(&self.num_segments).filter(|count| *count > 0),
            cost: self.price.as_str().and_then(|price| Cost::read(price, unit)),
            external_id: self.sid,
        }
    }
}

/// A number, which may be text.
fn number(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => u32::try_from(other.as_u64()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_id_goes_along_in_the_address() {
        let id: MessageId = "01900000-0000-7000-8000-000000000001".parse().unwrap();
        let check = |url: &str, expected: &str| {
            assert_eq!(referring_to(&url.parse().unwrap(), id).as_str(), expected);
        };
        check("https://a.test/t", "https://a.test/t?ref=01900000-0000-7000-8000-000000000001");
        check("https://a.test/t?x=1", "https://a.test/t?x=1&ref=01900000-0000-7000-8000-000000000001");
    }

    #[test]
    fn parameters_of_a_template_are_numbered_from_one() {
        assert_eq!(
            numbered(&["Ada".into(), "15:00 \"sharp\"".into()]),
            r#"{"1":"Ada","2":"15:00 \"sharp\""}"#
        );
    }
}

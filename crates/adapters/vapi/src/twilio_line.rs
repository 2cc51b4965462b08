//! Vapi as the service that holds the Twilio accounts and numbers that organizations bring.
//!
//! A number at Vapi refers to no stored account: it carries the account's name and secret itself, so a change goes to
//! both. Whatever Vapi shows of those secrets is not read.

use async_trait::async_trait;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use voxanne_kernel::{E164, ProviderError, ids::OrgId};
use voxanne_telephony::{Answering, CarrierAccount, FoundNumber, LineProvider, NumberSpec};

use crate::{provider::Vapi, wire};

const CREDENTIAL: &str = "credential";
const NUMBER: &str = "phone-number";

/// Whether a number at Vapi was imported from somebody's own account, as opposed to one that Vapi provides, which says
/// `twilio` as well and names no account.
pub(crate) fn is_imported(number: &Value) -> bool {
    account_of(number).is_some()
}

/// The carrier's account that a number was imported from.
pub(crate) fn account_of(number: &Value) -> Option<&str> {
    number["twilioAccountSid"].as_str().filter(|sid| !sid.is_empty())
}

/// Whether we imported it for an organization: it can be imported again, unlike one that Vapi provides.
pub(crate) fn is_our_import(number: &Value) -> bool {
    let owner = number["name"].as_str().and_then(|name| name.strip_prefix("org-"));
    is_imported(number) && owner.is_some_and(|owner| owner.parse::<OrgId>().is_ok())
}

fn account(name: &str, account: &CarrierAccount) -> Value {
    json!({
        "provider": "twilio",
        "accountSid": account.sid,
        "authToken": account.token.expose_secret(),
        "name": name,
    })
}

/// What holds for a number whether it is imported or changed. Its text messages stay ours: Vapi would take them over.
fn number(spec: &NumberSpec<'_>, server_url: &str) -> Value {
    let mut number = json!({
        "provider": "twilio",
        "number": spec.number.as_str(),
        "twilioAccountSid": spec.account.sid,
        "twilioAuthToken": spec.account.token.expose_secret(),
        "name": spec.name,
        "smsEnabled": false,
    });
    match &spec.custom.answering {
        Answering::Assistant(id) => number["assistantId"] = json!(id),
        Answering::Us { credential } => number["server"] = wire::server(server_url, credential),
        Answering::Nobody => {}
    }
    if let Some(fallback) = &spec.custom.fallback {
        number["fallbackDestination"] = wire::destination(fallback);
    }
    number
}

fn created(answer: &Value) -> Result<String, ProviderError> {
    wire::id(answer).ok_or_else(|| ProviderError::Unclear("the answer has no id".into()))
}

#[async_trait]
impl LineProvider for Vapi {
    async fn find_account(&self, name: &str) -> Result<Option<String>, ProviderError> {
        let all = self.all("list_credentials", CREDENTIAL).await?;
        let ours = all.iter().find(|found| found["name"] == name && found["provider"] == "twilio");
        Ok(ours.and_then(wire::id))
    }

    async fn create_account(&self, name: &str, brought: &CarrierAccount) -> Result<String, ProviderError> {
        created(&self.create("create_credential", CREDENTIAL, &account(name, brought)).await?)
    }

    async fn update_account(
        &self,
        id: &str,
        name: &str,
        brought: &CarrierAccount,
    ) -> Result<bool, ProviderError> {
        self.repair("update_credential", CREDENTIAL, id, Some(account(name, brought))).await
    }

    async fn delete_account(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_credential", CREDENTIAL, id).await.map(drop)
    }

    async fn find_number(&self, digits: &E164) -> Result<Option<FoundNumber>, ProviderError> {
        let all = self.all("list_numbers", NUMBER).await?;
        Ok(all.iter().find(|found| found["number"] == digits.as_str()).and_then(|found| {
            let name = found["name"].as_str().unwrap_or_default().to_owned();
            Some(FoundNumber { id: wire::id(found)?, name })
        }))
    }

    async fn import_number(&self, spec: &NumberSpec<'_>) -> Result<String, ProviderError> {
        created(&self.create("import_number", NUMBER, &number(spec, self.server_url())).await?)
    }

    async fn update_number(&self, id: &str, spec: &NumberSpec<'_>) -> Result<bool, ProviderError> {
        let Some(stored) = self.one("get_number", NUMBER, id).await? else { return Ok(false) };
        let mut changed = number(spec, self.server_url());
        // Null takes a field away that is there; where there is none the document allows no null.
        let mut clear = |field: &str| {
            if !stored[field].is_null() {
                changed[field] = Value::Null;
            }
        };
        // A number that has an assistant does not ask.
        if matches!(spec.custom.answering, Answering::Us { .. }) {
            clear("assistantId");
        }
        if spec.custom.fallback.is_none() {
            clear("fallbackDestination");
        }
        self.repair("update_number", NUMBER, id, Some(changed)).await
    }

    async fn delete_number(&self, id: &str) -> Result<(), ProviderError> {
        self.delete("delete_number", NUMBER, id).await.map(drop)
    }
}

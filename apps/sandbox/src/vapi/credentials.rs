//! `/credential`: secrets go in and never come out.

use serde_json::{Value, json};

use super::collection::{Object, text};
use super::refusal::Refusal;
use super::resource::Resource;

pub(crate) const CREDENTIALS: Resource = Resource {
    path: "/credential",
    label: "Credential",
    rows: |store| &mut store.credentials,
    create_schema: |credential| match text(credential, "provider") {
        "twilio" => Ok("CreateTwilioCredentialDTO"),
        "custom-credential" => Ok("CreateCustomCredentialDTO"),
        "webhook" => Ok("CreateWebhookCredentialDTO"),
        "byo-sip-trunk" => Ok("CreateByoSipTrunkCredentialDTO"),
        _ => Err(Refusal::invalid(vec![
            "provider must be one of the following values: twilio, custom-credential, webhook, byo-sip-trunk"
                .to_owned(),
        ])),
    },
    update_schema: |credential| match text(credential, "provider") {
        "twilio" => "UpdateTwilioCredentialDTO",
        "webhook" => "UpdateWebhookCredentialDTO",
        "byo-sip-trunk" => "UpdateByoSipTrunkCredentialDTO",
        _ => "UpdateCustomCredentialDTO",
    },
    admit: |_, _, credential| {
        // Where OAuth2 would keep its token; the official schema wants it there in any case.
        if credential.contains_key("authenticationPlan") {
            credential.entry("authenticationSession").or_insert_with(|| json!({}));
        }
        Ok(())
    },
    show: without_secrets,
};

/// What stands where the official schema insists on a field that must not be shown.
const MASK: &str = "********";
/// Secrets that may be left out of an answer.
const OPTIONAL_SECRETS: &[&str] = &["authToken", "apiSecret"];
/// Secrets inside an authentication plan, which the schema requires to be there.
const PLAN_SECRETS: &[&str] = &["token", "secretKey", "clientSecret"];

/// A credential as reads show it.
pub(crate) fn without_secrets(credential: &Object) -> Object {
    let mut shown = credential.clone();
    for secret in OPTIONAL_SECRETS {
        shown.remove(*secret);
    }
    if let Some(plan) = shown.get_mut("authenticationPlan").and_then(Value::as_object_mut) {
        mask(plan, PLAN_SECRETS);
    }
    if let Some(plan) = shown.get_mut("outboundAuthenticationPlan").and_then(Value::as_object_mut) {
        mask(plan, &["authPassword"]);
    }
    shown
}

/// A credential as the sandbox's own state shows it: only what authenticates as a bearer is hidden.
pub(crate) fn without_bearers(credential: &Object) -> Object {
    let mut shown = credential.clone();
    if let Some(plan) = shown.get_mut("authenticationPlan").and_then(Value::as_object_mut) {
        mask(plan, &["token"]);
    }
    shown
}

fn mask(object: &mut Object, secrets: &[&str]) {
    for secret in secrets {
        if let Some(value) = object.get_mut(*secret) {
            *value = json!(MASK);
        }
    }
}

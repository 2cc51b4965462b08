//! What is stored of an account, under the names that it is typed in by: so that a part of it can be changed, and so
//! that a body which several providers share holds nothing of another's.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use voxanne_credentials::{Brought, CredentialProvider, Sender};

/// The fields of bodies that concern `provider`. A Twilio account's number has one name among texts, one among
/// integrations.
pub(super) const fn fields_of(provider: CredentialProvider) -> &'static [&'static str] {
    match provider {
        CredentialProvider::Twilio => &["accountSid", "authToken", "phoneNumber", "fromNumber"],
        CredentialProvider::Resend | CredentialProvider::Postmark => {
            &["apiKey", "fromEmail", "fromName", "webhookSecret"]
        }
        CredentialProvider::Sendgrid => &["apiKey", "region", "fromEmail", "fromName", "webhookSecret"],
        CredentialProvider::Mailgun => {
            &["apiKey", "domain", "region", "fromEmail", "fromName", "webhookSecret", "trackingDomain"]
        }
        CredentialProvider::Ses => &[
            "accessKeyId",
            "secretAccessKey",
            "region",
            "configurationSet",
            "topicArn",
            "fromEmail",
            "fromName",
        ],
        CredentialProvider::Smtp => &[
            "smtpHost",
            "smtpPort",
            "smtpUsername",
            "smtpPassword",
            SMTP_TLS,
            SMTP_SECURE,
            "fromEmail",
            "fromName",
        ],
        CredentialProvider::AfricasTalking => &["apiKey", "username", "fromNumber", "webhookSecret"],
        CredentialProvider::Termii => &["apiKey", "baseUrl", "fromNumber", "senderChannel", "webhookSecret"],
        CredentialProvider::Whatsapp => &[
            "businessAccountId",
            "phoneNumberId",
            "accessToken",
            "appSecret",
            "verifyToken",
            "phoneNumber",
            "displayName",
        ],
        CredentialProvider::GoogleCalendar
        | CredentialProvider::OutlookCalendar
        | CredentialProvider::VapiWebhook => &[],
    }
}

const SMTP_PORT: &str = "smtpPort";
const SMTP_TLS: &str = "smtpTls";
const SMTP_SECURE: &str = "smtpSecure";

/// `given`, and of `stored` whatever it does not say.
pub(super) fn merged(given: Map<String, Value>, stored: &Brought) -> Map<String, Value> {
    let mut all = fields(stored);
    // The port and the encryption of a mail server go together: with one of them given, the other follows from it.
    let gives = |name: &str| given.contains_key(name);
    let usual = |port: Option<&Value>| matches!(port.and_then(Value::as_u64), Some(465 | 587));
    if gives(SMTP_TLS) || gives(SMTP_SECURE) {
        all.remove(SMTP_TLS);
        if usual(all.get(SMTP_PORT)) {
            all.remove(SMTP_PORT);
        }
    } else if usual(given.get(SMTP_PORT)) {
        all.remove(SMTP_TLS);
    }
    all.extend(given);
    all
}

/// Fields being collected.
struct Fields(Map<String, Value>);

impl Fields {
    fn new() -> Self {
        Self(Map::new())
    }

    fn text(mut self, name: &str, text: &(impl ToString + ?Sized)) -> Self {
        self.0.insert(name.to_owned(), text.to_string().into());
        self
    }

    fn some(self, name: &str, text: Option<&impl ToString>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    fn secret(self, name: &str, secret: &SecretString) -> Self {
        self.text(name, secret.expose_secret())
    }

    fn some_secret(self, name: &str, secret: Option<&SecretString>) -> Self {
        match secret {
            Some(secret) => self.secret(name, secret),
            None => self,
        }
    }

    fn number(mut self, name: &str, number: u16) -> Self {
        self.0.insert(name.to_owned(), number.into());
        self
    }

    fn sender(self, sender: &Sender) -> Self {
        self.text("fromEmail", &sender.email).some("fromName", sender.name.as_ref())
    }
}

fn fields(stored: &Brought) -> Map<String, Value> {
    let fields = Fields::new();
    let Fields(fields) = match stored {
        Brought::Twilio(it) => fields
            .text("accountSid", &it.account_sid)
            .secret("authToken", &it.auth_token)
            .some("phoneNumber", it.phone_number.as_ref()),
        Brought::Resend(it) => fields
            .secret("apiKey", &it.api_key)
            .sender(&it.from)
            .some_secret("webhookSecret", it.webhook_secret.as_ref()),
        Brought::Sendgrid(it) => fields
            .secret("apiKey", &it.api_key)
            .some("region", it.region.as_ref())
            .sender(&it.from)
            .some("webhookSecret", it.webhook_public_key.as_ref()),
        Brought::Mailgun(it) => fields
            .secret("apiKey", &it.api_key)
            .text("domain", &it.domain)
            .text("region", &it.region)
            .sender(&it.from)
            .some_secret("webhookSecret", it.webhook_signing_key.as_ref())
            .some("trackingDomain", it.tracking_domain.as_ref()),
        Brought::Postmark(it) => fields
            .secret("apiKey", &it.server_token)
            .sender(&it.from)
            .some_secret("webhookSecret", it.webhook_secret.as_ref()),
        Brought::Ses(it) => fields
            .text("accessKeyId", &it.access_key_id)
            .secret("secretAccessKey", &it.secret_access_key)
            .text("region", &it.region)
            .some("configurationSet", it.configuration_set.as_ref())
            .some("topicArn", it.topic_arn.as_ref())
            .sender(&it.from),
        Brought::Smtp(it) => fields
            .text("smtpHost", &it.host)
            .number(SMTP_PORT, it.port)
            .some("smtpUsername", it.username.as_ref())
            .some_secret("smtpPassword", it.password.as_ref())
            .text(SMTP_TLS, &it.tls)
            .sender(&it.from),
        Brought::AfricasTalking(it) => fields
            .secret("apiKey", &it.api_key)
            .text("username", &it.username)
            .some("fromNumber", it.from.as_ref())
            .some_secret("webhookSecret", it.webhook_secret.as_ref()),
        Brought::Termii(it) => fields
            .secret("apiKey", &it.api_key)
            .text("baseUrl", &it.base_url)
            .text("fromNumber", &it.from)
            .text("senderChannel", &it.channel)
            .some_secret("webhookSecret", it.webhook_secret.as_ref()),
        Brought::Whatsapp(it) => fields
            .text("businessAccountId", &it.business_account_id)
            .text("phoneNumberId", &it.phone_number_id)
            .secret("accessToken", &it.access_token)
            .some_secret("appSecret", it.app_secret.as_ref())
            .some_secret("verifyToken", it.verify_token.as_ref())
            .some("phoneNumber", it.phone_number.as_ref())
            .some("displayName", it.display_name.as_ref()),
    };
    fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::integration_bodies::{ConnectBody, Shape};

    fn read(provider: CredentialProvider, body: Value) -> Brought {
        let Value::Object(fields) = body else { panic!("an object") };
        let shape = Shape::Integration;
        ConnectBody::of(provider, fields, shape).unwrap().into_brought_as(shape).unwrap()
    }

    /// One account of every provider, with all that it can have.
    fn accounts() -> Vec<(CredentialProvider, Value)> {
        let from = json!({ "fromEmail": "desk@clinic.example", "fromName": "Clinic" });
        let with = |mut fields: Value| {
            fields.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
            fields
        };
        let (key, secret) = ("a-key-that-is-long", "whsec_c2VjcmV0c2VjcmV0");
        vec![
            (
                CredentialProvider::Twilio,
                json!({ "accountSid": format!("AC{}", "0".repeat(32)), "authToken": key,
                        "phoneNumber": "+15005550006" }),
            ),
            (CredentialProvider::Resend, with(json!({ "apiKey": key, "webhookSecret": secret }))),
            (
                CredentialProvider::Sendgrid,
                with(json!({ "apiKey": key, "region": "eu", "webhookSecret": "MFkwEwYHKoZIzj0CAQYI" })),
            ),
            (
                CredentialProvider::Mailgun,
                with(json!({ "apiKey": key, "domain": "mg.clinic.example", "region": "eu",
                             "webhookSecret": secret, "trackingDomain": "links.clinic.example" })),
            ),
            (CredentialProvider::Postmark, with(json!({ "apiKey": key, "webhookSecret": secret }))),
            (
                CredentialProvider::Ses,
                with(json!({ "accessKeyId": "AKIDEXAMPLE", "secretAccessKey": key, "region": "eu-west-1",
                             "configurationSet": "all", "topicArn": "arn:aws:sns:eu-west-1:123456789012:mail" })),
            ),
            (
                CredentialProvider::Smtp,
                with(json!({ "smtpHost": "smtp.clinic.example", "smtpPort": 2525, "smtpUsername": "desk",
                             "smtpPassword": key, "smtpTls": "starttls" })),
            ),
            (
                CredentialProvider::AfricasTalking,
                json!({ "apiKey": key, "username": "clinic", "fromNumber": "Clinic", "webhookSecret": secret }),
            ),
            (
                CredentialProvider::Termii,
                json!({ "apiKey": key, "baseUrl": "https://v3.api.termii.com/", "fromNumber": "Clinic",
                        "senderChannel": "dnd", "webhookSecret": secret }),
            ),
            (
                CredentialProvider::Whatsapp,
                json!({ "businessAccountId": "102", "phoneNumberId": "106", "accessToken": key,
                        "appSecret": secret, "verifyToken": "open sesame", "phoneNumber": "+15005550006",
                        "displayName": "Clinic" }),
            ),
        ]
    }

    #[test]
    fn what_is_stored_reads_back_as_it_was_typed_in() {
        for (provider, body) in accounts() {
            let stored = fields(&read(provider, body.clone()));
            assert_eq!(Value::Object(stored.clone()), body, "{provider}");
            assert!(stored.keys().all(|name| fields_of(provider).contains(&name.as_str())), "{provider}");
        }
    }

    #[test]
    fn what_is_not_given_stays() {
        for (provider, body) in accounts() {
            let stored = read(provider, body.clone());
            assert_eq!(Value::Object(merged(Map::new(), &stored)), body, "{provider}");
        }
        let (_, resend) = &accounts()[1];
        let given = json!({ "webhookSecret": "whsec_bmV3bmV3bmV3" });
        let all =
            merged(given.as_object().unwrap().clone(), &read(CredentialProvider::Resend, resend.clone()));
        assert_eq!((&all["apiKey"], &all["webhookSecret"]), (&resend["apiKey"], &given["webhookSecret"]));
    }

    #[test]
    fn a_mail_servers_port_and_encryption_follow_each_other() {
        let check = |stored: Value, given: Value, expected: (u16, &str)| {
            let mut body = json!({ "smtpHost": "smtp.clinic.example", "fromEmail": "desk@clinic.example" });
            body.as_object_mut().unwrap().extend(stored.as_object().unwrap().clone());
            let all = merged(given.as_object().unwrap().clone(), &read(CredentialProvider::Smtp, body));
            let Brought::Smtp(found) = read(CredentialProvider::Smtp, all.into()) else { panic!("SMTP") };
            assert_eq!((found.port, found.tls.as_str()), expected, "{stored} {given}");
        };
        check(json!({}), json!({ "fromName": "x" }), (587, "starttls"));
        check(json!({}), json!({ "smtpPort": 465 }), (465, "implicit"));
        check(json!({}), json!({ "smtpSecure": true }), (465, "implicit"));
        check(json!({ "smtpPort": 465 }), json!({ "smtpTls": "starttls" }), (587, "starttls"));
        check(json!({ "smtpPort": 465 }), json!({ "smtpPort": 587 }), (587, "starttls"));
        check(json!({ "smtpPort": 2525 }), json!({ "smtpTls": "implicit" }), (2525, "implicit"));
        check(
            json!({ "smtpPort": 2525, "smtpTls": "implicit" }),
            json!({ "smtpPort": 2526 }),
            (2526, "implicit"),
        );
    }
}

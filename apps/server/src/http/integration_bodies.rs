//! What people type in to connect an account, provider by provider, and how it is read.

use axum::extract::{FromRequest, Request};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use voxanne_credentials::{
    AfricasTalking, Brought, CredentialProvider, Mailgun, MailgunRegion, Postmark, Resend, Sender, Sendgrid,
    SendgridRegion, Ses, Smtp, SmtpTls, Termii, TermiiChannel, Twilio, Whatsapp, integrations::Rule,
};
use voxanne_kernel::{E164, EmailAddress};

use super::auth::Checks;
use crate::{
    app::App,
    http::{
        json::{Body, from_value},
        problem::Problem,
    },
};

/// A secret text. What is given instead of a text is not repeated in the answer.
#[derive(Debug)]
struct Secret(SecretString);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text.into())),
            _ => Err(de::Error::custom("must be text")),
        }
    }
}

/// The account to connect; which fields it has depends on the provider in the path.
#[derive(Debug, utoipa::ToSchema)]
#[schema(title = "ConnectBody")]
#[serde(untagged)]
pub(super) enum ConnectBody {
    Twilio(TwilioAccountBody),
    Resend(ResendAccountBody),
    Sendgrid(SendgridAccountBody),
    Mailgun(MailgunAccountBody),
    Postmark(PostmarkAccountBody),
    Ses(SesAccountBody),
    Smtp(SmtpAccountBody),
    AfricasTalking(AfricasTalkingAccountBody),
    Termii(TermiiAccountBody),
    Whatsapp(WhatsappAccountBody),
}

/// How a body names its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As an integration.
    Integration,
    /// As a provider of texts: a Twilio account's number is `fromNumber`.
    Sms,
}

const FROM_NUMBER: &str = "fromNumber";
const PHONE_NUMBER: &str = "phoneNumber";

impl Shape {
    pub(super) fn named(self, problem: Problem) -> Problem {
        if self == Self::Sms { problem.renamed(PHONE_NUMBER, FROM_NUMBER) } else { problem }
    }
}

impl ConnectBody {
    /// Reads the body that belongs to `provider`.
    pub(super) async fn read(
        provider: CredentialProvider,
        request: Request,
        app: &App,
    ) -> Result<Self, Problem> {
        macro_rules! read {
            ($variant:ident) => {
                Ok(Self::$variant(Body::from_request(request, app).await?.0))
            };
        }
        match provider {
            CredentialProvider::Twilio => read!(Twilio),
            CredentialProvider::Resend => read!(Resend),
            CredentialProvider::Sendgrid => read!(Sendgrid),
            CredentialProvider::Mailgun => read!(Mailgun),
            CredentialProvider::Postmark => read!(Postmark),
            CredentialProvider::Ses => read!(Ses),
            CredentialProvider::Smtp => read!(Smtp),
            CredentialProvider::AfricasTalking => read!(AfricasTalking),
            CredentialProvider::Termii => read!(Termii),
            CredentialProvider::Whatsapp => read!(Whatsapp),
            CredentialProvider::GoogleCalendar | CredentialProvider::OutlookCalendar => {
                Err(Problem::bad_request(
                    "use_oauth",
                    "A calendar is connected by signing in at its provider: start that instead.",
                ))
            }
            CredentialProvider::VapiWebhook => Err(Problem::not_found()),
        }
    }

    /// Reads what another body holds of `provider`'s fields.
    pub(super) fn of(
        provider: CredentialProvider,
        mut fields: Map<String, Value>,
        shape: Shape,
    ) -> Result<Self, Problem> {
        if shape == Shape::Sms
            && let Some(number) = fields.remove(FROM_NUMBER)
        {
            fields.insert(PHONE_NUMBER.to_owned(), number);
        }
        macro_rules! read {
            ($variant:ident) => {
                from_value(&Value::Object(fields)).map(Self::$variant)
            };
        }
        let read = match provider {
            CredentialProvider::Twilio => read!(Twilio),
            CredentialProvider::Resend => read!(Resend),
            CredentialProvider::Sendgrid => read!(Sendgrid),
            CredentialProvider::Mailgun => read!(Mailgun),
            CredentialProvider::Postmark => read!(Postmark),
            CredentialProvider::Ses => read!(Ses),
            CredentialProvider::Smtp => read!(Smtp),
            CredentialProvider::AfricasTalking => read!(AfricasTalking),
            CredentialProvider::Termii => read!(Termii),
            CredentialProvider::Whatsapp => read!(Whatsapp),
            CredentialProvider::GoogleCalendar
            | CredentialProvider::OutlookCalendar
            | CredentialProvider::VapiWebhook => Err(Problem::not_found()),
        };
        read.map_err(|problem| shape.named(problem))
    }

    /// The account as [`Self::into_brought`] reads it, with problems named as they were given.
    pub(super) fn into_brought_as(self, shape: Shape) -> Result<Brought, Problem> {
        self.into_brought().map_err(|problem| shape.named(problem))
    }

    /// The account, if every field keeps its rule; otherwise each field that does not is named.
    pub(super) fn into_brought(self) -> Result<Brought, Problem> {
        let mut checks = Checks::default();
        let brought = match self {
            Self::Twilio(body) => body.read(&mut checks).map(Brought::from),
            Self::Resend(body) => body.read(&mut checks).map(Brought::from),
            Self::Sendgrid(body) => body.read(&mut checks).map(Brought::from),
            Self::Mailgun(body) => body.read(&mut checks).map(Brought::from),
            Self::Postmark(body) => body.read(&mut checks).map(Brought::from),
            Self::Ses(body) => body.read(&mut checks).map(Brought::from),
            Self::Smtp(body) => body.read(&mut checks).map(Brought::from),
            Self::AfricasTalking(body) => body.read(&mut checks).map(Brought::from),
            Self::Termii(body) => body.read(&mut checks).map(Brought::from),
            Self::Whatsapp(body) => body.read(&mut checks).map(Brought::from),
        };
        completed(checks.finish(brought)?)
    }
}

/// An account with what we make for it where it was not given.
fn completed(mut brought: Brought) -> Result<Brought, Problem> {
    if let Brought::Whatsapp(account) = &mut brought
        && account.verify_token.is_none()
    {
        account.verify_token = Some(Whatsapp::new_verify_token().map_err(Problem::internal)?);
    }
    Ok(brought)
}

impl Checks {
    fn text(&mut self, field: &str, rule: Rule, text: String) -> Option<String> {
        self.field(field, rule.text(text))
    }

    #[expect(clippy::option_option, reason = "kept its rule, and whether it was given")]
    fn maybe_text(&mut self, field: &str, rule: Rule, text: Option<String>) -> Option<Option<String>> {
        self.field(field, rule.optional(text))
    }

    fn secret(&mut self, field: &str, rule: Rule, secret: Secret) -> Option<SecretString> {
        self.field(field, rule.secret(secret.0))
    }

    #[expect(clippy::option_option, reason = "kept its rule, and whether it was given")]
    fn maybe_secret(
        &mut self,
        field: &str,
        rule: Rule,
        secret: Option<Secret>,
    ) -> Option<Option<SecretString>> {
        self.field(field, rule.optional_secret(secret.map(|secret| secret.0)))
    }

    fn sender(&mut self, email: &str, name: Option<String>) -> Option<Sender> {
        let email = self.field("fromEmail", EmailAddress::new(email));
        let name = self.maybe_text("fromName", Rule::Label, name);
        Some(Sender { email: email?, name: name? })
    }
}

/// A Twilio account and the number of it that should ring at the organization.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TwilioAccountBody {
    /// `AC…`
    account_sid: String,
    #[schema(value_type = String, format = Password, write_only)]
    auth_token: Secret,
    /// E.164. `fromNumber` is accepted as well.
    #[serde(alias = "fromNumber")]
    #[schema(example = "+15005550006")]
    phone_number: String,
}

impl TwilioAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Twilio> {
        let account_sid = checks.text("accountSid", Rule::AccountSid, self.account_sid);
        let auth_token = checks.secret("authToken", Rule::Token, self.auth_token);
        let phone_number = checks.field("phoneNumber", E164::new(&self.phone_number));
        Some(Twilio { account_sid: account_sid?, auth_token: auth_token?, phone_number: Some(phone_number?) })
    }
}

/// A Resend account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResendAccountBody {
    #[schema(value_type = String, format = Password, write_only)]
    api_key: Secret,
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    from_name: Option<String>,
    /// What delivery events are signed with.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: Option<Secret>,
}

impl ResendAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Resend> {
        let api_key = checks.secret("apiKey", Rule::Token, self.api_key);
        let from = checks.sender(&self.from_email, self.from_name);
        let webhook_secret = checks.maybe_secret("webhookSecret", Rule::Token, self.webhook_secret);
        Some(Resend { api_key: api_key?, from: from?, webhook_secret: webhook_secret? })
    }
}

/// A SendGrid account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SendgridAccountBody {
    #[schema(value_type = String, format = Password, write_only)]
    api_key: Secret,
    /// `global` or `eu`; `global` unless given.
    #[schema(example = "global")]
    region: Option<String>,
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    from_name: Option<String>,
    /// The public key that delivery events are checked with.
    webhook_secret: Option<String>,
}

impl SendgridAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Sendgrid> {
        let api_key = checks.secret("apiKey", Rule::Token, self.api_key);
        let from = checks.sender(&self.from_email, self.from_name);
        let region = checks.field("region", self.region.as_deref().map(sendgrid_region).transpose());
        let key = checks.maybe_text("webhookSecret", Rule::PublicKey, self.webhook_secret);
        Some(Sendgrid { api_key: api_key?, region: region?, from: from?, webhook_public_key: key? })
    }
}

/// `us` is what Mailgun's accounts elsewhere than in the European Union say.
fn sendgrid_region(region: &str) -> Result<SendgridRegion, &'static str> {
    match region.to_ascii_lowercase().as_str() {
        "global" | "us" => Ok(SendgridRegion::Global),
        "eu" => Ok(SendgridRegion::Eu),
        _ => Err("must be global or eu"),
    }
}

/// A Mailgun account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MailgunAccountBody {
    #[schema(value_type = String, format = Password, write_only)]
    api_key: Secret,
    /// The domain that messages are sent through.
    #[schema(example = "mg.clinic.example")]
    domain: String,
    /// `us` or `eu`; `us` unless given.
    #[schema(example = "eu")]
    region: Option<String>,
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    from_name: Option<String>,
    /// The key that delivery events are signed with.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: Option<Secret>,
    /// The host of counted links.
    tracking_domain: Option<String>,
}

impl MailgunAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Mailgun> {
        let region = self.region.map_or(Ok(MailgunRegion::Us), |region| region.to_ascii_lowercase().parse());
        let region = checks.field("region", region.map_err(|_| "must be us or eu"));
        let api_key = checks.secret("apiKey", Rule::Token, self.api_key);
        let domain = checks.text("domain", Rule::Domain, self.domain);
        let from = checks.sender(&self.from_email, self.from_name);
        let signing_key = checks.maybe_secret("webhookSecret", Rule::Token, self.webhook_secret);
        let tracking = checks.maybe_text("trackingDomain", Rule::Domain, self.tracking_domain);
        Some(Mailgun {
            api_key: api_key?,
            domain: domain?,
            region: region?,
            from: from?,
            webhook_signing_key: signing_key?,
            tracking_domain: tracking?,
        })
    }
}

/// A server at Postmark.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PostmarkAccountBody {
    /// The server's token.
    #[schema(value_type = String, format = Password, write_only)]
    api_key: Secret,
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    from_name: Option<String>,
    /// What delivery events must present.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: Option<Secret>,
}

impl PostmarkAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Postmark> {
        let server_token = checks.secret("apiKey", Rule::Token, self.api_key);
        let from = checks.sender(&self.from_email, self.from_name);
        let webhook_secret = checks.maybe_secret("webhookSecret", Rule::Token, self.webhook_secret);
        Some(Postmark { server_token: server_token?, from: from?, webhook_secret: webhook_secret? })
    }
}

/// A key for Amazon's SES.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SesAccountBody {
    access_key_id: String,
    #[schema(value_type = String, format = Password, write_only)]
    secret_access_key: Secret,
    #[schema(example = "eu-west-1")]
    region: String,
    configuration_set: Option<String>,
    /// The topic that delivery events come through.
    topic_arn: Option<String>,
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    from_name: Option<String>,
}

impl SesAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Ses> {
        let access_key_id = checks.text("accessKeyId", Rule::Id, self.access_key_id);
        let secret_access_key = checks.secret("secretAccessKey", Rule::Token, self.secret_access_key);
        let region = checks.text("region", Rule::AwsRegion, self.region);
        let configuration_set = checks.maybe_text("configurationSet", Rule::Id, self.configuration_set);
        let topic_arn = checks.maybe_text("topicArn", Rule::SnsTopic, self.topic_arn);
        let from = checks.sender(&self.from_email, self.from_name);
        Some(Ses {
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            region: region?,
            configuration_set: configuration_set?,
            topic_arn: topic_arn?,
            from: from?,
        })
    }
}

/// A mail server.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SmtpAccountBody {
    #[schema(example = "smtp.clinic.example")]
    smtp_host: String,
    /// 465 with `implicit`, 587 with `starttls`, unless given.
    smtp_port: Option<u16>,
    smtp_username: Option<String>,
    #[schema(value_type = Option<String>, format = Password, write_only)]
    smtp_password: Option<Secret>,
    /// `starttls` or `implicit`; by the port unless given. Plain text is never used.
    #[schema(example = "starttls")]
    smtp_tls: Option<String>,
    /// The older form: true is `implicit`, false is `starttls`.
    #[schema(deprecated)]
    smtp_secure: Option<bool>,
    #[schema(example = "desk@clinic.example")]
    from_email: String,
    from_name: Option<String>,
}

impl SmtpAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Smtp> {
        let tls = self.tls();
        let (port, tls) = (self.smtp_port, checks.field("smtpTls", tls));
        let host = checks.text("smtpHost", Rule::Server, self.smtp_host);
        let port =
            checks.field("smtpPort", if port == Some(0) { Err("must be 1 to 65535") } else { Ok(port) });
        let alone = self.smtp_username.is_some() != self.smtp_password.is_some();
        let username = checks.maybe_text("smtpUsername", Rule::Label, self.smtp_username);
        let password = checks.maybe_secret("smtpPassword", Rule::Password, self.smtp_password);
        if alone {
            checks.field::<(), _>("smtpPassword", Err("is needed beside smtpUsername, and only with it"));
        }
        let from = checks.sender(&self.from_email, self.from_name);
        let tls = tls?;
        Some(Smtp {
            host: host?,
            port: port?.unwrap_or(if tls == SmtpTls::Implicit { 465 } else { 587 }),
            username: username?,
            password: password?,
            tls,
            from: from?,
        })
    }

    fn tls(&self) -> Result<SmtpTls, &'static str> {
        let named = self.smtp_tls.as_deref().map(str::parse).transpose();
        let named = named.map_err(|_| "must be starttls or implicit")?;
        let older = self.smtp_secure.map(|secure| if secure { SmtpTls::Implicit } else { SmtpTls::StartTls });
        match (named, older) {
            (Some(named), Some(older)) if named != older => Err("contradicts smtpSecure"),
            (Some(tls), _) | (None, Some(tls)) => Ok(tls),
            (None, None) if self.smtp_port == Some(465) => Ok(SmtpTls::Implicit),
            (None, None) => Ok(SmtpTls::StartTls),
        }
    }
}

/// An application at Africa's Talking.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AfricasTalkingAccountBody {
    #[schema(value_type = String, format = Password, write_only)]
    api_key: Secret,
    /// The application's name.
    #[schema(example = "clinic")]
    username: String,
    /// A sender id or short code; its own choice unless given.
    from_number: Option<String>,
    /// What our address for its delivery events contains.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: Option<Secret>,
}

impl AfricasTalkingAccountBody {
    fn read(self, checks: &mut Checks) -> Option<AfricasTalking> {
        let username = checks.text("username", Rule::Id, self.username);
        let api_key = checks.secret("apiKey", Rule::Token, self.api_key);
        let from = checks.maybe_text("fromNumber", Rule::SenderId, self.from_number);
        let webhook_secret = checks.maybe_secret("webhookSecret", Rule::Token, self.webhook_secret);
        Some(AfricasTalking {
            username: username?,
            api_key: api_key?,
            from: from?,
            webhook_secret: webhook_secret?,
        })
    }
}

/// A Termii account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TermiiAccountBody {
    #[schema(value_type = String, format = Password, write_only)]
    api_key: Secret,
    /// The account's own address.
    #[schema(example = "https://v3.api.termii.com")]
    base_url: String,
    /// The sender id.
    #[schema(example = "Clinic")]
    from_number: String,
    /// `generic`, `dnd` or `whatsapp`; `generic` unless given.
    #[schema(example = "generic")]
    sender_channel: Option<String>,
    /// What delivery events are signed with.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    webhook_secret: Option<Secret>,
}

impl TermiiAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Termii> {
        let channel = self.sender_channel.map_or(Ok(TermiiChannel::Generic), |channel| channel.parse());
        let channel = checks.field("senderChannel", channel.map_err(|_| "must be generic, dnd or whatsapp"));
        let api_key = checks.secret("apiKey", Rule::Token, self.api_key);
        let base_url = checks.field("baseUrl", Rule::base_url(&self.base_url));
        let from = checks.text("fromNumber", Rule::SenderId, self.from_number);
        let webhook_secret = checks.maybe_secret("webhookSecret", Rule::Token, self.webhook_secret);
        Some(Termii {
            api_key: api_key?,
            base_url: base_url?,
            from: from?,
            channel: channel?,
            webhook_secret: webhook_secret?,
        })
    }
}

/// A WhatsApp Business account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WhatsappAccountBody {
    business_account_id: String,
    phone_number_id: String,
    #[schema(value_type = String, format = Password, write_only)]
    access_token: Secret,
    /// What delivery events are signed with: the app's secret, unless the app is ours.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    app_secret: Option<Secret>,
    /// What Meta presents when it checks our address for events; made by us, and shown, unless given.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    verify_token: Option<Secret>,
    /// E.164.
    #[schema(example = "+15005550006")]
    phone_number: Option<String>,
    display_name: Option<String>,
}

impl WhatsappAccountBody {
    fn read(self, checks: &mut Checks) -> Option<Whatsapp> {
        let business_account_id = checks.text("businessAccountId", Rule::Id, self.business_account_id);
        let phone_number_id = checks.text("phoneNumberId", Rule::Id, self.phone_number_id);
        let access_token = checks.secret("accessToken", Rule::Token, self.access_token);
        let app_secret = checks.maybe_secret("appSecret", Rule::Token, self.app_secret);
        let verify_token = checks.maybe_secret("verifyToken", Rule::Password, self.verify_token);
        let phone_number = self.phone_number.as_deref().map(E164::new).transpose();
        let phone_number = checks.field("phoneNumber", phone_number);
        let display_name = checks.maybe_text("displayName", Rule::Label, self.display_name);
        Some(Whatsapp {
            business_account_id: business_account_id?,
            phone_number_id: phone_number_id?,
            access_token: access_token?,
            app_secret: app_secret?,
            verify_token: verify_token?,
            phone_number: phone_number?,
            display_name: display_name?,
        })
    }
}

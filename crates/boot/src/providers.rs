//! The services that organizations bring accounts of, and our own accounts with them. None is needed to start: what
//! needs one that is not set up says so.

use secrecy::SecretString;
use url::Url;
use voxanne_kernel::E164;

use crate::{
    platform_messaging::PlatformMessaging,
    reader::Reader,
    sections::{http_url, secret, switch, text},
};

/// Where providers are, for those that something else stands in for: tests, the sandbox, a regional host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BaseUrls {
    /// `TWILIO_BASE_URL`.
    pub twilio: Option<Url>,
    /// `GOOGLE_OAUTH_BASE_URL`: consent, tokens and identity.
    pub google_oauth: Option<Url>,
    /// `GOOGLE_API_BASE_URL`: calendars.
    pub google_api: Option<Url>,
    /// `MICROSOFT_OAUTH_BASE_URL`: consent and tokens.
    pub microsoft_oauth: Option<Url>,
    /// `MICROSOFT_API_BASE_URL`: Graph.
    pub microsoft_api: Option<Url>,
    /// `RESEND_BASE_URL`.
    pub resend: Option<Url>,
    /// `SENDGRID_BASE_URL`.
    pub sendgrid: Option<Url>,
    /// `MAILGUN_BASE_URL`, whatever the account's region.
    pub mailgun: Option<Url>,
    /// `POSTMARK_BASE_URL`.
    pub postmark: Option<Url>,
    /// `SES_BASE_URL`, whatever the account's region.
    pub ses: Option<Url>,
    /// `AFRICASTALKING_BASE_URL`.
    pub africastalking: Option<Url>,
    /// `TERMII_BASE_URL`, instead of the account's own host.
    pub termii: Option<Url>,
    /// `WHATSAPP_BASE_URL`: Meta's Graph.
    pub whatsapp: Option<Url>,
}

/// Our registration with an OAuth provider.
#[derive(Debug, Clone)]
pub struct OAuthClient {
    /// Its public name.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// Our own account with Twilio.
#[derive(Debug, Clone)]
pub struct PlatformTwilio {
    /// Its public name.
    pub account_sid: String,
    /// Its secret, which its callbacks are signed with as well.
    pub auth_token: SecretString,
    /// The number of it that the platform itself calls and texts from; without it there are no test calls.
    pub from_number: Option<E164>,
}

/// What is known of the providers.
#[derive(Debug, Clone)]
pub struct Providers {
    /// Where they are.
    pub base_urls: BaseUrls,
    /// Our account with Twilio; without it only organizations with an account of their own can use it.
    pub twilio: Option<PlatformTwilio>,
    /// Our accounts with those who carry messages.
    pub messaging: PlatformMessaging,
    /// Our registration with Google; without it no Google calendar can be connected.
    pub google: Option<OAuthClient>,
    /// Our registration with Microsoft; without it no Outlook calendar can be connected.
    pub microsoft: Option<OAuthClient>,
    /// Whether hosts that an organization names may be on private networks; for development only.
    pub allow_private_hosts: bool,
}

impl Providers {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let base_urls = BaseUrls::read(reader);
        let twilio = PlatformTwilio::read(reader);
        let messaging = PlatformMessaging::read(reader);
        let google = OAuthClient::read(reader, "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET");
        let microsoft = OAuthClient::read(reader, "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET");
        let has_twilio_number = twilio.as_ref().is_some_and(|twilio| twilio.from_number.is_some());
        messaging.warn_of_missing_firsts(reader, has_twilio_number);
        let allow_private_hosts = reader.or("ALLOW_PRIVATE_HOSTS", false, switch);
        Some(Self {
            base_urls,
            twilio,
            messaging,
            google,
            microsoft,
            allow_private_hosts: allow_private_hosts?,
        })
    }
}

impl PlatformTwilio {
    fn read(reader: &mut Reader) -> Option<Self> {
        const SID: &str = "TWILIO_ACCOUNT_SID";
        const TOKEN: &str = "TWILIO_AUTH_TOKEN";
        const FROM: &str = "TWILIO_FROM_NUMBER";
        reader.has_whole(FROM, &[SID, TOKEN]);
        warn_of_half(reader, SID, TOKEN);
        let from_number = reader.optional(FROM, |text| E164::new(text).map_err(|error| error.to_string()));
        let (sid, token) = (reader.optional(SID, account_sid), reader.optional(TOKEN, secret));
        Some(Self { account_sid: sid?, auth_token: token?, from_number })
    }
}

/// What becomes part of addresses has to be what it says it is.
fn account_sid(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("AC").unwrap_or_default();
    if digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err("must be `AC` and 32 hexadecimal digits".to_owned())
}

/// Half a registration counts as none, with a warning that names the other half.
fn warn_of_half(reader: &mut Reader, id: &'static str, key: &'static str) {
    reader.has_whole(id, &[key]);
    reader.has_whole(key, &[id]);
}

impl OAuthClient {
    fn read(reader: &mut Reader, id: &'static str, key: &'static str) -> Option<Self> {
        warn_of_half(reader, id, key);
        let (id, secret) = (reader.optional(id, text), reader.optional(key, secret));
        Some(Self { id: id?, secret: secret? })
    }
}

impl BaseUrls {
    fn read(reader: &mut Reader) -> Self {
        let mut url = |name| reader.optional(name, http_url);
        Self {
            twilio: url("TWILIO_BASE_URL"),
            google_oauth: url("GOOGLE_OAUTH_BASE_URL"),
            google_api: url("GOOGLE_API_BASE_URL"),
            microsoft_oauth: url("MICROSOFT_OAUTH_BASE_URL"),
            microsoft_api: url("MICROSOFT_API_BASE_URL"),
            resend: url("RESEND_BASE_URL"),
            sendgrid: url("SENDGRID_BASE_URL"),
            mailgun: url("MAILGUN_BASE_URL"),
            postmark: url("POSTMARK_BASE_URL"),
            ses: url("SES_BASE_URL"),
            africastalking: url("AFRICASTALKING_BASE_URL"),
            termii: url("TERMII_BASE_URL"),
            whatsapp: url("WHATSAPP_BASE_URL"),
        }
    }
}

//! A number that an account has, and what may be set on it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::inventory::{Offer, Traits};
use super::parameters::Parameters;
use super::refusal::Refusal;
use super::rfc2822;
use crate::ids::Ids;

/// A number of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Number {
    pub(crate) sid: String,
    pub(crate) e164: String,
    pub(crate) friendly_name: String,
    #[serde(flatten)]
    pub(crate) traits: Traits,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
    /// By their names in answers.
    pub(crate) settings: Map<String, Value>,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Text,
    /// An address; an empty one means none.
    Url,
    OneOf(&'static [&'static str]),
    Flag,
    /// A SID with this prefix; an empty one means none.
    Sid(&'static str),
}

const METHODS: Rule = Rule::OneOf(&["GET", "POST"]);

/// Parameter, name in answers, rule, and the value of a new number. Twilio shows some of what is not set as `""` and
/// some as `null`; whoever reads it has to take both.
const SETTINGS: &[(&str, &str, Rule, Option<&str>)] = &[
    ("VoiceUrl", "voice_url", Rule::Url, Some("")),
    ("VoiceMethod", "voice_method", METHODS, Some("POST")),
    ("VoiceFallbackUrl", "voice_fallback_url", Rule::Url, Some("")),
    ("VoiceFallbackMethod", "voice_fallback_method", METHODS, Some("POST")),
    ("VoiceApplicationSid", "voice_application_sid", Rule::Sid("AP"), Some("")),
    ("VoiceReceiveMode", "voice_receive_mode", Rule::OneOf(&["voice", "fax"]), Some("voice")),
    ("VoiceCallerIdLookup", "voice_caller_id_lookup", Rule::Flag, Some("false")),
    ("SmsUrl", "sms_url", Rule::Url, Some("")),
    ("SmsMethod", "sms_method", METHODS, Some("POST")),
    ("SmsFallbackUrl", "sms_fallback_url", Rule::Url, Some("")),
    ("SmsFallbackMethod", "sms_fallback_method", METHODS, Some("POST")),
    ("SmsApplicationSid", "sms_application_sid", Rule::Sid("AP"), Some("")),
    ("StatusCallback", "status_callback", Rule::Url, Some("")),
    ("StatusCallbackMethod", "status_callback_method", METHODS, Some("POST")),
    ("TrunkSid", "trunk_sid", Rule::Sid("TK"), None),
    ("AddressSid", "address_sid", Rule::Sid("AD"), None),
    ("BundleSid", "bundle_sid", Rule::Sid("BU"), None),
    ("IdentitySid", "identity_sid", Rule::Sid("RI"), None),
    ("EmergencyStatus", "emergency_status", Rule::OneOf(&["Active", "Inactive"]), Some("Inactive")),
    ("EmergencyAddressSid", "emergency_address_sid", Rule::Sid("AD"), None),
    ("ApiVersion", "api_version", Rule::Text, Some("2010-04-01")),
];

impl Number {
    /// A number that somebody just got, with nothing set.
    pub(crate) fn new(ids: &Ids, offer: &Offer, at: Timestamp) -> Self {
        let settings = SETTINGS.iter().map(|(_, name, rule, default)| {
            let value = match (rule, default) {
                (Rule::Flag, Some(flag)) => json!(*flag == "true"),
                (_, default) => json!(default),
            };
            ((*name).to_owned(), value)
        });
        Self {
            sid: format!("PN{}", ids.hex(32)),
            e164: offer.phone_number.clone(),
            friendly_name: offer.friendly_name.clone(),
            traits: offer.traits.clone(),
            created: at,
            updated: at,
            settings: settings.collect(),
        }
    }

    /// Changes what is given; nothing when anything of it is wrong.
    pub(crate) fn set(&mut self, given: &Parameters) -> Result<(), Refusal> {
        let mut changed = self.settings.clone();
        for (parameter, name, rule, _) in SETTINGS {
            if let Some(value) = given.get(parameter) {
                changed.insert((*name).to_owned(), rule.read(parameter, value)?);
            }
        }
        // A trunk and an application exclude each other; the trunk goes first.
        if given.filled("TrunkSid").is_some() {
            changed.insert("voice_application_sid".to_owned(), json!(""));
        } else if given.filled("VoiceApplicationSid").is_some() {
            changed.insert("trunk_sid".to_owned(), Value::Null);
        }
        if let Some(name) = given.friendly_name()? {
            name.clone_into(&mut self.friendly_name);
        }
        self.settings = changed;
        Ok(())
    }

    /// What was set under this name, empty when nothing was.
    pub(crate) fn setting(&self, name: &str) -> &str {
        self.settings.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The number as answers show it.
    pub(crate) fn shown(&self, account: &str) -> Value {
        let mut shown = self.settings.clone();
        let registered =
            if self.setting("emergency_address_sid").is_empty() { "unregistered" } else { "registered" };
        let own = json!({
            "sid": self.sid,
            "account_sid": account,
            "phone_number": self.e164,
            "friendly_name": self.friendly_name,
            "capabilities": self.traits.capabilities,
            "address_requirements": self.traits.address_requirements,
            "type": self.traits.kind,
            "beta": false,
            "origin": "twilio",
            "status": "in-use",
            "emergency_address_status": registered,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{}.json", self.sid),
        });
        if let Value::Object(own) = own {
            shown.extend(own);
        }
        Value::Object(shown)
    }
}

impl Rule {
    fn read(self, parameter: &str, value: &str) -> Result<Value, Refusal> {
        match self {
            Self::Text => Ok(json!(value)),
            Self::Url if value.is_empty() || is_web_address(value) => Ok(json!(value)),
            Self::Url => Err(Refusal::bad(21402, format!("{parameter} is not a valid URL: {value}"))),
            Self::OneOf(values) if values.contains(&value) => Ok(json!(value)),
            Self::OneOf(values) => Err(Refusal::invalid(parameter, &format!("one of {}", values.join(", ")))),
            Self::Flag => match value {
                "true" | "false" => Ok(json!(value == "true")),
                _ => Err(Refusal::invalid(parameter, "true or false")),
            },
            Self::Sid(_) if value.is_empty() => Ok(Value::Null),
            Self::Sid(prefix) if is_sid(prefix, value) => Ok(json!(value)),
            Self::Sid(prefix) => {
                Err(Refusal::invalid(parameter, &format!("{prefix} and 32 hexadecimal digits")))
            }
        }
    }
}

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Whether this is a SID with this prefix.
pub(crate) fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

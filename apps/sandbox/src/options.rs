//! What a sandbox is started with.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::twilio::is_sid;

/// What happens to an outbound call that nobody plays by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbound {
    /// It stays `queued` until a script names it or something ends it.
    Hold,
    /// The customer answers, says a few words and hangs up.
    Play {
        /// How long it rings.
        ring: Duration,
        /// How long they talk.
        talk: Duration,
    },
}

impl Default for Outbound {
    fn default() -> Self {
        Self::Play { ring: Duration::from_secs(1), talk: Duration::from_secs(4) }
    }
}

/// An application that is registered with an authorization server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthClient {
    /// Its public name.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl Default for OAuthClient {
    fn default() -> Self {
        Self { id: "sandbox-client".to_owned(), secret: "sandbox-secret".to_owned() }
    }
}

impl FromStr for OAuthClient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
                Ok(Self { id: id.to_owned(), secret: secret.to_owned() })
            }
            _ => Err("must be written ID:SECRET"),
        }
    }
}

/// The credentials of a Twilio account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwilioLogin {
    /// `AC` and 32 hexadecimal digits.
    pub sid: String,
    /// Its auth token.
    pub token: String,
}

impl FromStr for TwilioLogin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some((sid, token)) if is_sid("AC", sid) && !token.is_empty() => {
                Ok(Self { sid: sid.to_owned(), token: token.to_owned() })
            }
            _ => Err("must be written SID:TOKEN, the SID being AC and 32 hexadecimal digits"),
        }
    }
}

/// What a sandbox is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Makes every id, number and generated secret repeatable. Without it they are random. A state file that is
    /// there already has its own, which goes on.
    pub seed: Option<u64>,
    /// The bearer keys Vapi accepts; any key will do when there is none.
    pub vapi_keys: Vec<String>,
    /// Simultaneous calls in the Vapi account (10 unless bought, says its documentation).
    pub vapi_concurrency: u32,
    /// What becomes of outbound calls.
    pub outbound: Outbound,
    /// A Twilio account that is there from the start, paid for and empty.
    pub twilio_account: Option<TwilioLogin>,
    /// The application that Google knows.
    pub google_client: OAuthClient,
    /// The application that Microsoft knows.
    pub microsoft_client: OAuthClient,
    /// Where the mail server listens that begins in plain text; a free port without it.
    pub smtp_port: Option<u16>,
    /// Where the mail server listens that is encrypted from the first byte; a free port without it.
    pub smtps_port: Option<u16>,
    /// The file whose state it goes on with and where it keeps its own. Without it everything is forgotten.
    pub state: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: None,
            vapi_keys: Vec::new(),
            vapi_concurrency: 10,
            outbound: Outbound::default(),
            twilio_account: None,
            google_client: OAuthClient::default(),
            microsoft_client: OAuthClient::default(),
            smtp_port: None,
            smtps_port: None,
            state: None,
        }
    }
}

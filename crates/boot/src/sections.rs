//! The settings, by what they are about. Each section is read whole or not at all, with its problems noted.

use std::{num::NonZeroU32, str::FromStr, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use secrecy::SecretString;
use url::Url;
use voxanne_credentials::keyring::KeyRing;

use crate::reader::Reader;

/// Where rows are kept.
#[derive(Debug, Clone)]
pub struct Database {
    /// How programs connect; the URL may hold a password.
    pub url: SecretString,
    /// Most connections of this process.
    pub connections: NonZeroU32,
}

/// Where the API listens and whose pages may call it.
#[derive(Debug, Clone)]
pub struct Http {
    /// The port; 0 lets the system choose.
    pub port: u16,
    /// Origins for CORS, as browsers send them.
    pub dashboard_origins: Vec<String>,
    /// What machine callers must send; without it there are none.
    pub api_key: Option<SecretString>,
    /// What approvals are signed with that come as messages; without it none are taken.
    pub approval_secret: Option<SecretString>,
}

/// Whose access tokens are believed. At least one of the two issuers is there.
#[derive(Debug, Clone)]
pub struct Auth {
    /// Our own issuer's secret; without it nobody can sign up or log in here.
    pub secret: Option<SecretString>,
    /// Another issuer.
    pub external: Option<ExternalIssuer>,
}

/// An issuer of tokens that is not us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIssuer {
    /// Where its keys are.
    pub jwks_url: Url,
    /// What its tokens must say in `iss`.
    pub issuer: String,
    /// What its tokens must say in `aud`.
    pub audience: String,
}

/// The keys that seal stored secrets.
#[derive(Clone)]
pub struct Encryption {
    /// The first encrypts, all decrypt.
    pub keys: Arc<KeyRing>,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encryption")
    }
}

/// The platform's account at Vapi.
#[derive(Debug, Clone)]
pub struct Vapi {
    /// The account's private key.
    pub private_key: SecretString,
    /// The account's public key, for calls from a browser.
    pub public_key: Option<String>,
    /// Where Vapi is.
    pub base_url: Url,
    /// Hosts that recordings may come from besides Vapi's own; the host of a base URL that was set is one of them.
    pub recording_hosts: Vec<String>,
    /// Calls that the account can have at a time.
    pub concurrency: u32,
}

/// Our own public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// The base of tool and webhook URLs, without a slash at its end.
    pub url: String,
}

/// What the worker does and where it shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Where `/health`, `/ready` and `/metrics` are answered; 0 lets the system choose.
    pub metrics_port: u16,
    /// Jobs at a time.
    pub concurrency: usize,
    /// Whether a job may be run as if it were another time.
    pub allow_test_clock: bool,
}

/// How the end of the process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// How long we say that we are not ready before we stop accepting.
    pub drain: Duration,
}

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Pretty,
}

/// What is logged, how, and where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// How events are written.
    pub format: LogFormat,
    /// Which events, in the syntax of tracing's `EnvFilter`; checked.
    pub filter: String,
    /// Where traces are sent; none are made without it.
    pub otlp_endpoint: Option<Url>,
}

impl Database {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let url = reader.required("DATABASE_URL", postgres_url);
        let connections = reader.or("DATABASE_CONNECTIONS", const { NonZeroU32::new(24).unwrap() }, number);
        Some(Self { url: url?, connections: connections? })
    }

    /// The owner's URL: the one for migrations, or else the ordinary one.
    pub(crate) fn read_owner(reader: &mut Reader) -> Option<SecretString> {
        if reader.has("DATABASE_MIGRATION_URL") {
            reader.optional("DATABASE_MIGRATION_URL", postgres_url)
        } else {
            reader.required("DATABASE_URL", postgres_url)
        }
    }
}

impl Http {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let port = reader.or("PORT", 8080, number);
        let dashboard_origins = reader.or("DASHBOARD_ORIGINS", Vec::new(), |text| listed(text, origin));
        let api_key = reader.optional("BACKEND_API_KEY", secret);
        let approval_secret = reader.optional("APPROVAL_WEBHOOK_SECRET", webhook_secret);
        Some(Self { port: port?, dashboard_origins: dashboard_origins?, api_key, approval_secret })
    }
}

impl Auth {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let external = reader.has("AUTH_JWKS_URL");
        let secret = if external {
            reader.optional("JWT_SECRET", jwt_secret)
        } else {
            Some(reader.required("JWT_SECRET", jwt_secret)?)
        };
        let external = if external { Some(ExternalIssuer::read(reader)?) } else { None };
        Some(Self { secret, external })
    }

    /// Our own issuer's secret, for a program that makes tokens.
    pub(crate) fn read_secret(reader: &mut Reader) -> Option<SecretString> {
        reader.required("JWT_SECRET", jwt_secret)
    }
}

impl ExternalIssuer {
    fn read(reader: &mut Reader) -> Option<Self> {
        let jwks_url = reader.required("AUTH_JWKS_URL", http_url);
        let audience = reader.or("AUTH_AUDIENCE", "authenticated".to_owned(), text);
        let jwks_url = jwks_url?;
        // A token whose issuer nobody checks would be good here whoever it was made for.
        let implied = jwks_url.as_str().strip_suffix("/.well-known/jwks.json").map(str::to_owned);
        let issuer = match implied {
            Some(implied) => reader.or("AUTH_ISSUER", implied, text),
            None => reader.required("AUTH_ISSUER", text),
        };
        Some(Self { jwks_url, issuer: issuer?, audience: audience? })
    }
}

impl Encryption {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        if reader.has("ENCRYPTION_KEY") && reader.has("ENCRYPTION_KEYS") {
            reader.problem(
                "ENCRYPTION_KEY",
                "must not be set beside ENCRYPTION_KEYS, which can hold it as well",
            );
            return None;
        }
        let ring = if reader.has("ENCRYPTION_KEYS") {
            reader.optional("ENCRYPTION_KEYS", |text| KeyRing::parse(text).map_err(|error| error.to_string()))
        } else {
            reader.required("ENCRYPTION_KEY", |text| {
                KeyRing::single(text)
                    .map_err(|_| "must be 32 bytes in base64 (openssl rand -base64 32)".to_owned())
            })
        };
        Some(Self { keys: Arc::new(ring?) })
    }
}

impl Vapi {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let private_key = reader.required("VAPI_PRIVATE_KEY", secret);
        let public_key = reader.optional("VAPI_PUBLIC_KEY", text);
        let stands_in = reader.optional("VAPI_BASE_URL", http_url);
        let mut recording_hosts = reader.or("RECORDING_HOSTS", Vec::new(), |text| listed(text, host))?;
        recording_hosts.extend(stands_in.as_ref().and_then(Url::host_str).map(str::to_owned));
        let concurrency = reader.or("VAPI_CONCURRENCY", 10, |text| match number(text)? {
            0 => Err("must be at least 1".to_owned()),
            some => Ok(some),
        });
        let base_url = match stands_in {
            Some(url) => Some(url),
            None => Url::parse("https://api.vapi.ai").ok(),
        };
        Some(Self {
            private_key: private_key?,
            public_key,
            base_url: base_url?,
            recording_hosts,
            concurrency: concurrency?,
        })
    }
}

impl Backend {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let name =
            if !reader.has("BACKEND_URL") && reader.has("SERVER_URL") { "SERVER_URL" } else { "BACKEND_URL" };
        let url = reader.required(name, |text| {
            let url = http_url(text)?;
            let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            if plain {
                Ok(url)
            } else {
                Err("must be only a base, without a user, query or fragment".to_owned())
            }
        })?;
        Some(Self { url: url.as_str().trim_end_matches('/').to_owned() })
    }
}

impl Work {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let metrics_port = reader.or("METRICS_PORT", 9090, number);
        let concurrency = reader.or("WORKER_CONCURRENCY", 8, |text| match number(text)? {
            0 => Err("must be at least 1".to_owned()),
            some => Ok(some),
        });
        let allow_test_clock = read_allow_test_clock(reader);
        Some(Self {
            metrics_port: metrics_port?,
            concurrency: concurrency?,
            allow_test_clock: allow_test_clock?,
        })
    }
}

impl Shutdown {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let drain = reader.or("SHUTDOWN_DRAIN_SECONDS", 0, number)?;
        Some(Self { drain: Duration::from_secs(drain) })
    }
}

impl Logging {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let format = reader.or("LOG_FORMAT", LogFormat::Json, |text| match text {
            "json" => Ok(LogFormat::Json),
            "pretty" => Ok(LogFormat::Pretty),
            _ => Err("must be json or pretty".to_owned()),
        });
        let filter = reader.or("RUST_LOG", crate::logging::DEFAULT_FILTER.to_owned(), |text| {
            tracing_subscriber::EnvFilter::try_new(text)
                .map(|_| text.to_owned())
                .map_err(|error| format!("is not a log filter: {error}"))
        });
        let otlp_endpoint = reader.optional("OTEL_EXPORTER_OTLP_ENDPOINT", http_url);
        Some(Self { format: format?, filter: filter?, otlp_endpoint })
    }
}

pub(crate) fn read_allow_test_clock(reader: &mut Reader) -> Option<bool> {
    reader.or("VOXANNE_ALLOW_TEST_CLOCK", false, switch)
}

pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A line break pasted along with a value would only show when a header is built from it.
pub(crate) fn text(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        Err("must not hold control characters".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

pub(crate) fn secret(value: &str) -> Result<SecretString, String> {
    text(value).map(SecretString::from)
}

/// A secret as Standard Webhooks writes them, with its prefix; or any text, which is then the key itself.
fn webhook_secret(value: &str) -> Result<SecretString, String> {
    if let Some(encoded) = value.strip_prefix("whsec_") {
        let key = BASE64_STANDARD_NO_PAD.decode(encoded.trim_end_matches('='));
        if key.is_ok_and(|key| !key.is_empty()) {
            return secret(value);
        }
        return Err("must be base64 after whsec_".to_owned());
    }
    secret(value)
}

fn jwt_secret(text: &str) -> Result<SecretString, String> {
    // RFC 7518, section 3.2: a key for HS256 is at least as long as its hash.
    if text.len() < 32 {
        Err("must be at least 32 bytes long (openssl rand -hex 32)".to_owned())
    } else {
        secret(text)
    }
}

pub(crate) fn number<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number in its range"))
}

fn postgres_url(text: &str) -> Result<SecretString, String> {
    // The value is not repeated: it may hold a password.
    let rule = || "must be a URL like postgres://user:password@host:5432/database".to_owned();
    let url = Url::parse(text).map_err(|_| rule())?;
    if matches!(url.scheme(), "postgres" | "postgresql") { secret(text) } else { Err(rule()) }
}

pub(crate) fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let usable =
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
    if usable { Ok(url) } else { Err("must be an http or https URL with a host".to_owned()) }
}

/// Exactly what a browser sends in `Origin`, or CORS would never match.
fn origin(text: &str) -> Result<String, String> {
    let url = http_url(text)?;
    let origin = url.origin().ascii_serialization();
    let only_origin = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
    if only_origin { Ok(origin) } else { Err(format!("must be an origin such as {origin}, without a path")) }
}

fn host(text: &str) -> Result<String, String> {
    url::Host::parse(text).map(|host| host.to_string()).map_err(|_| format!("{text:?} is not a host name"))
}

/// The items of a list written with commas.
fn listed<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(parse).collect()
}

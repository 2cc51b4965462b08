//! Which program needs which sections. Every section is read before anything is refused, so that one message holds
//! all there is to put right.

use secrecy::SecretString;
use voxanne_kernel::Money;

use crate::{
    mail::Mail,
    platform_messaging::read_signup_credits,
    providers::Providers,
    purchases::Purchases,
    reader::{ConfigurationError, Reader},
    sections::{
        Auth, Backend, Database, Encryption, Http, Logging, Shutdown, Vapi, Work, read_allow_test_clock,
    },
    storage::Storage,
};

/// What the API server runs with.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where rows are kept.
    pub database: Database,
    /// Where it listens.
    pub http: Http,
    /// Whose tokens it believes.
    pub auth: Auth,
    /// What seals stored secrets.
    pub encryption: Encryption,
    /// The platform's account at Vapi.
    pub vapi: Vapi,
    /// The services that organizations bring accounts of.
    pub providers: Providers,
    /// How much may be bought for an organization.
    pub purchases: Purchases,
    /// Where files are kept; without it no recording can be.
    pub storage: Option<Storage>,
    /// Our public address.
    pub backend: Backend,
    /// How it ends.
    pub shutdown: Shutdown,
    /// What it logs.
    pub logging: Logging,
    /// Which settings have no effect; logged at the start.
    pub warnings: Vec<String>,
}

/// What the worker runs with.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Where rows are kept.
    pub database: Database,
    /// What it does and where it shows it.
    pub work: Work,
    /// What seals stored secrets.
    pub encryption: Encryption,
    /// The platform's account at Vapi.
    pub vapi: Vapi,
    /// The services that organizations bring accounts of.
    pub providers: Providers,
    /// How much may be bought for an organization.
    pub purchases: Purchases,
    /// The platform's account for mails; without it none are sent.
    pub mail: Option<Mail>,
    /// Where files are kept; without it no recording can be.
    pub storage: Option<Storage>,
    /// Our public address.
    pub backend: Backend,
    /// How it ends.
    pub shutdown: Shutdown,
    /// What it logs.
    pub logging: Logging,
    /// Which settings have no effect; logged at the start.
    pub warnings: Vec<String>,
}

/// What `voxctl db migrate` needs.
#[derive(Debug, Clone)]
pub struct MigrationSettings {
    /// The database as the owner of its tables.
    pub owner_url: SecretString,
    /// What it logs.
    pub logging: Logging,
}

/// What `voxctl token` needs.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Signs our tokens.
    pub secret: SecretString,
}

/// What the rest of `voxctl` needs.
#[derive(Debug, Clone)]
pub struct OperatorSettings {
    /// Where rows are kept.
    pub database: Database,
    /// Whether a job may be run as if it were another time.
    pub allow_test_clock: bool,
    /// What a new organization may spend on messages, in minor units.
    pub signup_credits: Money,
    /// What it logs.
    pub logging: Logging,
}

/// What the commands of `voxctl` need that look at what Vapi holds.
#[derive(Debug, Clone)]
pub struct VoiceSettings {
    /// Where rows are kept.
    pub database: Database,
    /// What seals stored secrets.
    pub encryption: Encryption,
    /// The platform's account at Vapi.
    pub vapi: Vapi,
    /// Our public address.
    pub backend: Backend,
}

/// What the commands of `voxctl` need that look after numbers: Vapi and Twilio both.
#[derive(Debug, Clone)]
pub struct NumbersSettings {
    /// What looking at Vapi needs.
    pub voice: VoiceSettings,
    /// The services that organizations bring accounts of, and our own account with Twilio.
    pub providers: Providers,
    /// How much may be bought for an organization.
    pub purchases: Purchases,
    /// Where files are kept; without it none are.
    pub storage: Option<Storage>,
}

/// What the commands of `voxctl` need that touch stored secrets.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// Where rows are kept.
    pub database: Database,
    /// What seals stored secrets.
    pub encryption: Encryption,
}

impl ServerSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let (database, http) = (Database::read(&mut reader), Http::read(&mut reader));
        let (auth, encryption) = (Auth::read(&mut reader), Encryption::read(&mut reader));
        let (vapi, backend) = (Vapi::read(&mut reader), Backend::read(&mut reader));
        let (shutdown, logging) = (Shutdown::read(&mut reader), Logging::read(&mut reader));
        let providers = Providers::read(&mut reader);
        let purchases = Purchases::read(&mut reader);
        let storage = Storage::read(&mut reader);
        let warnings = reader.take_warnings();
        let whole = || {
            Some(Self {
                database: database?,
                http: http?,
                auth: auth?,
                encryption: encryption?,
                vapi: vapi?,
                providers: providers?,
                purchases: purchases?,
                storage,
                backend: backend?,
                shutdown: shutdown?,
                logging: logging?,
                warnings,
            })
        };
        let settings = whole();
        reader.finish(settings)
    }
}

impl WorkerSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let (database, work) = (Database::read(&mut reader), Work::read(&mut reader));
        let encryption = Encryption::read(&mut reader);
        let (vapi, backend) = (Vapi::read(&mut reader), Backend::read(&mut reader));
        let (shutdown, logging) = (Shutdown::read(&mut reader), Logging::read(&mut reader));
        let (providers, mail) = (Providers::read(&mut reader), Mail::read(&mut reader));
        let purchases = Purchases::read(&mut reader);
        let storage = Storage::read(&mut reader);
        let warnings = reader.take_warnings();
        let whole = || {
            Some(Self {
                database: database?,
                work: work?,
                encryption: encryption?,
                vapi: vapi?,
                providers: providers?,
                purchases: purchases?,
                mail,
                storage,
                backend: backend?,
                shutdown: shutdown?,
                logging: logging?,
                warnings,
            })
        };
        let settings = whole();
        reader.finish(settings)
    }
}

impl MigrationSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let (owner_url, logging) = (Database::read_owner(&mut reader), Logging::read(&mut reader));
        let settings = owner_url.zip(logging).map(|(owner_url, logging)| Self { owner_url, logging });
        reader.finish(settings)
    }
}

impl TokenSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let settings = Auth::read_secret(&mut reader).map(|secret| Self { secret });
        reader.finish(settings)
    }
}

impl OperatorSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let (database, logging) = (Database::read(&mut reader), Logging::read(&mut reader));
        let allow_test_clock = read_allow_test_clock(&mut reader);
        let signup_credits = read_signup_credits(&mut reader);
        let whole = || {
            Some(Self {
                database: database?,
                allow_test_clock: allow_test_clock?,
                signup_credits: signup_credits?,
                logging: logging?,
            })
        };
        let settings = whole();
        reader.finish(settings)
    }
}

impl VaultSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let (database, encryption) = (Database::read(&mut reader), Encryption::read(&mut reader));
        let settings = database.zip(encryption).map(|(database, encryption)| Self { database, encryption });
        reader.finish(settings)
    }
}

impl VoiceSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let settings = Self::section(&mut reader);
        reader.finish(settings)
    }

    fn section(reader: &mut Reader) -> Option<Self> {
        let (database, encryption) = (Database::read(reader), Encryption::read(reader));
        let (vapi, backend) = (Vapi::read(reader), Backend::read(reader));
        Some(Self { database: database?, encryption: encryption?, vapi: vapi?, backend: backend? })
    }
}

impl NumbersSettings {
    /// Reads them.
    ///
    /// # Errors
    /// [`ConfigurationError`] with every problem at once.
    pub fn read(mut reader: Reader) -> Result<Self, ConfigurationError> {
        let (voice, providers) = (VoiceSettings::section(&mut reader), Providers::read(&mut reader));
        let (purchases, storage) = (Purchases::read(&mut reader), Storage::read(&mut reader));
        let whole = || Some(Self { voice: voice?, providers: providers?, purchases: purchases?, storage });
        let settings = whole();
        reader.finish(settings)
    }
}

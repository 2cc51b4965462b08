//! Every setting there is: its name, its default, what it means and which program cannot start without it.
//!
//! `--help` of the programs and `docs/configuration.md` are made from this table, and a configuration file may hold
//! nothing that is not in it.

use std::fmt::Write as _;

/// A program that reads settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `voxanne-server`
    Server,
    /// `voxanne-worker`
    Worker,
    /// `voxctl`; each of its commands needs only what it works with.
    Voxctl,
}

impl Program {
    /// The program's file name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "voxanne-server",
            Self::Worker => "voxanne-worker",
            Self::Voxctl => "voxctl",
        }
    }
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in the environment; in a configuration file the same in lower case.
    pub name: &'static str,
    /// What holds when it is not set.
    pub default: Option<&'static str>,
    /// What it is for, as one sentence without a full stop.
    pub meaning: &'static str,
    /// The programs that look at it.
    pub read_by: &'static [Program],
    /// The programs that do not start without it.
    pub required_by: &'static [Program],
}

const ALL: &[Program] = &[Program::Server, Program::Worker, Program::Voxctl];
const RUNNING: &[Program] = &[Program::Server, Program::Worker];

const fn required(name: &'static str, meaning: &'static str, read_by: &'static [Program]) -> Variable {
    Variable { name, default: None, meaning, read_by, required_by: RUNNING }
}

const fn optional(name: &'static str, meaning: &'static str, read_by: &'static [Program]) -> Variable {
    Variable { name, default: None, meaning, read_by, required_by: &[] }
}

const fn defaulted(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    read_by: &'static [Program],
) -> Variable {
    Variable { name, default: Some(default), meaning, read_by, required_by: &[] }
}

/// The table.
pub const VARIABLES: &[Variable] = &[
    optional(
        "VOXANNE_CONFIG",
        "A TOML file with any of the settings below, in lower case; the environment wins",
        ALL,
    ),
    required("DATABASE_URL", "PostgreSQL 16 or later; a login that cannot bypass row level security", ALL),
    Variable {
        name: "DATABASE_MIGRATION_URL",
        default: Some("DATABASE_URL"),
        meaning: "The same database as the owner of its tables, for `voxctl db migrate`",
        read_by: &[Program::Voxctl],
        required_by: &[],
    },
    defaulted(
        "DATABASE_CONNECTIONS",
        "24",
        "Most connections of one process; twelve for each of the database's cores",
        RUNNING,
    ),
    defaulted("PORT", "8080", "Where the API listens", &[Program::Server]),
    defaulted(
        "METRICS_PORT",
        "9090",
        "Where the worker answers /health, /ready and /metrics",
        &[Program::Worker],
    ),
    required("BACKEND_URL", "Our public base, used in tool and webhook URLs", ALL),
    optional("SERVER_URL", "Another name for BACKEND_URL, which wins", ALL),
    optional(
        "DASHBOARD_ORIGINS",
        "Origins whose pages may call the API, separated by commas",
        &[Program::Server],
    ),
    Variable {
        name: "JWT_SECRET",
        default: None,
        meaning: "Signs our access tokens (HS256), at least 32 bytes; not needed with AUTH_JWKS_URL",
        read_by: &[Program::Server, Program::Voxctl],
        required_by: &[Program::Server],
    },
    optional("AUTH_JWKS_URL", "Keys of an external token issuer", &[Program::Server]),
    defaulted(
        "AUTH_ISSUER",
        "AUTH_JWKS_URL without /.well-known/jwks.json",
        "What external tokens say in `iss`",
        &[Program::Server],
    ),
    defaulted("AUTH_AUDIENCE", "authenticated", "What external tokens say in `aud`", &[Program::Server]),
    required("ENCRYPTION_KEY", "32 bytes in base64 that seal stored secrets; or ENCRYPTION_KEYS", ALL),
    optional(
        "ENCRYPTION_KEYS",
        "`id:base64,id:base64`: the first encrypts, all decrypt; for changing keys",
        ALL,
    ),
    optional("BACKEND_API_KEY", "What machine callers send as X-Api-Key", &[Program::Server]),
    optional(
        "APPROVAL_WEBHOOK_SECRET",
        "Signs POST /webhooks/organization-approved the Standard Webhooks way; `whsec_` and base64, or any text",
        &[Program::Server],
    ),
    required("VAPI_PRIVATE_KEY", "The platform's key at Vapi", ALL),
    optional(
        "VAPI_PUBLIC_KEY",
        "The platform's public key at Vapi, for calls from a browser",
        &[Program::Server],
    ),
    defaulted("VAPI_BASE_URL", "https://api.vapi.ai", "Where Vapi is", ALL),
    defaulted(
        "VAPI_CONCURRENCY",
        "10",
        "Calls that the account at Vapi can have at a time; two are kept for callers",
        ALL,
    ),
    optional(
        "TWILIO_ACCOUNT_SID",
        "The platform's account at Twilio; without it only organizations with an account of their own can use it",
        ALL,
    ),
    optional("TWILIO_AUTH_TOKEN", "The auth token of TWILIO_ACCOUNT_SID", ALL),
    optional(
        "TWILIO_FROM_NUMBER",
        "A number of that account in E.164: test calls and the platform's own messages come from it",
        ALL,
    ),
    optional("TWILIO_BASE_URL", "Where Twilio is, if not at api.twilio.com", ALL),
    defaulted("NUMBERS_PER_ORG", "3", "Numbers that we buy for one organization at a time", ALL),
    defaulted("PURCHASES_PER_DAY", "10", "Numbers that we buy for one organization in 24 hours", ALL),
    optional(
        "GOOGLE_CLIENT_ID",
        "Our registration with Google; without it no calendar there can be connected",
        ALL,
    ),
    optional("GOOGLE_CLIENT_SECRET", "The secret of GOOGLE_CLIENT_ID", ALL),
    optional("GOOGLE_OAUTH_BASE_URL", "Where Google's consent page, tokens and identity are", ALL),
    optional("GOOGLE_API_BASE_URL", "Where Google's calendars are, if not at www.googleapis.com", ALL),
    optional(
        "MICROSOFT_CLIENT_ID",
        "Our registration with Microsoft; without it no calendar there can be connected",
        ALL,
    ),
    optional("MICROSOFT_CLIENT_SECRET", "The secret of MICROSOFT_CLIENT_ID", ALL),
    optional("MICROSOFT_OAUTH_BASE_URL", "Where Microsoft's consent page and tokens are", ALL),
    optional("MICROSOFT_API_BASE_URL", "Where Graph is, if not at graph.microsoft.com", ALL),
    optional(
        "RESEND_API_KEY",
        "The platform's key at Resend, for its own mails and those of organizations; without it none are sent. Has no effect without ADMIN_EMAIL_FROM_USER",
        RUNNING,
    ),
    optional(
        "ADMIN_EMAIL_FROM_USER",
        "Who the platform's mails come from: an address, or `Name <address>`; without it none of our accounts for e-mail is used",
        RUNNING,
    ),
    defaulted(
        "SUPPORT_EMAIL",
        "ADMIN_EMAIL_FROM_USER",
        "Where people who got one of the platform's mails are told to get help",
        &[Program::Worker],
    ),
    optional(
        "SMS_PROVIDER",
        "Which of our accounts texts go through first: `twilio`, `africastalking` or `termii`; otherwise the cheapest",
        RUNNING,
    ),
    optional(
        "EMAIL_PROVIDER",
        "Which of our accounts organizations' e-mails go through first: `resend`, `sendgrid`, `mailgun` or `smtp`",
        RUNNING,
    ),
    defaulted(
        "SIGNUP_CREDITS",
        "1000",
        "What a new organization may spend on messages through our accounts, in minor units",
        ALL,
    ),
    optional("RESEND_WEBHOOK_SECRET", "Signs Resend's events about our own account", RUNNING),
    optional(
        "SENDGRID_API_KEY",
        "The platform's key at SendGrid; has no effect without ADMIN_EMAIL_FROM_USER",
        RUNNING,
    ),
    optional("SENDGRID_WEBHOOK_SECRET", "The public key that SendGrid's events are checked with", RUNNING),
    optional(
        "MAILGUN_API_KEY",
        "The platform's key at Mailgun; has no effect without MAILGUN_DOMAIN and ADMIN_EMAIL_FROM_USER",
        RUNNING,
    ),
    optional("MAILGUN_DOMAIN", "The domain that is sent through there", RUNNING),
    defaulted("MAILGUN_REGION", "us", "Where that account lives: `us` or `eu`", RUNNING),
    optional("MAILGUN_WEBHOOK_SECRET", "Signs Mailgun's events: its HTTP webhook signing key", RUNNING),
    optional(
        "SMTP_HOST",
        "A mail server for organizations' e-mails; has no effect without ADMIN_EMAIL_FROM_USER",
        RUNNING,
    ),
    defaulted("SMTP_PORT", "587, or 465 with SMTP_TLS=implicit", "Its port", RUNNING),
    defaulted("SMTP_TLS", "starttls", "`starttls` or `implicit`; there is no plain text", RUNNING),
    optional("SMTP_USERNAME", "Who signs in there", RUNNING),
    optional("SMTP_PASSWORD", "The password of SMTP_USERNAME", RUNNING),
    optional(
        "AFRICASTALKING_API_KEY",
        "The platform's key at Africa's Talking; has no effect without AFRICASTALKING_USERNAME",
        RUNNING,
    ),
    optional("AFRICASTALKING_USERNAME", "The application there", RUNNING),
    optional("AFRICASTALKING_FROM", "The sender id or short code there", RUNNING),
    optional(
        "AFRICASTALKING_WEBHOOK_SECRET",
        "What stands behind our address for its events, which carry no signature",
        RUNNING,
    ),
    optional(
        "TERMII_API_KEY",
        "The platform's key at Termii; has no effect without TERMII_FROM and TERMII_BASE_URL",
        RUNNING,
    ),
    optional("TERMII_FROM", "The sender id there", RUNNING),
    defaulted("TERMII_CHANNEL", "generic", "Which route texts take there: `generic` or `dnd`", RUNNING),
    optional("TERMII_WEBHOOK_SECRET", "Signs Termii's events", RUNNING),
    optional(
        "WHATSAPP_ACCESS_TOKEN",
        "The platform's token at Meta; has no effect without WHATSAPP_PHONE_NUMBER_ID",
        RUNNING,
    ),
    optional("WHATSAPP_PHONE_NUMBER_ID", "The number there that messages come from", RUNNING),
    optional("WHATSAPP_BUSINESS_ACCOUNT_ID", "The business account there", RUNNING),
    optional(
        "WHATSAPP_APP_SECRET",
        "Signs Meta's events, also about numbers of organizations that bring no secret of their own",
        RUNNING,
    ),
    optional("WHATSAPP_VERIFY_TOKEN", "What Meta presents when it asks for our address for events", RUNNING),
    optional(
        "TWILIO_WHATSAPP_FROM",
        "The number of TWILIO_ACCOUNT_SID that WhatsApp messages come from",
        RUNNING,
    ),
    optional("RESEND_BASE_URL", "Where Resend is, if not at api.resend.com", RUNNING),
    optional("SENDGRID_BASE_URL", "Where SendGrid is, if not at api.sendgrid.com", RUNNING),
    optional("MAILGUN_BASE_URL", "Where Mailgun is, instead of the account's region", RUNNING),
    optional("POSTMARK_BASE_URL", "Where Postmark is, if not at api.postmarkapp.com", RUNNING),
    optional("SES_BASE_URL", "Where Amazon SES is, instead of the account's region", RUNNING),
    optional(
        "AFRICASTALKING_BASE_URL",
        "Where Africa's Talking is, instead of its live or sandbox host",
        RUNNING,
    ),
    optional("TERMII_BASE_URL", "Where Termii is, instead of the account's own host", RUNNING),
    optional("WHATSAPP_BASE_URL", "Where Meta's Graph is, if not at graph.facebook.com", RUNNING),
    defaulted(
        "ALLOW_PRIVATE_HOSTS",
        "false",
        "Lets hosts that an organization names be on private networks; for development only",
        RUNNING,
    ),
    optional("STORAGE_URL", "Where recordings are kept: `file:///…` or `s3://bucket/folder`", ALL),
    optional("AWS_REGION", "The region of the bucket in STORAGE_URL", ALL),
    optional(
        "AWS_ACCESS_KEY_ID",
        "Who we are to the bucket in STORAGE_URL; without it the machine's own role is used",
        ALL,
    ),
    optional("AWS_SECRET_ACCESS_KEY", "The key of AWS_ACCESS_KEY_ID", ALL),
    optional("AWS_SESSION_TOKEN", "What goes with a temporary AWS_ACCESS_KEY_ID", ALL),
    optional("AWS_ENDPOINT_URL", "Where the bucket is, if not at AWS", ALL),
    optional("RECORDING_HOSTS", "Further hosts that recordings may come from, separated by commas", RUNNING),
    defaulted(
        "VOXANNE_ALLOW_TEST_CLOCK",
        "false",
        "Lets `voxctl jobs run NAME --now TIME` pretend a time",
        &[Program::Worker, Program::Voxctl],
    ),
    defaulted("WORKER_CONCURRENCY", "8", "Jobs that one worker runs at a time", &[Program::Worker]),
    defaulted(
        "SHUTDOWN_DRAIN_SECONDS",
        "0",
        "How long /ready says no before we stop accepting; a balancer's interval",
        RUNNING,
    ),
    defaulted("LOG_FORMAT", "json", "`json` or `pretty`", ALL),
    defaulted(
        "RUST_LOG",
        crate::logging::DEFAULT_FILTER,
        "What is logged, in the syntax of tracing's EnvFilter",
        ALL,
    ),
    optional(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Where traces are sent (OTLP over HTTP); without it none are made",
        RUNNING,
    ),
];

/// The settings of one program, for the end of its `--help`.
pub fn help(program: Program) -> String {
    let mut text = String::from("Environment:\n");
    for variable in VARIABLES.iter().filter(|variable| variable.read_by.contains(&program)) {
        let note = match variable.default {
            Some(default) => format!(" [default: {default}]"),
            None if variable.required_by.contains(&program) => " [required]".to_owned(),
            None => String::new(),
        };
        let _ = writeln!(text, "  {}{note}\n          {}", variable.name, variable.meaning);
    }
    text
}

/// The whole table for `docs/configuration.md`.
pub fn markdown() -> String {
    let mut text = String::from("| Name | Default | Meaning | Read by |\n|---|---|---|---|\n");
    for variable in VARIABLES {
        let programs: Vec<String> = variable
            .read_by
            .iter()
            .map(|program| {
                let mark = if variable.required_by.contains(program) { " (required)" } else { "" };
                format!("{}{mark}", program.name())
            })
            .collect();
        let default = variable.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let meaning = variable.meaning;
        let _ = writeln!(text, "| `{}` | {default} | {meaning} | {} |", variable.name, programs.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: Vec<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn help_lists_what_a_program_reads_and_marks_what_it_needs() {
        let help = help(Program::Worker);
        assert!(help.contains("DATABASE_URL [required]"));
        assert!(help.contains("METRICS_PORT [default: 9090]"));
        assert!(!help.contains("DASHBOARD_ORIGINS"));
    }

    #[test]
    fn the_documentation_holds_this_table() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let text = std::fs::read_to_string(document).unwrap();
        assert!(text.contains(&markdown()), "docs/configuration.md must hold this table:\n\n{}", markdown());
    }
}

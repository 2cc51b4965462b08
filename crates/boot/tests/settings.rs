//! What the programs accept as configuration, and how they refuse.

use std::ffi::OsString;

use secrecy::ExposeSecret as _;
use voxanne_boot::{MigrationSettings, Reader, ServerSettings, TokenSettings, WorkerSettings};

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The least that a server starts with.
const ENOUGH: [(&str, &str); 5] = [
    ("DATABASE_URL", "postgres://app:hush@db.example/voxanne"),
    ("BACKEND_URL", "https://api.example.com/"),
    ("JWT_SECRET", SECRET),
    ("ENCRYPTION_KEY", KEY),
    ("VAPI_PRIVATE_KEY", "vapi-hush"),
];

fn reader(variables: &[(&str, &str)]) -> Reader {
    Reader::new(variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))))
}

/// `ENOUGH` with some of it replaced, added, or (by an empty value) taken away.
fn with(changes: &[(&str, &str)]) -> Reader {
    let kept = ENOUGH.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    reader(&kept.chain(changes).copied().collect::<Vec<_>>())
}

fn problems(reader: Reader) -> Vec<String> {
    ServerSettings::read(reader).expect_err("a refusal").problems().to_vec()
}

#[test]
fn the_required_settings_are_enough_and_the_rest_has_defaults() {
    let settings = ServerSettings::read(with(&[])).unwrap();
    assert_eq!(settings.http.port, 8080);
    assert_eq!(settings.backend.url, "https://api.example.com", "without the slash at the end");
    assert_eq!(settings.vapi.base_url.as_str(), "https://api.vapi.ai/");
    assert!(settings.vapi.recording_hosts.is_empty());
    let worker = WorkerSettings::read(with(&[("JWT_SECRET", "")])).unwrap();
    assert_eq!((worker.work.metrics_port, worker.work.concurrency), (9090, 8));
    assert!(!worker.work.allow_test_clock);
}

#[test]
fn an_empty_environment_names_everything_that_is_missing_at_once() {
    let found = problems(reader(&[]));
    let names: Vec<&str> =
        found.iter().filter_map(|problem| problem.split_once(' ').map(|(name, _)| name)).collect();
    assert_eq!(names, ["DATABASE_URL", "JWT_SECRET", "ENCRYPTION_KEY", "VAPI_PRIVATE_KEY", "BACKEND_URL"]);
    assert!(found.iter().all(|problem| problem.contains("is missing: ")));
}

#[test]
fn each_malformed_value_is_named_with_its_rule() {
    for (name, value, rule) in [
        ("DATABASE_URL", "mysql://root@db/x", "must be a URL like postgres://"),
        ("DATABASE_CONNECTIONS", "0", "is not a whole number in its range"),
        ("PORT", "65536", "is not a whole number in its range"),
        ("BACKEND_URL", "api.example.com", "is not a URL"),
        ("BACKEND_URL", "ftp://api.example.com", "must be an http or https URL"),
        ("BACKEND_URL", "https://api.example.com/?a=b", "must be only a base"),
        (
            "DASHBOARD_ORIGINS",
            "https://app.example.com/login",
            "such as https://app.example.com, without a path",
        ),
        ("JWT_SECRET", "short", "must be at least 32 bytes long"),
        ("AUTH_JWKS_URL", "nowhere", "is not a URL"),
        ("ENCRYPTION_KEY", "c2hvcnQ=", "must be 32 bytes in base64"),
        ("ENCRYPTION_KEYS", "no-colon", "must not be set beside"),
        ("VAPI_BASE_URL", "not a url", "is not a URL"),
        ("RECORDING_HOSTS", "files.example.com, not a host", "is not a host name"),
        ("LOG_FORMAT", "xml", "must be json or pretty"),
        ("RUST_LOG", "info,,=,", "is not a log filter"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "must be an http or https URL"),
        ("SHUTDOWN_DRAIN_SECONDS", "-1", "is not a whole number in its range"),
        ("APPROVAL_WEBHOOK_SECRET", "whsec_not base64", "must be base64 after whsec_"),
        ("APPROVAL_WEBHOOK_SECRET", "whsec_", "must be base64 after whsec_"),
    ] {
        let found = problems(with(&[(name, value)]));
        assert_eq!(found.len(), 1, "{name}={value}: {found:?}");
        assert!(found[0].contains(rule), "{name}={value}: {found:?}");
    }
}

#[test]
fn no_secret_is_ever_part_of_a_message_or_of_debug_output() {
    let hush = "hush-hush-hush";
    let broken: Vec<(&str, &str)> =
        ["DATABASE_URL", "JWT_SECRET", "ENCRYPTION_KEY"].into_iter().map(|name| (name, hush)).collect();
    assert!(!problems(with(&broken)).concat().contains(hush));
    assert!(
        !problems(with(&[("ENCRYPTION_KEY", ""), ("ENCRYPTION_KEYS", &format!("a:{hush}"))]))
            .concat()
            .contains(hush)
    );
    let printed = format!("{:?}", ServerSettings::read(with(&[("BACKEND_API_KEY", "api-hush")])).unwrap());
    assert!(!printed.contains("hush") && !printed.contains(SECRET) && !printed.contains(KEY), "{printed}");
}

#[test]
fn the_old_name_of_the_backend_url_is_accepted_and_the_new_one_wins() {
    let old =
        ServerSettings::read(with(&[("BACKEND_URL", ""), ("SERVER_URL", "http://old.example")])).unwrap();
    assert_eq!(old.backend.url, "http://old.example");
    let both = ServerSettings::read(with(&[("SERVER_URL", "http://old.example")])).unwrap();
    assert_eq!(both.backend.url, "https://api.example.com");
}

#[test]
fn an_external_issuer_makes_our_own_secret_optional() {
    let jwks = ("AUTH_JWKS_URL", "https://id.example.com/auth/v1/.well-known/jwks.json");
    let auth = ServerSettings::read(with(&[("JWT_SECRET", ""), jwks])).unwrap().auth;
    assert!(auth.secret.is_none());
    let external = auth.external.unwrap();
    assert_eq!(external.issuer, "https://id.example.com/auth/v1");
    assert_eq!(external.audience, "authenticated");
}

#[test]
fn an_external_issuer_whose_name_cannot_be_told_must_be_named() {
    let found = problems(with(&[("AUTH_JWKS_URL", "https://id.example.com/keys")]));
    assert!(found[0].starts_with("AUTH_ISSUER is missing"), "{found:?}");
}

#[test]
fn several_keys_are_accepted_instead_of_one() {
    let keys = format!("new:{KEY},old:{KEY}");
    ServerSettings::read(with(&[("ENCRYPTION_KEY", ""), ("ENCRYPTION_KEYS", &keys)])).unwrap();
}

#[test]
fn a_stand_in_for_vapi_may_serve_recordings() {
    let vapi = ServerSettings::read(with(&[
        ("VAPI_BASE_URL", "http://127.0.0.1:9000/vapi"),
        ("RECORDING_HOSTS", "files.example.com"),
    ]))
    .unwrap()
    .vapi;
    assert_eq!(vapi.recording_hosts, ["files.example.com", "127.0.0.1"]);
}

#[test]
fn origins_are_kept_as_browsers_send_them() {
    let origins = [("DASHBOARD_ORIGINS", "https://App.example.com/, http://localhost:5173,")];
    let settings = ServerSettings::read(with(&origins)).unwrap();
    assert_eq!(settings.http.dashboard_origins, ["https://app.example.com", "http://localhost:5173"]);
}

#[test]
fn a_command_asks_only_for_what_it_works_with() {
    TokenSettings::read(reader(&[("JWT_SECRET", SECRET)])).unwrap();
    let one = MigrationSettings::read(reader(&[("DATABASE_URL", "postgres://app@db/v")])).unwrap();
    assert_eq!(one.owner_url.expose_secret(), "postgres://app@db/v");
    let both = [("DATABASE_URL", "postgres://app@db/v"), ("DATABASE_MIGRATION_URL", "postgres://owner@db/v")];
    assert_eq!(
        MigrationSettings::read(reader(&both)).unwrap().owner_url.expose_secret(),
        "postgres://owner@db/v"
    );
}

#[test]
fn the_platform_sends_mails_once_it_has_a_key_and_a_sender() {
    let mail = |changes: &[(&str, &str)]| WorkerSettings::read(with(changes)).map(|settings| settings.mail);
    let (key, from) = (("RESEND_API_KEY", "re_hush"), ("ADMIN_EMAIL_FROM_USER", "hello@example.com"));
    assert!(mail(&[]).unwrap().is_none());
    assert!(mail(&[from]).unwrap().is_none());
    let half = WorkerSettings::read(with(&[key])).unwrap();
    assert!(half.mail.is_none() && half.providers.messaging.resend.is_none());
    assert_eq!(half.warnings, ["RESEND_API_KEY: has no effect without ADMIN_EMAIL_FROM_USER"]);
    let both = mail(&[key, from]).unwrap().unwrap();
    assert_eq!(both.support.as_str(), "hello@example.com");
    assert!(!format!("{both:?}").contains("hush"));
    let helped = mail(&[key, from, ("SUPPORT_EMAIL", "help@example.com")]).unwrap().unwrap();
    assert_eq!(helped.support.as_str(), "help@example.com");
    assert!(mail(&[key, from, ("SUPPORT_EMAIL", "help")]).is_err());
}

#[test]
fn the_platforms_account_with_twilio_is_whole_or_not_there() {
    const SID: (&str, &str) = ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef");
    const TOKEN: (&str, &str) = ("TWILIO_AUTH_TOKEN", "twilio-hush");
    const FROM: (&str, &str) = ("TWILIO_FROM_NUMBER", "+15005550006");
    assert!(ServerSettings::read(with(&[])).unwrap().providers.twilio.is_none());
    let settings = WorkerSettings::read(with(&[SID, TOKEN, FROM])).unwrap();
    assert!(!format!("{settings:?}").contains("hush"));
    let twilio = settings.providers.twilio.unwrap();
    assert_eq!((twilio.account_sid.as_str(), twilio.auth_token.expose_secret()), (SID.1, TOKEN.1));
    assert_eq!(twilio.from_number.unwrap().as_str(), FROM.1);
    let without = ServerSettings::read(with(&[SID, TOKEN])).unwrap().providers.twilio.unwrap();
    assert_eq!(without.from_number, None);

    let half = |changes: &[(&str, &str)], expected: &str| {
        let settings = ServerSettings::read(with(changes)).unwrap();
        assert!(settings.providers.twilio.is_none());
        assert_eq!(settings.warnings, [expected]);
    };
    half(&[SID], "TWILIO_ACCOUNT_SID: has no effect without TWILIO_AUTH_TOKEN");
    half(&[TOKEN], "TWILIO_AUTH_TOKEN: has no effect without TWILIO_ACCOUNT_SID");
    half(&[FROM], "TWILIO_FROM_NUMBER: has no effect without TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN");
    let first = with(&[SID, TOKEN, ("SMS_PROVIDER", "twilio")]);
    let warned = "SMS_PROVIDER: names an account of ours that is not configured";
    assert_eq!(ServerSettings::read(first).unwrap().warnings, [warned], "it has no number to text from");

    let check = |changes: &[(&str, &str)], expected: &str| {
        let found = problems(with(changes));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{found:?}");
    };
    check(&[("TWILIO_ACCOUNT_SID", "AC1"), TOKEN], "TWILIO_ACCOUNT_SID: must be `AC` and 32");
    check(&[SID, TOKEN, ("TWILIO_FROM_NUMBER", "5005550006")], "TWILIO_FROM_NUMBER: ");
}

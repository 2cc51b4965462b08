//! Every provider's type at once: what is sealed reads back, and nothing that is shown holds a secret.

use std::fmt::Debug;

use voxanne_kernel::{E164, EmailAddress};

use super::*;
use crate::webhook::WebhookSecrets;

/// What every secret part of the samples contains.
const MARK: &str = "p1anted-Secret";

fn secret() -> SecretString {
    format!("{MARK}-and-its-end").into()
}

fn from() -> Sender {
    Sender {
        email: EmailAddress::new("hello@glow.example").unwrap(),
        name: Some("Glow \"Clinic\" \u{1f33f}".to_owned()),
    }
}

fn number() -> E164 {
    E164::new("+15005550006").unwrap()
}

fn grant() -> OAuthGrant {
    OAuthGrant {
        subject: "108".to_owned(),
        email: "ann@glow.example".to_owned(),
        scopes: vec!["calendar".to_owned(), "mail".to_owned()],
        access_token: secret(),
        expires_at: "2026-11-02T10:00:00.25Z".parse().unwrap(),
        refresh_token: secret(),
    }
}

fn mailgun() -> Mailgun {
    Mailgun {
        api_key: secret(),
        domain: "mg.glow.example".to_owned(),
        region: MailgunRegion::Eu,
        from: from(),
        webhook_signing_key: Some(secret()),
        tracking_domain: None,
    }
}

fn ses() -> Ses {
    Ses {
        access_key_id: "AKIA1".to_owned(),
        secret_access_key: secret(),
        region: "eu-west-1".to_owned(),
        configuration_set: Some("set".to_owned()),
        topic_arn: None,
        from: from(),
    }
}

fn smtp() -> Smtp {
    Smtp {
        host: "mail.glow.example".to_owned(),
        port: 587,
        username: Some("ann".to_owned()),
        password: Some(secret()),
        tls: SmtpTls::StartTls,
        from: from(),
    }
}

fn termii() -> Termii {
    Termii {
        api_key: secret(),
        base_url: "https://v3.api.termii.com/".parse().unwrap(),
        from: "Glow".to_owned(),
        channel: TermiiChannel::Dnd,
        webhook_secret: Some(secret()),
    }
}

fn whatsapp() -> Whatsapp {
    Whatsapp {
        business_account_id: "1".to_owned(),
        phone_number_id: "2".to_owned(),
        access_token: secret(),
        app_secret: Some(secret()),
        verify_token: Some(secret()),
        phone_number: Some(number()),
        display_name: None,
    }
}

fn twilio() -> Twilio {
    Twilio { account_sid: "AC1".to_owned(), auth_token: secret(), phone_number: Some(number()) }
}

/// What was sealed reads back to the same; the text is what it was and shows in nothing else.
fn check<C: ProviderSecret + Debug>(credential: &C) {
    let text = credential.to_plaintext();
    assert!(std::str::from_utf8(&text).unwrap().contains(MARK), "{credential:?}: the sample has a secret");
    let read = C::from_plaintext(&text).unwrap();
    assert_eq!(*read.to_plaintext(), *text, "{credential:?}");
    assert_eq!(read.metadata(), credential.metadata());

    let metadata = Value::from(credential.metadata()).to_string();
    assert!(!metadata.contains(MARK), "{metadata}");
    for debug in [format!("{credential:?}"), format!("{credential:#?}")] {
        assert!(!debug.contains(MARK) && !debug.contains("its-end"), "{debug}");
    }

    // A newer release wrote more.
    let mut newer: Map<String, Value> = serde_json::from_slice(&text).unwrap();
    newer.insert("from_the_future".to_owned(), Value::from(vec![1]));
    assert_eq!(*C::from_plaintext(Value::from(newer).to_string().as_bytes()).unwrap().to_plaintext(), *text);

    // Something is missing, is of another kind, or is cut off; the error repeats nothing of it.
    let whole: Map<String, Value> = serde_json::from_slice(&text).unwrap();
    let mut broken = vec![text[..text.len() - 1].to_vec(), b"[]".to_vec(), b"".to_vec()];
    for (name, value) in &whole {
        let mut changed = whole.clone();
        changed[name] = Value::from(true);
        broken.push(Value::from(changed).to_string().into_bytes());
        if value.is_string() || value.is_object() {
            let mut less = whole.clone();
            less.remove(name);
            // What may be missing reads as nothing.
            if let Err(error) = C::from_plaintext(Value::from(less).to_string().as_bytes()) {
                assert_eq!(error, Unreadable::UnexpectedShape);
            }
        }
    }
    for text in broken {
        let error = C::from_plaintext(&text).err().unwrap();
        assert_eq!(error, Unreadable::UnexpectedShape);
        assert!(!format!("{error} {error:?}").contains(MARK));
    }
}

#[test]
fn every_credential_reads_back_and_shows_no_secret() {
    check(&twilio());
    check(&GoogleCalendar(grant()));
    check(&OutlookCalendar(grant()));
    check(&Resend { api_key: secret(), from: from(), webhook_secret: Some(secret()) });
    check(&Sendgrid {
        api_key: secret(),
        region: Some(SendgridRegion::Eu),
        from: from(),
        webhook_public_key: Some("MFk".to_owned()),
    });
    check(&mailgun());
    check(&Postmark { server_token: secret(), from: from(), webhook_secret: Some(secret()) });
    check(&ses());
    check(&smtp());
    check(&AfricasTalking {
        username: "glow".to_owned(),
        api_key: secret(),
        from: None,
        webhook_secret: Some(secret()),
    });
    check(&termii());
    check(&whatsapp());
}

#[test]
fn what_is_brought_is_as_silent_as_what_it_holds() {
    let brought: [Brought; 3] = [twilio().into(), smtp().into(), whatsapp().into()];
    for brought in brought {
        assert!(!format!("{brought:?}").contains(MARK));
        assert!(!Value::from(brought.metadata()).to_string().contains(MARK));
    }
}

#[test]
fn a_webhook_secret_shows_nothing_at_all() {
    let secrets = WebhookSecrets::generate().unwrap();
    assert_eq!(format!("{secrets:?}"), "WebhookSecrets");
    assert!(secrets.metadata().is_empty());
}

#[test]
fn what_is_missing_and_needed_is_an_error_and_what_is_not_is_nothing() {
    let text = br#"{"account_sid":"AC1","auth_token":"t"}"#;
    assert!(Twilio::from_plaintext(text).unwrap().phone_number.is_none());
    for text in [
        br#"{"account_sid":"AC1"}"#.as_slice(),
        br#"{"account_sid":"AC1","auth_token":null}"#,
        br#"{"account_sid":"AC1","auth_token":"t","phone_number":"0800"}"#,
    ] {
        assert_eq!(Twilio::from_plaintext(text).err(), Some(Unreadable::UnexpectedShape));
    }
}

#[test]
fn people_recognize_a_credential_by_what_is_shown() {
    let check = |shown: Map<String, Value>, expected: Value| assert_eq!(Value::from(shown), expected);
    check(
        twilio().metadata(),
        serde_json::json!({"accountSid": "AC1", "phoneNumber": "+15005550006", "hint": "-end"}),
    );
    check(
        GoogleCalendar(grant()).metadata(),
        serde_json::json!({"email": "ann@glow.example", "scopes": ["calendar", "mail"]}),
    );
    check(
        mailgun().metadata(),
        serde_json::json!({"domain": "mg.glow.example", "region": "eu", "fromEmail": "hello@glow.example",
            "fromName": "Glow \"Clinic\" \u{1f33f}", "hint": "-end"}),
    );
    check(
        smtp().metadata(),
        serde_json::json!({"host": "mail.glow.example", "port": 587, "tls": "starttls",
            "fromEmail": "hello@glow.example", "fromName": "Glow \"Clinic\" \u{1f33f}", "hint": "-end"}),
    );
}

#[test]
fn a_short_secret_gives_no_hint() {
    let hint = |secret: &str| Shown::hinting(&secret.into()).0.get("hint").cloned();
    assert_eq!(hint("12345678901"), None);
    assert_eq!(hint("123456789012"), Some("9012".into()));
    assert_eq!(hint("żółw żółw żółw"), Some("żółw".into()));
}

#[test]
fn a_verify_token_that_we_made_may_be_shown_and_no_other() {
    let mut whatsapp = whatsapp();
    assert_eq!(whatsapp.shown_verify_token(), None, "it was typed in");
    let made = Whatsapp::new_verify_token().unwrap();
    assert_ne!(made.expose_secret(), Whatsapp::new_verify_token().unwrap().expose_secret());
    whatsapp.verify_token = Some(made.clone());
    assert_eq!(whatsapp.shown_verify_token(), Some(made.expose_secret()));
    whatsapp.verify_token = None;
    assert_eq!(whatsapp.shown_verify_token(), None);
}

#[test]
fn a_verify_token_is_accepted_only_as_it_is() {
    let mut whatsapp = whatsapp();
    whatsapp.verify_token = Some("open sesame".into());
    for (presented, accepted) in
        [("open sesame", true), ("open sesam", false), ("open sesamE", false), ("", false)]
    {
        assert_eq!(whatsapp.is_verify_token(presented), accepted, "{presented}");
    }
    whatsapp.verify_token = None;
    assert!(!whatsapp.is_verify_token(""));
}

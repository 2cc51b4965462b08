//! What a reply says about consent, and which texts ask for it; how a recipient is written so that one person is one row.

use proptest::prelude::*;
use voxanne_messaging::{
    channel::Channel,
    consent::{Meaning, normalised, wording},
    providers::OptOut,
};

#[test]
fn a_whole_text_is_an_answer_about_consent_and_a_sentence_is_not() {
    let check = |text: &str, expected| assert_eq!(Meaning::of(text, None), expected, "{text:?}");
    for stop in
        ["STOP", "stop", " Stop\n", "STOPALL", "Unsubscribe", "CANCEL", "end", "QUIT", "REVOKE", "OptOut"]
    {
        check(stop, Meaning::Stop);
    }
    for start in ["START", "unstop", "Yes", " yes "] {
        check(start, Meaning::Start);
    }
    for help in ["HELP", "info"] {
        check(help, Meaning::Help);
    }
    for other in
        ["STOP please", "please stop", "stop.", "STOP ALL", "yes please", "", "no", "ＳＴＯＰ", "S T O P"]
    {
        check(other, Meaning::Other);
    }
}

#[test]
fn the_providers_own_reading_goes_first() {
    assert_eq!(Meaning::of("arrêt", Some(OptOut::Stop)), Meaning::Stop);
    assert_eq!(Meaning::of("STOP", Some(OptOut::Start)), Meaning::Start);
    assert_eq!(Meaning::of("hello", Some(OptOut::Help)), Meaning::Help);
}

#[test]
fn a_recipient_has_one_spelling() {
    let check = |channel, text: &str, expected: Option<&str>| {
        assert_eq!(normalised(channel, text).as_deref(), expected, "{text}");
    };
    check(Channel::Sms, "+15005550006", Some("+15005550006"));
    check(Channel::Sms, "15005550006", Some("+15005550006"));
    check(Channel::Whatsapp, "whatsapp:+15005550006", Some("+15005550006"));
    check(Channel::Sms, "MyClinic", None);
    check(Channel::Email, " Ann@Example.COM ", Some("ann@example.com"));
    check(Channel::Email, "nobody", None);
    check(Channel::Email, "+15005550006", None);
}

#[test]
fn no_text_asks_for_an_answer_that_is_read_as_an_opt_out() {
    for (text, word) in [
        ("Reply CANCEL to cancel your appointment.", "CANCEL"),
        ("reply cancel if you can't make it", "CANCEL"),
        ("Reply YES to confirm or CANCEL to cancel.", "CANCEL"),
        ("To cancel, text back the word \"cancel\"", "CANCEL"),
        ("Text END when you are done", "END"),
        ("Answer with QUIT to leave the waiting list", "QUIT"),
        ("C = confirm. CANCEL to cancel", "CANCEL"),
        ("Hi {{name}}, see you at 3.\nReply 'Cancel' to cancel", "CANCEL"),
        ("Please reply STOP to cancel your appointment", "STOP"),
        ("Send REVOKE to take it back", "REVOKE"),
        ("Répondez CANCEL pour annuler", "CANCEL"),
        ("Antworten Sie mit CANCEL, um abzusagen", "CANCEL"),
    ] {
        assert_eq!(wording::check(text).unwrap_err().word, word, "{text}");
    }
    let error = wording::check("Reply CANCEL to cancel.").unwrap_err().to_string();
    assert!(error.contains("CANCEL") && error.contains("another word"), "{error}");
}

#[test]
fn texts_that_only_speak_of_it_pass() {
    for text in [
        "Reply STOP to opt out",
        "Reply YES to confirm or NO to tell us you can't come.",
        "Text STOP to unsubscribe. Msg&data rates may apply",
        "To cancel or reschedule, call us on +1 500 555 0006.",
        "You can cancel until 24 hours before. Reply C to do so",
        "We will send the results by the end of the week.",
        "Your appointment at the end of March was cancelled",
        "Reply 1 to confirm, 2 to reschedule",
        "Please text us to end your subscription",
        "We had to CANCEL your appointment",
        "",
    ] {
        assert_eq!(wording::check(text), Ok(()), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_can_be_looked_at(text: String) {
        let _ = wording::check(&text);
        let _ = Meaning::of(&text, None);
    }

    #[test]
    fn what_people_are_asked_to_answer_is_never_read_as_an_opt_out(
        word in "(?i)(cancel|end|quit|revoke|yes|no|1|stop|confirm)", rest in "[a-z ]{0,20}",
    ) {
        let asks = format!("Reply {word} {rest}");
        if wording::check(&asks).is_ok() && Meaning::of(&word, None) == Meaning::Stop {
            // Only what is known as the way to opt out may be asked for.
            prop_assert_eq!(word.to_uppercase(), "STOP");
        }
    }
}

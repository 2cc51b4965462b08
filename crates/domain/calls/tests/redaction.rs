//! The phrases and properties of `providers/phi-redaction.md` §3.

use proptest::prelude::*;
use voxanne_calls::redact::{Kind, redact_text, redact_turns};

#[track_caller]
fn check(said: &str, stored: &str) {
    let (text, removed) = redact_text(said);
    assert_eq!(text, stored);
    assert_eq!(removed.is_empty(), said == stored);
    assert_eq!(redact_text(stored).0, stored, "redacting twice");
}

#[test]
fn social_security_numbers_go_however_they_are_said() {
    check("My social is 219-09-9999, okay?", "My social is [SSN], okay?");
    check(
        "social security number is two one nine oh nine nine nine nine nine",
        "social security number is [SSN]",
    );
    check(
        "my social security number is two nineteen oh nine ninety nine ninety nine",
        "my social security number is [SSN]",
    );
    check(
        "it's two one nine, uh, zero nine, double nine double nine, that's my social",
        "it's [SSN], that's my social",
    );
    check("it's two one nine, uh, zero nine, double nine double nine", "it's [NUMBER]");
    check("The last four of my social are four four two one", "The last four of my social are [SSN]");
    check("MY SOCIAL IS 666 00 0000", "MY SOCIAL IS [SSN]");
    check("219 09 9999", "[SSN]");
    check("666-00-0000", "[NUMBER]");
}

#[test]
fn cards_and_their_codes_go() {
    check(
        "Card number is 4111 1111 1111 1111 and the security code is 123",
        "Card number is [CARD] and the security code is [CVV]",
    );
    check(
        "four one one one, one one one one, one one one one, one one one one on the visa",
        "[CARD] on the visa",
    );
    check("my visa is 4111 1111 1111 1112", "my visa is [CARD]");
    check("the card expires 04/27", "the card expires [EXPIRY]");
}

#[test]
fn phone_numbers_and_addresses_go() {
    check("reach me at four one five five five five oh one two three", "reach me at [PHONE]");
    check("it is +1 (415) 555-0199", "it is [PHONE]");
    check("call (415) 555-0199.", "call [PHONE].");
    check("my cell is 555 0199", "my cell is [PHONE]");
    check("it is +33 6 12 34 56 78", "it is [PHONE]");
    check("send it to jo dot smith at example dot com", "send it to [EMAIL]");
    check("Write to Jo.Smith+x@mail.example.co.uk, please.", "Write to [EMAIL], please.");
    check("see https://example.com/a?b=1 or www.example.org.", "see [URL] or [URL].");
    check("my zip code is 94107", "my zip code is [ZIP]");
    check("I live at 1200 Main Street in town", "I live at [ADDRESS] in town");
    check("from 192.168.1.10", "from [IP]");
}

#[test]
fn dates_of_birth_go_and_other_dates_stay() {
    check("my date of birth is March third nineteen eighty four", "my date of birth is [DOB]");
    check("born on the tenth, sorry, born May 10th 1990", "born on the tenth, sorry, born [DOB]");
    check("dob 03/14/1984", "dob [DOB]");
    check("my birthday is three fourteen eighty four", "my birthday is [DOB]");
    check("see you on March third at two thirty pm", "see you on March third at two thirty pm");
    check("booked for 2026-03-03 at 10:30", "booked for 2026-03-03 at 10:30");
    check("on March 3, 2026, 10:30 or May 4, 2026, 11:30", "on March 3, 2026, 10:30 or May 4, 2026, 11:30");
}

#[test]
fn record_numbers_go() {
    check("My MRN is A1234567", "My MRN is [ID]");
    check("medical record number is four four seven eight nine two", "medical record number is [ID]");
    check("the member ID: XYZ-90210334", "the member ID: [ID]");
    check("my medicare number is 1EG4-TE5-MK73", "my medicare number is [ID]");
}

#[test]
fn names_go_where_they_are_introduced_or_known() {
    check("Hi, my name is Ann Smith and I need botox", "Hi, my name is [NAME] and I need botox");
    check("this is Ann speaking", "this is [NAME] speaking");
    check("this is Botox", "this is Botox");
    let (texts, removed) =
        redact_turns(&[("caller", "It's Ann Smith. Yes, Ann."), ("agent", "Hi ann smith")], &["Ann Smith"]);
    assert_eq!(texts, ["It's [NAME]. Yes, [NAME].", "Hi [NAME]"]);
    assert_eq!(removed.count(Kind::Name), 3);
}

#[test]
fn what_nothing_explains_fails_closed() {
    check("order 5550001234567 was shipped", "order [NUMBER] was shipped");
}

#[test]
fn quantities_stay() {
    for text in [
        "",
        "Botox is four hundred dollars for twenty units",
        "see you on March third at two thirty pm",
        "I am forty two years old and I need 30 minutes",
        "I have one question, two kids and a one o'clock meeting",
        "It's $1,500.00, or 2,500 dollars with 20% off",
        "open from 9 to 5, for 10 to 12 people",
        "I’ve had it since 2019 – “twice”",
    ] {
        check(text, text);
    }
    check("she is ninety two years old", "she is [AGE] years old");
}

#[test]
fn unusual_digits_and_hidden_characters_do_not_help() {
    check("my social is ２１９-０９-９９９９", "my social is [SSN]");
    check("my social is ٢١٩ ٠٩ ٩٩٩٩", "my social is [SSN]");
    check("my social is 2\u{200b}1\u{200d}9-0\u{feff}9-99\u{ad}99", "my social is [SSN]");
}

#[test]
fn a_number_in_pieces_is_one_number_and_a_question_explains_its_answer() {
    let turns = [
        ("caller", "two one nine"),
        ("agent", "mm-hm"),
        ("caller", "oh nine"),
        ("caller", "nine nine nine nine, that is my social"),
    ];
    let (texts, removed) = redact_turns(&turns, &[]);
    assert_eq!(texts, ["[SSN]", "mm-hm", "[SSN]", "[SSN], that is my social"]);
    assert_eq!(removed.count(Kind::Ssn), 3);

    let turns = [("agent", "What is your social security number?"), ("caller", "219099999")];
    assert_eq!(redact_turns(&turns, &[]).0[1], "[SSN]");
    let turns = [("agent", "And the last four of your social?"), ("caller", "uh, 4421")];
    assert_eq!(redact_turns(&turns, &[]).0[1], "uh, [SSN]");
}

#[test]
fn a_megabyte_is_read_once_and_holds_no_number_afterwards() {
    let phrase = "Hello, I would like Botox on March third, my social is 219-09-9999 and you reach me at jo dot smith \
                  at example dot com or four one five five five five oh one two three, thanks. ";
    let (text, removed) = redact_text(&phrase.repeat(1 + 1_000_000 / phrase.len()));
    assert!(!text.contains("219") && !text.contains("smith") && !text.contains("five five"));
    assert_eq!(removed.count(Kind::Ssn), removed.count(Kind::Phone));
}

const PIECES: &[&str] = &[
    "social",
    "card",
    "visa",
    "born",
    "mrn",
    "member",
    "expires",
    "cvv",
    "zip",
    "phone",
    "account",
    "last",
    "four",
    "one",
    "nine",
    "oh",
    "double",
    "twenty",
    "ninety",
    "hundred",
    "for",
    "to",
    "uh",
    "dash",
    "and",
    ",",
    ".",
    "-",
    "+",
    "(",
    ")",
    "$",
    "dollars",
    "minutes",
    "years",
    "old",
    "March",
    "third",
    "1984",
    "219",
    "09",
    "9999",
    "4111111111111111",
    "123",
    "A1234567",
    "415 555 0199",
    "at",
    "dot",
    "com",
    "example",
    "my name is",
    "Ann",
    "[SSN]",
    "[",
    "]",
    "Street",
    "CA",
    "94107",
    "é",
    "٣",
    "\u{200b}",
    "’",
    "3/14/1984",
    "10:30",
    "192.168.1.1",
    "a@b.com",
    "5",
    "7 7",
];

fn talk() -> impl Strategy<Value = Vec<(bool, String)>> {
    let text = prop::collection::vec(
        (prop::sample::select(PIECES), prop::sample::select(&[" ", "", " "][..])),
        0..40,
    )
    .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, gap)| [piece, gap]).collect::<String>());
    prop::collection::vec((any::<bool>(), text), 0..6)
}

fn borrowed(turns: &[(bool, String)]) -> Vec<(bool, &str)> {
    turns.iter().map(|(speaker, text)| (*speaker, text.as_str())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn redacting_twice_is_redacting_once(turns in talk()) {
        let once = redact_turns(&borrowed(&turns), &["Ann Example"]).0;
        let again: Vec<_> = turns.iter().zip(&once).map(|((speaker, _), text)| (*speaker, text.clone())).collect();
        let (twice, removed) = redact_turns(&borrowed(&again), &["Ann Example"]);
        prop_assert_eq!(once, twice);
        prop_assert!(removed.is_empty());
    }

    #[test]
    fn any_text_is_survived_and_nothing_else_is_lost(text in "\\PC{0,200}") {
        let (stored, removed) = redact_text(&text);
        let plain = text.is_ascii() && removed.is_empty();
        prop_assert!(!plain || stored == text);
    }

    #[test]
    fn no_card_number_survives(prefix in "[a-z ]{0,40}", digits in "[2-9][0-9]{11,18}") {
        let (stored, _) = redact_text(&format!("{prefix} card {digits}"));
        prop_assert!(!stored.contains(&digits));
    }

    #[test]
    fn no_run_of_seven_digits_survives(digits in "[0-9]{7,30}", before in "[a-z ]{0,30}") {
        let (stored, _) = redact_text(&format!("{before} {digits}"));
        prop_assert!(!stored.bytes().any(|b| b.is_ascii_digit()), "{}", stored);
    }
}

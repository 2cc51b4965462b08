//! How a text is encoded and counted, against the vectors of the facts and by hand.

use proptest::prelude::*;
use serde::Deserialize;
use voxanne_messaging::segments::{Encoding, Segments, plainer, termii_pages};

#[derive(Deserialize)]
struct Vector {
    text: Vec<(String, usize)>,
    encoding: String,
    units: u32,
    segments: u32,
}

#[test]
fn every_vector_of_the_facts_passes() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../fixtures/sms_segments.json")).unwrap();
    assert_eq!(vectors.len(), 27);
    for vector in vectors {
        let text: String = vector.text.iter().map(|(part, times)| part.repeat(*times)).collect();
        let found = Segments::of(&text);
        let expected = (vector.encoding.as_str(), vector.units, vector.segments);
        assert_eq!((found.encoding.as_str(), found.units, found.count), expected, "{:?}", vector.text);
    }
}

#[test]
fn every_character_of_the_tables_is_known_and_no_other() {
    let basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
    assert_eq!(basic.chars().count(), 127);
    for c in basic.chars() {
        let found = Segments::of(&c.to_string());
        assert_eq!((found.encoding, found.units), (Encoding::Gsm7, 1), "{c:?}");
    }
    for c in "\u{c}^{}\\[~]|€".chars() {
        let found = Segments::of(&c.to_string());
        assert_eq!((found.encoding, found.units), (Encoding::Gsm7, 2), "{c:?}");
    }
    for c in "çêáíóúâôõ`\t\u{1b}’“–—…₦😀\u{a0}".chars() {
        assert_eq!(Segments::of(&c.to_string()).encoding, Encoding::Ucs2, "{c:?}");
    }
}

#[test]
fn nothing_is_no_segment() {
    assert_eq!(Segments::of("").count, 0);
    assert_eq!(termii_pages(""), 0);
}

#[test]
fn typographic_characters_are_offered_to_be_replaced_where_it_saves_something() {
    let curly = format!("{}\u{2019}", "a".repeat(100));
    let offer = plainer(&curly).unwrap();
    assert_eq!(offer.text, format!("{}'", "a".repeat(100)));
    assert_eq!((Segments::of(&curly).count, offer.segments.count), (2, 1));
    assert_eq!(offer.segments.encoding, Encoding::Gsm7);
    // One part either way: nobody needs to be asked.
    assert_eq!(plainer("It\u{2019}s fine"), None);
    // Plain already, or not to be helped.
    assert_eq!(plainer(&"a".repeat(200)), None);
    assert_eq!(plainer(&"ş".repeat(200)), None);
    let all = format!("\u{201c}a\u{201d} \u{2013} b\u{2026}\u{a0}c\u{2011}d{}", "x".repeat(80));
    assert_eq!(plainer(&all).unwrap().text, format!("\"a\" - b... c-d{}", "x".repeat(80)));
}

#[test]
fn termii_counts_pages_by_its_own_rule() {
    let check = |text: String, pages: u32| assert_eq!(termii_pages(&text), pages, "{text}");
    check("a".repeat(160), 1);
    check("a".repeat(161), 2);
    check("a".repeat(320), 2);
    check(format!("{}'", "a".repeat(69)), 1);
    check(format!("{}'", "a".repeat(70)), 2);
    check(format!("see https://a.example {}", "a".repeat(60)), 2);
    check(format!("and/or {}", "a".repeat(100)), 1);
    check("₦".repeat(71), 2);
}

/// The least that any packing needs, and a packing that fills each part to its end and takes back what was torn apart.
fn by_hand(units: &[u32], single: u32, part: u32) -> u32 {
    if units.iter().sum::<u32>() <= single {
        return 1;
    }
    let (mut parts, mut left) = (1, part);
    for size in units {
        if *size > left {
            parts += 1;
            left = part;
        }
        left -= size;
    }
    parts
}

proptest! {
    #[test]
    fn parts_hold_the_text_without_tearing_anything(text in "[a-c{€]{1,500}") {
        let units: Vec<u32> = text.chars().map(|c| if c == '{' || c == '€' { 2 } else { 1 }).collect();
        let found = Segments::of(&text);
        prop_assert_eq!(found.encoding, Encoding::Gsm7);
        prop_assert_eq!(found.units, units.iter().sum::<u32>());
        prop_assert_eq!(found.count, by_hand(&units, 160, 153));
        // Never fewer than the room allows, never so many that a part is less than full but for one unit.
        let least = if found.units <= 160 { 1 } else { found.units.div_ceil(153) };
        let most = if found.units <= 160 { 1 } else { found.units.div_ceil(152) };
        prop_assert!((least..=most).contains(&found.count));
    }

    #[test]
    fn surrogates_stay_together(text in "[ş😀]{1,300}") {
        let units: Vec<u32> = text.chars().map(|c| if c == '😀' { 2 } else { 1 }).collect();
        let found = Segments::of(&text);
        prop_assert_eq!(found.encoding, Encoding::Ucs2);
        prop_assert_eq!(found.units as usize, text.encode_utf16().count());
        prop_assert_eq!(found.count, by_hand(&units, 70, 67));
    }

    #[test]
    fn more_text_is_never_fewer_parts(text: String, more: String) {
        let whole = format!("{text}{more}");
        prop_assert!(Segments::of(&whole).count >= Segments::of(&text).count);
        prop_assert_eq!(Segments::of(&text).count == 0, text.is_empty());
    }

    #[test]
    fn an_offer_saves_and_says_the_same_letters(text: String) {
        if let Some(offer) = plainer(&text) {
            prop_assert!(offer.segments.count < Segments::of(&text).count);
            prop_assert_eq!(Segments::of(&offer.text), offer.segments);
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(letters(&offer.text), letters(&text));
        }
    }
}

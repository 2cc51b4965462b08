//! How many parts a text message is split into, and so what it costs (`providers/messaging.md` §13).
//!
//! A text of nothing but GSM-7 characters is sent in septets, any other text in UTF-16 code units. An extension
//! character (two septets) and a surrogate pair (two code units) are never torn apart, so parts are packed one character
//! after the other: dividing the total would promise one part too few.

use std::borrow::Cow;

use serde::Serialize;

/// How a text message is written on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Encoding {
    /// Seven bits a character, two such for those of the extension table.
    #[serde(rename = "GSM-7")]
    Gsm7,
    /// Sixteen bits a code unit.
    #[serde(rename = "UCS-2")]
    Ucs2,
}

impl Encoding {
    /// The usual name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }

    /// Units in a message of one part, and in each part of a longer one, which also carries its place in the whole.
    const fn room(self) -> (u32, u32) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }
}

/// What a text comes to when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segments {
    /// How it is written.
    pub encoding: Encoding,
    /// Septets or code units in all.
    pub units: u32,
    /// Parts; 0 only for an empty text, which nobody sends.
    pub count: u32,
}

impl Segments {
    /// Counts `text` as it is: what is appended later has to be part of it.
    pub fn of(text: &str) -> Self {
        let encoding = if text.chars().all(is_gsm7) { Encoding::Gsm7 } else { Encoding::Ucs2 };
        let sizes = || text.chars().map(|c| size(c, encoding));
        let units = sizes().fold(0_u32, u32::saturating_add);
        let (single, part) = encoding.room();
        let count = match units {
            0 => 0,
            units if units <= single => 1,
            _ => packed(sizes(), part),
        };
        Self { encoding, units, count }
    }
}

/// How many parts of `room` units hold `sizes` in their order, none of them torn apart.
fn packed(sizes: impl Iterator<Item = u32>, room: u32) -> u32 {
    let (parts, _) = sizes.fold((1_u32, 0_u32), |(parts, used), size| {
        if used + size > room { (parts.saturating_add(1), size) } else { (parts, used + size) }
    });
    parts
}

/// Pages as Termii counts and bills them, which is not how the air does it: 160 characters each, or 70 when certain
/// characters occur (`providers/messaging.md` §10). That list names no letter beyond GSM-7; those are counted as 70 too,
/// so that an estimate is rather too high than too low.
pub fn termii_pages(text: &str) -> u32 {
    let special = |c: char| TERMII_SPECIAL.contains(c) || !is_gsm7(c);
    let room = if text.contains("//") || text.chars().any(special) { 70 } else { 160 };
    u32::try_from(text.chars().count().div_ceil(room)).unwrap_or(u32::MAX)
}

const TERMII_SPECIAL: &str = ";^{}\\[~]|€'”";

/// The basic table, without the letters, digits and the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
/// The extension table: an escape and a character each.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

fn is_basic(c: char) -> bool {
    c.is_ascii_alphanumeric() || BASIC.contains(c)
}

fn is_gsm7(c: char) -> bool {
    is_basic(c) || EXTENSION.contains(c)
}

fn size(c: char, encoding: Encoding) -> u32 {
    match encoding {
        Encoding::Gsm7 if is_basic(c) => 1,
        Encoding::Gsm7 => 2,
        // One or two code units.
        Encoding::Ucs2 => u32::try_from(c.len_utf16()).unwrap_or(2),
    }
}

/// The same text in plainer characters, and what that saves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plainer {
    /// The text with plain quotes, dashes, dots and spaces.
    pub text: String,
    /// What it comes to.
    pub segments: Segments,
}

/// Offers `text` with typographic quotes, dashes, ellipses and special spaces replaced by what everybody can type.
/// `None` when that makes it no cheaper: then nobody needs to be asked.
pub fn plainer(text: &str) -> Option<Plainer> {
    let Cow::Owned(plain) = without_typography(text) else { return None };
    let segments = Segments::of(&plain);
    (segments.count < Segments::of(text).count).then_some(Plainer { text: plain, segments })
}

/// `text` with typographic characters replaced.
fn without_typography(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| plain(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut plainer = String::with_capacity(text.len());
    for c in text.chars() {
        match plain(c) {
            Some(replacement) => plainer.push_str(replacement),
            None => plainer.push(c),
        }
    }
    Cow::Owned(plainer)
}

const fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2032}' | '\u{2039}' | '\u{203a}' | '`'
        | '\u{b4}' => "'",
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => "\"",
        '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}' | '\u{2014}' | '\u{2015}' | '\u{2212}' => "-",
        '\u{2026}' => "...",
        '\u{2022}' | '\u{b7}' => "*",
        '\t' | '\u{a0}' | '\u{2002}' | '\u{2003}' | '\u{2007}' | '\u{2009}' | '\u{200a}' | '\u{202f}' => " ",
        '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{ad}' => "",
        _ => return None,
    })
}

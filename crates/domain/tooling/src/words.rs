//! Words as they are compared when a caller's question is held against what an organization has written.
//!
//! It is the smallest thing that works without a model: case, accents and the commonest English endings do not matter,
//! and words that every question has are no evidence of anything. Other languages lose only the endings.

use std::collections::BTreeSet;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// What every question has: pronouns, articles, auxiliaries, prepositions, and the verbs of asking and offering.
const COMMON: &str = "
    a about accept all also am an and any anything are as ask at be been but by can clinic could did do does
    else for from get give go going got had has have hello her here hi him his how i if in information into is
    it its just kind know let like long many may me more much my need of off offer on one or our out place
    please possible provide question she should so some something take tell than thank that the their them then
    there these they thing this to up us use want was we were what when which who why will with would yes
    you your
";

/// The words of `text` in their order, as they are compared.
pub(crate) fn listed(text: &str) -> Vec<String> {
    let folded: String =
        text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() > 1 || word.chars().any(|c| c.is_ascii_digit()))
        .map(stem)
        .collect()
}

/// The words of `text` that say what it is about.
pub(crate) fn telling(text: &str) -> BTreeSet<String> {
    let common: BTreeSet<String> = COMMON.split_whitespace().map(stem).collect();
    listed(text).into_iter().filter(|word| !common.contains(word)).collect()
}

/// `hours` and `hour`, `closed`, `closes` and `close`, `parking` and `park` are one.
fn stem(word: &str) -> String {
    let mut word = word;
    for ending in ["s", "ing", "ed", "e"] {
        if let Some(rest) = word.strip_suffix(ending)
            && rest.chars().count() >= 3
            && !(ending == "s" && rest.ends_with('s'))
        {
            word = rest;
        }
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one_and_questions_are_stripped_to_what_they_are_about() {
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(telling(text).into_iter().collect::<Vec<_>>(), expected, "{text}");
        };
        check("What are your opening hours?", &["hour", "open"]);
        check("When do you close / are you closed", &["clos"]);
        check("How much is it?", &[]);
        check("Où est le Café?", &["caf", "est", "le", "ou"]);
        check("May I park at No 7?", &["7", "no", "park"]);
    }
}

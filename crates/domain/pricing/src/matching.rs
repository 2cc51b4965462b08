//! Which services a text mentions.
//!
//! Both sides are reduced to words: compatibility-decomposed, marks dropped, lower case, split at everything that is
//! neither letter nor digit. A keyword matches a run of whole words. Longer keywords take their words first, so a
//! "lip filler" is not also a "filler", and a service counts once however often and under however many names it comes.

use std::collections::HashMap;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Recognises a fixed set of services; `Id` is whatever the caller calls them by.
#[derive(Debug, Clone)]
pub struct Matcher<Id> {
    /// Longest first, by words and then by characters; equal ones in the order of the catalogue.
    phrases: Vec<(Vec<Box<str>>, Id)>,
}

/// The words of `text` as they are compared.
pub fn words(text: &str) -> Vec<Box<str>> {
    let mut found = Vec::new();
    let mut word = String::new();
    for c in text.nfkd().filter(|c| !is_combining_mark(*c) && *c != '\u{ad}') {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        } else if !word.is_empty() {
            found.push(std::mem::take(&mut word).into_boxed_str());
        }
    }
    if !word.is_empty() {
        found.push(word.into_boxed_str());
    }
    found
}

impl<Id: Copy + PartialEq> Matcher<Id> {
    /// Prepares to find the given services, each with all the phrases that mean it.
    pub fn new<'a>(services: impl IntoIterator<Item = (Id, Vec<&'a str>)>) -> Self {
        let mut phrases: Vec<(Vec<Box<str>>, Id)> = services
            .into_iter()
            .flat_map(|(id, names)| names.into_iter().map(move |name| (words(name), id)))
            .filter(|(phrase, _)| !phrase.is_empty())
            .collect();
        let size = |phrase: &[Box<str>]| (phrase.len(), phrase.iter().map(|w| w.len()).sum::<usize>());
        phrases.sort_by_key(|(phrase, _)| std::cmp::Reverse(size(phrase)));
        Self { phrases }
    }

    /// The services that any of `texts` mentions, each once, in the order of their longest phrase.
    pub fn mentioned<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Vec<Id> {
        let mut found: Vec<Id> = Vec::new();
        for text in texts {
            for id in self.mentioned_in(text) {
                if !found.contains(&id) {
                    found.push(id);
                }
            }
        }
        found
    }

    fn mentioned_in(&self, text: &str) -> Vec<Id> {
        let said = words(text);
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, word) in said.iter().enumerate() {
            places.entry(word).or_default().push(place);
        }
        let mut taken = vec![false; said.len()];
        let mut found = Vec::new();
        for (phrase, id) in &self.phrases {
            for &start in places.get(&*phrase[0]).map_or(&[][..], Vec::as_slice) {
                let end = start + phrase.len();
                let free =
                    said.get(start..end) == Some(phrase.as_slice()) && !taken[start..end].contains(&true);
                if free {
                    taken[start..end].fill(true);
                    if !found.contains(id) {
                        found.push(*id);
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clinic() -> Matcher<&'static str> {
        Matcher::new([
            ("botox", vec!["Botox", "wrinkle", "injection"]),
            ("facelift", vec!["Facelift", "face lift"]),
            ("nose", vec!["Rhinoplasty", "nose job"]),
            ("fillers", vec!["Fillers", "filler"]),
            ("lips", vec!["Lip Filler"]),
            ("peel", vec!["Chemical peel", "pelé"]),
        ])
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut found = clinic().mentioned([text]);
        found.sort_unstable();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn whole_words_only_whatever_the_case_accents_and_width() {
        check("I'd like some BOTOX, please", &["botox"]);
        check("botoxed last year", &[]);
        check("a Face  Lift!", &["facelift"]);
        check("my face, lift it", &["facelift"]);
        check("Rhinoplásty?", &["nose"]);
        check("ｂｏｔｏｘ", &["botox"]);
        check("PELE or pelé", &["peel"]);
        check("nose-job", &["nose"]);
        check("", &[]);
    }

    #[test]
    fn the_longest_phrase_takes_its_words_and_a_service_counts_once() {
        check("a lip filler", &["lips"]);
        check("a lip filler and another filler", &["fillers", "lips"]);
        check("botox for a wrinkle, an injection of botox", &["botox"]);
    }

    proptest! {
        #[test]
        fn never_finds_more_than_there_is(text in "\\PC{0,200}") {
            let found = clinic().mentioned([text.as_str(), text.as_str()]);
            prop_assert!(found.len() <= 6);
        }
    }
}

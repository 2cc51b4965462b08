//! Comparing, as a pure function.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;
use voxanne_kernel::{
    E164, Timestamp,
    ids::{ManagedNumberId, OrgId},
};

use super::{
    Held,
    finding::{Finding, Stray},
    ports::{Known, VoiceThing},
};
use crate::numbers::{
    number::{Country, ManagedNumber, NumberState, Progress, Releasing, Wish},
    ports::{AccountRecord, Bought},
};

/// What the voice service itself provided less than this ago may not have been written down yet.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// What one side has and the other does not know.
pub(super) fn strays(held: &Held, known: &Known, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |stray, org| findings.push(Finding { stray, org, release: None });
    let (tags, carrier_ids) = known_at_carrier(known);
    for (account, org, bought) in &held.numbers {
        if !carrier_ids.contains(bought.id.as_str())
            && !tags.contains(&(account.as_str(), bought.tag.as_str()))
        {
            found(Stray::CarrierNumber { account: account.clone(), bought: bought.clone() }, *org);
        }
    }
    let accounts: HashMap<OrgId, &AccountRecord> =
        known.accounts.iter().map(|(org, record)| (*org, record)).collect();
    for (account, org) in &held.accounts {
        let record = org.and_then(|org| accounts.get(&org));
        // A record without an id is of an account that is being opened.
        let is_known =
            record.is_some_and(|record| record.account.as_ref().is_none_or(|known| known == account));
        if !is_known {
            found(Stray::CarrierAccount { account: account.clone() }, *org);
        }
    }
    let is_fresh =
        |thing: &VoiceThing| thing.unrecorded_since.is_some_and(|at| now.duration_since(at) < FRESH);
    for thing in held.voice_numbers.iter().filter(|thing| !is_fresh(thing)) {
        let by_name = owner(&thing.name, "org-").into_iter().map(Some);
        let Some(org) = by_name.chain(holders(thing, held)).next() else { continue };
        let is_expected = thing.number.as_ref().is_some_and(|number| known.imports.contains(number));
        if !is_expected && !known.voice_numbers.contains(&thing.id) {
            found(Stray::VoiceNumber { id: thing.id.clone(), number: thing.number.clone() }, org);
        }
    }
    for thing in &held.voice_accounts {
        let own = owner(&thing.name, "org-").map(|org| (org, known.own_lines.contains(&org)));
        let managed = owner(&thing.name, "sub-").map(|org| {
            let record = accounts.get(&org);
            // One that is not noted yet is made in the course of a purchase.
            let is_noted = record.is_some_and(|record| match &record.voice_account {
                Some(known) => *known == thing.id,
                None => known.is_buying(org),
            });
            (org, is_noted)
        });
        if let Some((org, false)) = own.or(managed) {
            found(Stray::VoiceAccount { id: thing.id.clone() }, Some(org));
        }
    }
    for thing in &held.assistants {
        let org = thing.name.parse::<OrgId>().ok();
        let is_expected = org.is_some_and(|org| known.expecting_assistants.contains(&org));
        if !is_expected && !known.assistants.contains(&thing.id) {
            found(Stray::VoiceAssistant { id: thing.id.clone() }, org);
        }
    }
    findings.extend(missing(held, known));
    findings
}

/// The tags of live numbers by account, and the carrier's ids.
fn known_at_carrier(known: &Known) -> (HashSet<(&str, &str)>, HashSet<&str>) {
    let unknown_id = known.numbers.iter().filter(|(_, number)| number.state.carrier_id().is_none());
    let tags = unknown_id.map(|(_, number)| (number.account.as_str(), number.tag.as_str())).collect();
    (tags, known.numbers.iter().filter_map(|(_, number)| number.state.carrier_id()).collect())
}

/// Numbers that should ring and cannot.
fn missing(held: &Held, known: &Known) -> Vec<Finding> {
    let at_carrier: HashSet<&str> = held.numbers.iter().map(|(_, _, bought)| bought.id.as_str()).collect();
    let at_voice: HashSet<&str> = held.voice_numbers.iter().map(|thing| thing.id.as_str()).collect();
    let mut findings = Vec::new();
    for (org, record) in &known.numbers {
        let NumberState::Active { carrier_id, voice_id } = &record.state else { continue };
        let number = || record.number.clone();
        let mut found = |stray| findings.push(Finding { stray, org: Some(*org), release: None });
        if !at_carrier.contains(carrier_id.as_str()) {
            found(Stray::MissingAtCarrier { number: number() });
        }
        if !at_voice.contains(voice_id.as_str()) {
            found(Stray::MissingAtVoice { number: number() });
        }
    }
    findings
}

/// For whom we hold at the carrier what a number at the voice service was imported from, as far as can be told: its whole
/// account, or itself. None where it is not ours.
fn holders<'a>(thing: &'a VoiceThing, held: &'a Held) -> impl Iterator<Item = Option<OrgId>> + 'a {
    let is_from = |account: &String| thing.account.as_ref() == Some(account);
    let is_it = |bought: &Bought| thing.number.as_ref() == Some(&bought.number);
    let accounts = held.accounts.iter().filter(move |(account, _)| is_from(account)).map(|(_, org)| *org);
    let numbers = held.numbers.iter().filter(move |(account, _, bought)| is_from(account) && is_it(bought));
    accounts.chain(numbers.map(|(_, org, _)| *org))
}

fn owner(name: &str, prefix: &str) -> Option<OrgId> {
    name.strip_prefix(prefix)?.parse().ok()
}

pub(super) fn of_carrier(account: &str, bought: &Bought, now: Timestamp) -> ManagedNumber {
    let bought_state = NumberState::Buying(Progress::Bought { carrier_id: bought.id.clone() });
    ManagedNumber {
        texts: bought.texts.clone(),
        ..stray(account, &bought.tag, &bought.number, bought_state.releasing(), now)
    }
}

pub(super) fn of_voice(id: &str, number: &E164, now: Timestamp) -> ManagedNumber {
    // The carrier's side is looked at by itself.
    let releasing = Releasing {
        carrier_id: None,
        voice_id: Some(id.to_owned()),
        voice_released: false,
        carrier_released: true,
    };
    stray("", "stray", number, releasing, now)
}

fn stray(account: &str, tag: &str, number: &E164, releasing: Releasing, now: Timestamp) -> ManagedNumber {
    ManagedNumber {
        id: ManagedNumberId::generate(),
        account: account.to_owned(),
        tag: tag.to_owned(),
        number: number.clone(),
        wish: Wish { country: Country::default(), area_code: None, number: None, allow_fallback: false },
        state: NumberState::Releasing(releasing),
        texts: None,
        asked_at: now,
        purchased_at: None,
    }
}

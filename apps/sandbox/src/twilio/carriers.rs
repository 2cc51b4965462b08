//! Phones that are not at Twilio, and the carriers that forward their calls: a rehearsal says what a person does with a
//! phone and dials codes on it.
//!
//! The codes are those of 3GPP TS 22.030 where a carrier follows it and feature codes where not. They are read here by
//! a reader of its own, strictly: what a real network would refuse is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Which codes a phone's network understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carrier {
    Att,
    #[default]
    Tmobile,
    Verizon,
    Sprint,
    OtherGsm,
    OtherCdma,
    International,
}

impl Carrier {
    const fn has_star_codes(self) -> bool {
        matches!(self, Self::Verizon | Self::OtherCdma)
    }

    const fn is_american(self) -> bool {
        !matches!(self, Self::OtherGsm | Self::International)
    }
}

/// What the person who answers a verification call types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Types {
    #[default]
    Correct,
    Wrong,
    Nothing,
}

/// How Twilio's word about a verification call gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Callback {
    #[default]
    Sent,
    Twice,
    Lost,
    /// Signed with a wrong token.
    Forged,
}

/// Which calls are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    All,
    Busy,
    NoAnswer,
    Unreachable,
}

/// What the network has stored for one kind of call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Forward {
    pub(crate) to: String,
    /// Whether it is on; a number can be stored and off.
    pub(crate) active: bool,
    pub(crate) seconds: Option<u32>,
}

/// A phone and the person who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Phone {
    pub(crate) carrier: Carrier,
    /// Whether the person takes calls.
    pub(crate) answers: bool,
    /// Whether the line is taken.
    pub(crate) busy: bool,
    /// Whether it is off or without signal.
    pub(crate) off: bool,
    pub(crate) types: Types,
    pub(crate) callback: Callback,
    /// From the call's beginning until somebody answers, in real milliseconds.
    pub(crate) answer_ms: u64,
    /// How many real milliseconds a second of ringing takes.
    pub(crate) second_ms: u64,
    pub(crate) forwards: BTreeMap<Condition, Forward>,
}

/// Somebody who answers after a second and types what they are told.
impl Default for Phone {
    fn default() -> Self {
        Self {
            carrier: Carrier::default(),
            answers: true,
            busy: false,
            off: false,
            types: Types::default(),
            callback: Callback::default(),
            answer_ms: 1_000,
            second_ms: 1_000,
            forwards: BTreeMap::new(),
        }
    }
}

/// What becomes of a call to a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Somebody takes it.
    Answered,
    /// It goes on to another number after so many seconds of ringing.
    Forwarded { to: String, after: u32 },
    /// It ends like this.
    Ends(&'static str),
}

/// The network's default where a code does not say how long it rings.
const RINGS: u32 = 20;

impl Phone {
    /// What becomes of a call.
    pub(crate) fn fate(&self) -> Fate {
        if let Some(forward) = self.on(Condition::All) {
            return Fate::Forwarded { to: forward.to.clone(), after: 0 };
        }
        let (condition, after, end) = if self.off {
            (Condition::Unreachable, 0, "no-answer")
        } else if self.busy {
            (Condition::Busy, 0, "busy")
        } else if self.answers {
            return Fate::Answered;
        } else {
            let seconds = self.on(Condition::NoAnswer).and_then(|forward| forward.seconds);
            (Condition::NoAnswer, seconds.unwrap_or(RINGS), "no-answer")
        };
        match self.on(condition) {
            Some(forward) => Fate::Forwarded { to: forward.to.clone(), after },
            None => Fate::Ends(end),
        }
    }

    fn on(&self, condition: Condition) -> Option<&Forward> {
        self.forwards.get(&condition).filter(|forward| forward.active)
    }

    /// Dials a code and says what the network answers.
    pub(crate) fn dial(&mut self, code: &str) -> Result<Value, String> {
        let request =
            if self.carrier.has_star_codes() { star_code(code)? } else { standard_code(code, self.carrier)? };
        for condition in request.conditions {
            match &request.action {
                Action::Register { to, seconds } => {
                    let forward = Forward { to: to.clone(), active: true, seconds: *seconds };
                    self.forwards.insert(*condition, forward);
                }
                Action::Activate => match self.forwards.get_mut(condition) {
                    Some(forward) => forward.active = true,
                    None => return Err("no number is stored for this service".to_owned()),
                },
                Action::Deactivate => {
                    if let Some(forward) = self.forwards.get_mut(condition) {
                        forward.active = false;
                    }
                }
                Action::Erase => drop(self.forwards.remove(condition)),
                Action::Show => {}
            }
        }
        Ok(json!({ "accepted": true, "forwards": self.forwards }))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Register { to: String, seconds: Option<u32> },
    Activate,
    Deactivate,
    Erase,
    Show,
}

#[derive(Debug)]
struct Request {
    action: Action,
    conditions: &'static [Condition],
}

const ALL: &[Condition] = &[Condition::All];
const CONDITIONAL: &[Condition] = &[Condition::NoAnswer, Condition::Busy, Condition::Unreachable];
const EVERY: &[Condition] = &[Condition::All, Condition::NoAnswer, Condition::Busy, Condition::Unreachable];

/// `PREFIX SC [*number[*basic service[*seconds]]] #`.
fn standard_code(code: &str, carrier: Carrier) -> Result<Request, String> {
    let body = code.strip_suffix('#').ok_or("the code does not end in #")?;
    let prefixes = ["**", "##", "*#", "*", "#"];
    let (prefix, rest) = prefixes
        .into_iter()
        .find_map(|prefix| Some((prefix, body.strip_prefix(prefix)?)))
        .ok_or("the code begins with none of * ** # ## *#")?;
    let parts: Vec<&str> = rest.split('*').collect();
    let (conditions, timed) = match parts[0] {
        "21" => (ALL, false),
        "61" => (&CONDITIONAL[..1], true),
        "67" => (&CONDITIONAL[1..2], false),
        "62" => (&CONDITIONAL[2..], false),
        "004" => (CONDITIONAL, true),
        "002" => (EVERY, true),
        other => return Err(format!("there is no service {other}")),
    };
    let action = match (prefix, parts.len()) {
        ("**" | "*", 2..=4) => register(&parts[1..], timed, carrier)?,
        ("**", _) => return Err("** needs a number".to_owned()),
        ("*", 1) => Action::Activate,
        ("#", 1) => Action::Deactivate,
        ("##", 1) => Action::Erase,
        ("*#", 1) => Action::Show,
        _ => return Err("the code has too many parts".to_owned()),
    };
    Ok(Request { action, conditions })
}

fn register(parts: &[&str], timed: bool, carrier: Carrier) -> Result<Action, String> {
    let to = destination(parts[0], carrier)?;
    let basic = parts.get(1).copied().unwrap_or_default();
    if !["", "10", "11", "12", "13", "16"].contains(&basic) {
        return Err(format!("there is no basic service {basic}"));
    }
    let seconds = match parts.get(2) {
        None => None,
        Some(_) if !timed => return Err("this service takes no time".to_owned()),
        Some(seconds) => match seconds.parse::<u32>() {
            Ok(seconds) if (5..=30).contains(&seconds) && seconds % 5 == 0 => Some(seconds),
            _ => return Err(format!("{seconds} is not 5 to 30 seconds in fives")),
        },
    };
    Ok(Action::Register { to, seconds })
}

/// A number as a network takes it, in E.164.
fn destination(text: &str, carrier: Carrier) -> Result<String, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if !(4..=15).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(format!("{text} is not a number"));
    }
    let number = match (text.starts_with('+'), digits.len()) {
        (true, _) => text.to_owned(),
        (false, 11) if carrier.is_american() && digits.starts_with('1') => format!("+{digits}"),
        (false, 10) if carrier.is_american() => format!("+1{digits}"),
        _ => return Err(format!("{text} is not a number that can be called from here")),
    };
    let expensive = ["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888", "+1900"];
    if carrier == Carrier::Att
        && (!number.starts_with("+1") || expensive.iter().any(|area| number.starts_with(area)))
    {
        return Err("this network does not forward to toll-free, 900 or international numbers".to_owned());
    }
    Ok(number)
}

/// `*72`, `*71` and ten digits, or `*73`.
fn star_code(code: &str) -> Result<Request, String> {
    let number = |service: &str| {
        let digits = code.strip_prefix(service)?;
        (digits.len() == 10 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
    };
    let to = |digits: &str| Action::Register { to: format!("+1{digits}"), seconds: None };
    if code == "*73" {
        return Ok(Request { action: Action::Erase, conditions: EVERY });
    }
    if let Some(digits) = number("*72") {
        return Ok(Request { action: to(digits), conditions: ALL });
    }
    match number("*71") {
        Some(digits) => Ok(Request { action: to(digits), conditions: &CONDITIONAL[..2] }),
        None => Err("this network knows *72 and *71 with ten digits, and *73".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(carrier: Carrier) -> Phone {
        Phone { carrier, ..Phone::default() }
    }

    #[test]
    fn a_code_forwards_what_it_says_and_nothing_else() {
        let mut sim = phone(Carrier::Tmobile);
        assert_eq!(sim.fate(), Fate::Answered);
        sim.dial("**61*+15550109999*11*25#").unwrap();
        assert_eq!(sim.fate(), Fate::Answered);
        sim.answers = false;
        assert_eq!(sim.fate(), Fate::Forwarded { to: "+15550109999".to_owned(), after: 25 });
        sim.busy = true;
        assert_eq!(sim.fate(), Fate::Ends("busy"));
        sim.dial("*004*5550109999*11*10#").unwrap();
        assert_eq!(sim.fate(), Fate::Forwarded { to: "+15550109999".to_owned(), after: 0 });
        sim.dial("##004#").unwrap();
        assert!(sim.forwards.is_empty());
        sim.dial("*21*+15550109999#").unwrap();
        sim.dial("#21#").unwrap();
        assert_eq!(sim.fate(), Fate::Ends("busy"));
        sim.dial("*21#").unwrap();
        assert!(matches!(sim.fate(), Fate::Forwarded { .. }), "the number was still stored");
        sim.dial("##21#").unwrap();
        assert!(sim.dial("*21#").is_err());
    }

    #[test]
    fn star_codes_take_ten_digits() {
        let mut sim = phone(Carrier::Verizon);
        sim.dial("*715550109999").unwrap();
        sim.answers = false;
        assert!(matches!(sim.fate(), Fate::Forwarded { .. }));
        sim.off = true;
        assert_eq!(sim.fate(), Fate::Ends("no-answer"));
        sim.dial("*73").unwrap();
        assert!(sim.forwards.is_empty());
        for wrong in ["*72+15550109999", "*7215550109999", "**21*+15550109999#", "*72", "#73"] {
            assert!(sim.dial(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_no_network_takes_is_refused() {
        let refused = |carrier, code: &str| assert!(phone(carrier).dial(code).is_err(), "{code}");
        for code in [
            "**21*+15550109999",
            "**21#",
            "**99*+15550109999#",
            "**61*+15550109999*11*31#",
            "**61*+15550109999*11*7#",
            "**67*+15550109999*11*20#",
            "**61*+15550109999*14*20#",
            "**21*+1555-010#",
            "**21*++15550109999#",
            "*725550109999",
            "",
        ] {
            refused(Carrier::Tmobile, code);
        }
        refused(Carrier::Att, "*21*+442071838750#");
        refused(Carrier::Att, "*21*+18005550100#");
        refused(Carrier::International, "**21*5550109999#");
        assert!(phone(Carrier::International).dial("**21*+442071838750#").is_ok());
    }
}

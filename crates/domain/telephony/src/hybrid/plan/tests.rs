//! Every carrier, mode and ring time in one table, and what may never leave the generator.

use proptest::prelude::*;
use voxanne_kernel::E164;

use super::*;

const TO: &str = "+15550109999";

fn destination(number: &str) -> Destination {
    Destination::new(E164::new(number).unwrap(), &E164::new("+15005550006").unwrap()).unwrap()
}

fn plan(carrier: Carrier, kind: ForwardingType, to: &str, ring: i64) -> Result<Plan, Ineligible> {
    Plan::new(carrier, kind, &destination(to), RingTime::new(ring).unwrap())
}

fn codes(plan: &Plan) -> (Vec<&str>, Vec<&str>, Vec<&str>) {
    (
        plan.activation.iter().map(|step| step.code.as_str()).collect(),
        plan.removal.iter().map(|removal| removal.step.code.as_str()).collect(),
        plan.status.iter().map(Code::as_str).collect(),
    )
}

/// Carrier, mode, what is dialled with `SECS` for the ring time, what takes it back, what shows it.
type Row = (
    &'static [Carrier],
    ForwardingType,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

const GSM: &[Carrier] = &[Carrier::Tmobile, Carrier::Sprint, Carrier::OtherGsm, Carrier::International];
const CDMA: &[Carrier] = &[Carrier::Verizon, Carrier::OtherCdma];

const TABLE: &[Row] = &[
    (GSM, ForwardingType::TotalAi, &["**21*+15550109999#"], &["##21#"], &["*#21#"]),
    (
        GSM,
        ForwardingType::SafetyNet,
        &["**61*+15550109999*11*SECS#", "**67*+15550109999*11#", "**62*+15550109999*11#"],
        &["##61#", "##67#", "##62#"],
        &["*#61#", "*#67#", "*#62#"],
    ),
    (&[Carrier::Att], ForwardingType::TotalAi, &["*21*+15550109999#"], &["#21#", "##21#"], &["*#21#"]),
    (
        &[Carrier::Att],
        ForwardingType::SafetyNet,
        &[
            "*004*+15550109999*11*SECS#",
            "*61*+15550109999*11*SECS#",
            "*67*+15550109999*11#",
            "*62*+15550109999*11#",
        ],
        &["##004#", "##61#", "##67#", "##62#"],
        &["*#61#", "*#67#", "*#62#"],
    ),
    (CDMA, ForwardingType::TotalAi, &["*725550109999"], &["*73"], &[]),
    (CDMA, ForwardingType::SafetyNet, &["*715550109999"], &["*73"], &[]),
];

#[test]
fn every_carrier_has_its_codes_for_every_mode_and_ring_time() {
    let mut seen = 0;
    for (carriers, kind, activation, removal, status) in TABLE {
        for carrier in *carriers {
            for (ring, effective) in [(5, 5), (7, 5), (25, 25), (30, 30), (31, 30), (60, 30)] {
                let plan = plan(*carrier, *kind, TO, ring).unwrap();
                let activation: Vec<String> =
                    activation.iter().map(|code| code.replace("SECS", &effective.to_string())).collect();
                let (on, off, shows) = codes(&plan);
                assert_eq!(on, activation, "{carrier:?} {kind:?} {ring}");
                assert_eq!((off.as_slice(), shows.as_slice()), (*removal, *status), "{carrier:?} {kind:?}");
                assert_eq!(plan.activation_code().unwrap().as_str(), activation[0]);
                assert_eq!(plan.deactivation_code().unwrap().as_str(), removal[0]);
                let asks = activation[0].ends_with(&format!("*{effective}#"));
                assert_eq!(plan.ring_seconds, asks.then_some(effective), "{carrier:?} {kind:?} {ring}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, Carrier::ALL.len() * ForwardingType::ALL.len() * 6);
}

#[test]
fn the_steps_of_a_safety_net_cover_every_call_that_nobody_takes() {
    for carrier in Carrier::ALL {
        let plan = plan(carrier, ForwardingType::SafetyNet, TO, 25).unwrap();
        let covered: Vec<Covers> = plan
            .activation
            .iter()
            .filter(|step| step.is_required)
            .flat_map(|step| step.covers.iter().copied())
            .collect();
        assert!(covered.contains(&Covers::NoAnswer) && covered.contains(&Covers::Busy), "{carrier:?}");
        // Nobody says so of star codes, so neither do we.
        assert_eq!(covered.contains(&Covers::Unreachable), !carrier.has_star_codes(), "{carrier:?}");
    }
}

#[test]
fn what_erases_is_never_a_code_that_leaves_the_number_in_the_network() {
    let erase = |carrier, kind| {
        let plan = plan(carrier, kind, TO, 25).unwrap();
        plan.erase_codes().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(erase(Carrier::Att, ForwardingType::TotalAi), ["##21#"]);
    assert_eq!(erase(Carrier::Att, ForwardingType::SafetyNet), ["##004#"]);
    assert_eq!(erase(Carrier::Tmobile, ForwardingType::SafetyNet), ["##61#", "##67#", "##62#"]);
    assert_eq!(erase(Carrier::Verizon, ForwardingType::SafetyNet), ["*73"]);
}

#[test]
fn star_codes_reach_north_america_only() {
    for carrier in CDMA {
        for kind in ForwardingType::ALL {
            for elsewhere in ["+442071838750", "+1555010", "+155501099991", "+2348012345678"] {
                assert_eq!(
                    plan(*carrier, kind, elsewhere, 25),
                    Err(Ineligible::OnlyNorthAmerica),
                    "{elsewhere}"
                );
            }
        }
    }
    let british = plan(Carrier::International, ForwardingType::TotalAi, "+442071838750", 25).unwrap();
    assert_eq!(british.activation_code().unwrap().as_str(), "**21*+442071838750#");
}

#[test]
fn a_phone_does_not_forward_to_itself() {
    let number = E164::new(TO).unwrap();
    assert_eq!(Destination::new(number.clone(), &number), Err(SimItself));
}

#[test]
fn ring_times_are_from_five_to_sixty() {
    let check = |seconds, expected| assert_eq!(RingTime::new(seconds).is_ok(), expected, "{seconds}");
    for (seconds, expected) in [(4, false), (5, true), (60, true), (61, false), (-5, false), (300, false)] {
        check(seconds, expected);
    }
}

#[test]
fn what_may_surprise_is_said() {
    let warns = |carrier, kind, to: &str, ring, words: &str| {
        let plan = plan(carrier, kind, to, ring).unwrap();
        plan.warnings.iter().any(|warning| warning.contains(words))
    };
    let (net, total) = (ForwardingType::SafetyNet, ForwardingType::TotalAi);
    assert!(warns(Carrier::Tmobile, net, TO, 60, "30 seconds instead of 60"));
    assert!(!warns(Carrier::Tmobile, net, TO, 25, "seconds instead"));
    assert!(!warns(Carrier::Tmobile, total, TO, 60, "seconds instead"));
    assert!(warns(Carrier::Verizon, net, TO, 25, "carrier's default"));
    assert!(warns(Carrier::Verizon, net, TO, 25, "611"));
    assert!(warns(Carrier::Tmobile, total, "+18005550100", 25, "toll-free"));
    assert!(!warns(Carrier::Tmobile, total, TO, 25, "toll-free"));
    assert!(warns(Carrier::Att, total, "+442071838750", 25, "North America"));
    assert!(warns(Carrier::Sprint, total, TO, 25, "T-Mobile"));
    assert!(warns(Carrier::OtherCdma, total, TO, 25, "Ask the carrier"));
    assert!(warns(Carrier::Tmobile, net, TO, 25, "Voicemail"));
}

#[test]
fn the_instructions_name_every_code() {
    for carrier in Carrier::ALL {
        for kind in ForwardingType::ALL {
            let plan = plan(carrier, kind, TO, 25).unwrap();
            let text = plan.instructions.join("\n");
            let required = plan.removal.iter().filter(|removal| removal.step.is_required);
            let all = plan.activation.iter().map(|step| &step.code);
            for code in all.chain(required.map(|removal| &removal.step.code)).chain(&plan.status) {
                assert!(text.contains(code.as_str()), "{carrier:?} {kind:?} {code}: {text}");
            }
        }
    }
}

/// `^(\*\*|\*|##|#|\*#)\d{2,3}(\*\+?\d{4,15}(\*(\d{2})?(\*(5|10|15|20|25|30))?)?)?#$` or `^\*\d{2,3}(\d{10})?$`.
fn is_well_formed(code: &str) -> bool {
    fn digits(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
        lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    }
    let star = code.strip_prefix('*').is_some_and(|rest| digits(rest, 2..=3) || digits(rest, 12..=13));
    let standard = ["**", "##", "*#", "*", "#"].into_iter().any(|prefix| {
        let Some(rest) = code.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('#')) else {
            return false;
        };
        let parts: Vec<&str> = rest.split('*').collect();
        let service = digits(parts[0], 2..=3);
        let number = parts.get(1).is_none_or(|n| digits(n.strip_prefix('+').unwrap_or(n), 4..=15));
        let basic = parts.get(2).is_none_or(|bs| bs.is_empty() || digits(bs, 2..=2));
        let timer = parts.get(3).is_none_or(|t| ["5", "10", "15", "20", "25", "30"].contains(t));
        service && number && basic && timer && parts.len() <= 4
    });
    star || standard
}

proptest! {
    #[test]
    fn nothing_but_well_formed_codes_ever_leaves_the_generator(
        carrier in 0..Carrier::ALL.len(), kind in 0..2_usize, ring in 5..=60_i64,
        to in r"\+[1-9][0-9]{6,14}", american in r"\+1[2-9][0-9]{9}", at_home: bool,
    ) {
        let to = if at_home { american } else { to };
        prop_assume!(to != "+15005550006");
        let Ok(plan) = plan(Carrier::ALL[carrier], ForwardingType::ALL[kind], &to, ring) else { return Ok(()) };
        let (on, off, shows) = codes(&plan);
        for code in on.into_iter().chain(off).chain(shows) {
            prop_assert!(code.bytes().all(|b| b.is_ascii_digit() || b"+*#".contains(&b)), "{}", code);
            prop_assert!(is_well_formed(code), "{}", code);
        }
    }
}

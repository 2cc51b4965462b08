//! The codes themselves. Only here is a [`Code`] made: of a service code, a number and a ring time.

use std::fmt;

use super::{
    Ineligible, Removal, Step,
    terms::{Basis, Carrier, Covers, Destination, ForwardingType, RingTime},
};

/// Something to dial: digits, `+`, `*` and `#` only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code(String);

impl Code {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ALL: &[Covers] = &[Covers::All];
const NO_ANSWER: &[Covers] = &[Covers::NoAnswer];
const BUSY: &[Covers] = &[Covers::Busy];
const UNREACHABLE: &[Covers] = &[Covers::Unreachable];
const NO_ANSWER_OR_BUSY: &[Covers] = &[Covers::NoAnswer, Covers::Busy];
const CONDITIONAL: &[Covers] = &[Covers::NoAnswer, Covers::Busy, Covers::Unreachable];

/// What switches on, what takes back, and what shows.
pub(super) type Codes = (Vec<Step>, Vec<Removal>, Vec<Code>);

/// The codes of `carrier` for `kind`.
pub(super) fn codes(
    carrier: Carrier,
    kind: ForwardingType,
    to: &Destination,
    ring: RingTime,
) -> Result<Codes, Ineligible> {
    Ok(match (carrier, kind) {
        (Carrier::Verizon | Carrier::OtherCdma, kind) => star_codes(kind, to)?,
        (Carrier::Att, ForwardingType::TotalAi) => (
            vec![required(format!("*21*{}#", to.number()), ALL)],
            // The first leaves the number stored in the network; a later `*21#` would send calls there again.
            vec![off("#21#", ALL), erased("##21#", ALL)],
            vec![code("*#21#")],
        ),
        (Carrier::Att, ForwardingType::SafetyNet) => att_safety_net(to, ring),
        (_, ForwardingType::TotalAi) => (
            vec![required(format!("**21*{}#", to.number()), ALL)],
            vec![erased("##21#", ALL)],
            vec![code("*#21#")],
        ),
        (_, ForwardingType::SafetyNet) => gsm_safety_net(to, ring),
    })
}

fn gsm_safety_net(to: &Destination, ring: RingTime) -> Codes {
    let number = to.number();
    (
        vec![
            required(format!("**61*{number}*11*{}#", ring.in_a_code()), NO_ANSWER),
            required(format!("**67*{number}*11#"), BUSY),
            required(format!("**62*{number}*11#"), UNREACHABLE),
        ],
        vec![erased("##61#", NO_ANSWER), erased("##67#", BUSY), erased("##62#", UNREACHABLE)],
        vec![code("*#61#"), code("*#67#"), code("*#62#")],
    )
}

/// One code for all three, and the three by themselves in case the network does not take it.
fn att_safety_net(to: &Destination, ring: RingTime) -> Codes {
    let number = to.number();
    (
        vec![
            required(format!("*004*{number}*11*{}#", ring.in_a_code()), CONDITIONAL),
            fallback(format!("*61*{number}*11*{}#", ring.in_a_code()), NO_ANSWER),
            fallback(format!("*67*{number}*11#"), BUSY),
            fallback(format!("*62*{number}*11#"), UNREACHABLE),
        ],
        vec![
            erased("##004#", CONDITIONAL),
            Removal { step: fallback("##61#".to_owned(), NO_ANSWER), erases: true },
            Removal { step: fallback("##67#".to_owned(), BUSY), erases: true },
            Removal { step: fallback("##62#".to_owned(), UNREACHABLE), erases: true },
        ],
        vec![code("*#61#"), code("*#67#"), code("*#62#")],
    )
}

fn star_codes(kind: ForwardingType, to: &Destination) -> Result<Codes, Ineligible> {
    let digits = to.ten_digits().ok_or(Ineligible::OnlyNorthAmerica)?;
    let (service, covers) = match kind {
        ForwardingType::TotalAi => ("*72", ALL),
        ForwardingType::SafetyNet => ("*71", NO_ANSWER_OR_BUSY),
    };
    Ok((vec![required(format!("{service}{digits}"), covers)], vec![erased("*73", covers)], Vec::new()))
}

fn code(text: &str) -> Code {
    Code(text.to_owned())
}

fn required(code: String, covers: &'static [Covers]) -> Step {
    Step { code: Code(code), covers, is_required: true }
}

fn fallback(code: String, covers: &'static [Covers]) -> Step {
    Step { code: Code(code), covers, is_required: false }
}

fn erased(text: &str, covers: &'static [Covers]) -> Removal {
    Removal { step: required(text.to_owned(), covers), erases: true }
}

fn off(text: &str, covers: &'static [Covers]) -> Removal {
    Removal { step: required(text.to_owned(), covers), erases: false }
}

/// Where the codes of `carrier` for `kind` come from.
pub(super) const fn basis(carrier: Carrier, kind: ForwardingType) -> Basis {
    match (carrier, kind) {
        (Carrier::Tmobile | Carrier::Sprint | Carrier::Att | Carrier::Verizon, ForwardingType::TotalAi) => {
            Basis::Carrier
        }
        (Carrier::Verizon, ForwardingType::SafetyNet) | (Carrier::OtherCdma, _) => Basis::ThirdParty,
        _ => Basis::Standard,
    }
}

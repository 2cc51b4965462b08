//! What to dial: the codes that switch call forwarding on, off, and show it, by carrier.
//!
//! A table and nothing else: the same question always has the same answer, and no I/O. Sources and their reliability
//! are in the project's notes on forwarding codes; [`Basis`] carries the verdict along. Nothing but digits, `+`, `*`
//! and `#` can reach a [`Code`]: there is no way to build one but from a service code, a [`Destination`] and a [`RingTime`].

mod codes;
mod terms;
mod words;

pub use codes::Code;
pub use terms::{
    Basis, Carrier, Covers, Destination, ForwardingType, NotARingTime, RingTime, SimItself, UnknownCarrier,
    UnknownForwardingType,
};

/// Something to dial and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to dial.
    pub code: Code,
    /// The calls it is about.
    pub covers: &'static [Covers],
    /// Whether it belongs to the setup; otherwise it stands in for one that the network refuses.
    pub is_required: bool,
}

/// Something to dial that takes a forwarding back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What to dial, and for which calls.
    pub step: Step,
    /// Whether the network forgets the number as well: only then can no later code send calls there again.
    pub erases: bool,
}

/// Why there is no code for a forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ineligible {
    /// Star codes take ten digits.
    #[error("this carrier forwards to numbers of North America (+1) only")]
    OnlyNorthAmerica,
}

/// Everything there is to know about one forwarding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What to dial, in order; never empty.
    pub activation: Vec<Step>,
    /// What to dial to take it back, in order; never empty.
    pub removal: Vec<Removal>,
    /// What to dial to see what the network has; empty where there is nothing.
    pub status: Vec<Code>,
    /// How long the phone rings first; none where the code does not say.
    pub ring_seconds: Option<u8>,
    /// Where the codes come from.
    pub basis: Basis,
    /// What may surprise, in whole sentences.
    pub warnings: Vec<String>,
    /// What to do, in order, in whole sentences.
    pub instructions: Vec<String>,
}

impl Plan {
    /// The codes of `carrier` for `kind`, with calls going to `to` after `ring`.
    ///
    /// # Errors
    /// [`Ineligible`] when the carrier cannot forward there.
    pub fn new(
        carrier: Carrier,
        kind: ForwardingType,
        to: &Destination,
        ring: RingTime,
    ) -> Result<Self, Ineligible> {
        let (activation, removal, status) = codes::codes(carrier, kind, to, ring)?;
        let rings = kind == ForwardingType::SafetyNet && !carrier.has_star_codes();
        let mut plan = Self {
            activation,
            removal,
            status,
            ring_seconds: rings.then(|| ring.in_a_code()),
            basis: codes::basis(carrier, kind),
            warnings: words::warnings(carrier, kind, to, ring),
            instructions: Vec::new(),
        };
        plan.instructions = words::instructions(&plan);
        Ok(plan)
    }

    /// The first thing to dial.
    pub fn activation_code(&self) -> Option<&Code> {
        self.activation.first().map(|step| &step.code)
    }

    /// The first thing to dial to take it back.
    pub fn deactivation_code(&self) -> Option<&Code> {
        self.removal.first().map(|removal| &removal.step.code)
    }

    /// What to dial so that the network forgets the number; what must be done before the number is given up.
    pub fn erase_codes(&self) -> Vec<Code> {
        let erasing = self.removal.iter().filter(|removal| removal.erases && removal.step.is_required);
        erasing.map(|removal| removal.step.code.clone()).collect()
    }
}

#[cfg(test)]
mod tests;

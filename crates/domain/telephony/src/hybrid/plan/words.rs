//! What a person is told about a plan, in whole sentences.

use super::{
    Code, Plan,
    terms::{Carrier, Covers, Destination, ForwardingType, RingTime},
};

pub(super) fn warnings(
    carrier: Carrier,
    kind: ForwardingType,
    to: &Destination,
    ring: RingTime,
) -> Vec<String> {
    let mut all = Vec::new();
    let safety_net = kind == ForwardingType::SafetyNet;
    let mut warn = |applies: bool, text: &str| {
        if applies {
            all.push(text.to_owned());
        }
    };
    let effective = ring.in_a_code();
    warn(
        safety_net && !carrier.has_star_codes() && effective != ring.seconds(),
        &format!(
            "Networks count in steps of 5 seconds up to 30: the phone will ring for {effective} seconds instead of {}.",
            ring.seconds()
        ),
    );
    warn(
        safety_net && carrier.has_star_codes(),
        "How long the phone rings first is the carrier's default; no code changes it.",
    );
    warn(
        to.is_toll_free(),
        "Some carriers do not forward to toll-free numbers. A local number is the safer destination.",
    );
    warn(
        carrier == Carrier::Att && to.ten_digits().is_none(),
        "AT&T has not forwarded to numbers outside of North America. Make the test call.",
    );
    warn(
        carrier == Carrier::Att && safety_net,
        "This code is the standard's; AT&T itself does not publish it. If it is refused, dial the three codes after it.",
    );
    warn(
        carrier == Carrier::Sprint,
        "Sprint lines run on T-Mobile's network today, so these are T-Mobile's codes.",
    );
    warn(
        carrier == Carrier::Verizon && safety_net,
        "Whether calls are forwarded while the phone is off is not documented by Verizon.",
    );
    warn(
        carrier == Carrier::Verizon,
        "If calls are still forwarded after dialling *73, call 611 from the phone.",
    );
    warn(
        carrier == Carrier::OtherCdma,
        "Small carriers and landlines differ, and some have other codes. Ask the carrier if these do not work, and make \
         the test call.",
    );
    warn(
        carrier == Carrier::International,
        "Most networks follow the standard, and a few do not. Make the test call.",
    );
    warn(
        safety_net,
        "Voicemail usually is such a forwarding: it is replaced, and may not come back by itself when this is removed.",
    );
    warn(
        kind == ForwardingType::TotalAi,
        "The phone will not ring any more. A call that the assistant transfers to this phone comes back to the assistant.",
    );
    warn(true, "Your carrier may bill forwarded calls like calls that you make.");
    all
}

/// What to do, in order.
pub(super) fn instructions(plan: &Plan) -> Vec<String> {
    let mut lines = vec![
        "Take the phone whose calls are to be forwarded. The codes work only when they are dialled from it."
            .to_owned(),
    ];
    if let [status, ..] = plan.status.as_slice() {
        let all: Vec<_> = plan.status.iter().map(Code::as_str).collect();
        let what = if plan.status.len() == 1 { status.to_string() } else { all.join(", ") };
        lines.push(format!(
            "First dial {what} and note what it shows: voicemail may be what calls are forwarded to now."
        ));
    }
    for (step, first) in plan.activation.iter().filter(|step| step.is_required).zip([true, false, false]) {
        let how = if first { "Dial" } else { "Then dial" };
        lines.push(format!("{how} {} and wait for the confirmation. {}", step.code, covered(step.covers)));
    }
    for step in plan.activation.iter().filter(|step| !step.is_required) {
        lines.push(format!("If the network refuses, dial {} instead. {}", step.code, covered(step.covers)));
    }
    lines.push("Come back here and say that it is done, then make the test call.".to_owned());
    let codes: Vec<_> =
        plan.removal.iter().filter(|r| r.step.is_required).map(|r| r.step.code.as_str()).collect();
    lines.push(format!("To take it back later, dial {} from the same phone.", codes.join(", then ")));
    lines
}

fn covered(covers: &[Covers]) -> String {
    let calls: Vec<_> = covers
        .iter()
        .map(|covers| match covers {
            Covers::All => "all calls",
            Covers::NoAnswer => "calls that nobody answers",
            Covers::Busy => "calls while the line is busy",
            Covers::Unreachable => "calls while the phone is off or without signal",
        })
        .collect();
    format!("It is for {}.", calls.join(", "))
}

//! `voxctl vapi`: what Vapi holds in our name, held against what it should be.

use std::io;

use serde_json::{Value, json};
use voxanne_tooling::{Finding, Fixed};

use crate::{
    cli::Vapi,
    commands::voice::Voice,
    output::{AlreadySaid, Output},
};

pub(super) async fn run(command: Vapi, output: &Output) -> anyhow::Result<()> {
    let Vapi::Audit { fix } = command;
    let audit = Voice::open().await?.audit();
    let (repaired, left) = if fix {
        let Fixed { before, after } = audit.fix().await?;
        let (repaired, left): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|finding| !after.contains(finding));
        // What a repair brought to light is as wrong as what was there before.
        let new = after.into_iter().filter(|finding| !left.contains(finding)).collect::<Vec<_>>();
        (repaired, [left, new].concat())
    } else {
        (Vec::new(), audit.run().await?)
    };
    print(&repaired, &left, output)?;
    if left.is_empty() { Ok(()) } else { Err(AlreadySaid.into()) }
}

/// One line for each finding, and the verdict last.
fn print(repaired: &[Finding], left: &[Finding], output: &Output) -> io::Result<()> {
    let outcome = json!({
        "clean": left.is_empty(),
        "findings": left.iter().map(shown).collect::<Vec<_>>(),
        "repaired": repaired.iter().map(shown).collect::<Vec<_>>(),
    });
    output.say(&outcome, || {
        let mut lines: Vec<String> = repaired.iter().map(|finding| format!("repaired: {finding}")).collect();
        lines.extend(left.iter().map(ToString::to_string));
        lines.push(match left.len() {
            0 => "SYSTEM IS CLEAN".to_owned(),
            count => format!("{count} findings"),
        });
        lines.join("\n")
    })
}

fn shown(finding: &Finding) -> Value {
    json!({
        "assistantId": finding.assistant,
        "organizationId": finding.org,
        "code": finding.fault.as_str(),
        "what": finding.fault.to_string(),
    })
}

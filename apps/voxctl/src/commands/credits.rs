//! `voxctl credits`: what organizations have left to spend on messages through our accounts.

use std::sync::Arc;

use serde_json::json;
use voxanne_boot::{OperatorSettings, Reader};
use voxanne_kernel::{Currency, Money, SystemClock, ids::OrgId};
use voxanne_messaging::credits::{AccountStatement, CreditAccounts, SignupCredits};

use crate::{
    cli::Credits,
    commands::voice::entering,
    output::{AlreadySaid, Output, table},
};

pub(super) async fn run(command: Credits, output: &Output) -> anyhow::Result<()> {
    let settings = OperatorSettings::read(Reader::from_environment())?;
    let store = super::store(&settings.database).await?;
    let signup = SignupCredits::new(settings.signup_credits.minor()).unwrap_or_default();
    let accounts = CreditAccounts::new(store, signup, Arc::new(SystemClock));
    match command {
        Credits::Grant { org, amount } => {
            let (org, amount) = (OrgId(org), Money::from_minor(amount));
            let balance = accounts.grant(&entering(org), amount).await?;
            let outcome = json!({ "organizationId": org, "granted": amount, "balance": balance.amount,
                                  "currency": balance.currency });
            output.say(&outcome, || {
                let [granted, left] = [amount, balance.amount].map(|money| spoken(money, balance.currency));
                format!("{granted} granted. {left} left.")
            })?;
            Ok(())
        }
        Credits::Show { org } => show(OrgId(org), &accounts.show(&entering(OrgId(org))).await?, output),
    }
}

fn show(org: OrgId, statement: &AccountStatement, output: &Output) -> anyhow::Result<()> {
    let AccountStatement { balance, sum_of_entries, entries, reserved } = *statement;
    let outcome = json!({ "organizationId": org, "balance": balance.amount, "currency": balance.currency,
        "sumOfEntries": sum_of_entries, "entries": entries, "reserved": reserved, "agrees": statement.agrees() });
    output.say(&outcome, || {
        let money = |amount| spoken(amount, balance.currency);
        let row = |name: &str, value: String| [name.to_owned(), value];
        let rows = [
            row("left", money(balance.amount)),
            row("sum of the ledger's entries", money(sum_of_entries)),
            row("entries", entries.to_string()),
            row("reserved for messages on their way", money(reserved)),
            row("the ledger proves it", if statement.agrees() { "yes" } else { "NO" }.to_owned()),
        ];
        table(["credits", ""], rows, "")
    })?;
    if statement.agrees() { Ok(()) } else { Err(AlreadySaid.into()) }
}

/// An amount as people write it, with the minor units that are typed.
fn spoken(amount: Money, currency: Currency) -> String {
    format!("{} {currency} ({} minor units)", amount.to_major_number(), amount.minor())
}

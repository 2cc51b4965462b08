//! `voxctl admin`.

use std::{io::Read as _, sync::Arc};

use anyhow::{Context, ensure};
use secrecy::SecretString;
use serde_json::json;
use voxanne_boot::{OperatorSettings, Reader};
use voxanne_identity::Argon2Passwords;
use voxanne_kernel::{EmailAddress, SystemClock};
use voxanne_tenancy::{CreateOperator, NewPassword};

use crate::{cli::Admin, output::Output};

pub(super) async fn run(command: Admin, output: &Output) -> anyhow::Result<()> {
    let Admin::Create { email, password_stdin: _ } = command;
    create(email, output).await
}

async fn create(email: EmailAddress, output: &Output) -> anyhow::Result<()> {
    let settings = OperatorSettings::read(Reader::from_environment())?;
    let password = NewPassword::new(read_password()?).context("the password")?;
    let store = super::store(&settings.database).await?;
    let create = CreateOperator::new(store, Arc::new(Argon2Passwords::new()), Arc::new(SystemClock));
    let user = create.run(email, password).await?;
    // The specification names the form, so there is only this one.
    output.json(&json!({ "userId": user.id, "email": user.email }))?;
    Ok(())
}

/// The password as it was typed or piped, without the end of its line.
fn read_password() -> anyhow::Result<SecretString> {
    let mut text = String::new();
    // More than any password: whoever pipes a large file here gets an error instead of a long wait.
    std::io::stdin()
        .take(4_096)
        .read_to_string(&mut text)
        .context("reading the password from standard input")?;
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    ensure!(!password.is_empty(), "there is no password on standard input");
    Ok(password.into())
}

//! `voxctl email`. It reads no settings and reaches nothing: what it shows is made up.

use anyhow::Context;
use serde_json::json;
use voxanne_kernel::{Clock, SystemClock};
use voxanne_messaging::mail::preview;

use crate::{
    cli::{Email, EmailParts},
    output::Output,
};

pub(super) fn run(command: &Email, output: &Output) -> anyhow::Result<()> {
    let Email::Preview { template, parts: EmailParts { html, text } } = command;
    let letter = preview(*template, SystemClock.now()).context("the template is broken")?;
    if *html {
        output.bare(&letter.html)?;
    } else if *text {
        output.bare(&letter.text)?;
    } else {
        let whole = json!({
            "template": template.as_str(), "subject": letter.subject, "text": letter.text, "html": letter.html,
        });
        output.say(&whole, || format!("Subject: {}\n\n{}", letter.subject, letter.text))?;
    }
    Ok(())
}

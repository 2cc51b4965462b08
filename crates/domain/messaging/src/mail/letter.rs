//! The words of a mail.
//!
//! Each notice becomes one [`Page`], and one template for each of the two parts lays any page out: what the HTML says
//! and what the plain text says cannot differ. The HTML template escapes everything that is put into it.

use askama::Template;
use voxanne_kernel::{Currency, EmailAddress, Money, Timestamp, Zone};

use super::notice::{Label, Notice};
use crate::{
    channel::{Channel, Provider},
    model::Mode,
};

/// What all our mails have in common.
#[derive(Debug, Clone)]
pub struct Letterhead {
    /// Where people get help.
    pub support: EmailAddress,
}

/// Who is written to.
#[derive(Debug, Clone)]
pub struct Addressee {
    /// Where.
    pub email: EmailAddress,
    /// Their organization, if they have one.
    pub office: Option<Office>,
}

/// The organization that a person belongs to.
#[derive(Debug, Clone)]
pub struct Office {
    /// Its name.
    pub name: Label,
    /// The zone in which it is told times.
    pub zone: Zone,
}

/// A mail as it is sent: always the same words, however often it has to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// To whom.
    pub to: EmailAddress,
    /// One line.
    pub subject: String,
    /// The plain part.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Letter({:?})", self.to)
    }
}

/// What a letter says, before it is laid out.
struct Page {
    subject: String,
    heading: &'static str,
    paragraphs: Vec<String>,
    facts: Vec<(&'static str, String)>,
    steps: Vec<String>,
    /// Why this person gets it.
    reason: String,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    page: &'a Page,
    support: &'a str,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Text<'a> {
    page: &'a Page,
    support: &'a str,
}

impl Letter {
    /// Writes what `notice`, which happened at `at`, says to `addressee`.
    ///
    /// # Errors
    /// When a template could not be filled in: a bug.
    pub(super) fn write(
        notice: &Notice,
        at: Timestamp,
        addressee: &Addressee,
        head: &Letterhead,
    ) -> Result<Self, askama::Error> {
        let page = page(notice, at, addressee.office.as_ref());
        let support = head.support.as_str();
        Ok(Self {
            to: addressee.email.clone(),
            text: Text { page: &page, support }.render()?,
            html: Html { page: &page, support }.render()?,
            subject: page.subject,
        })
    }
}

fn page(notice: &Notice, at: Timestamp, office: Option<&Office>) -> Page {
    // Mails of organizations always have one; a person may have none.
    let name = office.map_or("your organization", |office| office.name.as_str());
    let mut facts = Vec::new();
    if let Some(office) = office {
        facts.push(("Organization", office.name.to_string()));
    }
    facts.push(("Date", date(at, office)));
    let owner = || format!("You receive this e-mail because you are an owner of {name} at Voxanne.");
    match notice {
        Notice::AddressTaken {} => Page {
            subject: "You already have a Voxanne account".to_owned(),
            heading: "You already have an account",
            paragraphs: vec![
                "Somebody, perhaps you, tried to sign up for Voxanne with this e-mail address.".to_owned(),
                "You have an account already, so no new one was made. Your account, your password and your data \
                 have not changed."
                    .to_owned(),
            ],
            facts,
            steps: vec![
                "If it was you: sign in with this e-mail address and your password instead.".to_owned(),
                "If it was not you: there is nothing to do. Nobody got into your account.".to_owned(),
            ],
            reason: "You receive this e-mail because this address belongs to a Voxanne account.".to_owned(),
        },
        Notice::CalendarDisconnected { calendar } => {
            let calendar = calendar.spoken();
            facts.push(("Calendar", calendar.to_owned()));
            Page {
                subject: format!("{name}: please reconnect {calendar}"),
                heading: "A calendar needs to be reconnected",
                paragraphs: vec![
                    format!("{calendar} does not let Voxanne in any more: the permission has expired or was taken back."),
                    "Your assistant still answers calls and books appointments. Until you reconnect the calendar, \
                     they are not compared with it and not written to it."
                        .to_owned(),
                ],
                facts,
                steps: vec![
                    "Sign in to your dashboard and open Integrations.".to_owned(),
                    format!("Choose {calendar}, then Reconnect, and allow access."),
                ],
                reason: owner(),
            }
        }
        Notice::SetUpSucceeded { number, inbound, outbound } => {
            facts.extend([
                ("Phone number", number.to_string()),
                ("Answers calls", inbound.to_string()),
                ("Makes calls", outbound.to_string()),
            ]);
            Page {
                subject: format!("{name}: your AI receptionist is ready"),
                heading: "Your AI receptionist is ready",
                paragraphs: vec![format!("The phone line of {name} is set up. Its assistant answers calls from now on.")],
                facts,
                steps: vec![
                    format!("Call {number} and hear how it answers."),
                    "Sign in to your dashboard and check your opening hours, services and prices.".to_owned(),
                    "Connect your calendar under Integrations, so that appointments show up in it.".to_owned(),
                    "Forward your existing number to the new one when you are happy with it.".to_owned(),
                ],
                reason: owner(),
            }
        }
        Notice::SetUpFailed { step, .. } => {
            facts.push(("Step that failed", step.spoken().to_owned()));
            Page {
                subject: format!("{name}: your phone line could not be set up"),
                heading: "Your phone line could not be set up",
                paragraphs: vec![
                    format!("We could not finish setting up the phone line of {name}."),
                    step.meaning().to_owned(),
                ],
                facts,
                steps: vec![
                    "Sign in to your dashboard and choose Retry setup. Whatever was made was taken back, so that nothing \
                     is paid for twice."
                        .to_owned(),
                    "If it fails again, write to us and mention the date and the step above. We can see what went wrong."
                        .to_owned(),
                ],
                reason: owner(),
            }
        }
        Notice::OrganizationSetUpFailed { organization, org_id, step, is_stuck, .. } => {
            facts.extend([
                ("Organization", organization.to_string()),
                ("Organization id", org_id.to_string()),
                ("Step that failed", step.spoken().to_owned()),
            ]);
            let left = if *is_stuck {
                "Some of what had been made could not be taken back yet and may cost money. It is tried again."
            } else {
                "Whatever had been made is being taken back. Its owners were told."
            };
            Page {
                subject: format!("Setup failed: {organization}"),
                heading: "An organization's line could not be set up",
                paragraphs: vec![format!("The line of {organization} could not be set up."), left.to_owned()],
                facts,
                steps: vec![
                    format!("See what happened: voxctl setup show {org_id}"),
                    format!("Try it again when the cause is mended: voxctl setup retry {org_id}"),
                ],
                reason: "You receive this e-mail because you are an operator of Voxanne.".to_owned(),
            }
        }
        Notice::MessagesFailedOver { channel, failed, by, by_platform } => {
            failed_over(name, (*channel, *failed), (*by, *by_platform), facts, owner())
        }
        Notice::MessagingModelSwitched { mode, fallback_to_platform } => {
            model_switched(name, *mode, *fallback_to_platform, facts, owner())
        }
        Notice::MessagingBudgetUsed { percent, month, spent, budget, currency } => {
            facts.push(("Month", month.to_string()));
            budget_used(name, *percent, *spent, *budget, *currency, facts, owner())
        }
    }
}

fn model_switched(
    name: &str,
    mode: Mode,
    fallback_to_platform: bool,
    facts: Vec<(&'static str, String)>,
    reason: String,
) -> Page {
    let (whose, pays) = match (mode, fallback_to_platform) {
        (Mode::CustomerManaged, true) => (
            "your own providers, and Voxanne's where none of yours can send",
            "Your providers charge you. What goes through Voxanne is paid with your credits.",
        ),
        (Mode::CustomerManaged, false) => (
            "your own providers only",
            "Your providers charge you. A message that none of them can send is not sent.",
        ),
        (Mode::PlatformManaged, _) => ("Voxanne's providers", "Messages are paid with your credits."),
    };
    Page {
        subject: format!("{name}: messages are sent another way"),
        heading: "Messages are sent another way",
        paragraphs: vec![
            format!("Text messages, e-mails and WhatsApp messages of {name} now go out through {whose}."),
            pays.to_owned(),
        ],
        facts,
        steps: vec!["If you did not expect this: sign in to your dashboard and open Messaging.".to_owned()],
        reason,
    }
}

fn failed_over(
    name: &str,
    (channel, failed): (Channel, Provider),
    (by, by_platform): (Provider, bool),
    mut facts: Vec<(&'static str, String)>,
    reason: String,
) -> Page {
    facts.extend([("Provider", failed.title().to_owned()), ("Messages", channel.plural().to_owned())]);
    let instead = if by_platform {
        format!("They go out through Voxanne's {} instead and are paid with your credits.", by.title())
    } else {
        format!("They go out through your {} instead.", by.title())
    };
    Page {
        subject: format!("{name}: {} does not take your messages", failed.title()),
        heading: "A provider does not take your messages",
        paragraphs: vec![
            format!("{} does not take {} of {name} at the moment.", failed.title(), channel.plural()),
            instead,
        ],
        facts,
        steps: vec![
            format!(
                "Look at your account at {}: whether it has credit, and whether its keys are valid.",
                failed.title()
            ),
            "Sign in to your dashboard, open Messaging, and choose Test beside the provider.".to_owned(),
        ],
        reason,
    }
}

fn budget_used(
    name: &str,
    percent: u8,
    spent: Money,
    budget: Money,
    currency: Currency,
    mut facts: Vec<(&'static str, String)>,
    reason: String,
) -> Page {
    let amount =
        |money: Money| format!("{}.{:02} {currency}", money.minor() / 100, money.minor().abs() % 100);
    facts.extend([("Used", amount(spent)), ("Budget", amount(budget))]);
    Page {
        subject: format!("{name}: {percent} % of this month's messaging budget is used"),
        heading: "Your messaging budget",
        paragraphs: vec![
            format!("Messages of {name} have used {percent} % of the budget that was set for this month."),
            "Messages are still sent as long as there are credits.".to_owned(),
        ],
        facts,
        steps: vec![
            "Sign in to your dashboard and open Messaging to see what was sent, or to change the budget."
                .to_owned(),
        ],
        reason,
    }
}

/// The moment in the organization's zone, which is named; in UTC without one.
fn date(at: Timestamp, office: Option<&Office>) -> String {
    let utc = Zone::utc();
    let zone = office.map_or(&utc, |office| &office.zone);
    format!("{} ({})", zone.local(at).strftime("%-d %B %Y, %H:%M"), zone.name())
}

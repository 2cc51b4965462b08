//! How much an organization may send: [`Rules`] that it sets itself, a rate and a pause for each contact ([`Throttle`]),
//! and the most messages of a day and of a month. Also how long what is sent may be ([`check_content`]).
//!
//! All counts are rows that are read and written in the unit of work that queues or sends, so they hold however many
//! processes there are. Whoever is refused is told how long to wait.

mod content;
mod rules;
mod throttle;

pub use content::{
    BadContent, MAIL_BYTES, SUBJECT_CHARACTERS, check_content, check_html, check_subject, check_text,
};
pub use rules::{BadRule, ReadRules, Rules, RulesPatch, SetRules, SetRulesError, SetRulesTx, WriteRules};
pub use throttle::{
    Bucket, Capped, Counted, Rate, Taken, Throttle, Window, day_of, month_of, take_contact,
    take_contact_as_of, take_for_organization, take_room,
};

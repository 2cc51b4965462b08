//! Sending through each provider, and believing what it tells: the suite that all providers of messages have to pass,
//! the requests held to the official documents where there are some, and the published signatures.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod accounts;
mod attachments;
mod contract;
mod mailgun;
mod postmark;
mod resend;
mod sendgrid;
mod ses;
mod smtp;
mod sns;
mod vectors;

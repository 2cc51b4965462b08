//! The sandbox, from outside: a real one on a loopback port, asked over HTTP.
#![expect(clippy::disallowed_methods, reason = "the backend in these tests reads the machine's clock")]
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

mod backend;
mod calls;
mod contract;
mod faults;
mod harness;
mod mails;
mod messaging;
mod messaging_contract;
mod oauth;
mod oauth_google;
mod oauth_microsoft;
mod objects;
mod outbound;
mod receiver;
mod resend_mail;
mod schema_oracle;
mod self_knowledge;
mod smtp;
mod state_file;
mod texts;
mod twilio;
mod twilio_caller_ids;
mod twilio_contract;
mod twilio_messages;
mod twilio_numbers;

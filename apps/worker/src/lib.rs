//! The worker: moves jobs from the outbox into the queue, works the queue off, and keeps the schedules.
//!
//! A job runs at least once. Whatever it does is therefore safe to do again, and it carries ids only: handlers load
//! what they need inside a scoped transaction. Killing a worker loses nothing; another one (or the same, restarted)
//! takes its jobs over within half a minute.

pub mod appraiser;
pub mod call_actions;
mod connections;
pub mod jobs;
pub mod mails;
mod managed_numbers;
pub mod messages;
pub mod observe;
pub mod own_line;
pub mod recording_links;
pub mod relay;
pub mod retry;
pub mod run;
pub mod work;

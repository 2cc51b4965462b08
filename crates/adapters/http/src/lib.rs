//! Requests to providers, whichever they are: with time-outs, without redirects, with a bounded answer, measured, and
//! with one meaning for each way to fail.
//!
//! [`Http::read`] repeats a request that changes nothing; [`Http::write`] sends once, because few providers know
//! idempotency keys and a lost answer may hide an effect (decision D11). Both give an [`Answer`] of any status. What a
//! refusal means in words is each provider's own; what it means for whoever asked is [`Answer::refusal`] for all of
//! them, unless a provider's facts say otherwise. Texts of providers stay in the error's source, for the log.

mod answer;
mod client;
mod public;
mod request;
mod stream;
mod tls;

pub use answer::{Answer, Refusal};
pub use client::{ClientError, Http, Limits};
pub use public::{LookupError, NotPublic, Reach, is_public};
pub use request::within_request;
pub use reqwest::{Method, RequestBuilder, StatusCode, header, multipart};
pub use stream::Streamed;

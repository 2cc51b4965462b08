//! The client's side of OAuth 2.0 and OpenID Connect, as far as providers agree on it: the token endpoint, what its
//! refusals mean, and who an identity says somebody is.
//!
//! Paths, parameters and scopes are each provider's own. A refusal ends a connection only where it says so in the one
//! word the provider uses for that; whatever else arrives, or does not, says nothing about the grant.

mod endpoint;
mod identity;

pub use endpoint::{Registration, TokenEndpoint, Tokens};
pub use identity::{Claims, IdentityError};

use url::Url;

/// An address below `base`, whether or not that ends in a slash.
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// An address that is written in the code.
///
/// # Panics
/// When it is none.
#[expect(clippy::expect_used, reason = "a constant that every test of its adapter reads")]
pub fn known(address: &'static str) -> Url {
    Url::parse(address).expect("a well-formed address")
}

/// Scopes as they are written: separated by spaces.
pub fn scopes(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

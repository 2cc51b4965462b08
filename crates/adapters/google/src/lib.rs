//! Google behind the ports of the domains: consent, tokens and identity.
//!
//! Facts: Google's pages on OAuth 2.0 for web server applications and on OpenID Connect. What they leave unconfirmed
//! stands behind `scopes::normalized`.

mod oauth;
mod scopes;

pub use oauth::GoogleOAuth;
pub use voxanne_oauth::Registration;

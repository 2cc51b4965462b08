//! Microsoft behind the ports of the domains: consent, tokens and identity.
//!
//! Facts: Microsoft's pages on the identity platform (v2.0) and on Graph.

mod oauth;
mod scopes;

pub use oauth::MicrosoftOAuth;
pub use voxanne_oauth::Registration;

//! Who somebody is, proven: access tokens ([`Tokens`]) and passwords ([`Argon2Passwords`]), behind the ports of
//! `voxanne-tenancy`.
//!
//! It decides nothing about rights and stores nothing. Which algorithm a token may be signed with follows from our
//! configuration and the key found, never from the token's header (RFC 8725).

mod jwks;
mod passwords;
mod tokens;
mod wire;

pub use jwks::{ExternalIssuer, NamedLikeUs};
pub use passwords::Argon2Passwords;
pub use tokens::{OWN_AUDIENCE, OWN_ISSUER, SigningSecret, SigningSecretError, Tokens};

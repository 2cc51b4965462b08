//! Access tokens: ours, signed with HS256, and those of one external issuer, signed with RS256 or ES256.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use jiff::SignedDuration;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, dangerous::insecure_decode_claims, decode,
    decode_header, encode,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use voxanne_kernel::Clock;
use voxanne_tenancy::{AccessTokens, Claims, IssueError, IssuedToken, TokenError, TokenIssuer};

use crate::{
    jwks::{ExternalIssuer, KeySets},
    wire::{ReadClaims, WrittenClaims},
};

/// The issuer of our own tokens.
pub const OWN_ISSUER: &str = "voxanne";
/// The audience of our own tokens.
pub const OWN_AUDIENCE: &str = "authenticated";

/// The longest token that is looked at. Real ones have less than two thousand characters.
const LONGEST_TOKEN: usize = 16 * 1024;

/// The secret that our own tokens are signed with.
#[derive(Debug, Clone)]
pub struct SigningSecret(SecretString);

/// The secret is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least 32 bytes")]
pub struct SigningSecretError;

impl SigningSecret {
    /// Takes a secret of at least 32 bytes: anything shorter can be guessed from one token.
    ///
    /// # Errors
    /// [`SigningSecretError`] when it is shorter.
    pub fn new(secret: SecretString) -> Result<Self, SigningSecretError> {
        if secret.expose_secret().len() < 32 { Err(SigningSecretError) } else { Ok(Self(secret)) }
    }
}

/// Makes our own tokens and checks everybody's.
pub struct Tokens {
    own: Option<OwnKeys>,
    external: Option<KeySets>,
    clock: Arc<dyn Clock>,
}

struct OwnKeys {
    signing: EncodingKey,
    checking: DecodingKey,
}

/// What a token is checked with: one key, one algorithm, one issuer, one audience.
struct Check<'a> {
    key: &'a DecodingKey,
    algorithm: Algorithm,
    issuer: &'a str,
    audience: &'a str,
}

impl Tokens {
    /// Makes tokens with `secret`, if there is one, and accepts those and the ones of `external`, if there is one.
    pub fn new(
        secret: Option<&SigningSecret>,
        external: Option<ExternalIssuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let own = secret.map(|SigningSecret(secret)| OwnKeys {
            signing: EncodingKey::from_secret(secret.expose_secret().as_bytes()),
            checking: DecodingKey::from_secret(secret.expose_secret().as_bytes()),
        });
        Self { own, external: external.map(|issuer| KeySets::new(issuer, clock.clone())), clock }
    }

    fn check(&self, token: &str, check: &Check<'_>) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(check.algorithm);
        validation.set_issuer(&[check.issuer]);
        validation.set_audience(&[check.audience]);
        // The library lets a token without `iss` or `aud` pass unless both are required by name.
        validation.required_spec_claims = HashSet::from(["exp", "iss", "aud", "sub"].map(String::from));
        // Times are checked below, by our own clock instead of the machine's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<ReadClaims>(token, check.key, &validation).map_err(refused)?.claims;
        if !claims.is_current(self.clock.now()) {
            return Err(TokenError::Invalid);
        }
        Ok(claims.into_claims())
    }
}

/// Which of the library's reasons it was matters only to whoever debugs an issuer.
#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn refused(error: jsonwebtoken::errors::Error) -> TokenError {
    tracing::debug!(reason = ?error.kind(), "an access token was refused");
    TokenError::Invalid
}

/// The issuer a token says it has. Believed only in order to choose whose key to check it with.
fn claimed_issuer(token: &str) -> Result<String, TokenError> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    insecure_decode_claims::<Issuer>(token).map(|claims| claims.iss).map_err(refused)
}

#[async_trait]
impl AccessTokens for Tokens {
    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > LONGEST_TOKEN {
            return Err(TokenError::Invalid);
        }
        let header = decode_header(token).map_err(refused)?;
        if header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        if claimed_issuer(token)? == OWN_ISSUER {
            let own = self.own.as_ref().ok_or(TokenError::Invalid)?;
            let check = Check {
                key: &own.checking,
                algorithm: Algorithm::HS256,
                issuer: OWN_ISSUER,
                audience: OWN_AUDIENCE,
            };
            return self.check(token, &check);
        }
        let external = self.external.as_ref().ok_or(TokenError::Invalid)?;
        let key = external.key(&header.kid.ok_or(TokenError::Invalid)?).await?;
        let issuer = external.issuer();
        let check = Check {
            key: &key.key,
            algorithm: key.algorithm,
            issuer: issuer.issuer(),
            audience: issuer.audience(),
        };
        self.check(token, &check)
    }
}

impl TokenIssuer for Tokens {
    fn issue(&self, claims: &Claims, lifetime: SignedDuration) -> Result<IssuedToken, IssueError> {
        let own = self.own.as_ref().ok_or(IssueError::NotConfigured)?;
        let written = WrittenClaims::new(claims, OWN_ISSUER, OWN_AUDIENCE, self.clock.now(), lifetime);
        let token = encode(&Header::new(Algorithm::HS256), &written, &own.signing)
            .map_err(|error| IssueError::Signing(Box::new(error)))?;
        Ok(IssuedToken { token: token.into(), lifetime })
    }
}

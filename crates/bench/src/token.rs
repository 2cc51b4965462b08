//! Access tokens and signatures as others make them: written here by hand, so that the bench stays outside of what it
//! measures.

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;
use uuid::Uuid;
use voxanne_kernel::{Clock, SystemClock};

/// HMAC-SHA256 over the parts, one after the other.
pub(crate) fn mac(secret: &[u8], parts: &[&[u8]]) -> anyhow::Result<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).context("the secret")?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().into())
}

/// A token (HS256) of an owner of `org`, good for a day.
pub(crate) fn owner_of(org: Uuid, secret: &[u8]) -> anyhow::Result<String> {
    let now = SystemClock.now().as_second();
    let claims = json!({
        "iss": "voxanne", "aud": "authenticated", "sub": Uuid::now_v7(), "iat": now, "exp": now + 86_400,
        "role": "authenticated", "app_metadata": {"org_id": org, "role": "owner"},
    });
    let encoded = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(&json!({"alg": "HS256", "typ": "JWT"})), encoded(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac(secret, &[signed.as_bytes()])?);
    Ok(format!("{signed}.{signature}"))
}

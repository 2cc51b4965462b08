//! The claims of an access token, as they are written (`providers/identity.md` §1).

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use voxanne_kernel::{Timestamp, ids::OrgId, ids::UserId};
use voxanne_tenancy::{Access, Claims, Role};

/// The role of an operator's token.
const OPERATOR: &str = "platform_admin";

/// How far clocks may differ.
const LEEWAY: i64 = 60;

/// What a token is read into. Whatever only grants rights is lenient: a claim that cannot be read grants none.
#[derive(Debug, Deserialize)]
pub(crate) struct ReadClaims {
    sub: Uuid,
    exp: i64,
    nbf: Option<i64>,
    #[serde(default)]
    app_metadata: Value,
}

impl ReadClaims {
    /// Whether the token is valid at `now`, give or take [`LEEWAY`].
    pub(crate) fn is_current(&self, now: Timestamp) -> bool {
        let now = now.as_second();
        now < self.exp.saturating_add(LEEWAY) && self.nbf.is_none_or(|nbf| nbf.saturating_sub(LEEWAY) <= now)
    }

    /// Who holds the token, and what they may reach with it.
    pub(crate) fn into_claims(self) -> Claims {
        let text = |name: &str| self.app_metadata.get(name).and_then(Value::as_str);
        let org = text("org_id").and_then(|org| org.parse::<OrgId>().ok());
        let access = match (org, text("role")) {
            // An operator belongs to no organization, whatever else the token says.
            (None, Some(OPERATOR)) if self.app_metadata.get("org_id").is_none_or(Value::is_null) => {
                Access::Operator
            }
            (Some(org), Some(role)) => {
                role.parse::<Role>().map_or(Access::Nothing, |role| Access::Organization { org, role })
            }
            // Tokens of an external issuer may carry the organization alone.
            (Some(org), None) if self.app_metadata.get("role").is_none() => {
                Access::Organization { org, role: Role::Member }
            }
            _ => Access::Nothing,
        };
        Claims { user: UserId(self.sub), access }
    }
}

/// What a token of ours is written from.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenClaims {
    iss: &'static str,
    aud: &'static str,
    sub: Uuid,
    iat: i64,
    exp: i64,
    role: &'static str,
    app_metadata: WrittenMetadata,
}

#[derive(Debug, Serialize)]
struct WrittenMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    org_id: Option<OrgId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
}

impl WrittenClaims {
    /// `claims`, from `now` for `lifetime`.
    pub(crate) fn new(
        claims: &Claims,
        issuer: &'static str,
        audience: &'static str,
        now: Timestamp,
        lifetime: SignedDuration,
    ) -> Self {
        let (org_id, role) = match claims.access {
            Access::Organization { org, role } => (Some(org), Some(role.as_str())),
            Access::Operator => (None, Some(OPERATOR)),
            Access::Nothing => (None, None),
        };
        Self {
            iss: issuer,
            aud: audience,
            sub: claims.user.0,
            iat: now.as_second(),
            exp: now.as_second().saturating_add(lifetime.as_secs()),
            // The database role that Supabase's own libraries expect here; ours is in the metadata.
            role: "authenticated",
            app_metadata: WrittenMetadata { org_id, role },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ORG: OrgId = OrgId(Uuid::from_u128(7));

    #[track_caller]
    fn check(app_metadata: Value, expected: Access) {
        let claims = ReadClaims { sub: Uuid::nil(), exp: 0, nbf: None, app_metadata };
        assert_eq!(claims.into_claims().access, expected);
    }

    #[test]
    fn a_token_grants_what_its_metadata_says_and_nothing_when_that_is_unclear() {
        let member = |role| Access::Organization { org: ORG, role };
        check(json!({"org_id": ORG, "role": "owner"}), member(Role::Owner));
        check(json!({"org_id": ORG}), member(Role::Member));
        check(json!({"role": "platform_admin"}), Access::Operator);
        check(json!({"role": "platform_admin", "org_id": null}), Access::Operator);
        check(json!({"role": "platform_admin", "org_id": ORG}), Access::Nothing);
        check(json!({"role": "platform_admin", "org_id": "x"}), Access::Nothing);
        check(json!({"org_id": ORG, "role": "superuser"}), Access::Nothing);
        check(json!({"org_id": ORG, "role": 1}), Access::Nothing);
        check(json!({"org_id": "not-a-uuid", "role": "owner"}), Access::Nothing);
        check(json!({"org_id": 1, "role": "owner"}), Access::Nothing);
        check(json!({"role": "owner"}), Access::Nothing);
        check(json!({}), Access::Nothing);
        check(json!("text"), Access::Nothing);
        check(Value::Null, Access::Nothing);
    }
}

//! Every way we know of to pass off a token that was not meant for us (RFC 8725), and the ones that are.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use uuid::Uuid;
use voxanne_identity::{ExternalIssuer, SigningSecret, Tokens};
use voxanne_kernel::{
    ManualClock, Timestamp,
    ids::{OrgId, UserId},
};
use voxanne_tenancy::{Access, AccessTokens, Claims, IssueError, Role, TokenError, TokenIssuer};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

const SECRET: &str = "a secret of at least thirty-two bytes";
const ISSUER: &str = "https://id.example.com/auth/v1";
const NOW: i64 = 1_800_000_000;
const USER: Uuid = Uuid::from_u128(0xA);
const ORG: OrgId = OrgId(Uuid::from_u128(0xB));

fn ec() -> EncodingKey {
    EncodingKey::from_ec_pem(include_bytes!("keys/ec.pem")).unwrap()
}

fn other_ec() -> EncodingKey {
    EncodingKey::from_ec_pem(include_bytes!("keys/other-ec.pem")).unwrap()
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(include_bytes!("keys/rsa.pem")).unwrap()
}

fn hmac(secret: impl AsRef<[u8]>) -> EncodingKey {
    EncodingKey::from_secret(secret.as_ref())
}

fn published(key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(key, algorithm).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

struct World {
    issuer: MockServer,
    clock: Arc<ManualClock>,
    tokens: Tokens,
}

impl World {
    async fn new() -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let issuer = MockServer::start().await;
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        let secret = SigningSecret::new(SECRET.into()).unwrap();
        let keys = format!("{}/.well-known/jwks.json", issuer.uri()).parse().unwrap();
        let external = ExternalIssuer::new(keys, ISSUER.into(), "authenticated".into()).unwrap();
        let tokens = Tokens::new(Some(&secret), Some(external), clock.clone());
        let world = Self { issuer, clock, tokens };
        world.publish(&[
            published(&ec(), Algorithm::ES256, "ec"),
            published(&rsa(), Algorithm::RS256, "rsa"),
            json!({"kty": "oct", "kid": "shared", "alg": "HS256", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3JldA"}),
            json!({"kty": "future", "kid": "unknown kind of key"}),
        ])
        .await;
        world
    }

    async fn publish(&self, keys: &[Value]) {
        self.issuer.reset().await;
        Mock::given(method("GET"))
            .and(path("/.well-known/jwks.json"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "keys": keys })))
            .mount(&self.issuer)
            .await;
    }

    async fn fetches(&self) -> usize {
        self.issuer.received_requests().await.unwrap().len()
    }

    async fn accepts(&self, token: &str) -> bool {
        match self.tokens.verify(token).await {
            Ok(claims) => {
                assert_eq!(claims.user, UserId(USER));
                true
            }
            Err(TokenError::Invalid) => false,
            Err(TokenError::KeysUnavailable) => panic!("the keys were available"),
        }
    }
}

fn own_claims() -> Value {
    json!({
        "iss": "voxanne", "aud": "authenticated", "sub": USER, "exp": NOW + 900,
        "app_metadata": {"org_id": ORG, "role": "owner"},
    })
}

fn external_claims() -> Value {
    let mut claims = own_claims();
    claims["iss"] = ISSUER.into();
    claims
}

fn with(mut claims: Value, name: &str, value: impl Into<Value>) -> Value {
    claims[name] = value.into();
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}

fn own(claims: &Value) -> String {
    encode(&header(Algorithm::HS256, None), claims, &hmac(SECRET)).unwrap()
}

fn external(claims: &Value) -> String {
    encode(&header(Algorithm::ES256, Some("ec")), claims, &ec()).unwrap()
}

/// A token with any header and no matter what for a signature.
fn raw(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

#[tokio::test]
async fn the_tokens_that_are_meant_for_us_are_accepted() {
    let world = World::new().await;
    let rsa = encode(&header(Algorithm::RS256, Some("rsa")), &external_claims(), &rsa()).unwrap();
    for token in [own(&own_claims()), external(&external_claims()), rsa] {
        let claims = world.tokens.verify(&token).await.unwrap();
        assert_eq!(claims.access, Access::Organization { org: ORG, role: Role::Owner });
    }
    let listed = with(external_claims(), "aud", json!(["other", "authenticated"]));
    assert!(world.accepts(&external(&listed)).await);
    assert_eq!(world.fetches().await, 1);
}

#[tokio::test]
async fn what_we_issue_we_accept_until_it_expires() {
    let world = World::new().await;
    for access in [Access::Organization { org: ORG, role: Role::Admin }, Access::Operator, Access::Nothing] {
        let claims = Claims { user: UserId(USER), access };
        let issued = world.tokens.issue(&claims, SignedDuration::from_mins(15)).unwrap();
        let token = secrecy::ExposeSecret::expose_secret(&issued.token);
        assert_eq!(world.tokens.verify(token).await.unwrap(), claims);
    }
}

#[tokio::test]
async fn claims_that_are_missing_wrong_or_out_of_time_are_refused_whoever_signed() {
    let world = World::new().await;
    let table = [
        ("as it should be", true, json!({})),
        ("expired, within the leeway", true, json!({"exp": NOW - 59})),
        ("expired", false, json!({"exp": NOW - 60})),
        ("expired long ago", false, json!({"exp": 0})),
        ("no expiry", false, json!({"exp": null})),
        ("an expiry that is text", false, json!({"exp": "2099-01-01"})),
        ("not yet valid, within the leeway", true, json!({"nbf": NOW + 60})),
        ("not yet valid", false, json!({"nbf": NOW + 61})),
        ("no audience", false, json!({"aud": null})),
        ("another audience", false, json!({"aud": "anon"})),
        ("other audiences", false, json!({"aud": ["a", "b"]})),
        ("no issuer", false, json!({"iss": null})),
        ("another issuer", false, json!({"iss": "https://evil.example.com"})),
        ("issuers", false, json!({"iss": [ISSUER, "voxanne"]})),
        ("nobody's", false, json!({"sub": null})),
        ("not a user's", false, json!({"sub": "admin"})),
    ];
    for (what, expected, change) in table {
        for claims in [own_claims(), external_claims()] {
            let changed = change.as_object().unwrap().iter().fold(claims.clone(), |claims, (name, value)| {
                if value.is_null() { without(claims, name) } else { with(claims, name, value.clone()) }
            });
            let token = if claims["iss"] == "voxanne" { own(&changed) } else { external(&changed) };
            assert_eq!(world.accepts(&token).await, expected, "{what}, by {}", claims["iss"]);
        }
    }
}

#[tokio::test]
async fn a_signature_counts_only_with_the_issuers_own_key_and_algorithm() {
    let world = World::new().await;
    let rsa_public = include_bytes!("keys/rsa.pub.pem");
    let sign = |algorithm, kid, claims: &Value, key| encode(&header(algorithm, kid), claims, &key).unwrap();
    let tampered = {
        let token = own(&own_claims());
        let (_, signature) = token.rsplit_once('.').unwrap();
        let claims = with(own_claims(), "sub", Uuid::from_u128(0xC).to_string());
        raw(&json!({"alg": "HS256", "typ": "JWT"}), &claims, signature)
    };
    let attacks = [
        ("unsigned", raw(&json!({"alg": "none"}), &own_claims(), "")),
        ("unsigned, in other letters", raw(&json!({"alg": "NoNe"}), &own_claims(), "")),
        ("unsigned, as the other issuer", raw(&json!({"alg": "none", "kid": "ec"}), &external_claims(), "")),
        ("signature cut off", raw(&json!({"alg": "HS256"}), &own_claims(), "")),
        ("claims exchanged under a good signature", tampered),
        ("another secret", sign(Algorithm::HS256, None, &own_claims(), hmac("another secret"))),
        ("an empty secret", sign(Algorithm::HS256, None, &own_claims(), hmac(""))),
        ("another length of our algorithm", sign(Algorithm::HS512, None, &own_claims(), hmac(SECRET))),
        (
            "the public key taken for a secret",
            sign(Algorithm::HS256, Some("rsa"), &external_claims(), hmac(rsa_public)),
        ),
        ("the same as our own token", sign(Algorithm::HS256, Some("rsa"), &own_claims(), hmac(rsa_public))),
        (
            "our secret, as the other issuer",
            sign(Algorithm::HS256, Some("ec"), &external_claims(), hmac(SECRET)),
        ),
        (
            "our secret, as the other issuer, no key named",
            sign(Algorithm::HS256, None, &external_claims(), hmac(SECRET)),
        ),
        ("the other issuer's key, as us", sign(Algorithm::ES256, Some("ec"), &own_claims(), ec())),
        (
            "a stranger's key under a known name",
            sign(Algorithm::ES256, Some("ec"), &external_claims(), other_ec()),
        ),
        ("the name of a key of another kind", sign(Algorithm::ES256, Some("rsa"), &external_claims(), ec())),
        (
            "another algorithm of the key's kind",
            sign(Algorithm::RS512, Some("rsa"), &external_claims(), rsa()),
        ),
        ("no key named", sign(Algorithm::ES256, None, &external_claims(), ec())),
        ("an unknown key", sign(Algorithm::ES256, Some("nobody's"), &external_claims(), other_ec())),
        (
            "a published shared secret",
            sign(
                Algorithm::HS256,
                Some("shared"),
                &external_claims(),
                hmac("secret secret secret secret secret"),
            ),
        ),
        (
            "a header that must be understood",
            raw(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &own_claims(), "x"),
        ),
    ];
    for (what, token) in attacks {
        assert!(!world.accepts(&token).await, "{what}");
    }
    let bring_your_own = Header {
        jwk: Some(Jwk::from_encoding_key(&other_ec(), Algorithm::ES256).unwrap()),
        ..header(Algorithm::ES256, Some("ec"))
    };
    assert!(!world.accepts(&encode(&bring_your_own, &external_claims(), &other_ec()).unwrap()).await);
    for junk in ["", ".", "..", "a.b.c", "not a token", &"x".repeat(1 << 20)] {
        assert!(!world.accepts(junk).await);
    }
}

#[tokio::test]
async fn an_unknown_key_makes_us_look_again_but_at_most_once_a_minute() {
    let world = World::new().await;
    assert!(world.accepts(&external(&external_claims())).await);
    let new = encode(&header(Algorithm::ES256, Some("new")), &external_claims(), &other_ec()).unwrap();
    for _ in 0..10 {
        assert!(!world.accepts(&new).await);
    }
    assert_eq!(world.fetches().await, 2);
    world.publish(&[published(&other_ec(), Algorithm::ES256, "new")]).await;
    world.clock.advance(SignedDuration::from_secs(59));
    assert!(!world.accepts(&new).await);
    world.clock.advance(SignedDuration::from_secs(1));
    assert!(world.accepts(&new).await);
    assert!(!world.accepts(&external(&external_claims())).await, "the old key was withdrawn");
    assert_eq!(world.fetches().await, 1);
}

#[tokio::test]
async fn many_first_tokens_at_once_fetch_the_keys_once() {
    let world = Arc::new(World::new().await);
    let token = external(&external_claims());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (world, token) = (world.clone(), token.clone());
        tasks.spawn(async move { world.accepts(&token).await });
    }
    assert!(tasks.join_all().await.into_iter().all(|accepted| accepted));
    assert_eq!(world.fetches().await, 1);
}

#[tokio::test]
async fn when_the_keys_cannot_be_fetched_the_token_is_neither_accepted_nor_called_invalid() {
    let world = World::new().await;
    world.issuer.reset().await;
    let answer = world.tokens.verify(&external(&external_claims())).await;
    assert!(matches!(answer, Err(TokenError::KeysUnavailable)));
    assert!(world.accepts(&own(&own_claims())).await, "our own tokens need nobody");
}

#[tokio::test]
async fn what_is_not_configured_is_neither_issued_nor_accepted() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
    let tokens = Tokens::new(None, None, clock);
    assert!(tokens.verify(&own(&own_claims())).await.is_err());
    assert!(tokens.verify(&external(&external_claims())).await.is_err());
    let claims = Claims { user: UserId(USER), access: Access::Operator };
    let issued = tokens.issue(&claims, SignedDuration::from_mins(1));
    assert!(matches!(issued, Err(IssueError::NotConfigured)));
    assert!(SigningSecret::new("too short".into()).is_err());
}

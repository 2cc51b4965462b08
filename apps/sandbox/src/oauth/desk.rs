//! What an authorization server holds: its accounts, and what they granted.

mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Rules;
use super::account::Account;
use crate::clock::{instant, iso};
use crate::world::World;

pub(crate) use tokens::{Bearer, Issued, WhyNot};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Everything one authorization server holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Desk {
    accounts: Vec<Account>,
    /// The id of the account in the browser.
    signed_in: String,
    /// Where a browser may be sent back to; anywhere as long as there is none.
    pub(crate) redirect_uris: BTreeSet<String>,
    /// What each account has granted so far.
    consents: BTreeMap<String, BTreeSet<String>>,
    codes: BTreeMap<String, Code>,
    /// The oldest first.
    refresh_tokens: Vec<RefreshToken>,
    access_tokens: BTreeMap<String, AccessToken>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Code {
    sub: String,
    redirect_uri: String,
    challenge: Option<Challenge>,
    scopes: Vec<String>,
    /// Whether it yields a refresh token.
    offline: bool,
    nonce: Option<String>,
    expires_ms: i64,
    used: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshToken {
    token: String,
    sub: String,
    scopes: Vec<String>,
    issued_ms: i64,
    used_ms: i64,
    alive: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccessToken {
    sub: String,
    scopes: Vec<String>,
    expires_ms: i64,
}

/// What a code's holder has to prove (RFC 7636).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Challenge {
    /// To know this text.
    Plain(String),
    /// To know a text with this SHA-256.
    S256(String),
}

impl Challenge {
    fn is_met_by(&self, verifier: &str) -> bool {
        match self {
            Self::Plain(text) => text == verifier,
            Self::S256(digest) => {
                *digest == BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
            }
        }
    }
}

/// What an application asks a person for.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) redirect_uri: &'a str,
    pub(crate) scopes: Vec<String>,
    pub(crate) challenge: Option<Challenge>,
    /// Whether it wants to act while the person is away.
    pub(crate) offline: bool,
    /// Whether the person is asked even if they have said yes before.
    pub(crate) forces_consent: bool,
    /// Whether the tokens shall also cover what was granted before.
    pub(crate) includes_granted: bool,
    /// The account it expects.
    pub(crate) hint: Option<&'a str>,
    pub(crate) nonce: Option<&'a str>,
}

/// What the person said.
#[derive(Debug)]
pub(crate) enum Consent {
    Denied,
    Granted { code: String, scopes: Vec<String> },
}

impl Desk {
    /// With one account, which is signed in.
    pub(crate) fn new(rules: &Rules) -> Self {
        let account = Account {
            email: rules.first_email.to_owned(),
            sub: rules.first_subject.to_owned(),
            name: Some("Sandbox Owner".to_owned()),
            grant: None,
            consents: true,
            id_token: true,
            has_mail: true,
            strict_rotation: false,
            access_seconds: None,
            refuse: None,
            slow_ms: None,
        };
        Self {
            signed_in: account.sub.clone(),
            accounts: vec![account],
            redirect_uris: BTreeSet::new(),
            consents: BTreeMap::new(),
            codes: BTreeMap::new(),
            refresh_tokens: Vec::new(),
            access_tokens: BTreeMap::new(),
        }
    }

    /// The account with this address.
    pub(crate) fn account_of_email(&self, email: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.email.eq_ignore_ascii_case(email))
    }

    fn account(&self, sub: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.sub == sub)
    }

    /// Puts an account in place of the one with its address.
    ///
    /// # Errors
    /// When its id belongs to another one.
    pub(crate) fn put_account(&mut self, account: Account, signs_in: bool) -> Result<(), &'static str> {
        let is_same = |other: &Account| other.email.eq_ignore_ascii_case(&account.email);
        if self.accounts.iter().any(|other| other.sub == account.sub && !is_same(other)) {
            return Err("sub: is another account's");
        }
        if signs_in {
            self.signed_in.clone_from(&account.sub);
        }
        self.accounts.retain(|other| !is_same(other));
        self.accounts.push(account);
        Ok(())
    }

    /// Takes an account away with everything it granted.
    pub(crate) fn remove_account(&mut self, email: &str) -> bool {
        let there = self.withdraw(email);
        self.accounts.retain(|account| !account.email.eq_ignore_ascii_case(email));
        there
    }

    /// The person withdraws what they granted, on the page of their account.
    pub(crate) fn withdraw(&mut self, email: &str) -> bool {
        let Some(sub) = self.account_of_email(email).map(|account| account.sub.clone()) else { return false };
        self.end_grants(&sub);
        true
    }

    /// Whether a browser may be sent there.
    pub(crate) fn allows_redirect(&self, uri: &str) -> bool {
        self.redirect_uris.is_empty() || self.redirect_uris.contains(uri)
    }

    /// Asks the account in the browser, or the one that is hinted at, which answers at once.
    pub(crate) fn consent(&mut self, ask: &Ask<'_>, rules: &Rules, world: &World) -> Consent {
        let hinted = ask.hint.and_then(|hint| self.account_of_email(hint));
        let Some(account) = hinted.or_else(|| self.account(&self.signed_in)) else { return Consent::Denied };
        let granted = |scope: &&String| account.grant.as_ref().is_none_or(|grant| grant.contains(scope));
        let mut scopes: BTreeSet<String> = ask.scopes.iter().filter(granted).cloned().collect();
        if !account.consents || scopes.is_empty() {
            return Consent::Denied;
        }
        let sub = account.sub.clone();
        let before = self.consents.entry(sub.clone()).or_default();
        // Whoever has said yes before is not asked again, and what was not asked for is not given.
        let asked = ask.forces_consent || !scopes.is_subset(before);
        if ask.includes_granted {
            scopes.extend(before.iter().cloned());
        }
        before.extend(scopes.iter().cloned());
        let scopes = in_order(&ask.scopes, scopes);
        let code = format!("{}{}", rules.prefixes[1], world.ids.word(60));
        let now = world.clock.now_ms();
        self.codes.retain(|_, code| code.expires_ms + DAY_MS > now);
        self.codes.insert(
            code.clone(),
            Code {
                sub,
                redirect_uri: ask.redirect_uri.to_owned(),
                challenge: ask.challenge.clone(),
                scopes: scopes.clone(),
                offline: ask.offline && asked,
                nonce: ask.nonce.map(str::to_owned),
                expires_ms: now + rules.code_seconds * 1_000,
                used: false,
            },
        );
        Consent::Granted { code, scopes }
    }

    /// Whether the person in the browser would have to be asked.
    pub(crate) fn must_ask(&self, scopes: &[String]) -> bool {
        let before = self.consents.get(&self.signed_in);
        scopes.iter().any(|scope| !before.is_some_and(|before| before.contains(scope)))
    }

    /// Everything, tokens masked.
    pub(crate) fn shown(&self) -> Value {
        let email = |sub: &str| self.account(sub).map(|account| account.email.clone());
        let refresh = self.refresh_tokens.iter().map(|held| {
            json!({
                "token": masked(&held.token), "account": email(&held.sub), "scopes": held.scopes,
                "issuedAt": iso(instant(held.issued_ms)), "lastUsedAt": iso(instant(held.used_ms)),
                "alive": held.alive,
            })
        });
        let access = self.access_tokens.iter().map(|(token, held)| {
            json!({
                "token": masked(token), "account": email(&held.sub), "scopes": held.scopes,
                "expiresAt": iso(instant(held.expires_ms)),
            })
        });
        let consents = self.consents.iter().filter_map(|(sub, scopes)| Some((email(sub)?, json!(scopes))));
        json!({
            "accounts": self.accounts,
            "signedIn": email(&self.signed_in),
            "redirectUris": self.redirect_uris,
            "consents": consents.collect::<serde_json::Map<_, _>>(),
            "openCodes": self.codes.values().filter(|code| !code.used).count(),
            "refreshTokens": refresh.collect::<Vec<_>>(),
            "accessTokens": access.collect::<Vec<_>>(),
        })
    }
}

/// The scopes in the order in which they were asked for, then the others.
fn in_order(asked: &[String], mut scopes: BTreeSet<String>) -> Vec<String> {
    let mut ordered: Vec<String> = asked.iter().filter(|scope| scopes.remove(*scope)).cloned().collect();
    ordered.extend(scopes);
    ordered
}

fn masked(token: &str) -> String {
    format!("…{}", &token[token.len().saturating_sub(4)..])
}

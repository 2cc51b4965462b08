//! How codes and refresh tokens become access tokens, and how they end.

use super::{AccessToken, Code, DAY_MS, Desk, RefreshToken};
use crate::oauth::Rules;
use crate::oauth::account::{Account, Refuse};
use crate::world::World;

/// Tokens, and whose.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) account: Account,
    pub(crate) scopes: Vec<String>,
    pub(crate) access_token: String,
    pub(crate) expires_in: i64,
    pub(crate) refresh_token: Option<String>,
    pub(crate) nonce: Option<String>,
}

/// Why there are no tokens.
#[derive(Debug)]
pub(crate) enum WhyNot {
    UnknownCode,
    UsedCode,
    ExpiredCode,
    OtherRedirect,
    NoVerifier,
    WrongVerifier,
    /// Never issued, revoked, or pushed out.
    DeadToken,
    /// Not used for too long.
    IdleToken,
    /// The account was told to.
    Told(Refuse),
}

/// Who holds an access token.
#[derive(Debug)]
pub(crate) struct Bearer {
    pub(crate) account: Account,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_in: i64,
}

impl Desk {
    /// Tokens for a code.
    pub(crate) fn exchange(
        &mut self,
        (code, redirect_uri, verifier): (&str, &str, Option<&str>),
        rules: &Rules,
        world: &World,
    ) -> Result<Issued, WhyNot> {
        let now = world.clock.now_ms();
        let held = self.codes.get(code).ok_or(WhyNot::UnknownCode)?.clone();
        self.told(&held.sub)?;
        match (&held, &held.challenge, verifier) {
            (Code { used: true, .. }, ..) => return Err(WhyNot::UsedCode),
            (Code { expires_ms, .. }, ..) if *expires_ms <= now => return Err(WhyNot::ExpiredCode),
            (code, ..) if code.redirect_uri != redirect_uri => return Err(WhyNot::OtherRedirect),
            (_, Some(_), None) => return Err(WhyNot::NoVerifier),
            (_, Some(challenge), Some(verifier)) if !challenge.is_met_by(verifier) => {
                return Err(WhyNot::WrongVerifier);
            }
            (_, None, Some(_)) => return Err(WhyNot::WrongVerifier),
            _ => {}
        }
        self.codes.entry(code.to_owned()).and_modify(|code| code.used = true);
        let account = self.account(&held.sub).ok_or(WhyNot::UnknownCode)?.clone();
        let refresh_token =
            held.offline.then(|| self.new_refresh_token(&held.sub, &held.scopes, rules, world));
        Ok(self.issue(account, held.scopes, refresh_token, held.nonce, rules, world))
    }

    /// New tokens for a refresh token.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        narrowed: Option<Vec<String>>,
        rules: &Rules,
        world: &World,
    ) -> Result<Issued, WhyNot> {
        let now = world.clock.now_ms();
        let held =
            self.refresh_tokens.iter_mut().find(|held| held.token == token).ok_or(WhyNot::DeadToken)?;
        let sub = held.sub.clone();
        self.told(&sub)?;
        let account = self.account(&sub).ok_or(WhyNot::DeadToken)?.clone();
        let held =
            self.refresh_tokens.iter_mut().find(|held| held.token == token).ok_or(WhyNot::DeadToken)?;
        if held.alive && now - held.used_ms > rules.idle_days * DAY_MS {
            held.alive = false;
            return Err(WhyNot::IdleToken);
        }
        if !held.alive {
            return Err(WhyNot::DeadToken);
        }
        held.used_ms = now;
        let granted = held.scopes.clone();
        held.alive = !(rules.rotates && account.strict_rotation);
        let scopes = match narrowed {
            Some(asked) => granted.iter().filter(|scope| asked.contains(scope)).cloned().collect(),
            None => granted.clone(),
        };
        let fresh = rules.rotates.then(|| self.new_refresh_token(&sub, &granted, rules, world));
        Ok(self.issue(account, scopes, fresh, None, rules, world))
    }

    /// Ends everything that the holder of `token` was granted. Whether there was such a token.
    pub(crate) fn revoke(&mut self, token: &str) -> bool {
        let refresh = self.refresh_tokens.iter().find(|held| held.token == token && held.alive);
        let access = self.access_tokens.get(token).map(|held| &held.sub);
        let Some(sub) = refresh.map(|held| &held.sub).or(access).cloned() else { return false };
        self.end_grants(&sub);
        true
    }

    /// Who holds this access token.
    pub(crate) fn bearer(&self, token: &str, world: &World) -> Option<Bearer> {
        let held = self.access_tokens.get(token)?;
        let expires_in = (held.expires_ms - world.clock.now_ms()) / 1_000;
        let account = self.account(&held.sub)?.clone();
        (expires_in > 0).then(|| Bearer { account, scopes: held.scopes.clone(), expires_in })
    }

    /// What the account was told to answer.
    fn told(&mut self, sub: &str) -> Result<(), WhyNot> {
        let Some(account) = self.accounts.iter_mut().find(|account| account.sub == sub) else {
            return Ok(());
        };
        let Some(refuse) = &mut account.refuse else { return Ok(()) };
        let told = refuse.clone();
        match &mut refuse.times {
            None => {}
            Some(0) => {
                account.refuse = None;
                return Ok(());
            }
            Some(times) => *times -= 1,
        }
        Err(WhyNot::Told(told))
    }

    pub(super) fn end_grants(&mut self, sub: &str) {
        self.refresh_tokens.iter_mut().filter(|held| held.sub == sub).for_each(|held| held.alive = false);
        self.access_tokens.retain(|_, held| held.sub != sub);
        self.codes.retain(|_, code| code.sub != sub);
        self.consents.remove(sub);
    }

    fn new_refresh_token(&mut self, sub: &str, scopes: &[String], rules: &Rules, world: &World) -> String {
        let now = world.clock.now_ms();
        let token = format!("{}{}", rules.prefixes[2], world.ids.word(90));
        self.refresh_tokens.push(RefreshToken {
            token: token.clone(),
            sub: sub.to_owned(),
            scopes: scopes.to_owned(),
            issued_ms: now,
            used_ms: now,
            alive: true,
        });
        let live = self.refresh_tokens.iter_mut().filter(|held| held.sub == sub && held.alive);
        let too_many = live.count().saturating_sub(rules.live_refresh_tokens);
        let live = self.refresh_tokens.iter_mut().filter(|held| held.sub == sub && held.alive);
        live.take(too_many).for_each(|held| held.alive = false);
        token
    }

    fn issue(
        &mut self,
        account: Account,
        scopes: Vec<String>,
        refresh_token: Option<String>,
        nonce: Option<String>,
        rules: &Rules,
        world: &World,
    ) -> Issued {
        let now = world.clock.now_ms();
        let expires_in = account.access_seconds.unwrap_or(rules.access_seconds);
        let access_token = format!("{}{}", rules.prefixes[0], world.ids.word(120));
        self.access_tokens.retain(|_, held| held.expires_ms > now);
        let expires_ms = now + expires_in * 1_000;
        let held = AccessToken { sub: account.sub.clone(), scopes: scopes.clone(), expires_ms };
        self.access_tokens.insert(access_token.clone(), held);
        Issued { account, scopes, access_token, expires_in, refresh_token, nonce }
    }
}

//! An access token that is valid for a while yet, for whoever speaks to a connected calendar.
//!
//! A token is refreshed ahead of its end, by one of however many ask at once, on whichever replica: whoever gets the
//! claim reads the row again first, because somebody else may just have done it. No transaction is open while the
//! provider is asked. What it answers is stored only as long as the claim is held and the row is the one that was read,
//! so that neither a person who connects again meanwhile nor a later refresh is overwritten.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::json;
use voxanne_kernel::{
    ActivityKind, Begin, Claim, Claims, Clock, NewActivity, NewAudit, OrgScope, StoreError,
};

use super::{
    Calendar,
    ports::{Connection, ConnectionTx},
    provider::{OAuthError, OAuthProvider, OAuthProviders, Refreshed},
    token::{AccessError, AccessToken, Need},
};
use crate::{
    credential::{Credential, CredentialStatus},
    keyring::KeyRing,
    ports::ReadCredentialsTx,
    resolve::ResolveError,
    secrets::OAuthGrant,
    vault::Vault,
};

/// How much longer a token must last for nobody to have to refresh it first.
const AHEAD: SignedDuration = SignedDuration::from_secs(225);
/// A token that is to end sooner is not handed out even when the provider is down.
const LAST_MOMENT: SignedDuration = SignedDuration::from_secs(20);
/// How long one refresh may take: longer than the adapters' time-outs. One whose process died is done again after that.
const CLAIM: Duration = Duration::from_secs(25);
/// How long somebody else's refresh is waited for.
const PATIENCE: Duration = Duration::from_secs(12);

/// Hands out access tokens. Clones share everything.
#[derive(Clone)]
pub struct AccessTokenOf(Arc<Inner>);

struct Inner {
    read: Arc<dyn Begin<dyn ReadCredentialsTx>>,
    write: Arc<dyn Begin<dyn ConnectionTx>>,
    claims: Arc<dyn Claims>,
    keys: Arc<KeyRing>,
    vault: Vault,
    providers: OAuthProviders,
    clock: Arc<dyn Clock>,
}

impl AccessTokenOf {
    /// Reads through `vault`, keeps connections in `store`.
    pub fn new<S>(
        store: Arc<S>,
        keys: Arc<KeyRing>,
        vault: Vault,
        providers: OAuthProviders,
        clock: Arc<dyn Clock>,
    ) -> Self
    where
        S: Begin<dyn ReadCredentialsTx> + Begin<dyn ConnectionTx> + Claims + 'static,
    {
        let (read, claims) = (store.clone(), store.clone());
        Self(Arc::new(Inner { read, write: store, claims, keys, vault, providers, clock }))
    }

    /// A token for the organization's `calendar` that lasts for a few minutes yet, or, while the provider cannot be
    /// asked, the last one as long as it is valid at all.
    ///
    /// # Errors
    /// [`AccessError`].
    pub async fn run(&self, scope: &OrgScope, calendar: Calendar) -> Result<AccessToken, AccessError> {
        let missing = || ResolveError::NotFound { org: scope.org(), provider: calendar.provider() };
        let held = calendar.remembered(&self.0.vault, scope).await?.ok_or_else(missing)?;
        let now = self.0.clock.now();
        let need = Need::LastsUntil(now + AHEAD);
        if need.is_met_by(&held, None) {
            return Ok(held);
        }
        match self.renew(scope, calendar, &need).await {
            Err(error @ (AccessError::Provider(_) | AccessError::Busy))
                if held.expires_at > now + LAST_MOMENT =>
            {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(org_id = %scope.org(), provider = %calendar.provider(), error, "a token is used up to its end");
                Ok(held)
            }
            renewed => renewed,
        }
    }

    /// A token after the provider refused `rejected`: the stored one if it is another, else a new one.
    ///
    /// # Errors
    /// [`AccessError`].
    pub async fn after_rejection(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        rejected: &SecretString,
    ) -> Result<AccessToken, AccessError> {
        self.renew(scope, calendar, &Need::OtherThan(rejected)).await
    }

    /// A new token, whatever the stored one is good for.
    pub(super) async fn replace(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
    ) -> Result<AccessToken, AccessError> {
        let (_, grant) = self.stored(scope, calendar).await?;
        self.renew(scope, calendar, &Need::OtherThan(&grant.access_token)).await
    }

    /// Refreshes the token unless the stored one meets `need`, alone.
    pub(super) async fn renew(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        need: &Need<'_>,
    ) -> Result<AccessToken, AccessError> {
        let provider = self.0.providers.of(calendar).ok_or(AccessError::NotConfigured(calendar))?;
        let what = format!("oauth:{}", calendar.provider());
        let claim = self.0.claims.claim(scope, &what, CLAIM, PATIENCE).await?.ok_or(AccessError::Busy)?;
        let renewed = self.renew_alone(scope, calendar, provider, need, &claim).await;
        if let Err(error) = self.0.claims.release(scope, claim).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(org_id = %scope.org(), error, "a claim was not given back; it runs out by itself");
        }
        renewed
    }

    async fn renew_alone(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        provider: &dyn OAuthProvider,
        need: &Need<'_>,
        claim: &Claim,
    ) -> Result<AccessToken, AccessError> {
        let (stored, grant) = self.stored(scope, calendar).await?;
        let held = AccessToken::of(&grant);
        if need.is_met_by(&held, stored.last_verified) {
            return Ok(held);
        }
        match provider.refresh(&grant.refresh_token).await {
            Ok(refreshed) => self.keep(scope, calendar, claim, &stored, grant, refreshed).await,
            Err(OAuthError::Provider(error)) => Err(AccessError::Provider(error)),
            Err(OAuthError::Dead(said)) => {
                tracing::info!(
                    org_id = %scope.org(), provider = %calendar.provider(), error = &*said as &dyn std::error::Error,
                    "a person has to sign in again"
                );
                if self.end(scope, calendar, claim, &stored).await? {
                    Err(ResolveError::ReconnectRequired { provider: calendar.provider() }.into())
                } else {
                    // It was replaced while the provider was asked.
                    Ok(AccessToken::of(&self.stored(scope, calendar).await?.1))
                }
            }
        }
    }

    /// What is stored at this moment, past every memory.
    async fn stored(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
    ) -> Result<(Credential, OAuthGrant), AccessError> {
        let provider = calendar.provider();
        let mut tx = self.0.read.begin(scope).await?;
        let stored = tx.credential(provider).await?;
        tx.commit().await?;
        let stored = stored.ok_or(ResolveError::NotFound { org: scope.org(), provider })?;
        if stored.status == CredentialStatus::ReconnectRequired {
            return Err(ResolveError::ReconnectRequired { provider }.into());
        }
        let grant = calendar.open(&stored, &self.0.keys, scope.org()).map_err(ResolveError::Unreadable)?;
        Ok((stored, grant))
    }

    /// Stores what a refresh brought.
    async fn keep(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        claim: &Claim,
        stored: &Credential,
        grant: OAuthGrant,
        refreshed: Refreshed,
    ) -> Result<AccessToken, AccessError> {
        let now = self.0.clock.now();
        let at = |length| now.checked_add(length).unwrap_or(Timestamp::MAX);
        let connection = Connection {
            subject: grant.subject.clone(),
            access_expires_at: at(refreshed.expires_in),
            refreshed_at: now,
            grant_expires_at: refreshed.grant_expires_in.map(at),
        };
        let renewed = OAuthGrant {
            access_token: refreshed.access_token,
            expires_at: connection.access_expires_at,
            refresh_token: refreshed.refresh_token.unwrap_or(grant.refresh_token),
            scopes: refreshed.scopes.unwrap_or(grant.scopes),
            ..grant
        };
        let token = AccessToken::of(&renewed);
        let sealed = calendar.seal(&self.0.keys, scope.org(), renewed, now);

        let mut tx = self.0.write.begin(scope).await?;
        if !still_ours(&mut *tx, calendar, claim, stored).await? {
            drop(tx);
            tracing::info!(org_id = %scope.org(), provider = %calendar.provider(), "a refreshed token came too late to be kept");
            return Ok(AccessToken::of(&self.stored(scope, calendar).await?.1));
        }
        tx.put_credential(&sealed).await?;
        tx.put_connection(calendar, &connection).await?;
        tx.commit().await?;
        self.0.vault.invalidate(scope.org(), Some(calendar.provider())).await;
        Ok(token)
    }

    /// Notes that the grant is gone; `false` when it is not the one that is stored any more.
    async fn end(
        &self,
        scope: &OrgScope,
        calendar: Calendar,
        claim: &Claim,
        stored: &Credential,
    ) -> Result<bool, StoreError> {
        let provider = calendar.provider();
        let mut tx = self.0.write.begin(scope).await?;
        if !still_ours(&mut *tx, calendar, claim, stored).await? {
            return Ok(false);
        }
        let status = CredentialStatus::ReconnectRequired;
        tx.put_status(provider, status, None, Some(status.as_str())).await?;
        let now = self.0.clock.now();
        tx.end_connection(calendar, now).await?;
        tx.record(NewAudit {
            action: "credential.reconnect_required",
            target_kind: "credential",
            target_id: stored.id.to_string(),
            before: Some(json!({ "provider": provider.as_str(), "status": stored.status.as_str() })),
            after: Some(json!({ "provider": provider.as_str(), "status": status.as_str() })),
        })
        .await?;
        tell(&mut *tx, calendar, now).await?;
        tx.commit().await?;
        self.0.vault.invalidate(scope.org(), Some(provider)).await;
        Ok(true)
    }
}

/// Whether nobody else has refreshed, replaced or removed the credential since it was read, and keeps it so until the
/// unit of work ends. Every write gives a credential another id.
async fn still_ours(
    tx: &mut (dyn ConnectionTx + 'static),
    calendar: Calendar,
    claim: &Claim,
    stored: &Credential,
) -> Result<bool, StoreError> {
    if !tx.confirm(claim).await? {
        return Ok(false);
    }
    let current = tx.credential_to_change(calendar.provider()).await?;
    Ok(current.is_some_and(|current| current.id == stored.id))
}

/// The one place from which an organization hears that somebody has to sign in again: it shows on the dashboard, and
/// the owners are written to.
async fn tell(
    tx: &mut (dyn ConnectionTx + 'static),
    calendar: Calendar,
    at: Timestamp,
) -> Result<(), StoreError> {
    let title = calendar.provider().title();
    tx.note(NewActivity {
        kind: ActivityKind::IntegrationNeedsReconnect,
        summary: format!("{title} is no longer connected: sign in again under Integrations"),
        call: None,
        appointment: None,
        contact: None,
    })
    .await?;
    tx.tell_of_lost_connection(calendar, at).await
}

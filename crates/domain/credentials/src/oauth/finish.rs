//! Taking what a person comes back with from the consent page.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use voxanne_kernel::{
    Begin, Clock, NewAudit, OrgScope, ProviderError, StoreError, Timestamp,
    ids::{OrgId, UserId},
};

use super::{
    Calendar,
    ports::{Connection, ConnectionDirectory, ConnectionTx, PendingStates},
    provider::{Grant, OAuthError, OAuthProvider, OAuthProviders, Permission},
    start::redirect_uri,
    state::{ReturnPath, StateToken},
};
use crate::{envelope::Place, keyring::KeyRing, secrets::OAuthGrant, vault::Vault};

/// What the browser brought besides the state.
#[derive(Debug, Default)]
pub struct Callback {
    /// The code to exchange.
    pub code: Option<SecretString>,
    /// Why there is none, as the provider names it.
    pub error: Option<String>,
}

/// A state that came back in time: who was sent, from which organization.
pub struct Pending {
    calendar: Calendar,
    org: OrgId,
    user: UserId,
    verifier: SecretString,
    return_path: ReturnPath,
}

impl Pending {
    /// The organization, as the stored state has it.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// The person, as the stored state has it.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Where the person goes on.
    pub fn return_path(&self) -> &ReturnPath {
        &self.return_path
    }
}

/// A calendar that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The account's address.
    pub email: String,
}

/// Why nothing was connected. What was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The state is none of ours, was used already or came too late.
    #[error("the state is forged, used or expired")]
    StateInvalid,
    /// The person, or an administrator of theirs, said no.
    #[error("the person did not consent")]
    Denied,
    /// The provider sent the browser back with some other error, or with nothing.
    #[error("the provider did not ask the person")]
    NotAsked,
    /// The person is no owner or administrator of the organization any more.
    #[error("the person may not connect a calendar any more")]
    NotAllowed,
    /// We are not registered with the provider.
    #[error("the platform is not registered with the provider")]
    NotConfigured,
    /// The person left something out that we need; what came was given back.
    #[error("permissions are missing")]
    Incomplete(Vec<Permission>),
    /// The provider does not take the code.
    #[error("the provider refused the code")]
    CodeRejected(#[source] OAuthError),
    /// The provider could not be asked.
    #[error(transparent)]
    Provider(ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl FinishError {
    /// The stable name that the dashboard gets.
    pub fn code(&self) -> &'static str {
        match self {
            Self::StateInvalid => "state_invalid",
            Self::Denied => "access_denied",
            Self::NotAsked => "consent_failed",
            Self::NotAllowed => "role_required",
            Self::NotConfigured => "not_configured",
            Self::Incomplete(_) => "permission_missing",
            Self::CodeRejected(_) => "code_rejected",
            Self::Provider(error) if error.is_worth_retrying() => "provider_unavailable",
            Self::Provider(_) => "provider_refused",
            Self::Store(_) => "internal",
        }
    }
}

/// Ends what [`StartConnection`](super::StartConnection) began.
pub struct FinishConnection {
    states: Arc<dyn PendingStates>,
    store: Arc<dyn Begin<dyn ConnectionTx>>,
    directory: Arc<dyn ConnectionDirectory>,
    keys: Arc<KeyRing>,
    vault: Vault,
    providers: OAuthProviders,
    backend_url: String,
    clock: Arc<dyn Clock>,
}

impl FinishConnection {
    /// Finds states and stores connections in `store`; `backend_url` as in
    /// [`StartConnection::new`](super::StartConnection::new).
    pub fn new<S>(
        store: Arc<S>,
        keys: Arc<KeyRing>,
        vault: Vault,
        providers: OAuthProviders,
        backend_url: String,
        clock: Arc<dyn Clock>,
    ) -> Self
    where
        S: PendingStates + ConnectionDirectory + Begin<dyn ConnectionTx> + 'static,
    {
        let (states, directory) = (store.clone(), store.clone());
        Self { states, store, directory, keys, vault, providers, backend_url, clock }
    }

    /// Takes the state that the browser brought: it cannot come back again, whatever happens next.
    ///
    /// # Errors
    /// [`FinishError::StateInvalid`] for one that is not ours, not for `calendar`, used or expired.
    pub async fn take(&self, calendar: Calendar, state: Option<&str>) -> Result<Pending, FinishError> {
        let state = state.and_then(StateToken::read).ok_or(FinishError::StateInvalid)?;
        let taken = self.states.take(calendar, &state.digest()).await?.ok_or(FinishError::StateInvalid)?;
        let place = Place { org: taken.org, provider: calendar.provider(), record: taken.id };
        let is_ours = state.is_for(&self.keys, &place, taken.user);
        if !is_ours || taken.expires_at <= self.clock.now() {
            return Err(FinishError::StateInvalid);
        }
        let verifier = self.keys.open(&place, &taken.verifier).ok();
        let verifier = verifier.and_then(|text| String::from_utf8(text.to_vec()).ok());
        Ok(Pending {
            calendar,
            org: taken.org,
            user: taken.user,
            verifier: verifier.ok_or(FinishError::StateInvalid)?.into(),
            return_path: taken.return_path,
        })
    }

    /// Connects the calendar of the account that the person chose, in place of an earlier one.
    ///
    /// # Errors
    /// [`FinishError`]; nothing has changed then.
    pub async fn run(
        &self,
        scope: &OrgScope,
        pending: Pending,
        callback: Callback,
    ) -> Result<Connected, FinishError> {
        let calendar = pending.calendar;
        let code = match callback {
            Callback { code: Some(code), error: None } => code,
            Callback { error: Some(error), .. } if refused_by_person(&error) => {
                return Err(FinishError::Denied);
            }
            Callback { .. } => return Err(FinishError::NotAsked),
        };
        let provider = self.providers.of(calendar).ok_or(FinishError::NotConfigured)?;
        // Asked before anything is fetched, and again where it is stored.
        self.require_administrator(scope, pending.user).await?;
        let redirect_uri = redirect_uri(&self.backend_url, calendar);
        let mut grant =
            provider.exchange(&code, &pending.verifier, &redirect_uri).await.map_err(not_exchanged)?;

        let mut missing = provider.missing(&grant.scopes);
        if grant.refresh_token.is_none() && !missing.contains(&Permission::Offline) {
            missing.push(Permission::Offline);
        }
        match grant.refresh_token.take() {
            Some(refresh_token) if missing.is_empty() => {
                self.keep(scope, &pending, provider, grant, refresh_token).await
            }
            _ => {
                self.give_back(provider, calendar, &grant.subject, &grant.access_token).await;
                Err(FinishError::Incomplete(missing))
            }
        }
    }

    async fn require_administrator(&self, scope: &OrgScope, user: UserId) -> Result<(), FinishError> {
        let mut tx = self.store.begin(scope).await?;
        let may = tx.is_administrator(user).await?;
        tx.commit().await?;
        if may { Ok(()) } else { Err(FinishError::NotAllowed) }
    }

    async fn keep(
        &self,
        scope: &OrgScope,
        pending: &Pending,
        provider: &dyn OAuthProvider,
        grant: Grant,
        refresh_token: SecretString,
    ) -> Result<Connected, FinishError> {
        let (calendar, now) = (pending.calendar, self.clock.now());
        let at = |length| now.checked_add(length).unwrap_or(Timestamp::MAX);
        let connection = Connection {
            subject: grant.subject.clone(),
            access_expires_at: at(grant.expires_in),
            refreshed_at: now,
            grant_expires_at: grant.grant_expires_in.map(at),
        };
        let (email, access_token) = (grant.email.clone(), grant.access_token.clone());
        let secret = OAuthGrant {
            subject: grant.subject,
            email: grant.email,
            scopes: grant.scopes,
            access_token: grant.access_token,
            expires_at: connection.access_expires_at,
            refresh_token,
        };
        let sealed = calendar.seal(&self.keys, scope.org(), secret, now);

        let mut tx = self.store.begin(scope).await?;
        if !tx.is_administrator(pending.user).await? {
            drop(tx);
            self.give_back(provider, calendar, &connection.subject, &access_token).await;
            return Err(FinishError::NotAllowed);
        }
        let before = tx.credential_to_change(calendar.provider()).await?;
        tx.put_credential(&sealed).await?;
        tx.put_connection(calendar, &connection).await?;
        tx.record(NewAudit {
            action: "credential.connected",
            target_kind: "credential",
            target_id: sealed.id.to_string(),
            before: before
                .as_ref()
                .map(|before| json!({ "metadata": before.metadata, "status": before.status.as_str() })),
            after: Some(json!({ "provider": calendar.provider().as_str(), "metadata": sealed.metadata })),
        })
        .await?;
        tx.commit().await?;
        self.vault.invalidate(scope.org(), Some(calendar.provider())).await;

        // An account that was connected before and is not any more: nobody holds a key to what we forgot.
        let replaced = before.and_then(|before| calendar.open(&before, &self.keys, scope.org()).ok());
        if let Some(old) = replaced.filter(|old| old.subject != connection.subject) {
            self.give_back(provider, calendar, &old.subject, &old.refresh_token).await;
        }
        Ok(Connected { email })
    }

    async fn give_back(
        &self,
        provider: &dyn OAuthProvider,
        calendar: Calendar,
        subject: &str,
        token: &SecretString,
    ) {
        give_back(&*self.directory, provider, calendar, subject, token).await;
    }
}

/// Ends a grant that we do not keep, unless somebody's connection lives by it: a grant belongs to the account and our
/// application, whichever organization asked. What fails is logged; the person can always withdraw it themselves.
pub(super) async fn give_back(
    directory: &dyn ConnectionDirectory,
    provider: &dyn OAuthProvider,
    calendar: Calendar,
    subject: &str,
    token: &SecretString,
) {
    let given_back = match directory.is_connected(calendar, subject).await {
        Ok(true) => Ok(()),
        Ok(false) => provider.revoke(token).await,
        Err(error) => Err(ProviderError::RetryLater { after: None, source: Box::new(error) }),
    };
    if let Err(error) = given_back {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(provider = %calendar.provider(), error, "a grant that is not kept could not be revoked");
    }
}

fn refused_by_person(error: &str) -> bool {
    matches!(error, "access_denied" | "admin_policy_enforced" | "consent_required")
}

fn not_exchanged(error: OAuthError) -> FinishError {
    match error {
        OAuthError::Provider(error @ ProviderError::Refused(_)) => FinishError::CodeRejected(error.into()),
        OAuthError::Provider(error) => FinishError::Provider(error),
        dead @ OAuthError::Dead(_) => FinishError::CodeRejected(dead),
    }
}

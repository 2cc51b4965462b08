//! A second store and a second provider, in memory. The store honours rollback.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use uuid::Uuid;
use voxanne_kernel::{
    Activity, Begin, Claim, Claims, Commit, ConfirmClaim, NewActivity, OrgScope, ProviderError, StoreError,
    ids::{OrgId, UserId},
};

use super::{
    Administrators, Ask, Calendar, Connection, ConnectionDirectory, ConnectionStates, ConnectionTx,
    Connections, DueConnection, Grant, NewState, OAuthError, OAuthProvider, OwnerNotices, PendingStates,
    Permission, Refreshed, StartTx, StateDigest, TakenState,
};
use crate::{
    ports::{AssistantOwners, ChangeCredentialsTx, ReadCredentialsTx},
    testing::{MemoryCredentials, through},
};

/// Lets everybody else go on first.
async fn give_way() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[derive(Default)]
struct Rows {
    administrators: HashSet<(OrgId, UserId)>,
    states: Vec<(OrgId, NewState)>,
    connections: HashMap<(OrgId, Calendar), (Connection, Option<Timestamp>)>,
    activity: Vec<NewActivity>,
    told: Vec<(OrgId, Calendar)>,
    claims: HashMap<(OrgId, String), Uuid>,
    commits_fail: bool,
}

/// Connections beside [`MemoryCredentials`]. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryConnections {
    /// The vault's part.
    pub credentials: MemoryCredentials,
    rows: Arc<Mutex<Rows>>,
}

impl MemoryConnections {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes `user` an administrator of `org`.
    pub fn appoint(&self, org: OrgId, user: UserId) {
        self.rows().administrators.insert((org, user));
    }

    /// Makes `user` a plain member.
    pub fn dismiss(&self, org: OrgId, user: UserId) {
        self.rows().administrators.remove(&(org, user));
    }

    /// What is known of a connection, and since when its grant is gone.
    pub fn connection(&self, org: OrgId, calendar: Calendar) -> Option<(Connection, Option<Timestamp>)> {
        self.living(org, calendar)
    }

    /// How many states wait.
    pub fn waiting(&self) -> usize {
        self.rows().states.len()
    }

    /// What the organizations were told.
    pub fn activity(&self) -> Vec<NewActivity> {
        self.rows().activity.clone()
    }

    /// Which lost connections owners were told of.
    pub fn told(&self) -> Vec<(OrgId, Calendar)> {
        self.rows().told.clone()
    }

    /// From now on commits fail, or work again.
    pub fn fail_commits(&self, fail: bool) {
        self.rows().commits_fail = fail;
    }

    /// Takes every claim away from its holder, as the clock does.
    pub fn expire_claims(&self) {
        self.rows().claims.clear();
    }

    /// A connection goes with its credential.
    fn living(&self, org: OrgId, calendar: Calendar) -> Option<(Connection, Option<Timestamp>)> {
        self.credentials.stored(org, calendar.provider())?;
        self.rows().connections.get(&(org, calendar)).cloned()
    }

    async fn open(&self, scope: &OrgScope) -> Result<Tx, StoreError> {
        let inner: Box<dyn ChangeCredentialsTx> = self.credentials.begin(scope).await?;
        Ok(Tx { org: scope.org(), store: self.clone(), inner, changes: Vec::new() })
    }
}

type Change = Box<dyn FnOnce(&mut Rows) + Send>;

struct Tx {
    org: OrgId,
    store: MemoryConnections,
    inner: Box<dyn ChangeCredentialsTx>,
    changes: Vec<Change>,
}

impl Tx {
    fn later(&mut self, change: impl FnOnce(&mut Rows) + Send + 'static) {
        self.changes.push(Box::new(change));
    }
}

#[async_trait]
impl Begin<dyn ReadCredentialsTx> for MemoryConnections {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ReadCredentialsTx>, StoreError> {
        self.credentials.begin(scope).await
    }
}

#[async_trait]
impl Begin<dyn ChangeCredentialsTx> for MemoryConnections {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ChangeCredentialsTx>, StoreError> {
        self.credentials.begin(scope).await
    }
}

#[async_trait]
impl Begin<dyn StartTx> for MemoryConnections {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn StartTx>, StoreError> {
        Ok(Box::new(self.open(scope).await?))
    }
}

#[async_trait]
impl Begin<dyn ConnectionTx> for MemoryConnections {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ConnectionTx>, StoreError> {
        Ok(Box::new(self.open(scope).await?))
    }
}

#[async_trait]
impl AssistantOwners for MemoryConnections {
    async fn org_of_assistant(&self, provider_id: &str) -> Result<Option<OrgId>, StoreError> {
        self.credentials.org_of_assistant(provider_id).await
    }
}

through!(Tx, inner);

#[async_trait]
impl Activity for Tx {
    async fn note(&mut self, entry: NewActivity) -> Result<(), StoreError> {
        self.later(|rows| rows.activity.push(entry));
        Ok(())
    }
}

#[async_trait]
impl Administrators for Tx {
    async fn is_administrator(&mut self, user: UserId) -> Result<bool, StoreError> {
        Ok(self.store.rows().administrators.contains(&(self.org, user)))
    }
}

#[async_trait]
impl ConnectionStates for Tx {
    async fn add_state(&mut self, state: &NewState) -> Result<(), StoreError> {
        let (org, state) = (self.org, state.clone());
        self.later(move |rows| rows.states.push((org, state)));
        Ok(())
    }
}

#[async_trait]
impl Connections for Tx {
    async fn put_connection(
        &mut self,
        calendar: Calendar,
        connection: &Connection,
    ) -> Result<(), StoreError> {
        let (org, connection) = (self.org, connection.clone());
        self.later(move |rows| {
            rows.connections.insert((org, calendar), (connection, None));
        });
        Ok(())
    }

    async fn end_connection(&mut self, calendar: Calendar, at: Timestamp) -> Result<(), StoreError> {
        let org = self.org;
        self.later(move |rows| {
            rows.connections.entry((org, calendar)).and_modify(|(_, ended)| *ended = Some(at));
        });
        Ok(())
    }
}

#[async_trait]
impl OwnerNotices for Tx {
    async fn tell_of_lost_connection(&mut self, calendar: Calendar, _: Timestamp) -> Result<(), StoreError> {
        let org = self.org;
        self.later(move |rows| rows.told.push((org, calendar)));
        Ok(())
    }
}

#[async_trait]
impl ConfirmClaim for Tx {
    async fn confirm(&mut self, claim: &Claim) -> Result<bool, StoreError> {
        Ok(self.store.rows().claims.get(&(self.org, claim.what.clone())) == Some(&claim.token))
    }
}

#[async_trait]
impl Commit for Tx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.store.rows().commits_fail {
            return Err(StoreError::Unavailable("told to fail".into()));
        }
        self.inner.commit().await?;
        let mut rows = self.store.rows();
        self.changes.into_iter().for_each(|change| change(&mut rows));
        Ok(())
    }
}

#[async_trait]
impl Claims for MemoryConnections {
    /// Patience is counted in turns given to others.
    async fn claim(
        &self,
        scope: &OrgScope,
        what: &str,
        _: Duration,
        patience: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let key = (scope.org(), what.to_owned());
        for _ in 0..patience.as_millis() {
            let token = Uuid::now_v7();
            if *self.rows().claims.entry(key.clone()).or_insert(token) == token {
                return Ok(Some(Claim { what: what.to_owned(), token }));
            }
            give_way().await;
        }
        Ok(None)
    }

    async fn release(&self, scope: &OrgScope, claim: Claim) -> Result<(), StoreError> {
        let (mut rows, key) = (self.rows(), (scope.org(), claim.what));
        if rows.claims.get(&key) == Some(&claim.token) {
            rows.claims.remove(&key);
        }
        Ok(())
    }

    async fn keep(&self, _: &OrgScope, _: &Claim, _: Duration) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl PendingStates for MemoryConnections {
    async fn take(&self, calendar: Calendar, digest: &StateDigest) -> Result<Option<TakenState>, StoreError> {
        let mut rows = self.rows();
        let at = rows.states.iter().position(|(_, s)| s.digest == *digest && s.calendar == calendar);
        Ok(at.map(|at| rows.states.remove(at)).map(|(org, state)| TakenState {
            id: state.id,
            org,
            user: state.user,
            verifier: state.verifier.bytes,
            return_path: state.return_path,
            expires_at: state.expires_at,
        }))
    }
}

#[async_trait]
impl ConnectionDirectory for MemoryConnections {
    async fn due(
        &self,
        ending_before: Timestamp,
        unused_since: Timestamp,
        limit: u16,
    ) -> Result<Vec<DueConnection>, StoreError> {
        let keys: Vec<_> = self.rows().connections.keys().copied().collect();
        let mut due: Vec<_> = keys
            .into_iter()
            .filter_map(|(org, calendar)| match self.living(org, calendar)? {
                (held, None)
                    if held.access_expires_at < ending_before || held.refreshed_at < unused_since =>
                {
                    Some((held.access_expires_at, DueConnection { org, calendar }))
                }
                _ => None,
            })
            .collect();
        due.sort_by_key(|(ends, _)| *ends);
        Ok(due.into_iter().map(|(_, due)| due).take(limit.into()).collect())
    }

    async fn is_connected(&self, calendar: Calendar, subject: &str) -> Result<bool, StoreError> {
        let keys: Vec<_> = self.rows().connections.keys().copied().collect();
        Ok(keys.into_iter().filter(|(_, other)| *other == calendar).any(|(org, _)| {
            self.living(org, calendar).is_some_and(|(held, ended)| held.subject == subject && ended.is_none())
        }))
    }
}

/// How a provider's next refresh goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// The grant is gone.
    Dead,
    /// It cannot serve this now, and has done nothing.
    Down,
    /// It has done it, and the answer was lost.
    Lost,
    /// It does not accept us.
    OurFault,
}

#[derive(Default)]
struct Server {
    subject: String,
    lacks: Vec<Permission>,
    rotates: bool,
    is_online_only: bool,
    is_held: bool,
    goes: VecDeque<Goes>,
    issued: usize,
    exchanged: Vec<(String, String, String)>,
    /// What was presented, in order.
    refreshed: Vec<String>,
    revoked: Vec<String>,
    pages: Vec<(String, String)>,
}

/// A provider that keeps one account. Clones share it.
#[derive(Clone)]
pub struct MemoryProvider(Arc<Mutex<Server>>);

impl Default for MemoryProvider {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Server { subject: "ann".to_owned(), ..Server::default() })))
    }
}

impl MemoryProvider {
    fn server(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every refresh gives a new refresh token.
    pub fn rotate(&self) {
        self.server().rotates = true;
    }

    /// From now on refreshes hang until they are let go.
    pub fn hold(&self, held: bool) {
        self.server().is_held = held;
    }

    /// The next refresh, or the one after those that were told before, goes wrong.
    pub fn next_goes(&self, how: Goes) {
        self.server().goes.push_back(how);
    }

    /// Whoever signs in next is `subject`.
    pub fn signs_in(&self, subject: &str) {
        subject.clone_into(&mut self.server().subject);
    }

    /// Whoever signs in next leaves these boxes empty.
    pub fn leaves_out(&self, permissions: &[Permission]) {
        let mut server = self.server();
        server.lacks = permissions.to_vec();
        server.is_online_only = permissions.contains(&Permission::Offline);
    }

    /// The state and the challenge of the last page that was opened.
    pub fn page(&self) -> Option<(String, String)> {
        self.server().pages.last().cloned()
    }

    /// Code, proof and address of every exchange.
    pub fn exchanged(&self) -> Vec<(String, String, String)> {
        self.server().exchanged.clone()
    }

    /// The refresh tokens that were presented.
    pub fn refreshed(&self) -> Vec<String> {
        self.server().refreshed.clone()
    }

    /// The tokens that were revoked.
    pub fn revoked(&self) -> Vec<String> {
        self.server().revoked.clone()
    }
}

fn secret(kind: &str, number: usize) -> SecretString {
    format!("{kind}-{number}").into()
}

const HOUR: Duration = Duration::from_hours(1);

#[async_trait]
impl OAuthProvider for MemoryProvider {
    fn consent_page(&self, ask: &Ask<'_>) -> Url {
        self.server().pages.push((ask.state.to_owned(), ask.challenge.to_owned()));
        let mut url =
            Url::parse("https://accounts.example/consent").unwrap_or_else(|_| unreachable!("a constant"));
        url.query_pairs_mut().append_pair("state", ask.state).append_pair("redirect_uri", ask.redirect_uri);
        url
    }

    async fn exchange(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
    ) -> Result<Grant, OAuthError> {
        let mut server = self.server();
        let shown = |secret: &SecretString| secret.expose_secret().to_owned();
        server.exchanged.push((shown(code), shown(verifier), redirect_uri.to_owned()));
        if code.expose_secret() == "bad" {
            return Err(OAuthError::Dead("invalid_grant".into()));
        }
        if code.expose_secret() == "down" {
            return Err(ProviderError::Unclear("no answer".into()).into());
        }
        server.issued += 1;
        Ok(Grant {
            subject: server.subject.clone(),
            email: format!("{}@clinic.example", server.subject),
            scopes: vec!["calendar".to_owned()],
            access_token: secret("access", server.issued),
            expires_in: HOUR,
            refresh_token: (!server.is_online_only).then(|| secret("refresh", server.issued)),
            grant_expires_in: None,
        })
    }

    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, OAuthError> {
        self.server().refreshed.push(refresh_token.expose_secret().to_owned());
        for _ in 0..20 {
            give_way().await;
        }
        while self.server().is_held {
            give_way().await;
        }
        let mut server = self.server();
        let goes = server.goes.pop_front();
        match goes {
            Some(Goes::Dead) => return Err(OAuthError::Dead("invalid_grant".into())),
            Some(Goes::Down) => {
                return Err(ProviderError::RetryLater { after: None, source: "503".into() }.into());
            }
            Some(Goes::OurFault) => return Err(ProviderError::OurFault("invalid_client".into()).into()),
            Some(Goes::Lost) | None => server.issued += 1,
        }
        if goes == Some(Goes::Lost) {
            return Err(ProviderError::Unclear("reset".into()).into());
        }
        Ok(Refreshed {
            access_token: secret("access", server.issued),
            expires_in: HOUR,
            refresh_token: server.rotates.then(|| secret("refresh", server.issued)),
            scopes: None,
            grant_expires_in: None,
        })
    }

    async fn revoke(&self, token: &SecretString) -> Result<(), ProviderError> {
        self.server().revoked.push(token.expose_secret().to_owned());
        Ok(())
    }

    fn missing(&self, _: &[String]) -> Vec<Permission> {
        self.server().lacks.clone()
    }
}

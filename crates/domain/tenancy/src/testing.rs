//! A second adapter, in memory, for tests: a unit of work is a copy that replaces the original when it is committed
//! and vanishes when it is dropped. Also passwords that hash at once, and tokens that anybody can read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use voxanne_kernel::{
    Actor, Audit, Begin, BeginSystem, Clock, Commit, EmailAddress, ManualClock, NewAudit, NewJob, OrgScope,
    Outbox, Page, PageRequest, Position, StoreError, Timestamp,
    ids::{AuditId, OrgId, RefreshTokenId, SessionId, UserId},
};

use crate::{
    access::{Claims, IssueError, IssuedToken, TokenIssuer},
    audit_trail::{AuditEvent, AuditTx},
    delete::{DeleteTx, Erased, Erasure},
    fix_membership::MendTx,
    manage_members::MembersTx,
    me::MeTx,
    member::{Member, NewMember, Role},
    operators::OperatorAccountsTx,
    organization::{Organization, OrganizationStatus},
    password::{HashingFailed, PasswordCheck, PasswordHash, Passwords},
    ports::{Accounts, AuditTrail, Directory, EndOfSession, Members, Organizations, Sessions, Throttle},
    refresh::RefreshTx,
    review::{DirectoryTx, ReviewTx},
    session::{NewToken, PresentedToken, SealedToken, Session, TokenDigest, Use},
    settings::SettingsTx,
    sign_in::SignInTx,
    sign_up::SignUpTx,
    throttle::{Attempts, Subject},
    user::{Account, NewUser, Standing, User},
};

/// All that is stored.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// Organizations.
    pub organizations: BTreeMap<OrgId, Organization>,
    /// Users.
    pub users: BTreeMap<UserId, NewUser>,
    /// Memberships, by organization and user.
    pub profiles: BTreeMap<(OrgId, UserId), NewMember>,
    /// Sessions, and why they ended.
    pub sessions: BTreeMap<SessionId, (Session, Option<EndOfSession>)>,
    /// Refresh tokens, with their use and the token they came from.
    pub tokens: BTreeMap<RefreshTokenId, StoredToken>,
    /// Tries, by subject.
    pub attempts: BTreeMap<String, Attempts>,
    /// The audit trails.
    pub audit: Vec<(OrgId, AuditEvent)>,
    /// Jobs on their way to the queue.
    pub outbox: Vec<(OrgId, NewJob)>,
}

/// A refresh token as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredToken {
    /// The token.
    pub token: NewToken,
    /// What it succeeded.
    pub parent: Option<RefreshTokenId>,
    /// When it was used, and for what it was exchanged.
    pub used: Option<(Timestamp, SealedToken)>,
}

/// The store; clones share what is stored.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    clock: Arc<ManualClock>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self { state: Arc::default(), clock }
    }

    /// What is stored now.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what is stored, behind every rule's back.
    pub fn tamper(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn begin(&self, scope: Option<OrgScope>) -> MemoryTx {
        MemoryTx { store: self.clone(), state: self.state(), scope }
    }
}

/// A unit of work.
pub struct MemoryTx {
    store: MemoryStore,
    state: State,
    scope: Option<OrgScope>,
}

impl MemoryTx {
    /// The organization it is in; a system unit of work is in none, and no port asks it then.
    fn org(&self) -> OrgId {
        self.scope.map_or_else(OrgId::generate, |scope| scope.org())
    }

    fn account_where(&self, wanted: impl Fn(&NewUser) -> bool) -> Option<Account> {
        let user = self.state.users.values().find(|user| wanted(user))?;
        let profile = self
            .state
            .profiles
            .values()
            .zip(self.state.profiles.keys())
            .find(|(p, _)| p.user == user.user.id);
        let standing = match profile {
            _ if user.is_operator => Standing::Operator,
            Some((profile, (org, _))) => Standing::Member {
                organization: Box::new(self.state.organizations.get(org)?.clone()),
                role: profile.role,
            },
            None => Standing::Nobody,
        };
        Some(Account { user: user.user.clone(), password: user.password.clone(), standing })
    }

    fn member_of(&self, profile: &NewMember) -> Option<Member> {
        let user = self.state.users.get(&profile.user)?.user.clone();
        Some(Member { user, role: profile.role, since: profile.since })
    }
}

/// Cuts rows, oldest first, into a page, newest first.
fn page_of<T>(rows: Vec<T>, request: &PageRequest, position: impl Fn(&T) -> Position) -> Page<T> {
    let mut rows: Vec<T> = rows
        .into_iter()
        .filter(|row| {
            let key = |p: Position| (p.at, p.id);
            request.after.is_none_or(|after| key(position(row)) < key(after))
        })
        .collect();
    rows.sort_by_key(|row| {
        let position = position(row);
        std::cmp::Reverse((position.at, position.id))
    });
    rows.truncate(usize::from(request.limit()) + 1);
    Page::cut(rows, request, position)
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { store, state, .. } = *self;
        store.tamper(|stored| *stored = state);
        Ok(())
    }
}

#[async_trait]
impl Organizations for MemoryTx {
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError> {
        Ok(self.state.organizations.get(&self.org()).cloned())
    }

    async fn organization_for_update(&mut self) -> Result<Option<Organization>, StoreError> {
        self.organization().await
    }

    async fn add_organization(&mut self, organization: &Organization) -> Result<(), StoreError> {
        self.state.organizations.insert(organization.id, organization.clone());
        Ok(())
    }

    async fn save_organization(&mut self, organization: &Organization) -> Result<(), StoreError> {
        self.state.organizations.insert(organization.id, organization.clone());
        Ok(())
    }
}

#[async_trait]
impl Erasure for MemoryTx {
    async fn erase(&mut self) -> Result<Erased, StoreError> {
        let org = self.org();
        let people: Vec<UserId> =
            self.state.profiles.keys().filter(|(home, _)| *home == org).map(|(_, user)| *user).collect();
        self.state.organizations.remove(&org);
        self.state.profiles.retain(|(home, _), _| *home != org);
        self.state.users.retain(|id, _| !people.contains(id));
        Ok(Erased::from([("users".to_owned(), u64::try_from(people.len()).unwrap_or(u64::MAX))]))
    }
}

#[async_trait]
impl Members for MemoryTx {
    async fn member(&mut self, user: UserId) -> Result<Option<Member>, StoreError> {
        Ok(self.state.profiles.get(&(self.org(), user)).and_then(|profile| self.member_of(profile)))
    }

    async fn members(&mut self, page: &PageRequest) -> Result<Page<Member>, StoreError> {
        let org = self.org();
        let profiles = self.state.profiles.iter().filter(|((of, _), _)| *of == org);
        let members = profiles.filter_map(|(_, profile)| self.member_of(profile)).collect();
        Ok(page_of(members, page, |member: &Member| Position { at: member.since, id: member.user.id.0 }))
    }

    async fn lock_owners(&mut self) -> Result<Vec<UserId>, StoreError> {
        let org = self.org();
        let profiles =
            self.state.profiles.iter().filter(|((of, _), profile)| *of == org && profile.role == Role::Owner);
        Ok(profiles.map(|((_, user), _)| *user).collect())
    }

    async fn add_member(&mut self, member: &NewMember) -> Result<bool, StoreError> {
        if self.state.profiles.keys().any(|(_, user)| *user == member.user) {
            return Ok(false);
        }
        self.state.profiles.insert((self.org(), member.user), *member);
        Ok(true)
    }

    async fn set_role(&mut self, user: UserId, role: Role) -> Result<(), StoreError> {
        let org = self.org();
        if let Some(profile) = self.state.profiles.get_mut(&(org, user)) {
            profile.role = role;
        }
        Ok(())
    }

    async fn remove_member(&mut self, user: UserId) -> Result<(), StoreError> {
        let org = self.org();
        self.state.profiles.remove(&(org, user));
        Ok(())
    }
}

#[async_trait]
impl Accounts for MemoryTx {
    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        Ok(self.account_where(|user| user.user.email == *email))
    }

    async fn account(&mut self, id: UserId) -> Result<Option<Account>, StoreError> {
        Ok(self.account_where(|user| user.user.id == id))
    }

    async fn add_user(&mut self, user: &NewUser) -> Result<bool, StoreError> {
        if self.state.users.values().any(|other| other.user.email == user.user.email) {
            return Ok(false);
        }
        self.state.users.insert(user.user.id, user.clone());
        Ok(true)
    }

    async fn set_password(&mut self, user: UserId, hash: &PasswordHash) -> Result<(), StoreError> {
        if let Some(user) = self.state.users.get_mut(&user) {
            user.password = Some(hash.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl Sessions for MemoryTx {
    async fn open_session(&mut self, session: &Session, token: &NewToken) -> Result<(), StoreError> {
        self.state.sessions.insert(session.id, (*session, None));
        self.state.tokens.insert(token.id, StoredToken { token: *token, parent: None, used: None });
        Ok(())
    }

    async fn presented(&mut self, digest: &TokenDigest) -> Result<Option<PresentedToken>, StoreError> {
        let Some(stored) = self.state.tokens.values().find(|stored| stored.token.digest == *digest) else {
            return Ok(None);
        };
        let Some((session, ended)) = self.state.sessions.get(&stored.token.session) else { return Ok(None) };
        let used = stored.used.map(|(at, successor)| {
            let successor_used = self
                .state
                .tokens
                .values()
                .any(|other| other.parent == Some(stored.token.id) && other.used.is_some());
            Use { at, successor, successor_used }
        });
        Ok(Some(PresentedToken {
            id: stored.token.id,
            session: *session,
            revoked: ended.is_some(),
            expires_at: stored.token.expires_at,
            used,
        }))
    }

    async fn advance(
        &mut self,
        parent: RefreshTokenId,
        successor: &NewToken,
        sealed: &SealedToken,
    ) -> Result<(), StoreError> {
        if let Some(stored) = self.state.tokens.get_mut(&parent) {
            stored.used = Some((successor.created_at, *sealed));
        }
        let child = StoredToken { token: *successor, parent: Some(parent), used: None };
        self.state.tokens.insert(successor.id, child);
        Ok(())
    }

    async fn end_session(
        &mut self,
        session: SessionId,
        why: EndOfSession,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some((_, ended)) = self.state.sessions.get_mut(&session) {
            ended.get_or_insert(why);
        }
        Ok(())
    }

    async fn end_sessions_of(
        &mut self,
        user: UserId,
        why: EndOfSession,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        let of_user = self.state.sessions.values_mut().filter(|(session, _)| session.user == user);
        of_user.for_each(|(_, ended)| _ = ended.get_or_insert(why));
        Ok(())
    }
}

#[async_trait]
impl Throttle for MemoryTx {
    async fn attempts(&mut self, subject: &Subject, now: Timestamp) -> Result<Attempts, StoreError> {
        Ok(self.state.attempts.get(&subject.key()).copied().unwrap_or_else(|| Attempts::none(now)))
    }

    async fn set_attempts(&mut self, subject: &Subject, attempts: &Attempts) -> Result<(), StoreError> {
        self.state.attempts.insert(subject.key(), *attempts);
        Ok(())
    }
}

#[async_trait]
impl Directory for MemoryTx {
    async fn organizations(
        &mut self,
        status: Option<OrganizationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Organization>, StoreError> {
        let all = self.state.organizations.values();
        let wanted = all.filter(|org| status.is_none_or(|status| org.status == status)).cloned().collect();
        Ok(page_of(wanted, page, |org: &Organization| Position { at: org.created_at, id: org.id.0 }))
    }

    async fn organization_by_id(&mut self, org: OrgId) -> Result<Option<Organization>, StoreError> {
        Ok(self.state.organizations.get(&org).cloned())
    }

    async fn ownerless(&mut self) -> Result<Vec<OrgId>, StoreError> {
        let owned = |org: &OrgId| {
            self.state.profiles.iter().any(|((of, _), profile)| of == org && profile.role == Role::Owner)
        };
        Ok(self.state.organizations.keys().copied().filter(|org| !owned(org)).collect())
    }

    async fn unattached(&mut self) -> Result<Vec<User>, StoreError> {
        let users = self.state.users.values().filter(|user| !user.is_operator);
        let free = users.filter(|user| self.state.profiles.keys().all(|(_, member)| *member != user.user.id));
        Ok(free.map(|user| user.user.clone()).collect())
    }
}

#[async_trait]
impl AuditTrail for MemoryTx {
    async fn audit_events(&mut self, page: &PageRequest) -> Result<Page<AuditEvent>, StoreError> {
        let org = self.org();
        let events =
            self.state.audit.iter().filter(|(of, _)| *of == org).map(|(_, event)| event.clone()).collect();
        Ok(page_of(events, page, |event: &AuditEvent| Position { at: event.at, id: event.id.0 }))
    }

    async fn founder(&mut self) -> Result<Option<UserId>, StoreError> {
        let org = self.org();
        let founding =
            self.state.audit.iter().find(|(of, event)| *of == org && event.action == "organization.created");
        Ok(founding.and_then(|(_, event)| event.actor_id).map(UserId))
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        let (actor_kind, actor_id) = match self.scope.map(|scope| scope.actor()) {
            Some(Actor::User(user)) => ("user", Some(user.0)),
            Some(Actor::Operator(user)) => ("operator", Some(user.0)),
            Some(Actor::CommandLine) => ("command_line", None),
            _ => ("system", None),
        };
        let event = AuditEvent {
            id: AuditId::generate(),
            at: self.store.clock.now(),
            actor_kind: actor_kind.into(),
            actor_id,
            action: entry.action.into(),
            target_kind: entry.target_kind.into(),
            target_id: entry.target_id,
            before: entry.before,
            after: entry.after,
            request_id: None,
        };
        self.state.audit.push((self.org(), event));
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.state.outbox.push((self.org(), job));
        Ok(())
    }
}

macro_rules! begins {
    (inside an organization: $($inside:ident),+; outside: $($outside:ident),+) => {
        $(#[async_trait] impl Begin<dyn $inside> for MemoryStore {
            async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn $inside>, StoreError> {
                Ok(Box::new(self.begin(Some(*scope))))
            }
        })+
        $(#[async_trait] impl BeginSystem<dyn $outside> for MemoryStore {
            async fn begin_system(&self) -> Result<Box<dyn $outside>, StoreError> {
                Ok(Box::new(self.begin(None)))
            }
        })+
    };
}
begins! {
    inside an organization: SignUpTx, MembersTx, SettingsTx, ReviewTx, DeleteTx, MendTx, AuditTx;
    outside: SignInTx, RefreshTx, MeTx, OperatorAccountsTx, DirectoryTx
}

/// Passwords that hash at once. Counts its work, so that a test can see that a refusal worked as hard as a success.
#[derive(Default)]
pub struct QuickPasswords {
    hashes: Mutex<u32>,
}

impl QuickPasswords {
    /// How often it has hashed.
    pub fn work(&self) -> u32 {
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worked(&self) {
        *self.hashes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }
}

#[async_trait]
impl Passwords for QuickPasswords {
    async fn hash(&self, password: SecretString) -> Result<PasswordHash, HashingFailed> {
        self.worked();
        Ok(PasswordHash::new(format!("quick:{}", password.expose_secret())))
    }

    async fn check(
        &self,
        password: SecretString,
        hash: Option<PasswordHash>,
    ) -> Result<PasswordCheck, HashingFailed> {
        self.worked();
        let Some(hash) = hash else { return Ok(PasswordCheck::Wrong) };
        Ok(match hash.as_phc().split_once(':') {
            Some(("quick", text)) if text == password.expose_secret() => PasswordCheck::Right,
            Some(("old", text)) if text == password.expose_secret() => PasswordCheck::RightButOutdated,
            _ => PasswordCheck::Wrong,
        })
    }
}

/// Makes tokens that say in clear what they claim.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadableTokens;

impl TokenIssuer for ReadableTokens {
    fn issue(&self, claims: &Claims, lifetime: SignedDuration) -> Result<IssuedToken, IssueError> {
        Ok(IssuedToken { token: format!("{claims:?}").into(), lifetime })
    }
}

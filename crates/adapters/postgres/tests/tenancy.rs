//! Tenancy on a real PostgreSQL: what only a database can show, above all what happens at the same time.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::task::JoinSet;
use voxanne_kernel::{
    Actor, E164, EmailAddress, ManualClock, NewJob, OrgScope, PageRequest, StoreError, Timestamp, Zone,
    ids::{OrgId, UserId},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_tenancy::{
    AccountHolders, AfterApproval, AfterChange, AnswerMode, ApprovalMode, CreateOperator, Decision, Document,
    FixMembership, ListAudit, ManageMembers, MemberError, NewPassword, Newcomer, Organization,
    OrganizationChange, OrganizationName, OrganizationSettings, OrganizationStatus, Refresh, RefreshToken,
    ReviewOrganization, Role, SignIn, SignInError, SignInRequest, SignOut, SignUp, SignUpError,
    SignUpRequest, SignUpTx, SignedIn,
    fix_membership::Remedy,
    review::Reviewer,
    testing::{QuickPasswords, ReadableTokens},
    user::Standing,
};
use voxanne_testkit::TestDb;

const PASSWORD: &str = "an unusual phrase";

struct World {
    db: TestDb,
    clock: Arc<ManualClock>,
    sign_up: SignUp<dyn SignUpTx>,
    sign_in: SignIn,
    refresh: Refresh,
    sign_out: SignOut,
    members: ManageMembers,
    settings: OrganizationSettings,
    audit: ListAudit,
    review: ReviewOrganization,
    create_operator: CreateOperator,
    fix: FixMembership,
}

/// Equips nobody: that is the business of whoever assembles the program.
struct Nothing;

#[async_trait]
impl Newcomer<dyn SignUpTx> for Nothing {
    async fn equip(&self, _: &mut (dyn SignUpTx + 'static), _: &Organization) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Tells nobody: what is told how is another domain's business.
#[async_trait]
impl AccountHolders for Nothing {
    async fn address_taken(&self, _: &EmailAddress) -> Result<(), StoreError> {
        Ok(())
    }
}

struct SetUp;

impl AfterApproval for SetUp {
    fn set_up(&self, org: OrgId) -> NewJob {
        NewJob {
            task: "set_up",
            payload: serde_json::json!({ "org_id": org }),
            queue: None,
            key: None,
            run_at: None,
            max_attempts: 1,
        }
    }
}

impl AfterChange for SetUp {
    fn answer_anew(&self, org: OrgId) -> NewJob {
        NewJob { task: "bind_numbers", ..self.set_up(org) }
    }
}

impl World {
    async fn new() -> Arc<Self> {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse::<Timestamp>().unwrap()));
        let (passwords, issuer) = (Arc::new(QuickPasswords::default()), Arc::new(ReadableTokens));
        Arc::new(Self {
            sign_up: SignUp::new(
                store.clone(),
                Arc::new(Nothing),
                Arc::new(Nothing),
                passwords.clone(),
                issuer.clone(),
                clock.clone(),
            ),
            sign_in: SignIn::new(store.clone(), passwords.clone(), issuer.clone(), clock.clone()),
            refresh: Refresh::new(store.clone(), issuer, clock.clone()),
            sign_out: SignOut::new(store.clone(), clock.clone()),
            members: ManageMembers::new(store.clone(), clock.clone()),
            settings: OrganizationSettings::new(store.clone(), Arc::new(SetUp), clock.clone()),
            audit: ListAudit::new(store.clone()),
            review: ReviewOrganization::new(store.clone(), store.clone(), Arc::new(SetUp), clock.clone()),
            create_operator: CreateOperator::new(store.clone(), passwords, clock.clone()),
            fix: FixMembership::new(store.clone(), store, clock.clone()),
            clock,
            db,
        })
    }

    async fn sign_up(&self, email: &str) -> Result<SignedIn, SignUpError> {
        self.sign_up
            .run(SignUpRequest {
                email: email.parse().unwrap(),
                password: NewPassword::new(PASSWORD.into()).unwrap(),
                organization: OrganizationName::new("Clinique Étoile").unwrap(),
                zone: Zone::new("Europe/Paris").unwrap(),
            })
            .await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn, SignInError> {
        let address = "2001:db8::1".parse().unwrap();
        self.sign_in
            .run(SignInRequest { email: email.parse().unwrap(), password: password.into(), address })
            .await
    }

    async fn refresh(&self, token: &RefreshToken) -> Option<RefreshToken> {
        self.refresh.run(token).await.ok().map(|signed_in| signed_in.refresh)
    }

    async fn count(&self, from: &'static str) -> i64 {
        let query = sqlx::AssertSqlSafe(format!("select count(*) from {from}"));
        sqlx::query_scalar(query).fetch_one(&mut self.db.owner().await).await.unwrap()
    }
}

fn home(signed_in: &SignedIn) -> OrgId {
    let Standing::Member { organization, .. } = &signed_in.account.standing else { panic!("not a member") };
    organization.id
}

fn scope(signed_in: &SignedIn) -> OrgScope {
    OrgScope::vouch(home(signed_in), Actor::User(signed_in.account.user.id))
}

#[tokio::test]
async fn an_organization_comes_back_as_it_was_stored() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let change = OrganizationChange {
        name: Some(OrganizationName::new("Clinique Lumière").unwrap()),
        zone: Some(Zone::new("America/New_York").unwrap()),
        alert_phone: Some(Some(E164::new("+15005550006").unwrap())),
        approval_mode: Some(ApprovalMode::Manual),
        answer_mode: Some(AnswerMode::Dynamic),
        call_routing: Some(Document::new(serde_json::json!({"sales": "+15005550007"})).unwrap()),
        profile: Some(Document::new(serde_json::json!({"about": "Laser & Botox"})).unwrap()),
    };
    let changed = world.settings.change(&scope(&ann), change).await.unwrap();
    assert_eq!(world.settings.show(&scope(&ann)).await.unwrap(), changed);
    let again = world.sign_in("ann@example.com", PASSWORD).await.unwrap();
    assert_eq!(
        again.account.standing,
        Standing::Member { organization: Box::new(changed), role: Role::Owner }
    );
}

#[tokio::test]
async fn of_many_sign_ups_with_one_address_one_succeeds_and_the_others_leave_nothing() {
    let world = World::new().await;
    let mut tries = JoinSet::new();
    for _ in 0..12 {
        let world = world.clone();
        tries.spawn(async move { world.sign_up("ann@example.com").await });
    }
    let outcomes = tries.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Err(SignUpError::Rejected))).count(), 11);
    for table in ["organizations", "users", "profiles", "sessions", "refresh_tokens", "audit_events"] {
        assert_eq!(world.count(table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn tries_made_at_once_are_all_counted() {
    let world = World::new().await;
    world.sign_up("ann@example.com").await.unwrap();
    let mut tries = JoinSet::new();
    for _ in 0..15 {
        let world = world.clone();
        tries.spawn(async move { world.sign_in("ann@example.com", "not the password").await });
    }
    let outcomes = tries.join_all().await;
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(SignInError::Refused))).count();
    let waiting =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(SignInError::TooManyTries(_)))).count();
    assert_eq!((refused, waiting), (5, 10));
    world.clock.advance(SignedDuration::from_secs(1));
    assert!(world.sign_in("ann@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn one_token_presented_many_times_at_once_has_one_successor() {
    let world = World::new().await;
    let first = world.sign_up("ann@example.com").await.unwrap().refresh;
    let mut tries = JoinSet::new();
    for _ in 0..12 {
        let (world, first) = (world.clone(), first.clone());
        tries.spawn(async move { world.refresh(&first).await.unwrap().encode() });
    }
    let successors: HashSet<String> = tries.join_all().await.into_iter().collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(world.count("refresh_tokens").await, 2);
}

#[tokio::test]
async fn a_used_token_ends_its_session_and_no_other() {
    let world = World::new().await;
    let first = world.sign_up("ann@example.com").await.unwrap().refresh;
    let other = world.sign_in("ann@example.com", PASSWORD).await.unwrap().refresh;
    let second = world.refresh(&first).await.unwrap();
    let third = world.refresh(&second).await.unwrap();
    assert!(world.refresh(&first).await.is_none());
    assert!(world.refresh(&third).await.is_none());
    assert_eq!(world.count("sessions where revoked_for = 'token_reused'").await, 1);
    world.sign_out.run(&other).await.unwrap();
    assert!(world.refresh(&other).await.is_none());
    assert_eq!(world.count("sessions where revoked_for = 'signed_out'").await, 1);
}

#[tokio::test]
async fn two_owners_cannot_leave_at_once() {
    for _ in 0..5 {
        let world = World::new().await;
        let ann = world.sign_up("ann@example.com").await.unwrap();
        let invited = world
            .members
            .invite(&scope(&ann), "ben@example.com".parse().unwrap(), Role::Owner)
            .await
            .unwrap();
        let ben = OrgScope::vouch(home(&ann), Actor::User(invited.user.id));
        let (one, other) = tokio::join!(
            world.members.remove(&ben, invited.user.id),
            world.members.change_role(&ben, ann.account.user.id, Role::Member)
        );
        let succeeded = usize::from(one.is_ok()) + usize::from(other.is_ok());
        assert_eq!(succeeded, 1, "{one:?} {other:?}");
        assert_eq!(world.count("profiles where role = 'owner'").await, 1);
    }
}

#[tokio::test]
async fn members_are_seen_and_changed_by_their_own_organization_only() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let eve = world.sign_up("eve@example.com").await.unwrap();
    let ann_id = ann.account.user.id;
    let seen = world.members.list(&scope(&eve), &PageRequest::first()).await.unwrap();
    assert_eq!(seen.rows.iter().map(|member| member.user.id).collect::<Vec<_>>(), [eve.account.user.id]);
    let eve_scope = scope(&eve);
    let removed = world.members.remove(&eve_scope, ann_id).await;
    assert!(matches!(removed, Err(MemberError::NotFound)));
    let changed = world.members.change_role(&eve_scope, ann_id, Role::Member).await;
    assert!(matches!(changed, Err(MemberError::NotFound)));
    let invited = world.members.invite(&eve_scope, "ann@example.com".parse().unwrap(), Role::Member).await;
    assert!(matches!(invited, Err(MemberError::Rejected)));
    let intruder = OrgScope::vouch(home(&ann), Actor::User(eve.account.user.id));
    let refused = world.members.require(&intruder, Role::Member).await;
    assert!(matches!(refused, Err(MemberError::NotAllowed)));
}

#[tokio::test]
async fn a_tenants_transaction_cannot_read_passwords_sessions_or_strangers() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await.unwrap();
    world.sign_up("eve@example.com").await.unwrap();
    let enter = format!("begin; select enter_org('{}')", home(&ann));
    for (statement, visible) in [
        ("select count(*) from (select id, email from users) u", Some(1)),
        ("select count(password_hash) from users", None),
        ("select count(*) from sessions", None),
        ("select count(*) from refresh_tokens", None),
        ("select count(*) from login_throttle", None),
        ("select count(*) from organizations", Some(1)),
        ("select count(*) from profiles", Some(1)),
        ("select count(*) from audit_events", Some(1)),
    ] {
        let mut app = world.db.app().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(enter.clone())).execute(&mut app).await.unwrap();
        let counted: Result<i64, _> = sqlx::query_scalar(statement).fetch_one(&mut app).await;
        assert_eq!(counted.ok(), visible, "{statement}");
    }
}

#[tokio::test]
async fn an_approval_is_stored_with_its_job_and_its_audit_entry() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await.unwrap();
    let password = NewPassword::new(PASSWORD.into()).unwrap();
    let operator = world.create_operator.run("op@example.com".parse().unwrap(), password).await.unwrap();
    let reviewer = Reviewer::Operator(operator.id);
    world.review.decide(reviewer, home(&ann), Decision::Approve).await.unwrap();
    world.review.decide(reviewer, home(&ann), Decision::Approve).await.unwrap();
    assert_eq!(
        world.count("outbox where task = 'set_up' and org_id = (payload ->> 'org_id')::uuid").await,
        1
    );
    let trail = world.audit.run(&scope(&ann), &PageRequest::first()).await.unwrap();
    let actions: Vec<_> = trail.rows.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["organization.approved", "organization.created"]);
    assert_eq!(trail.rows[0].actor_id, Some(operator.id.0));
    let pending =
        world.review.list(reviewer, Some(OrganizationStatus::Pending), &PageRequest::first()).await.unwrap();
    assert!(pending.rows.is_empty());
    let stranger = Reviewer::Operator(UserId::generate());
    assert!(world.review.decide(stranger, home(&ann), Decision::Suspend).await.is_err());
    let again = world.sign_in("op@example.com", PASSWORD).await.unwrap();
    assert_eq!(again.account.standing, Standing::Operator);
}

#[tokio::test]
async fn lists_continue_where_the_page_before_ended() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await.unwrap();
    for i in 0..4 {
        world.clock.advance(SignedDuration::from_secs(i64::from(i % 2)));
        let email = format!("m{i}@example.com").parse().unwrap();
        world.members.invite(&scope(&ann), email, Role::Member).await.unwrap();
    }
    let mut request = PageRequest::new(2, None);
    let mut seen = Vec::new();
    while let Some(page) = request {
        let members = world.members.list(&scope(&ann), &page).await.unwrap();
        seen.extend(members.rows.into_iter().map(|member| (member.since, member.user.id)));
        request = members.next.and_then(|next| PageRequest::new(2, Some(next)));
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|newer, older| newer > older));
    let trail = world.audit.run(&scope(&ann), &PageRequest::new(3, None).unwrap()).await.unwrap();
    let rest = world.audit.run(&scope(&ann), &PageRequest::new(3, trail.next).unwrap()).await.unwrap();
    assert_eq!((trail.rows.len(), rest.rows.len(), rest.next), (3, 2, None));
}

#[tokio::test]
async fn an_organization_that_lost_its_owner_gets_its_founder_back() {
    let world = World::new().await;
    let ann = world.sign_up("ann@example.com").await.unwrap();
    sqlx::query("delete from profiles").execute(&mut world.db.owner().await).await.unwrap();
    let expected = [(home(&ann), Remedy::Restore(ann.account.user.id))];
    assert_eq!(world.fix.run(false).await.unwrap().ownerless, expected);
    assert_eq!(world.count("profiles").await, 0);
    assert_eq!(world.fix.run(true).await.unwrap().ownerless, expected);
    assert_eq!(world.count("profiles where role = 'owner'").await, 1);
}

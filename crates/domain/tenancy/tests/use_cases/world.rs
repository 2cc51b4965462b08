//! Everything a test of tenancy needs, at a time that stands still.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::SignedDuration;
use voxanne_kernel::{
    Actor, EmailAddress, ManualClock, NewJob, OrgScope, StoreError, Timestamp, Zone, ids::OrgId,
};
use voxanne_tenancy::{
    AccountHolders, AfterApproval, AfterChange, CreateOperator, FixMembership, ManageMembers, NewPassword,
    Newcomer, Organization, OrganizationName, OrganizationSettings, Refresh, RefreshToken,
    ReviewOrganization, SignIn, SignInError, SignInRequest, SignOut, SignUp, SignUpError, SignUpRequest,
    SignUpTx, SignedIn,
    testing::{MemoryStore, QuickPasswords, ReadableTokens},
    user::Standing,
};

pub(crate) const PASSWORD: &str = "an unusual phrase";

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: MemoryStore,
    pub(crate) passwords: Arc<QuickPasswords>,
    pub(crate) holders: Arc<Holders>,
    pub(crate) sign_up: SignUp<dyn SignUpTx>,
    pub(crate) sign_in: SignIn,
    pub(crate) refresh: Refresh,
    pub(crate) sign_out: SignOut,
    pub(crate) members: ManageMembers,
    pub(crate) settings: OrganizationSettings,
    pub(crate) review: ReviewOrganization,
    pub(crate) create_operator: CreateOperator,
    pub(crate) fix: FixMembership,
}

/// Equips nobody: what a newcomer gets is other domains' business.
struct Nothing;

#[async_trait]
impl Newcomer<dyn SignUpTx> for Nothing {
    async fn equip(&self, _: &mut (dyn SignUpTx + 'static), _: &Organization) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Remembers whose holders were told, and cannot tell any while it is broken.
#[derive(Default)]
pub(crate) struct Holders {
    pub(crate) told: Mutex<Vec<EmailAddress>>,
    pub(crate) is_broken: Mutex<bool>,
}

#[async_trait]
impl AccountHolders for Holders {
    async fn address_taken(&self, address: &EmailAddress) -> Result<(), StoreError> {
        if *self.is_broken.lock().unwrap() {
            return Err(StoreError::Busy);
        }
        self.told.lock().unwrap().push(address.clone());
        Ok(())
    }
}

struct SetUpJob;

impl AfterApproval for SetUpJob {
    fn set_up(&self, org: OrgId) -> NewJob {
        NewJob {
            task: "set_up_organization",
            payload: serde_json::json!({"org_id": org}),
            queue: None,
            key: None,
            run_at: None,
            max_attempts: 1,
        }
    }
}

impl AfterChange for SetUpJob {
    fn answer_anew(&self, org: OrgId) -> NewJob {
        NewJob { task: "bind_numbers", ..self.set_up(org) }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse::<Timestamp>().unwrap()));
        let store = MemoryStore::new(clock.clone());
        let shared = Arc::new(store.clone());
        let passwords = Arc::new(QuickPasswords::default());
        let issuer = Arc::new(ReadableTokens);
        let holders = Arc::new(Holders::default());
        Self {
            sign_up: SignUp::new(
                shared.clone(),
                Arc::new(Nothing),
                holders.clone(),
                passwords.clone(),
                issuer.clone(),
                clock.clone(),
            ),
            sign_in: SignIn::new(shared.clone(), passwords.clone(), issuer.clone(), clock.clone()),
            refresh: Refresh::new(shared.clone(), issuer, clock.clone()),
            sign_out: SignOut::new(shared.clone(), clock.clone()),
            members: ManageMembers::new(shared.clone(), clock.clone()),
            settings: OrganizationSettings::new(shared.clone(), Arc::new(SetUpJob), clock.clone()),
            review: ReviewOrganization::new(
                shared.clone(),
                shared.clone(),
                Arc::new(SetUpJob),
                clock.clone(),
            ),
            create_operator: CreateOperator::new(shared.clone(), passwords.clone(), clock.clone()),
            fix: FixMembership::new(shared.clone(), shared, clock.clone()),
            clock,
            store,
            passwords,
            holders,
        }
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    pub(crate) async fn sign_up(&self, email: &str) -> Result<SignedIn, SignUpError> {
        self.sign_up
            .run(SignUpRequest {
                email: email.parse().unwrap(),
                password: NewPassword::new(PASSWORD.into()).unwrap(),
                organization: OrganizationName::new("Clinique").unwrap(),
                zone: Zone::new("Europe/Paris").unwrap(),
            })
            .await
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Result<SignedIn, SignInError> {
        let email = email.parse().unwrap();
        let address = "192.0.2.1".parse().unwrap();
        self.sign_in.run(SignInRequest { email, password: password.into(), address }).await
    }

    /// Exchanges `token`; the successor, or `None` when it was refused.
    pub(crate) async fn refresh(&self, token: &RefreshToken) -> Option<RefreshToken> {
        self.refresh.run(token).await.ok().map(|signed_in| signed_in.refresh)
    }
}

pub(crate) fn home(signed_in: &SignedIn) -> OrgId {
    let Standing::Member { organization, .. } = &signed_in.account.standing else { panic!("not a member") };
    organization.id
}

/// What the holder of `signed_in` may do in their own organization.
pub(crate) fn scope(signed_in: &SignedIn) -> OrgScope {
    OrgScope::vouch(home(signed_in), Actor::User(signed_in.account.user.id))
}

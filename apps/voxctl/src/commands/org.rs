//! `voxctl org`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;
use voxanne_boot::{OperatorSettings, Reader, VaultSettings};
use voxanne_credentials::RotateWebhookSecret;
use voxanne_kernel::{Actor, NewJob, OrgScope, PageRequest, SystemClock, Timestamp, ids::OrgId};
use voxanne_postgres::PgStore;
use voxanne_provisioning::SetUpOrganization;
use voxanne_tenancy::{
    AfterApproval, Decision, FixMembership, MembershipReport, Organization, OrganizationStatus,
    ReviewOrganization, fix_membership::Remedy, review::Reviewer,
};

use crate::{
    cli::Org,
    output::{Output, table},
};

pub(super) async fn run(command: Org, output: &Output) -> anyhow::Result<()> {
    match command {
        Org::List { status } => list(status, output).await,
        Org::Show { org } => show(OrgId(org), output).await,
        Org::Approve { org } => decide(OrgId(org), Decision::Approve, output).await,
        Org::Reject { org } => decide(OrgId(org), Decision::Reject, output).await,
        Org::Suspend { org } => decide(OrgId(org), Decision::Suspend, output).await,
        Org::Delete { org, yes: _ } => super::org_delete::run(OrgId(org), output).await,
        Org::FixMembership { apply } => fix_membership(apply, output).await,
        Org::RotateWebhookSecret { org } => rotate_webhook_secret(OrgId(org), output).await,
    }
}

/// An organization, by the names it has on the wire.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: Uuid,
    name: String,
    status: &'static str,
    timezone: String,
    currency: String,
    approval_mode: &'static str,
    answer_mode: &'static str,
    alert_phone: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Organization> for Shown {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id.0,
            name: organization.name.into(),
            status: organization.status.as_str(),
            timezone: organization.zone.name().to_owned(),
            currency: organization.currency.to_string(),
            approval_mode: organization.approval_mode.as_str(),
            answer_mode: organization.answer_mode.as_str(),
            alert_phone: organization.alert_phone.map(Into::into),
            created_at: organization.created_at,
            updated_at: organization.updated_at,
        }
    }
}

/// An approved organization's line is set up by the worker.
struct SetUpLater;

impl AfterApproval for SetUpLater {
    fn set_up(&self, org: OrgId) -> NewJob {
        SetUpOrganization::job(org)
    }
}

async fn store() -> anyhow::Result<Arc<PgStore>> {
    super::store(&OperatorSettings::read(Reader::from_environment())?.database).await
}

async fn desk() -> anyhow::Result<ReviewOrganization> {
    let store = store().await?;
    Ok(ReviewOrganization::new(store.clone(), store, Arc::new(SetUpLater), Arc::new(SystemClock)))
}

async fn list(status: Option<OrganizationStatus>, output: &Output) -> anyhow::Result<()> {
    let desk = desk().await?;
    let mut request = PageRequest::new(PageRequest::MAX, None);
    let mut organizations = Vec::new();
    while let Some(page) = request {
        let found = desk.list(Reviewer::CommandLine, status, &page).await?;
        organizations.extend(found.rows.into_iter().map(Shown::from));
        request = found.next.and_then(|after| PageRequest::new(PageRequest::MAX, Some(after)));
    }
    output.say(&json!({ "data": organizations }), || {
        let row =
            |o: &Shown| [o.id.to_string(), o.name.clone(), o.status.to_owned(), o.created_at.to_string()];
        let rows = organizations.iter().map(row);
        table(["id", "name", "status", "signed up"], rows, "There are no such organizations.")
    })?;
    Ok(())
}

async fn show(org: OrgId, output: &Output) -> anyhow::Result<()> {
    let shown = Shown::from(desk().await?.show(Reviewer::CommandLine, org).await?);
    output.say(&shown, || describe(&shown))?;
    Ok(())
}

fn describe(shown: &Shown) -> String {
    let row = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    let rows = [
        row("id", &shown.id.to_string()),
        row("name", &shown.name),
        row("status", shown.status),
        row("time zone", &shown.timezone),
        row("currency", &shown.currency),
        row("approval mode", shown.approval_mode),
        row("answer mode", shown.answer_mode),
        row("alert phone", shown.alert_phone.as_deref().unwrap_or("none")),
        row("signed up", &shown.created_at.to_string()),
        row("last changed", &shown.updated_at.to_string()),
    ];
    table(["organization", ""], rows, "")
}

async fn decide(org: OrgId, decision: Decision, output: &Output) -> anyhow::Result<()> {
    let shown = Shown::from(desk().await?.decide(Reviewer::CommandLine, org, decision).await?);
    output.say(&shown, || format!("{} is {}.", shown.name, shown.status))?;
    Ok(())
}

async fn fix_membership(apply: bool, output: &Output) -> anyhow::Result<()> {
    let store = store().await?;
    let report = FixMembership::new(store.clone(), store, Arc::new(SystemClock)).run(apply).await?;
    let ownerless: Vec<_> = report.ownerless.iter().map(|(org, remedy)| remedy_json(*org, *remedy)).collect();
    let unattached: Vec<_> =
        report.unattached.iter().map(|user| json!({ "userId": user.id, "email": user.email })).collect();
    let outcome = json!({
        "applied": report.applied,
        "organizationsWithoutOwner": ownerless,
        "usersWithoutOrganization": unattached,
    });
    output.say(&outcome, || tell(&report))?;
    Ok(())
}

fn remedy_json(org: OrgId, remedy: Remedy) -> serde_json::Value {
    let (name, user) = match remedy {
        Remedy::Promote(user) => ("promote", Some(user)),
        Remedy::Restore(user) => ("restore", Some(user)),
        Remedy::Nobody => ("none", None),
    };
    json!({ "organizationId": org, "remedy": name, "userId": user })
}

fn tell(report: &MembershipReport) -> String {
    let remedy = |(org, remedy): &(OrgId, Remedy)| {
        let what = match remedy {
            Remedy::Promote(user) => format!("make the member {user} its owner"),
            Remedy::Restore(user) => format!("bring its founder {user} back as its owner"),
            Remedy::Nobody => "nobody is left: invite somebody".to_owned(),
        };
        [org.to_string(), what]
    };
    let title = if report.applied { "done" } else { "would be done with --apply" };
    let organizations = table(
        ["organization without an owner", title],
        report.ownerless.iter().map(remedy),
        "Every organization has an owner.",
    );
    let person = |user: &voxanne_tenancy::User| [user.id.to_string(), user.email.to_string()];
    let people = table(
        ["user without an organization", "e-mail"],
        report.unattached.iter().map(person),
        "Every other user belongs to an organization.",
    );
    format!("{organizations}\n{people}")
}

async fn rotate_webhook_secret(org: OrgId, output: &Output) -> anyhow::Result<()> {
    let settings = VaultSettings::read(Reader::from_environment())?;
    let store = super::store(&settings.database).await?;
    let rotate = RotateWebhookSecret::new(store, settings.encryption.keys, Arc::new(SystemClock));
    rotate.run(&entering(org)).await?;
    output.say(&json!({ "rotated": true, "organizationId": org }), || {
        "The webhook secret is replaced. The old one is accepted for 24 hours; the worker tells the provider.".to_owned()
    })?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "whoever has the command line may enter any organization")]
fn entering(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::CommandLine)
}

//! `voxctl access verify`: everything that a call to an organization needs, from Twilio to the calendar.

use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::Serialize;
use voxanne_boot::{NumbersSettings, Reader, providers::Providers};
use voxanne_credentials::{
    CredentialStatus, ReadCredentialsTx, Twilio, Vault, Verdict, VerifyCredential as _,
    oauth::{AccessTokenOf, Calendar, OAuthProviders, VerifyConnection},
};
use voxanne_google::GoogleOAuth;
use voxanne_kernel::{Begin, Clock, OrgScope, SystemClock, ids::OrgId};
use voxanne_microsoft::MicrosoftOAuth;
use voxanne_postgres::{PgStore, telephony};
use voxanne_twilio::TwilioClient;
use voxanne_vapi::{Vapi, VapiClient, VapiSettings};

use crate::{
    cli::Access,
    commands::voice::entering,
    output::{AlreadySaid, Output},
};

pub(super) async fn run(command: &Access, output: &Output) -> anyhow::Result<()> {
    let Access::Verify { org } = command;
    let org = OrgId(*org);
    let examination = Examination::open(org).await?;
    let findings = examination.run().await?;
    let is_fine = findings.iter().all(|finding| finding.ok);
    output.say(&serde_json::json!({ "organizationId": org, "ok": is_fine, "checks": findings }), || {
        let line = |finding: &Finding| {
            format!("{:6} {:13} {}", if finding.ok { "ok" } else { "FAILED" }, finding.check, finding.detail)
        };
        findings.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    if is_fine { Ok(()) } else { Err(AlreadySaid.into()) }
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

impl Finding {
    fn of(check: &'static str, outcome: anyhow::Result<String>) -> Self {
        match outcome {
            Ok(detail) => Self { check, ok: true, detail },
            Err(error) => Self { check, ok: false, detail: format!("{error:#}") },
        }
    }
}

struct Examination {
    scope: OrgScope,
    store: Arc<PgStore>,
    vault: Vault,
    twilio: TwilioClient,
    vapi: Vapi,
    calendars: VerifyConnection,
    recorded: telephony::Access,
}

impl Examination {
    async fn open(org: OrgId) -> anyhow::Result<Self> {
        let NumbersSettings { voice, providers, .. } = NumbersSettings::read(Reader::from_environment())?;
        let store = super::store(&voice.database).await?;
        let recorded = store.access_of(org).await?.context("there is no such organization")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let vault = Vault::new(store.clone(), voice.encryption.keys.clone());
        let oauth = oauth_providers(&providers, &clock)?;
        let access =
            AccessTokenOf::new(store.clone(), voice.encryption.keys, vault.clone(), oauth, clock.clone());
        let calendars = VerifyConnection::new(access, clock.clone());
        let server_url = format!("{}/api/vapi/webhook", voice.backend.url);
        let reach = VapiSettings::new(voice.vapi.base_url, voice.vapi.private_key);
        let vapi = Vapi::new(VapiClient::new(reach)?, server_url, clock);
        let twilio = TwilioClient::new(providers.base_urls.twilio)?;
        Ok(Self { scope: entering(org), store, vault, twilio, vapi, calendars, recorded })
    }

    async fn run(&self) -> anyhow::Result<Vec<Finding>> {
        let twilio = self.vault.get::<Twilio>(&self.scope).await?;
        Ok(vec![
            Finding::of("organization", self.organization()),
            Finding::of("twilio", self.credential(twilio.as_deref()).await),
            Finding::of("routing", self.routing(twilio.as_deref())),
            Finding::of("vapi_number", self.number().await),
            Finding::of("assistant", self.assistant().await),
            Finding::of("tools", self.tools().await),
            Finding::of("calendar", self.calendar().await),
        ])
    }

    fn organization(&self) -> anyhow::Result<String> {
        ensure!(self.recorded.is_verified, "it is not verified, or it is suspended");
        Ok("verified".to_owned())
    }

    /// Twilio accepts the stored account, and has its number.
    async fn credential(&self, twilio: Option<&Twilio>) -> anyhow::Result<String> {
        let twilio = twilio.context("no Twilio account is stored")?;
        match self.twilio.verify(twilio).await.context("Twilio cannot be asked")? {
            Verdict::Verified => Ok("the stored account works".to_owned()),
            Verdict::Restricted => anyhow::bail!("the stored account may not do everything it has to"),
            Verdict::Rejected(why) => anyhow::bail!("Twilio refuses the stored account: {}", why.code()),
        }
    }

    /// Calls to a number are attributed to the organization: to the one that its account names, if it names one.
    fn routing(&self, twilio: Option<&Twilio>) -> anyhow::Result<String> {
        let routed = &self.recorded.routed;
        ensure!(!routed.is_empty(), "calls to no number are attributed to it");
        if let Some(number) = twilio.and_then(|twilio| twilio.phone_number.as_ref()) {
            let is_routed = routed.iter().any(|(known, _)| known == number.as_str());
            ensure!(is_routed, "calls to {number} are not attributed to it");
        }
        let numbers: Vec<&str> = routed.iter().map(|(number, _)| number.as_str()).collect();
        Ok(numbers.join(", "))
    }

    /// Every routed number is at Vapi, and answered as the organization wants it.
    async fn number(&self) -> anyhow::Result<String> {
        ensure!(!self.recorded.routed.is_empty(), "there is none");
        for (number, id) in &self.recorded.routed {
            let id = id.as_ref().with_context(|| format!("{number} was never imported"))?;
            let found = self.vapi.answers(id).await.context("Vapi cannot be asked")?;
            let answers = found.with_context(|| format!("{number} is not there any more"))?;
            if self.recorded.is_dynamic {
                let asks_us =
                    answers.assistant.is_none() && answers.server.as_deref() == Some(self.vapi.server_url());
                ensure!(asks_us, "{number} does not ask us who answers");
            } else {
                let is_bound = answers.assistant.is_some() && answers.assistant == self.recorded.assistant;
                ensure!(is_bound, "{number} is not bound to the inbound assistant");
            }
        }
        let how =
            if self.recorded.is_dynamic { "asks us who answers" } else { "bound to the inbound assistant" };
        Ok(how.to_owned())
    }

    async fn assistant(&self) -> anyhow::Result<String> {
        let id = self.recorded.assistant.as_ref().context("there is no inbound assistant")?;
        let found = self.vapi.tools_of(id).await.context("Vapi cannot be asked")?;
        found.context("the inbound assistant is not there any more")?;
        Ok(id.clone())
    }

    /// The inbound assistant carries every tool that is recorded as linked, and there are some.
    async fn tools(&self) -> anyhow::Result<String> {
        let id = self.recorded.assistant.as_ref().context("there is no inbound assistant")?;
        let linked = self.vapi.tools_of(id).await.context("Vapi cannot be asked")?.unwrap_or_default();
        let carried = self.store.carried_tools(self.scope.org()).await?.unwrap_or_default();
        ensure!(!carried.is_empty(), "no tools are recorded for it");
        for tool in &carried {
            let is_linked = tool.state == "linked" && linked.contains(&tool.vapi_tool_id);
            ensure!(is_linked, "{} is not linked", tool.tool_name);
        }
        Ok(format!("{} linked", carried.len()))
    }

    /// A calendar that was connected can be reached. Without one, appointments are kept by us alone.
    async fn calendar(&self) -> anyhow::Result<String> {
        let mut tx = Begin::<dyn ReadCredentialsTx>::begin(&*self.store, &self.scope).await?;
        let stored = tx.credentials().await?;
        tx.commit().await?;
        let mut reached = Vec::new();
        for calendar in Calendar::ALL {
            let title = calendar.provider().title();
            let Some(found) = stored.iter().find(|found| found.provider == calendar.provider()) else {
                continue;
            };
            ensure!(found.status != CredentialStatus::ReconnectRequired, "{title} has to be connected again");
            self.calendars
                .run(&self.scope, calendar)
                .await
                .with_context(|| format!("{title} cannot be reached"))?;
            reached.push(title);
        }
        Ok(if reached.is_empty() {
            "none is connected".to_owned()
        } else {
            format!("{} connected", reached.join(", "))
        })
    }
}

/// Those that we are registered with, at their own places or where something stands in for them.
pub(super) fn oauth_providers(
    settings: &Providers,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<OAuthProviders> {
    let urls = &settings.base_urls;
    let mut providers = OAuthProviders::default();
    if let Some(client) = settings.google.clone() {
        let client = voxanne_google::Registration { id: client.id, secret: client.secret };
        let (oauth, api) = (urls.google_oauth.as_ref(), urls.google_api.as_ref());
        providers.google = Some(Arc::new(GoogleOAuth::new(client, oauth, api, clock.clone())?));
    }
    if let Some(client) = settings.microsoft.clone() {
        let client = voxanne_microsoft::Registration { id: client.id, secret: client.secret };
        let (oauth, api) = (urls.microsoft_oauth.as_ref(), urls.microsoft_api.as_ref());
        providers.outlook = Some(Arc::new(MicrosoftOAuth::new(client, oauth, api, clock.clone())?));
    }
    Ok(providers)
}

//! `voxctl doctor`: what an operator would check by hand.

use std::{pin::Pin, sync::Arc, time::Duration};

use anyhow::{anyhow, bail};
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use serde::Serialize;
use voxanne_boot::{
    ConfigurationError, OperatorSettings, Reader, ServerSettings, WorkerSettings, providers::Providers,
};
use voxanne_credentials::{Rejection, Twilio, Verdict, VerifyCredential};
use voxanne_email::EmailProviders;
use voxanne_kernel::SystemClock;
use voxanne_postgres::{PgStore, PoolSettings, guard};
use voxanne_sms::SmsProviders;
use voxanne_tooling::SigningProvider as _;
use voxanne_twilio::TwilioClient;
use voxanne_vapi::{Vapi, VapiClient, VapiSettings};
use voxanne_whatsapp::WhatsappCloud;

use crate::output::{Output, table};

/// How long a provider's word about an account is waited for.
const PATIENCE: Duration = Duration::from_secs(25);

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

impl Finding {
    fn of<E: Into<anyhow::Error>>(check: &'static str, fine: &str, outcome: Result<(), E>) -> Self {
        match outcome {
            Ok(()) => Self { check, ok: true, detail: fine.to_owned() },
            Err(error) => Self { check, ok: false, detail: format!("{:#}", error.into()) },
        }
    }
}

pub(super) async fn run(output: &Output) -> anyhow::Result<()> {
    let findings = examine().await;
    let ill = findings.iter().filter(|finding| !finding.ok).count();
    output.say(&serde_json::json!({ "ok": ill == 0, "checks": findings }), || {
        let row = |f: &Finding| {
            [f.check.to_owned(), if f.ok { "ok" } else { "FAILED" }.to_owned(), f.detail.clone()]
        };
        table(["check", "", ""], findings.iter().map(row), "")
    })?;
    match ill {
        0 => Ok(()),
        1 => bail!("one check failed"),
        _ => bail!("{ill} checks failed"),
    }
}

async fn examine() -> Vec<Finding> {
    let server = ServerSettings::read(Reader::from_environment());
    let worker = WorkerSettings::read(Reader::from_environment());
    let mut findings = vec![
        configuration("configuration of the server", &server),
        configuration("configuration of the worker", &worker),
    ];
    // A database can be examined even where other settings are missing.
    if let Ok(settings) = OperatorSettings::read(Reader::from_environment()) {
        let login = database(settings.database.url.expose_secret()).await;
        let fine = "reachable, up to date, and the login cannot bypass row level security";
        findings.push(Finding::of("database", fine, login));
    }
    if let Ok(settings) = server {
        let vapi = vapi(&settings).await;
        findings.push(Finding::of("Vapi", "the private key is accepted", vapi));
        findings.extend(accounts(&settings.providers).await);
        let reachable = reachable(&settings.backend.url).await;
        findings.push(Finding::of("webhooks", "our public address answers", reachable));
    }
    findings
}

fn configuration<T>(check: &'static str, read: &Result<T, ConfigurationError>) -> Finding {
    match read {
        Ok(_) => Finding { check, ok: true, detail: "complete".to_owned() },
        Err(error) => Finding { check, ok: false, detail: error.problems().join("; ") },
    }
}

async fn database(url: &str) -> anyhow::Result<()> {
    let store = PgStore::new(&PoolSettings { connections: 2, ..PoolSettings::new(url, "voxctl") })?;
    Ok(guard::check_login(&store).await?)
}

/// Asks for something that is not there: only the answer to "may I ask?" matters.
async fn vapi(settings: &ServerSettings) -> anyhow::Result<()> {
    let client = VapiClient::new(VapiSettings::new(
        settings.vapi.base_url.clone(),
        settings.vapi.private_key.clone(),
    ))?;
    Vapi::new(client, String::new(), Arc::new(SystemClock)).find_credential("voxctl-doctor").await?;
    Ok(())
}

/// Our own accounts with carriers of calls and messages, those that are configured. Nothing is sent.
async fn accounts(providers: &Providers) -> Vec<Finding> {
    let clients = match Clients::new(providers) {
        Ok(clients) => clients,
        Err(error) => return vec![Finding::of("providers", "", Err(error))],
    };
    let (email, sms) = (&clients.email, &clients.sms);
    let twilio = providers.twilio.as_ref().map(|account| Twilio {
        account_sid: account.account_sid.clone(),
        auth_token: account.auth_token.clone(),
        phone_number: account.from_number.clone(),
    });
    let ours = &providers.messaging;
    let asked: [Asked<'_>; 8] = [
        Box::pin(account("Twilio", &clients.twilio, twilio.as_ref())),
        Box::pin(account("Africa's Talking", sms, ours.africastalking.as_deref())),
        Box::pin(account("Termii", sms, ours.termii.as_deref())),
        Box::pin(account("Resend", email, ours.resend.as_deref())),
        Box::pin(account("SendGrid", email, ours.sendgrid.as_deref())),
        Box::pin(account("Mailgun", email, ours.mailgun.as_deref())),
        Box::pin(account("SMTP", email, ours.smtp.as_deref())),
        Box::pin(account("WhatsApp", &clients.whatsapp, ours.whatsapp.as_deref())),
    ];
    join_all(asked).await.into_iter().flatten().collect()
}

/// What a provider is asked, all of them at the same time.
type Asked<'a> = Pin<Box<dyn Future<Output = Option<Finding>> + Send + 'a>>;

/// What speaks to providers, at their own places or at what stands in for them.
struct Clients {
    twilio: TwilioClient,
    email: EmailProviders,
    sms: SmsProviders,
    whatsapp: WhatsappCloud,
}

impl Clients {
    fn new(providers: &Providers) -> anyhow::Result<Self> {
        let (urls, private) = (providers.base_urls.clone(), providers.allow_private_hosts);
        let email = voxanne_email::BaseUrls {
            resend: urls.resend,
            sendgrid: urls.sendgrid,
            mailgun: urls.mailgun,
            postmark: urls.postmark,
            ses: urls.ses,
        };
        let sms = voxanne_sms::BaseUrls { africastalking: urls.africastalking, termii: urls.termii };
        Ok(Self {
            twilio: TwilioClient::new(urls.twilio)?,
            email: EmailProviders::new(email, private)?,
            sms: SmsProviders::new(sms, private)?,
            whatsapp: WhatsappCloud::new(urls.whatsapp)?,
        })
    }
}

/// What the provider says of an account of ours; `None` where there is none.
async fn account<C: Sync>(
    check: &'static str,
    provider: &impl VerifyCredential<C>,
    credential: Option<&C>,
) -> Option<Finding> {
    let asked = tokio::time::timeout(PATIENCE, provider.verify(credential?)).await;
    let mut fine = "the credentials are accepted";
    let outcome = match asked {
        Ok(Ok(Verdict::Verified)) => Ok(()),
        Ok(Ok(Verdict::Restricted)) => {
            fine = "the credentials are accepted, for sending only";
            Ok(())
        }
        Ok(Ok(Verdict::Rejected(why))) => Err(anyhow!(rejection(why))),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(anyhow!("it did not answer in time")),
    };
    Some(Finding::of(check, fine, outcome))
}

const fn rejection(why: Rejection) -> &'static str {
    match why {
        Rejection::Credentials => "the credentials are not accepted",
        Rejection::NumberNotInAccount => "our number is not in the account",
        Rejection::SenderNotVerified => "the account may not send from our address",
        Rejection::HostNotAllowed => "the host must not be reached",
        Rejection::HostNotFound => "the host does not exist",
        Rejection::TlsMode => "what answers does not encrypt the way it was said to",
    }
}

/// Whether what providers are told to call is us, as far as can be seen from here.
async fn reachable(backend: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let status = client.get(format!("{backend}/health")).send().await?.status();
    if !status.is_success() {
        bail!("{backend}/health answers {status}");
    }
    Ok(())
}

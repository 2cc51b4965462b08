//! Through whose accounts messages go.

use std::collections::BTreeMap;

use axum::{Json, extract::State};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{Currency, E164, EmailAddress};
use voxanne_messaging::{
    channel::{Channel, Provider},
    message::{Content, EmailContent, NewMessage, Purpose, Recipient},
    model::{ChannelState, Mode, ModelView, Source, Switch, SwitchError},
    providers::WhatsAppBody,
    send::Queued,
};

use super::{
    messaging::{Outcome, outcome, queue_problem},
    messaging_suppressions::channel,
};
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller},
        idempotency::RequestOrigin,
        json::Body,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, switch, test))
}

/// The model, and what it comes to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ModelBody {
    /// `customer_managed` or `platform_managed`.
    #[schema(value_type = String, example = "platform_managed")]
    messaging_model: Mode,
    /// Whether our accounts stand in where the organization has none that can send.
    fallback_to_platform: bool,
    credits: CreditsBody,
    /// By channel: who is asked first.
    #[schema(value_type = BTreeMap<String, ChannelBody>)]
    channels: BTreeMap<&'static str, ChannelBody>,
}

/// What is left to spend on messages through our accounts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CreditsBody {
    /// In minor units; what is reserved for messages on their way is not in it.
    #[schema(example = 1000)]
    balance: i64,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
}

/// Who carries the messages of a channel.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ChannelBody {
    /// Null when nobody can.
    #[schema(value_type = Option<String>, example = "twilio")]
    provider: Option<Provider>,
    /// `organization` or `platform`: whose account it is.
    source: Option<&'static str>,
    /// Whether the account is known to work.
    verified: bool,
}

impl From<&ChannelState> for ChannelBody {
    fn from(state: &ChannelState) -> Self {
        let (provider, source) = state.first.unzip();
        Self { provider, source: source.map(Source::as_str), verified: state.is_verified }
    }
}

impl From<ModelView> for ModelBody {
    fn from(view: ModelView) -> Self {
        let channels = view.channels.iter().map(|state| (state.channel.as_str(), state.into()));
        Self {
            messaging_model: view.model.mode,
            fallback_to_platform: view.model.fallback_to_platform,
            credits: CreditsBody { balance: view.credits.amount.minor(), currency: view.credits.currency },
            channels: channels.collect(),
        }
    }
}

/// Through whose accounts the organization's messages go, and what it has left to spend on ours.
#[utoipa::path(get, path = "/api/messaging/model", tag = "messaging", responses((status = 200, body = ModelBody)))]
async fn show(State(app): State<App>, caller: Caller) -> Result<Json<ModelBody>, Problem> {
    Ok(Json(app.policy.model.show(&caller.scope).await?.into()))
}

/// What it shall be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SwitchBody {
    /// `customer_managed` or `platform_managed`.
    #[schema(example = "customer_managed")]
    messaging_model: String,
    /// Whether our accounts may stand in; stays as it is unless given.
    fallback_to_platform: Option<bool>,
    /// Whether the owners get a mail about it; true unless given.
    notify_users: Option<bool>,
    /// For the audit trail; at most 500 characters.
    reason: Option<String>,
}

impl SwitchBody {
    fn into_switch(self) -> Result<Switch, Problem> {
        let mode = self.messaging_model.parse();
        if self.reason.as_ref().is_some_and(|reason| reason.chars().count() > 500) {
            return Err(Problem::invalid("reason", "must be at most 500 characters"));
        }
        Ok(Switch {
            mode: mode.map_err(|rule: voxanne_messaging::model::UnknownMode| {
                Problem::invalid("messagingModel", rule.to_string())
            })?,
            fallback_to_platform: self.fallback_to_platform,
            notify_users: self.notify_users.unwrap_or(true),
            reason: self.reason,
        })
    }
}

/// Switches the model; for admins. `customer_managed` needs a verified provider of the organization's own on at least
/// one channel, otherwise 422 `no_verified_provider`.
#[utoipa::path(put, path = "/api/messaging/model", tag = "messaging", request_body = SwitchBody,
    responses((status = 200, body = ModelBody), (status = 422, body = ProblemBody)))]
async fn switch(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<SwitchBody>,
) -> Result<Json<ModelBody>, Problem> {
    Ok(Json(app.policy.model.switch(&caller.scope, body.into_switch()?).await?.into()))
}

impl From<SwitchError> for Problem {
    fn from(error: SwitchError) -> Self {
        match error {
            SwitchError::NothingVerified => Self::unprocessable(
                "no_verified_provider",
                "Connect a provider of your own and have it verified first.",
            )
            .detail("messagingModel", "needs a verified provider on at least one channel"),
            SwitchError::Store(error) => error.into(),
        }
    }
}

/// What shall be tried.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TestBody {
    /// `test-configuration`.
    #[schema(example = "test-configuration")]
    action: String,
    /// Where texts and WhatsApp messages go.
    #[schema(example = "+15005550006")]
    test_phone: Option<String>,
    /// Where mails go.
    test_email: Option<String>,
    /// `sms`, `email`, `whatsapp`; each at most once.
    channels: Vec<String>,
}

/// What the trial of a channel came to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct TrialBody {
    /// Whether the provider took the message; also true while it has not said so in ten seconds.
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<Uuid>,
    /// As in `/api/messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    provider: Option<Provider>,
    /// Whose account was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    mode: Option<Mode>,
    /// Why it did not, or why no message was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Every channel that was tried.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TrialsBody {
    /// Whether every one of them was a success.
    success: bool,
    /// By channel.
    #[schema(value_type = BTreeMap<String, TrialBody>)]
    results: BTreeMap<&'static str, TrialBody>,
}

/// Where trial messages go.
struct Targets {
    phone: Option<E164>,
    email: Option<EmailAddress>,
}

impl TestBody {
    /// Reads what is to be tried; nothing is sent before all of it is known to be right.
    fn into_messages(self) -> Result<Vec<NewMessage>, Problem> {
        if self.action != "test-configuration" {
            return Err(Problem::invalid("action", "must be test-configuration"));
        }
        let mut channels = Vec::new();
        for name in &self.channels {
            let wanted = channel(name).map_err(|_| {
                Problem::invalid("channels", "must be some of sms, email, whatsapp, each at most once")
            })?;
            if channels.contains(&wanted) {
                return Err(Problem::invalid("channels", "must name each channel at most once"));
            }
            channels.push(wanted);
        }
        if channels.is_empty() {
            return Err(Problem::invalid("channels", "must name at least one of sms, email, whatsapp"));
        }
        let phone = self.test_phone.as_deref().map(E164::new).transpose();
        let email = self.test_email.as_deref().map(EmailAddress::new).transpose();
        let targets = Targets {
            phone: phone.map_err(|rule| Problem::invalid("testPhone", rule.to_string()))?,
            email: email.map_err(|rule| Problem::invalid("testEmail", rule.to_string()))?,
        };
        channels.into_iter().map(|channel| trial(channel, &targets)).collect()
    }
}

/// The message that tries a channel.
fn trial(channel: Channel, targets: &Targets) -> Result<NewMessage, Problem> {
    const WORDS: &str = "This is a test message from Voxanne. Messages on this channel are set up.";
    let phone = || targets.phone.clone().map(Recipient::Phone);
    let (to, content) = match channel {
        Channel::Sms => (phone(), Content::Sms { body: WORDS.to_owned() }),
        Channel::Whatsapp => (phone(), Content::WhatsApp(WhatsAppBody::Text(WORDS.to_owned()))),
        Channel::Email => {
            let mail = EmailContent {
                subject: "Test message from Voxanne".to_owned(),
                text: WORDS.to_owned(),
                ..EmailContent::default()
            };
            (targets.email.clone().map(Recipient::Email), Content::Email(mail))
        }
    };
    let to = to.ok_or_else(|| {
        let field = if channel == Channel::Email { "testEmail" } else { "testPhone" };
        Problem::invalid(field, format!("is needed for {channel}"))
    })?;
    Ok(NewMessage::new(to, content, Purpose::Test))
}

/// Sends a test message on each channel through whoever would carry messages now, and waits for what the providers make
/// of it, for ten seconds at most; for admins.
#[utoipa::path(post, path = "/api/messaging/model", tag = "messaging", request_body = TestBody,
    responses((status = 200, body = TrialsBody), (status = 400, body = ProblemBody)))]
async fn test(
    State(app): State<App>,
    caller: Admin,
    RequestOrigin(origin): RequestOrigin,
    Body(body): Body<TestBody>,
) -> Result<Json<TrialsBody>, Problem> {
    let mut trials = Vec::new();
    for message in body.into_messages()? {
        let channel = message.content.channel();
        // Two channels may lead to the same phone.
        let variables = [("channel".to_owned(), channel.to_string())].into();
        let id = origin.message(&message.to, &variables);
        let queued = app.messaging.queue.run_once(&caller.scope, id, message).await;
        let trial = match queued {
            Ok(queued) => Ok(queued),
            Err(error) => Err(refused(queue_problem(channel, error))?),
        };
        trials.push((channel, trial));
    }
    // All of them are on their way before the first is waited for.
    let settled = trials.into_iter().map(async |(channel, trial)| {
        Ok::<_, Problem>(match trial {
            Ok(queued) => (channel.as_str(), taken(&queued, outcome(&app, &caller.scope, &queued).await?)),
            Err(refused) => (channel.as_str(), refused),
        })
    });
    let results: BTreeMap<_, _> = try_join_all(settled).await?.into_iter().collect();
    let success = results.values().all(|trial| trial.success);
    Ok(Json(TrialsBody { success, results }))
}

/// What became of a message that was recorded.
fn taken(queued: &Queued, outcome: Outcome) -> TrialBody {
    let Outcome { success, status, error: code } = outcome;
    TrialBody {
        success,
        message_id: Some(queued.id.0),
        status: Some(status.as_str()),
        provider: Some(queued.provider),
        mode: Some(queued.mode),
        error: (!success).then(|| "The provider did not take the message.".to_owned()),
        code,
    }
}

/// Why a channel cannot send. What is wrong with us, or with the organization as a whole, is not an outcome of the
/// channel.
fn refused(problem: Problem) -> Result<TrialBody, Problem> {
    if problem.status().is_server_error() || problem.status() == axum::http::StatusCode::FORBIDDEN {
        return Err(problem);
    }
    let body = problem.body("");
    Ok(TrialBody {
        success: false,
        message_id: None,
        status: None,
        provider: None,
        mode: None,
        code: Some(body.code),
        error: Some(body.error),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_to_be_tried_is_read_before_anything_is_sent() {
        let read = |body| serde_json::from_value::<TestBody>(body).unwrap().into_messages();
        let field = |body| read(body).unwrap_err().body("r").details.keys().next().unwrap().clone();
        let all = json!({"action": "test-configuration", "testPhone": "+15005550006", "testEmail": "a@b.cd",
                         "channels": ["sms", "email", "whatsapp"]});
        assert_eq!(read(all).unwrap().len(), 3);
        assert_eq!(field(json!({"action": "x", "channels": ["sms"]})), "action");
        assert_eq!(field(json!({"action": "test-configuration", "channels": []})), "channels");
        assert_eq!(field(json!({"action": "test-configuration", "channels": ["fax"]})), "channels");
        assert_eq!(field(json!({"action": "test-configuration", "channels": ["sms"]})), "testPhone");
        assert_eq!(field(json!({"action": "test-configuration", "channels": ["email"]})), "testEmail");
        let bad = json!({"action": "test-configuration", "testPhone": "5550006", "channels": ["sms"]});
        assert_eq!(field(bad), "testPhone");
        let twice =
            json!({"action": "test-configuration", "testEmail": "a@b.cd", "channels": ["email", "email"]});
        assert_eq!(field(twice), "channels");
    }
}

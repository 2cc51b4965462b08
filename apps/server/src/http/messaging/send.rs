//! `POST /api/messaging/send` and `…/send/bulk`.

use std::collections::{HashMap, HashSet};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{
    E164, EmailAddress,
    ids::{MessageId, OrgId, TemplateId},
};
use voxanne_messaging::{
    channel::Channel,
    message::{Content, EmailContent, NewMessage, Purpose, Recipient},
    providers::{Cost, WhatsAppBody},
    send::{Origin, Queued},
    templates::{Rendered, Template, Variables},
};

use super::{
    VariablesBody,
    problems::{queue_problem, template_problem},
};
use crate::{
    app::App,
    http::{
        extract::{Caller, Member},
        idempotency::{RequestOrigin, Unfinished},
        json::Body,
        problem::{Problem, ProblemBody},
    },
};

/// The most recipients of one request.
const MOST: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(send)).routes(routes!(bulk))
}

/// A message.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SendBody {
    /// A phone number in E.164, or an e-mail address.
    #[schema(example = "+15005550006")]
    to: String,
    /// The words; not needed with `templateId`.
    #[schema(example = "Your appointment is tomorrow at 2 PM.")]
    content: Option<String>,
    /// `sms`, `email` or `whatsapp`.
    #[schema(example = "sms")]
    channel: String,
    /// For e-mails; a template may bring its own.
    subject: Option<String>,
    /// The same words as HTML, for e-mails.
    html: Option<String>,
    /// One of the organization's templates; for WhatsApp also the name of one that Meta has approved.
    template_id: Option<String>,
    /// What is put into the template. For one of Meta's: `1`, `2`, … and, if it is not `en_US`, `language`.
    variables: Option<VariablesBody>,
    /// The caller's own organization, or nothing.
    organization_id: Option<Uuid>,
}

/// A message that is on its way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SentBody {
    success: bool,
    message_id: Uuid,
    /// `queued`; how far it is by now where the request was begun before and its answer was lost.
    status: &'static str,
    channel: &'static str,
    /// Who is to carry it, as things are now.
    #[schema(example = "twilio")]
    provider: &'static str,
    /// `customer_managed` or `platform_managed`.
    mode: &'static str,
    /// How many parts an SMS has.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u32>,
    /// What is set aside for it; absent where the organization pays the provider itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostBody>,
}

/// An amount in minor units.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct CostBody {
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
}

impl From<Cost> for CostBody {
    fn from(cost: Cost) -> Self {
        Self { amount: cost.amount.minor(), currency: cost.currency.as_str().to_owned() }
    }
}

impl From<Queued> for SentBody {
    fn from(queued: Queued) -> Self {
        Self {
            success: true,
            message_id: queued.id.0,
            status: queued.status.as_str(),
            channel: queued.channel.as_str(),
            provider: queued.provider.as_str(),
            mode: queued.mode.as_str(),
            segments: queued.segments,
            cost: queued.cost.map(Into::into),
        }
    }
}

/// One of many recipients.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkRecipientBody {
    /// A phone number in E.164, or an e-mail address.
    #[schema(example = "+15005550006")]
    to: String,
    /// What is put into the template for this one.
    variables: Option<VariablesBody>,
}

/// The same to many.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BulkBody {
    /// `sms`, `email` or `whatsapp`.
    #[schema(example = "sms")]
    channel: String,
    /// 1 to 1,000.
    recipients: Vec<BulkRecipientBody>,
    /// The words; not needed with `templateId`.
    content: Option<String>,
    /// One of the organization's templates; for WhatsApp also the name of one that Meta has approved.
    template_id: Option<String>,
    /// For e-mails; a template may bring its own.
    subject: Option<String>,
}

/// What became of each, in the order they were given.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct BulkSentBody {
    results: Vec<BulkResultBody>,
}

/// What became of one.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct BulkResultBody {
    to: String,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<Uuid>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "recipient_opted_out")]
    code: Option<&'static str>,
    /// The same as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl BulkResultBody {
    fn new(to: String, message: Option<&MessageId>, problem: Option<&Problem>) -> Self {
        let Some(problem) = problem else {
            return Self { to, success: true, message_id: message.map(|id| id.0), code: None, error: None };
        };
        if let Some(cause) = problem.cause_chain() {
            tracing::warn!(cause, "one of many messages was not recorded");
        }
        let (code, error) = (Some(problem.code()), Some(sentence(problem)));
        Self { to, success: false, message_id: None, code, error }
    }
}

/// Where a message's words come from.
enum Source {
    /// The request.
    Words { content: String, subject: Option<String>, html: Option<String> },
    /// One of the organization's templates.
    Ours { template: Box<Template>, subject: Option<String> },
    /// One of Meta's.
    Approved(String),
}

impl Source {
    /// Looks at everything that does not depend on the recipient.
    async fn read(
        app: &App,
        caller: &Caller,
        channel: Channel,
        (content, template): (Option<String>, Option<String>),
        (subject, html): (Option<String>, Option<String>),
    ) -> Result<Self, Problem> {
        let is_mail = channel == Channel::Email;
        if !is_mail && (subject.is_some() || html.is_some()) {
            let field = if subject.is_some() { "subject" } else { "html" };
            return Err(Problem::invalid(field, "can be given for e-mails only"));
        }
        match (content, template) {
            (Some(_), Some(_)) => Err(Problem::invalid("templateId", "cannot be given beside content")),
            (None, None) => Err(Problem::invalid("content", "must be given, or a templateId")),
            (Some(_), None) if is_mail && subject.is_none() => {
                Err(Problem::invalid("subject", "must be given for an e-mail"))
            }
            (Some(content), None) => Ok(Self::Words { content, subject, html }),
            (None, Some(_)) if html.is_some() => {
                Err(Problem::invalid("html", "cannot be given beside templateId"))
            }
            (None, Some(id)) => match id.parse::<TemplateId>() {
                Ok(id) => Self::ours(app, caller, channel, id, subject).await,
                Err(_) if channel == Channel::Whatsapp => Ok(Self::Approved(id)),
                Err(_) => Err(Problem::invalid("templateId", "must be a UUID")),
            },
        }
    }

    async fn ours(
        app: &App,
        caller: &Caller,
        channel: Channel,
        id: TemplateId,
        subject: Option<String>,
    ) -> Result<Self, Problem> {
        let template = app.messaging.templates.get(&caller.scope, id).await.map_err(template_problem)?;
        if template.channel != channel {
            let rule = format!("is a template for {}", template.channel);
            return Err(Problem::invalid("templateId", rule));
        }
        Ok(Self::Ours { template: Box::new(template), subject })
    }

    fn content(&self, channel: Channel, variables: Variables) -> Result<Content, Problem> {
        match self {
            Self::Words { content, subject, html } => {
                Ok(words(channel, content.clone(), subject.clone(), html.clone()))
            }
            Self::Ours { template, subject } => {
                let Rendered { subject: own, text, html } =
                    template.render(&variables).map_err(|error| template_problem(error.into()))?;
                Ok(words(channel, text, subject.clone().or(own), html))
            }
            Self::Approved(name) => approved(name, variables),
        }
    }

    /// The message to `to`, under the id that it has whenever its request comes.
    fn message(
        &self,
        origin: &Origin,
        channel: Channel,
        to: &str,
        variables: Option<VariablesBody>,
    ) -> Result<(MessageId, NewMessage), Problem> {
        let (to, VariablesBody(variables)) = (recipient(channel, to)?, variables.unwrap_or_default());
        let id = origin.message(&to, &variables);
        Ok((id, NewMessage::new(to, self.content(channel, variables)?, Purpose::Direct)))
    }
}

fn words(channel: Channel, text: String, subject: Option<String>, html: Option<String>) -> Content {
    match channel {
        Channel::Sms => Content::Sms { body: text },
        Channel::Whatsapp => Content::WhatsApp(WhatsAppBody::Text(text)),
        Channel::Email => Content::Email(EmailContent {
            subject: subject.unwrap_or_default(),
            text,
            html,
            ..Default::default()
        }),
    }
}

/// What stands for `{{1}}`, `{{2}}`, … without a gap.
fn approved(name: &str, mut variables: Variables) -> Result<Content, Problem> {
    let language = variables.remove("language").unwrap_or_else(|| "en_US".to_owned());
    let mut parameters = Vec::with_capacity(variables.len());
    while let Some(value) = variables.remove(&(parameters.len() + 1).to_string()) {
        parameters.push(value);
    }
    if let Some(stray) = variables.keys().next() {
        let rule = format!("must be named 1, 2, …, and language; {stray} is not");
        return Err(Problem::invalid("variables", rule));
    }
    Ok(Content::WhatsApp(WhatsAppBody::Template { name: name.to_owned(), language, parameters }))
}

/// To whom, as the channel writes it.
fn recipient(channel: Channel, text: &str) -> Result<Recipient, Problem> {
    let invalid = |rule: String| Problem::invalid("to", rule);
    match channel {
        Channel::Email => {
            EmailAddress::new(text).map(Recipient::Email).map_err(|rule| invalid(rule.to_string()))
        }
        Channel::Sms | Channel::Whatsapp => {
            E164::new(text).map(Recipient::Phone).map_err(|rule| invalid(rule.to_string()))
        }
    }
}

/// What is wrong in one line: there is no room for details beside each recipient.
fn sentence(problem: &Problem) -> String {
    let body = problem.body("");
    let detail = |(field, rule): (&String, &Value)| Some(format!("{field} {}", rule.as_str()?));
    body.details.iter().find_map(detail).unwrap_or(body.error)
}

fn channel(text: &str) -> Result<Channel, Problem> {
    text.parse().map_err(|rule| Problem::invalid("channel", format!("{rule}")))
}

/// Sends a message: it is recorded, and a worker gives it to a provider. What becomes of it is shown under
/// `/api/messages`.
///
/// Refused are recipients who opted out (409 `recipient_opted_out`), messages nobody can carry (422 `no_provider`),
/// those that there are no credits for (402 `insufficient_credits`), and those above the organization's own caps (429
/// `daily_cap_reached`, `monthly_cap_reached`).
#[utoipa::path(post, path = "/api/messaging/send", tag = "messaging", request_body = SendBody,
    responses((status = 200, body = SentBody), (status = 400, body = ProblemBody),
        (status = 402, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, description = "`template_not_found`", body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
async fn send(
    State(app): State<App>,
    caller: Member,
    RequestOrigin(origin): RequestOrigin,
    Body(body): Body<SendBody>,
) -> Result<Json<SentBody>, Problem> {
    if let Some(org) = body.organization_id {
        caller.names(OrgId(org))?;
    }
    let channel = channel(&body.channel)?;
    recipient(channel, &body.to)?;
    let source =
        Source::read(&app, &caller, channel, (body.content, body.template_id), (body.subject, body.html))
            .await?;
    let (id, new) = source.message(&origin, channel, &body.to, body.variables)?;
    let queued = app.messaging.queue.run_once(&caller.scope, id, new).await;
    let queued = queued.map_err(|error| queue_problem(channel, error))?;
    Ok(Json(queued.into()))
}

/// Sends the same to many, each on its own: what is wrong with one does not stop the others, and is told beside it.
///
/// A recipient who is named twice with the same variables gets one message, which is told of twice. With an
/// `Idempotency-Key` the request may be repeated until it is answered, also after a crash in the middle: who has a
/// message by then gets no other one.
#[utoipa::path(post, path = "/api/messaging/send/bulk", tag = "messaging", request_body = BulkBody,
    responses((status = 200, body = BulkSentBody), (status = 400, body = ProblemBody),
        (status = 404, description = "`template_not_found`", body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn bulk(
    State(app): State<App>,
    caller: Member,
    RequestOrigin(origin): RequestOrigin,
    Body(body): Body<BulkBody>,
) -> Result<Response, Problem> {
    let channel = channel(&body.channel)?;
    if !(1..=MOST).contains(&body.recipients.len()) {
        return Err(Problem::invalid("recipients", format!("must be 1 to {MOST}")));
    }
    let parts = ((body.content, body.template_id), (body.subject, None));
    let source = Source::read(&app, &caller, channel, parts.0, parts.1).await?;
    let (mut wanted, mut messages, mut given) = (HashSet::new(), Vec::new(), Vec::new());
    for BulkRecipientBody { to, variables } in body.recipients {
        let message = source.message(&origin, channel, &to, variables).map(|(id, new)| {
            if wanted.insert(id) {
                messages.push((id, new));
            }
            id
        });
        given.push((to, message));
    }
    let outcomes: HashMap<_, _> = {
        let recorded = app.messaging.queue.run_all(&caller.scope, &messages).await;
        let told = recorded.into_iter().map(|outcome| outcome.map_err(|error| queue_problem(channel, error)));
        messages.iter().map(|(id, _)| *id).zip(told).collect()
    };
    let mut is_finished = true;
    let result = |(to, message): (String, Result<MessageId, Problem>)| {
        let problem = match &message {
            Ok(id) => outcomes.get(id).and_then(|outcome| outcome.as_ref().err()),
            Err(problem) => Some(problem),
        };
        is_finished &= problem.is_none_or(|problem| !problem.status().is_server_error());
        BulkResultBody::new(to, message.as_ref().ok(), problem)
    };
    let results = given.into_iter().map(result).collect();
    let mut response = Json(BulkSentBody { results }).into_response();
    if !is_finished {
        response.extensions_mut().insert(Unfinished);
    }
    Ok(response)
}

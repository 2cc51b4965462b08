//! Texts that messages are made of.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{Timestamp, ids::TemplateId};
use voxanne_messaging::{
    channel::Channel,
    segments::{Plainer, Segments, plainer},
    templates::{
        BadTemplate, NewTemplate, RenderError, Rendered, Template, TemplateChange, TemplateError,
        TemplateName, TemplateVersion,
    },
};

use super::{messaging::VariablesBody, messaging_suppressions::channel};
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller, Id},
        json::{Body, Query},
        page::{PageBody, page_request},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, replace, change, remove))
        .routes(routes!(versions))
        .routes(routes!(preview))
}

/// A text with places such as `{{name}}`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TemplateBody {
    id: Uuid,
    name: String,
    /// `sms`, `email` or `whatsapp`.
    #[schema(value_type = String, example = "sms")]
    channel: Channel,
    /// For e-mails.
    subject: Option<String>,
    body: String,
    /// The names of its places.
    #[schema(example = json!(["name"]))]
    variables: Vec<String>,
    /// 1, and one more with every change.
    version: u32,
    /// What a text message of it comes to before anything is put in.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentsBody>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Template> for TemplateBody {
    fn from(template: Template) -> Self {
        Self {
            id: template.id.0,
            variables: template.variables(),
            segments: segments(template.channel, &template.body),
            name: template.name.as_str().to_owned(),
            channel: template.channel,
            subject: template.subject,
            body: template.body,
            version: template.version,
            created_at: template.created_at,
            updated_at: template.updated_at,
        }
    }
}

/// What a text message comes to.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SegmentsBody {
    /// `GSM-7` or `UCS-2`.
    #[schema(example = "GSM-7")]
    encoding: &'static str,
    /// Septets or code units.
    units: u32,
    /// Parts, each of which is paid for.
    count: u32,
}

impl From<Segments> for SegmentsBody {
    fn from(segments: Segments) -> Self {
        Self { encoding: segments.encoding.as_str(), units: segments.units, count: segments.count }
    }
}

fn segments(channel: Channel, text: &str) -> Option<SegmentsBody> {
    (channel == Channel::Sms).then(|| Segments::of(text).into())
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TemplatesQuery {
    /// `sms`, `email` or `whatsapp`; all unless given.
    channel: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Lists templates, the newest first.
#[utoipa::path(get, path = "/api/messaging/templates", tag = "messaging", params(TemplatesQuery),
    responses((status = 200, body = PageBody<TemplateBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<TemplatesQuery>,
) -> Result<Json<PageBody<TemplateBody>>, Problem> {
    let request = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let channel = query.channel.as_deref().map(channel).transpose()?;
    let page = app.messaging.templates.list(&caller.scope, channel, &request).await?;
    Ok(Json(PageBody::of(page, TemplateBody::from)))
}

/// A new template, or all of one.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTemplateBody {
    /// 1 to 120 characters; unique.
    name: String,
    /// `sms`, `email` or `whatsapp`.
    #[schema(example = "sms")]
    channel: String,
    /// For e-mails, and only for them; may have places too.
    subject: Option<String>,
    /// Text with places such as `{{first_name}}`; for e-mails it may be HTML, in which values are escaped.
    #[schema(example = "Hello {{first_name}}, see you at {{time}}.")]
    body: String,
}

/// Adds a template. A name that another one has answers 409 `template_exists`; for admins.
#[utoipa::path(post, path = "/api/messaging/templates", tag = "messaging", request_body = NewTemplateBody,
    responses((status = 201, body = TemplateBody), (status = 409, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<NewTemplateBody>,
) -> Result<(StatusCode, Json<TemplateBody>), Problem> {
    let new =
        NewTemplate::new(TemplateName::new(&body.name)?, channel(&body.channel)?, body.subject, body.body)?;
    let template = app.messaging.templates.add(&caller.scope, new).await?;
    Ok((StatusCode::CREATED, Json(template.into())))
}

/// One template.
#[utoipa::path(get, path = "/api/messaging/templates/{id}", tag = "messaging", params(("id" = Uuid, Path)),
    responses((status = 200, body = TemplateBody), (status = 404, body = ProblemBody)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TemplateId>,
) -> Result<Json<TemplateBody>, Problem> {
    Ok(Json(app.messaging.templates.get(&caller.scope, id).await?.into()))
}

/// Replaces a template by a new version of it, on the same channel; for admins.
#[utoipa::path(put, path = "/api/messaging/templates/{id}", tag = "messaging", params(("id" = Uuid, Path)),
    request_body = NewTemplateBody,
    responses((status = 200, body = TemplateBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn replace(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<TemplateId>,
    Body(body): Body<NewTemplateBody>,
) -> Result<Json<TemplateBody>, Problem> {
    let NewTemplateBody { name, channel, subject, body } = body;
    let body = TemplateChangeBody { name: Some(name), channel: Some(channel), subject, body: Some(body) };
    change(State(app), caller, Id(id), Body(body)).await
}

/// What shall be different; what is left out stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplateChangeBody {
    /// 1 to 120 characters; unique.
    name: Option<String>,
    /// What it is already.
    channel: Option<String>,
    /// For e-mails.
    subject: Option<String>,
    /// Text with places.
    body: Option<String>,
}

/// Changes a template: a new version of it, unless nothing is different; for admins.
#[utoipa::path(patch, path = "/api/messaging/templates/{id}", tag = "messaging", params(("id" = Uuid, Path)),
    request_body = TemplateChangeBody,
    responses((status = 200, body = TemplateBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<TemplateId>,
    Body(body): Body<TemplateChangeBody>,
) -> Result<Json<TemplateBody>, Problem> {
    let change = TemplateChange {
        name: body.name.as_deref().map(TemplateName::new).transpose()?,
        channel: body.channel.as_deref().map(channel).transpose()?,
        subject: body.subject,
        body: body.body,
    };
    Ok(Json(app.messaging.templates.change(&caller.scope, id, change).await?.into()))
}

/// Removes a template with all its versions; for admins. Messages that were made of it stay.
#[utoipa::path(delete, path = "/api/messaging/templates/{id}", tag = "messaging", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<TemplateId>,
) -> Result<StatusCode, Problem> {
    app.messaging.templates.remove(&caller.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a template said since some time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct VersionBody {
    version: u32,
    name: String,
    subject: Option<String>,
    body: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<TemplateVersion> for VersionBody {
    fn from(version: TemplateVersion) -> Self {
        let TemplateVersion { version, name, subject, body, created_at } = version;
        Self { version, name, subject, body, created_at }
    }
}

/// The newest hundred versions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct VersionsBody {
    /// The newest first.
    data: Vec<VersionBody>,
}

/// What a template said before.
#[utoipa::path(get, path = "/api/messaging/templates/{id}/versions", tag = "messaging", params(("id" = Uuid, Path)),
    responses((status = 200, body = VersionsBody), (status = 404, body = ProblemBody)))]
async fn versions(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TemplateId>,
) -> Result<Json<VersionsBody>, Problem> {
    let versions = app.messaging.templates.versions(&caller.scope, id).await?;
    Ok(Json(VersionsBody { data: versions.into_iter().map(VersionBody::from).collect() }))
}

/// What to put in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplatePreviewBody {
    #[serde(default)]
    variables: VariablesBody,
}

/// What would be sent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RenderedBody {
    #[schema(value_type = String, example = "sms")]
    channel: Channel,
    /// Of the template.
    version: u32,
    /// For e-mails.
    subject: Option<String>,
    /// The words, with everything put in; HTML where the template is HTML.
    body: String,
    /// For e-mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    /// For text messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentsBody>,
    /// The same in plainer characters, where that makes fewer parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    plainer: Option<PlainerBody>,
}

/// A text message that has fewer parts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PlainerBody {
    body: String,
    segments: SegmentsBody,
}

impl From<Plainer> for PlainerBody {
    fn from(Plainer { text, segments }: Plainer) -> Self {
        Self { body: text, segments: segments.into() }
    }
}

/// Shows what would be sent, and sends nothing. A place without a value answers 422 `missing_variables`.
#[utoipa::path(post, path = "/api/messaging/templates/{id}/preview", tag = "messaging", params(("id" = Uuid, Path)),
    request_body = TemplatePreviewBody,
    responses((status = 200, body = RenderedBody), (status = 404, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
async fn preview(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<TemplateId>,
    Body(body): Body<TemplatePreviewBody>,
) -> Result<Json<RenderedBody>, Problem> {
    let VariablesBody(values) = body.variables;
    let (template, rendered) = app.messaging.templates.preview(&caller.scope, id, &values).await?;
    let is_html = template.is_html();
    let Rendered { subject, text, html } = rendered;
    let is_sms = template.channel == Channel::Sms;
    Ok(Json(RenderedBody {
        channel: template.channel,
        version: template.version,
        subject,
        segments: segments(template.channel, &text),
        plainer: plainer(&text).filter(|_| is_sms).map(PlainerBody::from),
        body: html.clone().filter(|_| is_html).unwrap_or(text),
        html,
    }))
}

impl From<BadTemplate> for Problem {
    fn from(bad: BadTemplate) -> Self {
        Self::invalid(bad.field, bad.rule)
    }
}

impl From<TemplateError> for Problem {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::NotFound => Self::not_found(),
            TemplateError::NameTaken => Self::conflict("template_exists", "Another template has this name.")
                .detail("name", "is another template's"),
            TemplateError::Bad(bad) => bad.into(),
            TemplateError::Render(RenderError::Missing(missing)) => {
                let names = missing.0.join(", ");
                Self::unprocessable("missing_variables", format!("These variables have no value: {names}."))
                    .detail("variables", format!("must have: {names}"))
            }
            TemplateError::Render(RenderError::Content(bad)) => {
                Self::unprocessable("content_invalid", "With these variables the template cannot be sent.")
                    .detail("variables", bad.to_string())
            }
            TemplateError::Store(error) => error.into(),
        }
    }
}

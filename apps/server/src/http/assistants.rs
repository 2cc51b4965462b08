//! An organization's two voice assistants: saving what they say and how, seeing how far their tools are, removing one
//! (`spec/04-assistants-and-tools.md`). Everybody in the organization may look; owners and admins change.

use std::time::{Duration, Instant};

use axum::{
    Extension, Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, request::Parts},
};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_kernel::{OrgScope, ProviderError, Timestamp};
use voxanne_tooling::{
    Agent, AgentTool, AssistantKind, AssistantName, EnsureError, FirstMessage, Language, MaxDuration,
    RemoveError, SavedAgent, SettingsDraft, SystemPrompt, ToolState, ToolSync, Voice,
};

use super::{
    auth::Checks,
    layers::{RequestId, within_request},
};
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller},
        json::Body,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, save, remove)).routes(routes!(sync))
}

/// `inbound` or `outbound` in the path; nothing else is there.
struct Kind(AssistantKind);

impl FromRequestParts<App> for Kind {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let kind = Path::<String>::from_request_parts(parts, app).await;
        let kind = kind.ok().and_then(|Path(kind)| kind.parse().ok());
        kind.map(Self).ok_or_else(|| Problem::not_found().detail("kind", "must be inbound or outbound"))
    }
}

/// What an assistant should be. It is saved as a whole: what is left out takes its default.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SaveAssistantBody {
    /// 1 to 40 characters on one line; the organization's name and the kind unless given.
    name: Option<String>,
    /// What the model is told: 1 to 50,000 characters.
    system_prompt: String,
    /// What the assistant says first: 1 to 1,000 characters; a greeting with the organization's name unless given.
    first_message: Option<String>,
    /// A voice's name. One that was retired is replaced, which `warnings` tell.
    #[schema(example = "Elliot")]
    voice_id: Option<String>,
    /// 10 to 43,200; 600 unless given.
    max_duration_seconds: Option<i64>,
    /// The language calls are heard in, such as `en` or `pt-BR`; `en` unless given.
    #[schema(example = "en")]
    language: Option<String>,
}

impl TryFrom<SaveAssistantBody> for SettingsDraft {
    type Error = Problem;

    /// Names every field that is wrong at once.
    fn try_from(body: SaveAssistantBody) -> Result<Self, Problem> {
        let mut checks = Checks::default();
        let name = checks.field("name", body.name.as_deref().map(AssistantName::new).transpose());
        let system_prompt = checks.field("systemPrompt", SystemPrompt::new(&body.system_prompt));
        let first_message = body.first_message.as_deref().map(FirstMessage::new).transpose();
        let first_message = checks.field("firstMessage", first_message);
        let voice = checks.field("voiceId", body.voice_id.as_deref().map(Voice::chosen).transpose());
        let max_duration = body.max_duration_seconds.map(MaxDuration::new).transpose();
        let max_duration = checks.field("maxDurationSeconds", max_duration);
        let language = checks.field("language", body.language.as_deref().map(Language::new).transpose());
        let whole = || {
            Some(Self {
                name: name?,
                system_prompt: system_prompt?,
                first_message: first_message?,
                voice: voice?,
                language: language?,
                max_duration: max_duration?,
            })
        };
        checks.finish(whole())
    }
}

/// What came of saving.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SavedAssistantBody {
    #[schema(example = true)]
    success: bool,
    /// The voice provider's id.
    assistant_id: String,
    /// Whether there was none before.
    is_new: bool,
    /// Whether it had been deleted at the voice provider and was made anew.
    was_deleted: bool,
    /// Tools are linked in the background.
    #[schema(example = "queued")]
    tool_sync: &'static str,
    /// What should be known about what was saved.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl From<SavedAgent> for SavedAssistantBody {
    fn from(SavedAgent { assistant, voice_replaced }: SavedAgent) -> Self {
        Self {
            success: true,
            assistant_id: assistant.provider_id,
            is_new: assistant.is_new,
            was_deleted: assistant.was_deleted,
            tool_sync: ToolSync::Queued.as_str(),
            warnings: voice_replaced.into_iter().map(|replaced| replaced.to_string()).collect(),
        }
    }
}

/// A tool of an assistant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AssistantToolBody {
    #[schema(example = "bookClinicAppointment")]
    name: &'static str,
    /// `pending` (not registered yet), `registered`, `linked` or `failed`.
    #[schema(example = "linked")]
    state: &'static str,
    /// The voice provider's id, once it is registered.
    tool_id: Option<String>,
    /// Why it failed last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl From<AgentTool> for AssistantToolBody {
    fn from(tool: AgentTool) -> Self {
        let (state, last_error) = match tool.state {
            ToolState::Pending => ("pending", None),
            ToolState::Registered => ("registered", None),
            ToolState::Linked => ("linked", None),
            ToolState::Failed(error) => ("failed", Some(error)),
        };
        Self { name: tool.name.as_str(), state, tool_id: tool.id, last_error }
    }
}

/// An assistant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AssistantBody {
    #[schema(example = "inbound")]
    kind: &'static str,
    /// The voice provider's id; null while it is being made.
    assistant_id: Option<String>,
    name: String,
    system_prompt: String,
    first_message: String,
    voice_id: String,
    language: String,
    max_duration_seconds: u32,
    /// `active`, or `pending` while making it was interrupted: save it again.
    #[schema(example = "active")]
    status: &'static str,
    /// When it was saved.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    tools: Vec<AssistantToolBody>,
    /// `synced`, `queued` or `failed`.
    #[schema(example = "synced")]
    tool_sync: &'static str,
}

impl From<Agent> for AssistantBody {
    fn from(agent: Agent) -> Self {
        let tool_sync = agent.tool_sync().as_str();
        let Agent { record, tools } = agent;
        let is_made = record.provider_id.is_some() && record.creation_begun.is_none();
        Self {
            kind: record.kind.as_str(),
            assistant_id: record.provider_id,
            name: record.settings.name.as_str().to_owned(),
            system_prompt: record.settings.system_prompt.as_str().to_owned(),
            first_message: record.settings.first_message.as_str().to_owned(),
            voice_id: record.settings.voice.as_str().to_owned(),
            language: record.settings.language.as_str().to_owned(),
            max_duration_seconds: record.settings.max_duration.seconds(),
            status: if is_made { "active" } else { "pending" },
            updated_at: record.updated_at,
            tools: tools.into_iter().map(AssistantToolBody::from).collect(),
            tool_sync,
        }
    }
}

/// The organization's assistants.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AssistantsBody {
    data: Vec<AssistantBody>,
}

/// Tools are being looked after.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ToolSyncBody {
    #[schema(example = true)]
    success: bool,
    #[schema(example = "queued")]
    tool_sync: &'static str,
}

/// Lists the organization's assistants, at most one of each kind.
#[utoipa::path(get, path = "/api/assistants", tag = "assistants",
    responses((status = 200, body = AssistantsBody)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<AssistantsBody>, Problem> {
    let found = app.assistants.show.list(&caller.scope).await?;
    Ok(Json(AssistantsBody { data: found.into_iter().map(AssistantBody::from).collect() }))
}

/// One assistant, with the state of each of its tools.
#[utoipa::path(get, path = "/api/assistants/{kind}", tag = "assistants",
    params(("kind" = String, Path, example = "inbound", description = "`inbound` or `outbound`.")),
    responses((status = 200, body = AssistantBody), (status = 404, body = ProblemBody)))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Kind(kind): Kind,
) -> Result<Json<AssistantBody>, Problem> {
    let found = app.assistants.show.get(&caller.scope, kind).await?;
    found.map(|agent| Json(agent.into())).ok_or_else(Problem::not_found)
}

/// Saves an assistant: makes it, changes it, or makes it anew where it was deleted at the voice provider. Of two saves
/// at the same time the later one stands as a whole. Its tools are linked afterwards, in the background. Where the
/// voice provider cannot be reached (503 `provider_unavailable`) the assistant stays as it was, and saving again is
/// always safe; settings that it refuses answer 422 `assistant_rejected`.
#[utoipa::path(put, path = "/api/assistants/{kind}", tag = "assistants",
    params(("kind" = String, Path, example = "inbound", description = "`inbound` or `outbound`.")), request_body = SaveAssistantBody,
    responses((status = 200, body = SavedAssistantBody), (status = 404, body = ProblemBody),
              (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn save(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    caller: Admin,
    Kind(kind): Kind,
    Body(body): Body<SaveAssistantBody>,
) -> Result<Json<SavedAssistantBody>, Problem> {
    let draft = body.try_into()?;
    let saved =
        finish(request, async move { save_patiently(&app, &caller.scope, kind, draft).await }).await?;
    Ok(Json(saved.map_err(save_problem)?.into()))
}

/// The pauses after which a save that the voice provider could not serve is tried again while the person waits.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// No attempt is begun after so long: the person should be told.
const PATIENCE: Duration = Duration::from_secs(15);

/// Saves, and again after a failure that may pass. Where the provider asks for a longer pause than ours, it is the
/// person's to make.
async fn save_patiently(
    app: &App,
    scope: &OrgScope,
    kind: AssistantKind,
    draft: SettingsDraft,
) -> Result<SavedAgent, EnsureError> {
    let began = Instant::now();
    for pause in PAUSES {
        let error = match app.assistants.save.run(scope, kind, draft.clone()).await {
            Err(EnsureError::Provider(error)) if error.is_worth_retrying() => error,
            outcome => return outcome,
        };
        let wanted = match &error {
            ProviderError::RetryLater { after: Some(after), .. } => pause.max(*after),
            _ => pause,
        };
        let longest = PAUSES[PAUSES.len() - 1];
        if wanted > longest || began.elapsed() + wanted > PATIENCE {
            return Err(error.into());
        }
        tracing::info!(org_id = %scope.org(), %kind, why = error.kind(), "the save is tried again");
        tokio::time::sleep(wanted).await;
    }
    app.assistants.save.run(scope, kind, draft).await
}

/// Has the tools of the organization's assistants registered and linked again, now.
#[utoipa::path(post, path = "/api/assistants/{kind}/sync", tag = "assistants",
    params(("kind" = String, Path, example = "inbound", description = "`inbound` or `outbound`.")),
    responses((status = 202, body = ToolSyncBody), (status = 404, body = ProblemBody)))]
async fn sync(
    State(app): State<App>,
    caller: Admin,
    Kind(kind): Kind,
) -> Result<(StatusCode, Json<ToolSyncBody>), Problem> {
    if !app.assistants.show.sync(&caller.scope, kind).await? {
        return Err(Problem::not_found());
    }
    Ok((StatusCode::ACCEPTED, Json(ToolSyncBody { success: true, tool_sync: ToolSync::Queued.as_str() })))
}

/// Removes an assistant: off the numbers whose calls it answers, from the voice provider, and here. Where the voice
/// provider cannot be reached (503 `provider_unavailable`) it stays, and removing it again goes on.
#[utoipa::path(delete, path = "/api/assistants/{kind}", tag = "assistants",
    params(("kind" = String, Path, example = "inbound", description = "`inbound` or `outbound`.")),
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
              (status = 503, body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    Extension(request): Extension<RequestId>,
    caller: Admin,
    Kind(kind): Kind,
) -> Result<StatusCode, Problem> {
    let removed =
        finish(request, async move { app.assistants.remove.run(&caller.scope, kind).await }).await?;
    removed.map_err(remove_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Finishes `work` even if the client hangs up: half of it is done at the provider by then.
async fn finish<T: Send + 'static>(
    RequestId(id): RequestId,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(within_request(id, work).in_current_span()).await.map_err(Problem::internal)
}

fn save_problem(error: EnsureError) -> Problem {
    match error {
        EnsureError::Busy => busy(),
        EnsureError::NoOrganization => Problem::not_found(),
        EnsureError::Signing(error) => Problem::internal(error),
        EnsureError::Provider(error @ ProviderError::Refused(_)) => {
            let message = "The voice provider does not accept these settings. Nothing has changed.";
            Problem::unprocessable("assistant_rejected", message).because(error)
        }
        EnsureError::Provider(error) => unavailable(error),
        EnsureError::Store(error) => error.into(),
    }
}

fn remove_problem(error: RemoveError) -> Problem {
    match error {
        RemoveError::NotFound => Problem::not_found(),
        RemoveError::Busy => busy(),
        RemoveError::Provider(error @ ProviderError::Refused(_)) => {
            let message = "The voice provider does not let go of this assistant.";
            Problem::conflict("assistant_in_use", message).because(error)
        }
        RemoveError::Provider(error) => unavailable(error),
        RemoveError::Store(error) => error.into(),
    }
}

fn busy() -> Problem {
    let message = "This assistant is being changed right now. Try again in a moment.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "assistant_busy", message).retry_after(2)
}

fn unavailable(error: ProviderError) -> Problem {
    let wait = match &error {
        ProviderError::RetryLater { after: Some(after), .. } => after.as_secs().clamp(1, 3_600),
        _ => 5,
    };
    let message = "The voice provider cannot be reached right now. Try again; nothing is done twice.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message)
        .retry_after(wait)
        .because(error)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(body: Value) -> Result<SettingsDraft, Problem> {
        serde_json::from_value::<SaveAssistantBody>(body).unwrap().try_into()
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let body = json!({"name": "x".repeat(41), "systemPrompt": " ", "firstMessage": "", "voiceId": "",
                          "maxDurationSeconds": 9, "language": "klingon"});
        let details = read(body).unwrap_err().body("r").details;
        let named: Vec<_> = details.keys().map(String::as_str).collect();
        let mut expected =
            ["name", "systemPrompt", "firstMessage", "voiceId", "maxDurationSeconds", "language"];
        expected.sort_unstable();
        let mut found = named;
        found.sort_unstable();
        assert_eq!(found, expected);
        assert!(read(json!({"systemPrompt": "Be kind.", "name": null})).is_ok());
    }

    #[test]
    fn a_failure_of_the_provider_says_when_to_try_again_and_nothing_else() {
        let after = Some(Duration::from_secs(7));
        let error = ProviderError::RetryLater { after, source: "secret words".into() };
        let problem = save_problem(EnsureError::Provider(error));
        assert_eq!(
            (problem.status(), problem.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable")
        );
        assert!(!format!("{:?}", problem.body("r")).contains("secret"));
        let refused = save_problem(EnsureError::Provider(ProviderError::Refused("no".into())));
        assert_eq!(refused.code(), "assistant_rejected");
    }
}

//! Recordings, in parts if asked: to whoever holds a link, and to members of the organization.

use std::ops::Range;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_calls::recordings::{Audio, AudioStream, FileError, LinkError};
use voxanne_kernel::ids::CallId;

use crate::{
    app::App,
    http::{
        extract::{Caller, Id},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(shared)).routes(routes!(of_call))
}

/// A browser that opens a recording by itself shows its player, and nothing else.
const PLAYER_ONLY: &str =
    "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// Opens a shared recording, whole or in part (`Range`). The link is all it takes, for 24 hours.
#[utoipa::path(get, path = "/api/recordings/{token}", tag = "recordings", security(()),
    params(("token" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "audio/wav"),
        (status = 206, body = Vec<u8>, content_type = "audio/wav"),
        (status = 403, description = "There is no such link.", body = ProblemBody),
        (status = 410, description = "The link has expired or was taken back.", body = ProblemBody),
        (status = 416, description = "The recording has no such part.", body = ProblemBody)))]
async fn shared(
    State(app): State<App>,
    Path(token): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let audio = app.call_actions.listen.by_link(&token).await.map_err(|error| match error {
        LinkError::Unknown => Problem::forbidden("link_invalid", "This link is not valid."),
        LinkError::Gone => gone(),
        LinkError::Store(error) => error.into(),
    })?;
    give_out(&app, &audio, &method, &headers).await?.ok_or_else(gone)
}

/// Opens the recording of a call, whole or in part (`Range`).
#[utoipa::path(get, path = "/api/calls-dashboard/{callId}/recording", tag = "recordings",
    params(("callId" = Uuid, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "audio/wav"),
        (status = 206, body = Vec<u8>, content_type = "audio/wav"), (status = 404, body = ProblemBody),
        (status = 409, description = "The recording is not completed.", body = ProblemBody),
        (status = 416, description = "The recording has no such part.", body = ProblemBody)))]
async fn of_call(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CallId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = app.call_actions.listen.of_call(&caller.scope, id).await?.ok_or_else(Problem::not_found)?;
    let audio = found.ok_or_else(not_ready)?;
    give_out(&app, &audio, &method, &headers).await?.ok_or_else(Problem::not_found)
}

fn gone() -> Problem {
    Problem::new(StatusCode::GONE, "link_expired", "This link does not work any more. Ask for a new one.")
}

/// 409: nothing can be done with a recording that is not there.
pub(super) fn not_ready() -> Problem {
    Problem::conflict("recording_not_ready", "The call has no recording that is completed.")
}

fn storage_problem(error: FileError) -> Problem {
    match error {
        FileError::NotConfigured => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_configured",
            "No storage for recordings is configured on this platform.",
        ),
        error @ FileError::Failed(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_unavailable",
            "The recording cannot be read right now. Please try again.",
        )
        .retry_after(5)
        .because(error),
    }
}

/// The answer; `None` when the file is not there.
async fn give_out(
    app: &App,
    audio: &Audio,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Option<Response>, Problem> {
    let size = audio.kept.size;
    let tag = format!("\"{}\"", audio.key.recording);
    let (status, part) = match wanted(headers, &tag, size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Beyond => return Ok(Some(beyond(size))),
    };
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let read = app.call_actions.listen.read(audio, part.clone()).await.map_err(storage_problem)?;
        let Some(bytes) = read else {
            tracing::error!(org_id = %audio.key.org, recording_id = %audio.key.recording, "a recording's file is gone");
            return Ok(None);
        };
        Body::from_stream(stream::try_unfold(bytes, next))
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(audio.kept.kind.media_type()));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PLAYER_ONLY));
    let name = format!("inline; filename=\"recording.{}\"", audio.kept.kind.extension());
    for (name, value) in [(header::ETAG, tag), (header::CONTENT_DISPOSITION, name)] {
        headers.insert(name, HeaderValue::from_str(&value).map_err(Problem::internal)?);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).map_err(Problem::internal)?);
    }
    Ok(Some(response))
}

async fn next(
    mut bytes: Box<dyn AudioStream>,
) -> Result<Option<(bytes::Bytes, Box<dyn AudioStream>)>, voxanne_calls::recordings::Interrupted> {
    Ok(bytes.next().await?.map(|part| (part, bytes)))
}

fn beyond(size: u64) -> Response {
    let message = "The recording has no such part.";
    let mut response =
        Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", message).into_response();
    if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    response
}

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// All of it.
    All,
    /// This part, which is not empty.
    Part(Range<u64>),
    /// A part that it does not have.
    Beyond,
}

/// What the request asks for (RFC 9110, section 14). Several parts at once, other units and what cannot be understood
/// are answered with everything, as is a part of a file that is not the one meant (`If-Range`).
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_RANGE).is_some_and(|meant| meant != tag) {
        return Wanted::All;
    }
    let Some(range) = text(header::RANGE).and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let Some((first, last)) = range.split_once('-') else { return Wanted::All };
    let number = |text: &str| -> Option<u64> {
        let text = text.trim();
        text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let part = match (first.trim().is_empty(), last.trim().is_empty()) {
        (true, true) => return Wanted::All,
        (true, false) => match number(last) {
            Some(length) => size.saturating_sub(length)..size,
            None => return Wanted::All,
        },
        (false, true) => match number(first) {
            Some(first) => first..size,
            None => return Wanted::All,
        },
        (false, false) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Wanted::All,
        },
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Beyond }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: &str, if_range: Option<&str>, expected: &Wanted) {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
        }
        assert_eq!(wanted(&headers, "\"tag\"", 100), *expected, "{range} {if_range:?}");
    }

    #[test]
    fn parts_are_those_that_were_asked_for() {
        check("bytes=0-9", None, &Wanted::Part(0..10));
        check("bytes=90-", None, &Wanted::Part(90..100));
        check("bytes=90-200", None, &Wanted::Part(90..100));
        check("bytes=99-99", None, &Wanted::Part(99..100));
        check("bytes=-10", None, &Wanted::Part(90..100));
        check("bytes=-1000", None, &Wanted::Part(0..100));
        check("bytes=0-9", Some("\"tag\""), &Wanted::Part(0..10));
    }

    #[test]
    fn parts_that_are_not_there_are_refused() {
        check("bytes=100-", None, &Wanted::Beyond);
        check("bytes=100-200", None, &Wanted::Beyond);
        check("bytes=-0", None, &Wanted::Beyond);
        check("bytes=99999999999999999999999-", None, &Wanted::Beyond);
    }

    #[test]
    fn what_makes_no_sense_is_answered_with_everything() {
        for range in
            ["bytes=", "bytes=-", "bytes=a-b", "bytes=9-1", "items=0-1", "0-1", "bytes=0-1,5-6", "bytes=+1-2"]
        {
            check(range, None, &Wanted::All);
        }
        check("bytes=0-9", Some("\"other\""), &Wanted::All);
        assert_eq!(wanted(&HeaderMap::new(), "\"tag\"", 100), Wanted::All);
    }
}

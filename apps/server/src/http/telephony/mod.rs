//! The organization's own phones (`spec/08-hybrid-telephony.md`): proving that a number is theirs, and forwarding its
//! calls to the assistant. Every member may look; owners and admins change.

mod caller_ids;
mod forwarding;
mod forwarding_bodies;
mod problems;

use utoipa_axum::router::OpenApiRouter;
use voxanne_kernel::{E164, phone::NotE164};

use crate::{
    app::App,
    http::{json::Body, problem::Problem},
};

pub use forwarding::TEST;
pub use problems::number_in_use_by_forwarding;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(caller_ids::routes()).merge(forwarding::routes())
}

/// A phone number, or the sentence that says how to write one.
pub(super) fn phone_number(field: &'static str, text: &str) -> Result<E164, Problem> {
    E164::new(text).map_err(|error| {
        Problem::bad_request(BAD_PHONE, error.to_string())
            .detail(field, "must be a phone number in E.164, such as +15005550006")
    })
}

/// A body with a `phoneNumber`: one that cannot even be read as text is told in the same sentence.
pub(super) fn with_phone_number<T>(body: Result<Body<T>, Problem>) -> Result<T, Problem> {
    match body {
        Ok(Body(body)) => Ok(body),
        Err(problem) => Err(problem.about("phoneNumber", BAD_PHONE, NotE164.to_string())),
    }
}

const BAD_PHONE: &str = "invalid_phone_format";

//! The organization's own phones (`spec/08-hybrid-telephony.md`): proving that a number is theirs, and forwarding its
//! calls to the assistant. Every member may look; owners and admins change.

mod caller_ids;
mod forwarding;
mod forwarding_bodies;
mod problems;

use utoipa_axum::router::OpenApiRouter;
use voxanne_kernel::E164;
use voxanne_tenancy::Role;

use super::members::member_problem;
use crate::{
    app::App,
    http::{extract::Caller, problem::Problem},
};

pub use problems::number_in_use_by_forwarding;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(caller_ids::routes()).merge(forwarding::routes())
}

/// Refuses everybody but owners and admins, as the database knows them.
async fn admit(app: &App, caller: &Caller) -> Result<(), Problem> {
    caller.require(Role::Admin)?;
    app.tenancy.members.require(&caller.scope, Role::Admin).await.map_err(member_problem)
}

/// A phone number, or the sentence that says how to write one.
fn phone_number(field: &'static str, text: &str) -> Result<E164, Problem> {
    E164::new(text).map_err(|error| {
        Problem::bad_request("invalid_phone_format", error.to_string())
            .detail(field, "must be a phone number in E.164, such as +15005550006")
    })
}

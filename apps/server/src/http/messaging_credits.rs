//! The credit that messages through our accounts are paid with.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{Currency, Timestamp};
use voxanne_messaging::credits::{CreditsError, LedgerEntry};

use crate::{
    app::App,
    http::{
        extract::Caller,
        json::Query,
        page::{PageBody, PageQuery},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show))
}

/// What is left, and what moved it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct CreditLedgerBody {
    /// In minor units; what is reserved for messages on their way is not in it.
    #[schema(example = 1000)]
    balance: i64,
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    data: Vec<CreditEntryBody>,
    /// For the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A movement of credit.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CreditEntryBody {
    id: Uuid,
    /// `grant`, `reserve` (set aside for a message), `settle` (the message was sent: the difference to its price) or
    /// `refund` (it was not sent).
    #[schema(example = "reserve")]
    kind: &'static str,
    /// In minor units; negative for what was taken.
    #[schema(example = -1)]
    amount: i64,
    /// The message that it is for; null of a grant.
    message_id: Option<Uuid>,
    /// Why it was granted.
    note: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<LedgerEntry> for CreditEntryBody {
    fn from(entry: LedgerEntry) -> Self {
        let LedgerEntry { id, kind, amount, message, note, at } = entry;
        Self {
            id: id.0,
            kind: kind.as_str(),
            amount: amount.minor(),
            message_id: message.map(|id| id.0),
            note,
            created_at: at,
        }
    }
}

/// Shows what is left of the credit, and what moved it, newest first.
#[utoipa::path(get, path = "/api/messaging/credits", tag = "messaging", params(PageQuery),
    responses((status = 200, body = CreditLedgerBody), (status = 400, body = ProblemBody)))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<CreditLedgerBody>, Problem> {
    let (balance, page) = app.policy.credits.ledger(&caller.scope, &query.request()?).await?;
    let PageBody { data, next_cursor } = PageBody::of(page, CreditEntryBody::from);
    let (balance, currency) = (balance.amount.minor(), balance.currency);
    Ok(Json(CreditLedgerBody { balance, currency, data, next_cursor }))
}

impl From<CreditsError> for Problem {
    fn from(error: CreditsError) -> Self {
        match error {
            CreditsError::NotFound => Self::not_found(),
            CreditsError::BadAmount => Self::internal(error),
            CreditsError::Store(error) => error.into(),
        }
    }
}

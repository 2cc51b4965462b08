//! Whether a token, a number and a business account belong together.

use serde::Deserialize;
use voxanne_credentials::{Rejection, Verdict, secrets::Whatsapp};
use voxanne_kernel::{E164, ProviderError};

use crate::graph::{Graph, Refusal};

/// What is asked about the number.
const FIELDS: &str = "display_phone_number,verified_name,quality_rating,code_verification_status";
/// What is asked about the numbers of a business: what the document promises in every entry.
const LISTED: &str = "id,display_phone_number,status";
/// Enough pages of numbers for any business.
const PAGES: usize = 20;

#[derive(Deserialize)]
struct Number {
    display_phone_number: String,
}

#[derive(Deserialize)]
struct Numbers {
    data: Vec<Listed>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
}

#[derive(Default, Deserialize)]
struct Paging {
    #[serde(default)]
    cursors: Cursors,
    /// There only if there is a next page; where it is follows from the cursor.
    next: Option<String>,
}

#[derive(Default, Deserialize)]
struct Cursors {
    after: Option<String>,
}

/// Whether the token shows the number, the number is the one the account names, and the business account, where it
/// shows its numbers, lists it. A token that is good and may not look is restricted: what it could not show is not held
/// against it.
pub(crate) async fn verify(graph: &Graph, account: &Whatsapp) -> Result<Verdict, ProviderError> {
    if !is_id(&account.phone_number_id) || !is_id(&account.business_account_id) {
        return Ok(Verdict::Rejected(Rejection::NumberNotInAccount));
    }
    match look(graph, account).await {
        Ok(verdict) => Ok(verdict),
        Err(Refusal::Token) => Ok(Verdict::Rejected(Rejection::Credentials)),
        Err(Refusal::Permission) => Ok(Verdict::Restricted),
        Err(Refusal::NoSuchObject) => Ok(Verdict::Rejected(Rejection::NumberNotInAccount)),
        Err(Refusal::Failed(error)) => Err(error),
    }
}

async fn look(graph: &Graph, account: &Whatsapp) -> Result<Verdict, Refusal> {
    let fields = [("fields", FIELDS)];
    let number: Number =
        graph.get("get_phone_number", &account.access_token, &account.phone_number_id, &fields).await?;
    if account.phone_number.as_ref().is_some_and(|theirs| !is_same(&number, theirs)) {
        return Ok(Verdict::Rejected(Rejection::NumberNotInAccount));
    }
    Ok(match is_listed(graph, account).await {
        Ok(false) => Verdict::Rejected(Rejection::NumberNotInAccount),
        Err(Refusal::Permission) => Verdict::Restricted,
        // The number itself has been shown; that the list was not says nothing against it.
        Ok(true) | Err(Refusal::Token | Refusal::NoSuchObject | Refusal::Failed(_)) => Verdict::Verified,
    })
}

/// Whether the business account has the number.
async fn is_listed(graph: &Graph, account: &Whatsapp) -> Result<bool, Refusal> {
    let path = format!("{}/phone_numbers", account.business_account_id);
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let mut query = vec![("fields", LISTED), ("limit", "100")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page: Numbers = graph.get("list_phone_numbers", &account.access_token, &path, &query).await?;
        if page.data.iter().any(|number| number.id == account.phone_number_id) {
            return Ok(true);
        }
        match page.paging {
            Paging { cursors: Cursors { after: Some(cursor) }, next: Some(_) } => after = Some(cursor),
            _ => break,
        }
    }
    Ok(false)
}

/// Whether a number as it is displayed, such as `+1 555-555-5555`, is this one.
fn is_same(number: &Number, theirs: &E164) -> bool {
    let digits = number.display_phone_number.chars().filter(char::is_ascii_digit);
    digits.eq(theirs.as_str().trim_start_matches('+').chars())
}

/// Ids are numbers; anything else would lead elsewhere.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit())
}

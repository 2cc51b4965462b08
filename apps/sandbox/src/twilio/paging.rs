//! Lists in pages: the envelope that Twilio's own libraries walk along.
//!
//! A page is addressed by a token that its neighbour gave; its number alone leads nowhere, so that nobody counts pages.

use serde_json::{Value, json};

use super::parameters::Parameters;
use super::refusal::Refusal;

/// The most rows of a page.
pub(crate) const LARGEST: usize = 1_000;
const DEFAULT: usize = 50;

/// A row and the SID by which tokens point to it.
pub(crate) type Row = (String, Value);

/// How many rows a page has.
pub(crate) fn size(query: &Parameters) -> Result<usize, Refusal> {
    match query.filled("PageSize").map(str::parse::<usize>) {
        None => Ok(DEFAULT),
        Some(Ok(size)) if (1..=LARGEST).contains(&size) => Ok(size),
        Some(_) => Err(Refusal::invalid("PageSize", "a number from 1 to 1000")),
    }
}

/// The page of `rows` that is asked for, below `path` and under the name `plural`.
pub(crate) fn page(plural: &str, path: &str, query: &Parameters, rows: &[Row]) -> Result<Value, Refusal> {
    let size = size(query)?;
    let number = match query.filled("Page").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(number)) => number,
        Some(Err(_)) => return Err(Refusal::invalid("Page", "a number from 0 on")),
    };
    let position = |sid: &str| rows.iter().position(|(row, _)| row == sid);
    let start = match query.filled("PageToken") {
        None if number == 0 => 0,
        None => return Err(Refusal::invalid("Page", "a page after the first needs its PageToken")),
        // A row that is gone takes its place with it; then the number has to do.
        Some(token) => match (token.get(..2), token.get(2..).and_then(position)) {
            (Some("PA"), Some(last)) => last + 1,
            (Some("PB"), Some(first)) => first.saturating_sub(size),
            (Some("PA" | "PB"), None) => number.saturating_mul(size),
            _ => return Err(Refusal::invalid("PageToken", "one that came with another page")),
        },
    };
    let shown: Vec<&Row> = rows.iter().skip(start).take(size).collect();
    let uri = |page: usize, token: Option<String>| {
        let mut query = query.without(&["PageSize", "Page", "PageToken"]);
        query.append_pair("PageSize", &size.to_string()).append_pair("Page", &page.to_string());
        if let Some(token) = token {
            query.append_pair("PageToken", &token);
        }
        format!("{path}?{}", query.finish())
    };
    let more = start + shown.len() < rows.len();
    let next = shown.last().filter(|_| more).map(|(last, _)| uri(number + 1, Some(format!("PA{last}"))));
    let previous =
        shown.first().filter(|_| number > 0).map(|(first, _)| uri(number - 1, Some(format!("PB{first}"))));
    let first = number * size;
    Ok(json!({
        plural: shown.iter().map(|(_, row)| row).collect::<Vec<_>>(),
        "page": number,
        "page_size": size,
        "start": first,
        "end": first + shown.len().saturating_sub(1),
        "uri": uri(number, query.filled("PageToken").map(ToOwned::to_owned)),
        "first_page_uri": uri(0, None),
        "previous_page_uri": previous,
        "next_page_uri": next,
    }))
}

//! Lists on the wire: `?limit=&cursor=` in, `{"data": […], "nextCursor": …}` out.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use voxanne_kernel::{Page, PageRequest, Position, Timestamp};

use crate::http::problem::Problem;

/// The two parameters of every list; flatten it by naming the fields in the list's own query type.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows wanted, 1 to 100; 50 unless given.
    pub limit: Option<String>,
    /// `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// A part of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageBody<T> {
    /// The rows, newest first.
    pub data: Vec<T>,
    /// Ask again with it for the next page; null at the end.
    pub next_cursor: Option<String>,
}

/// Reads `limit` and `cursor`.
pub fn page_request(limit: Option<&str>, cursor: Option<&str>) -> Result<PageRequest, Problem> {
    let limit = match limit {
        None => PageRequest::DEFAULT,
        Some(text) => text.parse().unwrap_or(0),
    };
    let after = cursor.map(decode).transpose()?;
    PageRequest::new(limit, after)
        .ok_or_else(|| Problem::invalid("limit", "must be a whole number from 1 to 100"))
}

impl PageQuery {
    /// Reads both.
    pub fn request(&self) -> Result<PageRequest, Problem> {
        page_request(self.limit.as_deref(), self.cursor.as_deref())
    }
}

impl<T> PageBody<T> {
    /// Writes `page` with every row through `row`.
    pub fn of<R>(page: Page<R>, row: impl FnMut(R) -> T) -> Self {
        Self { data: page.rows.into_iter().map(row).collect(), next_cursor: page.next.map(encode) }
    }
}

/// An opaque cursor: 8 bytes of microseconds, 16 of the id.
pub fn encode(position: Position) -> String {
    let mut bytes = [0_u8; 24];
    bytes[..8].copy_from_slice(&position.at.as_microsecond().to_be_bytes());
    bytes[8..].copy_from_slice(position.id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(cursor: &str) -> Result<Position, Problem> {
    let read = || {
        let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
        let at = i64::from_be_bytes(bytes[..8].try_into().ok()?);
        let id = Uuid::from_slice(&bytes[8..]).ok()?;
        Some(Position { at: Timestamp::from_microsecond(at).ok()?, id })
    };
    read().ok_or_else(|| Problem::invalid("cursor", "must be a nextCursor from an earlier answer"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_the_wire(at in -1_000_000_000_000_i64..4_000_000_000_000_000, id: u128) {
            let position = Position { at: Timestamp::from_microsecond(at).unwrap(), id: Uuid::from_u128(id) };
            prop_assert_eq!(decode(&encode(position)).unwrap(), position);
        }

        #[test]
        fn no_text_breaks_the_decoder(text in ".{0,60}") {
            let _ = decode(&text);
        }
    }

    #[test]
    fn limits_outside_one_to_a_hundred_are_refused() {
        for bad in ["0", "101", "-1", "ten", "", "1.5"] {
            assert_eq!(page_request(Some(bad), None).unwrap_err().code(), "validation_failed", "{bad:?}");
        }
        assert_eq!(page_request(None, None).unwrap().limit(), 50);
    }
}

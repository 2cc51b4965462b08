//! Keyset pagination: newest first, from a position rather than an offset.

use jiff::Timestamp;
use uuid::Uuid;

/// Where a page ended: the sort key of its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The time the list is sorted by.
    pub at: Timestamp,
    /// The row's id, which decides between equal times.
    pub id: Uuid,
}

/// What part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    limit: u16,
    /// Rows older than this position only.
    pub after: Option<Position>,
}

impl PageRequest {
    /// How many rows a page may have at most.
    pub const MAX: u16 = 100;
    /// How many it has unless asked otherwise.
    pub const DEFAULT: u16 = 50;

    /// A page of `limit` rows, which is `None` unless it is 1 to [`Self::MAX`].
    pub fn new(limit: u16, after: Option<Position>) -> Option<Self> {
        (1..=Self::MAX).contains(&limit).then_some(Self { limit, after })
    }

    /// The first page at the default size.
    pub fn first() -> Self {
        Self { limit: Self::DEFAULT, after: None }
    }

    /// Rows wanted.
    pub fn limit(&self) -> u16 {
        self.limit
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the next page starts, `None` at the end.
    pub next: Option<Position>,
}

impl<T> Page<T> {
    /// Cuts `rows`, of which one more than the limit was asked for, into a page; `position` reads a row's sort key.
    pub fn cut(mut rows: Vec<T>, request: &PageRequest, position: impl Fn(&T) -> Position) -> Self {
        let limit = usize::from(request.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(position) } else { None };
        Self { rows, next }
    }

    /// The same page with every row turned into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { rows: self.rows.into_iter().map(f).collect(), next: self.next }
    }
}

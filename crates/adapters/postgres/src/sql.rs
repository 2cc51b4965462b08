//! The bridge between the domain's time types and the driver's.

use jiff::{Timestamp, civil};
use time::{Date, Month, OffsetDateTime, UtcOffset};

/// To the driver, at the microsecond that PostgreSQL keeps.
pub(crate) fn to_sql(at: Timestamp) -> OffsetDateTime {
    let nanos = i128::from(at.as_microsecond()) * 1_000;
    OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// From the driver.
pub(crate) fn from_sql(at: OffsetDateTime) -> Timestamp {
    Timestamp::from_nanosecond(at.to_offset(UtcOffset::UTC).unix_timestamp_nanos()).unwrap_or(Timestamp::MAX)
}

/// An instant as it lies in an answer: microseconds since 2000, which infinity exceeds.
pub(crate) fn from_wire(micros: i64) -> Timestamp {
    /// 2000-01-01 in microseconds since 1970.
    const EPOCH: i64 = 946_684_800_000_000;
    Timestamp::from_microsecond(micros.saturating_add(EPOCH)).unwrap_or(Timestamp::MAX)
}

/// A calendar day, to the driver.
pub(crate) fn day_to_sql(day: civil::Date) -> Date {
    u8::try_from(day.month())
        .ok()
        .and_then(|m| Month::try_from(m).ok())
        .and_then(|m| Date::from_calendar_date(i32::from(day.year()), m, u8::try_from(day.day()).ok()?).ok())
        .unwrap_or(Date::MIN)
}

/// A calendar day, from the driver.
pub(crate) fn day_from_sql(day: Date) -> civil::Date {
    let year = i16::try_from(day.year()).unwrap_or(i16::MAX);
    let (month, day) = (u8::from(day.month()).cast_signed(), day.day().cast_signed());
    civil::Date::new(year, month, day).unwrap_or(civil::Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_survive_the_bridge() {
        let at: Timestamp = "2026-11-20T21:07:16.123456Z".parse().unwrap();
        assert_eq!(from_sql(to_sql(at)), at);
        assert_eq!(from_wire(0), "2000-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(from_wire(848_524_036_123_456), at);
        assert_eq!(from_wire(i64::MAX), Timestamp::MAX);
        let day = civil::date(2028, 2, 29);
        assert_eq!(day_from_sql(day_to_sql(day)), day);
    }
}

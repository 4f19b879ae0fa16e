//! Points in time as people write them: a day such as `2026-12-01`, or RFC 3339.

use time::format_description::FormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

const DAY: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]");

/// Why a text is no point in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write a day such as `2026-12-01`, or a time such as `2026-12-01T18:00:00Z`")]
pub struct DateError;

/// Reads a point in time, in Unix seconds. A day stands for its end: 00:00 UTC of the next.
///
/// # Errors
///
/// Where it is neither a day nor RFC 3339.
pub fn parse_end(text: &str) -> Result<i64, DateError> {
    // A year has four digits and no sign.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(DateError);
    }
    if let Ok(day) = Date::parse(text, DAY) {
        let next = day.next_day().ok_or(DateError)?;
        return Ok(next.midnight().assume_utc().unix_timestamp());
    }
    parse_time(text).map_err(|_| DateError)
}

/// Why a text is no time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("write a time such as `2026-12-01T18:00:00Z`")]
pub struct TimeError;

/// Reads a time, in Unix seconds; what is less than a second is cut off.
///
/// # Errors
///
/// Where it is not RFC 3339.
pub fn parse_time(text: &str) -> Result<i64, TimeError> {
    OffsetDateTime::parse(text, &Rfc3339).map(OffsetDateTime::unix_timestamp).map_err(|_| TimeError)
}

/// A point in time as people read it: RFC 3339, UTC.
#[must_use]
pub fn show(at: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(at).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_end_and_a_time_is_itself() {
        for (text, want) in [
            ("2026-12-01", Some("2026-12-02T00:00:00Z")),
            ("2028-02-29", Some("2028-03-01T00:00:00Z")),
            ("2026-12-31", Some("2027-01-01T00:00:00Z")),
            ("2026-12-01T18:00:00Z", Some("2026-12-01T18:00:00Z")),
            ("2026-12-01T18:00:00+02:00", Some("2026-12-01T16:00:00Z")),
            ("-2026-12-01", None),
            ("+2026-12-01", None),
            ("2026-02-30", None),
            ("2026-12-1", None),
            ("2026-12-01T18:00:00", None),
            ("2026-12-01 ", None),
            ("9999-12-31", None),
            ("tomorrow", None),
            ("1800000000", None),
            ("", None),
        ] {
            assert_eq!(parse_end(text).ok().map(show).as_deref(), want, "{text}");
        }
    }
}

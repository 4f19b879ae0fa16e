//! Durations as people write them: `500ms`, `30s`, `15m`, `12h`, `7d`.

use std::time::Duration;

/// The longest duration that makes sense anywhere: ten years.
const LONGEST: Duration = Duration::from_hours(3650 * 24);

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// No number, or something behind the unit.
    #[error("write a whole number and one unit, such as `500ms`, `30s`, `15m`, `12h` or `7d`")]
    Form,
    /// A bare number.
    #[error("say the unit: `ms`, `s`, `m`, `h` or `d`")]
    Unit,
    /// Nothing lasts this long, or it lasts no time.
    #[error("must be more than 0 and at most 3650d")]
    Range,
}

/// Reads a duration: a whole number and one unit.
///
/// # Errors
///
/// Where it has another form, is zero or longer than ten years.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(DurationError::Form)?;
    if number.is_empty() {
        return Err(DurationError::Form);
    }
    let number: u64 = number.parse().map_err(|_| DurationError::Range)?;
    let millis = match unit {
        "" => return Err(DurationError::Unit),
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(DurationError::Form),
    };
    let duration = Duration::from_millis(number.checked_mul(millis).ok_or(DurationError::Range)?);
    if duration.is_zero() || duration > LONGEST { Err(DurationError::Range) } else { Ok(duration) }
}

/// A duration of whole seconds as people write it, in the largest unit that says it whole.
#[must_use]
pub fn write(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let whole = units.iter().find(|(unit, _)| seconds != 0 && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_one_unit() {
        for (text, want) in [
            ("500ms", Ok(Duration::from_millis(500))),
            ("15m", Ok(Duration::from_mins(15))),
            ("12h", Ok(Duration::from_hours(12))),
            ("7d", Ok(Duration::from_hours(7 * 24))),
            ("900", Err(DurationError::Unit)),
            ("15 m", Err(DurationError::Form)),
            ("1h30m", Err(DurationError::Form)),
            ("-1h", Err(DurationError::Form)),
            ("1.5h", Err(DurationError::Form)),
            ("15min", Err(DurationError::Form)),
            ("", Err(DurationError::Form)),
            ("é", Err(DurationError::Form)),
            ("0s", Err(DurationError::Range)),
            ("99999999999999999999d", Err(DurationError::Range)),
            ("18446744073709551615d", Err(DurationError::Range)),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for text in ["1s", "901s", "15m", "12h", "36h", "7d"] {
            assert_eq!(write(parse(text).unwrap()), text);
        }
        assert_eq!(write(Duration::from_secs(7200)), "2h");
    }
}

//! Versions and times as device managements write them.

use crate::text::date;

/// From this on a whole number counts milliseconds: in seconds it would be the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

/// The numbers of a version: `14.6.1` of `macOS 14.6.1`, `14.6` of `14.6 (23G80)`, `10.0.22631.4317` of
/// `Windows 11 Pro 23H2 10.0.22631.4317`.
///
/// The rule: what stands before the first bracket; of that the first word that is numbers with dots between
/// them. A number without a dot counts only where it stands alone: the 11 of `Windows 11 Pro` is a name, and
/// taken for a version it would pass for newer than any.
pub(super) fn version(text: &str) -> Option<&str> {
    let before = text.split(['(', '[']).next()?.trim();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if digits(before) {
        return Some(before);
    }
    before.split_whitespace().find(|word| word.contains('.') && word.split('.').all(digits))
}

/// A time in RFC 3339 of one that is written so, or with a blank instead of `T`, or with an offset without
/// colon, or as whole seconds or milliseconds since 1970. One without an offset is none: nobody says whose
/// time it is.
pub(super) fn time(text: &str) -> Option<String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return Some(date::show(if number < MILLISECONDS { number } else { number / 1000 }));
    }
    let day = text.get(..10)?;
    let rest = text.get(11..)?;
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let colonless =
        rest.len().checked_sub(5).and_then(|at| rest.split_at_checked(at)).filter(|(_, offset)| {
            offset.starts_with(['+', '-']) && offset.bytes().skip(1).all(|byte| byte.is_ascii_digit())
        });
    let whole = match colonless.and_then(|(clock, offset)| Some((clock, offset.split_at_checked(3)?))) {
        Some((clock, (hours, minutes))) => format!("{day}T{clock}{hours}:{minutes}"),
        None => format!("{day}T{}", rest.trim_start()),
    };
    date::parse_time(&whole).ok().map(date::show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_version_is_its_numbers() {
        for (text, want) in [
            ("14.6", Some("14.6")),
            ("14", Some("14")),
            ("macOS 14.6.1", Some("14.6.1")),
            ("14.6 (23G80)", Some("14.6")),
            ("14 (23A344)", Some("14")),
            ("14.6[23G80]", Some("14.6")),
            ("10.0.22631.4317", Some("10.0.22631.4317")),
            ("Windows 11 Pro 23H2 10.0.22631.4317", Some("10.0.22631.4317")),
            ("Microsoft Windows 11 Pro", None),
            ("macOS 14", None),
            ("Ubuntu 22.04.4 LTS", Some("22.04.4")),
            ("CentOS Linux 7", None),
            ("Version 14.6 (Build 23.1)", Some("14.6")),
            ("iOS 17.5.1", Some("17.5.1")),
            ("14.6.", None),
            (".6", None),
            ("14..6", None),
            ("14.6beta", None),
            ("(14.6)", None),
            ("", None),
        ] {
            assert_eq!(version(text), want, "{text}");
        }
    }

    #[test]
    fn a_time_says_whose_it_is() {
        for (text, want) in [
            ("2026-11-25T08:00:00Z", Some("2026-11-25T08:00:00Z")),
            ("2026-11-25T08:00:00.7156189-08:00", Some("2026-11-25T16:00:00Z")),
            ("2026-11-25T08:00:00.123+0000", Some("2026-11-25T08:00:00Z")),
            ("2026-11-25T10:00:00+0200", Some("2026-11-25T08:00:00Z")),
            ("2026-11-25 08:00:00Z", Some("2026-11-25T08:00:00Z")),
            ("2026-11-25 10:00:00 +0200", None),
            ("1795593600", Some("2026-11-25T08:00:00Z")),
            ("1795593600123", Some("2026-11-25T08:00:00Z")),
            ("0001-01-01T00:00:00Z", Some("0001-01-01T00:00:00Z")),
            ("2026-11-25 08:00:00", None),
            ("2026-11-25T08:00:00", None),
            ("2026-11-25", None),
            ("25/11/2026 08:00", None),
            ("yesterday", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(time(text).as_deref(), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_somebody_writes_ends_in_a_value_or_none(text in "\\PC{0,40}") {
            let _ = version(&text);
            let _ = time(&text);
        }
    }
}

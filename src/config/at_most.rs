//! The most of something: `5%` of all there are, or `20`.

use super::resolve::Reader;
use crate::text::yaml::At;

/// So many, or so many of a hundred.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtMost {
    /// Of every hundred that there are, at most 100.
    Percent(u8),
    /// This many.
    Number(usize),
}

impl AtMost {
    /// Whether so many of all these are more than may be.
    #[must_use]
    pub fn is_exceeded(self, some: usize, all: usize) -> bool {
        match self {
            Self::Percent(percent) => some.saturating_mul(100) > all.saturating_mul(usize::from(percent)),
            Self::Number(most) => some > most,
        }
    }
}

impl std::fmt::Display for AtMost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Number(most) => write!(f, "{most}"),
        }
    }
}

impl Reader<'_> {
    /// A share or a number of these.
    pub(super) fn at_most(&mut self, text: &At<String>, these: &str) -> Option<AtMost> {
        let most = match text.value.strip_suffix('%') {
            Some(percent) => whole(percent).filter(|percent: &u8| *percent <= 100).map(AtMost::Percent),
            None => whole(&text.value).map(AtMost::Number),
        };
        if most.is_none() {
            let message = format!("`{}` is not a number of {these}", text.value);
            self.error("C0109", text.span.clone(), message, "write `0%` to `100%`, or a whole number");
        }
        most
    }
}

/// A number of digits only.
fn whole<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exceeded_by_one_more_than_it() {
        for (most, denied, active, want) in [
            (AtMost::Percent(5), 5, 100, false),
            (AtMost::Percent(5), 6, 100, true),
            (AtMost::Percent(5), 1, 19, true),
            (AtMost::Percent(5), 0, 0, false),
            (AtMost::Percent(0), 1, 1_000_000, true),
            (AtMost::Percent(100), 7, 7, false),
            (AtMost::Number(2), 2, 2, false),
            (AtMost::Number(2), 3, 1000, true),
        ] {
            assert_eq!(most.is_exceeded(denied, active), want, "{denied} of {active} by {most}");
        }
    }
}

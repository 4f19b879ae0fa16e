//! How long to wait before the next pull.

use std::time::Duration;

/// After the first failure, where pulls are not more often anyway.
const FIRST: Duration = Duration::from_secs(30);

/// The wait after so many failures in a row: none is the interval, a tenth more or less. Each failure doubles
/// the wait, up to the interval, and half of it is left to chance, so that several machines do not ask at once.
/// `asked` is how long the service wants to be left alone. `chance` is from 0 to 1.
pub(super) fn pause(failures: u32, interval: Duration, asked: Option<Duration>, chance: f64) -> Duration {
    let chance = chance.clamp(0.0, 1.0);
    if failures == 0 {
        return interval.mul_f64(0.9 + 0.2 * chance);
    }
    let doubled = FIRST.min(interval).saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
    doubled.min(interval).mul_f64(0.5 + 0.5 * chance).max(asked.unwrap_or_default())
}

/// From 0 to 1; a half where the system gives no random numbers.
pub(super) fn chance() -> f64 {
    let mut bytes = [0_u8; 2];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_grows_with_failures_up_to_the_interval() {
        let (minutes, seconds) = (Duration::from_mins, Duration::from_secs);
        for (failures, interval, asked, chance, want) in [
            (0, minutes(10), None, 0.0, minutes(9)),
            (0, minutes(10), None, 0.5, minutes(10)),
            (0, minutes(10), None, 1.0, minutes(11)),
            (1, minutes(15), None, 0.0, seconds(15)),
            (1, minutes(15), None, 1.0, seconds(30)),
            (2, minutes(15), None, 1.0, seconds(60)),
            (5, minutes(15), None, 1.0, minutes(8)),
            (6, minutes(15), None, 1.0, minutes(15)),
            (40, minutes(15), None, 1.0, minutes(15)),
            (40, minutes(15), None, 0.0, seconds(450)),
            (1, seconds(1), None, 1.0, seconds(1)),
            (1, minutes(15), Some(minutes(2)), 1.0, minutes(2)),
            (9, minutes(15), Some(seconds(1)), 1.0, minutes(15)),
        ] {
            assert_eq!(pause(failures, interval, asked, chance), want, "{failures} {interval:?} {chance}");
        }
        assert!((0.0..=1.0).contains(&chance()));
    }
}

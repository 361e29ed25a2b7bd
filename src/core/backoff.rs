//! How long to wait before another try.

use std::time::Duration;

/// Exponential waiting with full jitter, so that many who failed together don't come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the first repetition.
    pub base: Duration,
    /// The longest wait of all.
    pub cap: Duration,
}

impl Backoff {
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Backoff { base, cap }
    }

    /// The wait after `attempt` failed (0 is the first): somewhere between nothing and
    /// `base * 2^attempt`, at most `cap`, as `random` decides. Never less than what the remote asked
    /// for, even where that is beyond the cap: coming earlier would only be refused again.
    pub fn delay(&self, attempt: u32, random: u64, retry_after: Option<Duration>) -> Duration {
        let jitter = scale(self.ceiling(attempt), random);
        jitter.max(retry_after.unwrap_or_default())
    }

    /// The longest wait after that attempt.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

/// `limit * random / 2^64`.
fn scale(limit: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(16));

    #[test]
    fn doubles_up_to_the_cap() {
        let ceilings: Vec<_> = (0..7).map(|n| USUAL.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 2, 4, 8, 16, 16, 16]);
        assert_eq!(USUAL.ceiling(u32::MAX), USUAL.cap);
    }

    #[test]
    fn random_decides_how_much_of_it() {
        assert_eq!(USUAL.delay(2, 0, None), Duration::ZERO);
        assert_eq!(USUAL.delay(2, 1 << 63, None), Duration::from_secs(2));
        assert!(USUAL.delay(2, u64::MAX, None) > Duration::from_millis(3_999));
    }

    #[test]
    fn retry_after_is_a_floor_even_beyond_the_cap() {
        let asked = Some(Duration::from_secs(120));
        assert_eq!(USUAL.delay(0, u64::MAX, asked), Duration::from_secs(120));
        let little = Some(Duration::from_millis(1));
        assert!(USUAL.delay(4, u64::MAX, little) > Duration::from_secs(15));
    }

    proptest! {
        #[test]
        fn stays_between_floor_and_ceiling(
            base in any::<Duration>(), cap in any::<Duration>(), attempt in any::<u32>(),
            random in any::<u64>(), floor in any::<Option<Duration>>(),
        ) {
            let backoff = Backoff::new(base, cap);
            let wait = backoff.delay(attempt, random, floor);
            let least = floor.unwrap_or_default();
            prop_assert!(wait >= least && wait <= cap.max(least));
        }
    }
}

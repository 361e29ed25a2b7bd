//! When to try again, and how long to wait before it.

use crate::core::Backoff;
use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

/// How often and how patiently a client tries again.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Attempts after the first.
    pub max: u32,
    pub backoff: Backoff,
    /// A remote that asks for a longer wait than this is not waited for.
    pub patience: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max: 3,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(16)),
            patience: Duration::from_secs(60),
        }
    }
}

impl Retry {
    /// The wait before attempt `done + 1`: exponential with full jitter, never shorter than the
    /// remote asked for. None: enough attempts were made, or the remote asks for too much.
    pub fn wait(&self, done: u32, asked: Option<Duration>) -> Option<Duration> {
        if done > self.max || asked.is_some_and(|asked| asked > self.patience) {
            return None;
        }
        Some(self.backoff.delay(done.saturating_sub(1), random(), asked))
    }
}

/// Where there is no randomness, the longest wait.
fn random() -> u64 {
    let mut bytes = [0u8; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes),
        Err(_) => u64::MAX,
    }
}

/// The longest wait that a remote may ask for: a mistake there must not stop everything here for days.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The wait that `Retry-After` asks for, an hour at most: seconds, or a date relative to `now`.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST_PAUSE));
    }
    let date = http_date(text)?;
    Some((date - now).to_std().unwrap_or_default().min(LONGEST_PAUSE))
}

/// An HTTP date ("Sun, 06 Nov 1994 08:49:37 GMT").
pub fn http_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text.trim())
        .ok()
        .map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn waits_grow_up_to_the_cap() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(4));
        let retry = Retry {
            max: 5,
            backoff,
            ..Retry::default()
        };
        for (done, ceiling) in [(1, 1), (2, 2), (3, 4), (4, 4), (5, 4)] {
            for _ in 0..50 {
                assert!(retry.wait(done, None).unwrap() <= Duration::from_secs(ceiling));
            }
        }
        assert_eq!(retry.wait(6, None), None);
    }

    #[test]
    fn retry_after_is_a_floor_up_to_the_patience() {
        let retry = Retry::default();
        assert!(retry.wait(1, Some(Duration::from_secs(30))).unwrap() >= Duration::from_secs(30));
        assert_eq!(retry.wait(1, Some(Duration::from_secs(600))), None);
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            asked("Sun, 06 Nov 1994 08:50:07 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        let longest = Some(Duration::from_secs(3600));
        for absurd in ["99999999999", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(asked(absurd), longest);
        }
    }
}

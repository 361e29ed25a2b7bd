//! How many changes go into one request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many are tried at first: saving one may take a tenth of a second, and what takes too long is lost altogether.
const FIRST: usize = 10;
/// Nobody takes more.
const MOST: usize = 100;
/// A batch that was answered so soon is followed by larger ones,
const QUICK: Duration = Duration::from_secs(2);
/// and one that took so long by smaller ones.
const SLOW: Duration = Duration::from_secs(8);

/// How many changes a batch of one remote has; 1: it takes none. Shared by the threads of a run, each of which draws its
/// conclusions from what it has sent.
#[derive(Debug)]
pub struct BatchSize(AtomicUsize);

impl Default for BatchSize {
    fn default() -> Self {
        BatchSize(AtomicUsize::new(FIRST))
    }
}

impl BatchSize {
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, size: usize) {
        self.0.store(size.clamp(1, MOST), Ordering::Relaxed);
    }

    /// One of so many changes was carried out, in that time.
    pub fn note(&self, sent: usize, took: Duration) {
        if took > SLOW {
            self.set(sent / 2);
        } else if took < QUICK && sent >= self.get() {
            self.set(sent * 2);
        }
    }

    /// One of so many changes was too much.
    pub fn halve(&self, sent: usize) {
        self.set(sent / 2);
    }

    /// The remote takes none.
    pub fn give_up(&self) {
        self.set(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_a_remote_can_bear() {
        let size = BatchSize::default();
        for (sent, seconds, then) in [
            (10, 1, 20),
            // a smaller one says nothing of larger ones
            (5, 0, 20),
            (20, 5, 20),
            (20, 9, 10),
            (10, 0, 20),
            (90, 0, 100),
            (100, 0, 100),
        ] {
            size.note(sent, Duration::from_secs(seconds));
            assert_eq!(size.get(), then, "{sent} in {seconds} s");
        }
        size.halve(1);
        assert_eq!(size.get(), 1);
    }
}

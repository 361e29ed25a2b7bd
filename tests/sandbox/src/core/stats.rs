//! What the server has seen.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::http::Request;

/// How many requests are remembered one by one.
const KEPT: usize = 10_000;

/// One request as seen.
#[derive(Debug, Clone, Serialize)]
pub struct Seen {
    /// Seconds of Unix time by the server's clock.
    pub at: i64,
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    /// 0 while it runs, and where the connection was broken instead of answered.
    pub status: u16,
    /// Number of the connection it came on: equal numbers mean keep-alive.
    pub connection: u64,
}

/// Counts since the start or the last reset.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stats {
    pub requests: u64,
    pub connections: u64,
    pub bytes: u64,
    /// Requests in the works now.
    pub running: u64,
    /// The most there were at one time.
    pub max_running: u64,
    /// Count per path (the first ten thousand paths).
    pub paths: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Inner {
    stats: Stats,
    seen: VecDeque<Seen>,
    first: u64,
}

/// The recorder of both.
#[derive(Default)]
pub struct Recorder {
    inner: Mutex<Inner>,
}

impl Recorder {
    /// A connection was accepted.
    pub fn connected(&self) {
        self.with(|i| i.stats.connections += 1);
    }

    /// A request arrived; returns its number.
    pub fn begin(&self, request: &Request, connection: u64, at: i64) -> u64 {
        let seen = Seen {
            at,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            status: 0,
            connection,
        };
        self.with(|i| {
            i.stats.requests += 1;
            i.stats.running += 1;
            i.stats.max_running = i.stats.max_running.max(i.stats.running);
            if i.stats.paths.len() < KEPT || i.stats.paths.contains_key(&seen.path) {
                *i.stats.paths.entry(seen.path.clone()).or_default() += 1;
            }
            i.seen.push_back(seen);
            if i.seen.len() > KEPT {
                i.seen.pop_front();
                i.first += 1;
            }
            i.first + i.seen.len() as u64 - 1
        })
    }

    /// A request has its reply, which is about to be sent in full: whoever has read it finds it
    /// noted here.
    pub fn answered(&self, number: u64, status: u16, bytes: usize) {
        self.with(|i| {
            i.stats.bytes += bytes as u64;
            let index = number.checked_sub(i.first).and_then(|n| usize::try_from(n).ok());
            if let Some(seen) = index.and_then(|n| i.seen.get_mut(n)) {
                seen.status = status;
            }
        });
    }

    /// A request is over, whether or not it was answered.
    pub fn end(&self) {
        self.with(|i| i.stats.running = i.stats.running.saturating_sub(1));
    }

    /// The counts.
    pub fn stats(&self) -> Stats {
        self.with(|i| i.stats.clone())
    }

    /// The last requests, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.with(|i| i.seen.iter().cloned().collect())
    }

    /// Starts to count anew.
    pub fn reset(&self) {
        self.with(|i| {
            let running = i.stats.running;
            i.first += i.seen.len() as u64;
            i.seen.clear();
            i.stats = Stats {
                running,
                max_running: running,
                ..Stats::default()
            };
        });
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! What every simulated system shares: HTTP, TLS, faults, schedule, statistics, control calls.

pub mod clock;
pub mod control;
pub mod dice;
pub mod faults;
pub mod http;
pub mod json;
pub mod list_faults;
pub mod schedule;
pub mod server;
pub mod stats;
mod tls;
mod wire;

use std::sync::Arc;

use serde_json::Value;

use self::clock::Clock;
use self::http::{Request, Response};

/// What a system is made from.
pub trait Setup {
    type System: System + 'static;

    /// Port of the plain listener (0: any), and whether to listen with TLS too.
    fn listen(&self) -> (u16, bool);

    /// Seeds the system.
    fn build(self, clock: Arc<Clock>) -> Self::System;
}

/// A simulated system: answers requests, and can be changed and questioned behind its API.
pub trait System: Send + Sync {
    /// Answers one request as the real system would.
    fn handle(&self, request: &Request) -> Response;

    /// A path and a query that say what a request is for, where its URL doesn't: what faults, plans
    /// and statistics know it by.
    fn known_as(&self, _request: &Request) -> Option<(String, String)> {
        None
    }

    /// What the system answers when it runs into an error of that name.
    fn failure(&self, _request: &Request, name: &str, message: &str) -> Response {
        Response::new(500, "text/plain", format!("{name}: {message}").into_bytes())
    }

    /// Applies one mutation given as JSON (`{"op": ...}`) and says what it did.
    fn mutate(&self, op: &Value) -> Result<Value, String>;

    /// The ids of all records of an entity that exist now, ascending.
    fn ids(&self, entity: &str) -> Result<Vec<u64>, String>;

    /// One record in full, as the API would show it to an administrator.
    fn record(&self, entity: &str, id: u64) -> Result<Option<Value>, String>;

    /// Switches of the system, for instance `{"strip_authorization": true}`.
    fn configure(&self, options: &Value) -> Result<(), String>;

    /// Forgets every change: back to the seeded data.
    fn reset(&self);
}

//! What every simulated system shares: HTTP, TLS, faults, schedule, statistics, control calls.

pub mod clock;
pub mod control;
pub mod faults;
pub mod http;
pub mod json;
pub mod schedule;
pub mod server;
pub mod stats;
mod tls;
mod wire;

use serde_json::Value;

use self::http::{Request, Response};

/// A simulated system: answers requests, and can be changed and questioned behind its API.
pub trait System: Send + Sync {
    /// Answers one request as the real system would.
    fn handle(&self, request: &Request) -> Response;

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

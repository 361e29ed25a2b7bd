//! The handle that tests and benches hold.

use std::sync::Arc;

use serde_json::Value;

use crate::core::clock::Clock;
use crate::core::faults::Rule;
use crate::core::schedule::Plan;
use crate::core::server::Server;
use crate::core::stats::{Seen, Stats};
use crate::core::{Setup, System};
use crate::woocommerce::{Mutation, Shop};
use crate::Error;

/// A running system, by default a shop. Stops when dropped.
pub struct Sandbox<S: System = Shop> {
    server: Server,
    system: Arc<S>,
}

impl<S: System + 'static> Sandbox<S> {
    /// Starts a system on loopback.
    pub fn start(config: impl Setup<System = S>) -> Result<Self, Error> {
        let (port, https) = config.listen();
        let clock = Arc::new(Clock::default());
        let system = Arc::new(config.build(Arc::clone(&clock)));
        let shared: Arc<dyn System> = Arc::clone(&system) as Arc<dyn System>;
        let server = Server::start(shared, clock, port, https)?;
        Ok(Self { server, system })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.http)
    }

    /// `https://127.0.0.1:PORT`, where the configuration asked for TLS.
    pub fn https_url(&self) -> Option<String> {
        self.server.https.map(|address| format!("https://{address}"))
    }

    /// The authority to trust for `https_url`, in PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.server.ca_pem.as_deref()
    }

    /// Changes the system behind its API (`{"op": ...}`).
    pub fn mutate_json(&self, op: &Value) -> Result<Value, Error> {
        self.system.mutate(op).map_err(Into::into)
    }

    /// Sets a fault; returns its id.
    pub fn fault(&self, rule: Rule) -> u64 {
        self.server.hub.faults.add(rule)
    }

    /// Removes one fault, or all.
    pub fn clear_faults(&self, id: Option<u64>) {
        self.server.hub.faults.clear(id);
    }

    /// Lets the requests that hang now go on.
    pub fn release(&self) {
        self.server.hub.release();
    }

    /// Plans mutations for the k-th request to a path.
    pub fn schedule(&self, plan: Plan) {
        self.server.hub.schedule.add(plan);
    }

    /// Sets how many seconds the server's clock is ahead.
    pub fn set_clock_skew(&self, seconds: i64) {
        self.server.hub.clock.set_skew(seconds);
    }

    /// Turns a switch of the system.
    pub fn configure(&self, options: &Value) -> Result<(), Error> {
        self.system.configure(options).map_err(Into::into)
    }

    /// Counts of requests.
    pub fn stats(&self) -> Stats {
        self.server.hub.recorder.stats()
    }

    /// The last ten thousand requests, oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.server.hub.recorder.seen()
    }

    /// Starts to count anew.
    pub fn reset_stats(&self) {
        self.server.hub.recorder.reset();
    }

    /// All ids of an entity that exist now, ascending, whatever their state.
    pub fn truth(&self, entity: &str) -> Result<Vec<u64>, Error> {
        self.system.ids(entity).map_err(Into::into)
    }

    /// One record in full, as an administrator's GET would show it.
    pub fn record(&self, entity: &str, id: u64) -> Result<Option<Value>, Error> {
        self.system.record(entity, id).map_err(Into::into)
    }

    /// Back to the seeded data.
    pub fn reset(&self) {
        self.system.reset();
    }
}

impl Sandbox<Shop> {
    /// Changes the shop behind its API.
    pub fn mutate(&self, mutation: Mutation) -> Result<Value, Error> {
        self.system.apply(mutation).map_err(Into::into)
    }

    /// Whether the web server drops `Authorization` before PHP sees it.
    pub fn strip_authorization(&self, on: bool) {
        self.system.strip_authorization(on);
    }
}

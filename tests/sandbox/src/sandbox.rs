//! The handle that tests and benches hold.

use std::sync::Arc;

use serde_json::Value;

use crate::core::clock::Clock;
use crate::core::faults::Rule;
use crate::core::schedule::Plan;
use crate::core::server::Server;
use crate::core::stats::{Seen, Stats};
use crate::core::System;
use crate::woocommerce::{Config, Mutation, Shop};
use crate::Error;

/// A running shop. Stops when dropped.
pub struct Sandbox {
    server: Server,
    shop: Arc<Shop>,
}

impl Sandbox {
    /// Starts a shop on loopback.
    pub fn start(config: Config) -> Result<Self, Error> {
        let (port, https) = (config.port, config.https);
        let clock = Arc::new(Clock::default());
        let shop = Arc::new(Shop::new(config, Arc::clone(&clock)));
        let system: Arc<dyn System> = Arc::clone(&shop) as Arc<dyn System>;
        let server = Server::start(system, clock, port, https)?;
        Ok(Self { server, shop })
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

    /// Changes the shop behind its API.
    pub fn mutate(&self, mutation: Mutation) -> Result<Value, Error> {
        self.shop.apply(mutation).map_err(Into::into)
    }

    /// The same, from JSON (`{"op": ...}`).
    pub fn mutate_json(&self, op: &Value) -> Result<Value, Error> {
        self.shop.mutate(op).map_err(Into::into)
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

    /// Whether the web server drops `Authorization` before PHP sees it.
    pub fn strip_authorization(&self, on: bool) {
        self.shop.strip_authorization(on);
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

    /// All ids of an entity that exist now, ascending, whatever their status or role.
    pub fn truth(&self, entity: &str) -> Result<Vec<u64>, Error> {
        self.shop.ids(entity).map_err(Into::into)
    }

    /// One record in full, as an administrator's GET would show it.
    pub fn record(&self, entity: &str, id: u64) -> Result<Option<Value>, Error> {
        self.shop.record(entity, id).map_err(Into::into)
    }

    /// Back to the seeded data.
    pub fn reset(&self) {
        self.shop.reset();
    }
}

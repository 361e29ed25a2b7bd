//! Listeners on loopback and a thread per connection.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::ServerConfig;

use super::clock::Clock;
use super::faults::Faults;
use super::schedule::Schedule;
use super::stats::Recorder;
use super::{tls, wire, System};
use crate::Error;

/// What all connections share.
pub struct Hub {
    pub system: Arc<dyn System>,
    pub clock: Arc<Clock>,
    pub faults: Faults,
    pub schedule: Schedule,
    pub recorder: Recorder,
    stop: AtomicBool,
    next: AtomicU64,
    /// How often hanging requests were released.
    released: (Mutex<u64>, Condvar),
    connections: Mutex<HashMap<u64, Arc<TcpStream>>>,
}

impl Hub {
    fn new(system: Arc<dyn System>, clock: Arc<Clock>) -> Self {
        Self {
            system,
            clock,
            faults: Faults::default(),
            schedule: Schedule::default(),
            recorder: Recorder::default(),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(1),
            released: (Mutex::new(0), Condvar::new()),
            connections: Mutex::default(),
        }
    }

    /// Lets all requests that hang now go on.
    pub fn release(&self) {
        *self.released.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.released.1.notify_all();
    }

    /// Whether the server is being stopped.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Waits for a release; false when the client left or the server stops.
    pub fn hang(&self, tcp: &TcpStream) -> bool {
        let (lock, signal) = &self.released;
        let mut count = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *count;
        while *count == start {
            if self.stopping() || client_left(tcp) {
                return false;
            }
            let wait = signal.wait_timeout(count, Duration::from_millis(20));
            count = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Stopping wakes whoever waits, and that is no release.
        !self.stopping()
    }

    /// Waits that long; false when the server stops before.
    pub fn pause(&self, time: Duration) -> bool {
        let (lock, signal) = &self.released;
        let count = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = signal.wait_timeout_while(count, time, |_| !self.stopping());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        !self.stopping()
    }

    /// Forgets a connection, so that dropping the caller's handle closes it.
    pub fn forget(&self, id: u64) {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    fn remember(&self, id: u64, tcp: &Arc<TcpStream>) {
        let mut all = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(id, Arc::clone(tcp));
    }
}

/// Whether the other side has closed (a plain look at the socket, nothing is consumed).
fn client_left(tcp: &TcpStream) -> bool {
    let _ = tcp.set_nonblocking(true);
    let left = match tcp.peek(&mut [0]) {
        Ok(n) => n == 0,
        Err(e) => e.kind() != std::io::ErrorKind::WouldBlock,
    };
    let _ = tcp.set_nonblocking(false);
    left
}

/// A running server; stops when dropped.
pub struct Server {
    pub hub: Arc<Hub>,
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    pub ca_pem: Option<String>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens on loopback (`port` 0: any free one), and on a second port with TLS.
    pub fn start(
        system: Arc<dyn System>,
        clock: Arc<Clock>,
        port: u16,
        with_tls: bool,
    ) -> Result<Self, Error> {
        let hub = Arc::new(Hub::new(system, clock));
        let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let http = plain.local_addr()?;
        let mut server = Self {
            hub,
            http,
            https: None,
            ca_pem: None,
            threads: Vec::new(),
        };
        server.listen(plain, None)?;
        if with_tls {
            let (config, ca) = tls::make()?;
            let secure = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            server.https = Some(secure.local_addr()?);
            server.ca_pem = Some(ca);
            server.listen(secure, Some(config))?;
        }
        Ok(server)
    }

    fn listen(&mut self, listener: TcpListener, config: Option<Arc<ServerConfig>>) -> Result<(), Error> {
        let hub = Arc::clone(&self.hub);
        let scheme = if config.is_some() { "https" } else { "http" };
        let site = format!("{scheme}://{}", listener.local_addr()?);
        let accept = move || accept(&hub, &listener, config.as_ref(), &site);
        self.threads
            .push(std::thread::Builder::new().name("sandbox".into()).spawn(accept)?);
        Ok(())
    }
}

fn accept(hub: &Arc<Hub>, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>, site: &str) {
    for tcp in listener.incoming() {
        if hub.stopping() {
            return;
        }
        let Ok(tcp) = tcp else { continue };
        let (hub, tls, site) = (Arc::clone(hub), tls.cloned(), site.to_owned());
        let id = hub.next.fetch_add(1, Ordering::Relaxed);
        let serve = move || {
            let tcp = Arc::new(tcp);
            hub.remember(id, &tcp);
            hub.recorder.connected();
            // How a connection ended concerns nobody but the client.
            let _ = wire::serve(&hub, tcp, tls, site, id);
            hub.forget(id);
        };
        let _ = std::thread::Builder::new()
            .name("sandbox-conn".into())
            .spawn(serve);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.hub.stop.store(true, Ordering::SeqCst);
        self.hub.release();
        // The listeners wait in accept: a connection wakes each.
        for address in [Some(self.http), self.https].into_iter().flatten() {
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let all = self
            .hub
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for tcp in all.values() {
            let _ = tcp.shutdown(Shutdown::Both);
        }
    }
}

//! A tiny HTTP server on loopback that answers as a test tells it to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{HttpSettings, Retry};
use crate::core::Backoff;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Decoded query parameters, in order.
    pub query: Vec<(String, String)>,
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What to answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    delay: Duration,
    /// Announce this many bytes more than are sent.
    missing: usize,
    hang_up: bool,
    stall: Duration,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Reply {
            status,
            body: body.into(),
            ..Reply::default()
        }
    }
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }
    pub fn header(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
    pub fn cut(mut self) -> Self {
        self.missing = 100;
        self
    }
    /// Waits in the middle of the body.
    pub fn stalling(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }
    /// Closes the connection without an answer.
    pub fn hang_up() -> Self {
        Reply {
            hang_up: true,
            ..Reply::default()
        }
    }
}

/// A running server; its thread ends with the test process.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers every request by `handler`, which also gets the number of requests before this one.
    pub fn start(handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, handler) = (Arc::clone(&seen), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
                std::thread::spawn(move || serve(stream, &log, &*handler));
            }
        });
        Server { address, seen }
    }

    /// Answers the first request with the first reply, ...; the last reply repeats.
    pub fn script(replies: Vec<Reply>) -> Self {
        Self::start(move |_, number| replies[number.min(replies.len() - 1)].clone())
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Seen>>, handler: &dyn Fn(&Seen, usize) -> Reply) {
    let Some(seen) = read_request(&mut stream) else {
        return;
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(seen.clone());
        log.len() - 1
    };
    let reply = handler(&seen, number);
    std::thread::sleep(reply.delay);
    if reply.hang_up {
        return;
    }
    let length = reply.body.len() + reply.missing;
    let head = format!(
        "HTTP/1.1 {} X\r\nContent-Length: {length}\r\nConnection: close\r\n{}\r\n",
        reply.status, reply.headers
    );
    let (first, second) = reply.body.split_at(reply.body.len() / 2);
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(first));
    std::thread::sleep(reply.stall);
    let _ = stream.write_all(second);
}

fn read_request(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).ok()?;
    let mut line = head.lines().next()?.split(' ');
    let (method, target) = (line.next()?.to_owned(), line.next()?);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let url = reqwest::Url::parse("http://x").ok()?.join(target).ok()?;
    let query = url.query_pairs().into_owned().collect();
    Some(Seen {
        method,
        path: url.path().to_owned(),
        query,
        head,
        body,
    })
}

/// Settings that allow loopback and don't wait.
pub fn settings() -> HttpSettings {
    HttpSettings {
        allowed_hosts: vec!["127.0.0.1".to_owned()],
        timeout: Duration::from_secs(5),
        retry: Retry {
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(4)),
            ..Retry::default()
        },
        ..HttpSettings::default()
    }
}

//! A small client: enough to ask as the extension does, and to see replies byte by byte.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod odoo;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{Engine, BASE64_STANDARD};
use ring::hmac;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use sync_sandbox::core::http::{encode, pairs};

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(k, _)| k.eq_ignore_ascii_case(name));
        found.map(|(_, v)| v.as_str())
    }

    pub fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    pub fn total(&self) -> usize {
        self.header("x-wp-total").unwrap().parse().unwrap()
    }

    pub fn ids(&self) -> Vec<u64> {
        let body = self.json();
        body.as_array()
            .unwrap()
            .iter()
            .map(|r| r["id"].as_u64().unwrap())
            .collect()
    }
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// A connection that is kept.
pub struct Client {
    stream: BufReader<Box<dyn Duplex>>,
    host: String,
}

impl Client {
    /// Connects to `http://host:port`, or to `https://...` trusting an authority.
    pub fn new(url: &str, ca: Option<&str>) -> Self {
        let (_, host) = url.split_once("://").unwrap();
        let tcp = TcpStream::connect(host).unwrap();
        tcp.set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        let stream: Box<dyn Duplex> = match ca {
            None => Box::new(tcp),
            Some(pem) => Box::new(rustls::StreamOwned::new(session(pem), tcp)),
        };
        Self {
            stream: BufReader::new(stream),
            host: host.into(),
        }
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, String)], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.stream.get_mut().write_all(&bytes).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    pub fn read(&mut self, with_body: bool) -> std::io::Result<Reply> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            let Some((k, v)) = line.trim_end().split_once(": ") else {
                break;
            };
            headers.push((k.to_owned(), v.to_owned()));
        }
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        if with_body {
            self.body(&mut reply)?;
        }
        Ok(reply)
    }

    fn body(&mut self, reply: &mut Reply) -> std::io::Result<()> {
        if let Some(length) = reply.header("content-length") {
            reply.body.resize(length.parse().unwrap(), 0);
            return self.stream.read_exact(&mut reply.body);
        }
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            let start = reply.body.len();
            reply.body.resize(start + size, 0);
            self.stream.read_exact(&mut reply.body[start..])?;
            self.stream.read_exact(&mut [0; 2])?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    pub fn ask(&mut self, method: &str, target: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
        self.send(method, target, headers, body);
        self.read(method != "HEAD").unwrap()
    }

    /// GET with Basic `ck_rw`.
    pub fn get(&mut self, target: &str) -> Reply {
        self.ask("GET", target, &[basic("rw")], &[])
    }

    /// A write with Basic `ck_rw`.
    pub fn write(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        self.ask(method, target, &[basic("rw")], &serde_json::to_vec(body).unwrap())
    }

    /// GET signed with OAuth `ck_rw`.
    pub fn signed(&mut self, target: &str) -> Reply {
        let target = sign(
            "GET",
            &format!("http://{}", self.host),
            target,
            &Signing::default(),
        );
        self.ask("GET", &target, &[], &[])
    }
}

fn session(pem: &str) -> rustls::ClientConnection {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    rustls::ClientConnection::new(Arc::new(config), name).unwrap()
}

/// `Authorization: Basic` of a named key.
pub fn basic(name: &str) -> (&'static str, String) {
    let pair = format!("ck_{name}:cs_{name}");
    ("Authorization", format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// What to sign with.
pub struct Signing {
    pub key: String,
    pub secret: String,
    pub method: &'static str,
    pub ahead: i64,
    pub nonce: Option<String>,
}

impl Default for Signing {
    fn default() -> Self {
        let (key, secret) = ("ck_rw".into(), "cs_rw".into());
        Self {
            key,
            secret,
            method: "HMAC-SHA256",
            ahead: 0,
            nonce: None,
        }
    }
}

static NONCES: AtomicU64 = AtomicU64::new(1);

/// Adds OAuth parameters to a target.
pub fn sign(method: &str, site: &str, target: &str, with: &Signing) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let count = NONCES.fetch_add(1, Ordering::Relaxed);
    let nonce = with.nonce.clone().unwrap_or_else(|| format!("nonce{count}"));
    let mut params = pairs(query);
    for (k, v) in [
        ("oauth_consumer_key", with.key.clone()),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", with.method.into()),
        ("oauth_timestamp", (now + with.ahead).to_string()),
    ] {
        params.push((k.into(), v));
    }
    let mut sorted: Vec<_> = params.iter().map(|(k, v)| (encode(k), encode(v))).collect();
    sorted.sort();
    let joined: Vec<_> = sorted.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let base = format!(
        "{method}&{}&{}",
        encode(&format!("{site}{path}")),
        encode(&joined.join("&"))
    );
    let algorithm = match with.method {
        "HMAC-SHA1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        _ => hmac::HMAC_SHA256,
    };
    let key = hmac::Key::new(algorithm, format!("{}&", with.secret).as_bytes());
    let signature = BASE64_STANDARD.encode(hmac::sign(&key, base.as_bytes()));
    format!(
        "{path}?{}&oauth_signature={}",
        joined.join("&"),
        encode(&signature)
    )
}

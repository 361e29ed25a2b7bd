//! One connection: requests in, replies and faults out.

use std::borrow::Cow;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::clock::http_date;
use super::control;
use super::faults::{transform, Fault};
use super::http::{read_body, read_head, Request, Response};
use super::server::Hub;

/// A socket that is shared with the list of connections.
struct Shared(Arc<TcpStream>);

impl Read for Shared {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buf)
    }
}

impl Write for Shared {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self.0).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// One client, from its first byte to its last.
struct Connection<'a> {
    hub: &'a Hub,
    tcp: Arc<TcpStream>,
    stream: BufReader<Box<dyn Duplex>>,
    site: String,
    id: u64,
}

/// Serves requests until either side closes.
pub fn serve(
    hub: &Hub,
    tcp: Arc<TcpStream>,
    tls: Option<Arc<ServerConfig>>,
    site: String,
    id: u64,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let shared = Shared(Arc::clone(&tcp));
    let stream: Box<dyn Duplex> = match tls {
        None => Box::new(shared),
        Some(config) => {
            let session = ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(StreamOwned::new(session, shared))
        }
    };
    let stream = BufReader::with_capacity(16 << 10, stream);
    let mut connection = Connection {
        hub,
        tcp,
        stream,
        site,
        id,
    };
    while connection.next()? {}
    Ok(())
}

/// Whether to keep the connection.
type Keep = bool;

impl Connection<'_> {
    fn next(&mut self) -> io::Result<Keep> {
        let Some(mut request) = read_head(&mut self.stream)? else {
            return Ok(false);
        };
        if request.header("expect").is_some() {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.body = read_body(&mut self.stream, &request)?;
        request.tls = self.site.starts_with("https");
        request.site.clone_from(&self.site);
        if self.hub.stopping() {
            return Ok(false);
        }
        let close = request
            .header("connection")
            .is_some_and(|v| v.eq_ignore_ascii_case("close"));
        let keep = match control::handle(self.hub, &request) {
            Some(reply) => self.send(&request, &reply, None),
            None => self.answer(&request),
        };
        Ok(keep? && !close)
    }

    /// Answers a request to the simulated system, with whatever fault is due.
    fn answer(&mut self, request: &Request) -> io::Result<Keep> {
        let hub = self.hub;
        let known = known(hub, request);
        let number = hub.recorder.begin(&known, self.id, hub.clock.now());
        let done = self.answer_counted(request, &known, number);
        hub.recorder.end();
        done
    }

    fn answer_counted(&mut self, request: &Request, known: &Request, number: u64) -> io::Result<Keep> {
        let hub = self.hub;
        let (before, after) = hub.schedule.due(known);
        for op in before {
            report(hub.system.mutate(&op));
        }
        let fault = hub.faults.pick(known);
        match &fault {
            Some(Fault::Reset) => return self.reset(),
            Some(Fault::Hang) if !hub.hang(&self.tcp) => return Ok(false),
            Some(Fault::Slow { ms }) if !hub.pause(Duration::from_millis(*ms)) => return Ok(false),
            _ => {}
        }
        let reply = match &fault {
            Some(Fault::Error { name, message }) => hub.system.failure(request, name, message),
            Some(fault) if fault.turns_away() => {
                transform(fault, request, Response::new(503, "", Vec::new()))
            }
            Some(fault) => hub
                .faults
                .reply(fault, request, |request| hub.system.handle(request)),
            None => hub.system.handle(request),
        };
        for op in after {
            report(hub.system.mutate(&op));
        }
        if !matches!(fault, Some(Fault::CutBody { .. })) {
            hub.recorder.answered(number, reply.status, reply.body.len());
        }
        self.send(request, &reply, fault.as_ref())
    }

    /// Drops the connection with a TCP reset.
    fn reset(&mut self) -> io::Result<Keep> {
        // With lingering off, closing a socket sends RST instead of FIN.
        socket2::SockRef::from(&*self.tcp).set_linger(Some(Duration::ZERO))?;
        self.hub.forget(self.id);
        Ok(false)
    }

    fn send(&mut self, request: &Request, reply: &Response, fault: Option<&Fault>) -> io::Result<Keep> {
        let sized = matches!(fault, Some(Fault::CutJson { .. } | Fault::EmptyBody));
        // A server that closes every connection says how long its body is.
        let closes = reply.closes();
        let sized = sized || closes || request.path.starts_with(control::PREFIX);
        let mut out = head(reply, self.hub.clock.now(), sized);
        if request.method == "HEAD" {
            self.write(&out)?;
            return Ok(!closes);
        }
        if !sized {
            out.extend_from_slice(format!("{:x}\r\n", reply.body.len()).as_bytes());
        }
        let start = out.len();
        out.extend_from_slice(&reply.body);
        if !sized {
            // An empty chunk is already the end.
            let end: &[u8] = if reply.body.is_empty() {
                b"\r\n"
            } else {
                b"\r\n0\r\n\r\n"
            };
            out.extend_from_slice(end);
        }
        match fault {
            Some(Fault::CutBody { bytes }) => {
                self.write(&out[..out.len().min(start + bytes)])?;
                return Ok(false);
            }
            Some(Fault::Trickle { bytes, ms }) => self.trickle(&out, start, *bytes, *ms)?,
            _ => self.write(&out)?,
        }
        Ok(!closes)
    }

    fn trickle(&mut self, out: &[u8], start: usize, bytes: usize, ms: u64) -> io::Result<()> {
        self.write(&out[..start])?;
        for piece in out[start..].chunks(bytes.max(1)) {
            if self.hub.stopping() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.write(piece)?;
            std::thread::sleep(Duration::from_millis(ms));
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }
}

/// The request as faults, plans and statistics are told of it.
fn known<'a>(hub: &Hub, request: &'a Request) -> Cow<'a, Request> {
    match hub.system.known_as(request) {
        None => Cow::Borrowed(request),
        Some((path, query)) => Cow::Owned(Request {
            method: request.method.clone(),
            path,
            query,
            headers: request.headers.clone(),
            ..Request::default()
        }),
    }
}

/// A planned mutation that fails would make a test pass for the wrong reason: say so.
fn report(outcome: Result<serde_json::Value, String>) {
    if let Err(message) = outcome {
        eprintln!("sandbox: a scheduled mutation failed: {message}");
    }
}

fn head(reply: &Response, now: i64, sized: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024 + reply.body.len());
    let reason = if reply.status < 400 { "OK" } else { "Error" };
    let first = format!("HTTP/1.1 {} {reason}\r\n", reply.status);
    out.extend_from_slice(first.as_bytes());
    if !reply.headers.iter().any(|(k, _)| k == "Server") {
        out.extend_from_slice(b"Server: nginx/1.22.1\r\n");
    }
    if !reply.headers.iter().any(|(k, _)| k == "Date") {
        out.extend_from_slice(format!("Date: {}\r\n", http_date(now)).as_bytes());
    }
    for (name, value) in &reply.headers {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if sized {
        out.extend_from_slice(format!("Content-Length: {}\r\n", reply.body.len()).as_bytes());
    } else {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

//! The one HTTP client: address policy, TLS, limits, retries, and errors without secrets.
//!
//! A client keeps a thread of its own (reqwest's) that inherits the signal mask of whoever creates it.

mod fault;
mod redact;
mod retry;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

pub use fault::{is_late, is_too_big};
pub use redact::Secrets;
pub use retry::{http_date, Retry};

use crate::error::{Code, Error, Result};
use crate::source::address::{AllowList, Guard, GuardedResolver};
use crate::source::json;
use chrono::{DateTime, Utc};
use fault::Fault;
use reqwest::blocking::{Client as Inner, Request, Response as Raw};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, ACCEPT, CONTENT_TYPE, DATE, LOCATION};
use reqwest::{Certificate, Method, Url};
use serde_json::Value;
use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MAX_REDIRECTS: u32 = 3;

/// How a client behaves; the same for every kind of remote.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Entries of `sync_ext.allowed_hosts`.
    pub allowed_hosts: Vec<String>,
    /// For one request that reads, from connecting to the last byte.
    pub timeout: Duration,
    /// Whatever a connector asks for.
    pub max_timeout: Duration,
    pub connect_timeout: Duration,
    /// Of one body, decompressed.
    pub max_body_bytes: usize,
    pub retry: Retry,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            allowed_hosts: Vec::new(),
            timeout: Duration::from_secs(30),
            max_timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(10),
            max_body_bytes: 32 << 20,
            retry: Retry::default(),
        }
    }
}

/// One attempt's request. It is built anew for every attempt, so that each is signed anew.
#[derive(Clone)]
pub struct Outgoing {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub json: Option<Value>,
    /// Sending it twice does no harm: it may be tried again even where the remote may have seen it.
    pub repeatable: bool,
    /// How to tell from what a remote explains of a failure (in JSON, with a 500 or even a 200) that it passes by
    /// itself. None: it explains nothing, and the status alone decides.
    pub passes: Option<fn(&Value) -> bool>,
    /// It may take twice as long as a read: remotes save slowly, and what is given up may be done all the same.
    pub is_write: bool,
    /// Less can be asked for instead: a question that the remote was too slow for is not repeated as it is.
    pub shrinks: bool,
}

impl Outgoing {
    /// A read.
    pub fn get(url: Url) -> Self {
        Outgoing {
            method: Method::GET,
            url,
            headers: Vec::new(),
            json: None,
            repeatable: true,
            passes: None,
            is_write: false,
            shrinks: false,
        }
    }

    /// A call that reads, of an API which knows POST only and explains its failures; see `passes`.
    pub fn reading_call(url: Url, json: Value, passes: fn(&Value) -> bool) -> Self {
        Outgoing {
            method: Method::POST,
            json: Some(json),
            passes: Some(passes),
            ..Outgoing::get(url)
        }
    }
}

/// Counts the requests of one piece of work, retries and redirects included.
#[derive(Debug, Default)]
pub struct Meter {
    requests: Cell<u32>,
    is_strained: Cell<bool>,
}

impl Meter {
    /// Requests so far.
    pub fn requests(&self) -> u32 {
        self.requests.get()
    }

    /// Whether one of them was too much for the remote: it gave up, or asked for patience.
    pub fn is_strained(&self) -> bool {
        self.is_strained.get()
    }

    fn count(&self) {
        self.requests.set(self.requests.get() + 1);
    }
}

/// What the remote answered, whatever its status.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as it came; empty where it was JSON.
    pub body: Vec<u8>,
    /// The body as JSON; None where it isn't JSON.
    pub json: Option<Value>,
    /// From sending the request to the last byte.
    pub elapsed: Duration,
    cut: bool,
    repeatable: bool,
    passes: Option<fn(&Value) -> bool>,
}

impl Response {
    /// A part of an answer, with a status of its own.
    pub fn part(status: u16, json: Value) -> Self {
        Response {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
            json: Some(json),
            elapsed: Duration::ZERO,
            cut: false,
            repeatable: false,
            passes: None,
        }
    }

    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The remote's clock when it answered.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        self.header(DATE.as_str()).and_then(http_date)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The remote's own error code ("rest_no_route"); empty where there is none.
    pub fn remote_code(&self) -> &str {
        self.json
            .as_ref()
            .and_then(|json| json["code"].as_str())
            .unwrap_or_default()
    }

    /// Less may get through: the remote broke down over the answer, or it was cut.
    pub fn may_be_size(&self) -> bool {
        matches!(self.status, 500 | 502 | 504 | 520..=527) || self.is_success() && self.cut
    }

    fn retry_after(&self) -> Option<Duration> {
        retry::retry_after(&self.headers, self.date().unwrap_or_else(Utc::now))
    }
}

/// What to do about answers that aren't the API's, where a kind of remote knows better.
#[derive(Debug, Clone, Copy)]
pub struct Hints {
    /// From what an answer begins with, in lower case: what it is that the remote has put ahead of its JSON, and what to do.
    pub clutter: fn(&str) -> Option<(&'static str, &'static str)>,
    /// A web page.
    pub page: &'static str,
    /// A web page with status 404.
    pub nothing_here: &'static str,
}

impl Default for Hints {
    fn default() -> Self {
        Hints {
            clutter: |_| None,
            page: "Check base_url; a maintenance page, a login page, or a firewall can be the cause as well.",
            nothing_here: "Check base_url.",
        }
    }
}

/// A client for one remote.
#[derive(Debug)]
pub struct Client {
    inner: Inner,
    guard: Arc<Guard>,
    settings: HttpSettings,
    secrets: Secrets,
    hints: Hints,
}

impl Client {
    /// A client for the origin of `base`. With `ca_pem`, TLS trusts those certificates only.
    pub fn new(
        base: &Url,
        mut settings: HttpSettings,
        ca_pem: Option<&str>,
        secrets: Secrets,
    ) -> Result<Self> {
        settings.timeout = settings.timeout.min(settings.max_timeout);
        let guard = Arc::new(Guard::new(base, AllowList::parse(&settings.allowed_hosts)?));
        let mut builder = Inner::builder()
            .user_agent(concat!("sync_ext/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.connect_timeout.min(settings.timeout))
            .timeout(settings.timeout)
            .pool_idle_timeout(Duration::from_secs(20))
            .dns_resolver(Arc::new(GuardedResolver(Arc::clone(&guard))));
        if let Some(pem) = ca_pem {
            builder = builder.tls_built_in_root_certs(false);
            for certificate in certificates(pem)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let inner = builder.build().map_err(|e| fault::not_built(e, &secrets))?;
        Ok(Client {
            inner,
            guard,
            settings,
            secrets,
            hints: Hints::default(),
        })
    }

    /// Errors tell what this kind of remote is known for.
    pub fn with_hints(self, hints: Hints) -> Self {
        Client { hints, ..self }
    }

    /// The secrets that this client masks.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Sends a request, again where that may help, and returns the last answer whatever its status.
    /// `build` gets the URL to go to: `url`, or where the remote redirects to (within its origin).
    pub fn send(
        &self,
        url: &Url,
        meter: &Meter,
        build: &dyn Fn(&Url) -> Result<Outgoing>,
    ) -> Result<Response> {
        let mut done = 0;
        loop {
            let outcome = self.attempt(url, meter, build);
            done += 1;
            if is_strained(&outcome) {
                meter.is_strained.set(true);
            }
            match self.next_wait(&outcome, done) {
                Some(wait) => std::thread::sleep(wait),
                None => return outcome.map_err(|fault| fault.error),
            }
        }
    }

    /// Like [`Client::send`], but anything except JSON with status 2xx is an error.
    pub fn json(
        &self,
        url: &Url,
        meter: &Meter,
        build: &dyn Fn(&Url) -> Result<Outgoing>,
    ) -> Result<(Response, Value)> {
        self.expect_json(self.send(url, meter, build)?)
    }

    /// The JSON of a successful answer, or the error that the answer amounts to.
    pub fn expect_json(&self, mut response: Response) -> Result<(Response, Value)> {
        if !response.is_success() {
            return Err(self.status_error(&response));
        }
        match response.json.take() {
            Some(json) => Ok((response, json)),
            None => Err(fault::not_json(&response, &self.secrets, &self.hints)),
        }
    }

    /// The error that an answer amounts to by its status.
    pub fn status_error(&self, response: &Response) -> Error {
        fault::status_error(response, &self.secrets, &self.hints)
    }

    fn next_wait(&self, outcome: &Result<Response, Fault>, done: u32) -> Option<Duration> {
        let (again, asked) = match outcome {
            Err(fault) => (fault.again, None),
            Ok(response) => (fault::worth_another_try(response, done), response.retry_after()),
        };
        self.settings.retry.wait(done, asked).filter(|_| again)
    }

    /// One attempt: a request and the redirects it meets.
    fn attempt(
        &self,
        url: &Url,
        meter: &Meter,
        build: &dyn Fn(&Url) -> Result<Outgoing>,
    ) -> Result<Response, Fault> {
        let mut target = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.guard.check_url(&target)?;
            let outgoing = build(&target)?;
            let (repeatable, is_get) = (outgoing.repeatable, outgoing.method == Method::GET);
            let shrinks = outgoing.shrinks;
            let response = self
                .exchange(outgoing, meter)
                .map_err(|fault| fault.unless(!repeatable).once(shrinks))?;
            match redirect_target(&response, &target, repeatable, is_get) {
                Some(next) => target = next,
                None => return Ok(response),
            }
        }
        let error = Error::new(Code::Nonsense, "the remote redirects in circles");
        Err(error
            .hint("Use the address that a browser ends up at as base_url.")
            .into())
    }

    fn exchange(&self, outgoing: Outgoing, meter: &Meter) -> Result<Response, Fault> {
        let started = Instant::now();
        let timeout = self.settings.timeout * if outgoing.is_write { 2 } else { 1 };
        let deadline = started + timeout;
        let (repeatable, passes) = (outgoing.repeatable, outgoing.passes);
        meter.count();
        let request = self.request(outgoing, timeout)?;
        let raw = self
            .inner
            .execute(request)
            .map_err(|e| fault::from_reqwest(e, &self.secrets))?;
        let status = raw.status().as_u16();
        let headers = raw.headers().clone();
        let (body, cut) = self.read(raw, deadline)?;
        let parsed = json::parse(&body);
        let cut = cut || matches!(&parsed, Err(e) if e.is_eof() && !body.is_empty());
        let json = parsed.ok().filter(|_| !cut);
        let body = if json.is_some() { Vec::new() } else { body };
        Ok(Response {
            status,
            headers,
            body,
            json,
            elapsed: started.elapsed(),
            cut,
            repeatable,
            passes,
        })
    }

    fn request(&self, outgoing: Outgoing, timeout: Duration) -> Result<Request, Fault> {
        let mut request = Request::new(outgoing.method, outgoing.url);
        // With the timeout set on the request itself, it covers the body as well.
        *request.timeout_mut() = Some(timeout);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.extend(outgoing.headers);
        if let Some(json) = outgoing.json {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(json.to_string().into());
        }
        Ok(request)
    }

    /// Reads a body up to the limit; true: it ended before its announced length.
    fn read(&self, mut raw: Raw, deadline: Instant) -> Result<(Vec<u8>, bool), Fault> {
        let mut body = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = match raw.read(&mut chunk) {
                Ok(0) => return Ok((body, false)),
                Ok(read) => read,
                Err(e) if fault::is_timeout(&e) || Instant::now() >= deadline => {
                    return Err(fault::timed_out())
                }
                Err(_) => return Ok((body, true)),
            };
            body.extend_from_slice(&chunk[..read]);
            if body.len() > self.settings.max_body_bytes {
                return Err(fault::too_big(self.settings.max_body_bytes).into());
            }
            if Instant::now() > deadline {
                return Err(fault::timed_out());
            }
        }
    }
}

fn is_strained(outcome: &Result<Response, Fault>) -> bool {
    match outcome {
        Err(fault) => fault.is_late,
        Ok(response) => matches!(response.status, 429 | 502..=504),
    }
}

/// Where a redirect leads, without its query: the request is built (and signed) anew for it.
fn redirect_target(response: &Response, from: &Url, repeatable: bool, is_get: bool) -> Option<Url> {
    // 303 tells where a page may be got; a call is not to be sent there (a login page, with the key in its headers)
    let followed = match response.status {
        301 | 302 | 307 | 308 => true,
        303 => is_get,
        _ => false,
    };
    if !followed || !repeatable {
        return None;
    }
    let mut target = from.join(response.header(LOCATION.as_str())?).ok()?;
    target.set_query(None);
    target.set_fragment(None);
    Some(target)
}

/// The certificates of a PEM text, for TLS.
pub fn certificates(pem: &str) -> Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
    if found.is_empty() {
        return Err(Error::new(Code::Invalid, "ca_certificate holds no certificate")
            .hint("Give the PEM text, with its BEGIN CERTIFICATE and END CERTIFICATE lines."));
    }
    Ok(found)
}

//! Faults: what a rule does to the replies of the requests it matches.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::http::{Request, Response};
use super::list_faults::{self, ListFault};

/// One way to misbehave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// No answer until released, the client leaves or the server stops.
    Hang,
    /// Answers late.
    Slow { ms: u64 },
    /// Resets the connection (TCP RST) instead of answering.
    Reset,
    /// Sends the head and the first bytes of the body, then closes the connection.
    CutBody { bytes: usize },
    /// Sends the body in pieces of `bytes` with a pause after each.
    Trickle { bytes: usize, ms: u64 },
    /// 429, with `Retry-After` where given (seconds or a date, as is).
    TooManyRequests { retry_after: Option<String> },
    /// 500 with WordPress' JSON of a PHP fatal error.
    PhpFatal,
    /// 503 of a running update, with `Retry-After: 600`.
    Maintenance {
        #[serde(default)]
        html: bool,
    },
    /// 200 with a page of HTML (a login wall, a cache, a firewall).
    HtmlPage,
    /// A PHP warning printed ahead of the JSON.
    PhpWarning,
    /// A body cut to so many bytes whose `Content-Length` fits: only the JSON tells.
    CutJson { bytes: usize },
    /// 200 without any body.
    EmptyBody,
    /// A redirect.
    Redirect {
        to: String,
        #[serde(default = "found")]
        status: u16,
    },
    /// The body with other bytes in the place of a text: what no JSON writer would write.
    Replace { text: String, bytes: Vec<u8> },
    /// A wrong `X-WP-Total`.
    WrongTotal { total: u64 },
    /// Sets a header, adds a second one of that name, or removes it (no value).
    Header {
        name: String,
        value: Option<String>,
        #[serde(default)]
        duplicate: bool,
    },
    /// What plugins, hosts and caches do to lists; see there.
    List(ListFault),
    /// An error of the system's own kind: the name and message of an exception.
    Error { name: String, message: String },
    /// Any reply.
    Reply {
        status: u16,
        content_type: String,
        body: String,
    },
}

impl Fault {
    /// Whether the system doesn't get to see the request.
    pub fn turns_away(&self) -> bool {
        matches!(
            self,
            Self::TooManyRequests { .. } | Self::Maintenance { .. } | Self::Redirect { .. }
        )
    }
}

fn found() -> u16 {
    302
}

/// Which of the matching requests a rule hits, counted from when it was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    All,
    /// The next n.
    Next(u64),
    /// Every k-th.
    Every(u64),
    /// Only the k-th.
    Nth(u64),
    /// The k-th and all after it.
    From(u64),
}

impl When {
    fn hits(self, seen: u64) -> bool {
        match self {
            Self::All => true,
            Self::Next(n) => seen <= n,
            Self::Every(k) => k > 0 && seen.is_multiple_of(k),
            Self::Nth(k) => seen == k,
            Self::From(k) => seen >= k,
        }
    }
}

/// A fault and the requests it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// What the path starts with.
    pub path: String,
    #[serde(default)]
    pub method: Option<String>,
    /// What the query contains.
    #[serde(default)]
    pub query: Option<String>,
    #[serde(default = "all")]
    pub when: When,
    pub fault: Fault,
}

impl Rule {
    /// A fault for some of the requests to paths that start alike.
    pub fn new(path: &str, when: When, fault: Fault) -> Self {
        Self {
            path: path.into(),
            method: None,
            query: None,
            when,
            fault,
        }
    }
}

fn all() -> When {
    When::All
}

struct Active {
    id: u64,
    rule: Rule,
    seen: u64,
}

/// All rules in force.
#[derive(Default)]
pub struct Faults {
    /// What a cache has kept, by what it knows of the question.
    cached: Mutex<HashMap<String, Response>>,
    rules: Mutex<(u64, Vec<Active>)>,
}

impl Faults {
    /// Adds a rule and returns its id.
    pub fn add(&self, rule: Rule) -> u64 {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.0 += 1;
        let id = rules.0;
        rules.1.push(Active { id, rule, seen: 0 });
        id
    }

    /// The reply to a request that a fault is for; `handle` is the system's own answer.
    pub fn reply(&self, fault: &Fault, request: &Request, handle: impl Fn(&Request) -> Response) -> Response {
        let Fault::List(ListFault::Cache { ignores }) = fault else {
            return transform(fault, request, handle(request));
        };
        let key = list_faults::cache_key(request, ignores);
        let kept = |faults: &Self| {
            let cached = faults.cached.lock().unwrap_or_else(PoisonError::into_inner);
            cached.get(&key).cloned()
        };
        kept(self).unwrap_or_else(|| {
            let reply = handle(request);
            let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            cached.entry(key).or_insert(reply).clone()
        })
    }

    /// Removes one rule, or all.
    pub fn clear(&self, id: Option<u64>) {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.1.retain(|r| id.is_some_and(|id| r.id != id));
    }

    /// The fault for this request: the first rule that hits. Every matching rule counts it.
    pub fn pick(&self, request: &Request) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hit = None;
        for active in &mut rules.1 {
            if !matches(&active.rule, request) {
                continue;
            }
            active.seen += 1;
            if hit.is_none() && active.rule.when.hits(active.seen) {
                hit = Some(active.rule.fault.clone());
            }
        }
        hit
    }
}

fn matches(rule: &Rule, request: &Request) -> bool {
    request.path.starts_with(&rule.path)
        && rule
            .method
            .as_ref()
            .is_none_or(|m| m.eq_ignore_ascii_case(&request.method))
        && rule
            .query
            .as_ref()
            .is_none_or(|q| request.query.contains(q.as_str()))
}

pub(super) const JSON: &str = "application/json; charset=UTF-8";
pub(super) const HTML: &str = "text/html; charset=UTF-8";

/// What a fault turns a reply into; faults of the connection are handled where bytes are sent.
pub fn transform(fault: &Fault, request: &Request, mut reply: Response) -> Response {
    match fault {
        Fault::List(fault) => return list_faults::transform(fault, request, reply),
        Fault::TooManyRequests { retry_after } => {
            let body = br#"{"code":"too_many_requests","message":"Slow down.","data":{"status":429}}"#;
            reply = Response::new(429, JSON, body.to_vec());
            reply.replace("Retry-After", retry_after.clone());
        }
        Fault::PhpFatal => reply = fatal(),
        Fault::Maintenance { html } => {
            let (kind, body) = if *html {
                (HTML, MAINTENANCE_HTML)
            } else {
                (JSON, MAINTENANCE)
            };
            reply = Response::new(503, kind, body.into());
            reply.header("Retry-After", "600");
        }
        Fault::HtmlPage => reply = Response::new(200, HTML, PAGE.into()),
        Fault::PhpWarning => {
            reply.body.splice(0..0, WARNING.bytes());
        }
        Fault::CutJson { bytes } => reply.body.truncate(*bytes),
        Fault::EmptyBody => reply.body.clear(),
        Fault::Replace { text, bytes } => replace(&mut reply.body, text.as_bytes(), bytes),
        Fault::Redirect { to, status } => {
            reply = Response::new(*status, HTML, Vec::new());
            reply.header("Location", to);
        }
        Fault::WrongTotal { total } => reply.replace("X-WP-Total", Some(total.to_string())),
        Fault::Header {
            name,
            value: Some(value),
            duplicate: true,
        } => reply.header(name, value),
        Fault::Header { name, value, .. } => reply.replace(name, value.clone()),
        Fault::Reply {
            status,
            content_type,
            body,
        } => {
            reply = Response::new(*status, content_type, body.clone().into());
        }
        Fault::Hang | Fault::Slow { .. } | Fault::Reset | Fault::Error { .. } => {}
        Fault::CutBody { .. } | Fault::Trickle { .. } => {}
    }
    reply
}

/// What WordPress says of a PHP fatal error.
pub(super) fn fatal() -> Response {
    Response::new(500, JSON, FATAL.into())
}

fn replace(body: &mut Vec<u8>, text: &[u8], bytes: &[u8]) {
    let mut from = 0;
    if text.is_empty() {
        return;
    }
    while let Some(at) = body[from..].windows(text.len()).position(|part| part == text) {
        body.splice(from + at..from + at + text.len(), bytes.iter().copied());
        from += at + bytes.len();
    }
}

const FATAL: &str = r#"{"code":"internal_server_error","message":"<p>There has been a critical error on this website.<\/p>","data":{"status":500,"error":{"type":1,"message":"Uncaught Error: Call to undefined function no_such_function() in \/var\/www\/html\/wp-content\/plugins\/other\/other.php:10","file":"\/var\/www\/html\/wp-content\/plugins\/other\/other.php","line":10}},"additional_errors":[]}"#;
const MAINTENANCE: &str = r#"{"code":"wp_die","message":"Briefly unavailable for scheduled maintenance. Check back in a minute.","data":{"status":503},"additional_errors":[]}"#;
const MAINTENANCE_HTML: &str = "<!DOCTYPE html>\n<html dir='ltr'>\n<head>\n<title>Maintenance</title>\n</head>\n<body id=\"error-page\">\n<div class=\"wp-die-message\">Briefly unavailable for scheduled maintenance. Check back in a minute.</div></body>\n</html>\n";
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en-US\">\n<head><title>Just a moment...</title></head>\n<body><p>Checking your browser.</p></body>\n</html>\n";
const WARNING: &str = "<br />\n<b>Warning</b>:  Undefined variable $x in <b>/var/www/html/wp-content/plugins/other/other.php</b> on line <b>12</b><br />\n";

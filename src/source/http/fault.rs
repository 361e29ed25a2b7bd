//! What failed exchanges amount to: which error, and whether another try may help.

use super::{Hints, Response, Secrets};
use crate::error::{Code, Error};
use crate::source::address::{Refused, Unresolved};
use std::error::Error as StdError;
use std::io;

/// 500 is mostly a bug that stays; this many attempts see one that doesn't.
const TRIES_ON_500: u32 = 2;

/// A failed attempt.
#[derive(Debug)]
pub(super) struct Fault {
    pub error: Error,
    /// Another attempt may help (and does no harm).
    pub again: bool,
    /// The remote may have carried the request out.
    seen: bool,
    /// It took too long.
    pub is_late: bool,
}

impl Fault {
    /// Takes back the permission to try again where the remote may have seen a request that must not
    /// be sent twice.
    pub fn unless(self, single: bool) -> Self {
        Fault {
            again: self.again && !(single && self.seen),
            ..self
        }
    }

    /// Takes back the permission to try a request again that was too slow.
    pub fn once(self, shrinks: bool) -> Self {
        Fault {
            again: self.again && !(shrinks && self.is_late),
            ..self
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault {
            error,
            again: false,
            seen: false,
            is_late: false,
        }
    }
}

/// Whether an answer is worth another try after `done` attempts.
pub(super) fn worth_another_try(response: &Response, done: u32) -> bool {
    let explained = response.passes.zip(response.json.as_ref());
    match response.status {
        429 => true,
        // Who explains a failure has taken back what was begun. Trying again what does not pass brings the same.
        200..=299 | 500 if explained.is_some() => explained.is_some_and(|(passes, json)| passes(json)),
        _ if !response.repeatable => false,
        502..=504 => true,
        500 => done < TRIES_ON_500,
        200..=299 => response.cut,
        _ => false,
    }
}

/// The error for a request that got no answer.
pub(super) fn from_reqwest(error: reqwest::Error, secrets: &Secrets) -> Fault {
    let error = error.without_url();
    let chain = causes(&error);
    if let Some(refused) = find::<Refused>(&chain) {
        return Error::from(refused.clone()).into();
    }
    if let Some(unresolved) = find::<Unresolved>(&chain) {
        let error = Error::new(
            Code::Unreachable,
            format!("the host \"{}\" can't be resolved", unresolved.host),
        );
        let error = error
            .detail(secrets.message(&unresolved.reason))
            .hint("Check the host name in base_url.");
        return Fault {
            error,
            again: true,
            seen: false,
            is_late: false,
        };
    }
    let cause = chain
        .last()
        .map(|e| secrets.message(&e.to_string()))
        .unwrap_or_default();
    if error.is_connect() {
        return not_connected(&error, cause);
    }
    if error.is_timeout() {
        return timed_out();
    }
    let error = Error::new(Code::TimedOut, "the remote broke the connection").detail(cause);
    let error = error.hint(
        "Its web server, or a proxy or firewall on the way, may have restarted or had enough: try again.",
    );
    Fault {
        error,
        again: true,
        seen: true,
        is_late: false,
    }
}

fn not_connected(error: &reqwest::Error, cause: String) -> Fault {
    let says = |word: &str| cause.to_lowercase().contains(word);
    let tls = ["certificate", "tls", "handshake", "alert"].into_iter().any(says);
    // a handshake that breaks off may pass
    let is_certificate = says("certificate");
    if tls {
        let error = Error::new(Code::Unreachable, "no secure connection to the remote").detail(cause).hint(
            "Check its certificate; for one signed by your own authority, give that as ca_certificate in the settings.",
        );
        return if is_certificate { error.stays() } else { error }.into();
    }
    let detail = if error.is_timeout() {
        "The connection timed out.".to_owned()
    } else {
        cause
    };
    let error = Error::new(Code::Unreachable, "the remote can't be reached").detail(detail);
    let error = error.hint("Check base_url, and whether this server may connect to it.");
    Fault {
        error,
        again: true,
        seen: false,
        is_late: false,
    }
}

/// The error for a client that can't be set up.
pub(super) fn not_built(error: reqwest::Error, secrets: &Secrets) -> Error {
    let error = error.without_url();
    let cause = causes(&error)
        .last()
        .map(|e| secrets.message(&e.to_string()))
        .unwrap_or_default();
    Error::new(Code::NotReady, "the HTTP client can't be set up")
        .detail(cause)
        .hint("Check ca_certificate, or this server's trust store (package ca-certificates).")
}

/// The error for a request that took too long.
pub(super) fn timed_out() -> Fault {
    let error = Error::new(Code::TimedOut, LATE)
        .hint("Raise sync_ext.http_timeout, or the connector's setting timeout, if it is just slow.");
    Fault {
        error,
        again: true,
        seen: true,
        is_late: true,
    }
}

const LATE: &str = "the remote timed out";

/// Whether the remote took too long.
pub fn is_late(error: &Error) -> bool {
    error.code == Code::TimedOut && error.message == LATE
}

const TOO_BIG: &str = "the remote's answer is bigger than";

/// The error for a body beyond the limit.
pub(super) fn too_big(limit: usize) -> Error {
    Error::new(Code::Nonsense, format!("{TOO_BIG} {} MiB", (limit >> 20).max(1)))
}

/// Whether less should be asked for at once.
pub fn is_too_big(error: &Error) -> bool {
    error.code == Code::Nonsense && error.message.starts_with(TOO_BIG)
}

/// Whether reading failed because time was up.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<reqwest::Error>());
    error.kind() == io::ErrorKind::TimedOut || inner.is_some_and(reqwest::Error::is_timeout)
}

/// The error for a successful answer that is not JSON.
pub(super) fn not_json(response: &Response, secrets: &Secrets, hints: &Hints) -> Error {
    let head = String::from_utf8_lossy(&response.body)
        .trim_start()
        .to_lowercase();
    let (what, hint) = if response.body.is_empty() {
        (
            "nothing",
            "Check base_url, and whether a plugin or proxy swallows the answer.",
        )
    } else if response.cut {
        (
            "a part of its answer only",
            "The connection was cut, or a proxy limits the size of answers.",
        )
    } else if let Some(known) = (hints.clutter)(&head) {
        known
    } else if head.starts_with('<') {
        ("a web page", hints.page)
    } else {
        (
            "something that is not JSON",
            "Check base_url, and whether a plugin of the remote changes its answers.",
        )
    };
    let error = Error::new(Code::Nonsense, format!("the remote answered with {what}"));
    if response.body.is_empty() {
        return error.hint(hint);
    }
    error.detail(secrets.excerpt(&response.body)).hint(hint)
}

/// The error that an answer amounts to by its status.
pub(super) fn status_error(response: &Response, secrets: &Secrets, hints: &Hints) -> Error {
    let status = response.status;
    let error = match status {
        401 => Error::new(Code::RemoteAuth, "the remote refuses the credentials (401)")
            .hint("Check the credentials of the connector, and that they were not revoked."),
        403 => forbidden(response),
        404 => not_found(response, hints),
        408 => Error::new(Code::TimedOut, "the remote gave up waiting (408)").hint("Try again."),
        429 => Error::new(Code::Throttled, "the remote throttles this connector (429)")
            .hint("Wait, or lower requests_per_second in the connector's settings."),
        503 => Error::new(Code::Nonsense, "the remote is unavailable (503)")
            .hint("It may be in maintenance (an update that runs, or one that broke off): try again later."),
        500..=599 => Error::new(Code::Nonsense, format!("the remote failed ({status})"))
            .hint("The remote's own error log says why."),
        300..=399 => Error::new(Code::Nonsense, format!("the remote redirects nowhere ({status})"))
            .hint("Use the address that a browser ends up at as base_url."),
        _ => Error::new(
            Code::Nonsense,
            format!("the remote refuses the request ({status})"),
        )
        .hint("A plugin or firewall of the remote may be the cause; its own error log may say more."),
    };
    let error = match remote_detail(response, secrets) {
        Some(detail) => error.detail(detail),
        None => error,
    };
    match response.retry_after().filter(|_| matches!(status, 429 | 503)) {
        Some(wait) => error.retry_after(wait),
        None => error,
    }
}

/// A web page is not the remote's word on the credentials.
fn forbidden(response: &Response) -> Error {
    match response.json {
        Some(_) => Error::new(
            Code::RemoteAuth,
            "the remote forbids this to the connector's user (403)",
        )
        .hint("Give the user behind the credentials a role that may read this."),
        None => Error::new(
            Code::Nonsense,
            "something in front of the remote forbids this (403)",
        )
        .hint("A firewall or security plugin may block this server: let it through."),
    }
}

fn not_found(response: &Response, hints: &Hints) -> Error {
    let error = Error::new(Code::Nonsense, "the remote has nothing at this address (404)");
    error.hint(match response.json {
        Some(_) => "Check base_url, and that the remote's version and plugins offer this.",
        None => hints.nothing_here,
    })
}

/// The remote's own words. Only its code and message: the rest may hold paths and stack traces.
fn remote_detail(response: &Response, secrets: &Secrets) -> Option<String> {
    let Some(json) = &response.json else {
        let is_text = !response.body.is_empty() && !response.body.trim_ascii_start().starts_with(b"<");
        return is_text.then(|| secrets.excerpt(&response.body));
    };
    let part = |name: &str| {
        json[name]
            .as_str()
            .map(|text| secrets.message(text))
            .filter(|text| !text.is_empty())
    };
    match (part("code"), part("message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (code, message) => code.or(message),
    }
}

/// An error and what caused it, outermost first. Sees into io errors, which hide what they carry.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
    let mut chain = vec![error];
    let mut last = error;
    while chain.len() < 16 {
        let carried = last.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let next = carried
            .map(|e| e as &(dyn StdError + 'static))
            .or_else(|| last.source());
        match next {
            Some(next) => {
                chain.push(next);
                last = next;
            }
            None => break,
        }
    }
    chain
}

fn find<'a, E: StdError + 'static>(chain: &[&'a (dyn StdError + 'static)]) -> Option<&'a E> {
    chain.iter().find_map(|e| e.downcast_ref::<E>())
}

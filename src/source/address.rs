//! Which addresses a connector may talk to.
//!
//! A URL that a tenant writes is carried out by the server, so loopback, private ranges and metadata
//! services are refused unless `sync_ext.allowed_hosts` lists them. The check is made on the very
//! addresses that are connected to (the resolver hands over only checked ones), so a name that
//! resolves differently a moment later gains nothing.

use super::ranges::{refusal, Network};
use crate::error::{Code, Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::Url;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

const HINT: &str = "A superuser can allow it: add the host, host:port, address or CIDR range to the setting sync_ext.allowed_hosts.";

/// One entry of `sync_ext.allowed_hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Allowed {
    Host(String, Option<u16>),
    Address(IpAddr, Option<u16>),
    Network(Network),
}

/// The parsed setting `sync_ext.allowed_hosts`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Allowed>);

impl AllowList {
    /// Parses entries: `host`, `host:port`, an address (`[..]` around IPv6 with a port), or a CIDR range.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self> {
        let entries = entries
            .iter()
            .map(|e| e.as_ref().trim())
            .filter(|e| !e.is_empty());
        entries.map(Self::entry).collect::<Result<_>>().map(AllowList)
    }

    fn entry(text: &str) -> Result<Allowed> {
        let bad = || {
            Error::new(
                Code::Invalid,
                format!("malformed entry \"{text}\" in sync_ext.allowed_hosts"),
            )
            .hint("Write host, host:port, an address, or a range such as 10.1.0.0/16.")
        };
        if text.contains('/') {
            return text.parse().map(Allowed::Network).map_err(|()| bad());
        }
        let bare = text
            .strip_prefix('[')
            .and_then(|t| t.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Allowed::Address(ip, None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Allowed::Address(address.ip(), Some(address.port())));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let valid = |c: char| c.is_alphanumeric() || "-._".contains(c);
        if host.is_empty() || !host.chars().all(valid) {
            return Err(bad());
        }
        Ok(Allowed::Host(canonical_host(host), port))
    }

    fn lists_host(&self, host: &str, port: u16) -> bool {
        let host = canonical_host(host);
        self.0
            .iter()
            .any(|a| matches!(a, Allowed::Host(h, p) if *h == host && p.is_none_or(|p| p == port)))
    }

    fn lists_address(&self, ip: IpAddr, port: u16) -> bool {
        self.0.iter().any(|allowed| match allowed {
            Allowed::Host(..) => false,
            Allowed::Address(a, p) => *a == ip && p.is_none_or(|p| p == port),
            Allowed::Network(network) => network.contains(ip),
        })
    }
}

/// Lower case, without the root's trailing dot.
fn canonical_host(host: &str) -> String {
    host.trim_end_matches('.').to_lowercase()
}

/// Parses and checks a connector's base URL. Its path ends in a slash afterwards.
pub fn parse_base_url(text: &str) -> Result<Url> {
    let invalid = |what: &str| {
        Error::new(Code::Invalid, format!("base_url {what}"))
            .hint("Write it like https://shop.example.com or https://example.com/shop.")
    };
    let mut url = Url::parse(text.trim()).map_err(|e| invalid(&format!("is not a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("must start with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not contain credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("must not contain a query or a fragment"));
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err(invalid("names no host"));
    }
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

/// The place that a base URL (see [`parse_base_url`]) names, however it is reached: `shop.example.com/de`. The port
/// is part of it where it isn't the scheme's own.
pub fn place(base: &Url) -> String {
    let host = canonical_host(base.host_str().unwrap_or_default());
    let port = base.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{host}{port}{}", base.path().trim_end_matches('/'))
}

/// What one client may connect to: the origin of its base URL, at addresses that are allowed.
#[derive(Debug, Clone)]
pub struct Guard {
    scheme: String,
    host: String,
    port: u16,
    listed: bool,
    allowed: AllowList,
}

impl Guard {
    /// The policy for a client of `base` (see [`parse_base_url`]).
    pub fn new(base: &Url, allowed: AllowList) -> Self {
        let host = base.host_str().unwrap_or_default().to_owned();
        let port = base.port_or_known_default().unwrap_or(443);
        let listed = allowed.lists_host(&host, port);
        Guard {
            scheme: base.scheme().to_owned(),
            host,
            port,
            listed,
            allowed,
        }
    }

    /// Refuses an address that is neither public nor listed.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), Refused> {
        if self.listed || self.allowed.lists_address(ip, self.port) {
            return Ok(());
        }
        match refusal(ip) {
            Some(why) => Err(Refused {
                host: self.host.clone(),
                why,
            }),
            None => Ok(()),
        }
    }

    /// Checks where a request is about to go. Literal addresses never reach the resolver, so they are
    /// checked here; names are checked when they are resolved.
    pub fn check_url(&self, url: &Url) -> Result<()> {
        if !self.same_origin(url) {
            return Err(self.foreign(url));
        }
        match literal_address(url) {
            Some(ip) => self.check_address(ip).map_err(Error::from),
            None => Ok(()),
        }
    }

    fn same_origin(&self, url: &Url) -> bool {
        url.scheme() == self.scheme
            && url.host_str() == Some(self.host.as_str())
            && url.port_or_known_default() == Some(self.port)
    }

    /// The error for a redirect that leaves the origin. Shows the origin only: a query may hold keys.
    fn foreign(&self, url: &Url) -> Error {
        let target = origin(url);
        let upgrade =
            url.scheme() == "https" && self.scheme == "http" && url.host_str() == Some(self.host.as_str());
        let hint = if upgrade {
            "Write base_url with https:// instead of http://.".to_owned()
        } else {
            format!("Redirects are followed within one host only. If {target} is the right place, use it as base_url.")
        };
        Error::new(
            Code::Unreachable,
            format!("the remote redirects to another place: {target}"),
        )
        .hint(hint)
        .stays()
    }
}

/// Scheme, host and port of a URL.
pub fn origin(url: &Url) -> String {
    let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn literal_address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host)
        .parse()
        .ok()
}

/// An address that the policy refuses.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{host} is {why}")]
pub struct Refused {
    host: String,
    why: &'static str,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        // Which address it is would tell a tenant about the network behind the server.
        let message = format!("the address of \"{}\" is not allowed", refused.host);
        Error::new(Code::Unreachable, message)
            .detail(format!("It is {}.", refused.why))
            .hint(HINT)
            .stays()
    }
}

/// A name that has no address.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{host} can't be resolved: {reason}")]
pub struct Unresolved {
    pub host: String,
    pub reason: String,
}

/// Resolves names and hands over only the addresses that the policy allows.
#[derive(Debug, Clone)]
pub struct GuardedResolver(pub Arc<Guard>);

impl GuardedResolver {
    fn lookup(
        guard: &Guard,
        host: &str,
    ) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        let unresolved = |reason: String| Unresolved {
            host: host.to_owned(),
            reason,
        };
        let found: Vec<SocketAddr> = (host, 0)
            .to_socket_addrs()
            .map_err(|e| unresolved(e.to_string()))?
            .collect();
        let mut refused = None;
        let mut usable = Vec::with_capacity(found.len());
        for address in found {
            match guard.check_address(address.ip()) {
                Ok(()) => usable.push(address),
                Err(why) => refused = Some(why),
            }
        }
        match (usable.is_empty(), refused) {
            (false, _) => Ok(usable),
            (true, Some(why)) => Err(why.into()),
            (true, None) => Err(unresolved("no address".to_owned()).into()),
        }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        let host = name.as_str().to_owned();
        Box::pin(async move {
            // getaddrinfo blocks; other requests of this client share the runtime.
            let found = tokio::task::spawn_blocking(move || Self::lookup(&guard, &host)).await??;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;

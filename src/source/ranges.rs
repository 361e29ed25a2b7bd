//! Address ranges: what is not on the public internet, and CIDR notation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A CIDR range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (base, prefix) = text.split_once('/').ok_or(())?;
        let base = base.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| ())?;
        let prefix = prefix.parse::<u8>().map_err(|_| ())?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        if prefix > width {
            return Err(());
        }
        Ok(Network { base, prefix })
    }
}

impl Network {
    /// Whether the address lies in the range. The two families never match each other.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => in_v4(ip, base, self.prefix),
            (IpAddr::V6(base), IpAddr::V6(ip)) => in_v6(ip, base, self.prefix),
            _ => false,
        }
    }
}

fn in_v4(ip: Ipv4Addr, base: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    u32::from(ip) & mask == u32::from(base) & mask
}

fn in_v6(ip: Ipv6Addr, base: Ipv6Addr, prefix: u8) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    u128::from(ip) & mask == u128::from(base) & mask
}

const V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "\"this network\""),
    ([10, 0, 0, 0], 8, "a private address"),
    ([100, 64, 0, 0], 10, "a carrier's shared address"),
    ([127, 0, 0, 0], 8, "a loopback address"),
    (
        [169, 254, 0, 0],
        16,
        "a link-local address (metadata services live there)",
    ),
    ([172, 16, 0, 0], 12, "a private address"),
    ([192, 0, 0, 0], 24, "a reserved address"),
    ([192, 0, 2, 0], 24, "a documentation address"),
    ([192, 88, 99, 0], 24, "a reserved address"),
    ([192, 168, 0, 0], 16, "a private address"),
    ([198, 18, 0, 0], 15, "a benchmarking address"),
    ([198, 51, 100, 0], 24, "a documentation address"),
    ([203, 0, 113, 0], 24, "a documentation address"),
    ([224, 0, 0, 0], 4, "a multicast address"),
    ([240, 0, 0, 0], 4, "a reserved address"),
];

const V6: &[([u16; 2], u8, &str)] = &[
    ([0x2001, 0x0000], 23, "a reserved or tunnelled address"),
    ([0x2001, 0x0db8], 32, "a documentation address"),
    ([0x2002, 0x0000], 16, "a tunnelled IPv4 address"),
    ([0x3fff, 0x0000], 20, "a documentation address"),
];

/// Why an address may not be connected to; None for a public one.
pub fn refusal(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => v4_refusal(ip),
        IpAddr::V6(ip) => v6_refusal(ip),
    }
}

fn v4_refusal(ip: Ipv4Addr) -> Option<&'static str> {
    V4.iter()
        .find(|(base, prefix, _)| in_v4(ip, Ipv4Addr::from(*base), *prefix))
        .map(|(.., why)| *why)
}

fn v6_refusal(ip: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    if [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0] {
        // NAT64: hosts without IPv4 reach every public shop through it, so what counts is inside.
        let [[p, q], [r, s]] = [g.to_be_bytes(), h.to_be_bytes()];
        return v4_refusal(Ipv4Addr::new(p, q, r, s));
    }
    if let Some(why) = v6_special(ip, [a, b]) {
        return Some(why);
    }
    let base = |s: &[u16; 2]| Ipv6Addr::new(s[0], s[1], 0, 0, 0, 0, 0, 0);
    V6.iter()
        .find(|(start, prefix, _)| in_v6(ip, base(start), *prefix))
        .map(|(.., why)| *why)
}

/// Whatever lies outside 2000::/3 (global unicast) is refused; this names it.
fn v6_special(ip: Ipv6Addr, [first, second]: [u16; 2]) -> Option<&'static str> {
    if first & 0xe000 == 0x2000 {
        return None;
    }
    Some(match ip {
        _ if ip.is_loopback() => "a loopback address",
        _ if ip.is_unspecified() => "the unspecified address",
        _ if ip.to_ipv4().is_some() => "an IPv4 address in IPv6 form",
        _ if first & 0xfe00 == 0xfc00 => "a private address",
        _ if first & 0xffc0 == 0xfe80 => "a link-local address",
        _ if first & 0xff00 == 0xff00 => "a multicast address",
        _ if [first, second] == [0x64, 0xff9b] => "a translated IPv4 address",
        _ => "a reserved address",
    })
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn guard(base: &str, allowed: &[&str]) -> Guard {
    Guard::new(&parse_base_url(base).unwrap(), AllowList::parse(allowed).unwrap())
}

fn verdict(base: &str, allowed: &[&str]) -> Result<()> {
    guard(base, allowed).check_url(&parse_base_url(base).unwrap())
}

#[test]
fn every_spelling_of_a_private_address_is_refused() {
    for url in [
        "http://127.0.0.1",
        "http://127.1",
        "http://2130706433",
        "http://0177.0.0.1",
        "http://0x7f.0.0.1",
        "http://0x7f000001",
        "http://0",
        "http://0.0.0.0",
        "http://10.1.2.3",
        "http://172.16.0.1",
        "http://172.31.255.255",
        "http://192.168.1.1",
        "http://100.64.0.1",
        "http://169.254.169.254/latest/meta-data",
        "http://224.0.0.1",
        "http://240.0.0.1",
        "http://255.255.255.255",
        "http://198.18.0.1",
        "http://127.0.0.1.",
        "http://%31%32%37.0.0.1",
        "http://①②⑦.0.0.1",
        "http://[::1]",
        "http://[::]",
        "http://[::ffff:127.0.0.1]",
        "http://[::ffff:8.8.8.8]",
        "http://[::127.0.0.1]",
        "http://[64:ff9b::127.0.0.1]",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://[64:ff9b:1::1]",
        "http://[fe80::1]",
        "http://[fc00::1]",
        "http://[fd12:3456::1]",
        "http://[fec0::1]",
        "http://[ff02::1]",
        "http://[2001:db8::1]",
        "http://[2002:7f00:1::]",
        "http://[2001::1]",
        "http://[fd00:ec2::254]",
    ] {
        let error = verdict(url, &[]).expect_err(url);
        assert_eq!(error.code, Code::Unreachable, "{url}");
        assert!(error.hint.unwrap().contains("sync_ext.allowed_hosts"), "{url}");
    }
}

#[test]
fn public_addresses_are_allowed() {
    for url in [
        "http://8.8.8.8",
        "https://172.32.0.1",
        "https://100.128.0.1",
        "https://[2606:4700::1]",
        "https://[64:ff9b::808:808]",
        "https://shop.example.com",
    ] {
        verdict(url, &[]).expect(url);
    }
}

#[test]
fn listed_hosts_addresses_and_ranges_are_allowed() {
    for (url, entry) in [
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://127.0.0.1:8080", " 127.0.0.0/8 "),
        ("http://10.1.2.3", "10.1.0.0/16"),
        ("http://2130706433", "127.0.0.1"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[::1]:8080", "::1"),
        ("http://[fd00::7]", "fd00::/8"),
        ("http://0.0.0.1", "0.0.0.0/0"),
    ] {
        verdict(url, &[entry]).expect(entry);
    }
    for (url, entry) in [
        ("http://127.0.0.1:8081", "127.0.0.1:8080"),
        ("http://127.0.0.1", "127.0.0.2/32"),
        ("http://10.2.2.3", "10.1.0.0/16"),
        ("http://[::ffff:127.0.0.1]", "127.0.0.1"),
        ("http://127.0.0.1", "localhost"),
    ] {
        verdict(url, &[entry]).expect_err(entry);
    }
}

#[test]
fn malformed_entries_are_reported() {
    for entry in [
        "10.0.0.0/33",
        "::/129",
        "host:port",
        "ho st",
        "/8",
        ":80",
        "[::1",
        "http://x",
    ] {
        let error = AllowList::parse(&[entry]).expect_err(entry);
        assert_eq!(error.code, Code::Invalid);
        assert!(error.message.contains("allowed_hosts"));
    }
}

#[test]
fn names_are_checked_when_they_are_resolved() {
    let refused = GuardedResolver::lookup(&guard("http://localhost:81", &[]), "localhost").unwrap_err();
    assert!(refused.downcast_ref::<Refused>().is_some());
    for entry in ["LOCALHOST", "localhost.", "localhost:81"] {
        let found = GuardedResolver::lookup(&guard("http://localhost:81", &[entry]), "localhost").unwrap();
        assert!(!found.is_empty());
    }
    assert!(GuardedResolver::lookup(&guard("http://localhost:81", &["localhost:82"]), "localhost").is_err());
}

#[test]
fn base_urls() {
    assert_eq!(
        parse_base_url(" https://Shop.Example/shop ").unwrap().as_str(),
        "https://shop.example/shop/"
    );
    assert_eq!(
        parse_base_url("https://shop.example").unwrap().as_str(),
        "https://shop.example/"
    );
    for bad in [
        "",
        "shop.example",
        "ftp://shop.example",
        "file:///etc/passwd",
        "gopher://x",
        "https://user:pw@shop.example",
        "https://user@shop.example",
        "https://shop.example?x=1",
        "https://shop.example/#x",
        "http://",
        "http://256.256.256.256",
        "http://shop.example:0",
        "http://shop.example:99999",
    ] {
        let error = parse_base_url(bad).expect_err(bad);
        assert_eq!(error.code, Code::Invalid, "{bad}");
        assert!(!error.message.contains("pw"));
    }
}

#[test]
fn another_origin_is_refused_without_showing_its_query() {
    let guard = guard("http://shop.example", &[]);
    for target in [
        "http://other.example/?k=secret",
        "http://shop.example:81/",
        "https://shop.example/?k=secret",
    ] {
        let error = guard.check_url(&Url::parse(target).unwrap()).unwrap_err();
        assert_eq!(error.code, Code::Unreachable);
        assert!(!format!("{error:?}").contains("secret"));
    }
    let upgrade = guard
        .check_url(&Url::parse("https://shop.example/x").unwrap())
        .unwrap_err();
    assert_eq!(
        upgrade.hint.as_deref(),
        Some("Write base_url with https:// instead of http://.")
    );
}

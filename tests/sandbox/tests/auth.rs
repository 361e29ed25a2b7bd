//! Who is let in, and how it is said to those who are not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{basic, sign, Client, Signing};
use serde_json::json;
use sync_sandbox::{Config, Sandbox};

const LIST: &str = "/wp-json/wc/v3/customers?per_page=1";

fn secure() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config {
        https: true,
        ..Config::default()
    })
    .unwrap();
    let client = Client::new(&sandbox.https_url().unwrap(), sandbox.ca_pem());
    (sandbox, client)
}

#[test]
fn basic_works_over_https_only() {
    let (sandbox, mut https) = secure();
    assert_eq!(https.get(LIST).status, 200);
    let mut http = Client::new(&sandbox.url(), None);
    assert_eq!(http.get(LIST).status, 401);
}

#[test]
fn keys_in_the_query_survive_a_server_that_strips_the_header() {
    let (sandbox, mut https) = secure();
    sandbox.strip_authorization(true);
    assert_eq!(https.get(LIST).status, 401);
    let target = format!("{LIST}&consumer_key=ck_rw&consumer_secret=cs_rw");
    assert_eq!(https.ask("GET", &target, &[], &[]).status, 200);
}

#[test]
fn signatures_are_checked() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::new(&sandbox.url(), None);
    assert_eq!(client.signed(LIST).status, 200);
    let odd = "/wp-json/wc/v3/products?search=Caf%C3%A9%20%2B%20~x%26&include[0]=23&include%5B1%5D=26";
    assert_eq!(client.signed(odd).status, 200);
    let sha1 = Signing {
        method: "HMAC-SHA1",
        ..Signing::default()
    };
    let early = Signing {
        ahead: -840,
        ..Signing::default()
    };
    let late = Signing {
        ahead: 960,
        ..Signing::default()
    };
    for (signing, site, status) in [
        (sha1, sandbox.url(), 200),
        (early, sandbox.url(), 200),
        (late, sandbox.url(), 401),
        (Signing::default(), "http://other.example".into(), 401),
    ] {
        let target = sign("GET", &site, LIST, &signing);
        assert_eq!(client.ask("GET", &target, &[], &[]).status, status, "{target}");
    }
}

#[test]
fn a_nonce_works_once() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::new(&sandbox.url(), None);
    let target = sign("GET", &sandbox.url(), LIST, &Signing::default());
    assert_eq!(client.ask("GET", &target, &[], &[]).status, 200);
    let again = client.ask("GET", &target, &[], &[]);
    assert_eq!(again.status, 401);
    assert_eq!(
        again.json()["message"],
        "Invalid nonce - nonce has already been used."
    );
}

#[test]
fn a_wrong_clock_refuses_signatures() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let mut client = Client::new(&sandbox.url(), None);
    sandbox.set_clock_skew(3600);
    assert_eq!(client.signed(LIST).json()["message"], "Invalid timestamp.");
}

#[test]
fn permissions_and_roles_are_told_apart() {
    let (_sandbox, mut client) = secure();
    let body = br#"{"first_name":"x"}"#;
    let one = "/wp-json/wc/v3/customers/2";
    assert_eq!(client.ask("GET", LIST, &[basic("ro")], &[]).status, 200);
    assert_eq!(client.ask("PUT", one, &[basic("ro")], body).status, 401);
    assert_eq!(client.ask("GET", LIST, &[basic("wo")], &[]).status, 401);
    assert_eq!(client.ask("PUT", one, &[basic("wo")], body).status, 200);
    assert_eq!(client.ask("GET", LIST, &[basic("cust")], &[]).status, 403);
    let admin = "/wp-json/wc/v3/customers/1";
    assert_eq!(client.ask("PUT", admin, &[basic("mgr")], body).status, 403);
    assert_eq!(client.ask("GET", LIST, &[basic("nobody")], &[]).status, 401);
}

#[test]
fn the_index_needs_no_key() {
    let (_sandbox, mut client) = secure();
    let index = client.ask("GET", "/wp-json/wc/v3", &[], &[]).json();
    let args = &index["routes"]["/wc/v3/orders"]["endpoints"][0]["args"];
    assert_eq!(args["modified_after"]["format"], json!("date-time"));
    assert!(index["routes"]["/wc/v3/customers"]["endpoints"][0]["args"]
        .get("modified_after")
        .is_none());
    let root = client
        .ask("GET", "/wp-json/?_fields=timezone_string,gmt_offset", &[], &[])
        .json();
    assert_eq!(root["timezone_string"], "Europe/Berlin");
    assert_eq!(root.as_object().unwrap().len(), 2);
}

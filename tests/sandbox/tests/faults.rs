//! Misbehaviour, and the control calls over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{basic, Client};
use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, Rule, Sandbox, When};

const LIST: &str = "/wp-json/wc/v3/customers?per_page=5";

fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config {
        https: true,
        ..Config::default()
    })
    .unwrap();
    let client = connect(&sandbox);
    (sandbox, client)
}

fn connect(sandbox: &Sandbox) -> Client {
    Client::new(&sandbox.https_url().unwrap(), sandbox.ca_pem())
}

fn set(sandbox: &Sandbox, when: When, fault: Fault) {
    sandbox.fault(Rule::new("/wp-json/wc/v3/customers", when, fault));
}

#[test]
fn rules_hit_the_requests_they_name() {
    let (sandbox, mut client) = start();
    let fault = Fault::TooManyRequests {
        retry_after: Some("7".into()),
    };
    set(&sandbox, When::Every(3), fault);
    let statuses: Vec<_> = (0..6).map(|_| client.get(LIST).status).collect();
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
    assert_eq!(client.get("/wp-json/wc/v3/products").status, 200);
    sandbox.clear_faults(None);
    set(&sandbox, When::Next(1), Fault::PhpFatal);
    assert_eq!(client.get(LIST).json()["code"], "internal_server_error");
    assert_eq!(client.get(LIST).status, 200);
}

#[test]
fn replies_are_spoilt_as_told() {
    let (sandbox, mut client) = start();
    let mut once = |fault| {
        set(&sandbox, When::Next(1), fault);
        let reply = client.get(LIST);
        sandbox.clear_faults(None);
        reply
    };
    let reply = once(Fault::Maintenance { html: false });
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("600")));
    assert!(once(Fault::Maintenance { html: true })
        .body
        .starts_with(b"<!DOCTYPE"));
    assert_eq!(
        once(Fault::HtmlPage).header("content-type"),
        Some("text/html; charset=UTF-8")
    );
    assert!(once(Fault::PhpWarning).body.starts_with(b"<br />"));
    let cut = once(Fault::CutJson { bytes: 40 });
    assert_eq!(
        (cut.status, cut.body.len(), cut.header("content-length")),
        (200, 40, Some("40"))
    );
    assert!(once(Fault::EmptyBody).body.is_empty());
    let moved = once(Fault::Redirect {
        to: "http://127.0.0.1:1/".into(),
        status: 301,
    });
    assert_eq!(
        (moved.status, moved.header("location")),
        (301, Some("http://127.0.0.1:1/"))
    );
    assert_eq!(once(Fault::WrongTotal { total: 9 }).total(), 9);
    let gone = once(Fault::Header {
        name: "X-WP-Total".into(),
        value: None,
        duplicate: false,
    });
    assert_eq!(gone.header("x-wp-total"), None);
    let twice = once(Fault::Header {
        name: "X-WP-Total".into(),
        value: Some("1".into()),
        duplicate: true,
    });
    assert_eq!(twice.headers.iter().filter(|(k, _)| k == "X-WP-Total").count(), 2);
}

#[test]
fn connections_break_as_told() {
    let (sandbox, mut client) = start();
    set(&sandbox, When::Next(1), Fault::CutBody { bytes: 30 });
    client.send("GET", LIST, &[basic("rw")], &[]);
    assert!(client.read(true).is_err());
    sandbox.clear_faults(None);
    set(&sandbox, When::Next(1), Fault::Reset);
    let mut plain = Client::new(&sandbox.url(), None);
    plain.send("GET", LIST, &[], &[]);
    let error = plain.read(true).err().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut again = connect(&sandbox);
    assert_eq!(again.get(LIST).status, 200);
}

/// Waits until the sandbox has so many requests in the works.
fn wait_for_running(sandbox: &Sandbox, number: u64) {
    let end = Instant::now() + Duration::from_secs(30);
    while sandbox.stats().running != number {
        assert!(Instant::now() < end, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_slow_reply_lets_others_go_before_and_comes_in_the_end() {
    let (sandbox, mut client) = start();
    set(&sandbox, When::Next(1), Fault::Slow { ms: 3_600_000 });
    client.send("GET", LIST, &[basic("rw")], &[]);
    wait_for_running(&sandbox, 1);
    let mut other = connect(&sandbox);
    assert_eq!(other.get(LIST).status, 200);
    // a reply is read a moment before it is noted as over
    wait_for_running(&sandbox, 1);
    set(&sandbox, When::Next(1), Fault::Slow { ms: 20 });
    assert_eq!(other.get(LIST).status, 200);
    // nor does one keep the sandbox from stopping
    drop(sandbox);
    assert!(client.read(true).is_err());
}

#[test]
fn a_hanging_reply_comes_when_it_is_released() {
    let (sandbox, mut client) = start();
    set(&sandbox, When::Next(2), Fault::Hang);
    client.send("GET", LIST, &[basic("rw")], &[]);
    let mut other = connect(&sandbox);
    other.send("GET", LIST, &[basic("rw")], &[]);
    wait_for_running(&sandbox, 2);
    drop(other);
    wait_for_running(&sandbox, 1);
    sandbox.release();
    assert_eq!(client.read(true).unwrap().status, 200);
    assert_eq!(sandbox.stats().max_running, 2);
}

#[test]
fn a_sandbox_stops_though_requests_hang() {
    let (sandbox, mut client) = start();
    set(&sandbox, When::All, Fault::Hang);
    client.send("GET", LIST, &[basic("rw")], &[]);
    wait_for_running(&sandbox, 1);
    drop(sandbox);
    assert!(client.read(true).is_err());
}

#[test]
fn control_calls_work_over_http() {
    let (sandbox, mut client) = start();
    let mut plain = Client::new(&sandbox.url(), None);
    let mut call = |name: &str, body: Value| {
        let body = serde_json::to_vec(&body).unwrap();
        plain.ask("POST", &format!("/_sandbox/{name}"), &[], &body)
    };
    let op = json!([
        {"op": "edit", "entity": "customers", "id": 7, "set": {"billing.city": "Ulm"}, "at": "2026-05-01T00:00:00"},
        {"op": "delete", "entity": "customers", "ids": [8]},
    ]);
    assert_eq!(call("mutate", op).status, 200);
    let record = call("record", json!({"entity": "customers", "id": 7})).json();
    assert_eq!(
        (&record["billing"]["city"], &record["date_modified_gmt"]),
        (&json!("Ulm"), &json!("2026-05-01T00:00:00"))
    );
    let truth = call("truth", json!({"entity": "customers"})).json();
    assert!(!truth["ids"].as_array().unwrap().contains(&json!(8)));
    let rule = json!({"path": "/wp-json", "when": {"next": 1}, "fault": {"kind": "too_many_requests", "retry_after": "1"}});
    assert_eq!(call("faults", rule).json()["id"], 1);
    assert_eq!(client.get(LIST).status, 429);
    let plan = json!({"path": "/wp-json/wc/v3/customers", "before": 1, "do": [{"op": "role", "id": 7, "role": "editor"}]});
    assert_eq!(call("schedule", plan).status, 200);
    assert_eq!(client.get("/wp-json/wc/v3/customers/7").json()["role"], "editor");
    let stats = call("stats", Value::Null).json();
    assert_eq!(
        (&stats["requests"], &stats["paths"]["/wp-json/wc/v3/customers"]),
        (&json!(2), &json!(1))
    );
    let seen = call("requests", Value::Null).json();
    assert_eq!(
        (&seen[0]["status"], &seen[1]["status"]),
        (&json!(429), &json!(200))
    );
    assert_eq!(call("mutate", json!({"op": "nonsense"})).status, 400);
    assert_eq!(call("skew", json!({"seconds": 60})).status, 200);
    assert_eq!(call("reset", json!({})).status, 200);
    assert_eq!(client.get("/wp-json/wc/v3/customers/8").status, 200);
}

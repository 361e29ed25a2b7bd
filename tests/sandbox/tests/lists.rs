//! Lists: pages, order, filters, dates, and that all of it follows from the seed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::Client;
use serde_json::json;
use sync_sandbox::{Config, Mutation, Sandbox, Version};

fn start(config: Config) -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config {
        https: true,
        ..config
    })
    .unwrap();
    let client = Client::new(&sandbox.https_url().unwrap(), sandbox.ca_pem());
    (sandbox, client)
}

fn path(query: &str) -> String {
    format!("/wp-json/wc/v3/{query}")
}

/// All ids of a list, page by page.
fn walk(client: &mut Client, query: &str) -> Vec<u64> {
    let mut all = Vec::new();
    for page in 1.. {
        let ids = client
            .get(&path(&format!("{query}&per_page=100&page={page}")))
            .ids();
        if ids.is_empty() {
            return all;
        }
        all.extend(ids);
    }
    all
}

#[test]
fn a_walk_by_id_meets_every_record_once() {
    let (sandbox, mut client) = start(Config {
        customers: 1234,
        ..Config::default()
    });
    let ids = walk(&mut client, "customers?role=all&orderby=id&order=asc");
    assert_eq!(ids, sandbox.truth("customers").unwrap());
    let customers = walk(&mut client, "customers?orderby=id&order=asc");
    assert_eq!(customers.len(), 1234);
    let down = walk(&mut client, "customers?orderby=id&order=desc");
    assert_eq!(down, customers.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn the_same_seed_gives_the_same_shop() {
    let make = |seed| {
        let (_sandbox, mut client) = start(Config {
            seed,
            ..Config::default()
        });
        let reply = client.get(&path(
            "customers?per_page=100&orderby=id&_fields=id,first_name,billing",
        ));
        (
            reply.body,
            client
                .get(&path("orders?per_page=50&_fields=id,total,customer_id"))
                .body,
        )
    };
    assert_eq!(make(7), make(7));
    assert_ne!(make(7), make(8));
}

#[test]
fn bytes_are_escaped_as_php_does() {
    let (_sandbox, mut client) = start(Config::default());
    for query in [
        "customers?per_page=100",
        "products?per_page=100",
        "orders?per_page=100",
    ] {
        let body = client.get(&path(query)).body;
        assert!(body.is_ascii(), "{query}");
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains(r"https:\/\/127.0.0.1"), "{query}");
        assert!(text.contains(r"\u00"), "{query}");
    }
}

#[test]
fn totals_past_the_end_differ_by_version() {
    for (version, total) in [(Version::V11, 0), (Version::V8, 390)] {
        let (_sandbox, mut client) = start(Config {
            version,
            ..Config::default()
        });
        let reply = client.get(&path("orders?per_page=100&page=99"));
        assert_eq!(
            (reply.status, reply.body.as_slice(), reply.total()),
            (200, &b"[]"[..], total)
        );
        assert_eq!(client.get(&path("customers?per_page=100&page=99")).total(), 300);
    }
}

#[test]
fn statuses_hide_what_the_real_ones_hide() {
    let (sandbox, mut client) = start(Config::default());
    let any = client.get(&path("orders?status=any")).total();
    let drafts = client.get(&path("orders?status=checkout-draft")).total();
    let trash = client.get(&path("orders?status=trash")).total();
    assert_eq!(any + drafts + trash, sandbox.truth("orders").unwrap().len());
    assert!(drafts > 0 && trash > 0);
    let custom = client.get(&path("orders?status=awaiting-shipment,trash")).total();
    assert!(custom > trash);
    let products = client.get(&path("products?status=any")).total();
    let trashed = client.get(&path("products?status=trash")).total();
    assert_eq!(products + trashed, sandbox.truth("products").unwrap().len());
}

#[test]
fn include_obeys_per_page_and_customers_ignore_modified_after() {
    let (_sandbox, mut client) = start(Config::default());
    let ids = "2,3,4,6,7,8,9,10,11,12,13,14";
    assert_eq!(
        client.get(&path(&format!("customers?include={ids}"))).ids().len(),
        10
    );
    assert_eq!(
        client
            .get(&path(&format!("customers?include={ids}&per_page=100")))
            .ids()
            .len(),
        12
    );
    assert_eq!(
        client
            .get(&path("customers?include[0]=3&include[1]=7&orderby=include"))
            .ids(),
        [3, 7]
    );
    assert_eq!(
        client
            .get(&path("customers?modified_after=2099-01-01T00:00:00"))
            .total(),
        300
    );
    assert_eq!(client.get(&path("customers?email=cust7@lab.example")).ids(), [7]);
}

#[test]
fn modified_after_is_strict_and_a_zone_with_the_flag_loses_changes() {
    let (sandbox, mut client) = start(Config::default());
    let at = "2026-01-15T12:00:00";
    let edit = Mutation::Edit {
        entity: "products".into(),
        id: 23,
        set: [("name".to_owned(), json!("new"))].into_iter().collect(),
        bump: true,
        at: Some(json!(at)),
    };
    sandbox.mutate(edit).unwrap();
    let mut after = |query: &str| {
        client
            .get(&path(&format!("products?modified_after={query}")))
            .ids()
    };
    assert_eq!(after("2026-01-15T11:59:59&dates_are_gmt=true"), [23]);
    assert_eq!(after("2026-01-15T12:00:00&dates_are_gmt=true"), [0_u64; 0]);
    // Without the flag, local time: an hour later in winter.
    assert_eq!(after("2026-01-15T12:59:59"), [23]);
    assert_eq!(after("2026-01-15T13:00:00"), [0_u64; 0]);
    assert_eq!(after("2026-01-15T11:59:59Z"), [23]);
    // A zone is turned into local time and then compared with UTC.
    assert_eq!(after("2026-01-15T11:59:59Z&dates_are_gmt=true"), [0_u64; 0]);
    assert_eq!(after("2026-01-15T10:59:59Z&dates_are_gmt=true"), [23]);
}

#[test]
fn local_dates_follow_summer_time() {
    let (sandbox, _client) = start(Config::default());
    for (utc, local) in [
        ("2026-03-29T00:59:59", "2026-03-29T01:59:59"),
        ("2026-03-29T01:00:00", "2026-03-29T03:00:00"),
        ("2026-10-25T00:59:59", "2026-10-25T02:59:59"),
        ("2026-10-25T01:00:00", "2026-10-25T02:00:00"),
    ] {
        sandbox
            .mutate_json(&json!({"op": "modified", "entity": "products", "id": 23, "at": utc}))
            .unwrap();
        let record = sandbox.record("products", 23).unwrap().unwrap();
        assert_eq!(
            (&record["date_modified_gmt"], &record["date_modified"]),
            (&json!(utc), &json!(local))
        );
    }
}

#[test]
fn version_8_loses_rows_that_tie() {
    let walk_by = |version| {
        let (sandbox, mut client) = start(Config {
            version,
            orders: 900,
            ..Config::default()
        });
        let ids = walk(&mut client, "orders?orderby=modified&order=asc");
        let distinct: BTreeSet<_> = ids.iter().copied().collect();
        (ids.len(), distinct.len(), sandbox.truth("orders").unwrap().len())
    };
    let (all, distinct, _) = walk_by(Version::V11);
    assert_eq!(all, distinct);
    let (all, distinct, _) = walk_by(Version::V8);
    assert!(distinct < all);
}

#[test]
fn variations_and_refunds_are_listed_as_each_version_can() {
    let (sandbox, mut client) = start(Config {
        big_variations: 150,
        ..Config::default()
    });
    let first = client.get(&path("products/32/variations?per_page=100&orderby=id&order=asc"));
    assert_eq!((first.total(), first.header("x-wp-totalpages")), (150, Some("2")));
    let all = walk(&mut client, "variations?orderby=id&order=asc");
    assert_eq!(all, sandbox.truth("variations").unwrap());
    assert_eq!(
        client.get(&path("refunds")).total(),
        sandbox.truth("refunds").unwrap().len()
    );
    let parent = client.get(&path("products/32")).json();
    assert_eq!(parent["variations"].as_array().unwrap().len(), 150);
    let (_sandbox, mut client) = start(Config {
        version: Version::V8,
        ..Config::default()
    });
    assert_eq!(client.get(&path("variations")).status, 404);
    assert_eq!(client.get(&path("refunds")).json()["code"], "rest_no_route");
}

#[test]
fn links_and_heads_are_there() {
    let (_sandbox, mut client) = start(Config::default());
    let reply = client.get(&path("customers?page=2&per_page=10"));
    let link = reply.header("link").unwrap();
    assert!(link.contains("page=1") && link.contains("rel=\"prev\""), "{link}");
    assert!(link.contains("page=3") && link.contains("rel=\"next\""), "{link}");
    let head = client.ask("HEAD", &path("customers"), &[common::basic("rw")], &[]);
    assert_eq!(head.total(), 300);
    // The connection is still in step.
    assert_eq!(client.get(&path("customers/7")).json()["id"], 7);
}

#[test]
fn products_are_listed_by_type_and_sku() {
    let (sandbox, mut client) = start(Config::default());
    let kind = |id: u64| sandbox.record("products", id).unwrap().unwrap()["type"].clone();
    let wanted = |kinds: &str| -> Vec<u64> {
        let all = sandbox.truth("products").unwrap().into_iter();
        all.filter(|id| kind(*id) == kinds).collect()
    };
    for kinds in ["variable", "grouped"] {
        let ids = walk(
            &mut client,
            &format!("products?type={kinds}&status=any&orderby=id&order=asc"),
        );
        assert!(!ids.is_empty());
        let any = |id: &u64| sandbox.record("products", *id).unwrap().unwrap()["status"] != "trash";
        assert_eq!(ids, wanted(kinds).into_iter().filter(any).collect::<Vec<_>>());
    }
    let bad = client.get(&path("products?type=box"));
    assert_eq!(bad.status, 400);
    assert_eq!(
        bad.json()["data"]["params"]["type"],
        "type is not one of simple, grouped, external, and variable."
    );
    // a comma parts SKUs, and may be in one
    for (id, sku) in [(23, "a,b"), (26, "a")] {
        sandbox
            .mutate_json(&json!({"op": "edit", "entity": "products", "id": id, "set": {"sku": sku}}))
            .unwrap();
    }
    let found = client
        .get(&path("products?sku=a,b&orderby=id&order=asc&status=any"))
        .ids();
    assert_eq!(found, [23, 26]);
}

#[test]
fn broken_records_are_counted_and_not_shown() {
    let (sandbox, mut client) = start(Config::default());
    let before = client.get(&path("orders")).total();
    let id = client.get(&path("orders?orderby=id&order=asc&per_page=1")).ids()[0];
    sandbox
        .mutate_json(&json!({"op": "hide", "entity": "orders", "ids": [id]}))
        .unwrap();
    let page = client.get(&path("orders?orderby=id&order=asc&per_page=2"));
    assert_eq!((page.total(), page.ids().len()), (before, 1));
    assert_eq!(client.get(&path(&format!("orders/{id}"))).status, 404);
    assert_eq!(sandbox.record("orders", id).unwrap(), None);
}

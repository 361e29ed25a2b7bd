//! Reading as clients of Odoo do: domains, dates, rights, and what is hidden from whom.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::odoo::{call, error, execute, json2, start};
use serde_json::{json, Value};
use sync_sandbox::odoo::{Config, Erp, Version};
use sync_sandbox::{Fault, Rule, Sandbox, When};

const VERSIONS: [Version; 3] = [Version::V17, Version::V18, Version::V19];

fn found(sandbox: &Sandbox<Erp>, model: &str, domain: Value) -> Vec<u64> {
    let everything = json!({"order": "id", "context": {"active_test": false}});
    serde_json::from_value(call(sandbox, model, "search", json!([domain]), everything)).unwrap()
}

/// The records for which a test on their JSON holds.
fn those(sandbox: &Sandbox<Erp>, model: &str, test: impl Fn(&Value) -> bool) -> Vec<u64> {
    let ids = sandbox.truth(model).unwrap().into_iter();
    ids.filter(|id| test(&sandbox.record(model, *id).unwrap().unwrap()))
        .collect()
}

#[test]
fn domains_find_what_they_say() {
    let sandbox = start(Version::V19);
    type Case = (&'static str, Value, fn(&Value) -> bool);
    let cases: Vec<Case> = vec![
        ("res.partner", json!([]), |_| true),
        ("res.partner", json!([["id", ">", 100], ["id", "<=", 140]]), |r| {
            (101..=140).contains(&r["id"].as_u64().unwrap())
        }),
        ("res.partner", json!([["is_company", "=", true]]), |r| {
            r["is_company"] == true
        }),
        ("res.partner", json!(["!", ["is_company", "=", true]]), |r| {
            r["is_company"] == false
        }),
        ("res.partner", json!([["email", "=", false]]), |r| {
            r["email"] == false
        }),
        (
            "res.partner",
            json!([["email", "!=", "info12@example.com"]]),
            |r| r["email"] != "info12@example.com",
        ),
        (
            "res.partner",
            json!(["|", ["ref", "=", "DUPREF"], ["city", "in", ["Berlin", false]]]),
            |r| r["ref"] == "DUPREF" || r["city"] == "Berlin" || r["city"] == false,
        ),
        ("res.partner", json!([["city", "not in", ["Berlin"]]]), |r| {
            r["city"] != "Berlin"
        }),
        ("res.partner", json!([["name", "like", "Müller"]]), |r| {
            r["name"].as_str().is_some_and(|n| n.contains("Müller"))
        }),
        ("res.partner", json!([["name", "ilike", "MÜLLER%00"]]), |r| {
            let name = r["name"].as_str().unwrap_or_default().to_lowercase();
            name.find("müller").is_some_and(|at| name[at..].contains("00"))
        }),
        ("res.partner", json!([["country_id.code", "=", "DE"]]), |r| {
            r["country_id"][0] == 57
        }),
        ("res.partner", json!([["active", "=", false]]), |r| {
            r["active"] == false
        }),
        (
            "product.product",
            json!([["product_tmpl_id", "in", [4, 5]]]),
            |r| [4, 5].contains(&r["product_tmpl_id"][0].as_u64().unwrap()),
        ),
        ("product.category", json!([["id", "child_of", 1]]), |r| {
            r["parent_path"].as_str().unwrap().starts_with("1/")
        }),
        ("sale.order", json!([["amount_total", ">=", 5000]]), |r| {
            r["amount_total"].as_f64() >= Some(5000.0)
        }),
        (
            "sale.order.line",
            json!([["order_id.state", "=", "draft"]]),
            |r| r["state"] == "draft",
        ),
        (
            "stock.quant",
            json!([["location_id.usage", "=", "internal"]]),
            |r| r["warehouse_id"] != false,
        ),
    ];
    for (model, domain, test) in cases {
        let truth = those(&sandbox, model, test);
        assert!(!truth.is_empty(), "{domain}");
        assert_eq!(found(&sandbox, model, domain.clone()), truth, "{domain}");
        let count = call(
            &sandbox,
            model,
            "search_count",
            json!([domain]),
            json!({"context": {"active_test": false}}),
        );
        assert_eq!(count, truth.len(), "{domain}");
    }
}

#[test]
fn pages_and_orders_are_as_asked() {
    let sandbox = start(Version::V17);
    let all = found(&sandbox, "product.template", json!([]));
    let page = json!({"order": "id desc", "offset": 3, "limit": 5, "context": {"active_test": false}});
    let ids = call(&sandbox, "product.template", "search", json!([[]]), page);
    let expected: Vec<u64> = all.iter().rev().skip(3).take(5).copied().collect();
    assert_eq!(ids, json!(expected));
    let rows = json!({"fields": ["categ_id", "list_price"], "order": "list_price desc, id", "limit": 50});
    let rows = call(&sandbox, "product.template", "search_read", json!([[]]), rows);
    let prices: Vec<f64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["list_price"].as_f64().unwrap())
        .collect();
    assert!(prices.windows(2).all(|pair| pair[0] >= pair[1]), "{prices:?}");
}

/// The dates that are found by an operator, as distances in milliseconds from a whole second.
fn by_date(version: Version, operator: &str) -> Vec<i64> {
    let sandbox = start(version);
    let offsets = [-1000, -1, 0, 1, 500, 999, 1000, 1001];
    let ids = &sandbox.truth("res.partner").unwrap()[..offsets.len()];
    let second = 1_780_000_000_000_i64;
    for (id, offset) in ids.iter().zip(offsets) {
        let at = (second + offset) as f64 / 1000.0;
        let op = json!({"op": "modified", "entity": "res.partner", "id": id, "at": at});
        sandbox.mutate_json(&op).unwrap();
    }
    let date = sandbox.record("res.partner", ids[2]).unwrap().unwrap()["write_date"].clone();
    let domain = json!([["write_date", operator, date], ["id", "in", ids]]);
    let ids: Vec<usize> = found(&sandbox, "res.partner", domain)
        .iter()
        .map(|id| ids.iter().position(|i| i == id).unwrap())
        .collect();
    ids.into_iter().map(|i| offsets[i]).collect()
}

#[test]
fn version_17_compares_dates_by_the_microsecond_and_19_by_the_second() {
    let cases: [(&str, &[i64], &[i64]); 5] = [
        (">=", &[0, 1, 500, 999, 1000, 1001], &[0, 1, 500, 999, 1000, 1001]),
        (">", &[1, 500, 999, 1000, 1001], &[1000, 1001]),
        ("<", &[-1000, -1], &[-1000, -1]),
        ("<=", &[-1000, -1, 0], &[-1000, -1, 0, 1, 500, 999]),
        ("=", &[0], &[0, 1, 500, 999]),
    ];
    for (operator, in_17, in_19) in cases {
        assert_eq!(by_date(Version::V17, operator), in_17, "17 {operator}");
        assert_eq!(by_date(Version::V19, operator), in_19, "19 {operator}");
    }
}

#[test]
fn archived_records_are_hidden_unless_asked_for() {
    for version in VERSIONS {
        let sandbox = start(version);
        let archived = those(&sandbox, "res.partner", |r| r["active"] == false);
        assert!(!archived.is_empty());
        let plain = call(
            &sandbox,
            "res.partner",
            "search",
            json!([[["id", "in", archived]]]),
            json!({}),
        );
        assert_eq!(plain, json!([]));
        let read = call(
            &sandbox,
            "res.partner",
            "read",
            json!([archived, ["active"]]),
            json!({}),
        );
        assert_eq!(read.as_array().unwrap().len(), archived.len());
    }
}

#[test]
fn rules_filter_searches_silently_and_refuse_reads() {
    for version in VERSIONS {
        let sandbox = start(version);
        let rules = json!({"user": "apiuser", "rules": {"res.partner": [["id", "<", 60]]}});
        sandbox.configure(&rules).unwrap();
        let seen = found(&sandbox, "res.partner", json!([]));
        assert_eq!(
            seen,
            those(&sandbox, "res.partner", |r| r["id"].as_u64() < Some(60))
        );
        let gone = 9_999_999;
        let read = call(
            &sandbox,
            "res.partner",
            "read",
            json!([[50, gone], ["name"]]),
            json!({}),
        );
        assert_eq!(read.as_array().unwrap().len(), 1);
        let hidden = execute(
            &sandbox,
            (7, "apiuser"),
            "res.partner",
            "read",
            json!([[50, 100], ["name"]]),
            json!({}),
        );
        assert_eq!(error(&hidden), "odoo.exceptions.AccessError");
        sandbox
            .configure(&json!({"user": "apiuser", "rules": {}, "denied": ["res.partner"]}))
            .unwrap();
        let denied = execute(
            &sandbox,
            (7, "apiuser"),
            "res.partner",
            "search",
            json!([[]]),
            json!({}),
        );
        assert_eq!(error(&denied), "odoo.exceptions.AccessError");
    }
}

#[test]
fn companies_limit_what_is_seen() {
    let sandbox = start(Version::V19);
    let one = json!({"order": "id", "context": {"active_test": false, "allowed_company_ids": [2]}});
    let ids = call(&sandbox, "sale.order", "search", json!([[]]), one);
    assert_eq!(
        ids,
        json!(those(&sandbox, "sale.order", |r| r["company_id"][0] == 2))
    );
    let both = those(&sandbox, "sale.order", |r| r["company_id"][0] == 1).len();
    assert!(both > 0 && both < sandbox.truth("sale.order").unwrap().len());
    sandbox
        .configure(&json!({"user": "apiuser", "companies": [1]}))
        .unwrap();
    assert_eq!(found(&sandbox, "sale.order", json!([])).len(), both);
    let other = json!({"context": {"allowed_company_ids": [2]}});
    let other = execute(
        &sandbox,
        (7, "apiuser"),
        "sale.order",
        "search",
        json!([[]]),
        other,
    );
    assert_eq!(error(&other), "odoo.exceptions.AccessError");
}

#[test]
fn an_expired_key_is_refused_by_both_transports() {
    let sandbox = start(Version::V19);
    assert_eq!(
        json2(&sandbox, "apiuser", "res.users", "context_get", &json!({})).json()["uid"],
        7
    );
    sandbox
        .configure(&json!({"user": "apiuser", "expired": true}))
        .unwrap();
    let reply = json2(&sandbox, "apiuser", "res.users", "context_get", &json!({}));
    assert_eq!(
        (reply.status, &reply.json()["message"]),
        (401, &json!("Invalid apikey"))
    );
    let reply = execute(
        &sandbox,
        (7, "apiuser"),
        "res.users",
        "context_get",
        json!([]),
        json!({}),
    );
    assert_eq!(error(&reply), "odoo.exceptions.AccessDenied");
}

#[test]
fn both_transports_bring_the_same_and_close_the_connection() {
    let sandbox = start(Version::V19);
    let fields = json!([
        "name",
        "list_price",
        "categ_id",
        "product_variant_ids",
        "write_date"
    ]);
    let order = "id asc";
    let kwargs = json!({"fields": fields, "order": order, "limit": 100});
    let rpc = call(
        &sandbox,
        "product.template",
        "search_read",
        json!([[["id", ">", 9]]]),
        kwargs,
    );
    let args = json!({"domain": [["id", ">", 9]], "fields": fields, "order": order, "limit": 100});
    let reply = json2(&sandbox, "apiuser", "product.template", "search_read", &args);
    assert_eq!(reply.json(), rpc);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str())
    );
    let stats = sandbox.stats();
    assert_eq!((stats.requests, stats.connections), (2, 2));
    assert_eq!(stats.paths["/jsonrpc/product.template/search_read"], 1);
    let seen = sandbox.requests();
    assert!(
        seen.iter()
            .all(|r| r.query.contains("list_price") && !r.query.contains("key_")),
        "{seen:?}"
    );
}

#[test]
fn faults_hit_the_calls_of_one_method() {
    for version in VERSIONS {
        let sandbox = start(version);
        let failing = Fault::Error {
            name: "psycopg2.errors.SerializationFailure".into(),
            message: "could not serialize access due to concurrent update".into(),
        };
        sandbox.fault(Rule::new("/jsonrpc/sale.order/", When::Next(1), failing));
        let ask = || {
            execute(
                &sandbox,
                (7, "apiuser"),
                "sale.order",
                "search_count",
                json!([[]]),
                json!({}),
            )
        };
        let partners = execute(
            &sandbox,
            (7, "apiuser"),
            "res.partner",
            "search_count",
            json!([[]]),
            json!({}),
        );
        assert!(partners["result"].is_u64());
        let reply = ask();
        assert_eq!(
            (error(&reply), &reply["id"]),
            ("psycopg2.errors.SerializationFailure", &json!(5))
        );
        assert!(ask()["result"].is_u64());
    }
}

#[test]
fn a_million_records_are_searched_without_being_stored() {
    let sandbox = Sandbox::start(Config {
        partners: 1_000_000,
        ..Config::default()
    })
    .unwrap();
    let everything = json!({"context": {"active_test": false}});
    let count = call(
        &sandbox,
        "res.partner",
        "search_count",
        json!([[]]),
        everything.clone(),
    );
    assert_eq!(count, sandbox.truth("res.partner").unwrap().len());
    let mut kwargs = everything;
    kwargs["fields"] = json!(["name", "parent_id", "write_date"]);
    kwargs["order"] = json!("id");
    kwargs["limit"] = json!(1000);
    let page = call(
        &sandbox,
        "res.partner",
        "search_read",
        json!([[["id", ">", 900_000]]]),
        kwargs,
    );
    let ids: Vec<u64> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_u64().unwrap())
        .collect();
    let truth = sandbox.truth("res.partner").unwrap().into_iter();
    let expected: Vec<u64> = truth.filter(|id| *id > 900_000).take(1000).collect();
    assert_eq!(ids, expected);
}

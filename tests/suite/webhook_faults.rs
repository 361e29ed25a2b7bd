//! Webhooks that are forged, broken, or come at a bad time.

use serde_json::{json, Value};
use sync_ext_tests::{sqlstate, wait_until};
use sync_sandbox::{Fault, Rule, Version, When};

use crate::shop::Shop;
use crate::webhook::{deliver, headers, hooked, ingest, know_secret, sign};
use crate::worker_shop::{refused, Call, PATIENCE};

/// The state of the ledger that a refused webhook must not change.
#[track_caller]
fn assert_refused(shop: &mut Shop, headers: &Value, body: &[u8], state: &str) -> String {
    let places = shop.places();
    let told = refused(ingest(shop, headers, body), state);
    assert_eq!(shop.places(), places);
    assert_eq!(shop.sandbox.stats().requests, 0);
    assert_eq!(
        shop.number("SELECT count(*) FROM sync_run WHERE kind = 'webhook'"),
        0
    );
    told
}

#[test]
fn a_wrong_or_missing_signature_is_refused_and_nothing_told() {
    let mut shop = hooked(Version::V11);
    let body = json!({ "id": shop.listed("customers")[0] }).to_string();
    let right = sign(&body);
    for signature in [Value::Null, json!(""), json!("nonsense"), json!(sign("other"))] {
        let mut headers = headers("customer.updated", &body, "d1");
        headers["X-WC-Webhook-Signature"] = signature;
        let told = assert_refused(&mut shop, &headers, body.as_bytes(), "42501");
        assert!(
            told.contains("webhook_secret") && !told.contains(&right) && !told.contains("s3cret"),
            "{told}"
        );
    }
    let signed = headers("customer.updated", &body, "d1");
    assert_refused(&mut shop, &signed, format!("{body} ").as_bytes(), "42501");
    // a forged delivery doesn't stand in the way of the real one
    assert_eq!(
        ingest(&mut shop, &signed, body.as_bytes()).unwrap()["status"],
        "pulled"
    );
}

#[test]
fn what_can_t_be_read_is_refused() {
    let mut shop = hooked(Version::V11);
    for body in ["<html>", "[1]", "{\"id\": \"x\"}", "{\"id\": 1"] {
        let headers = headers("customer.updated", body, "d1");
        assert_refused(&mut shop, &headers, body.as_bytes(), "22023");
    }
    assert_refused(&mut shop, &json!({}), &[0xff, 0xfe], "22023");
    assert_refused(&mut shop, &json!(["headers"]), b"{}", "22023");
    assert_refused(&mut shop, &json!({}), &vec![b' '; 3 * 1024 * 1024], "22023");
    assert_refused(&mut shop, &json!({ "x": "y".repeat(70_000) }), b"{}", "22023");
}

#[test]
fn a_large_body_is_taken() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("products")[0];
    let body = json!({ "id": id, "description": "x".repeat(1_500_000) });
    assert_eq!(
        deliver(&mut shop, "product.updated", &body, "d1")["status"],
        "pulled"
    );
}

#[test]
fn without_a_secret_deliveries_are_refused_and_pings_are_not() {
    let mut shop = Shop::new(Version::V11);
    let body = "{\"id\": 1}";
    let told = assert_refused(
        &mut shop,
        &headers("customer.updated", body, "d1"),
        body.as_bytes(),
        "55000",
    );
    assert!(told.contains("webhook_secret"), "{told}");
    assert_eq!(
        ingest(&mut shop, &json!({}), b"webhook_id=1").unwrap()["status"],
        "ping"
    );
}

#[test]
fn who_may_only_read_may_not_deliver() {
    let shop = hooked(Version::V11);
    let call = "SELECT sync_ingest_webhook('woocommerce', '{}', 'webhook_id=1')";
    let mut reader = shop.db.connect_as(&shop.db.role("read", shop.org), shop.org);
    refused(reader.batch_execute(call), "42501");
    let mut operator = shop.db.connect_as(&shop.db.role("operate", shop.org), shop.org);
    operator.batch_execute(call).unwrap();
    refused(
        operator.batch_execute(&call.replace("woocommerce", "nobody")),
        "42704",
    );
    operator
        .batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        .unwrap();
    refused(operator.batch_execute(call), "25001");
}

#[test]
fn a_delivery_that_the_shop_can_t_confirm_is_not_remembered() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("customers")[3];
    shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": { "first_name": "Zoë" } }));
    let body = json!({ "id": id }).to_string();
    let signed = headers("customer.updated", &body, "d1");
    for (fault, state) in [(Fault::Reset, "08006"), (Fault::HtmlPage, "08P01")] {
        shop.sandbox.fault(Rule::new("/", When::All, fault));
        assert_eq!(sqlstate(ingest(&mut shop, &signed, body.as_bytes())), state);
        shop.sandbox.clear_faults(None);
    }
    assert!(shop.delta("customers").is_empty());
    // the failure of a webhook is none of the pull's
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "degraded");
    let types = health["entityTypes"].as_array().unwrap();
    let customers = types.iter().find(|t| t["entityType"] == "customers").unwrap();
    assert_eq!(customers["status"], "success");

    assert_eq!(
        ingest(&mut shop, &signed, body.as_bytes()).unwrap()["change"],
        "updated"
    );
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "ok");
}

#[test]
fn a_shop_that_is_gone_is_told_and_the_delivery_can_come_again() {
    let mut shop = hooked(Version::V11);
    let body = json!({ "id": shop.listed("customers")[3] }).to_string();
    let signed = headers("customer.updated", &body, "d1");
    let url = "UPDATE integration_connector SET base_url = ";
    shop.root
        .batch_execute(&format!("{url} 'http://127.0.0.1:9'"))
        .unwrap();
    assert_eq!(sqlstate(ingest(&mut shop, &signed, body.as_bytes())), "08001");
    let there = shop.sandbox.url();
    shop.root.batch_execute(&format!("{url} '{there}'")).unwrap();
    assert_eq!(
        ingest(&mut shop, &signed, body.as_bytes()).unwrap()["status"],
        "pulled"
    );
}

#[test]
fn during_a_pull_a_record_is_noted_for_the_next_and_nobody_blocks_anybody() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("customers")[3];
    shop.sandbox.fault(Rule::new("/", When::All, Fault::Hang));
    let role = shop.db.role("operate", shop.org);
    let call = Call::start(
        shop.db.connect_as(&role, shop.org),
        "SELECT sync_pull('woocommerce', 'customers')",
    );
    wait_until(PATIENCE, || shop.sandbox.stats().running > 0);
    let body = json!({ "id": id });
    assert_eq!(
        deliver(&mut shop, "customer.updated", &body, "d1")["status"],
        "noted"
    );
    let hints = "SELECT hints FROM sync_state WHERE entity_type = 'customers'";
    assert_eq!(shop.number(hints), 1);
    shop.sandbox.clear_faults(None);
    shop.sandbox.release();
    call.finish().unwrap();
    // that pull had begun before
    assert_eq!(shop.number(hints), 1);
    shop.pull("customers");
    assert_eq!(shop.number(hints), 0);
    assert_eq!(
        deliver(&mut shop, "customer.updated", &body, "d1")["status"],
        "duplicate"
    );
}

#[test]
fn many_at_once_are_all_carried_out() {
    let mut shop = hooked(Version::V11);
    let ids = shop.listed("customers")[..8].to_vec();
    let role = shop.db.role("operate", shop.org);
    shop.change(
        json!({ "op": "bulk", "entity": "customers", "ids": ids, "set": { "first_name": "Somebody else" } }),
    );
    let deliveries = |id: &u64| {
        let body = json!({ "id": id }).to_string();
        let headers = headers("customer.updated", &body, &format!("d{id}"));
        format!("SELECT sync_ingest_webhook('woocommerce', '{headers}', '{body}') ->> 'status'")
    };
    let calls: Vec<Call> = ids
        .iter()
        .map(|id| Call::start(shop.db.connect_as(&role, shop.org), &deliveries(id)))
        .collect();
    let told: Vec<String> = calls.into_iter().map(|call| call.finish().unwrap()).collect();
    assert_eq!(told, vec!["pulled"; 8]);
    assert_eq!(shop.delta("customers").len(), 8);
    shop.assert_mirrored("customers");
}

#[test]
fn deliveries_are_forgotten_in_time_and_with_the_connector() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("customers")[3];
    deliver(&mut shop, "customer.updated", &json!({ "id": id }), "d1");
    let kept = "SELECT count(*) FROM sync_webhook_delivery";
    shop.root
        .batch_execute("UPDATE sync_webhook_delivery SET received_at = now() - interval '29 days'")
        .unwrap();
    shop.db.psql("SELECT sync_maintain()");
    assert_eq!(shop.db.psql(kept), "1");
    shop.root
        .batch_execute("UPDATE sync_webhook_delivery SET received_at = now() - interval '31 days'")
        .unwrap();
    shop.db.psql("SELECT sync_maintain()");
    assert_eq!(shop.db.psql(kept), "0");
    deliver(&mut shop, "customer.updated", &json!({ "id": id }), "d1");
    shop.sql
        .batch_execute("SELECT sync_disconnect('woocommerce')")
        .unwrap();
    assert_eq!(shop.db.psql(kept), "0");
    know_secret(&mut shop);
}

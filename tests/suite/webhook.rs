//! Webhooks: who sent it is checked, and the record that it names is read from the shop.

use base64::prelude::{Engine, BASE64_STANDARD};
use postgres::Error;
use ring::hmac;
use serde_json::{json, Value};
use sync_sandbox::Version;

use crate::shop::{small, Shop};

pub const SECRET: &str = "hook-s3cret";

/// A shop whose webhooks are known, with all customers and products in the ledger and the local tables.
pub fn hooked(version: Version) -> Shop {
    let mut shop = Shop::with(small(version), json!({}));
    know_secret(&mut shop);
    for entity in ["customers", "products"] {
        shop.pull(entity);
        shop.fill(entity);
    }
    shop.sandbox.reset_stats();
    shop
}

/// Connects again, with the webhook's secret among the credentials.
pub fn know_secret(shop: &mut Shop) {
    let credentials =
        json!({ "consumer_key": "ck_rw", "consumer_secret": "cs_rw", "webhook_secret": SECRET });
    let settings = json!({ "requests_per_second": 10_000 });
    let url = shop.sandbox.url();
    shop.sql
        .query_one(
            "SELECT sync_connect(kind => 'woocommerce', base_url => $1, credentials => $2, settings => $3)",
            &[&url, &credentials, &settings],
        )
        .unwrap();
}

pub fn sign(body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    BASE64_STANDARD.encode(hmac::sign(&key, body.as_bytes()))
}

/// What the shop sends, under a name of the delivery.
pub fn headers(topic: &str, body: &str, delivery: &str) -> Value {
    json!({
        "X-WC-Webhook-Source": "https://shop.example.com/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Signature": sign(body),
        "X-WC-Webhook-ID": "14",
        "x-wc-webhook-delivery-id": delivery,
    })
}

pub fn ingest(shop: &mut Shop, headers: &Value, body: &[u8]) -> Result<Value, Error> {
    let call = "SELECT sync_ingest_webhook('woocommerce', $1, $2)";
    Ok(shop.sql.query_one(call, &[headers, &body])?.get(0))
}

#[track_caller]
pub fn deliver(shop: &mut Shop, topic: &str, body: &Value, delivery: &str) -> Value {
    let body = body.to_string();
    ingest(shop, &headers(topic, &body, delivery), body.as_bytes())
        .unwrap_or_else(|error| panic!("{topic} {body}: {error:?}"))
}

#[track_caller]
fn assert_told(reply: &Value, expected: Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&reply[name], value, "{name}: {reply}");
    }
}

#[test]
fn a_change_is_in_the_delta_at_once_as_the_shop_has_it() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("customers")[3];
    shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": { "first_name": "Zoë" } }));
    // what the body says is not believed
    let body = json!({ "id": id, "first_name": "Mallory", "email": "mallory@example.com" });
    let reply = deliver(&mut shop, "customer.updated", &body, "d1");
    assert_told(
        &reply,
        json!({ "status": "pulled", "entityType": "customers", "externalId": id.to_string(),
                "topic": "customer.updated", "change": "updated", "effect": "updated" }),
    );
    assert_eq!(shop.sandbox.stats().requests, 1, "one record costs one request");
    let delta = shop.delta("customers");
    assert_eq!(delta.len(), 1);
    assert_eq!(delta[&id.to_string()], "updated");
    shop.assert_mirrored("customers");
    // the next pull has nothing left to do
    let pulled = shop.pull("customers");
    assert_eq!(
        (&pulled["inserted"], &pulled["updated"], &pulled["deleted"]),
        (&json!(0), &json!(0), &json!(0))
    );
}

#[test]
fn what_is_new_and_what_is_gone_is_shown_as_such() {
    let mut shop = hooked(Version::V11);
    let new = shop.change(json!({ "op": "create", "entity": "customers" }))[0];
    let reply = deliver(&mut shop, "customer.created", &json!({ "id": new }), "d1");
    assert_told(
        &reply,
        json!({ "status": "pulled", "change": "new", "effect": "inserted" }),
    );
    let gone = shop.listed("customers")[0];
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": [gone] }));
    let reply = deliver(&mut shop, "customer.deleted", &json!({ "id": gone }), "d2");
    assert_told(
        &reply,
        json!({ "status": "pulled", "change": "deleted", "effect": "deleted" }),
    );
    assert_eq!(shop.delta("customers").len(), 2);
    shop.assert_mirrored("customers");
    // a deletion is not believed either
    let there = shop.listed("customers")[5];
    let reply = deliver(&mut shop, "customer.deleted", &json!({ "id": there }), "d3");
    assert_told(
        &reply,
        json!({ "status": "pulled", "change": null, "effect": "unchanged" }),
    );
    // nor is a record that never was
    let reply = deliver(&mut shop, "customer.updated", &json!({ "id": 987_654_321 }), "d4");
    assert_told(
        &reply,
        json!({ "status": "pulled", "change": null, "effect": "absent" }),
    );
    shop.assert_mirrored("customers");
}

#[test]
fn a_new_record_is_linked_to_the_local_row_that_it_is() {
    let mut shop = hooked(Version::V11);
    shop.sql
        .batch_execute("INSERT INTO sync_customers (email, first_name) VALUES ('ada@example.com', 'Ada')")
        .unwrap();
    let set = json!({ "email": "Ada@example.com", "first_name": "Ada L." });
    let id = shop.change(json!({ "op": "create", "entity": "customers", "set": set }))[0];
    let reply = deliver(&mut shop, "customer.created", &json!({ "id": id }), "d1");
    assert_told(&reply, json!({ "change": "updated", "effect": "inserted" }));
}

#[test]
fn a_user_of_another_role_is_no_customer() {
    let mut shop = hooked(Version::V11);
    let id = shop.change(json!({ "op": "create", "entity": "customers" }))[0];
    shop.change(json!({ "op": "role", "id": id, "role": "shop_manager" }));
    let reply = deliver(&mut shop, "customer.updated", &json!({ "id": id }), "d1");
    assert_told(
        &reply,
        json!({ "status": "pulled", "change": null, "effect": "absent" }),
    );
    // one who was taken up as a customer is kept, as by a pull
    let known = shop.listed("customers")[2];
    shop.change(json!({ "op": "role", "id": known, "role": "shop_manager" }));
    let reply = deliver(&mut shop, "customer.updated", &json!({ "id": known }), "d2");
    assert_told(&reply, json!({ "change": "updated", "effect": "updated" }));
}

#[test]
fn products_go_with_the_trash_and_come_back() {
    let mut shop = hooked(Version::V11);
    let linked = shop.sql.query_one(
        "SELECT external_id FROM sync_record WHERE entity = 2 AND change IS NULL AND parent_id IS NULL ORDER BY id LIMIT 1",
        &[],
    );
    let id: u64 = linked.unwrap().get::<_, String>(0).parse().unwrap();
    let states = json!({ "op": "trash", "entity": "products", "ids": [id] });
    shop.change(states.clone());
    let reply = deliver(&mut shop, "product.deleted", &json!({ "id": id }), "d1");
    assert_told(&reply, json!({ "entityType": "products", "change": "deleted" }));
    shop.change(json!({ "op": "restore", "entity": "products", "ids": [id] }));
    let back = json!({ "id": id, "type": "simple", "date_modified_gmt": "2026-01-01T00:00:00" });
    let reply = deliver(&mut shop, "product.restored", &back, "d2");
    assert_told(&reply, json!({ "status": "pulled", "effect": "updated" }));
    assert_ne!(reply["change"], "deleted");
    // the body of a deletion is always the same: that one comes again is no replay
    shop.change(states);
    let reply = deliver(&mut shop, "product.deleted", &json!({ "id": id }), "d3");
    assert_told(&reply, json!({ "status": "pulled", "change": "deleted" }));
    shop.assert_mirrored("products");
}

#[test]
fn a_variation_is_read_at_its_product() {
    for version in [Version::V8, Version::V11] {
        let mut shop = hooked(version);
        let products = shop.listed("products");
        let parent = *products
            .iter()
            .find(|id| !shop.variations(**id).is_empty())
            .unwrap();
        let id = shop.variations(parent)[0];
        shop.change(
            json!({ "op": "edit", "entity": "variations", "id": id, "set": { "regular_price": "77.70" } }),
        );
        let body = json!({ "id": id, "type": "variation", "parent_id": parent });
        let reply = deliver(&mut shop, "product.updated", &body, "d1");
        assert_told(&reply, json!({ "status": "pulled", "effect": "updated" }));
        shop.assert_mirrored("products");
        // a deletion names the id alone: the ledger knows where it was
        shop.change(json!({ "op": "delete", "entity": "variations", "ids": [id] }));
        let reply = deliver(&mut shop, "product.deleted", &json!({ "id": id }), "d2");
        assert_told(&reply, json!({ "effect": "deleted" }));
        shop.assert_mirrored("products");
    }
}

#[test]
fn an_order_is_read_before_any_pull_of_orders() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("orders")[4];
    let reply = deliver(&mut shop, "order.updated", &json!({ "id": id }), "d1");
    assert_told(
        &reply,
        json!({ "entityType": "orders", "change": "new", "effect": "inserted" }),
    );
    assert_eq!(shop.ledger("orders").len(), 1);
    // the next pull is still a first one
    assert_eq!(shop.pull("orders")["pass"], "full");
    shop.assert_mirrored("orders");
}

#[test]
fn a_replay_is_ignored_under_whatever_name_it_comes() {
    let mut shop = hooked(Version::V11);
    let id = shop.listed("customers")[3];
    let body = json!({ "id": id, "date_modified_gmt": "2026-01-01T00:00:00" });
    assert_eq!(
        deliver(&mut shop, "customer.updated", &body, "d1")["status"],
        "pulled"
    );
    shop.sandbox.reset_stats();
    for delivery in ["d1", "d2"] {
        let reply = deliver(&mut shop, "customer.updated", &body, delivery);
        assert_told(
            &reply,
            json!({ "status": "duplicate", "entityType": "customers", "externalId": id.to_string() }),
        );
    }
    assert_eq!(shop.sandbox.stats().requests, 0);
    let later = json!({ "id": id, "date_modified_gmt": "2026-01-02T00:00:00" });
    assert_eq!(
        deliver(&mut shop, "customer.updated", &later, "d3")["status"],
        "pulled"
    );
}

/// WooCommerce names deliveries after the webhook and the second.
#[test]
fn changes_of_one_second_come_under_one_name_and_are_all_carried_out() {
    let mut shop = hooked(Version::V11);
    let ids = shop.listed("customers");
    shop.change(
        json!({ "op": "bulk", "entity": "customers", "ids": ids[3..6], "set": { "first_name": "Zoë" } }),
    );
    for id in &ids[3..6] {
        assert_eq!(
            deliver(&mut shop, "customer.updated", &json!({ "id": id }), "d1")["status"],
            "pulled"
        );
    }
    assert_eq!(shop.delta("customers").len(), 3);
    // one record twice: the second is another change
    shop.change(
        json!({ "op": "edit", "entity": "customers", "id": ids[3], "set": { "last_name": "Ó Dálaigh" } }),
    );
    let body = json!({ "id": ids[3], "last_name": "Ó Dálaigh" });
    assert_eq!(
        deliver(&mut shop, "customer.updated", &body, "d1")["status"],
        "pulled"
    );
    shop.assert_mirrored("customers");
    for body in [body, json!({ "id": ids[4] })] {
        assert_eq!(
            deliver(&mut shop, "customer.updated", &body, "d1")["status"],
            "duplicate"
        );
    }
}

#[test]
fn the_greeting_of_a_new_webhook_and_other_topics_are_answered_and_change_nothing() {
    let mut shop = hooked(Version::V11);
    let reply = ingest(
        &mut shop,
        &json!({ "Content-Type": "application/x-www-form-urlencoded" }),
        b"webhook_id=14",
    );
    assert_eq!(reply.unwrap(), json!({ "status": "ping", "webhookId": "14" }));
    let reply = deliver(&mut shop, "coupon.created", &json!({ "id": 3 }), "d1");
    assert_eq!(reply, json!({ "status": "ignored", "topic": "coupon.created" }));
    assert_eq!(shop.sandbox.stats().requests, 0);
    let runs = "SELECT count(*) FROM sync_run WHERE kind = 'webhook'";
    assert_eq!(shop.number(runs), 0);
}

#[test]
fn a_preview_shows_it_and_the_log_has_it() {
    let mut shop = hooked(Version::V11);
    shop.preview("customers");
    assert_eq!(shop.preview("customers")["cacheHit"], true);
    let id = shop.listed("customers")[3];
    shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": { "first_name": "Zoë" } }));
    deliver(&mut shop, "customer.updated", &json!({ "id": id }), "d1");
    let preview = shop.preview("customers");
    assert_eq!(
        (&preview["cacheHit"], &preview["delta"]["updated"]["count"]),
        (&json!(false), &json!(1))
    );
    let log = shop.sql.query_one(
        "SELECT status, record_count, entity_type FROM sync_activity_log WHERE activity_type = 'webhook'",
        &[],
    );
    let log = log.unwrap();
    assert_eq!(
        (
            log.get::<_, String>(0),
            log.get::<_, i32>(1),
            log.get::<_, String>(2)
        ),
        ("completed".into(), 1, "customers".into())
    );
    assert_eq!(
        shop.number(
            "SELECT count(*) FROM sync_progress WHERE entity_type = 'customers' AND status <> 'completed'"
        ),
        0
    );
}

/// WooCommerce signs whatever its own API answers to the webhook's user.
#[test]
fn a_webhook_whose_user_may_view_nothing_is_told_in_the_health() {
    let mut shop = hooked(Version::V11);
    let body = r#"{"code":"woocommerce_rest_cannot_view","message":"Sorry.","data":{"status":403}}"#;
    let reply = ingest(
        &mut shop,
        &headers("customer.updated", body, "d-1"),
        body.as_bytes(),
    )
    .unwrap();
    assert_eq!(reply["status"], "ignored");
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "degraded");
    let told = health["connectors"][0]["lastError"].as_str().unwrap();
    assert!(told.contains("woocommerce_rest_cannot_view"), "{told}");
    assert_eq!(reply["reason"], told);
    // the record has gone since: nothing is wrong with that
    shop.pull("customers");
    let body = r#"{"code":"woocommerce_rest_invalid_id","message":"Invalid.","data":{"status":404}}"#;
    ingest(
        &mut shop,
        &headers("customer.updated", body, "d-2"),
        body.as_bytes(),
    )
    .unwrap();
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "ok");
}

//! Batches: what is sent together, and that each change has its own outcome.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::tests_write::{rows, shop, writes};
use super::WooCommerce;
use crate::core::{EntityType, Record};
use crate::error::{Code, Error};
use crate::source::http::testing::{Reply, Seen};
use crate::source::{Change, Meter, Source, Written};
use serde_json::{json, Value};

fn change(id: Option<&str>, parent: Option<&str>, fields: Value) -> Change {
    Change {
        external_id: id.map(str::to_owned),
        parent_id: parent.map(str::to_owned),
        fields: fields.as_object().unwrap().clone(),
    }
}

fn write_all(shop: &WooCommerce, entity: EntityType, changes: &[Change]) -> Vec<Result<Written, Error>> {
    shop.write_many(entity, changes, &Meter::default())
}

fn product(id: u64, sku: &str) -> Value {
    json!({"id": id, "sku": sku, "name": sku, "type": "simple", "date_modified_gmt": "2026-01-01T00:00:00"})
}

fn sent(seen: &Seen) -> Value {
    serde_json::from_slice(&seen.body).unwrap_or_default()
}

#[test]
fn each_change_of_a_batch_has_its_own_outcome() {
    let (server, shop) = shop(|call, seen| match call {
        "POST products/batch" => {
            let sent = sent(seen);
            assert_eq!(sent["create"].as_array().unwrap().len(), 3);
            assert_eq!(sent["update"], json!([{"id": 50, "name": "D"}, {"id": 51, "name": "E"}]));
            Reply::ok(
                json!({"create": [
                    product(31, "A"),
                    {"id": 0, "error": {"code": "product_invalid_sku", "message": "Taken.", "data": {"resource_id": 40}}},
                    {"id": 0, "error": {"code": "woocommerce_rest_no", "message": "Not this one.", "data": {"status": 400}}},
                ], "update": [
                    product(50, "D"),
                    // as batches say it
                    {"id": 51, "error": {"code": "woocommerce_rest_product_invalid_id", "message": "Invalid ID.", "data": {"status": 400}}},
                ]})
                .to_string(),
            )
        }
        // what stands in the way is the same by its SKU: it is changed
        "GET products/40" => Reply::ok(product(40, "B").to_string()),
        "PUT products/40" => Reply::ok(product(40, "B").to_string()),
        other => panic!("{other}"),
    });
    let outcomes = write_all(
        &shop,
        EntityType::Products,
        &[
            change(None, None, json!({"sku": "A", "name": "A"})),
            change(None, None, json!({"sku": "B", "name": "B"})),
            change(Some("50"), None, json!({"name": "D"})),
            change(None, None, json!({"sku": "C", "name": "C"})),
            change(Some("51"), None, json!({"name": "E"})),
        ],
    );
    let ids: Vec<_> = outcomes.iter().map(|one| one.as_ref().map(|one| one.external_id.as_str()).ok()).collect();
    assert_eq!(ids, [Some("31"), Some("40"), Some("50"), None, None]);
    assert_eq!(outcomes[4].as_ref().unwrap_err().code, Code::NotFound);
    let refused = outcomes[3].as_ref().unwrap_err();
    assert_eq!(refused.code, Code::Invalid);
    assert!(refused.detail.as_deref().unwrap().contains("Not this one."), "{refused:?}");
    assert_eq!(writes(&server), ["POST products/batch", "PUT products/40"]);
}

#[test]
fn an_answer_that_does_not_fit_what_was_sent_settles_nothing() {
    for answer in [
        json!({"create": [product(32, "B"), product(31, "A")]}),
        json!({"create": [product(31, "A")]}),
        json!({"create": [product(31, "A"), product(32, "B"), product(33, "C")]}),
        json!([]),
    ] {
        let text = answer.to_string();
        let (_server, shop) = shop(move |_, _| Reply::ok(text.clone()));
        let changes = ["A", "B"].map(|sku| change(None, None, json!({"sku": sku, "name": sku})));
        for outcome in write_all(&shop, EntityType::Products, &changes) {
            assert_eq!(outcome.unwrap_err().code, Code::Nonsense, "{answer}");
        }
    }
}

#[test]
fn what_batches_do_not_check_is_written_alone() {
    let (server, shop) = shop(|call, _| match call {
        "PUT orders/7" | "PUT orders/8" => Reply::ok(json!({"id": call[11..].parse::<u64>().unwrap(), "status": "completed"}).to_string()),
        "PUT products/5/variations/21" | "PUT products/5/variations/22" => {
            Reply::ok(json!({"id": call[26..].parse::<u64>().unwrap(), "date_modified_gmt": "2026-01-01T00:00:00"}).to_string())
        }
        other => panic!("{other}"),
    });
    let orders = ["7", "8"].map(|id| change(Some(id), None, json!({"status": "completed"})));
    assert!(write_all(&shop, EntityType::Orders, &orders).iter().all(Result::is_ok));
    let variations = ["21", "22"].map(|id| change(Some(id), Some("5"), json!({"regular_price": "1"})));
    assert!(write_all(&shop, EntityType::Products, &variations).iter().all(Result::is_ok));
    assert_eq!(writes(&server).len(), 4);
}

#[test]
fn a_shop_that_takes_no_batches_is_not_asked_again() {
    let (server, shop) = shop(|call, _| match call {
        "POST products/categories/batch" => Reply::new(403, "<html>Firewall</html>"),
        "POST products/categories" => Reply::ok(json!({"id": 8, "name": "Mugs", "slug": "mugs"}).to_string()),
        other => panic!("{other}"),
    });
    let two = ["a", "b"].map(|name| change(None, None, json!({ "name": name })));
    for _ in 0..2 {
        assert!(write_all(&shop, EntityType::Categories, &two).iter().all(Result::is_ok));
    }
    assert_eq!(shop.writes_at_once(EntityType::Categories, &two[0]), 1);
    assert_eq!(writes(&server).iter().filter(|one| one.ends_with("batch")).count(), 1);
}

#[test]
fn batches_grow_while_they_are_quick_and_shrink_where_they_break() {
    let (_server, shop) = shop(|_, seen| {
        let sent = sent(seen);
        let made: Vec<Value> = (100..).zip(sent["create"].as_array().unwrap()).map(|(id, item)| {
            json!({"id": id, "name": item["name"], "slug": item["name"]})
        }).collect();
        match made.len() > 40 {
            true => Reply::new(502, "<html>Bad gateway</html>"),
            false => Reply::ok(json!({ "create": made }).to_string()),
        }
    });
    let many: Vec<Change> = (0..60).map(|n| change(None, None, json!({ "name": format!("c{n}") }))).collect();
    let size = || shop.writes_at_once(EntityType::Categories, &many[0]);
    let before = size();
    let outcomes = write_all(&shop, EntityType::Categories, &many[..before]);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(size(), 2 * before);
    write_all(&shop, EntityType::Categories, &many[..2 * before]);
    assert_eq!(size(), 4 * before);
    write_all(&shop, EntityType::Categories, &many[..4 * before]);
    assert_eq!(size(), 8 * before);
    // of what broke nobody knows what was done
    let outcomes = write_all(&shop, EntityType::Categories, &many);
    assert!(outcomes.iter().all(|one| one.as_ref().is_err_and(|error| error.code == Code::Nonsense)));
    assert_eq!(size(), 30);
}

#[test]
fn skus_are_asked_for_together_unless_one_has_a_comma() {
    let (server, shop) = shop(|call, seen| match call {
        "GET products" if seen.param("sku") == Some("A,B") => rows(json!([product(1, "A"), product(2, "AB")])),
        "GET products" if seen.param("sku") == Some("C,D") => rows(json!([product(3, "C,D")])),
        "GET products" if seen.param("sku") == Some("E") => rows(json!([])),
        other => panic!("{other} {:?}", seen.param("sku")),
    });
    let record = |sku: &str| Record::new(EntityType::Products, sku, json!({ "sku": sku }).as_object().unwrap().clone());
    let asked = ["A", "B", "C,D", "E"].map(record);
    let found = shop.find_many(EntityType::Products, &asked, &Meter::default());
    let ids: Vec<Vec<String>> = found
        .into_iter()
        .map(|found| found.unwrap().into_iter().map(|record| record.external_id).collect())
        .collect();
    assert_eq!(ids, [vec!["1".to_owned()], vec![], vec!["3".to_owned()], vec![]]);
    let questions = server.seen().into_iter().filter(|seen| seen.param("sku").is_some()).count();
    assert_eq!(questions, 3);
}

#[test]
fn one_that_is_counted_and_not_shown_fails_no_other_search() {
    let (_server, shop) = shop(|call, seen| match (call, seen.param("sku")) {
        ("GET products", Some("A")) => rows(json!([product(1, "A")])),
        ("GET products", _) => Reply::ok(json!([]).to_string()).header("X-WP-Total", 1),
        other => panic!("{other:?}"),
    });
    let record = |sku: &str| Record::new(EntityType::Products, sku, json!({ "sku": sku }).as_object().unwrap().clone());
    let found = shop.find_many(EntityType::Products, &["A", "B"].map(record), &Meter::default());
    assert_eq!(found[0].as_ref().unwrap()[0].external_id, "1");
    assert_eq!(found[1].as_ref().unwrap_err().code, Code::Nonsense);
}

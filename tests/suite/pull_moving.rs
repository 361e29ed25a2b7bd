//! Shops that change while they are read, and records that share a second: nothing is lost, nothing is there twice.

use serde_json::{json, Value};
use sync_sandbox::{Config, Plan, Version};

use crate::shop::{small, Shop};

const CUSTOMERS: &str = "/wp-json/wc/v3/customers";

fn by_date() -> Value {
    json!({ "compare_limit": 0 })
}

#[test]
fn records_that_share_one_second_are_all_found() {
    for version in [Version::V8, Version::V11] {
        let config = Config {
            customers: 300,
            products: 300,
            orders: 300,
            ..small(version)
        };
        let mut shop = Shop::with(config, by_date());
        for (entity, set) in [
            ("customers", json!({ "first_name": "Ann" })),
            ("products", json!({ "regular_price": "7.77" })),
            ("orders", json!({ "customer_note": "Ring twice" })),
        ] {
            shop.pull(entity);
            let ids: Vec<u64> = shop.listed(entity).into_iter().take(150).collect();
            shop.change(json!({ "op": "bulk", "entity": entity, "ids": ids, "set": set }));
            let pulled = shop.pull(entity);
            assert_eq!(pulled["pass"], "incremental");
            assert!(pulled["updated"].as_u64() >= Some(150), "{pulled}");
            shop.assert_mirrored(entity);
        }
    }
}

#[test]
fn edits_in_the_very_second_of_the_last_pull_are_found() {
    let mut shop = Shop::with(small(Version::V11), by_date());
    for (entity, field) in [
        ("customers", "first_name"),
        ("products", "name"),
        ("orders", "customer_note"),
    ] {
        shop.pull(entity);
        let id = shop.listed(entity)[3];
        for text in ["One", "Two", "Three"] {
            let second = shop.number(&format!(
                "SELECT extract(epoch FROM last_sync_timestamp)::bigint FROM sync_metadata WHERE data_type = '{entity}'"
            ));
            shop.change(
                json!({ "op": "edit", "entity": entity, "id": id, "set": { field: text }, "at": second }),
            );
            shop.pull(entity);
            shop.assert_mirrored(entity);
        }
    }
}

#[test]
fn a_customer_whose_role_changes_is_no_deletion() {
    for settings in [json!({}), by_date()] {
        let mut shop = Shop::with(small(Version::V11), settings);
        shop.pull("customers");
        shop.fill("customers");
        let id = shop.listed("customers")[5];
        for role in ["subscriber", "customer", "editor"] {
            shop.change(json!({ "op": "role", "id": id, "role": role }));
            shop.pull("customers");
            shop.assert_mirrored("customers");
            let delta = shop.delta("customers");
            let change = delta.get(&id.to_string()).map(String::as_str);
            assert_eq!(
                change,
                (role != "customer").then_some("updated"),
                "{role}: {delta:?}"
            );
            assert!(delta.len() <= 1);
        }
        let places = shop.places();
        assert_eq!(shop.pull("customers")["updated"], 0);
        assert_eq!(shop.places(), places);
    }
}

#[test]
fn a_deletion_and_a_creation_at_once_are_both_found() {
    let mut shop = Shop::with(small(Version::V11), by_date());
    for entity in ["customers", "products", "orders"] {
        shop.pull(entity);
        let id = shop.listed(entity)[2];
        shop.change(json!({ "op": "create", "entity": entity }));
        shop.change(json!({ "op": "delete", "entity": entity, "ids": [id] }));
        // the count is what it was; the new one is known by its date by then, so that one less is expected to be there
        shop.pull(entity);
        shop.assert_mirrored(entity);
    }
}

/// Deletes the customers at these places and creates some, at the k-th request of a pull.
#[track_caller]
fn moves(settings: Value, full: bool, k: u64, before: bool, places: std::ops::Range<usize>, created: u32) {
    let config = Config {
        customers: 620,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, settings);
    if !full {
        shop.pull("customers");
    }
    let seeded = shop.listed("customers");
    let gone = seeded[places.clone()].to_vec();
    let ops = vec![
        json!({ "op": "delete", "entity": "customers", "ids": gone }),
        json!({ "op": "create", "entity": "customers", "count": created }),
    ];
    let plan = if before { Plan::before } else { Plan::after };
    shop.sandbox.schedule(plan(CUSTOMERS, k, ops));
    shop.pull("customers");

    let what = format!("request {k}, before {before}, {places:?} deleted, {created} created, full {full}");
    let (truth, ledger) = (shop.truth("customers"), shop.ledger("customers"));
    let stayed = seeded
        .iter()
        .map(u64::to_string)
        .filter(|id| truth.contains_key(id));
    let lost: Vec<_> = stayed.filter(|id| !ledger.contains_key(id)).collect();
    assert!(lost.is_empty(), "{what}: {lost:?} are lost");
    shop.pull("customers");
    assert_eq!(shop.ledger("customers"), shop.truth("customers"), "{what}");
    shop.assert_mirrored("customers");
}

#[test]
fn a_first_pull_loses_nobody_where_customers_are_deleted_meanwhile() {
    for (k, before) in [(2, true), (2, false), (3, false), (5, true), (7, false)] {
        moves(json!({}), true, k, before, 0..3, 0);
        moves(json!({}), true, k, before, 10..70, 5);
    }
}

#[test]
fn a_first_pull_loses_nobody_where_more_than_a_window_is_deleted() {
    for (k, before) in [(2, false), (3, true), (4, false), (6, false)] {
        moves(json!({}), true, k, before, 0..130, 0);
        moves(json!({}), true, k, before, 5..290, 150);
    }
}

#[test]
fn a_first_pull_loses_nobody_where_the_listing_grows() {
    for k in [1, 2, 5, 8] {
        moves(json!({}), true, k, false, 0..0, 1);
        moves(json!({}), true, k, false, 0..0, 230);
    }
}

#[test]
fn a_pull_by_ids_loses_nobody_where_customers_come_and_go() {
    for (k, before) in [(2, false), (4, true), (6, false)] {
        moves(by_date(), false, k, before, 0..3, 1);
        moves(by_date(), false, k, before, 0..130, 40);
    }
}

#[test]
fn a_product_that_is_deleted_before_its_variations_are_read_is_no_error() {
    let mut shop = Shop::with(small(Version::V8), json!({}));
    let product = shop.parent(shop.listed("variations")[0]);
    let path = format!("/wp-json/wc/v3/products/{product}/variations");
    let delete = json!({ "op": "delete", "entity": "products", "ids": [product] });
    shop.sandbox.schedule(Plan::before(&path, 1, vec![delete]));
    shop.pull("products");
    shop.pull("products");
    shop.assert_mirrored("products");
}

#[test]
fn deleted_products_take_their_variations_along() {
    for version in [Version::V8, Version::V11] {
        for settings in [json!({}), by_date()] {
            let mut shop = Shop::with(small(version), settings);
            shop.pull("products");
            let product = shop.parent(shop.listed("variations")[0]);
            let variations = shop.variations(product).len() as u64;
            shop.change(json!({ "op": "delete", "entity": "products", "ids": [product] }));
            assert_eq!(shop.pull("products")["deleted"], variations + 1);
            shop.assert_mirrored("products");
        }
    }
}

#[test]
fn a_first_pull_in_short_pages_loses_nobody_where_more_than_a_window_is_deleted() {
    for rows in [10, 20] {
        let short = json!({ "page_size": rows });
        moves(short, true, 400 / rows, false, 5..290, 0);
    }
}

//! Rows that a shop counts and doesn't show: orphaned variations, or what a plugin hides.

use serde_json::{json, Value};
use sync_sandbox::{Config, Plan, Version};

use crate::shop::{small, Shop};

/// What an incremental pull asks where nothing has changed: counts for its plan, changes, counts once more.
const IDLE: u64 = 6;

fn many() -> Config {
    Config {
        products: 60,
        orders: 700,
        big_variations: 700,
        ..small(Version::V11)
    }
}

/// A shop that is pulled by dates, with rows hidden in three ways: one where two windows meet, more in a row than a
/// window holds, and the end.
fn with_hidden(entity: &str) -> (Shop, Vec<u64>) {
    let mut shop = Shop::with(many(), json!({ "compare_limit": 0 }));
    let all = shop.listed(entity);
    let end = all.len() - 30;
    let hidden = [&all[99..100], &all[250..500], &all[end..]].concat();
    hide(&mut shop, entity, &hidden);
    let shown = all.into_iter().filter(|id| !hidden.contains(id)).collect();
    (shop, shown)
}

fn hide(shop: &mut Shop, entity: &str, ids: &[u64]) {
    shop.change(json!({ "op": "hide", "entity": entity, "ids": ids }));
}

/// The entity type that a listing belongs to.
fn of(list: &str) -> &str {
    if list == "variations" {
        "products"
    } else {
        list
    }
}

fn delete(list: &str, ids: &[u64]) -> Value {
    json!({ "op": "delete", "entity": list, "ids": ids })
}

/// Pulls; how many requests that took.
#[track_caller]
fn requests(shop: &mut Shop, entity: &str) -> u64 {
    shop.sandbox.reset_stats();
    let pulled = shop.pull(entity);
    assert_eq!(pulled["pass"], "incremental", "{pulled}");
    let requests = shop.sandbox.stats().requests;
    assert_eq!(pulled["requests"], requests, "{pulled}");
    requests
}

/// A change has led to a reading of ids; the next pull leaves them alone.
#[track_caller]
fn settles(shop: &mut Shop, entity: &str) {
    for _ in 0..2 {
        requests(shop, entity);
        shop.assert_mirrored(entity);
    }
    let seen = shop.sandbox.requests();
    let ids = |query: &str| query.contains("offset=") && !query.contains("date_created_gmt");
    assert!(!seen.iter().any(|r| ids(&r.query)), "ids were read for nothing");
}

#[test]
fn a_listing_that_counts_rows_which_it_does_not_show_is_pulled_completely() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let mut shop = Shop::with(many(), settings);
        let all = shop.listed("orders");
        let hidden = [&all[99..100], &all[250..500], &all[650..]].concat();
        hide(&mut shop, "orders", &hidden);
        for _ in 0..2 {
            shop.pull("orders");
            shop.assert_mirrored("orders");
        }
        // what is hidden only now is gone, and nothing else
        hide(&mut shop, "orders", &all[120..240]);
        shop.change(delete("orders", &[all[5]]));
        shop.pull_full("orders");
        shop.assert_mirrored("orders");
    }
}

#[test]
fn idle_pulls_of_a_large_shop_that_does_not_show_all_that_it_counts_read_no_ids() {
    for list in ["orders", "variations"] {
        let (mut shop, _) = with_hidden(list);
        shop.pull(of(list));
        shop.assert_mirrored(of(list));
        let places = shop.places();
        for _ in 0..2 {
            let requests = requests(&mut shop, of(list));
            assert!(requests <= IDLE, "{list}: {requests} requests");
        }
        assert_eq!(shop.places(), places);
    }
}

#[test]
fn deletions_are_found_beside_rows_that_are_not_shown() {
    for list in ["orders", "variations"] {
        let (mut shop, shown) = with_hidden(list);
        let hidden: Vec<u64> = shop.sandbox.truth(list).unwrap();
        let hidden: Vec<u64> = hidden.into_iter().filter(|id| !shown.contains(id)).collect();
        shop.pull(of(list));
        let changes = [
            delete(list, &shown[3..4]),
            // fewer are hidden
            delete(list, &hidden[5..9]),
            delete(list, &[shown[7], hidden[20]]),
        ];
        for change in changes {
            shop.change(change);
            settles(&mut shop, of(list));
        }
        // what was shown is hidden, and its place counts on: as many as that are deleted
        hide(&mut shop, list, &shown[40..43]);
        shop.change(delete(list, &shown[50..53]));
        settles(&mut shop, of(list));
    }
}

#[test]
fn a_deletion_is_found_though_a_new_row_that_is_not_shown_makes_up_for_it() {
    let (mut shop, shown) = with_hidden("orders");
    shop.pull("orders");
    let new = shop.change(json!({ "op": "create", "entity": "orders" }));
    hide(&mut shop, "orders", &new);
    shop.change(delete("orders", &shown[3..4]));
    assert_eq!(shop.pull("orders")["deleted"], 1);
    shop.assert_mirrored("orders");
    // one whose date is as old as the others' as well, when everything is read
    let old = json!({ "op": "create", "entity": "orders", "at": "2024-01-01T00:00:00" });
    let new = shop.change(old);
    hide(&mut shop, "orders", &new);
    shop.change(delete("orders", &shown[4..5]));
    shop.pull_full("orders");
    shop.assert_mirrored("orders");
}

/// A deletion that comes to light only after its window was read must not be taken for a row that isn't shown: the next
/// pull finds it by the numbers.
#[test]
fn a_deletion_during_a_sweep_is_found_by_the_next_pull_beside_rows_that_are_not_shown() {
    for created in [0, 1] {
        for k in 2..=8 {
            let (mut shop, shown) = with_hidden("orders");
            shop.db.set("sync_ext.fetch_concurrency", "1");
            shop.sql = shop.db.connect_as(&shop.db.role("admin", shop.org), shop.org);
            let mut ops = vec![delete("orders", &shown[3..4])];
            if created > 0 {
                ops.push(json!({ "op": "create", "entity": "orders" }));
            }
            shop.sandbox
                .schedule(Plan::after("/wp-json/wc/v3/orders", k, ops));
            shop.pull("orders");
            shop.pull("orders");
            let (truth, ledger) = (shop.truth("orders"), shop.ledger("orders"));
            assert!(truth == ledger, "deleted at request {k}, {created} created");
            settles(&mut shop, "orders");
        }
    }
}

#[test]
fn variations_come_back_with_a_product_that_only_its_count_tells_of() {
    let mut shop = Shop::with(small(Version::V11), json!({ "compare_limit": 0 }));
    let product = shop.parent(shop.listed("variations")[0]);
    let variations = shop.variations(product);
    let trash = json!({ "op": "trash", "entity": "products", "ids": [product] });
    shop.change(trash);
    hide(&mut shop, "variations", &variations);
    shop.pull("products");
    // back as a plugin brings it back, with the date that it had
    shop.change(json!({ "op": "restore", "entity": "products", "ids": [product] }));
    shop.change(
        json!({ "op": "modified", "entity": "products", "id": product, "at": "2024-01-01T00:00:00" }),
    );
    shop.change(json!({ "op": "show", "entity": "variations", "ids": variations }));
    shop.pull("products");
    shop.assert_mirrored("products");
}

#[test]
fn more_deletions_than_are_asked_after_at_once_are_found_beside_rows_that_are_not_shown() {
    let config = Config {
        orders: 10_600,
        ..small(Version::V11)
    };
    let settings = json!({ "compare_limit": 0, "deletion_checks": 20_000 });
    let mut shop = Shop::with(config, settings);
    let all = shop.listed("orders");
    hide(&mut shop, "orders", &all[10_200..10_210]);
    shop.pull("orders");
    shop.change(delete("orders", &all[..10_100]));
    assert_eq!(shop.pull("orders")["deleted"], 10_100);
    shop.assert_mirrored("orders");
}

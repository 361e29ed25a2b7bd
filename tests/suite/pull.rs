//! A pull: afterwards the ledger holds what the shop lists.

use serde_json::json;
use sync_sandbox::{Config, Version};

use crate::shop::{small, Shop, ENTITIES};

#[track_caller]
fn pulls_everything(config: Config) {
    let mut shop = Shop::with(config, json!({}));
    for entity in ENTITIES {
        let pulled = shop.pull(entity);
        shop.assert_mirrored(entity);
        assert_eq!(pulled["pass"], "full");
        assert_eq!(pulled["resumed"], false);
        assert_eq!(pulled["records"], pulled["inserted"], "{pulled}");
        assert_eq!(pulled["records"], shop.truth(entity).len());
    }
}

#[test]
fn a_first_pull_brings_all_records_of_a_new_shop() {
    pulls_everything(small(Version::V11));
}

#[test]
fn a_first_pull_brings_all_records_of_an_old_shop() {
    pulls_everything(small(Version::V8));
}

#[test]
fn a_shop_with_its_own_authority_is_pulled_over_https() {
    for version in [Version::V8, Version::V11] {
        pulls_everything(Config {
            https: true,
            ..small(version)
        });
    }
}

#[test]
fn requests_over_http_are_signed_and_those_over_https_carry_the_key_in_a_header() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("categories");
    let requests = shop.sandbox.requests();
    assert!(requests.iter().all(|r| !r.query.contains("cs_rw")));
    assert!(requests.iter().any(|r| r.query.contains("oauth_signature=")));

    let config = Config {
        https: true,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, json!({}));
    shop.pull("categories");
    let requests = shop.sandbox.requests();
    assert!(requests.iter().all(|r| !r.query.contains("oauth_signature")));
    assert!(requests.iter().any(|r| r
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))));
}

#[test]
fn a_shop_without_records_is_pulled_as_empty() {
    let config = Config {
        customers: 0,
        products: 0,
        orders: 0,
        categories: 0,
        ..small(Version::V11)
    };
    pulls_everything(config);
}

#[test]
fn listings_of_many_windows_are_pulled_completely() {
    for version in [Version::V8, Version::V11] {
        let config = Config {
            customers: 1100,
            products: 400,
            orders: 730,
            categories: 130,
            big_variations: 270,
            ..small(version)
        };
        pulls_everything(config);
    }
}

#[test]
fn listings_that_end_at_the_edge_of_a_window_are_pulled_completely() {
    for customers in [99, 100, 101, 198, 199, 200, 298] {
        let mut shop = Shop::with(
            Config {
                customers,
                ..small(Version::V11)
            },
            json!({}),
        );
        shop.pull("customers");
        shop.assert_mirrored("customers");
        assert_eq!(shop.ledger("customers").len(), customers as usize);
    }
}

#[test]
fn entity_types_are_known_by_their_singular_too() {
    let mut shop = Shop::new(Version::V11);
    assert_eq!(shop.pull("Category")["entityType"], "categories");
    shop.assert_mirrored("categories");
}

#[test]
fn users_of_every_role_are_pulled_where_the_settings_say_so() {
    let mut shop = Shop::with(small(Version::V11), json!({ "customer_role": "all" }));
    shop.pull("customers");
    let all = shop.sandbox.truth("customers").unwrap();
    assert!(all.len() > shop.listed("customers").len());
    assert_eq!(shop.ledger("customers").len(), all.len());
}

#[test]
fn a_pull_that_finds_nothing_changed_writes_no_row_of_the_ledger() {
    for (version, settings) in [
        (Version::V8, json!({})),
        (Version::V11, json!({})),
        (Version::V8, json!({ "compare_limit": 0 })),
        (Version::V11, json!({ "compare_limit": 0 })),
    ] {
        let mut shop = Shop::with(small(version), settings);
        for entity in ENTITIES {
            shop.pull(entity);
            shop.fill(entity);
        }
        let before = shop.places();
        for entity in ENTITIES {
            let again = shop.pull(entity);
            assert_eq!(
                (&again["inserted"], &again["updated"], &again["deleted"]),
                (&json!(0), &json!(0), &json!(0)),
                "{entity}: {again}"
            );
            let full = shop.pull_full(entity);
            assert_eq!((&full["pass"], &full["updated"]), (&json!("full"), &json!(0)));
            assert_eq!(shop.fresh_preview(entity)["delta"]["updated"]["count"], 0);
        }
        assert_eq!(shop.places(), before);
    }
}

#[test]
fn a_pull_by_date_asks_for_little() {
    let config = Config {
        customers: 1100,
        orders: 730,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, json!({ "compare_limit": 0 }));
    for (entity, at_most) in [("orders", 5), ("customers", 26)] {
        shop.pull(entity);
        shop.sandbox.reset_stats();
        let again = shop.pull(entity);
        let requests = shop.sandbox.stats().requests;
        assert!(requests <= at_most, "{entity}: {requests} requests, {again}");
        assert_eq!(again["requests"], requests, "{entity}");
    }
}

#[test]
fn after_a_reset_everything_is_read_again_and_nothing_is_new() {
    let mut shop = Shop::with(small(Version::V11), json!({ "compare_limit": 0 }));
    shop.pull("orders");
    shop.fill("orders");
    let places = shop.places();
    let reset = shop.ask("SELECT sync_reset($1, $2)", "orders");
    assert_eq!(reset["status"], "pending");
    let again = shop.pull("orders");
    assert_eq!((&again["pass"], &again["inserted"]), (&json!("full"), &json!(0)));
    assert_eq!(shop.places(), places);
    assert!(shop.delta("orders").is_empty());
}

#[test]
fn health_tells_how_far_pulls_came() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("orders");
    let health: serde_json::Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["connectors"][0]["syncType"], "woocommerce");
    let types = health["entityTypes"].as_array().unwrap();
    let of = |name: &str| types.iter().find(|state| state["entityType"] == name).unwrap();
    let orders = of("orders");
    assert_eq!(orders["status"], "success");
    assert_eq!(of("customers")["status"], "pending");
    assert_eq!(orders["records"], shop.truth("orders").len());
    assert!(orders["lastSync"].is_string() && orders["lastFull"].is_string());
    assert_eq!(
        (&health["workers"], &health["interrupted"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn products_and_their_variations_say_which_currency_their_prices_are_in() {
    for version in [Version::V8, Version::V11] {
        let mut shop = Shop::new(version);
        shop.pull("products");
        let done = shop.ask("SELECT sync_apply($1, $2)", "products");
        assert_eq!(done["status"], "completed", "{done}");
        let row = shop
            .root
            .query_one(
                "SELECT count(*) FILTER (WHERE type = 'variation' AND currency = 'EUR'), count(*) FILTER (WHERE currency IS DISTINCT FROM 'EUR')
                 FROM sync_products",
                &[],
            )
            .unwrap();
        let (variations, others): (i64, i64) = (row.get(0), row.get(1));
        assert!(variations > 0 && others == 0, "{variations}, {others}");
    }
}

//! Shops with plain permalinks: their API is in the query alone.

use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, Rule, Version, When};

use crate::shop::{small, Shop, ENTITIES};

fn plain(version: Version, https: bool, status: u16) -> Config {
    Config {
        https,
        plain_permalinks: Some(status),
        ..small(version)
    }
}

fn tested(shop: &mut Shop) -> Value {
    let told = shop
        .sql
        .query_one("SELECT sync_test_connection('woocommerce')", &[]);
    told.unwrap().get(0)
}

/// How many requests went to the path of the API, or for the site's description there.
fn asked_by_path(shop: &Shop) -> usize {
    let seen = shop.sandbox.requests();
    seen.iter()
        .filter(|request| !request.query.contains("rest_route="))
        .count()
}

#[test]
fn the_api_of_a_shop_with_plain_permalinks_is_found_once() {
    for (version, https, status, mode) in [
        (Version::V11, true, 404, "basic"),
        (Version::V11, false, 404, "oauth1"),
        (Version::V11, true, 200, "basic"),
        (Version::V8, false, 200, "oauth1"),
    ] {
        let what = format!("{version:?} {https} {status}");
        let mut shop = Shop::with(plain(version, https, status), json!({}));
        let told = tested(&mut shop);
        assert_eq!(told["authMode"], mode, "{what}: {told}");
        for entity in ENTITIES {
            assert_eq!(told["entities"][entity]["readable"], true, "{what}: {told}");
        }
        shop.sandbox.reset_stats();
        for entity in ENTITIES {
            assert_eq!(shop.pull(entity)["status"], "success", "{what} {entity}");
            shop.assert_mirrored(entity);
        }
        assert_eq!(asked_by_path(&shop), 0, "{what}");
    }
}

#[test]
fn a_first_pull_finds_it_too() {
    let mut shop = Shop::with(plain(Version::V11, true, 404), json!({}));
    shop.pull("orders");
    shop.assert_mirrored("orders");
    shop.sandbox.reset_stats();
    shop.pull("orders");
    assert_eq!(asked_by_path(&shop), 0);
}

/// Keys in the query, for servers that drop the header.
#[test]
fn keys_go_along_in_the_query() {
    let config = Config {
        strip_authorization: true,
        ..plain(Version::V11, true, 404)
    };
    let mut shop = Shop::with(config, json!({}));
    assert_eq!(tested(&mut shop)["authMode"], "query");
    shop.pull("customers");
    shop.assert_mirrored("customers");
}

#[test]
fn permalinks_may_change_under_a_connector() {
    let mut shop = Shop::with(small(Version::V11), json!({}));
    shop.pull("customers");
    for status in [404, 0] {
        shop.sandbox
            .configure(&json!({ "plain_permalinks": status }))
            .unwrap();
        let id = shop.listed("customers")[4];
        shop.change(json!({ "op": "edit", "entity": "customers", "id": id, "set": { "first_name": format!("A{status}") } }));
        assert_eq!(shop.pull("customers")["updated"], 1);
        shop.assert_mirrored("customers");
    }
}

#[test]
fn one_page_in_the_place_of_an_answer_says_nothing_about_permalinks() {
    let mut shop = Shop::with(small(Version::V11), json!({}));
    let list = "/wp-json/wc/v3/customers";
    shop.sandbox.fault(Rule::new(list, When::All, Fault::HtmlPage));
    let error = shop.try_pull("customers").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08P01");
    shop.sandbox.clear_faults(None);
    shop.sandbox.reset_stats();
    shop.pull("customers");
    let seen = shop.sandbox.requests();
    assert!(!seen.iter().any(|request| request.query.contains("rest_route=")));
}

#[test]
fn what_is_no_wordpress_is_told_as_before() {
    let mut shop = Shop::with(small(Version::V11), json!({}));
    shop.sandbox.fault(Rule::new("/", When::All, Fault::HtmlPage));
    let error = shop.try_pull("customers").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08P01");
}

#[test]
fn a_list_run_writes_to_a_shop_with_plain_permalinks() {
    let mut shop = Shop::with(plain(Version::V11, false, 404), json!({}));
    let id = shop.listed("customers")[0];
    shop.pull("customers");
    shop.fill("customers");
    let local: String = shop
        .sql
        .query_one(
            "UPDATE sync_customers SET first_name = 'Plainly' WHERE email = (SELECT match_key FROM sync_record WHERE external_id = $1)
             RETURNING id::text",
            &[&id.to_string()],
        )
        .unwrap()
        .get(0);
    shop.sql
        .execute(
            "INSERT INTO sync_list (item_type, source_platform, target_platform, source_id, target_id)
             VALUES ('customer', 'local', 'woocommerce', $1, $2)",
            &[&local, &id.to_string()],
        )
        .unwrap();
    let told: Value = shop.sql.query_one("SELECT sync_delta()", &[]).unwrap().get(0);
    assert_eq!(told["itemsUpdated"], 1, "{told}");
    assert_eq!(
        shop.sandbox.record("customers", id).unwrap().unwrap()["first_name"],
        "Plainly"
    );
}

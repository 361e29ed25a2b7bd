//! Listings that can't be put together: the pull ends, proves nothing by them, and the next one begins anew.

use serde_json::{json, Value};
use sync_sandbox::{Fault, Rule, Version, When};

use crate::shop::{small, Shop};

const CUSTOMERS: &str = "/wp-json/wc/v3/customers";

/// A shop with more customers than one window holds, all of them in the ledger.
fn pulled() -> Shop {
    let config = sync_sandbox::Config {
        customers: 250,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, json!({}));
    shop.pull("customers");
    shop.sandbox.reset_stats();
    shop
}

/// Answers to requests for customers whose query contains this.
fn answers(shop: &Shop, query: &str, body: String) {
    let reply = Fault::Reply {
        status: 200,
        content_type: "application/json".into(),
        body,
    };
    let mut rule = Rule::new(CUSTOMERS, When::All, reply);
    rule.query = Some(query.into());
    shop.sandbox.fault(rule);
}

/// A pull fails as one of nonsense, in so many requests at most, and the next one doesn't go on from it.
fn fails_once(shop: &mut Shop, message: &str, requests_at_most: usize) {
    let error = shop.try_pull("customers").unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "08P01", "{error:?}");
    assert_eq!(error.message(), message);
    let asked = shop.sandbox.requests().len();
    assert!(asked <= requests_at_most, "{asked}");
    assert_eq!(
        shop.number("SELECT count(*) FROM sync_changes WHERE change = 'deleted'"),
        0
    );
    shop.sandbox.clear_faults(None);
    let first = shop.listed("customers")[0];
    shop.change(
        json!({ "op": "edit", "entity": "customers", "id": first, "set": { "first_name": "Meanwhile" } }),
    );
    let done: Value = shop.pull("customers");
    assert_eq!(
        (&done["resumed"], &done["updated"], &done["deleted"]),
        (&json!(false), &json!(1), &json!(0)),
        "{done}"
    );
    shop.assert_mirrored("customers");
}

#[test]
fn a_cache_that_answers_every_window_alike_ends_the_pull() {
    let mut shop = pulled();
    let ids = shop.listed("customers");
    let record = |id: &u64| shop.sandbox.record("customers", *id).unwrap();
    let window: Vec<Value> = ids[..100].iter().filter_map(record).collect();
    answers(&shop, "offset=", Value::from(window).to_string());
    fails_once(
        &mut shop,
        "the remote shows the same customers wherever it is asked to begin",
        30,
    );
}

#[test]
fn windows_that_never_fit_together_are_not_gone_on_from() {
    let mut shop = pulled();
    answers(&shop, "offset=", "[]".into());
    fails_once(
        &mut shop,
        "the remote's listing kept changing while it was read",
        200,
    );
}

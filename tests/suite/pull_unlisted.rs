//! Records that no listing shows: what was asked for alone once is remembered, and asked again when there is a reason.

use std::collections::BTreeSet;

use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, ListFault, Rule, Version, When};

use crate::shop::{small, Shop};

const HIDDEN: std::ops::Range<usize> = 20..56;

/// A shop whose records are all linked, some of which a plugin then keeps out of lists.
fn hiding(settings: Value, entity: &str) -> (Shop, Vec<u64>) {
    let config = Config {
        customers: 230,
        products: 140,
        orders: 260,
        ..small(Version::V11)
    };
    let mut shop = Shop::with(config, settings);
    shop.pull(entity);
    shop.fill(entity);
    let hidden = shop.listed(entity)[HIDDEN].to_vec();
    shop.change(json!({ "op": "unlist", "entity": entity, "ids": hidden }));
    (shop, hidden)
}

/// How many records the pull asks for alone, and its reply.
fn asked_alone(shop: &mut Shop, mut pull: impl FnMut(&mut Shop) -> Value) -> (usize, Value) {
    shop.sandbox.reset_stats();
    let pulled = pull(shop);
    let is_alone = |path: &str| {
        path.rsplit('/')
            .next()
            .is_some_and(|last| last.parse::<u64>().is_ok())
    };
    let seen = shop.sandbox.requests();
    let asked: BTreeSet<&str> = seen
        .iter()
        .map(|seen| seen.path.as_str())
        .filter(|path| is_alone(path))
        .collect();
    (asked.len(), pulled)
}

#[track_caller]
fn tells_of(pulled: &Value, hidden: usize) {
    let warnings = pulled["warnings"].to_string();
    assert!(
        warnings.contains(&format!("{hidden} ")) && warnings.contains("no listing"),
        "{warnings}"
    );
}

#[test]
fn what_no_listing_shows_costs_nothing_once_it_is_known() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        for entity in ["products", "orders", "customers"] {
            let what = format!("{entity} {settings}");
            let (mut shop, hidden) = hiding(settings.clone(), entity);
            let (asked, _) = asked_alone(&mut shop, |shop| shop.pull(entity));
            assert!(asked >= hidden.len(), "{what}: {asked}");
            let (asked, pulled) = asked_alone(&mut shop, |shop| shop.pull(entity));
            assert_eq!(asked, 0, "{what}");
            assert_eq!(pulled["deleted"], 0, "{what}");
            tells_of(&pulled, hidden.len());
        }
    }
}

/// As a filter of a plugin on the rows does it.
#[test]
fn what_is_counted_and_in_no_list_is_told_once() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let config = Config {
            customers: 230,
            ..small(Version::V11)
        };
        let mut shop = Shop::with(config, settings);
        shop.pull("customers");
        let ids = shop.listed("customers")[HIDDEN].to_vec();
        let hidden = ids.len();
        shop.lie("customers", ListFault::Unlisted { ids });
        shop.pull("customers");
        let (asked, pulled) = asked_alone(&mut shop, |shop| shop.pull("customers"));
        assert_eq!(
            (asked, &pulled["status"], &pulled["deleted"]),
            (0, &json!("success"), &json!(0))
        );
        tells_of(&pulled, hidden);
        assert!(!pulled["warnings"].to_string().contains("counts"), "{pulled}");
    }
}

/// Where only changes are read, the count has to agree: else every pull would read all ids.
#[test]
fn a_shop_that_hides_records_is_not_swept_at_every_pull() {
    for entity in ["orders", "products"] {
        let (mut shop, _) = hiding(json!({ "compare_limit": 0 }), entity);
        shop.pull(entity);
        shop.sandbox.reset_stats();
        shop.pull(entity);
        let seen = shop.sandbox.requests();
        let sweeps = seen.iter().filter(|request| {
            request.query.contains("date_modified_gmt") && !request.query.contains("modified_after")
        });
        assert_eq!(sweeps.count(), 0, "{entity}");
    }
}

#[test]
fn a_full_pass_asks_again() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let (mut shop, hidden) = hiding(settings, "orders");
        shop.pull("orders");
        shop.change(json!({ "op": "delete", "entity": "orders", "ids": [hidden[0]] }));
        assert_eq!(shop.pull("orders")["deleted"], 0);
        let (asked, pulled) = asked_alone(&mut shop, |shop| shop.pull_full("orders"));
        assert_eq!((asked, &pulled["deleted"]), (hidden.len(), &json!(1)));
        tells_of(&pulled, hidden.len() - 1);
    }
}

#[test]
fn what_a_webhook_names_is_asked_for_again() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let (mut shop, hidden) = hiding(settings, "orders");
        shop.pull("orders");
        shop.change(json!({ "op": "delete", "entity": "orders", "ids": [hidden[3]] }));
        shop.root
            .execute(
                "INSERT INTO sync_webhook_delivery (org_id, connector, delivery, signature, topic, entity, external_id, status)
                 SELECT c.org_id, c.number, 'd-1', 's', 'order.deleted', e.number, $1, 'noted'
                 FROM integration_connector c, sync_entity e WHERE e.name = 'orders'",
                &[&hidden[3].to_string()],
            )
            .unwrap();
        let (asked, pulled) = asked_alone(&mut shop, |shop| shop.pull("orders"));
        assert_eq!((asked, &pulled["deleted"]), (1, &json!(1)));
    }
}

#[test]
fn what_is_listed_again_is_no_longer_known_as_hidden() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        let (mut shop, hidden) = hiding(settings, "orders");
        shop.pull("orders");
        shop.change(json!({ "op": "relist", "entity": "orders", "ids": hidden }));
        let (asked, pulled) = asked_alone(&mut shop, |shop| shop.pull("orders"));
        assert_eq!((asked, &pulled["warnings"]), (0, &json!([])));
        shop.change(json!({ "op": "delete", "entity": "orders", "ids": [hidden[7]] }));
        assert_eq!(shop.pull("orders")["deleted"], 1);
        shop.assert_mirrored("orders");
    }
}

#[test]
fn what_did_not_answer_alone_is_asked_for_every_time() {
    let refusal = r#"{"code":"woocommerce_rest_cannot_view","message":"Sorry.","data":{"status":403}}"#;
    let (mut shop, hidden) = hiding(json!({}), "orders");
    let lie = |id: u64, fault| Rule::new(&format!("/wp-json/wc/v3/orders/{id}"), When::All, fault);
    let refused = Fault::Reply {
        status: 403,
        content_type: "application/json".into(),
        body: refusal.into(),
    };
    shop.sandbox.fault(lie(hidden[0], refused));
    shop.sandbox.fault(lie(hidden[1], Fault::PhpFatal));
    for asked in [hidden.len(), 2] {
        let (alone, pulled) = asked_alone(&mut shop, |shop| shop.pull("orders"));
        let shown = (
            alone,
            &pulled["status"],
            &pulled["unreadable"],
            &pulled["deleted"],
        );
        assert_eq!(shown, (asked, &json!("partial"), &json!(1), &json!(0)));
        tells_of(&pulled, hidden.len() - 2);
        assert!(
            pulled["warnings"]
                .to_string()
                .contains("1 orders are no longer visible"),
            "{pulled}"
        );
    }
}

#[test]
fn more_than_may_be_asked_for_are_known_after_some_pulls() {
    let (mut shop, hidden) = hiding(json!({ "deletion_checks": 20 }), "orders");
    let mut asked = Vec::new();
    for _ in 0..3 {
        let (count, pulled) = asked_alone(&mut shop, |shop| shop.pull("orders"));
        assert_eq!(pulled["deleted"], 0);
        asked.push(count);
    }
    assert_eq!(asked, [20, hidden.len() - 20, 0]);
}

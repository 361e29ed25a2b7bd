//! Records that are there and can't be read: named, kept as they were, read again as soon as they can be.

use serde_json::{json, Value};
use sync_sandbox::{ListFault, Version};

use crate::shop::{small, Shop};

#[track_caller]
fn state(shop: &mut Shop, entity: &str) -> (String, i32) {
    let row = shop.sql.query_one(
        "SELECT status, unreadable FROM sync_state WHERE sync_type = 'woocommerce' AND entity_type = $1",
        &[&entity],
    );
    let row = row.unwrap();
    (row.get(0), row.get(1))
}

#[track_caller]
fn health(shop: &mut Shop, entity: &str) -> (Value, Value) {
    let all: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    let types = all["entityTypes"].as_array().unwrap().clone();
    let one = types.into_iter().find(|one| one["entityType"] == entity).unwrap();
    (all["status"].clone(), one["unreadable"].clone())
}

#[test]
fn a_record_of_another_form_is_named_and_kept_while_the_others_are_read() {
    for (entity, field, form) in [
        ("customers", "billing", json!("broken")),
        ("customers", "billing", json!([])),
        ("orders", "line_items", json!("broken")),
        ("products", "images", json!("broken")),
    ] {
        for settings in [json!({}), json!({ "compare_limit": 0 })] {
            let mut shop = Shop::with(small(Version::V11), settings.clone());
            shop.pull(entity);
            shop.fill(entity);
            let mut expected = shop.delta(entity);
            let ids = shop.listed(entity);
            let (bad, other) = (ids[7], ids[9]);
            let (name, value) = match entity {
                "customers" => ("first_name", json!("Zoë")),
                "products" => ("name", json!("Zoë")),
                _ => ("customer_note", json!("Zoë")),
            };
            for id in [bad, other] {
                shop.change(json!({ "op": "edit", "entity": entity, "id": id, "set": { name: value } }));
            }
            let set = |ids: Vec<u64>| ListFault::Set {
                ids,
                field: field.to_owned(),
                value: form.clone(),
            };
            shop.lie(entity, set(vec![bad]));
            let pulled = shop.pull(entity);
            assert_eq!(
                (&pulled["status"], &pulled["unreadable"], &pulled["deleted"]),
                (&json!("partial"), &json!(1), &json!(0)),
                "{entity} {settings}"
            );
            let warning = pulled["warnings"][0].as_str().unwrap();
            assert!(
                warning.contains(&bad.to_string()) && warning.contains(field),
                "{warning}"
            );
            expected.entry(other.to_string()).or_insert("updated".to_owned());
            assert_eq!(shop.delta(entity), expected, "{entity}");
            assert_eq!(state(&mut shop, entity), ("partial".to_owned(), 1));
            let (status, unreadable) = health(&mut shop, entity);
            assert_eq!((status, &unreadable["count"]), (json!("degraded"), &json!(1)));
            assert_eq!(unreadable["records"][0]["id"], bad.to_string());
            let logged = shop.sql.query_one(
                "SELECT status, error_message FROM sync_activity_log WHERE activity_type = 'pull' ORDER BY created_at DESC LIMIT 1",
                &[],
            );
            let logged = logged.unwrap();
            assert_eq!(
                (logged.get::<_, &str>(0), logged.get::<_, &str>(1)),
                (
                    "completed_with_errors",
                    "records that could not be read: 1; sync_health names them"
                )
            );

            // nothing of it shows in a date by then
            shop.sandbox.clear_faults(None);
            shop.pull(entity);
            shop.assert_mirrored(entity);
            assert_eq!(state(&mut shop, entity), ("success".to_owned(), 0));
            assert_eq!(health(&mut shop, entity).0, "ok");
        }
    }
}

#[test]
fn lists_that_php_sends_as_objects_change_nothing() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("orders");
    shop.fill("orders");
    let places = shop.places();
    for field in ["line_items", "tax_lines", "refunds", "meta_data", "coupon_lines"] {
        shop.sandbox.clear_faults(None);
        shop.lie("orders", ListFault::AsObject { field: field.into() });
        assert_eq!(shop.pull("orders")["status"], "success");
        assert_eq!(shop.places(), places, "{field}");
    }
}

#[test]
fn a_type_that_fails_as_a_whole_is_a_failure() {
    let mut shop = Shop::with(
        sync_sandbox::Config {
            orders: 1200,
            ..small(Version::V11)
        },
        json!({}),
    );
    shop.lie(
        "orders",
        ListFault::Set {
            ids: Vec::new(),
            field: "line_items".into(),
            value: json!(false),
        },
    );
    let error = shop.try_pull("orders").unwrap_err();
    assert_eq!(error.code().unwrap().code(), "08P01");
}

#[test]
fn sync_all_is_partial_where_a_record_could_not_be_read() {
    let mut shop = Shop::new(Version::V11);
    let bad = shop.listed("customers")[3];
    let field = "email".to_owned();
    let value = json!(["x"]);
    shop.lie(
        "customers",
        ListFault::Set {
            ids: vec![bad],
            field,
            value,
        },
    );
    let all: Value = shop
        .sql
        .query_one("SELECT sync_all('woocommerce')", &[])
        .unwrap()
        .get(0);
    assert_eq!(all["status"], "partial");
    assert_eq!(all["entityTypes"]["customers"]["status"], "partial");
    assert_eq!(all["entityTypes"]["orders"]["status"], "success");
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::testing::{pages, recording};
use super::*;
use crate::core::fields;
use std::collections::HashSet;

const SITES: [&str; 2] = ["wc11", "wc8"];

/// Every field of a record is one that the schema knows.
fn check(record: &Record, entity: EntityType) {
    for name in record.data.keys() {
        assert!(
            fields(entity).iter().any(|field| field.name == name),
            "{} has no field {name}",
            entity.name()
        );
    }
    let empty = |value: &Value| value.is_null() || value.as_str() == Some("");
    assert!(!record.data.values().any(empty), "{:?}", record.data);
}

/// Maps every recorded row of these listings, and every id once.
fn check_all(lists: &[&str], entity: EntityType, map: fn(&Value) -> Result<Record>) {
    for site in SITES {
        for list in lists {
            let mut ids = HashSet::new();
            for row in pages(site, list).iter().flatten() {
                let record = map(row).unwrap();
                assert_eq!(Some(record.external_id.clone()), id(row));
                check(&record, entity);
                ids.insert(record.external_id);
            }
            let rows: HashSet<_> = pages(site, list).iter().flatten().filter_map(id).collect();
            assert_eq!(ids, rows);
        }
    }
}

fn single(path: &str) -> Value {
    recording(path)["response"]["body"].take()
}

#[test]
fn every_recorded_record_is_mapped() {
    check_all(
        &["customers_list", "customers_role_all"],
        EntityType::Customers,
        customer,
    );
    check_all(
        &["products_list", "products_modified", "products_default_order"],
        EntityType::Products,
        product,
    );
    check_all(&["variations_list"], EntityType::Products, |row| {
        variation(row, None)
    });
    check_all(&["orders_list", "orders_modified"], EntityType::Orders, order);
    check_all(&["categories_list"], EntityType::Categories, category);
}

#[test]
fn a_customer() {
    let row = single("wc11/single/customer_full.json");
    let record = customer(&row).unwrap();
    assert_eq!(
        (record.external_id.as_str(), record.match_key.as_deref()),
        ("18", Some("cust15@lab.example"))
    );
    assert_eq!(
        record.modified_at.unwrap().to_rfc3339(),
        "2026-01-09T13:28:15+00:00"
    );
    assert_eq!(record.data["name"], "José");
    assert_eq!(record.data["billing_city"], "São Paulo");
    assert_eq!(record.data["shipping_postcode"], "20095");
    assert_eq!(
        record.data["custom"],
        json!({"loyalty": "gold", "lab_arr": {"x": [1, 2]}})
    );
    assert!(!record.data.contains_key("last_name") && !record.data.contains_key("shipping_email"));
}

#[test]
fn a_customer_that_woocommerce_never_saved_has_no_time_of_change() {
    let rows = single("wc8/single/customer_null_modified.json");
    let record = customer(&rows[0]).unwrap();
    assert_eq!(record.modified_at, None);
    assert_eq!(record.data["created_at"], "2026-11-21T01:19:22Z");
}

#[test]
fn a_variation_is_the_same_on_old_and_new_shops() {
    for (path, parent) in [
        ("wc11/single/variation.json", "34"),
        ("wc8/single/variation.json", "36"),
    ] {
        let row = single(path);
        let record = variation(&row, Some(parent)).unwrap();
        assert_eq!(record.parent_id.as_deref(), Some(parent));
        assert_eq!(record.data["parent_external_id"], parent);
        assert_eq!(record.data["name"], "Red, S");
        assert_eq!(record.data["type"], "variation");
        assert_eq!(
            record.data["attributes"],
            json!([
                {"id": "1", "name": "Color", "options": ["Red"]},
                {"id": "2", "name": "Size", "options": ["S"]},
            ])
        );
    }
}

#[test]
fn a_variation_that_shares_its_products_stock_manages_none() {
    let row = json!({"id": 5, "manage_stock": "parent", "stock_quantity": -4, "parent_id": 3});
    let record = variation(&row, None).unwrap();
    assert_eq!(record.parent_id.as_deref(), Some("3"));
    assert!(!record.data.contains_key("manage_stock"));
    assert_eq!(record.data["stock_quantity"], -4);
}

#[test]
fn a_product() {
    let row = single("wc8/single/product_variable.json");
    let record = product(&row).unwrap();
    assert_eq!(record.match_key.as_deref(), Some("SKU-8"));
    assert_eq!(record.data["category_ids"], json!(["24", "27"]));
    assert_eq!(record.data["tags"], json!(["été"]));
    assert_eq!(
        record.data["attributes"][2],
        json!({"name": "Fit", "options": ["slim", "loose"]})
    );
    assert_eq!(record.data["length"], "10");
    assert_eq!(record.data["is_active"], true);
    assert!(!record.data.contains_key("height") && !record.data.contains_key("regular_price"));
}

#[test]
fn an_order() {
    let row = single("wc11/single/order_coupon_fee.json");
    let record = order(&row).unwrap();
    assert_eq!(record.match_key.as_deref(), Some("1047"));
    assert_eq!(record.data["ordered_at"], "2025-11-30T11:54:04Z");
    assert_eq!(record.data["customer_email"], "guest16@mail.example");
    assert_eq!(record.data["lines"][1]["variation_id"], "140");
    assert_eq!(
        record.data["lines"][2],
        json!({"id": "63", "name": "Żółta koszulka 182", "product_id": "381",
        "quantity": 3, "subtotal": "342.24", "subtotal_tax": "65.03", "total": "340.89", "total_tax": "64.77"})
    );
    assert_eq!(
        record.data["coupon_lines"],
        json!([{"id": "66", "code": "lab2", "discount": "4", "discount_tax": "0.76"}])
    );
    for absent in ["customer_external_id", "refunds", "fee_lines", "transaction_id"] {
        assert!(!record.data.contains_key(absent), "{absent}");
    }
}

#[test]
fn refunds_are_part_of_their_order() {
    for (path, id) in [
        ("wc11/single/order_refunded.json", "1035"),
        ("wc8/single/order_refunded.json", "1037"),
    ] {
        let row = single(path);
        let refunds = &order(&row).unwrap().data["refunds"];
        assert_eq!(
            *refunds,
            json!([{"id": id, "reason": "partial", "total": "-173.94"}])
        );
    }
}

#[test]
fn a_repeated_meta_key_becomes_a_list() {
    let row = json!({"id": 1, "meta_data": [
        {"key": "a", "value": [1]}, {"key": "a", "value": 2}, {"key": "a", "value": 3},
        {"key": "b", "value": ""}, {"key": "c", "value": null}, {"value": 1},
    ]});
    assert_eq!(customer(&row).unwrap().data["custom"], json!({"a": [[1], 2, 3]}));
}

#[test]
fn a_record_without_an_id_is_nonsense() {
    for row in [
        json!({}),
        json!([]),
        json!({"id": 0}),
        json!({"id": null}),
        json!("x"),
    ] {
        for map in [customer, product, order, category] {
            assert_eq!(map(&row).unwrap_err().code, Code::Nonsense);
        }
    }
}

/// A row of each kind with all that is taken from it.
fn whole(kind: &str) -> Value {
    let address = json!({"first_name": "A", "city": "Ulm"});
    match kind {
        "customer" => {
            json!({"id": 1, "email": "a@x.example", "first_name": "A", "last_name": "B", "role": "customer",
            "username": "a", "billing": address, "shipping": address, "date_created_gmt": "2026-01-01T00:00:00",
            "date_modified_gmt": null, "meta_data": [{"key": "k", "value": {"any": [1]}}]})
        }
        "product" => {
            json!({"id": 1, "sku": "S", "name": "N", "type": "simple", "status": "publish", "slug": "n",
            "price": "1", "regular_price": "1", "sale_price": "", "stock_quantity": null, "manage_stock": false,
            "weight": "", "virtual": false, "date_on_sale_from_gmt": null, "dimensions": {"length": "", "width": "2"},
            "categories": [{"id": 4}], "tags": [{"name": "t"}], "images": [{"src": "https://x/y.png"}],
            "attributes": [{"id": 0, "name": "Fit", "options": ["slim"]}], "meta_data": []})
        }
        "order" => json!({"id": 1, "number": "1", "status": "pending", "currency": "EUR", "total": "1.00",
            "prices_include_tax": true, "customer_id": 0, "billing": address, "shipping": address,
            "date_created_gmt": "2026-01-01T00:00:00", "date_paid_gmt": null,
            "line_items": [{"id": 1, "name": "x", "quantity": 2, "product_id": 3, "sku": null}],
            "shipping_lines": [{"id": 2, "total": "4.00"}], "fee_lines": [{"id": 3, "total": "1.00"}],
            "coupon_lines": [{"id": 4, "code": "c"}], "tax_lines": [{"id": 5, "label": "VAT"}],
            "refunds": [{"id": 6, "reason": "", "total": "-1.00"}], "meta_data": []}),
        _ => json!({"id": 1, "name": "N", "slug": "n", "parent": 0, "description": "", "display": "default",
            "menu_order": 0, "image": null}),
    }
}

type Map = fn(&Value) -> Result<Record>;

const MAPS: [(&str, Map); 4] = [
    ("customer", customer),
    ("product", product),
    ("order", order),
    ("category", category),
];

#[test]
fn lists_that_php_sends_as_objects_are_their_values_in_the_order_of_their_places() {
    for (kind, map) in MAPS {
        let row = whole(kind);
        for (name, value) in row.as_object().unwrap() {
            let Some(items) = value.as_array() else { continue };
            let mut row = row.clone();
            let more: Vec<Value> = (0..12).flat_map(|_| items.clone()).collect();
            row[name] = json!(more);
            let list = map(&row).unwrap();
            // 9 comes before 10, not as texts are ordered
            let places = more
                .iter()
                .enumerate()
                .map(|(n, item)| ((n + 3).to_string(), item.clone()));
            row[name] = Value::Object(places.collect());
            assert_eq!(map(&row).unwrap().data, list.data, "{kind} {name}");
        }
    }
}

/// A value of the wrong JSON type never becomes empty: it makes the record one that can't be read.
#[test]
fn values_of_another_json_type_are_refused() {
    let single = [json!({"a": 1}), json!([1])];
    let lists = [
        json!("x"),
        json!(5),
        json!(true),
        json!(false),
        json!(null),
        json!(["x"]),
        json!([[]]),
    ];
    let objects = [
        json!("x"),
        json!(""),
        json!(5),
        json!(true),
        json!(false),
        json!([1]),
        json!([]),
        json!({}),
    ];
    let images = [json!("x"), json!(5), json!(true), json!([1])];
    for (kind, map) in MAPS {
        let row = whole(kind);
        map(&row).unwrap();
        for (name, value) in row.as_object().unwrap() {
            let wrong = match value {
                Value::Array(_) => &lists[..],
                Value::Object(_) => &objects[..],
                // an image that is missing is null
                _ if name == "image" => &images[..],
                _ => &single[..],
            };
            for wrong in wrong {
                let mut row = row.clone();
                row[name] = wrong.clone();
                let refused = map(&row).expect_err(name);
                assert_eq!(refused.code, Code::Nonsense, "{kind} {name}");
            }
            let parts: &[Value] = value.as_array().map_or(&[], Vec::as_slice);
            for field in parts
                .iter()
                .filter_map(Value::as_object)
                .flat_map(|part| part.keys())
            {
                let mut row = row.clone();
                row[name][0][field] = json!({"a": 1});
                let is_free = field == "value" || matches!((name.as_str(), field.as_str()), ("meta_data", _));
                let is_list = field == "options";
                assert_eq!(map(&row).is_err(), !is_free && !is_list, "{kind} {name} {field}");
            }
        }
    }
}

/// Texts, numbers, true and false stand for one another in PHP, and an image that is missing is whatever it has for nothing.
#[test]
fn what_php_takes_for_the_same_is_taken() {
    let mut row = whole("order");
    row["number"] = json!(1);
    row["total"] = json!(1.5);
    row["customer_id"] = json!("7");
    row["date_paid_gmt"] = json!(false);
    let record = order(&row).unwrap();
    assert_eq!(
        (&record.data["number"], &record.data["customer_external_id"]),
        (&json!(1), &json!("7"))
    );
    assert!(!record.data.contains_key("paid_at"));
    let mut row = whole("category");
    for missing in [json!(null), json!(false), json!(""), json!([])] {
        row["image"] = missing;
        assert!(!category(&row).unwrap().data.contains_key("image_url"));
    }
}

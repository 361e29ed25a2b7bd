#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::delivers;
use super::super::testing::recordings;
use super::*;
use crate::core::{compared, fields, normalise};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

const MODELS: &[(&str, EntityType)] = &[
    ("res-partner", EntityType::Customers),
    ("product-product", EntityType::Products),
    ("product-category", EntityType::Categories),
    ("stock-warehouse", EntityType::Warehouses),
    ("purchase-order", EntityType::Purchases),
    ("sale-order", EntityType::Sales),
    ("sale-order", EntityType::Orders),
    ("stock-picking", EntityType::Transfers),
];

/// Every field of a record is one that the schema knows, and holds something.
fn check(record: &Record, entity: EntityType) {
    for (name, value) in &record.data {
        assert!(
            fields(entity).iter().any(|f| f.name == name),
            "{} has no {name}",
            entity.name()
        );
        assert!(!value.is_null() && value.as_str() != Some(""), "{name} {value}");
        assert!(
            value != &json!(false) || name.starts_with("is_") || name == "manage_stock",
            "{name}"
        );
    }
}

#[test]
fn every_recorded_record_is_mapped() {
    for version in ["odoo19", "odoo17"] {
        let all = recordings(version);
        for (model, entity) in MODELS {
            let pages = all.iter().filter(|(name, _)| {
                let name = &name[4..];
                name.strip_prefix(model)
                    .is_some_and(|rest| rest.starts_with("-page"))
            });
            for (_, page) in pages {
                for row in page["response"]["body_json"]["result"].as_array().unwrap() {
                    let record = record(*entity, row, &Extras::default()).unwrap();
                    assert_eq!(record.external_id, row["id"].to_string());
                    assert!(record.modified_at.is_some());
                    check(&record, *entity);
                }
            }
        }
    }
}

fn looked_up(rows: &[(u64, Value)]) -> Rows {
    rows.iter()
        .map(|(id, row)| (*id, Arc::new(row.clone())))
        .collect()
}

/// Rows as version 19 and version 17 send them, with something in every field.
fn full(entity: EntityType) -> (Value, Extras) {
    let mut extras = Extras::default();
    let row = match entity {
        EntityType::Customers => {
            extras.countries = looked_up(&[(233, json!({"code": "US"}))]);
            extras.states = looked_up(&[(13, json!({"code": "CA"}))]);
            extras.tags = looked_up(&[(2, json!({"name": "Gold"})), (5, Value::Null)]);
            json!({"name": "Kim Snyder", "category_id": [2, 5], "email": "Kim@Example.com", "phone": "(215)-379", "is_company": true,
                "vat": "US1", "type": "contact", "commercial_company_name": "Ready Mat", "parent_id": [11, "Ready Mat"],
                "street": "7500 W Linne Road", "street2": "Floor 2", "zip": "95304", "city": "Tracy",
                "state_id": [13, "California (US)"], "country_id": [233, "United States"], "company_id": [1, "My Company"],
                "active": true})
        }
        EntityType::Products => {
            extras.attribute_values = looked_up(&[
                (5, json!({"name": "Blau", "attribute_id": [2, "Color"]})),
                (6, Value::Null),
            ]);
            json!({"name": "Desk", "default_code": "FURN_1", "barcode": "4711", "type": "consu", "is_storable": true,
                "description_sale": "Wide", "lst_price": 85.0, "currency_id": [1, "USD"], "weight": 1.5,
                "categ_id": [5, "Furniture / Office"], "product_tmpl_id": [18, "Desk"],
                "product_template_attribute_value_ids": [5, 6], "qty_available": 2.0, "company_id": [1, "My Company"],
                "active": true})
        }
        EntityType::Categories => json!({"name": "Office", "parent_id": [4, "Furniture"]}),
        EntityType::Warehouses => json!({"name": "Main", "code": "WH", "company_id": [1, "My Company"],
            "partner_id": [1, "My Company"], "lot_stock_id": [5, "WH/Stock"], "reception_steps": "one_step",
            "delivery_steps": "ship_only", "active": true}),
        EntityType::Orders | EntityType::Sales => {
            extras.countries = looked_up(&[(233, json!({"code": "US"}))]);
            extras.states = looked_up(&[(13, json!({"code": "CA"}))]);
            extras.variants = looked_up(&[(9, json!({"default_code": "FURN_1"}))]);
            let contact = |street: &str, email: &str| {
                json!({"email": email, "phone": "(215)-379", "commercial_company_name": "Ready Mat", "street": street,
                    "street2": "Floor 2", "zip": "95304", "city": "Tracy", "state_id": [13, "California (US)"],
                    "country_id": [233, "United States"]})
            };
            extras.contacts = looked_up(&[
                (11, contact("1 Main Street", "info@ready.example")),
                (25, contact("2 Bill Street", "bills@ready.example")),
                (26, contact("3 Ship Street", "ramp@ready.example")),
            ]);
            extras.lines = HashMap::from([(
                7,
                vec![json!({"id": 3, "order_id": [7, "S7"], "name": "Desk",
                "product_id": [9, "[FURN_1] Desk"], "product_uom_qty": 2.0, "qty_delivered": 1.0,
                "qty_invoiced": 0.0, "price_unit": 85.0, "discount": 10.0, "price_subtotal": 153.0,
                "price_tax": 29.07, "price_total": 182.07, "product_uom_id": [1, "Units"]})],
            )]);
            json!({"name": "S00007", "state": "sale", "currency_id": [1, "USD"], "partner_id": [11, "Ready Mat"],
                "client_order_ref": "PO-1", "partner_invoice_id": [25, "x"], "partner_shipping_id": [26, "y"],
                "origin": "web", "company_id": [1, "My Company"], "warehouse_id": [1, "Main"],
                "user_id": [5, "Marc Demo"], "team_id": [2, "Europe"], "amount_untaxed": 153.0, "amount_tax": 29.07,
                "amount_total": 182.07, "date_order": "2026-11-21 01:18:32", "validity_date": "2026-12-21",
                "commitment_date": "2026-12-01 08:00:00", "invoice_status": "to invoice",
                "delivery_status": "partial", "payment_term_id": [4, "30 Days"], "note": "<p>Ünï</p>"})
        }
        EntityType::Purchases => {
            extras.picking_types =
                looked_up(&[(1, json!({"code": "incoming", "warehouse_id": [2, "Main"]}))]);
            extras.lines = HashMap::from([(
                7,
                vec![json!({"id": 3, "name": "Desk", "product_id": [9, "Desk"],
                "product_qty": 2.0, "qty_received": 1.0, "qty_invoiced": 0.0, "price_unit": 85.0, "discount": 0.0,
                "price_subtotal": 170.0, "price_tax": 0.0, "price_total": 170.0, "product_uom": [1, "Units"],
                "date_planned": "2026-12-01 08:00:00"})],
            )]);
            json!({"name": "P00007", "state": "purchase", "currency_id": [1, "USD"], "partner_id": [8, "Wood"],
                "partner_ref": "R1", "origin": "S1", "company_id": [1, "My Company"], "picking_type_id": [1, "Receipts"],
                "user_id": [2, "Admin"], "amount_untaxed": 170.0, "amount_tax": 0.0, "amount_total": 170.0,
                "date_order": "2026-11-21 01:18:13", "date_approve": "2026-11-22 01:18:13",
                "date_planned": "2026-12-01 08:00:00", "invoice_status": "no", "receipt_status": "pending",
                "payment_term_id": [4, "30 Days"], "notes": "<p>Terms</p>"})
        }
        EntityType::Transfers => {
            extras.picking_types =
                looked_up(&[(2, json!({"code": "outgoing", "warehouse_id": [1, "Main"]}))]);
            extras.lines = HashMap::from([(
                7,
                vec![
                    json!({"id": 18, "name": "Desk", "description_picking": "Desk, wide",
                "state": "done", "product_id": [9, "Desk"], "product_uom_qty": 2.0, "quantity": 1.0,
                "product_uom": [1, "Units"]}),
                ],
            )]);
            json!({"name": "WH/OUT/00007", "state": "done", "picking_type_id": [2, "Main: Delivery Orders"],
                "partner_id": [8, "Wood"], "origin": "S7", "company_id": [1, "My Company"],
                "location_id": [5, "WH/Stock"], "location_dest_id": [2, "Customers"], "backorder_id": [6, "WH/OUT/6"],
                "user_id": [2, "Admin"], "priority": "0", "carrier_tracking_ref": "T1",
                "scheduled_date": "2026-11-06 01:17:57", "date_deadline": "2026-11-07 01:17:57",
                "date_done": "2026-11-21 01:17:57", "note": "<p>fragile</p>"})
        }
    };
    let mut row = row;
    row["id"] = json!(7);
    row["create_date"] = json!("2026-11-20 01:18:10");
    row["write_date"] = json!("2026-11-21 01:18:10");
    row["x_studio_vip"] = json!("yes");
    (row, extras)
}

fn sample(entity: EntityType) -> Record {
    let (row, extras) = full(entity);
    record(entity, &row, &extras).unwrap()
}

#[test]
fn full_records_hold_what_is_promised() {
    for entity in EntityType::ALL {
        let record = sample(entity);
        check(&record, entity);
        let there = normalise(entity, &record.data);
        let names = compared(entity).iter().map(|field| field.name);
        let delivered: BTreeSet<_> = names.filter(|name| there.contains_key(name)).collect();
        let promised = delivers::fields(entity).iter().chain(delivers::carried(entity));
        let promised: BTreeSet<_> = promised.copied().collect();
        assert_eq!(delivered, promised, "{}", entity.name());
        assert_eq!(
            record.modified_at.unwrap().to_rfc3339(),
            "2026-11-21T01:18:10+00:00"
        );
        assert_eq!(record.data["custom"], json!({"x_studio_vip": "yes"}));
    }
}

#[test]
fn references_are_ids_and_codes_where_there_are_codes() {
    let customer = sample(EntityType::Customers);
    assert_eq!(customer.match_key.as_deref(), Some("kim@example.com"));
    assert_eq!(
        (&customer.data["billing_country"], &customer.data["billing_state"]),
        (&json!("US"), &json!("CA"))
    );
    let (row, _) = full(EntityType::Customers);
    let unknown = record(EntityType::Customers, &row, &Extras::default()).unwrap();
    assert_eq!(unknown.data["billing_state"], "California (US)");

    let product = sample(EntityType::Products);
    assert_eq!(product.data["parent_external_id"], "product.template,18");
    assert_eq!(product.data["category_ids"], json!(["5"]));
    assert_eq!(
        product.data["attributes"],
        json!([{"id": "2", "name": "Color", "options": ["Blau"]}])
    );
    assert_eq!(
        (product.parent_id, &product.data["currency"]),
        (None, &json!("USD"))
    );

    let transfer = sample(EntityType::Transfers);
    assert_eq!(transfer.data["direction"], "outgoing");
    assert_eq!(transfer.data["warehouse_external_id"], "1");
    assert_eq!(transfer.data["destination_location_name"], "Customers");
    assert_eq!(transfer.data["lines"][0]["quantity_done"], json!(1.0));
}

#[test]
fn a_move_is_described_by_what_was_written_for_it() {
    let described = |own: Value| {
        let (row, mut extras) = full(EntityType::Transfers);
        let line = &mut extras.lines.get_mut(&7).unwrap()[0];
        if !own.is_null() {
            // from version 19 on
            line.as_object_mut().unwrap().remove("name");
            line["description_picking_manual"] = own;
        }
        let line = record(EntityType::Transfers, &row, &extras).unwrap().data["lines"][0].clone();
        (line["name"].clone(), line["description"].clone())
    };
    let made_up = json!("Desk, wide");
    assert_eq!(described(Value::Null), (json!("Desk"), made_up.clone()));
    assert_eq!(described(json!(false)), (made_up.clone(), Value::Null));
    assert_eq!(described(json!("Up!")), (made_up, json!("Up!")));
}

#[test]
fn one_sale_order_is_an_order_of_a_shop_and_a_sale_of_an_erp() {
    let (order, sale) = (sample(EntityType::Orders), sample(EntityType::Sales));
    assert_eq!(order.match_key.as_deref(), Some("S00007"));
    assert_eq!(
        (&order.data["customer_external_id"], &order.data["customer_name"]),
        (&json!("11"), &json!("Ready Mat"))
    );
    assert_eq!(sale.data["partner_email"], "info@ready.example");
    // a shop's lines carry their amounts without tax
    assert_eq!(
        (&order.data["lines"][0]["total"], &sale.data["lines"][0]["total"]),
        (&json!(153.0), &json!(182.07))
    );
    assert_eq!(sale.data["ordered_at"], "2026-11-21T01:18:32Z");
    assert_eq!(sale.data["valid_until"], "2026-12-21");
    assert_eq!(sale.data["note"], "<p>Ünï</p>");
}

#[test]
fn an_order_has_the_addresses_of_whom_it_names() {
    let order = sample(EntityType::Orders).data;
    for (field, value) in [
        ("customer_email", "info@ready.example"),
        ("billing_email", "bills@ready.example"),
        ("billing_address_1", "2 Bill Street"),
        ("billing_company", "Ready Mat"),
        ("billing_state", "CA"),
        ("shipping_address_1", "3 Ship Street"),
        ("shipping_country", "US"),
        ("shipping_phone", "(215)-379"),
    ] {
        assert_eq!(order[field], value, "{field}");
    }
    assert!(!order.contains_key("shipping_email"));
    // whoever may not be seen is known by name alone
    let (row, mut extras) = full(EntityType::Orders);
    extras.contacts = looked_up(&[(25, Value::Null)]);
    let hidden = record(EntityType::Orders, &row, &extras).unwrap().data;
    assert_eq!(hidden["invoice_partner_name"], "x");
    let shown = hidden
        .keys()
        .find(|name| name.starts_with("billing_") || name.ends_with("email"));
    assert_eq!(shown, None);
}

#[test]
fn lines_have_the_sku_of_their_product() {
    for entity in [EntityType::Orders, EntityType::Sales] {
        assert_eq!(sample(entity).data["lines"][0]["sku"], "FURN_1");
    }
    for entity in [EntityType::Purchases, EntityType::Transfers] {
        let (row, mut extras) = full(entity);
        extras.variants = looked_up(&[(9, json!({"default_code": "FURN_1"}))]);
        let record = record(entity, &row, &extras).unwrap();
        assert_eq!(record.data["lines"][0]["sku"], "FURN_1");
        extras.variants = looked_up(&[(9, json!({"default_code": false}))]);
        let record = self::record(entity, &row, &extras).unwrap();
        assert!(record.data["lines"][0].get("sku").is_none());
    }
}

#[test]
fn false_is_nothing_and_archived_is_known() {
    let row = json!({"id": 3, "name": "x", "email": false, "vat": false, "parent_id": false, "state_id": false,
        "active": false, "write_date": false, "is_company": false});
    let record = record(EntityType::Customers, &row, &Extras::default()).unwrap();
    assert_eq!(
        Value::Object(record.data),
        json!({"name": "x", "is_company": false, "is_active": false})
    );
    assert_eq!((record.match_key, record.modified_at), (None, None));
}

#[test]
fn stock_is_told_of_what_is_stocked() {
    let product = |row: Value| {
        record(EntityType::Products, &row, &Extras::default())
            .unwrap()
            .data
    };
    let stored = product(json!({"id": 1, "type": "product", "qty_available": 0.0}));
    assert_eq!(
        (&stored["manage_stock"], &stored["stock_quantity"]),
        (&json!(true), &json!(0.0))
    );
    let service = product(json!({"id": 1, "type": "service", "qty_available": 0.0}));
    assert!(!service.contains_key("stock_quantity"));
}

#[test]
fn what_is_only_reserved_is_not_done() {
    let (row, mut extras) = full(EntityType::Transfers);
    extras.lines.get_mut(&7).unwrap()[0]["state"] = json!("assigned");
    let transfer = record(EntityType::Transfers, &row, &extras).unwrap();
    assert!(transfer.data["lines"][0].get("quantity_done").is_none());
}

#[test]
fn a_record_without_an_id_is_nonsense() {
    for row in [json!({}), json!([]), json!({"id": false}), json!("x")] {
        for entity in EntityType::ALL {
            let error = record(entity, &row, &Extras::default()).unwrap_err();
            assert_eq!(error.code, Code::Nonsense);
        }
    }
}

#[test]
fn tags_are_names_and_ids_where_these_may_not_be_seen() {
    let (row, extras) = full(EntityType::Customers);
    let contact = record(EntityType::Customers, &row, &extras).unwrap();
    assert_eq!(contact.data["tags"], json!(["Gold", "5"]));
    let untagged = json!({"id": 1, "category_id": []});
    let contact = record(EntityType::Customers, &untagged, &extras).unwrap();
    assert!(!contact.data.contains_key("tags"));
}

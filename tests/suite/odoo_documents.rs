//! What documents of Odoo show of others: contacts, products, companies.

use std::collections::BTreeMap;

use serde_json::{json, Value};
use sync_sandbox::odoo::Version;

use crate::erp::{Erp, VERSIONS};
use crate::odoo_changes::edit;

/// The canonical records of an entity type, by id.
#[track_caller]
fn records(erp: &mut Erp, entity: &str) -> BTreeMap<u64, Value> {
    let rows = erp.root.query(
        "SELECT r.external_id, r.remote FROM sync_record r JOIN sync_entity e ON e.number = r.entity
         WHERE e.name = $1 AND r.remote_fingerprint IS NOT NULL",
        &[&entity],
    );
    let rows = rows.unwrap();
    rows.iter()
        .map(|row| (row.get::<_, String>(0).parse().unwrap(), row.get(1)))
        .collect()
}

/// As Odoo has it; nothing is null.
fn shown(value: &Value) -> Value {
    match value {
        Value::Bool(false) => Value::Null,
        other => other.clone(),
    }
}

#[test]
fn orders_have_the_addresses_of_their_contacts_and_lines_the_skus_of_their_products() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        for entity in ["orders", "sales", "purchases", "transfers"] {
            erp.pull(entity);
        }
        let mut with_sku = 0;
        for (entity, model, field) in [
            ("orders", "sale.order.line", "order_line"),
            ("sales", "sale.order.line", "order_line"),
            ("purchases", "purchase.order.line", "order_line"),
            ("transfers", "stock.move", "move_ids"),
        ] {
            for (id, record) in records(&mut erp, entity) {
                let document = erp.record(crate::erp::model(entity), id);
                let lines = record["lines"].as_array().into_iter().flatten();
                for line in lines {
                    let theirs = erp.record(model, line["id"].as_str().unwrap().parse().unwrap());
                    let product = theirs["product_id"][0].as_u64();
                    let sku = product.map(|id| shown(&erp.record("product.product", id)["default_code"]));
                    assert_eq!(
                        line["sku"],
                        sku.unwrap_or_default(),
                        "{entity} {id}: {field} {document}"
                    );
                    with_sku += u32::from(line["sku"].is_string());
                }
            }
        }
        assert!(with_sku > 50, "{with_sku}");
        let mut with_mail = 0;
        for (id, order) in records(&mut erp, "orders") {
            let theirs = erp.record("sale.order", id);
            let contact = |field: &str| erp.record("res.partner", theirs[field][0].as_u64().unwrap());
            let (customer, invoice, shipping) = (
                contact("partner_id"),
                contact("partner_invoice_id"),
                contact("partner_shipping_id"),
            );
            for (ours, theirs) in [
                ("customer_email", &customer["email"]),
                ("billing_email", &invoice["email"]),
                ("billing_address_1", &invoice["street"]),
                ("billing_city", &invoice["city"]),
                ("shipping_address_1", &shipping["street"]),
                ("shipping_postcode", &shipping["zip"]),
            ] {
                assert_eq!(order[ours], shown(theirs), "{ours} of {order}");
            }
            with_mail += u32::from(order["customer_email"].is_string());
        }
        assert!(with_mail > 20, "{with_mail}");
    }
}

/// An order whose three contacts may be told apart, pulled and applied. Its id, and those of customer and addressee.
fn applied() -> (Erp, u64, u64, u64) {
    let mut erp = Erp::new(Version::V19);
    let order = erp.ids("sale.order")[0];
    let customer = erp.record("sale.order", order)["partner_id"][0].as_u64().unwrap();
    let addressee = erp.some("res.partner", |r| {
        r["id"] != customer && r["city"].is_string() && r["parent_id"] == false
    });
    erp.pull("orders");
    let done = erp.ask("SELECT sync_apply($1, $2)", "orders");
    assert_eq!(done["status"], "completed", "{done}");
    assert!(erp.delta("orders").is_empty());
    (erp, order, customer, addressee)
}

/// The local row of an order.
#[track_caller]
fn local(erp: &mut Erp, order: u64) -> Value {
    let row = erp.root.query_one(
        "SELECT to_jsonb(o) FROM sync_orders o JOIN sync_record r ON r.local_id = o.id::text
         JOIN sync_entity e ON e.number = r.entity AND e.name = 'orders' WHERE r.external_id = $1",
        &[&order.to_string()],
    );
    row.unwrap().get(0)
}

#[test]
fn a_contact_that_moves_is_no_change_of_its_orders_but_another_addressee_is() {
    let (mut erp, order, customer, addressee) = applied();
    let line = erp.record("sale.order", order)["order_line"][0].as_u64().unwrap();
    let product = erp.record("sale.order.line", line)["product_id"][0]
        .as_u64()
        .unwrap();
    erp.change(edit(
        "res.partner",
        customer,
        json!({ "city": "Newtown", "email": "new@example.com" }),
    ));
    erp.change(edit(
        "product.product",
        product,
        json!({ "default_code": "NEW-1" }),
    ));
    for pulled in [erp.pull("orders"), erp.pull_full("orders")] {
        assert_eq!(pulled["updated"], 0, "{pulled}");
    }
    assert!(erp.delta("orders").is_empty());

    erp.change(edit(
        "sale.order",
        order,
        json!({ "partner_shipping_id": addressee }),
    ));
    erp.pull("orders");
    let rows = erp.sql.query(
        "SELECT external_id, changed_fields FROM compute_delta('odoo', 'orders')",
        &[],
    );
    let rows: Vec<(String, Value)> = rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let expected = json!({ "shipping_partner_external_id": { "old": customer.to_string(), "new": addressee.to_string() } });
    assert_eq!(rows, [(order.to_string(), expected)]);

    // what comes along is written with it
    erp.ask("SELECT sync_apply($1, $2)", "orders");
    assert!(erp.delta("orders").is_empty());
    let (row, contact) = (local(&mut erp, order), erp.record("res.partner", addressee));
    assert_eq!(
        (
            &row["shipping_city"],
            &row["billing_city"],
            &row["customer_email"]
        ),
        (&contact["city"], &json!("Newtown"), &json!("new@example.com"))
    );
    assert_eq!(row["lines"][0]["sku"], "NEW-1");
}

#[test]
fn a_contact_that_is_renamed_is_no_change_of_what_names_it() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        let documents = ["sales", "purchases", "transfers", "warehouses"];
        for entity in documents {
            erp.pull(entity);
            erp.fill(entity);
        }
        for id in erp.ids("res.partner") {
            erp.change(edit(
                "res.partner",
                id,
                json!({ "name": format!("Renamed {id}") }),
            ));
        }
        let order = erp.ids("sale.order")[0];
        let shown = erp.record("sale.order", order)["partner_id"][1].clone();
        assert!(shown.as_str().unwrap().contains("Renamed"), "{shown}");
        for entity in documents {
            let pulled = erp.pull_full(entity);
            assert_eq!(pulled["updated"], 0, "{entity}: {pulled}");
            assert!(erp.delta(entity).is_empty(), "{entity}");
        }
    }
}

#[test]
fn a_product_that_is_renamed_is_no_change_of_its_transfers_but_a_text_of_their_own_is() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        erp.pull("transfers");
        erp.fill("transfers");
        for id in erp.ids("product.product") {
            let renamed = json!({ "name": format!("Renamed {id}"), "default_code": format!("NEW-{id}") });
            erp.change(edit("product.product", id, renamed));
        }
        // from version 19 on, a move shows what its product is called now
        let shown = erp.record("stock.move", erp.ids("stock.move")[0])["description_picking"].to_string();
        assert_eq!(shown.contains("Renamed"), version == Version::V19, "{shown}");
        let pulled = erp.pull_full("transfers");
        assert_eq!(pulled["updated"], 0, "{pulled}");
        assert!(erp.delta("transfers").is_empty());

        let described = erp.some("stock.picking", |r| r["move_ids"] != json!([]));
        let moved = erp.record("stock.picking", described)["move_ids"][0]
            .as_u64()
            .unwrap();
        erp.change(edit(
            "stock.move",
            moved,
            json!({ "description_picking": "This side up" }),
        ));
        erp.pull("transfers");
        let shown = erp.delta("transfers");
        assert_eq!(
            shown,
            BTreeMap::from([(described.to_string(), "updated".to_owned())])
        );
        let record = &records(&mut erp, "transfers")[&described];
        let lines = record["lines"].as_array().unwrap();
        let id = json!(moved.to_string());
        let line = lines.iter().find(|line| line["id"] == id).unwrap();
        assert_eq!(line["description"], "This side up", "{line}");
        assert!(line["name"].is_string(), "{line}");
    }
}

#[test]
fn what_is_left_out_by_sync_map_does_not_come_along() {
    let (mut erp, order, customer, _) = applied();
    let before = local(&mut erp, order);
    erp.sql
        .execute(
            "SELECT sync_map('odoo', 'orders', 'customer_email', compared => false)",
            &[],
        )
        .unwrap();
    erp.change(edit(
        "res.partner",
        customer,
        json!({ "city": "Newtown", "email": "new@example.com" }),
    ));
    erp.change(json!({ "op": "cancel", "entity": "sale.order", "id": order }));
    erp.pull("orders");
    erp.ask("SELECT sync_apply($1, $2)", "orders");
    let after = local(&mut erp, order);
    assert_eq!(
        (&after["status"], &after["billing_city"]),
        (&json!("cancel"), &json!("Newtown"))
    );
    assert_eq!(after["customer_email"], before["customer_email"]);
}

#[test]
fn records_say_which_company_they_belong_to() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        for entity in ["customers", "products", "orders"] {
            erp.pull(entity);
        }
        let contact = erp.some("res.partner", |r| {
            r["company_id"] == false && r["child_ids"] == json!([])
        });
        let template = erp.some("product.template", |r| r["company_id"] == false);
        erp.change(edit("res.partner", contact, json!({ "company_id": 2 })));
        erp.change(edit("product.template", template, json!({ "company_id": 2 })));
        let variant = erp.record("product.template", template)["product_variant_ids"][0].as_u64();
        for (entity, id) in [("customers", contact), ("products", variant.unwrap())] {
            assert_eq!(records(&mut erp, entity)[&id]["company_external_id"], Value::Null);
            erp.pull(entity);
            erp.assert_mirrored(entity);
            let record = &records(&mut erp, entity)[&id];
            let name = erp.record("res.company", 2)["name"].clone();
            assert_eq!(
                (&record["company_external_id"], &record["company_name"]),
                (&json!("2"), &name)
            );
        }
        let companies: std::collections::BTreeSet<String> = records(&mut erp, "orders")
            .values()
            .map(|order| order["company_external_id"].to_string())
            .collect();
        assert_eq!(companies.len(), 2, "{companies:?}");
    }
}

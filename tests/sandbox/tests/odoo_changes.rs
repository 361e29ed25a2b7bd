//! Changes behind Odoo's API and through it, and what each does to `write_date`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::odoo::{call, error, execute, start};
use serde_json::{json, Value};
use sync_sandbox::odoo::{Config, Erp, Version};
use sync_sandbox::Sandbox;

const VERSIONS: [Version; 3] = [Version::V17, Version::V18, Version::V19];
const WATCHED: [&str; 9] = [
    "res.partner",
    "product.template",
    "product.product",
    "product.category",
    "sale.order",
    "sale.order.line",
    "stock.picking",
    "stock.move",
    "stock.quant",
];

fn small(version: Version) -> Sandbox<Erp> {
    Sandbox::start(Config {
        version,
        partners: 60,
        templates: 60,
        sales: 40,
        purchases: 20,
        transfers: 10,
        ..Config::default()
    })
    .unwrap()
}

fn dates(sandbox: &Sandbox<Erp>) -> BTreeMap<(&'static str, u64), String> {
    let mut all = BTreeMap::new();
    for model in WATCHED {
        for id in sandbox.truth(model).unwrap() {
            let record = sandbox.record(model, id).unwrap().unwrap();
            all.insert((model, id), record["write_date"].to_string());
        }
    }
    all
}

/// The records that an op dates. It comes a minute after the one before: dates show no fractions.
fn dated(sandbox: &Sandbox<Erp>, minute: i64, op: &Value) -> BTreeSet<(&'static str, u64)> {
    let before = dates(sandbox);
    sandbox.set_clock_skew(60 * minute);
    sandbox.mutate_json(op).unwrap();
    let after = dates(sandbox).into_iter();
    after
        .filter(|(k, v)| before.get(k) != Some(v))
        .map(|(k, _)| k)
        .collect()
}

fn first(sandbox: &Sandbox<Erp>, model: &str, test: impl Fn(&Value) -> bool) -> Value {
    let ids = sandbox.truth(model).unwrap().into_iter();
    let mut all = ids.map(|id| sandbox.record(model, id).unwrap().unwrap());
    all.find(|r| test(r)).unwrap()
}

fn many(of: &Value) -> bool {
    of.as_array().unwrap().len() > 1
}

#[test]
fn what_bumps_and_what_does_not() {
    for version in VERSIONS {
        let sandbox = small(version);
        let id = |model: &str, test: fn(&Value) -> bool| first(&sandbox, model, test)["id"].clone();
        let company = id("res.partner", |r| many(&r["child_ids"]));
        let varied = first(&sandbox, "product.template", |r| many(&r["product_variant_ids"]));
        let variant = varied["product_variant_ids"][1].clone();
        let line = id("sale.order.line", |r| r["product_id"] != false);
        let delivery = id("stock.picking", |r| r["sale_id"] != false && r["state"] != "done");
        let edit = |entity: &str, id: &Value, set: Value| json!({"op": "edit", "entity": entity, "id": id, "set": set});
        let cases: Vec<(Value, &[&str])> = vec![
            (
                edit("res.partner", &company, json!({"comment": "<p>x</p>"})),
                &["res.partner"],
            ),
            (
                edit("product.template", &varied["id"], json!({"list_price": 5.5})),
                &["product.template", "product.product"],
            ),
            (
                edit("product.product", &variant, json!({"default_code": "V-1"})),
                &["product.product"],
            ),
            (
                edit("product.category", &json!(1), json!({"name": "Neu"})),
                &["product.category"],
            ),
            (
                edit("sale.order.line", &line, json!({"name": "just text"})),
                &["sale.order.line"],
            ),
            (
                edit("sale.order.line", &line, json!({"price_unit": 7.25})),
                &["sale.order.line", "sale.order"],
            ),
            (
                json!({"op": "stock", "product": variant, "quantity": 77}),
                &["stock.quant"],
            ),
            (
                json!({"op": "edit", "entity": "res.partner", "id": company, "bump": false, "set": {"ref": "R"}}),
                &[],
            ),
            (
                json!({"op": "validate", "picking": delivery}),
                &[
                    "stock.picking",
                    "stock.move",
                    "stock.quant",
                    "sale.order",
                    "sale.order.line",
                ],
            ),
        ];
        for (minute, (op, models)) in (1..).zip(cases) {
            let expected: BTreeSet<&str> = models.iter().copied().collect();
            let dated = dated(&sandbox, minute, &op).into_iter().map(|(model, _)| model);
            assert_eq!(dated.collect::<BTreeSet<_>>(), expected, "{version:?} {op}");
        }
        assert_eq!(
            sandbox
                .record("stock.picking", delivery.as_u64().unwrap())
                .unwrap()
                .unwrap()["state"],
            "done"
        );
    }
}

#[test]
fn a_companys_name_and_address_date_its_contacts() {
    let sandbox = small(Version::V19);
    let company = first(&sandbox, "res.partner", |r| many(&r["child_ids"]));
    for (minute, set) in [(1, json!({"name": "Nová s.r.o."})), (2, json!({"city": "Brno"}))] {
        let op = json!({"op": "edit", "entity": "res.partner", "id": company["id"], "set": set});
        let changed: BTreeSet<u64> = dated(&sandbox, minute, &op)
            .into_iter()
            .map(|(_, id)| id)
            .collect();
        let mut family: BTreeSet<u64> = serde_json::from_value(company["child_ids"].clone()).unwrap();
        family.insert(company["id"].as_u64().unwrap());
        assert_eq!(changed, family);
    }
    let contact = sandbox
        .record("res.partner", company["child_ids"][0].as_u64().unwrap())
        .unwrap()
        .unwrap();
    assert!(
        contact["display_name"]
            .as_str()
            .unwrap()
            .starts_with("Nová s.r.o., "),
        "{contact}"
    );
    assert_eq!(
        (&contact["type"], &contact["city"]),
        (&json!("contact"), &json!("Brno"))
    );
}

#[test]
fn a_transaction_that_commits_late_brings_old_dates_and_low_ids() {
    let sandbox = start(Version::V19);
    sandbox
        .mutate_json(&json!({"op": "begin", "tx": "a", "reserve": {"res.partner": 2}}))
        .unwrap();
    let meanwhile = sandbox
        .mutate_json(&json!({"op": "create", "entity": "res.partner"}))
        .unwrap();
    let meanwhile = meanwhile["ids"][0].as_u64().unwrap();
    let before = sandbox.truth("res.partner").unwrap();
    let commit = json!({"op": "commit", "tx": "a", "do": [
        {"op": "create", "entity": "res.partner", "count": 2},
        {"op": "edit", "entity": "res.partner", "id": 41, "set": {"ref": "late"}},
    ]});
    let done: Vec<u64> =
        serde_json::from_value(sandbox.mutate_json(&commit).unwrap()["ids"].clone()).unwrap();
    assert_eq!(done, [meanwhile - 2, meanwhile - 1, 41]);
    assert_eq!(sandbox.truth("res.partner").unwrap().len(), before.len() + 2);
    let date = |id| sandbox.record("res.partner", id).unwrap().unwrap()["write_date"].to_string();
    assert!(date(41) <= date(meanwhile));
    assert_eq!(date(41), date(meanwhile - 2));
}

#[test]
fn a_bulk_write_has_one_date_and_writing_the_same_counts() {
    let sandbox = start(Version::V17);
    let bulk = json!({"op": "edit", "entity": "res.partner", "count": 300, "set": {"ref": "B"}, "at": "2026-03-01 10:00:00.25"});
    sandbox.mutate_json(&bulk).unwrap();
    let at = json!([[["write_date", ">=", "2026-03-01 10:00:00"]]]);
    let context = json!({"context": {"active_test": false}});
    assert!(
        call(
            &sandbox,
            "res.partner",
            "search_count",
            at.clone(),
            context.clone()
        )
        .as_u64()
            >= Some(300)
    );
    let date = || sandbox.record("res.partner", 41).unwrap().unwrap()["write_date"].clone();
    assert_eq!(date(), "2026-03-01 10:00:00");
    let again = call(
        &sandbox,
        "res.partner",
        "write",
        json!([[41], {"ref": "B"}]),
        json!({}),
    );
    assert_eq!(again, true);
    assert_ne!(date(), "2026-03-01 10:00:00");
}

#[test]
fn deleting_takes_parts_along_and_leaves_no_trace() {
    let sandbox = start(Version::V19);
    let order = first(&sandbox, "sale.order", |r| {
        many(&r["order_line"]) && r["state"] == "draft"
    });
    let lines = order["order_line"].clone();
    assert_eq!(
        call(
            &sandbox,
            "sale.order",
            "unlink",
            json!([[order["id"]]]),
            json!({})
        ),
        true
    );
    let left = call(
        &sandbox,
        "sale.order.line",
        "read",
        json!([lines, ["name"]]),
        json!({}),
    );
    assert_eq!(left, json!([]));
    assert!(!sandbox
        .truth("sale.order")
        .unwrap()
        .contains(&order["id"].as_u64().unwrap()));
    let fixed = first(&sandbox, "sale.order", |r| r["state"] == "sale");
    let refused = execute(
        &sandbox,
        (7, "apiuser"),
        "sale.order",
        "unlink",
        json!([[fixed["id"]]]),
        json!({}),
    );
    assert_eq!(error(&refused), "odoo.exceptions.UserError");
}

#[test]
fn what_documents_name_is_not_deleted() {
    let sandbox = start(Version::V19);
    let order = first(&sandbox, "sale.order", |r| r["partner_id"] != false);
    let partner = order["partner_id"][0].clone();
    let refused = execute(
        &sandbox,
        (7, "apiuser"),
        "res.partner",
        "unlink",
        json!([[partner]]),
        json!({}),
    );
    assert_eq!(error(&refused), "odoo.exceptions.ValidationError");
    let op = json!({"op": "unlink", "entity": "res.partner", "ids": [partner]});
    assert!(sandbox.mutate_json(&op).is_err());
}

#[test]
fn archiving_a_template_archives_its_variants() {
    let sandbox = start(Version::V19);
    let template = first(&sandbox, "product.template", |r| many(&r["product_variant_ids"]));
    sandbox
        .mutate_json(&json!({"op": "archive", "entity": "product.template", "ids": [template["id"]]}))
        .unwrap();
    for variant in template["product_variant_ids"].as_array().unwrap() {
        let record = sandbox
            .record("product.product", variant.as_u64().unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(record["active"], false);
    }
}

#[test]
fn a_confirmed_order_is_delivered_from_stock() {
    for version in VERSIONS {
        let sandbox = start(version);
        let product = first(&sandbox, "product.product", |r| {
            r["type"] != "service" && r["active"] == true
        });
        let id = product["id"].as_u64().unwrap();
        sandbox
            .mutate_json(&json!({"op": "stock", "product": id, "quantity": 10}))
            .unwrap();
        let before = sandbox.record("product.product", id).unwrap().unwrap()["qty_available"]
            .as_f64()
            .unwrap();
        let vals = json!([{"partner_id": 41, "order_line": [[0, 0, {"product_id": id, "product_uom_qty": 4, "price_unit": 2.5}]]}]);
        let order = call(&sandbox, "sale.order", "create", vals, json!({}));
        assert_eq!(
            call(
                &sandbox,
                "sale.order",
                "action_confirm",
                json!([[order]]),
                json!({})
            ),
            true
        );
        let record = || {
            sandbox
                .record("sale.order", order.as_u64().unwrap())
                .unwrap()
                .unwrap()
        };
        assert_eq!(
            (&record()["state"], &record()["amount_untaxed"]),
            (&json!("sale"), &json!(10.0))
        );
        let picking = record()["picking_ids"][0].clone();
        assert_eq!(record()["delivery_status"], "pending");
        assert_eq!(
            call(
                &sandbox,
                "stock.picking",
                "button_validate",
                json!([[picking]]),
                json!({})
            ),
            true
        );
        assert_eq!(record()["delivery_status"], "full");
        let line = sandbox
            .record("sale.order.line", record()["order_line"][0].as_u64().unwrap())
            .unwrap()
            .unwrap();
        assert_eq!(line["qty_delivered"], 4.0);
        let after = sandbox.record("product.product", id).unwrap().unwrap()["qty_available"]
            .as_f64()
            .unwrap();
        assert_eq!(before - after, 4.0);
    }
}

#[test]
fn a_product_that_is_created_has_a_template_that_keeps_what_variants_share() {
    for version in VERSIONS {
        let sandbox = start(version);
        let kind = if version == Version::V17 {
            "product"
        } else {
            "consu"
        };
        let kind_field = if version == Version::V17 {
            "detailed_type"
        } else {
            "type"
        };
        let vals = json!({"name": "Mug", "default_code": "M-1", "barcode": "40", "list_price": 9.9, kind_field: kind});
        let id = call(&sandbox, "product.product", "create", json!([[vals]]), json!({}))[0].clone();
        let record = || {
            sandbox
                .record("product.product", id.as_u64().unwrap())
                .unwrap()
                .unwrap()
        };
        let template = record()["product_tmpl_id"][0].as_u64().unwrap();
        let of_template = || sandbox.record("product.template", template).unwrap().unwrap();
        assert_eq!(
            (&record()["lst_price"], &record()["type"]),
            (&json!(9.9), &json!(kind))
        );
        assert_eq!(of_template()["default_code"], "M-1");
        let price = json!([[id], {"lst_price": 5, "name": "Cup"}]);
        call(&sandbox, "product.product", "write", price, json!({}));
        assert_eq!(
            (&of_template()["list_price"], &of_template()["name"]),
            (&json!(5.0), &json!("Cup"))
        );
        let again = json!([[{"name": "Other", "barcode": "40"}]]);
        let refused = execute(
            &sandbox,
            (7, "apiuser"),
            "product.product",
            "create",
            again,
            json!({}),
        );
        assert_eq!(error(&refused), "odoo.exceptions.ValidationError");
        let nameless = json!([[{"default_code": "x"}]]);
        let refused = execute(
            &sandbox,
            (7, "apiuser"),
            "product.product",
            "create",
            nameless,
            json!({}),
        );
        assert_eq!(error(&refused), "odoo.exceptions.ValidationError");
    }
}

#[test]
fn reset_brings_the_seeded_data_back() {
    let sandbox = start(Version::V19);
    let before = sandbox.record("res.partner", 41).unwrap();
    sandbox
        .mutate_json(&json!({"op": "edit", "entity": "res.partner", "id": 41, "set": {"name": "x"}}))
        .unwrap();
    sandbox
        .configure(&json!({"user": "apiuser", "expired": true}))
        .unwrap();
    sandbox.reset();
    assert_eq!(sandbox.record("res.partner", 41).unwrap(), before);
    assert!(call(&sandbox, "res.partner", "search_count", json!([[]]), json!({})).is_u64());
}

//! Changes made in Odoo: after the next pull the ledger holds them, and the delta shows these and no others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{json, Value};
use sync_sandbox::odoo::{Config, Version};

use crate::connected::Facts;
use crate::erp::{by_date, model, small, Erp, ENTITIES, VERSIONS};

/// An Odoo whose records are all pulled, and those that are linked equal to the local tables.
pub struct Linked {
    pub erp: Erp,
    linked: BTreeMap<&'static str, BTreeSet<String>>,
    before: BTreeMap<&'static str, Facts>,
}

impl Linked {
    pub fn new(version: Version) -> Linked {
        let mut erp = Erp::new(version);
        let mut linked = BTreeMap::new();
        for entity in ENTITIES {
            erp.pull(entity);
            let ids = erp.fill(entity);
            assert!(
                ids.len() * 2 > erp.ids(model(entity)).len(),
                "{entity}: {} are linked",
                ids.len()
            );
            linked.insert(entity, ids);
        }
        let mut all = Linked {
            erp,
            linked,
            before: BTreeMap::new(),
        };
        all.before = all.truth();
        for entity in ENTITIES {
            let delta = all.delta(entity);
            assert!(delta.is_empty(), "{entity} differs from its copy: {delta:?}");
        }
        all
    }

    fn truth(&self) -> BTreeMap<&'static str, Facts> {
        ENTITIES
            .into_iter()
            .map(|entity| (entity, self.erp.truth(entity)))
            .collect()
    }

    /// What the delta says of records that were linked.
    fn delta(&mut self, entity: &str) -> BTreeMap<String, String> {
        let mut delta = self.erp.delta(entity);
        delta.retain(|id, _| self.linked[entity].contains(id));
        delta
    }

    /// Pulls everything: the ledger is right, and exactly what changed is in the delta. Says what did.
    #[track_caller]
    pub fn assert_shown(&mut self) -> BTreeMap<&'static str, BTreeSet<String>> {
        let now = self.truth();
        let mut changed = BTreeMap::new();
        for entity in ENTITIES {
            self.erp.pull(entity);
            self.erp.assert_mirrored(entity);
            let (before, now) = (&self.before[entity], &now[entity]);
            let linked = before.iter().filter(|(id, _)| self.linked[entity].contains(*id));
            let expected: BTreeMap<String, String> = linked
                .filter_map(|(id, facts)| match now.get(id) {
                    None => Some((id.clone(), "deleted".to_owned())),
                    Some(other) if other != facts => Some((id.clone(), "updated".to_owned())),
                    Some(_) => None,
                })
                .collect();
            let delta = self.delta(entity);
            assert_eq!(delta, expected, "{entity}");
            if !expected.is_empty() {
                changed.insert(entity, expected.into_keys().collect());
            }
        }
        changed
    }
}

pub fn edit(model: &str, id: u64, set: Value) -> Value {
    json!({ "op": "edit", "entity": model, "id": id, "set": set })
}

/// Seconds by Odoo's clock.
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

#[test]
fn thirty_writes_within_one_second_are_all_found_wherever_a_pull_falls() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        for (entity, field) in [
            ("customers", "street"),
            ("products", "default_code"),
            ("sales", "client_order_ref"),
            ("purchases", "partner_ref"),
            ("transfers", "origin"),
        ] {
            erp.pull(entity);
            let second = now();
            let ids = erp.ids(model(entity)).into_iter().rev().take(30);
            for (k, id) in ids.enumerate() {
                let at = second as f64 + k as f64 / 31.0;
                let set = json!({ field: format!("{k}") });
                erp.change(json!({ "op": "edit", "entity": model(entity), "id": id, "set": set, "at": at }));
                // In the middle, and in the same second as the writes after it.
                if k == 14 {
                    erp.pull(entity);
                    erp.assert_mirrored(entity);
                }
            }
            let pulled = erp.pull(entity);
            assert_eq!(pulled["pass"], "incremental", "{pulled}");
            erp.assert_mirrored(entity);
        }
    }
}

#[test]
fn a_bulk_write_of_three_hundred_rows_with_one_date_is_found() {
    for version in VERSIONS {
        let config = Config {
            partners: 400,
            templates: 400,
            sales: 330,
            ..small(version)
        };
        let mut erp = Erp::with(config, by_date());
        for (entity, set) in [
            ("customers", json!({ "vat": "DE1" })),
            ("products", json!({ "barcode": "one" })),
            ("orders", json!({ "partner_id": 41 })),
        ] {
            erp.pull(entity);
            erp.change(json!({ "op": "edit", "entity": model(entity), "count": 300, "set": set }));
            let pulled = erp.pull(entity);
            assert_eq!(pulled["pass"], "incremental", "{pulled}");
            erp.assert_mirrored(entity);
            let places = erp.places();
            assert_eq!(erp.pull(entity)["updated"], 0);
            assert_eq!(erp.places(), places);
        }
    }
}

#[test]
fn a_transaction_that_commits_six_seconds_late_is_found() {
    for version in VERSIONS {
        let mut erp = Erp::new(version);
        erp.pull("customers");
        erp.change(json!({ "op": "begin", "tx": "slow", "reserve": { "res.partner": 1 } }));
        erp.sandbox.set_clock_skew(6);
        // Others write and are pulled meanwhile: newer dates, and an id above those of the slow one.
        erp.change(json!({ "op": "create", "entity": "res.partner" }));
        erp.change(edit("res.partner", 45, json!({ "vat": "DE45" })));
        erp.pull("customers");
        erp.assert_mirrored("customers");
        let late = json!([
            { "op": "create", "entity": "res.partner" },
            { "op": "edit", "entity": "res.partner", "id": 49, "set": { "vat": "DE49" } },
        ]);
        erp.change(json!({ "op": "commit", "tx": "slow", "do": late }));
        erp.pull("customers");
        erp.assert_mirrored("customers");
    }
}

#[test]
fn changes_that_leave_the_records_date_as_it_was_are_found() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let erp = &all.erp;
        let variant = erp.some("product.product", |r| {
            r["product_template_attribute_value_ids"] != json!([]) && r["active"] == true
        });
        let goods = erp.some("product.product", |r| r["qty_available"].as_f64() > Some(0.0));
        let line = erp.some("sale.order.line", |r| r["product_id"] != false);
        let bought = erp.some("purchase.order.line", |r| r["product_id"] != false);
        erp.change(edit("product.product", variant, json!({ "default_code": "V-1" })));
        erp.change(json!({ "op": "stock", "product": goods, "quantity": 4321 }));
        erp.change(edit("sale.order.line", line, json!({ "name": "Etched: Zoë" })));
        erp.change(edit(
            "purchase.order.line",
            bought,
            json!({ "name": "The blue ones" }),
        ));
        let [order, purchase] = [("sale.order.line", line), ("purchase.order.line", bought)]
            .map(|(model, id)| erp.record(model, id)["order_id"][0].to_string());
        let changed = all.assert_shown();
        let shown = |entity: &str, id: &str| changed.get(entity).is_some_and(|ids| ids.contains(id));
        let linked = |entity: &str, id: &str| all.linked[entity].contains(id);
        for (entity, id) in [
            ("products", variant.to_string()),
            ("products", goods.to_string()),
            ("orders", order.clone()),
            ("sales", order),
            ("purchases", purchase),
        ] {
            assert_eq!(
                shown(entity, &id),
                linked(entity, &id),
                "{entity} {id}: {changed:?}"
            );
        }
    }
}

#[test]
fn lines_that_are_taken_off_show_though_no_date_tells() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let erp = &all.erp;
        let note = erp.some("sale.order.line", |r| r["product_id"] == false);
        let section = erp.some("purchase.order.line", |r| r["product_id"] == false);
        let part = erp.some("stock.move", |r| r["picking_id"] != false && r["state"] != "done");
        let owner = |model: &str, line: u64, field: &str| erp.record(model, line)[field][0].as_u64().unwrap();
        let order = owner("sale.order.line", note, "order_id");
        let purchase = owner("purchase.order.line", section, "order_id");
        let transfer = owner("stock.move", part, "picking_id");
        let documents = [
            ("sale.order", order),
            ("purchase.order", purchase),
            ("stock.picking", transfer),
        ];
        let dates = |erp: &Erp| documents.map(|(model, id)| erp.record(model, id)["write_date"].clone());
        let before = dates(erp);
        for (model, line) in [
            ("sale.order.line", note),
            ("purchase.order.line", section),
            ("stock.move", part),
        ] {
            erp.change(json!({ "op": "unlink", "entity": model, "ids": [line] }));
        }
        assert_eq!(dates(erp), before);

        let changed = all.assert_shown();
        for (entity, id) in [
            ("orders", order),
            ("sales", order),
            ("purchases", purchase),
            ("transfers", transfer),
        ] {
            let id = id.to_string();
            let shown = changed.get(entity).is_some_and(|ids| ids.contains(&id));
            assert_eq!(
                shown,
                all.linked[entity].contains(&id),
                "{entity} {id}: {changed:?}"
            );
        }
        assert!(changed.contains_key("sales"), "{changed:?}");

        // with all lines where they were, nobody looks for them
        for entity in ["orders", "purchases", "transfers"] {
            all.erp.sandbox.reset_stats();
            all.erp.pull(entity);
            let seen = all.erp.sandbox.requests();
            let swept = |field: &str| seen.iter().any(|seen| seen.query.contains(field));
            assert!(!swept("order_line") && !swept("move_ids"), "{entity}");
        }
    }
}

#[test]
fn contacts_that_are_merged_show_on_their_documents_though_no_date_tells() {
    const NAMING: [(&str, &[&str]); 3] = [
        (
            "sale.order",
            &["partner_id", "partner_invoice_id", "partner_shipping_id"],
        ),
        ("purchase.order", &["partner_id"]),
        ("stock.picking", &["partner_id"]),
    ];
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let erp = &all.erp;
        let alone = |id: &u64| {
            let contact = erp.record("res.partner", *id);
            contact["child_ids"] == json!([]) && contact["is_company"] == false
        };
        let buyers = erp.those("sale.order", |_| true).into_iter();
        let mut buyers =
            buyers.filter_map(|id| Some((id, erp.record("sale.order", id)["partner_id"][0].as_u64()?)));
        let (order, merged) = buyers.find(|(_, contact)| alone(contact)).unwrap();
        let (_, kept) = buyers
            .find(|(_, contact)| *contact != merged && alone(contact))
            .unwrap();
        // Odoo's wizard puts another contact into whatever names it, straight in the tables
        let dated = erp.record("sale.order", order)["write_date"].clone();
        for (model, fields) in NAMING {
            for field in fields {
                for id in erp.those(model, |r| r[*field][0] == merged) {
                    erp.change(json!({ "op": "edit", "entity": model, "id": id, "set": { *field: kept }, "bump": false }));
                }
            }
        }
        erp.change(json!({ "op": "unlink", "entity": "res.partner", "ids": [merged] }));
        assert_eq!(erp.record("sale.order", order)["write_date"], dated);

        let changed = all.assert_shown();
        for entity in ["orders", "sales"] {
            let shown = changed
                .get(entity)
                .is_some_and(|ids| ids.contains(&order.to_string()));
            assert_eq!(
                shown,
                all.linked[entity].contains(&order.to_string()),
                "{entity}: {changed:?}"
            );
        }
        assert!(changed.contains_key("orders"), "{changed:?}");
    }
}

#[test]
fn a_delivery_shows_in_transfer_order_and_stock() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let picking = all
            .erp
            .some("stock.picking", |r| r["sale_id"] != false && r["state"] != "done");
        let stock = all.erp.truth("products");
        let sale = all.erp.record("stock.picking", picking)["sale_id"][0].to_string();
        all.erp.change(json!({ "op": "validate", "picking": picking }));
        assert_ne!(all.erp.truth("products"), stock);
        let changed = all.assert_shown();
        assert_eq!(changed["transfers"], [picking.to_string()].into(), "{changed:?}");
        assert_eq!(changed["sales"], [sale].into(), "{changed:?}");
    }
}

#[test]
fn archived_and_deleted_records_are_told_apart() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let linked = |id: &u64| all.linked["customers"].contains(&id.to_string());
        let lone = |id: &u64| {
            let record = all.erp.record("res.partner", *id);
            record["child_ids"] == json!([]) && record["active"] == true
        };
        let unused = all.erp.unused("res.partner").into_iter();
        let some: Vec<u64> = unused.filter(|id| *id > 41).filter(linked).filter(lone).collect();
        let (archived, gone) = (some[0], some[1]);
        all.erp
            .change(json!({ "op": "archive", "entity": "res.partner", "ids": [archived] }));
        all.erp
            .change(json!({ "op": "unlink", "entity": "res.partner", "ids": [gone] }));
        let template = all.erp.some("product.template", |r| {
            r["product_variant_ids"]
                .as_array()
                .is_some_and(|ids| ids.len() > 2)
        });
        all.erp
            .change(json!({ "op": "archive", "entity": "product.template", "ids": [template] }));
        all.assert_shown();
        let delta = all.erp.delta("customers");
        let change = |id: u64| delta.get(&id.to_string()).map(String::as_str);
        assert_eq!(
            (change(archived), change(gone)),
            (Some("updated"), Some("deleted"))
        );
    }
}

#[test]
fn writing_what_is_there_already_is_no_change() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let places = |erp: &mut Erp| -> Vec<(String, String)> {
            let org = erp.org;
            let rows = erp.root.query(
                "SELECT external_id, remote_fingerprint::text FROM sync_record WHERE org_id = $1 AND external_id IS NOT NULL ORDER BY id",
                &[&org],
            );
            rows.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
        };
        let before = places(&mut all.erp);
        for (model, field) in [
            ("res.partner", "name"),
            ("product.template", "list_price"),
            ("sale.order", "note"),
        ] {
            for id in all.erp.ids(model).into_iter().take(20) {
                let same = all.erp.record(model, id)[field].clone();
                all.erp.change(edit(model, id, json!({ field: same })));
            }
        }
        assert!(all.assert_shown().is_empty());
        assert_eq!(places(&mut all.erp), before);
    }
}

#[test]
fn a_category_that_is_renamed_or_moved_shows_alone() {
    for version in VERSIONS {
        let mut all = Linked::new(version);
        let category = all.erp.some("product.category", |r| r["parent_id"] != false);
        all.erp.change(edit(
            "product.category",
            category,
            json!({ "name": "Neu & schön", "parent_id": 2 }),
        ));
        let changed = all.assert_shown();
        let linked = all.linked["categories"].contains(&category.to_string());
        let expected = linked.then(|| ("categories", [category.to_string()].into()));
        assert_eq!(changed, expected.into_iter().collect());
    }
}

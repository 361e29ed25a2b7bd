//! Finding what is known by the same: e-mail, SKU, barcode, name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{connect, Erp, Table};
use super::tests_write::{erp, taking};
use crate::core::{EntityType, Record};
use crate::source::{Meter, Source};
use serde_json::{json, Map, Value};

fn like(fields: Value) -> Record {
    let fields: Map<String, Value> = fields.as_object().unwrap().clone();
    Record::new(EntityType::Customers, "elsewhere", fields)
}

#[test]
fn what_is_known_by_the_same_is_found_however_it_is_spelt() {
    for modern in [true, false] {
        let mut erp = erp(modern);
        for n in 20..40 {
            erp.tables[0]
                .rows
                .push(json!({"id": n, "name": "N", "email": format!("{n}ada@x.org")}));
        }
        let server = taking(erp);
        let odoo = connect(&server, json!({"page_size": 7}), Value::Null);
        let ids = |fields: Value| -> Vec<String> {
            let found = odoo
                .find(EntityType::Customers, &like(fields), &Meter::default())
                .unwrap();
            found.into_iter().map(|record| record.external_id).collect()
        };
        assert_eq!(ids(json!({"email": "ada@x.org"})), ["3"]);
        assert_eq!(ids(json!({"email": "x.org"})), [""; 0]);
        let asked = server.seen().len();
        assert_eq!(ids(json!({"name": "Ada"})), [""; 0]);
        assert_eq!(server.seen().len(), asked, "nothing to look for was looked for");
    }
}

#[test]
fn a_mark_is_found_in_every_spelling_that_counts_as_the_same() {
    let names = [
        "Ärzte & Co",
        "A\u{308}RZTE  &amp; Co",
        "Arzte & Co",
        "R\\D 100%_ 'x'",
        "r\\d 100%_ &#39;X&#39;",
        "手机 &lt;neu&gt;",
    ];
    let rows = (1..).zip(names).map(|(id, name)| json!({"id": id, "name": name}));
    let server = taking(Erp::new(
        true,
        vec![Table::new("product.category", rows.collect())],
    ));
    let odoo = connect(&server, json!({"page_size": 2}), Value::Null);
    let ids = |name: &str| -> Vec<String> {
        let fields = json!({"name": name}).as_object().unwrap().clone();
        let record = Record::new(EntityType::Categories, "elsewhere", fields);
        let found = odoo
            .find(EntityType::Categories, &record, &Meter::default())
            .unwrap();
        found.into_iter().map(|record| record.external_id).collect()
    };
    assert_eq!(ids("ärzte & Co"), ["1"]);
    assert_eq!(ids("ärzte &amp; co"), ["1"]);
    // the inner white space counts
    assert_eq!(ids("ÄRZTE  & CO"), ["2"]);
    assert_eq!(ids("R\\D 100%_ 'x'"), ["4", "5"]);
    assert_eq!(ids("手机 <neu>"), ["6"]);
    assert_eq!(ids("手"), [""; 0]);
}

#[test]
fn what_an_earlier_attempt_has_written_is_found_as_it_was_spelt() {
    // no pattern has what entities stand for letters
    let rows = vec![
        json!({"id": 1, "default_code": "&#77;ug"}),
        json!({"id": 2, "default_code": "mug"}),
    ];
    let server = taking(Erp::new(true, vec![Table::new("product.product", rows)]));
    let odoo = connect(&server, Value::Null, Value::Null);
    let fields = json!({"sku": " &#77;ug "}).as_object().unwrap().clone();
    let record = Record::new(EntityType::Products, "elsewhere", fields);
    let found = odoo
        .find(EntityType::Products, &record, &Meter::default())
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].external_id, "1");
}

#[test]
fn products_are_known_by_sku_or_barcode_and_categories_by_name() {
    let server = taking(Erp::new(true, Vec::new()));
    let odoo = connect(&server, Value::Null, Value::Null);
    let known_by = |entity, fields: Value| {
        let record = Record::new(entity, "1", fields.as_object().unwrap().clone());
        odoo.known_by(entity, &record)
    };
    let product = json!({"sku": " M-1 ", "barcode": "40", "name": "Mug"});
    assert_eq!(known_by(EntityType::Products, product).as_deref(), Some("M-1"));
    assert_eq!(
        known_by(EntityType::Products, json!({"barcode": 40})).as_deref(),
        Some("40")
    );
    assert_eq!(known_by(EntityType::Products, json!({"name": "Mug"})), None);
    let category = json!({"slug": "cups", "name": "Cups &amp; Mugs"});
    assert_eq!(
        known_by(EntityType::Categories, category).as_deref(),
        Some("cups & mugs")
    );
    assert_eq!(known_by(EntityType::Sales, json!({"number": "S1"})), None);
}

#[test]
fn products_with_the_same_sku_or_barcode_are_not_written_at_the_same_time() {
    let server = taking(Erp::new(true, Vec::new()));
    let odoo = connect(&server, Value::Null, Value::Null);
    let exclusive = |entity, fields: Value| {
        let record = Record::new(entity, "1", fields.as_object().unwrap().clone());
        odoo.exclusive(entity, &record)
    };
    let product = json!({"sku": "M-1", "barcode": "40"});
    assert_eq!(exclusive(EntityType::Products, product), ["M-1", "40"]);
    assert_eq!(exclusive(EntityType::Products, json!({"barcode": "40"})), ["40"]);
    let contact = json!({"email": "Ada@Example.com"});
    assert_eq!(exclusive(EntityType::Customers, contact), ["ada@example.com"]);
}

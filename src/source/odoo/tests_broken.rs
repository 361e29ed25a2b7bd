//! Fields and records that Odoo fails to compute, and values that are none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{call_of, connect, partners, Erp, Table};
use super::Odoo;
use crate::core::EntityType;
use crate::error::{Code, Error};
use crate::source::http::testing::Server;
use crate::source::{At, Batch, Content, Source, Task};
use serde_json::{json, Value};

/// Contacts with fields of users, some of which raise.
fn server(raising: Vec<(&'static str, u64)>) -> Server {
    let mut rows = partners(100, 1);
    for row in &mut rows {
        for name in ["x_a", "x_b", "x_ratio", "x_c", "email"] {
            row[name] = json!(format!("{name} {}", row["id"]));
        }
    }
    let table = Table {
        raising,
        ..Table::new("res.partner", rows)
    };
    Erp::new(true, vec![table]).start()
}

fn read(odoo: &Odoo, at: At) -> Result<Batch, Error> {
    let task = Task {
        list: "customers".into(),
        content: Content::Full,
        since: None,
        at,
    };
    odoo.fetch(EntityType::Customers, &task)
}

const ALL: At = At::Range {
    after: 0,
    until: None,
};

#[test]
fn a_field_of_users_that_raises_is_left_out_and_named() {
    for id in [1, 37, 100] {
        let server = server(vec![("x_ratio", id)]);
        let odoo = connect(&server, Value::Null, Value::Null);
        let batch = read(&odoo, ALL).unwrap();
        assert_eq!(batch.records.len(), 100);
        assert!(batch.unreadable.is_empty() && batch.end);
        for record in &batch.records {
            assert_eq!(record.withheld, ["x_ratio"]);
            let custom = record.data["custom"].as_object().unwrap();
            assert_eq!(custom.keys().collect::<Vec<_>>(), ["x_a", "x_b", "x_c"]);
        }
        let told = batch.warnings.join("\n");
        assert!(
            told.contains("x_ratio") && told.contains("division by zero"),
            "{told}"
        );
        // found once in a run
        let before = server.seen().len();
        assert!(before < 15, "{before}");
        assert_eq!(read(&odoo, At::Ids(vec!["5".into()])).unwrap().records.len(), 1);
        assert_eq!(server.seen().len(), before + 1);
    }
    // several at once
    let odoo = connect(&server(vec![("x_a", 3), ("x_c", 90)]), Value::Null, Value::Null);
    let batch = read(&odoo, ALL).unwrap();
    assert_eq!(batch.records[0].withheld, ["x_a", "x_c"]);
}

#[test]
fn a_field_that_is_excluded_is_never_asked_for() {
    let server = server(vec![("x_ratio", 5)]);
    let odoo = connect(&server, json!({"exclude_fields": ["x_ratio"]}), Value::Null);
    let batch = read(&odoo, ALL).unwrap();
    assert_eq!((batch.records.len(), batch.warnings.len()), (100, 0));
    assert_eq!(batch.records[0].withheld, ["x_ratio"]);
    for call in server.seen().iter().filter_map(call_of) {
        assert!(!call
            .args
            .get("fields")
            .is_some_and(|fields| fields.to_string().contains("x_ratio")));
    }
}

#[test]
fn a_record_that_raises_by_itself_is_named_and_the_others_are_read() {
    for (broken, at) in [(vec![1], ALL), (vec![37, 38], ALL), (vec![100], ALL)] {
        let server = server(broken.iter().map(|id| ("email", *id)).collect());
        let odoo = connect(&server, Value::Null, Value::Null);
        let batch = read(&odoo, at).unwrap();
        let mut unread: Vec<u64> = batch
            .unreadable
            .iter()
            .map(|one| one.id.parse().unwrap())
            .collect();
        unread.sort_unstable();
        assert_eq!(unread, broken);
        assert!(batch.unreadable[0].reason.contains("division by zero"));
        assert_eq!(batch.records.len(), 100 - broken.len());
        assert!(batch.end && batch.records[0].withheld.is_empty());
        assert!(server.seen().len() < 40, "{}", server.seen().len());
        // asked for by its id, it is neither gone nor hidden
        let first = broken[0].to_string();
        let batch = read(&odoo, At::Ids(vec![first.clone(), "50".into(), "777".into()])).unwrap();
        assert_eq!(
            (batch.unreadable[0].id.as_str(), batch.records.len()),
            (first.as_str(), 1)
        );
        assert!(batch.hidden.is_empty());
    }
}

#[test]
fn where_every_record_raises_it_is_no_matter_of_records() {
    let all = (1..=100).map(|id| ("email", id)).collect();
    let odoo = connect(&server(all), Value::Null, Value::Null);
    let error = read(&odoo, ALL).unwrap_err();
    assert_eq!(error.code, Code::Nonsense);
    assert!(error.detail.unwrap().contains("division by zero"));
}

#[test]
fn a_value_of_another_type_never_becomes_an_empty_one() {
    for (field, odd) in [
        ("email", json!({"1": "a@x.org"})),
        ("email", json!(["a@x.org"])),
        ("email", json!(true)),
        ("write_date", json!("soon")),
    ] {
        let mut rows = partners(3, 1);
        for row in &mut rows {
            row["email"] = json!("ada@x.org");
        }
        rows[1][field] = odd.clone();
        let server = Erp::new(true, vec![Table::new("res.partner", rows)]).start();
        let odoo = connect(&server, Value::Null, Value::Null);
        let batch = read(&odoo, ALL).unwrap();
        assert_eq!(batch.records.len(), 2, "{field} {odd}");
        assert_eq!(batch.unreadable[0].id, "2");
        assert!(
            batch.unreadable[0].reason.contains(field),
            "{:?}",
            batch.unreadable
        );
        let batch = read(&odoo, At::Ids(vec!["2".into()])).unwrap();
        assert!(batch.records.is_empty() && batch.hidden.is_empty() && batch.unreadable.len() == 1);
    }
}

#[test]
fn a_line_of_another_type_keeps_its_document_as_it_was() {
    let order = |id: u64| json!({"id": id, "name": format!("S{id}"), "order_line": [id], "write_date": "2026-01-01 00:00:00"});
    let line = |id: u64, name: Value| json!({"id": id, "order_id": [id, format!("S{id}")], "name": name});
    let tables = vec![
        Table::new("sale.order", vec![order(1), order(2)]),
        Table::new(
            "sale.order.line",
            vec![line(1, json!("Mug")), line(2, json!({"en_US": "Mug"}))],
        ),
    ];
    let server = Erp::new(true, tables).start();
    let odoo = connect(&server, Value::Null, Value::Null);
    let task = Task {
        list: "sales".into(),
        content: Content::Full,
        since: None,
        at: ALL,
    };
    let batch = odoo.fetch(EntityType::Sales, &task).unwrap();
    assert_eq!((batch.records.len(), batch.unreadable[0].id.as_str()), (1, "2"));
    assert!(batch.unreadable[0].reason.contains("one of its lines"));
}

#[test]
fn only_fields_of_users_can_be_excluded() {
    let server = server(vec![]);
    let refused = |names: Value| {
        super::testing::connect_as(
            &server,
            json!({ "exclude_fields": names }),
            Value::Null,
            &super::testing::credentials(),
        )
    };
    for (names, word) in [(json!(["email"]), "email"), (json!("x_ratio"), "exclude_fields")] {
        let error = refused(names).err().unwrap();
        assert_eq!(error.code, Code::Invalid);
        assert!(error.message.contains(word), "{error:?}");
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{call_of, connect, connect_narrow, partners, Call, Erp, Table, NOW};
use super::Odoo;
use crate::core::EntityType;
use crate::error::Code;
use crate::source::http::http_date;
use crate::source::http::testing::Server;
use crate::source::stack::Stack;
use crate::source::{At, Batch, Content, Pass, Source, Task};
use chrono::{DateTime, Utc};
use serde_json::{json, Value};

const BOTH: [bool; 2] = [true, false];

/// Carries out a plan as the driver would, and returns all that came.
fn work_off(odoo: &Odoo, entity: EntityType, tasks: Vec<Task>) -> Batch {
    let mut stack = Stack::default();
    stack.push(tasks);
    let mut all = Batch::default();
    while let Some(task) = stack.take() {
        let batch = odoo.fetch(entity, &task).unwrap();
        stack.done(&task);
        assert!(serde_json::to_string(&stack).unwrap().len() < 20_000);
        stack.push(batch.more);
        all.records.extend(batch.records);
        all.stubs.extend(batch.stubs);
        all.hidden.extend(batch.hidden);
        all.warnings.extend(batch.warnings);
        all.requests += batch.requests;
    }
    all
}

fn read_all(odoo: &Odoo, entity: EntityType, pass: Pass) -> Batch {
    let plan = odoo.plan(entity, pass).unwrap();
    work_off(odoo, entity, plan.tasks)
}

fn ids(batch: &Batch) -> Vec<u64> {
    let mut ids: Vec<u64> = batch
        .records
        .iter()
        .map(|r| r.external_id.parse().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

fn since(text: &str) -> Pass {
    Pass::Since(text.parse::<DateTime<Utc>>().unwrap())
}

fn calls(server: &Server, model: &str, method: &str) -> Vec<Call> {
    let seen = server.seen();
    let all = seen.iter().filter_map(call_of);
    all.filter(|call| call.model == model && call.method == method)
        .collect()
}

fn erp(modern: bool, tables: Vec<Table>) -> Server {
    Erp::new(modern, tables).start()
}

#[test]
fn every_record_is_read_once_whatever_the_gaps_between_ids() {
    for modern in BOTH {
        for (count, step) in [(0, 1), (1, 1), (10, 1), (100, 1), (205, 7), (200, 1000)] {
            let server = erp(modern, vec![Table::new("res.partner", partners(count, step))]);
            let odoo = connect(&server, json!({"page_size": 10}), Value::Null);
            let plan = odoo.plan(EntityType::Customers, Pass::Full).unwrap();
            assert!(plan.sweeps && plan.alone_at_most.is_none());
            assert_eq!(Some(plan.server_time), http_date(NOW));
            let read = work_off(&odoo, EntityType::Customers, plan.tasks);
            let wanted: Vec<u64> = (1..=count).map(|n| n * step).collect();
            assert_eq!(ids(&read), wanted);
            let page = calls(&server, "res.partner", "search_read");
            assert!(page.iter().all(|call| call.args["limit"].as_u64() <= Some(10)));
        }
    }
}

#[test]
fn a_full_page_is_followed_by_the_rest_of_its_range_and_no_other() {
    let server = erp(true, vec![Table::new("res.partner", partners(30, 1))]);
    let odoo = connect(&server, json!({"page_size": 10}), Value::Null);
    let range = |after, until| Task {
        list: "customers".into(),
        content: Content::Full,
        since: None,
        at: At::Range { after, until },
    };
    let more = |task: &Task| {
        let batch = odoo.fetch(EntityType::Customers, task).unwrap();
        (batch.records.len(), batch.more)
    };
    assert_eq!(more(&range(0, Some(15))), (10, vec![range(10, Some(15))]));
    assert_eq!(more(&range(10, Some(15))), (5, vec![]));
    assert_eq!(more(&range(0, Some(10))), (10, vec![]));
    assert_eq!(more(&range(20, None)), (10, vec![range(30, None)]));
    assert_eq!(more(&range(30, None)), (0, vec![]));
}

#[test]
fn the_last_range_is_open_for_what_is_created_meanwhile() {
    let server = erp(true, vec![Table::new("res.partner", partners(100, 1))]);
    let odoo = connect(&server, json!({"page_size": 10}), Value::Null);
    let begin = odoo.plan(EntityType::Customers, Pass::Full).unwrap().tasks;
    let batch = odoo.fetch(EntityType::Customers, &begin[0]).unwrap();
    assert_eq!((batch.total, batch.more.len()), (Some(100), 5));
    let ranges: Vec<&At> = batch.more.iter().map(|task| &task.at).rev().collect();
    assert_eq!(
        *ranges[0],
        At::Range {
            after: 0,
            until: Some(20)
        }
    );
    assert_eq!(
        *ranges[4],
        At::Range {
            after: 80,
            until: None
        }
    );
}

#[test]
fn where_rows_are_big_fewer_are_asked_for() {
    let mut rows = partners(300, 1);
    for row in &mut rows {
        row["x_text"] = json!("long ".repeat(100));
    }
    let server = erp(true, vec![Table::new("res.partner", rows)]);
    let odoo = connect_narrow(&server, 30_000);
    let read = read_all(&odoo, EntityType::Customers, Pass::Full);
    assert_eq!(ids(&read), (1..=300).collect::<Vec<_>>());
    // 1,000, 500, 250, ... until 31 fit; nobody begins anew
    let limits = calls(&server, "res.partner", "search_read");
    let limits: Vec<u64> = limits
        .iter()
        .map(|call| call.args["limit"].as_u64().unwrap())
        .collect();
    assert!(limits.windows(2).all(|pair| pair[0] >= pair[1]), "{limits:?}");
    assert_eq!(limits.last(), Some(&31));
}

#[test]
fn a_listing_out_of_order_is_refused() {
    let rows = r#"[{"id": 5, "write_date": false}, {"id": 4, "write_date": false}]"#;
    let server = Server::start(move |seen, _| {
        use crate::source::http::testing::Reply;
        match seen.path.rsplit('/').next() {
            Some("context_get") => Reply::ok(r#"{"uid": 7}"#),
            Some("fields_get") => Reply::ok(r#"{"write_date": {"type": "datetime"}}"#),
            _ => Reply::ok(rows),
        }
    });
    let odoo = connect(&server, Value::Null, Value::Null);
    let task = Task {
        list: "customers".into(),
        content: Content::Ids,
        since: None,
        at: At::Range {
            after: 0,
            until: None,
        },
    };
    let error = odoo.fetch(EntityType::Customers, &task).unwrap_err();
    assert_eq!(error.code, Code::Nonsense);
}

#[test]
fn only_fields_that_are_there_are_asked_for_and_custom_ones_come_along() {
    for modern in BOTH {
        let row = json!({"id": 3, "name": "Zażółć <b>&amp;</b>", "active": false, "write_date": "2026-01-01 00:00:00",
            "x_rank": 2.5, "x_studio_vip": true, "x_note": "a", "x_owner": [4, "Kim"], "secret": "s"});
        let blank = json!({"id": 4, "name": "B", "active": true, "x_rank": 0, "x_studio_vip": false, "x_note": false});
        let server = erp(modern, vec![Table::new("res.partner", vec![row, blank])]);
        let odoo = connect(&server, Value::Null, Value::Null);
        let read = read_all(&odoo, EntityType::Customers, Pass::Full);
        let [first, second] = read.records.as_slice() else {
            panic!("{:?}", read.records)
        };
        assert_eq!(first.data["name"], "Zażółć <b>&amp;</b>");
        assert_eq!(first.data["is_active"], false);
        assert_eq!(
            first.data["custom"],
            json!({"x_rank": 2.5, "x_studio_vip": true, "x_note": "a", "x_owner": [4, "Kim"]})
        );
        assert_eq!(second.data["custom"], json!({"x_rank": 0, "x_studio_vip": false}));
        assert_eq!(calls(&server, "res.partner", "fields_get").len(), 1);
        let context = &calls(&server, "res.partner", "search_read")[0].args["context"];
        assert_eq!(*context, json!({"active_test": false, "lang": "en_US"}));
    }
}

#[test]
fn changes_are_asked_for_from_a_whole_second_on() {
    let mut rows = partners(30, 1);
    rows[4]["write_date"] = json!("2026-03-01 10:00:00");
    rows[9]["write_date"] = json!("2026-03-01 10:00:01");
    let server = erp(true, vec![Table::new("res.partner", rows)]);
    let odoo = connect(&server, json!({"page_size": 10}), Value::Null);
    let plan = odoo
        .plan(EntityType::Customers, since("2026-03-01T10:00:00.9Z"))
        .unwrap();
    assert!(!plan.sweeps);
    assert_eq!((plan.lists, plan.stride), (vec!["customers".into()], None));
    assert_eq!(ids(&work_off(&odoo, EntityType::Customers, plan.tasks)), [5, 10]);
}

#[test]
fn what_fits_one_page_is_read_whole() {
    let server = erp(true, vec![Table::new("res.partner", partners(10, 1))]);
    let whole = |settings: Value| {
        let odoo = connect(&server, settings, Value::Null);
        odoo.plan(EntityType::Customers, since("2026-03-01T10:00:00Z"))
            .unwrap()
            .sweeps
    };
    assert!(whole(json!({"page_size": 10})));
    assert!(!whole(json!({"page_size": 9})));
    assert!(whole(json!({"page_size": 9, "compare_limit": 10})));
    assert!(!whole(json!({"page_size": 10, "compare_limit": 0})));
}

/// Products of which each changed in another way that leaves its own date as it was.
fn shelf() -> Vec<Table> {
    let (old, new) = ("2026-01-01 00:00:00", "2026-03-01 10:00:00");
    let products = (1..=8)
        .map(|n| {
            let date = if n == 8 { new } else { old };
            json!({"id": n, "name": format!("P{n}"), "product_tmpl_id": [100 + n, "T"], "write_date": date})
        })
        .collect();
    let of = |ids: &[u64], link: &str, add: u64| -> Vec<Value> {
        let row = |n: &u64| {
            let mut row = json!({"id": 100 + n, "write_date": if *n == 1 { old } else { new }});
            if link != "id" {
                row[link] = json!([n + add, "x"]);
            }
            row
        };
        ids.iter().map(row).collect()
    };
    vec![
        Table::new("product.product", products),
        Table::new("product.template", of(&[1, 2, 8], "id", 0)),
        Table::new(
            "product.template.attribute.value",
            of(&[1, 3], "product_tmpl_id", 100),
        ),
        Table::new("stock.quant", of(&[1, 4], "product_id", 0)),
        Table::new("stock.move", of(&[1, 5], "product_id", 0)),
    ]
}

#[test]
fn products_that_changed_in_other_tables_are_read_again_and_each_once() {
    for modern in BOTH {
        let server = erp(modern, shelf());
        let odoo = connect(&server, json!({"compare_limit": 0}), Value::Null);
        let read = read_all(&odoo, EntityType::Products, since("2026-03-01T10:00:00Z"));
        assert_eq!(ids(&read), [2, 3, 4, 5, 8]);
        assert!(read.warnings.is_empty());
    }
}

#[test]
fn models_that_are_not_there_or_not_for_us_are_not_watched() {
    for modern in BOTH {
        let mut tables = shelf();
        tables.retain(|table| table.model != "stock.quant");
        tables[3].denied = true;
        let server = erp(modern, tables);
        let odoo = connect(&server, json!({"compare_limit": 0}), Value::Null);
        let read = read_all(&odoo, EntityType::Products, since("2026-03-01T10:00:00Z"));
        assert_eq!(ids(&read), [2, 3, 8]);
        assert_eq!(read.warnings.len(), 1, "{:?}", read.warnings);
        assert!(read.warnings[0].contains("stock.move"));
    }
}

fn documents(count: u64) -> Vec<Table> {
    let order = |n: u64| json!({"id": n, "name": format!("S{n}"), "write_date": "2026-01-01 00:00:00"});
    let lines = (1..=count).flat_map(|n| {
        (0..=n % 3).map(move |k| {
            let date = if n == 2 && k == 0 { "2026-03-01 10:00:00" } else { "2026-01-01 00:00:00" };
            json!({"id": 10 * n + k, "order_id": [n, "S"], "name": format!("line {k}"), "product_id": [5, "P"],
                "product_uom_qty": 2.0, "price_subtotal": 8.5, "price_tax": 1.5, "price_total": 10.0,
                "write_date": date})
        })
    });
    vec![
        Table::new("sale.order", (1..=count).map(order).collect()),
        Table::new("sale.order.line", lines.collect()),
    ]
}

#[test]
fn documents_come_with_all_their_lines() {
    for modern in BOTH {
        let server = erp(modern, documents(30));
        let odoo = connect(&server, json!({"page_size": 20}), Value::Null);
        for entity in [EntityType::Sales, EntityType::Orders] {
            let read = read_all(&odoo, entity, Pass::Full);
            assert_eq!(read.records.len(), 30);
            for record in &read.records {
                let n: u64 = record.external_id.parse().unwrap();
                let lines = record.data["lines"].as_array().unwrap();
                assert_eq!(lines.len() as u64, n % 3 + 1, "{n}");
                assert_eq!(lines[0]["id"], (10 * n).to_string());
            }
        }
    }
}

/// Whatever their number: one question for all contacts of a page, one for all variants.
#[test]
fn whom_documents_name_is_asked_for_once() {
    for modern in BOTH {
        let mut tables = documents(30);
        for (n, order) in (0..).zip(&mut tables[0].rows) {
            order["partner_id"] = json!([n % 4 + 1, "x"]);
            order["partner_shipping_id"] = json!([n % 3 + 1, "x"]);
        }
        let contact =
            |id: u64| json!({"id": id, "email": format!("{id}@example.com"), "city": format!("City {id}")});
        tables.push(Table::new("res.partner", (1..5).map(contact).collect()));
        tables.push(Table::new(
            "product.product",
            vec![json!({"id": 5, "default_code": "P-5"})],
        ));
        let server = erp(modern, tables);
        let odoo = connect(&server, json!({}), Value::Null);
        let read = read_all(&odoo, EntityType::Orders, Pass::Full);
        for record in &read.records {
            let n: u64 = record.external_id.parse::<u64>().unwrap() - 1;
            assert_eq!(
                record.data["customer_email"],
                format!("{}@example.com", n % 4 + 1)
            );
            assert_eq!(record.data["shipping_city"], format!("City {}", n % 3 + 1));
            assert_eq!(record.data["lines"][0]["sku"], "P-5");
        }
        for model in ["res.partner", "product.product"] {
            assert_eq!(calls(&server, model, "search_read").len(), 1, "{model}");
        }
    }
}

#[test]
fn an_order_whose_line_changed_is_read_again() {
    for modern in BOTH {
        let server = erp(modern, documents(30));
        let odoo = connect(&server, json!({"page_size": 20}), Value::Null);
        let read = read_all(&odoo, EntityType::Sales, since("2026-03-01T10:00:00Z"));
        assert_eq!(ids(&read), [2]);
    }
}

#[test]
fn a_sweep_brings_ids_and_dates() {
    let server = erp(false, vec![Table::new("res.partner", partners(30, 1))]);
    let odoo = connect(&server, json!({"page_size": 2}), Value::Null);
    let task = Task {
        list: "customers".into(),
        content: Content::Ids,
        since: None,
        at: At::Offset(0),
    };
    let read = work_off(&odoo, EntityType::Customers, vec![task]);
    assert_eq!(read.stubs.len(), 30);
    assert!(read.stubs.iter().all(|stub| stub.modified_at.is_some()));
    assert!(read.records.is_empty());
}

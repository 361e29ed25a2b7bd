//! What doesn't come, or isn't said, proves nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{connect, filled, rows, Shop};
use super::*;
use crate::error::Code;
use crate::source::http::testing::Server;
use crate::source::{At, Content};
use serde_json::json;
use std::collections::BTreeSet;

/// Two variable products of which no list shows the second; each has a variation with its SKU.
fn hiding_a_parent(shown_alone: bool) -> Server {
    let product = |id: u64| {
        filled(
            json!({"id": id, "type": "variable", "sku": format!("P{id}"), "date_modified_gmt": "2026-01-01T00:00:00"}),
        )
    };
    let variation = |id: u64, parent: u64| {
        filled(json!({"id": id, "parent_id": parent, "sku": format!("P{parent}"), "type": "variation"}))
    };
    let shop = Shop {
        rows: vec![
            ("products", vec![product(2), product(4)]),
            ("variations", vec![variation(5, 2), variation(7, 4)]),
            ("data/currencies/current", vec![]),
        ],
        global_variations: true,
        unshown: vec![4],
        ..Shop::default()
    };
    Server::start(
        move |seen, _| match seen.path.ends_with("/products/4") && !shown_alone {
            true => {
                crate::source::http::testing::Reply::new(403, r#"{"code":"woocommerce_rest_cannot_view"}"#)
            }
            false => shop.answer(seen),
        },
    )
}

fn variations() -> Task {
    Task {
        list: "variations".into(),
        content: Content::Full,
        since: None,
        at: At::Offset(0),
    }
}

#[test]
fn an_inherited_sku_is_no_key_though_no_list_shows_the_product() {
    for shown_alone in [true, false] {
        let server = hiding_a_parent(shown_alone);
        let shop = connect(&server, json!({}), json!({"global_variations": true}));
        for _ in 0..2 {
            let batch = shop.fetch(EntityType::Products, &variations()).unwrap();
            let keys: Vec<_> = batch
                .records
                .iter()
                .map(|record| record.match_key.as_deref())
                .collect();
            assert_eq!(keys, [None, None], "{shown_alone}");
        }
        let seen = server.seen();
        let alone = seen.iter().filter(|seen| seen.path.ends_with("/products/4"));
        assert_eq!(alone.count(), if shown_alone { 1 } else { 2 });
    }
}

#[test]
fn what_does_not_say_how_many_there_are_is_read_in_full() {
    for entity in [EntityType::Customers, EntityType::Products, EntityType::Orders] {
        let shop = |no_totals| Shop {
            rows: vec![
                ("customers", rows(30)),
                ("products", rows(30)),
                ("orders", rows(30)),
                ("variations", rows(30)),
                ("reports/orders/totals", vec![]),
            ],
            global_variations: true,
            no_totals,
            ..Shop::default()
        };
        let plan = |no_totals| {
            let server = shop(no_totals).start();
            let shop = connect(&server, json!({"compare_limit": 5}), json!(null));
            let since = "2026-05-01T10:00:00Z".parse().unwrap();
            shop.plan(entity, Pass::Since(since)).unwrap()
        };
        assert!(!plan(false)
            .tasks
            .iter()
            .all(|task| task.content == Content::Full && task.since.is_none()));
        assert!(plan(true)
            .tasks
            .iter()
            .all(|task| task.content == Content::Full && task.since.is_none()));
    }
}

/// How many customers a full pass brings.
fn read_all(shop: Shop) -> usize {
    let server = shop.start();
    let shop = connect(&server, json!({}), json!(null));
    let mut stack = shop.plan(EntityType::Customers, Pass::Full).unwrap().tasks;
    let mut met = BTreeSet::new();
    while let Some(task) = stack.pop() {
        let batch = shop.fetch(EntityType::Customers, &task).unwrap();
        met.extend(batch.records.into_iter().map(|record| record.external_id));
        stack.extend(batch.more);
    }
    met.len()
}

/// Together with a row that isn't shown, or with a cap, the first page would be the last.
#[test]
fn a_short_page_is_not_the_last_where_no_number_says_so() {
    let shop = || Shop {
        rows: vec![("customers", rows(250))],
        ..Shop::default()
    };
    for wrong_total in [0, 1, 98, 150, 240] {
        let unshown = vec![5, 120, 249];
        let wrong = Shop {
            unshown,
            wrong_total: Some(wrong_total),
            ..shop()
        };
        assert_eq!(read_all(wrong), 247, "{wrong_total}");
    }
    for cap in [2, 7, 99, 100] {
        let capped = Shop {
            cap: Some(cap),
            no_totals: true,
            ..shop()
        };
        assert_eq!(read_all(capped), 250, "{cap}");
    }
}

fn find(shop: Shop) -> Result<Vec<Record>> {
    let server = shop.start();
    let shop = connect(&server, json!({}), json!(null));
    let data = json!({"email": "ada@example.com"}).as_object().unwrap().clone();
    let wanted = Record::new(EntityType::Customers, "elsewhere", data);
    shop.find(EntityType::Customers, &wanted, &Meter::default())
}

#[test]
fn what_is_looked_for_is_looked_for_behind_short_pages_too() {
    let shop = || {
        let mut rows = rows(30);
        rows[25]["email"] = json!("ada@example.com");
        Shop {
            rows: vec![("customers", rows)],
            cap: Some(7),
            ..Shop::default()
        }
    };
    let found = |shop| find(shop).unwrap().len();
    let wrong_total = Some(3);
    assert_eq!(
        found(Shop {
            wrong_total,
            ..shop()
        }),
        1
    );
    for no_totals in [true, false] {
        assert_eq!(found(Shop { no_totals, ..shop() }), 1, "{no_totals}");
        let stuck = Shop {
            no_totals,
            no_offsets: true,
            ..shop()
        };
        assert_eq!(find(stuck).unwrap_err().code, Code::Nonsense, "{no_totals}");
    }
}

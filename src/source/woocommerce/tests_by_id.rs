#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{connect, filled, rows, Shop};
use super::*;
use crate::error::Code;
use crate::source::http::testing::{Reply, Server};
use crate::source::{At, Content};
use serde_json::json;

fn task(list: &str, at: At) -> Task {
    Task {
        list: list.into(),
        content: Content::Full,
        since: None,
        at,
    }
}

fn by_id(ids: impl IntoIterator<Item = u64>) -> Task {
    let ids = ids.into_iter().map(|id| id.to_string());
    task("customers", At::Ids(ids.collect()))
}

fn customers(count: u64) -> Shop {
    Shop {
        rows: vec![("customers", rows(count))],
        ..Shop::default()
    }
}

/// A shop that answers so for order 7, and otherwise as it should.
fn answering(reply: Reply) -> Server {
    let shop = Shop {
        rows: vec![("orders", rows(9)), ("reports/orders/totals", vec![])],
        ..Shop::default()
    };
    Server::start(move |seen, _| match seen.path.ends_with("/orders/7") {
        true => reply.clone(),
        false => shop.answer(seen),
    })
}

fn order_7() -> Task {
    task("orders", At::Alone("7".into()))
}

#[test]
fn one_record_is_asked_for_alone_and_only_the_shops_own_word_says_that_it_is_gone() {
    let own = |code: &str| format!(r#"{{"code":"{code}","message":"Invalid ID.","data":{{"status":404}}}}"#);
    let row = serde_json::to_string(&rows(7)[6]).unwrap();
    let trashed = row.replace(r#""status":"""#, r#""status":"trash""#);
    let gone = |code: &str| (Reply::new(404, own(code)), (0, 0, 0));
    for (reply, expected) in [
        (Reply::ok(row.clone()), (1, 0, 0)),
        (Reply::ok(trashed), (0, 0, 0)),
        gone("woocommerce_rest_shop_order_invalid_id"),
        gone("wc_user_invalid_id"),
        gone("woocommerce_rest_term_invalid"),
        (Reply::new(404, own("rest_no_route")), (0, 1, 0)),
        (Reply::new(500, own("internal_server_error")), (0, 1, 0)),
        (Reply::new(500, "<html>A critical error.</html>"), (0, 1, 0)),
        (Reply::new(504, "<html>Gateway time-out</html>"), (0, 1, 0)),
        (Reply::ok(row.clone()).cut(), (0, 1, 0)),
        (Reply::new(403, own("woocommerce_rest_cannot_view")), (0, 0, 1)),
    ] {
        let server = answering(reply);
        let shop = connect(&server, json!({}), json!(null));
        let batch = shop.fetch(EntityType::Orders, &order_7()).unwrap();
        let found = (batch.records.len(), batch.unreadable.len(), batch.hidden.len());
        assert_eq!(found, expected);
    }
    for reply in [
        Reply::new(404, "<!DOCTYPE html>"),
        Reply::ok("<!DOCTYPE html>"),
        Reply::ok(row.replace(r#""id":7"#, r#""id":8"#)),
        Reply::ok(r#"{"id":7}"#),
        Reply::ok("[]"),
    ] {
        let server = answering(reply);
        let shop = connect(&server, json!({}), json!(null));
        let error = shop.fetch(EntityType::Orders, &order_7()).unwrap_err();
        assert_eq!(error.code, Code::Nonsense);
    }
}

#[test]
fn a_shop_that_is_down_says_nothing_about_a_record() {
    let server = Server::start(|_, _| Reply::new(500, "<html>A critical error.</html>"));
    let memo = json!({"order_statuses": ["pending"]});
    let shop = connect(&server, json!({}), memo);
    let error = shop.fetch(EntityType::Orders, &order_7()).unwrap_err();
    assert_eq!(error.code, Code::Nonsense);
}

/// `GET /products/5` shows a variation as well; the ledger would get it as a product of its own.
#[test]
fn a_variation_at_the_address_of_products_is_read_as_a_variation() {
    let variation = filled(json!({"id": 5, "type": "variation", "parent_id": 3}));
    let server = Shop {
        rows: vec![
            (
                "products",
                vec![filled(json!({"id": 3, "type": "variable"})), variation.clone()],
            ),
            ("products/3/variations", vec![variation]),
            ("data/currencies/current", vec![]),
        ],
        ..Shop::default()
    }
    .start();
    let shop = connect(&server, json!({}), json!({"global_variations": true}));
    let batch = shop
        .fetch(EntityType::Products, &task("products", At::Alone("5".into())))
        .unwrap();
    assert_eq!(batch.records[0].parent_id.as_deref(), Some("3"));
    assert_eq!(batch.records[0].data["type"], "variation");
}

#[test]
fn however_many_records_break_down_each_is_named_and_the_others_are_read() {
    let bad: Vec<u64> = (1..=40).chain([77, 100]).collect();
    let server = Shop {
        bad: bad.clone(),
        ..customers(150)
    }
    .start();
    let shop = connect(&server, json!({}), json!(null));
    let batch = shop.fetch(EntityType::Customers, &by_id(1..=100)).unwrap();
    let unreadable: Vec<u64> = batch.unreadable.iter().map(|u| u.id.parse().unwrap()).collect();
    assert_eq!(unreadable, bad);
    assert_eq!(batch.records.len(), 100 - bad.len());
}

#[test]
fn bad_records_at_both_ends_of_a_page_are_found() {
    let server = Shop {
        bad: vec![1, 2, 100],
        ..customers(150)
    }
    .start();
    let shop = connect(&server, json!({}), json!(null));
    let batch = shop
        .fetch(EntityType::Customers, &task("customers", At::Offset(0)))
        .unwrap();
    let unreadable: Vec<&str> = batch.unreadable.iter().map(|u| u.id.as_str()).collect();
    assert_eq!(unreadable, ["1", "2", "100"]);
    assert_eq!(batch.total, Some(150));
}

#[test]
fn what_names_no_record_asks_for_none() {
    let server = customers(5).start();
    let shop = connect(&server, json!({}), json!(null));
    for at in [At::Ids(vec!["between 3 and 9".into()]), At::Ids(Vec::new())] {
        let batch = shop.fetch(EntityType::Customers, &task("customers", at)).unwrap();
        assert!(batch.records.is_empty() && batch.unreadable.is_empty());
    }
    assert!(server.seen().is_empty());
}

/// A total that counts what is not shown is no cap: everything would be asked for two by two for a day.
#[test]
fn a_cap_is_noted_only_where_the_rest_comes_after_all() {
    let server = Shop {
        unshown: (2..=100).collect(),
        ..customers(100)
    }
    .start();
    let shop = connect(&server, json!({}), json!(null));
    let batch = shop.fetch(EntityType::Customers, &by_id(1..=100)).unwrap();
    assert_eq!(batch.records.len(), 1);
    assert_eq!(shop.memo().get("page_sizes"), None);

    let server = Shop {
        cap: Some(7),
        ..customers(100)
    }
    .start();
    let shop = connect(&server, json!({}), json!(null));
    let batch = shop.fetch(EntityType::Customers, &by_id(1..=100)).unwrap();
    assert_eq!(batch.records.len(), 100);
    assert_eq!(shop.memo()["page_sizes"]["customers"], 7);
}

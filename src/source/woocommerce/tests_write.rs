//! Writing: what is sent, and what an answer, or none, amounts to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::connect;
use super::WooCommerce;
use crate::core::{EntityType, Record};
use crate::error::{Code, Error};
use crate::source::http::testing::{Reply, Seen, Server};
use crate::source::{Change, Meter, Source, Written};
use serde_json::{json, Value};

const API: &str = "/wp-json/wc/v3/";

/// A shop that answers every call by its method and route below the API.
pub fn shop(answer: impl Fn(&str, &Seen) -> Reply + Send + Sync + 'static) -> (Server, WooCommerce) {
    let server = Server::start(move |seen, _| {
        let route = seen.path.strip_prefix(API).unwrap_or_default();
        if route == "data/currencies/current" {
            return refusal(404, "rest_no_route");
        }
        answer(&format!("{} {route}", seen.method), seen)
    });
    let shop = connect(&server, Value::Null, Value::Null);
    (server, shop)
}

pub fn rows(rows: Value) -> Reply {
    Reply::ok(rows.to_string()).header("X-WP-Total", rows.as_array().map_or(1, Vec::len))
}

fn refusal(status: u16, code: &str) -> Reply {
    let body = json!({"code": code, "message": "No such thing.", "data": {"status": status}});
    Reply::new(status, body.to_string())
}

fn find(shop: &WooCommerce, entity: EntityType, like: Value) -> Vec<Record> {
    let record = Record::new(entity, "elsewhere", like.as_object().unwrap().clone());
    shop.find(entity, &record, &Meter::default()).unwrap()
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.external_id.as_str()).collect()
}

fn write(
    shop: &WooCommerce,
    entity: EntityType,
    id: Option<&str>,
    parent: Option<&str>,
    fields: Value,
) -> Result<Written, Error> {
    let change = Change {
        external_id: id.map(str::to_owned),
        parent_id: parent.map(str::to_owned),
        fields: fields.as_object().unwrap().clone(),
    };
    shop.write(entity, &change, &Meter::default())
}

/// Methods and paths of what was asked, without the reads.
pub fn writes(server: &Server) -> Vec<String> {
    let all = server.seen().into_iter().filter(|seen| seen.method != "GET");
    all.map(|seen| format!("{} {}", seen.method, seen.path.strip_prefix(API).unwrap()))
        .collect()
}

#[test]
fn records_are_found_by_their_match_key_exactly() {
    let (server, shop) = shop(|call, seen| match call {
        "GET customers" => {
            assert_eq!(
                (seen.param("email"), seen.param("role")),
                (Some("ada@x.org"), Some("all"))
            );
            rows(json!([{"id": 4, "email": "Ada@x.org", "role": "customer"}]))
        }
        // a shop shows variations without a SKU of their own with their product's
        "GET products" if seen.param("include") == Some("6") => rows(
            json!([{"id": 6, "sku": "M-10", "type": "variable", "date_modified_gmt": "2026-01-01T00:00:00"}]),
        ),
        "GET products" => {
            assert_eq!(seen.param("sku"), Some("M-1"));
            rows(
                json!([{"id": 5, "sku": "M-1", "type": "simple"}, {"id": 6, "sku": "M-10", "type": "simple"},
                        {"id": 7, "sku": "M-1", "type": "variation", "parent_id": 6}]),
            )
        }
        "GET products/categories" if seen.param("slug").is_some() => {
            assert_eq!((seen.param("slug"), seen.param("search")), (Some("mugs"), None));
            rows(json!([{"id": 8, "slug": "mugs", "name": "Mugs"}]))
        }
        "GET products/categories" => rows(json!([{"id": 8, "slug": "mugs", "name": "Mugs"},
            {"id": 9, "slug": "more-mugs", "name": "More mugs"}, {"id": 10, "slug": "blue", "name": " MUGS"}])),
        other => panic!("{other}"),
    });
    assert_eq!(
        ids(&find(&shop, EntityType::Customers, json!({"email": "ADA@x.org"}))),
        ["4"]
    );
    let products = find(&shop, EntityType::Products, json!({"sku": "M-1"}));
    assert_eq!(ids(&products), ["5", "7"]);
    assert_eq!(products[1].parent_id.as_deref(), Some("6"));
    // by slug, or, for systems that have none, by name
    assert_eq!(
        ids(&find(&shop, EntityType::Categories, json!({"name": "mugs"}))),
        ["8", "10"]
    );
    let by_slug = json!({"name": "mugs", "slug": "mugs"});
    assert_eq!(ids(&find(&shop, EntityType::Categories, by_slug)), ["8"]);
    let asked = server.seen().len();
    assert_eq!(
        ids(&find(&shop, EntityType::Products, json!({"name": "Mug"}))),
        [""; 0]
    );
    assert_eq!(
        ids(&find(&shop, EntityType::Orders, json!({"number": "7"}))),
        [""; 0]
    );
    assert_eq!(server.seen().len(), asked);
}

#[test]
fn each_record_is_written_to_its_own_route() {
    let (server, shop) = shop(|call, seen| {
        let mut row: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        row["id"] = json!(21);
        match call {
            "POST products" => row["type"] = json!("simple"),
            "PUT customers/4" | "PUT products/5/variations/21" | "PUT products/categories/8" => {}
            other => panic!("{other}"),
        }
        row["date_modified_gmt"] = json!("2026-01-01T00:00:00");
        Reply::ok(row.to_string())
    });
    let fields = json!({"name": "Mug", "sku": "M-1", "regular_price": "9.90", "length": 3});
    let made = write(&shop, EntityType::Products, None, None, fields).unwrap();
    assert_eq!(made.external_id, "21");
    let record = made.record.unwrap();
    assert_eq!(record.match_key.as_deref(), Some("M-1"));
    assert_eq!(record.data["length"], "3");
    let city = json!({"billing_city": "Bath"});
    write(&shop, EntityType::Customers, Some("4"), None, city).unwrap();
    let price = json!({"regular_price": 1});
    let variation = write(&shop, EntityType::Products, Some("21"), Some("5"), price).unwrap();
    assert_eq!(variation.record.unwrap().parent_id.as_deref(), Some("5"));
    write(
        &shop,
        EntityType::Categories,
        Some("8"),
        None,
        json!({"name": "Cups"}),
    )
    .unwrap();
    assert_eq!(
        writes(&server),
        [
            "POST products",
            "PUT customers/4",
            "PUT products/5/variations/21",
            "PUT products/categories/8"
        ]
    );
    let seen = server.seen();
    let bodies = seen.iter().filter(|seen| seen.method != "GET");
    let bodies: Vec<Value> = bodies
        .map(|seen| serde_json::from_slice(&seen.body).unwrap())
        .collect();
    assert_eq!(
        bodies[0],
        json!({"name": "Mug", "sku": "M-1", "regular_price": "9.9", "dimensions": {"length": "3"}})
    );
    assert_eq!(bodies[1], json!({"billing": {"city": "Bath"}}));
}

#[test]
fn an_id_that_is_none_goes_into_no_path() {
    let (server, shop) = shop(|_, _| Reply::ok("{}"));
    for (id, parent) in [("../users/1", None), ("", None), ("5", Some("6/../7"))] {
        let error = write(&shop, EntityType::Products, Some(id), parent, json!({"sku": "x"})).unwrap_err();
        assert_eq!(error.code, Code::Invalid, "{id}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn refusals_tell_what_is_wrong_with_whom() {
    for (status, name, id, code) in [
        (
            404,
            "woocommerce_rest_product_invalid_id",
            Some("5"),
            Code::NotFound,
        ),
        (404, "rest_no_route", None, Code::Nonsense),
        (400, "product_invalid_sku", None, Code::Invalid),
        (400, "product_invalid_sku", Some("5"), Code::Invalid),
        (401, "woocommerce_rest_cannot_create", None, Code::RemoteAuth),
        (403, "woocommerce_rest_cannot_edit", Some("5"), Code::RemoteAuth),
    ] {
        let (_server, shop) = shop(move |call, _| match call.starts_with("GET") {
            true => rows(json!([])),
            false => refusal(status, name),
        });
        let error = write(&shop, EntityType::Products, id, None, json!({"sku": "x"})).unwrap_err();
        assert_eq!(error.code, code, "{status} {name}: {error:?}");
        if code == Code::Invalid {
            assert_eq!(
                error.detail.as_deref(),
                Some("product_invalid_sku: No such thing.")
            );
        }
    }
}

/// What was not answered may have been done: a second POST would make a second record.
#[test]
fn a_creation_without_an_answer_is_sent_once_a_change_again() {
    for (reply, code) in [
        (Reply::hang_up(), Code::TimedOut),
        (Reply::new(502, "<html>"), Code::Nonsense),
        (refusal(500, "internal_server_error"), Code::Nonsense),
        (Reply::ok("{\"id\":").cut(), Code::Nonsense),
    ] {
        let (server, shop) = shop(move |call, _| match call.starts_with("GET") {
            true => rows(json!([])),
            false => reply.clone(),
        });
        // the way in is known
        find(&shop, EntityType::Products, json!({"sku": "x"}));
        let error = write(&shop, EntityType::Products, None, None, json!({"sku": "x"})).unwrap_err();
        assert_eq!(error.code, code, "{error:?}");
        assert_eq!(writes(&server).len(), 1);
        let error = write(&shop, EntityType::Products, Some("5"), None, json!({"sku": "x"})).unwrap_err();
        assert_eq!(error.code, code);
        assert!(writes(&server).len() > 2, "{:?}", writes(&server));
    }
    // one that was turned away at the door was not seen
    let (server, shop) = shop(|call, seen| match (call, seen.body.len()) {
        ("POST products", _) => refusal(429, "too_many_requests"),
        _ => rows(json!([])),
    });
    let error = write(&shop, EntityType::Products, None, None, json!({"sku": "x"})).unwrap_err();
    assert_eq!(error.code, Code::Throttled);
    assert_eq!(writes(&server).len(), 4);
}

#[test]
fn an_answer_that_is_no_record_leaves_it_open() {
    for body in ["[]", "{}", "{\"id\": null}", "true"] {
        let (_server, shop) = shop(move |_, _| Reply::ok(body));
        let error = write(&shop, EntityType::Products, None, None, json!({"sku": "x"})).unwrap_err();
        assert_eq!(error.code, Code::Nonsense, "{body}");
    }
}

/// A shop whose host gives `cap` rows at most, and whose listings end after `shown` of the rows that they count.
fn capped(all: Vec<Value>, cap: usize, shown: usize) -> (Server, WooCommerce) {
    shop(move |call, seen| {
        assert!(call.starts_with("GET"), "{call}");
        let offset: usize = seen.param("offset").map_or(0, |offset| offset.parse().unwrap());
        let page: Vec<&Value> = all.iter().take(shown).skip(offset).take(cap).collect();
        Reply::ok(json!(page).to_string()).header("X-WP-Total", all.len())
    })
}

/// What stands beyond the first page would be created a second time.
#[test]
fn what_stands_beyond_the_first_page_is_found() {
    let categories: Vec<Value> = (1..=130)
        .map(|id| json!({"id": id, "slug": format!("hemd-{id}"), "name": format!("Hemd {id}")}))
        .chain([json!({"id": 131, "slug": "hemd", "name": "Hemd"})])
        .collect();
    let same_sku: Vec<Value> = (1..=131)
        .map(|id| json!({"id": id, "sku": "M-1", "type": "simple"}))
        .collect();
    for cap in [100, 50, 7] {
        let (_server, shop) = capped(categories.clone(), cap, 131);
        assert_eq!(
            ids(&find(&shop, EntityType::Categories, json!({"name": "HEMD"}))),
            ["131"],
            "{cap}"
        );
        let (_server, shop) = capped(same_sku.clone(), cap, 131);
        assert_eq!(
            find(&shop, EntityType::Products, json!({"sku": "M-1"})).len(),
            131,
            "{cap}"
        );
    }
    let (_server, shop) = capped(categories, 100, 130);
    let wanted = Record::new(
        EntityType::Categories,
        "",
        json!({"name": "Hemd"}).as_object().unwrap().clone(),
    );
    let error = shop
        .find(EntityType::Categories, &wanted, &Meter::default())
        .unwrap_err();
    assert_eq!(error.code, Code::Nonsense, "{error:?}");
}

/// The shop knows better than its listings.
#[test]
fn a_record_that_stands_in_the_way_is_taken_over_where_it_is_the_same() {
    let taken = |code: &'static str| {
        shop(move |call, _| match call {
            "POST products/categories" | "POST products" => Reply::new(
                400,
                json!({"code": code, "message": "Exists.", "data": {"status": 400, "resource_id": 131}})
                    .to_string(),
            ),
            "GET products/categories/131" => {
                Reply::ok(json!({"id": 131, "slug": "hemd", "name": "Hemd"}).to_string())
            }
            "GET products/131" => {
                Reply::ok(json!({"id": 131, "sku": "M-1", "name": "Mug", "type": "simple"}).to_string())
            }
            "PUT products/categories/131" | "PUT products/131" => {
                Reply::ok(json!({"id": 131, "name": "Hemd", "slug": "hemd"}).to_string())
            }
            other => panic!("{other}"),
        })
    };
    for (entity, code, fields) in [
        (EntityType::Categories, "term_exists", json!({"name": "hemd"})),
        (
            EntityType::Categories,
            "term_exists",
            json!({"name": "Shirt", "slug": "hemd"}),
        ),
        (
            EntityType::Products,
            "product_invalid_sku",
            json!({"name": "Mug", "sku": "M-1"}),
        ),
    ] {
        let (server, shop) = taken(code);
        let written = write(&shop, entity, None, None, fields).unwrap();
        assert_eq!((written.external_id.as_str(), writes(&server).len()), ("131", 2));
    }
    for (entity, code, fields) in [
        (
            EntityType::Categories,
            "term_exists",
            json!({"name": "Hemd", "slug": "shirts"}),
        ),
        (
            EntityType::Products,
            "product_invalid_sku",
            json!({"name": "Mug", "sku": "M-2"}),
        ),
        (
            EntityType::Products,
            "product_invalid_id",
            json!({"name": "Mug", "sku": "M-1"}),
        ),
    ] {
        let (server, shop) = taken(code);
        let error = write(&shop, entity, None, None, fields).unwrap_err();
        assert_eq!(
            (error.code, writes(&server).len()),
            (Code::Invalid, 1),
            "{error:?}"
        );
        assert_eq!(error.hint.unwrap().contains("131"), code != "product_invalid_id");
    }
}

#[test]
fn an_account_of_another_role_is_not_written_to() {
    let (server, shop) = shop(|_, _| rows(json!([])));
    let user = json!({"email": "boss@x.org", "role": "administrator"});
    let user = Record::new(EntityType::Customers, "1", user.as_object().unwrap().clone());
    let wanted = json!({"email": "boss@x.org", "first_name": "Eve"});
    let error = shop
        .draft(EntityType::Customers, wanted.as_object().unwrap(), Some(&user))
        .unwrap_err();
    assert_eq!(error.code, Code::NotGranted);
    assert!(error.message.contains("administrator"), "{error:?}");
    assert!(server.seen().is_empty());
}

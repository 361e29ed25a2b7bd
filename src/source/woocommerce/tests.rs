#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::testing::{connect, filled, rows, Shop};
use super::*;
use crate::error::Code;
use crate::source::http::testing::{Reply, Server};
use crate::source::kind::Kind;
use crate::source::{At, Content};
use serde_json::json;
use std::collections::BTreeSet;

fn task(list: &str, content: Content, at: At) -> Task {
    Task {
        list: list.into(),
        content,
        since: None,
        at,
    }
}

/// Works a plan off, and checks on the way that neighbouring windows overlap.
fn pull(shop: &WooCommerce, entity: EntityType, pass: Pass) -> Vec<(Listing, Batch)> {
    let mut stack = shop.plan(entity, pass).unwrap().tasks;
    let mut done = Vec::new();
    while let Some(task) = stack.pop() {
        let batch = shop.fetch(entity, &task).unwrap();
        stack.extend(batch.more.clone());
        done.push((task.list, batch));
    }
    done
}

fn ids(done: &[(Listing, Batch)]) -> BTreeSet<u64> {
    let all = done.iter().flat_map(|(_, batch)| {
        let stubs = batch.stubs.iter().map(|stub| &stub.external_id);
        batch
            .records
            .iter()
            .map(|record| &record.external_id)
            .chain(stubs)
    });
    all.map(|id| id.parse().unwrap()).collect()
}

fn shop_with(list: &'static str, count: u64) -> Server {
    Shop {
        rows: vec![(list, rows(count)), ("reports/orders/totals", vec![])],
        hpos: true,
        ..Shop::default()
    }
    .start()
}

#[test]
fn windows_bring_every_record_of_a_listing_of_any_size() {
    for count in [0, 1, 99, 100, 101, 198, 199, 200, 355] {
        let server = shop_with("orders", count);
        let shop = connect(&server, json!({}), json!(null));
        let done = pull(&shop, EntityType::Orders, Pass::Full);
        assert_eq!(ids(&done), (1..=count).collect(), "{count}");
        assert_eq!(done.iter().filter(|(_, batch)| batch.end).count(), 1, "{count}");
        let overlaps = done
            .iter()
            .map(|(_, batch)| batch.records.len() as u64)
            .sum::<u64>()
            - count;
        assert!(overlaps < done.len() as u64, "{count}");
        assert_eq!(done[0].1.total, Some(count));
    }
}

#[test]
fn a_listing_that_has_grown_is_read_to_its_end() {
    let server = shop_with("customers", 250);
    let shop = connect(&server, json!({}), json!(null));
    let tail = task("customers", Content::Ids, At::Tail(99));
    let batch = shop.fetch(EntityType::Customers, &tail).unwrap();
    assert!(!batch.end);
    assert_eq!(batch.more, [task("customers", Content::Ids, At::Tail(198))]);
    let inner = task("customers", Content::Ids, At::Offset(99));
    assert!(shop.fetch(EntityType::Customers, &inner).unwrap().more.is_empty());
}

/// A shop of 250 customers that leaves out these, counted from 0, wherever they would be shown.
fn shop_without(missing: &'static [u64]) -> Server {
    Server::start(move |seen, _| {
        let number = |name: &str| seen.param(name).map_or(0, |text| text.parse::<u64>().unwrap());
        let (offset, most) = (number("offset"), number("per_page"));
        let mut places: Vec<u64> = (0..250).collect();
        if seen.param("order") == Some("desc") {
            places.reverse();
        }
        let shown = places.into_iter().skip(offset as usize).take(most as usize);
        let shown: Vec<Value> = shown
            .filter(|place| !missing.contains(place))
            .map(|place| filled(json!({"id": place + 1, "date_modified_gmt": null})))
            .collect();
        Reply::ok(serde_json::to_vec(&shown).unwrap()).header("X-WP-Total", 250)
    })
}

#[test]
fn rows_that_are_counted_and_not_shown_are_told() {
    static NONE: [u64; 100] = {
        let mut all = [0; 100];
        let mut n = 0;
        while n < 100 {
            all[n] = 99 + n as u64;
            n += 1;
        }
        all
    };
    for (missing, at, unshown, end) in [
        (&[98, 99][..], At::Offset(0), 2, false),
        (&[3, 50], At::Offset(0), 2, false),
        (&NONE, At::Tail(99), 100, false),
        (&[249], At::Tail(198), 1, true),
        (&[], At::Tail(198), 0, true),
    ] {
        let server = shop_without(missing);
        let shop = connect(&server, json!({}), json!({"global_variations": true}));
        let batch = shop
            .fetch(EntityType::Customers, &task("customers", Content::Ids, at))
            .unwrap();
        assert_eq!(
            (batch.total, batch.unshown, batch.end),
            (Some(250), unshown, end),
            "{missing:?}"
        );
    }
}

#[test]
fn a_listing_that_shows_nothing_of_what_it_counts_is_nonsense() {
    let server = Server::start(|_, _| Reply::ok("[]").header("X-WP-Total", 360));
    let shop = connect(&server, json!({}), json!(null));
    let error = shop
        .fetch(
            EntityType::Customers,
            &task("customers", Content::Ids, At::Offset(0)),
        )
        .unwrap_err();
    assert_eq!(error.code, Code::Nonsense);
    assert!(error.message.contains("none of the 360"), "{error:?}");
}

#[test]
fn beyond_the_end_the_total_is_unknown() {
    let server = shop_with("orders", 99);
    let shop = connect(&server, json!({}), json!(null));
    let batch = shop
        .fetch(EntityType::Orders, &task("orders", Content::Ids, At::Tail(198)))
        .unwrap();
    assert_eq!((batch.total, batch.end), (None, true));
}

#[test]
fn customers_are_asked_for_by_role_and_by_id_in_any_role() {
    let server = shop_with("customers", 5);
    let shop = connect(&server, json!({"customer_role": "subscriber"}), json!(null));
    shop.fetch(
        EntityType::Customers,
        &task("customers", Content::Full, At::Offset(0)),
    )
    .unwrap();
    let by_id = task("customers", Content::Full, At::Ids(vec!["9".into(), "2".into()]));
    let batch = shop.fetch(EntityType::Customers, &by_id).unwrap();
    assert_eq!(batch.records.len(), 1);
    let seen = server.seen();
    assert_eq!(
        (seen[0].param("role"), seen[0].param("offset")),
        (Some("subscriber"), None)
    );
    assert_eq!(
        (seen[1].param("role"), seen[1].param("include")),
        (Some("all"), Some("2,9"))
    );
    assert_eq!(seen[0].param("orderby"), Some("id"));
}

fn variable(global_variations: bool) -> Server {
    let date = "2026-01-01T00:00:00";
    let product = |id: u64, kind: &str| {
        filled(json!({"id": id, "type": kind, "sku": format!("P{id}"), "date_modified_gmt": date}))
    };
    let variation = |id: u64, parent: u64, sku: &str| {
        filled(json!({"id": id, "sku": sku, "parent_id": parent, "date_modified_gmt": date}))
    };
    let (of_two, of_four) = (
        vec![variation(5, 2, "P2"), variation(6, 2, "V6")],
        vec![variation(7, 4, "V7")],
    );
    Shop {
        rows: vec![
            (
                "products",
                vec![
                    product(1, "simple"),
                    product(2, "variable"),
                    product(3, "grouped"),
                    product(4, "variable"),
                ],
            ),
            ("products/2/variations", of_two.clone()),
            ("products/4/variations", of_four.clone()),
            ("variations", [of_two, of_four].concat()),
        ],
        global_variations,
        hpos: true,
        ..Shop::default()
    }
    .start()
}

#[test]
fn variations_are_read_at_once_or_product_by_product() {
    for global in [true, false] {
        let server = variable(global);
        let shop = connect(&server, json!({}), json!(null));
        let plan = shop.plan(EntityType::Products, Pass::Full).unwrap();
        assert_eq!(plan.lists.len(), if global { 2 } else { 1 });
        assert_eq!(shop.memo()["global_variations"], global);
        for content in [Content::Full, Content::Ids] {
            let mut stack: Vec<_> = plan.tasks.iter().map(|t| Task { content, ..t.clone() }).collect();
            let mut done = Vec::new();
            while let Some(task) = stack.pop() {
                let batch = shop.fetch(EntityType::Products, &task).unwrap();
                stack.extend(batch.more.clone());
                done.push((task.list, batch));
            }
            assert_eq!(ids(&done), (1..=7).collect());
            let childless: Vec<_> = done.iter().flat_map(|(_, b)| b.childless.clone()).collect();
            assert_eq!(childless, if global { vec![] } else { vec!["1", "3"] });
            let records: Vec<_> = done.iter().flat_map(|(_, b)| &b.records).collect();
            for record in records {
                let key = record.match_key.as_deref();
                match record.external_id.as_str() {
                    "5" => assert_eq!((key, record.parent_id.as_deref()), (None, Some("2"))),
                    "6" => assert_eq!((key, record.parent_id.as_deref()), (Some("V6"), Some("2"))),
                    "7" => assert_eq!((key, record.parent_id.as_deref()), (Some("V7"), Some("4"))),
                    id => assert_eq!(key, Some(format!("P{id}").as_str())),
                }
            }
        }
    }
}

#[test]
fn all_variations_of_changed_products_are_read() {
    let since = Some("2025-12-31T00:00:00Z".parse().unwrap());
    for (global, lists) in [
        (true, vec!["variations:2,4"]),
        (false, vec!["variations:2", "variations:4"]),
    ] {
        let server = variable(global);
        let shop = connect(&server, json!({}), json!(null));
        let changed = Task {
            since,
            ..task("products", Content::Full, At::Offset(0))
        };
        let more = shop.fetch(EntityType::Products, &changed).unwrap().more;
        let names: Vec<_> = more.iter().map(|task| task.list.to_string()).collect();
        assert_eq!(names, lists);
        let read = |task: &Task| shop.fetch(EntityType::Products, task).unwrap().records;
        let found = more.iter().flat_map(read).map(|record| record.external_id);
        assert_eq!(found.collect::<Vec<_>>(), ["5", "6", "7"]);
    }
    let server = variable(true);
    let shop = connect(&server, json!({}), json!(null));
    let both = task("variations:2,4", Content::Full, At::Offset(0));
    shop.fetch(EntityType::Products, &both).unwrap();
    let seen = server.seen();
    let asked = seen.iter().find(|seen| seen.path.ends_with("v3/variations"));
    assert_eq!(asked.unwrap().param("parent"), Some("2,4"));
}

#[test]
fn windows_begin_a_page_apart_that_overlaps_with_the_shortest() {
    let server = variable(true);
    for (settings, memo, stride) in [
        (json!({}), json!(null), 99),
        (json!({"page_size": 20}), json!(null), 19),
        (
            json!({"page_size": 20}),
            json!({"page_sizes": {"variations": 7}}),
            6,
        ),
        (json!({}), json!({"page_sizes": {"products": 50}}), 49),
    ] {
        let shop = connect(&server, settings, memo);
        let plan = shop.plan(EntityType::Products, Pass::Full).unwrap();
        assert_eq!(plan.stride, Some(stride));
    }
}

#[test]
fn a_variation_is_asked_for_where_the_shop_shows_it_and_alone_at_its_product() {
    let server = variable(true);
    let products = EntityType::Products;
    let of_7 = Listing::children_of(VARIATIONS, "7");
    for (global, listed) in [
        (json!(null), of_7.clone()),
        (json!(true), Listing::of(VARIATIONS)),
    ] {
        let shop = connect(&server, json!({}), json!({ "global_variations": global }));
        assert_eq!(shop.list_of(products, Some("7")), listed);
        assert_eq!(Source::alone(&shop, products, Some("7")), Some(of_7.clone()));
        for entity in [products, EntityType::Orders] {
            let own = Listing::of(entity.name());
            assert_eq!(shop.list_of(entity, None), own);
            assert_eq!(Source::alone(&shop, entity, None), Some(own));
            let children = (entity == products).then_some(VARIATIONS);
            assert_eq!(shop.children(entity), children);
        }
    }
}

#[test]
fn the_variations_of_a_product_that_is_gone_are_none() {
    let server = variable(false);
    let shop = connect(&server, json!({}), json!(null));
    let batch = shop
        .fetch(
            EntityType::Products,
            &task("variations:99", Content::Full, At::Offset(0)),
        )
        .unwrap();
    assert_eq!((batch.total, batch.end, batch.records.len()), (Some(0), true, 0));
}

#[test]
fn an_incremental_pass_reads_all_of_a_small_shop_and_the_changes_of_a_big_one() {
    let since = "2026-05-01T10:00:00Z".parse().unwrap();
    let server = Shop {
        rows: vec![
            ("customers", rows(30)),
            ("products", rows(30)),
            ("orders", rows(30)),
            ("products/categories", rows(30)),
            ("variations", rows(30)),
            (
                "reports/orders/totals",
                vec![json!({"slug": "packed"}), json!({"slug": "trash"})],
            ),
        ],
        global_variations: true,
        hpos: true,
        ..Shop::default()
    }
    .start();
    let plan = |limit: u64, entity| {
        connect(&server, json!({"compare_limit": limit}), json!(null))
            .plan(entity, Pass::Since(since))
            .unwrap()
    };
    for entity in KIND.entities() {
        let small = plan(100, *entity);
        assert!(
            small.sweeps
                && small
                    .tasks
                    .iter()
                    .all(|t| t.content == Content::Full && t.since.is_none())
        );
        assert_eq!(small.server_time.to_rfc3339(), "2026-11-21T06:00:00+00:00");
    }
    let customers = plan(29, EntityType::Customers);
    assert!(customers.sweeps && customers.tasks[0].content == Content::Ids);
    assert!(plan(0, EntityType::Categories).sweeps);
    let products = plan(59, EntityType::Products);
    assert_eq!(
        (products.sweeps, products.lists),
        (false, vec![Listing::of("products"), Listing::of(VARIATIONS)])
    );
    assert!(products.tasks.iter().all(|t| t.since == Some(since)));
    assert_eq!(products.stride, Some(99));
    let orders = plan(29, EntityType::Orders);
    assert!(!orders.sweeps && orders.requests == 2);

    let shop = connect(&server, json!({}), json!(null));
    shop.fetch(EntityType::Orders, &orders.tasks[0]).unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.param("modified_after"), Some("2026-05-01T09:59:59"));
    assert_eq!(seen.param("dates_are_gmt"), Some("true"));
    assert_eq!(
        seen.param("status"),
        Some("pending,processing,on-hold,completed,cancelled,refunded,failed,checkout-draft,packed")
    );
}

fn refusal(param: &str, why: &str) -> Reply {
    let data = json!({"status": 400, "params": {param: why}});
    Reply::new(
        400,
        json!({"code": "rest_invalid_param", "message": "Invalid", "data": data}).to_string(),
    )
}

#[test]
fn statuses_that_a_shop_refuses_are_left_out() {
    let server = Server::start(|seen, _| {
        let statuses: Vec<_> = seen.param("status").unwrap_or_default().split(',').collect();
        match statuses
            .iter()
            .position(|s| matches!(*s, "checkout-draft" | "typo" | "gone"))
        {
            Some(at) => refusal(
                "status",
                &format!("status[{at}] is not one of any, trash and pending."),
            ),
            None if seen.path.contains("reports") => Reply::new(403, "{}"),
            None => Reply::ok("[]").header("X-WP-Total", 0),
        }
    });
    let orders = task("orders", Content::Full, At::Offset(0));
    let memo = json!({"order_statuses": ["pending", "checkout-draft", "gone"]});
    let shop = connect(&server, json!({}), memo);
    assert_eq!(shop.fetch(EntityType::Orders, &orders).unwrap().requests, 3);
    assert_eq!(shop.fetch(EntityType::Orders, &orders).unwrap().requests, 1);
    assert_eq!(shop.memo()["order_statuses"], json!(["pending"]));

    // its plugin may be off for a while: its orders answer by their ids
    let typo = connect(&server, json!({"order_statuses": ["typo"]}), json!(null));
    let batch = typo.fetch(EntityType::Orders, &orders).unwrap();
    assert!(batch.warnings[0].contains("typo"), "{:?}", batch.warnings);
}

#[test]
fn statuses_known_before_stay_where_they_cannot_be_told() {
    let server = Server::start(|seen, _| match seen.path.contains("reports") {
        true => Reply::new(403, "{}"),
        false => Reply::ok("[]").header("X-WP-Total", 0),
    });
    let shop = connect(
        &server,
        json!({}),
        json!({"order_statuses": ["pending", "packed"]}),
    );
    shop.plan(EntityType::Orders, Pass::Full).unwrap();
    assert!(server
        .seen()
        .pop()
        .unwrap()
        .param("status")
        .unwrap()
        .ends_with(",packed"));
}

#[test]
fn an_unknown_role_is_a_mistake_in_the_settings() {
    let server = Server::script(vec![refusal("role", "role is not one of all and customer.")]);
    let shop = connect(&server, json!({"customer_role": "vip"}), json!(null));
    let error = shop.plan(EntityType::Customers, Pass::Full).unwrap_err();
    assert_eq!(error.code, Code::Invalid);
    assert!(error.message.contains("customer_role"));
}

#[test]
fn many_variable_products_make_a_full_pass_dear_where_each_is_read_by_itself() {
    let sweeps = |global, limit| {
        let shop = connect(&variable(global), json!({"compare_limit": limit}), json!(null));
        let since = "2026-05-01T10:00:00Z".parse().unwrap();
        shop.plan(EntityType::Products, Pass::Since(since))
            .unwrap()
            .sweeps
    };
    assert!(sweeps(true, 7) && !sweeps(true, 6));
    assert!(sweeps(false, 204) && !sweeps(false, 203));
}

#[test]
fn an_answer_of_another_shape_is_nonsense() {
    for body in ["{}", "null", "[1]", "[{}]", r#"[{"id":0}]"#] {
        let server = Server::script(vec![Reply::ok(body)]);
        let shop = connect(&server, json!({}), json!(null));
        for content in [Content::Full, Content::Ids] {
            let error = shop
                .fetch(EntityType::Customers, &task("customers", content, At::Offset(0)))
                .unwrap_err();
            assert_eq!(error.code, Code::Nonsense, "{body}");
        }
    }
}

/// A cache that ignores the query answers another question.
#[test]
fn an_answer_to_another_question_is_nonsense() {
    let listing = |ids: &[u64]| {
        let all = rows(200);
        let some: Vec<&Value> = ids.iter().map(|id| &all[*id as usize - 1]).collect();
        serde_json::to_string(&some).unwrap()
    };
    let many: Vec<u64> = (1..=101).collect();
    let window = At::Offset(0);
    let by_id = At::Ids(vec!["3".into(), "5".into()]);
    for (at, body) in [
        (&window, r#"[{"id":1}]"#.to_owned()),
        (&window, listing(&[3, 2, 1])),
        (&window, listing(&[1, 1])),
        (&window, listing(&many)),
        (&by_id, listing(&[3, 4])),
        (&by_id, listing(&[1])),
        (&by_id, r#"[{"id":3}]"#.to_owned()),
    ] {
        let server = Server::start(move |_, _| Reply::ok(body.clone()).header("X-WP-Total", 3));
        let shop = connect(&server, json!({}), json!(null));
        for content in [Content::Full, Content::Ids] {
            let task = task("customers", content, at.clone());
            let error = shop.fetch(EntityType::Customers, &task).unwrap_err();
            assert_eq!(error.code, Code::Nonsense);
        }
    }
}

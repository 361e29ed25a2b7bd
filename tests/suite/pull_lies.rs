//! Hosts, plugins and caches that answer something else than they were asked: what a pull can't prove it marks nothing by, and
//! what it couldn't read it says.

use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, ListFault, Rule, Version, When};

use crate::shop::{small, Shop};

const LISTS: [&str; 4] = ["customers", "products", "orders", "categories"];

fn sized(version: Version) -> Config {
    Config {
        customers: 230,
        products: 140,
        orders: 260,
        big_variations: 130,
        ..small(version)
    }
}

/// A shop whose records are all linked.
fn linked(version: Version, settings: Value, entity: &str) -> Shop {
    let mut shop = Shop::with(sized(version), settings);
    shop.pull(entity);
    shop.fill(entity);
    shop
}

fn is_nonsense(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code() == "08P01")
}

/// Pulls under a lie: whatever comes of it, nothing is deleted or changed, and success means that all is there.
#[track_caller]
fn stands(shop: &mut Shop, entity: &str, lie: ListFault) {
    let what = format!("{entity}: {lie:?}");
    let before = shop.delta(entity);
    shop.lie(entity, lie);
    match shop.try_pull(entity) {
        Ok(pulled) => {
            assert_eq!(pulled["deleted"], 0, "{what}: {pulled}");
            if pulled["status"] == "success" {
                shop.assert_mirrored(entity);
            }
        }
        Err(error) => assert!(is_nonsense(&error), "{what}: {error:?}"),
    }
    assert_eq!(shop.delta(entity), before, "{what}");
    shop.sandbox.clear_faults(None);
}

fn lies() -> Vec<ListFault> {
    let caps = [2, 7, 10, 37, 50, 99].map(|rows| ListFault::Cap { rows });
    let gaps = [2, 7, 30, 50, 100].map(|every| ListFault::Gaps { every });
    let from = [1, 60, 99, 150, 229].map(|offset| ListFault::EmptyFrom { offset });
    let above = [1, 9, 40, 99].map(|rows| ListFault::EmptyAbove { rows });
    let uneven = [(3, 90), (37, 50)].map(|(least, most)| ListFault::Uneven { least, most });
    let caches = ["*", "offset", "include", "per_page", "_fields"].map(|name| ListFault::Cache {
        ignores: vec![name.to_owned()],
    });
    let rest = [ListFault::Empty, ListFault::Reversed];
    [&caps[..], &gaps, &from, &above, &uneven, &caches, &rest].concat()
}

#[test]
fn nothing_is_deleted_or_emptied_by_what_lists_say_falsely() {
    let by_date = json!({ "compare_limit": 0 });
    for (version, settings, entities) in [
        (Version::V11, json!({}), &LISTS[..]),
        (Version::V11, by_date, &["customers", "orders"]),
        (Version::V8, json!({}), &["products"]),
    ] {
        for entity in entities {
            let mut shop = linked(version, settings.clone(), entity);
            for lie in lies() {
                stands(&mut shop, entity, lie);
            }
            assert_eq!(shop.pull_full(entity)["status"], "success");
            shop.assert_mirrored(entity);
        }
    }
}

#[test]
fn a_first_pull_of_lists_that_are_capped_reads_everything() {
    for rows in [2, 7, 10, 37, 50, 99] {
        for entity in ["customers", "products", "orders"] {
            let mut shop = Shop::with(sized(Version::V11), json!({}));
            shop.lie(entity, ListFault::Cap { rows });
            let pulled = shop.pull(entity);
            assert_eq!(pulled["status"], "success", "{entity} {rows}: {pulled}");
            shop.assert_mirrored(entity);
        }
    }
}

/// Windows after the first are emptied, and the record where the second begins is counted and never shown.
#[test]
fn a_record_that_is_never_shown_hides_none_of_those_behind_it() {
    for rows in [1, 2, 3, 20, 99] {
        let mut shop = Shop::with(sized(Version::V11), json!({}));
        let hidden = shop.listed("products")[99];
        shop.change(json!({ "op": "hide", "entity": "products", "ids": [hidden] }));
        let lie = Fault::List(ListFault::EmptyAbove { rows });
        shop.sandbox
            .fault(Rule::new("/wp-json/wc/v3/products", When::From(3), lie));
        match shop.try_pull("products") {
            Ok(pulled) => {
                let (held, truth) = (shop.ledger("products"), shop.truth("products"));
                let missing: Vec<_> = truth.keys().filter(|id| !held.contains_key(*id)).collect();
                let is_told = pulled["status"] == "partial" && pulled["warnings"] != json!([]);
                assert!(missing.is_empty() || is_told, "{rows}: {missing:?}: {pulled}");
                assert!(pulled["status"] == "success" || is_told, "{rows}: {pulled}");
            }
            Err(error) => assert!(is_nonsense(&error), "{rows}: {error:?}"),
        }
    }
}

#[test]
fn first_pulls_under_lies_have_everything_or_say_so() {
    for (entity, every) in [("orders", 1), ("customers", 4), ("products", 4)] {
        for lie in lies().into_iter().step_by(every) {
            let mut shop = Shop::with(sized(Version::V11), json!({}));
            let what = format!("{entity}: {lie:?}");
            shop.lie(entity, lie);
            match shop.try_pull(entity) {
                Ok(pulled) if pulled["status"] == "success" => shop.assert_mirrored(entity),
                Ok(pulled) => assert_ne!(pulled["warnings"], json!([]), "{what}"),
                Err(error) => assert!(is_nonsense(&error), "{what}: {error:?}"),
            }
        }
    }
}

#[test]
fn deletions_are_found_in_lists_that_are_capped() {
    for rows in [7, 50] {
        let mut shop = linked(Version::V11, json!({}), "orders");
        let ids = shop.listed("orders");
        shop.lie("orders", ListFault::Cap { rows });
        shop.change(
            json!({ "op": "delete", "entity": "orders", "ids": [ids[3], ids[120], ids[ids.len() - 1]] }),
        );
        shop.change(json!({ "op": "trash", "entity": "orders", "ids": [ids[200]] }));
        assert_eq!(shop.pull("orders")["deleted"], 4);
        shop.assert_mirrored("orders");
    }
}

#[test]
fn what_answers_by_its_id_is_not_gone_though_no_list_shows_it() {
    for settings in [json!({}), json!({ "compare_limit": 0 })] {
        for entity in ["products", "orders", "customers"] {
            let mut shop = linked(Version::V11, settings.clone(), entity);
            let mut expected = shop.delta(entity);
            let ids = shop.listed(entity);
            shop.change(json!({ "op": "unlist", "entity": entity, "ids": ids[20..56] }));
            shop.change(json!({ "op": "delete", "entity": entity, "ids": [ids[60]] }));
            let pulled = shop.pull(entity);
            assert_eq!(pulled["deleted"], 1, "{entity} {pulled}");
            let warnings = pulled["warnings"].to_string();
            assert!(
                warnings.contains("36") && warnings.contains("no listing"),
                "{warnings}"
            );
            expected.insert(ids[60].to_string(), "deleted".to_owned());
            assert_eq!(shop.delta(entity), expected, "{entity}");
        }
    }
}

#[test]
fn as_many_are_asked_for_alone_as_the_settings_say_and_the_others_are_kept() {
    let mut shop = linked(Version::V11, json!({ "deletion_checks": 10 }), "customers");
    let ids = shop.listed("customers");
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": ids[..25] }));
    for deleted in [10, 10, 5, 0] {
        let pulled = shop.pull("customers");
        assert_eq!(pulled["deleted"], deleted, "{pulled}");
        let warnings = pulled["warnings"].to_string();
        assert_eq!(warnings.contains("deletion_checks"), deleted == 10, "{warnings}");
    }
    shop.assert_mirrored("customers");
}

#[test]
fn a_status_that_the_shop_does_not_know_any_more_can_be_named() {
    let settings = json!({ "order_statuses": ["packed"] });
    let mut shop = Shop::with(small(Version::V11), settings);
    let pulled = shop.pull("orders");
    assert!(pulled["warnings"].to_string().contains("packed"), "{pulled}");
    shop.assert_mirrored("orders");
}

#[test]
fn variations_go_with_their_product_for_one_question() {
    let mut shop = linked(Version::V11, json!({}), "products");
    let product = shop.parent(shop.listed("variations")[0]);
    let variations = shop.variations(product);
    shop.change(json!({ "op": "trash", "entity": "products", "ids": [product] }));
    shop.change(json!({ "op": "hide", "entity": "variations", "ids": variations }));
    shop.sandbox.reset_stats();
    assert_eq!(shop.pull("products")["deleted"], variations.len() + 1);
    let alone = |path: &str| {
        path.rsplit('/')
            .next()
            .is_some_and(|last| last.parse::<u64>().is_ok())
    };
    let seen = shop.sandbox.requests();
    let asked: Vec<&str> = (seen.iter().map(|request| request.path.as_str()))
        .filter(|path| alone(path))
        .collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
}

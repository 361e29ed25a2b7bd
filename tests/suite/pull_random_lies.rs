//! Any lie of a host, a plugin or a cache, beside records that are gone or in no list: what `GET` by id answers is never
//! deleted, nothing is changed, and `success` means that nothing is missing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{subsequence, Index};
use proptest::test_runner::{Config as Runs, TestRunner};
use serde_json::{json, Value};
use sync_sandbox::{Config, Fault, ListFault, Rule, Version, When};

use crate::shop::{small, Shop};

/// A pull takes a second or so, so they are few, and others in every run. `PROPTEST_CASES` asks for more.
const CASES: u32 = 12;
const SHRINKS: u32 = 24;
/// What a cache may leave out of its key.
const PARAMS: [&str; 7] = [
    "offset",
    "include",
    "per_page",
    "_fields",
    "order",
    "status",
    "modified_after",
];

type Delta = BTreeMap<String, String>;

#[derive(Debug, Clone)]
struct Case {
    is_first: bool,
    by_date: bool,
    fault: Fault,
    when: When,
    /// Counted in lists, shown nowhere.
    hidden: Vec<Index>,
    /// In no list, and there.
    unlisted: Vec<Index>,
    deleted: Vec<Index>,
}

fn list_fault() -> impl Strategy<Value = ListFault> {
    prop_oneof![
        (1..120usize).prop_map(|rows| ListFault::Cap { rows }),
        (2..120usize).prop_map(|every| ListFault::Gaps { every }),
        (0..300usize).prop_map(|offset| ListFault::EmptyFrom { offset }),
        (1..100usize).prop_map(|rows| ListFault::EmptyAbove { rows }),
        (1..60usize, 0..60usize).prop_map(|(least, more)| ListFault::Uneven {
            least,
            most: least + more
        }),
        subsequence(PARAMS.to_vec(), 1..=PARAMS.len()).prop_map(|names| ListFault::Cache {
            ignores: names.into_iter().map(str::to_owned).collect()
        }),
        Just(ListFault::Cache {
            ignores: vec!["*".to_owned()]
        }),
        Just(ListFault::Empty),
        Just(ListFault::Reversed),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        8 => list_fault().prop_map(Fault::List),
        // one that is what the rows shown so far come to can't be told from a true one
        1 => prop_oneof![0..80u64, 300..900u64].prop_map(|total| Fault::WrongTotal { total }),
        1 => Just(Fault::PhpFatal),
        1 => Just(Fault::HtmlPage),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => Just(When::All),
        1 => (1..9u64).prop_map(When::Every),
        1 => (1..12u64).prop_map(When::Nth),
        1 => (2..12u64).prop_map(When::From),
    ]
}

fn some(most: usize) -> impl Strategy<Value = Vec<Index>> {
    prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any::<Index>(), 0..most)]
}

fn case() -> impl Strategy<Value = Case> {
    let flags = (any::<bool>(), any::<bool>());
    (flags, fault(), when(), some(12), some(40), some(8)).prop_map(
        |((is_first, by_date), fault, when, hidden, unlisted, deleted)| Case {
            is_first,
            by_date,
            fault,
            when,
            hidden,
            unlisted,
            deleted,
        },
    )
}

/// Whether the shop shows a record that is asked for by its id.
fn is_there(shop: &Shop, entity: &str, id: u64) -> bool {
    let shown = |list: &str, id: u64| {
        let record = shop.sandbox.record(list, id).unwrap();
        record.is_some_and(|record| record["status"] != "trash")
    };
    match entity {
        "products" => shown("products", id) || shown("variations", id) && shown("products", shop.parent(id)),
        _ => shown(entity, id),
    }
}

/// Makes the shop what the case says; the records that are in no list.
fn arrange(shop: &mut Shop, entity: &str, case: &Case) -> BTreeSet<u64> {
    let all = shop.listed(entity);
    let pick =
        |indexes: &[Index]| -> BTreeSet<u64> { indexes.iter().map(|index| *index.get(&all)).collect() };
    let (hidden, mut unlisted, mut deleted) = (pick(&case.hidden), pick(&case.unlisted), pick(&case.deleted));
    unlisted.retain(|id| !hidden.contains(id));
    deleted.retain(|id| !hidden.contains(id) && !unlisted.contains(id));
    for (op, ids) in [("hide", &hidden), ("unlist", &unlisted), ("delete", &deleted)] {
        if !ids.is_empty() {
            shop.change(json!({ "op": op, "entity": entity, "ids": ids }));
        }
    }
    unlisted
}

fn holds(entity: &str, case: &Case) {
    let config = Config {
        customers: 230,
        products: 130,
        orders: 240,
        big_variations: 110,
        ..small(Version::V11)
    };
    let settings = if case.by_date {
        json!({ "compare_limit": 0 })
    } else {
        json!({})
    };
    let mut shop = Shop::with(config, settings);
    if !case.is_first {
        shop.pull(entity);
        shop.fill(entity);
    }
    let before = if case.is_first {
        Default::default()
    } else {
        shop.delta(entity)
    };
    let unlisted = arrange(&mut shop, entity, case);
    let path = format!("/wp-json/wc/v3/{entity}");
    shop.sandbox
        .fault(Rule::new(&path, case.when, case.fault.clone()));

    let pulled = match shop.try_pull(entity) {
        Ok(pulled) => pulled,
        Err(error) => {
            let code = error.code().map(|code| code.code().to_owned());
            assert_eq!(code.as_deref(), Some("08P01"), "{error:?}");
            json!({ "status": "failed" })
        }
    };
    if !case.is_first {
        let after = shop.delta(entity);
        nothing_has_changed(&shop, entity, &before, &after, &pulled);
    }
    if pulled["status"] == "success" {
        nothing_is_missing(&mut shop, entity, &unlisted, &pulled);
    }

    shop.sandbox.clear_faults(None);
    let ids: Vec<u64> = unlisted.into_iter().collect();
    if !ids.is_empty() {
        shop.change(json!({ "op": "relist", "entity": entity, "ids": ids }));
    }
    // what broke off goes on from where it was, and isn't to know what was listed again since
    if shop.pull_full(entity)["resumed"] == true {
        shop.pull_full(entity);
    }
    nothing_is_missing(&mut shop, entity, &BTreeSet::new(), &pulled);
}

/// What is there is as it was in the delta. Of records with one key, those that are left may be matched when the others have gone.
#[track_caller]
fn nothing_has_changed(shop: &Shop, entity: &str, before: &Delta, after: &Delta, pulled: &Value) {
    let was_ambiguous = |id: &String| before.get(id).is_some_and(|class| class == "ambiguous");
    for (id, class) in before.iter().chain(after) {
        if !is_there(shop, entity, id.parse().unwrap()) {
            continue;
        }
        assert_ne!(
            after.get(id).map(String::as_str),
            Some("deleted"),
            "{id} answers, and is deleted: {pulled}"
        );
        if !was_ambiguous(id) {
            assert_eq!(
                (before.get(id), after.get(id)),
                (Some(class), Some(class)),
                "{id}: {pulled}"
            );
        }
    }
}

/// All that the shop shows is in the ledger as it is, but for new records that are in no list.
#[track_caller]
fn nothing_is_missing(shop: &mut Shop, entity: &str, unlisted: &BTreeSet<u64>, pulled: &Value) {
    let held = shop.ledger(entity);
    for (id, facts) in shop.truth(entity) {
        // of a part, the first fact is what it belongs to
        let of = [&id, &facts[0]].map(|id| id.parse::<u64>().unwrap_or_default());
        let may_be_new = of.iter().any(|id| unlisted.contains(id));
        match held.get(&id) {
            Some(found) => assert_eq!(found, &facts, "{id}: {pulled}"),
            None => assert!(may_be_new, "{id} is missing: {pulled}"),
        }
    }
    shop.assert_verified(entity);
}

fn holds_for_any(entity: &str) {
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let runs = Runs {
        cases,
        max_shrink_iters: SHRINKS,
        failure_persistence: None,
        ..Runs::default()
    };
    let outcome = TestRunner::new(runs).run(&case(), |case| {
        holds(entity, &case);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{entity}: {error}"));
}

#[test]
fn no_lie_about_orders_deletes_or_hides_what_is_there() {
    holds_for_any("orders");
}

#[test]
fn no_lie_about_customers_deletes_or_hides_what_is_there() {
    holds_for_any("customers");
}

#[test]
fn no_lie_about_products_deletes_or_hides_what_is_there() {
    holds_for_any("products");
}

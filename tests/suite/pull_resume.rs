//! Pulls that break off, and pulls that meet.

use std::time::Duration;

use serde_json::{json, Value};
use sync_ext_tests::{sqlstate, wait_until};
use sync_sandbox::{Config, Fault, Rule, Version, When};

use crate::shop::{small, Shop};

fn large(version: Version) -> Config {
    Config {
        customers: 1100,
        products: 350,
        orders: 730,
        ..small(version)
    }
}

/// What goes wrong for good at a place of a listing.
fn broken(path: &str, query: &str) -> Rule {
    Rule {
        query: Some(query.into()),
        ..Rule::new(path, When::All, Fault::Maintenance { html: false })
    }
}

#[track_caller]
fn goes_on(version: Version, entity: &str, query: &str) {
    let mut shop = Shop::with(large(version), json!({}));
    let path = format!("/wp-json/wc/v3/{entity}");
    shop.sandbox.fault(broken(&path, query));
    assert_eq!(sqlstate(shop.try_pull(entity)), "08P01");
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "degraded");
    let types = health["entityTypes"].as_array().unwrap();
    let broken = types.iter().find(|state| state["entityType"] == entity).unwrap();
    assert_eq!(broken["resumable"], true, "{health}");
    let first = shop.ledger(entity).len();
    assert!(first > 0, "no record was kept");

    shop.sandbox.clear_faults(None);
    shop.sandbox.reset_stats();
    let pulled = shop.pull(entity);
    let requests = shop.sandbox.stats().requests;
    assert_eq!(pulled["resumed"], true, "{pulled}");
    assert_eq!(pulled["inserted"], shop.truth(entity).len() - first, "{pulled}");
    shop.assert_mirrored(entity);

    shop.sandbox.reset_stats();
    assert_eq!(shop.pull_full(entity)["resumed"], false);
    let all = shop.sandbox.stats().requests;
    assert!(
        requests < all,
        "{requests} requests to finish, {all} for everything"
    );
    assert_eq!(shop.pull(entity)["resumed"], false);
}

#[test]
fn a_pull_of_customers_goes_on_where_it_broke_off() {
    goes_on(Version::V11, "customers", "offset=693");
}

#[test]
fn a_pull_of_orders_goes_on_where_it_broke_off() {
    goes_on(Version::V8, "orders", "offset=396");
}

#[test]
fn a_pull_of_products_goes_on_where_it_broke_off() {
    goes_on(Version::V11, "products", "offset=198");
    goes_on(Version::V8, "products", "offset=198");
}

/// Checkpoints outlive an upgrade: what they hold is read as long as it is younger than a day.
#[test]
fn a_checkpoint_of_the_version_before_is_taken_up() {
    let mut shop = Shop::with(large(Version::V8), json!({}));
    shop.pull("products");
    shop.change(json!({ "op": "edit", "entity": "products", "id": shop.listed("products")[7], "set": { "name": "Meanwhile" } }));
    shop.sandbox
        .fault(broken("/wp-json/wc/v3/products", "offset=198"));
    assert_eq!(sqlstate(shop.try_pull("products")), "08P01");
    shop.sandbox.clear_faults(None);
    let parent = shop.parent(shop.listed("variations")[0]);
    let before = format!(
        r#"UPDATE sync_metadata SET checkpoint = checkpoint - 'stride' || jsonb_build_object(
               'lists', '["products"]'::jsonb, 'sweeps', '["products"]'::jsonb, 'moved', '["products", "variations:{parent}"]'::jsonb,
               'totals', '{{"products": 350, "products@1777629600": 3}}'::jsonb,
               'windows', '{{"products": ["full", null], "products@1777629600": ["full", "2026-05-01T10:00:00Z"]}}'::jsonb,
               'pending', '{{"variations:{parent}": []}}'::jsonb, 'ends', '{{"products": [0, "7", 1]}}'::jsonb,
               'unreadable', '{{"9": {{"list": "variations:{parent}", "reason": "r"}}}}'::jsonb,
               'stack', jsonb_build_object('under_way', checkpoint #> '{{stack,under_way}}', 'open', checkpoint #> '{{stack,open}}' || '[
                   {{"one": {{"list": "variations:{parent}", "content": "full", "at": {{"offset": 0}}}}}}]'::jsonb))"#
    );
    assert_eq!(shop.root.execute(&before, &[]).unwrap(), 1);
    let pulled = shop.pull("products");
    assert_eq!(pulled["resumed"], true, "{pulled}");
    shop.assert_mirrored("products");
}

#[test]
fn what_changed_while_a_pull_lay_broken_is_read_with_the_rest() {
    for (entity, field) in [("customers", "first_name"), ("orders", "customer_note")] {
        let mut shop = Shop::with(large(Version::V11), json!({ "compare_limit": 0 }));
        let path = format!("/wp-json/wc/v3/{entity}");
        shop.sandbox.fault(broken(&path, "offset=594"));
        assert_eq!(sqlstate(shop.try_pull(entity)), "08P01");
        shop.sandbox.clear_faults(None);
        let ids = shop.listed(entity);
        let (edited, gone) = (ids[5], ids[6]);
        shop.change(json!({ "op": "edit", "entity": entity, "id": edited, "set": { field: "Meanwhile" } }));
        shop.change(json!({ "op": "delete", "entity": entity, "ids": [gone] }));
        shop.root
            .batch_execute(
                "UPDATE sync_metadata SET checkpoint = jsonb_set(checkpoint, '{server_time}',
                     to_jsonb((checkpoint ->> 'server_time')::timestamptz - interval '1 hour'))",
            )
            .unwrap();
        let pulled = shop.pull(entity);
        assert_eq!(pulled["resumed"], true, "{pulled}");
        assert_eq!(pulled["records"], ids.len() - 1, "{pulled}");
        shop.assert_mirrored(entity);
    }
}

#[test]
fn a_pull_that_breaks_off_marks_nothing_as_deleted() {
    let mut shop = Shop::with(large(Version::V11), json!({}));
    shop.pull("customers");
    shop.fill("customers");
    let gone = shop.listed("customers")[..7].to_vec();
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": gone }));
    shop.sandbox
        .fault(broken("/wp-json/wc/v3/customers", "offset=990"));
    assert_eq!(sqlstate(shop.try_pull("customers")), "08P01");
    assert!(shop.delta("customers").is_empty());

    shop.sandbox.clear_faults(None);
    let pulled = shop.pull("customers");
    assert_eq!(
        (&pulled["resumed"], &pulled["deleted"]),
        (&json!(true), &json!(7)),
        "{pulled}"
    );
    assert_eq!(shop.delta("customers").len(), 7);
    shop.assert_mirrored("customers");
}

#[test]
fn a_full_pull_is_not_answered_by_the_rest_of_an_incremental_one() {
    let mut shop = Shop::with(large(Version::V11), json!({ "compare_limit": 0 }));
    shop.pull("orders");
    let fault = broken("/wp-json/wc/v3/orders", "modified_after");
    shop.sandbox.fault(fault);
    assert_eq!(sqlstate(shop.try_pull("orders")), "08P01");
    shop.sandbox.clear_faults(None);
    let pulled = shop.pull_full("orders");
    assert_eq!(
        (&pulled["pass"], &pulled["resumed"]),
        (&json!("full"), &json!(false))
    );
    shop.assert_mirrored("orders");
}

#[test]
fn after_a_reset_nothing_is_resumed() {
    let mut shop = Shop::with(large(Version::V11), json!({}));
    shop.sandbox
        .fault(broken("/wp-json/wc/v3/customers", "offset=297"));
    assert_eq!(sqlstate(shop.try_pull("customers")), "08P01");
    shop.sandbox.clear_faults(None);
    shop.ask("SELECT sync_reset($1, $2)", "customers");
    assert_eq!(shop.pull("customers")["resumed"], false);
    shop.assert_mirrored("customers");
}

/// The statements of a second user that wait for the first one's pull.
fn waiting(shop: &mut Shop) -> i64 {
    shop.root
        .query_one(
            "SELECT count(*) FROM pg_locks
             WHERE locktype = 'advisory' AND NOT granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            &[],
        )
        .unwrap()
        .get(0)
}

#[test]
fn who_asks_for_a_pull_that_is_under_way_gets_its_result() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("categories");
    shop.pull("customers");
    shop.sandbox.reset_stats();
    shop.pull("customers");
    let alone = shop.sandbox.stats().requests;

    let path = "/wp-json/wc/v3/customers";
    shop.sandbox.reset_stats();
    shop.sandbox.fault(Rule::new(path, When::Next(1), Fault::Hang));
    let role = shop.db.role("operate", shop.org);
    let callers: Vec<_> = (0..3).map(|_| shop.db.connect_as(&role, shop.org)).collect();
    let results: Vec<Value> = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (n, mut caller) in callers.into_iter().enumerate() {
            threads.push(scope.spawn(move || {
                let call = "SELECT sync_pull('woocommerce', 'customers')";
                caller.query_one(call, &[]).unwrap().get::<_, Value>(0)
            }));
            match n {
                0 => wait_until(Duration::from_secs(20), || shop.sandbox.stats().running == 1),
                _ => wait_until(Duration::from_secs(20), || waiting(&mut shop) == n as i64),
            }
        }
        shop.sandbox.release();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(shop.sandbox.stats().requests, alone);
    let shared = results.iter().filter(|result| result["shared"] == true).count();
    assert_eq!(shared, 2, "{results:?}");
    assert!(results
        .iter()
        .all(|result| result["syncId"] == results[0]["syncId"]));
    shop.assert_mirrored("customers");
}

#[test]
fn a_full_pull_behind_another_one_reads_everything_all_the_same() {
    let mut shop = Shop::with(small(Version::V11), json!({ "compare_limit": 0 }));
    shop.pull("customers");
    let path = "/wp-json/wc/v3/customers";
    shop.sandbox.fault(Rule::new(path, When::Next(1), Fault::Hang));
    let role = shop.db.role("operate", shop.org);
    let mut first = shop.db.connect_as(&role, shop.org);
    let incremental = std::thread::spawn(move || {
        first
            .batch_execute("SELECT sync_pull('woocommerce', 'customers')")
            .unwrap();
    });
    wait_until(Duration::from_secs(20), || shop.sandbox.stats().running == 1);
    let mut second = shop.db.connect_as(&role, shop.org);
    let full = std::thread::spawn(move || {
        let call = "SELECT sync_pull('woocommerce', 'customers', mode => 'full')";
        second.query_one(call, &[]).unwrap().get::<_, Value>(0)
    });
    wait_until(Duration::from_secs(20), || waiting(&mut shop) == 1);
    shop.sandbox.release();
    incremental.join().unwrap();
    let done = full.join().unwrap();
    assert_eq!(
        (&done["pass"], &done["shared"]),
        (&Value::from("full"), &Value::Null),
        "{done}"
    );
}

/// What the transaction has locked it keeps while it waits for the worker: no lock timeout would ever end that.
#[test]
fn a_call_behind_its_own_transaction_is_refused_at_once() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    shop.sql
        .batch_execute("BEGIN; SELECT sync_map('woocommerce', 'customers', 'phone', compared => false)")
        .unwrap();
    let error = shop.try_pull("customers").unwrap_err();
    let told = error.as_db_error().unwrap();
    assert_eq!(told.code().code(), "55P03");
    assert!(told.hint().unwrap().starts_with("Commit it first"), "{told:?}");
    shop.sql.batch_execute("ROLLBACK").unwrap();
    shop.pull("customers");
}

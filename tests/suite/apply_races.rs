//! An apply, a pull and the app at the same rows: whoever comes second sees what the first has done.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::wait_until;
use sync_sandbox::Version;

use crate::apply::{apply, counted};
use crate::shop::Shop;

const SOON: Duration = Duration::from_secs(30);

/// Another session of the app.
fn session(shop: &mut Shop) -> Client {
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.db.connect_as(&role, shop.org)
}

fn background(shop: &mut Shop, call: &'static str) -> JoinHandle<Value> {
    let mut other = session(shop);
    thread::spawn(move || other.query_one(call, &[]).unwrap().get(0))
}

/// Whether somebody waits for a row or a table: a worker, or a session of the app.
fn waits(root: &mut Client, who: &str) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock' AND backend_type = $1";
    root.query_one(sql, &[&who]).unwrap().get::<_, i64>(0) > 0
}

const WORKER: &str = "sync_ext worker";
const APPLY: &str = "SELECT sync_apply('woocommerce', 'customers')";

fn email(shop: &mut Shop, id: u64) -> String {
    let sql = "SELECT remote ->> 'email' FROM sync_record WHERE external_id = $1 AND entity = 1";
    shop.root.query_one(sql, &[&id.to_string()]).unwrap().get(0)
}

fn rows_with(shop: &mut Shop, email: &str) -> i64 {
    shop.number(&format!(
        "SELECT count(*) FROM sync_customers WHERE email = '{email}'"
    ))
}

#[test]
fn a_row_that_the_app_inserts_meanwhile_is_not_inserted_again() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    let ids = shop.listed("customers");
    let taken = email(&mut shop, ids[3]);
    let mut app = session(&mut shop);
    app.batch_execute("BEGIN").unwrap();
    app.execute("INSERT INTO sync_customers (email) VALUES ($1)", &[&taken])
        .unwrap();
    let call = background(&mut shop, APPLY);
    wait_until(SOON, || waits(&mut shop.root, WORKER));
    app.batch_execute("COMMIT").unwrap();
    let done = call.join().unwrap();
    assert_eq!(counted(&done)[0], ids.len() as i64 - 1, "{done}");
    assert_eq!(rows_with(&mut shop, &taken), 1);
    assert_eq!(
        shop.delta("customers")
            .get(&ids[3].to_string())
            .map(String::as_str),
        Some("updated")
    );
    shop.assert_verified("customers");
}

#[test]
fn rows_that_a_pull_could_not_see_are_matched_before_anything_is_inserted() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    let ids = shop.listed("customers");
    let taken = email(&mut shop, ids[3]);
    shop.sql
        .execute("SELECT sync_reset('woocommerce', 'customers')", &[])
        .unwrap();
    shop.root.execute("DELETE FROM sync_record", &[]).unwrap();
    let mut app = session(&mut shop);
    app.batch_execute("BEGIN").unwrap();
    app.execute("INSERT INTO sync_customers (email) VALUES ($1)", &[&taken])
        .unwrap();
    shop.pull_full("customers");
    app.batch_execute("COMMIT").unwrap();
    assert_eq!(
        shop.delta("customers")
            .get(&ids[3].to_string())
            .map(String::as_str),
        Some("new")
    );
    let done = apply(&mut shop, "customers");
    assert_eq!(counted(&done)[0], ids.len() as i64 - 1, "{done}");
    assert_eq!(rows_with(&mut shop, &taken), 1);
    shop.assert_verified("customers");
}

#[test]
fn two_rows_with_one_match_key_at_once_are_both_known() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    let id = shop.listed("customers")[3];
    let taken = email(&mut shop, id);
    let [mut first, mut second] = [session(&mut shop), session(&mut shop)];
    let insert = "INSERT INTO sync_customers (email) VALUES ($1)";
    first.batch_execute("BEGIN").unwrap();
    first.execute(insert, &[&taken]).unwrap();
    let other = thread::spawn({
        let taken = taken.clone();
        move || second.execute(insert, &[&taken]).unwrap()
    });
    wait_until(SOON, || waits(&mut shop.root, "client backend"));
    first.batch_execute("COMMIT").unwrap();
    other.join().unwrap();
    shop.assert_verified("customers");
    let known = "SELECT count(*), count(external_id) FROM sync_record WHERE local_match_key = $1";
    let row = shop.root.query_one(known, &[&taken]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (2, 1));
}

/// The worker has the ledger's row and wants the app's, the app has its own and wants the ledger's.
#[test]
fn where_both_wait_for_each_other_the_worker_gives_way() {
    let mut shop = Shop::new(Version::V11);
    let database = shop.db.name().to_owned();
    let quick = format!("ALTER DATABASE {database} SET deadlock_timeout = '100ms'");
    shop.root.batch_execute(&quick).unwrap();
    shop.pull("customers");
    apply(&mut shop, "customers");
    let id = shop.listed("customers")[3];
    shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {"first_name": "Theirs"}}));
    shop.pull("customers");
    let mut app = session(&mut shop);
    let of = format!(
        "WHERE id::text = (SELECT local_id FROM sync_record WHERE external_id = '{id}' AND entity = 1)"
    );
    app.batch_execute(&format!("BEGIN; SELECT FROM sync_customers {of} FOR UPDATE"))
        .unwrap();
    let call = background(&mut shop, APPLY);
    wait_until(SOON, || waits(&mut shop.root, WORKER));
    // longer than the worker would look for a deadlock of its own
    let begun = Instant::now();
    wait_until(SOON, || {
        waits(&mut shop.root, WORKER) && begun.elapsed() > Duration::from_millis(300)
    });
    app.batch_execute(&format!(
        "UPDATE sync_customers SET last_name = 'Ours' {of}; COMMIT"
    ))
    .unwrap();
    let done = call.join().unwrap();
    assert_eq!(
        (counted(&done), &done["status"]),
        ([0, 1, 0, 0], &json!("completed")),
        "{done}"
    );
    shop.assert_verified("customers");
}

#[test]
fn a_pull_waits_for_a_busy_row_and_goes_on() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    apply(&mut shop, "customers");
    let id = shop.listed("customers")[3];
    shop.change(json!({"op": "edit", "entity": "customers", "id": id, "set": {"first_name": "Theirs"}}));
    let mut app = session(&mut shop);
    app.batch_execute("BEGIN; UPDATE sync_customers SET last_name = 'Ours'")
        .unwrap();
    let call = background(&mut shop, "SELECT sync_pull('woocommerce', 'customers')");
    let begun = Instant::now();
    // longer than any transaction of the worker waits for a lock
    wait_until(SOON, || {
        waits(&mut shop.root, WORKER) && begun.elapsed() > Duration::from_millis(5500)
    });
    app.batch_execute("COMMIT").unwrap();
    let done = call.join().unwrap();
    assert_eq!(done["updated"], 1, "{done}");
    shop.assert_mirrored("customers");
}

/// What an apply may delete was counted before it began.
#[test]
fn rows_that_come_while_a_mirror_deletes_stay() {
    let mut shop = Shop::with(crate::shop::small(Version::V11), json!({"deleted_scope": "all"}));
    shop.pull("customers");
    apply(&mut shop, "customers");
    shop.sql
        .batch_execute("INSERT INTO sync_customers (email) VALUES ('before@example.com')")
        .unwrap();
    shop.root.batch_execute("LOAD 'sync_ext'").unwrap();
    let org = shop.org;
    let step = |shop: &mut Shop, sql: &str| -> Value { shop.root.query_one(sql, &[&org]).unwrap().get(0) };
    let begun = step(
        &mut shop,
        "SELECT sync_apply_begin($1, 'woocommerce', 'customers', '{\"deleted\": true}', 'run', NULL)",
    );
    assert_eq!(begun["deleted"], 1);
    shop.sql
        .batch_execute("INSERT INTO sync_customers (email) VALUES ('after@example.com')")
        .unwrap();
    let batch = format!(
        "SELECT sync_apply_batch($1, number, 1::smallint, '{}', {}, '{}') FROM integration_connector",
        begun["set"].as_str().unwrap(),
        begun["parts"][0],
        begun["historyId"].as_str().unwrap()
    );
    assert_eq!(step(&mut shop, &batch)["done"], 1);
    assert_eq!(
        [
            rows_with(&mut shop, "before@example.com"),
            rows_with(&mut shop, "after@example.com")
        ],
        [0, 1]
    );
}

#[test]
fn a_bound_apply_counts_the_deletions_of_its_preview_alone() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    apply(&mut shop, "customers");
    let ids = shop.listed("customers");
    shop.change(json!({"op": "delete", "entity": "customers", "ids": [ids[0]]}));
    let preview = shop.fresh_preview("customers");
    assert_eq!(preview["delta"]["deleted"]["count"], 1);
    shop.change(json!({"op": "delete", "entity": "customers", "ids": ids[1..ids.len() / 2]}));
    shop.pull("customers");
    let call = format!(
        "SELECT sync_apply('woocommerce', 'customers', include_deleted => true, preview_id => '{}')",
        preview["previewId"].as_str().unwrap()
    );
    let done: Value = shop.sql.query_one(&call, &[]).unwrap().get(0);
    assert_eq!(counted(&done), [0, 0, 1, 0], "{done}");
}

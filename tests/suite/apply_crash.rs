//! What is left of an apply that was interrupted.

use serde_json::Value;
use sync_ext_tests::{wait_until, Server, TestDb};

use crate::worker_shop::*;

const APPLY: &str = "SELECT sync_apply('woocommerce', 'customers')";
const RECORDS: i64 = 12_000;

fn local(db: &TestDb) -> i64 {
    db.psql("SELECT count(*) FROM sync_customers").parse().unwrap()
}

/// The next apply brings the rest, each record once.
fn completes(shop: &ConnectedShop) {
    let before = local(shop.db);
    assert!(before < RECORDS, "it was over before it could be interrupted");
    let history = "SELECT status, items_created FROM sync_history ORDER BY created_at DESC LIMIT 1";
    let row = shop.client().query_one(history, &[]).unwrap();
    let (status, created): (String, i32) = (row.get(0), row.get(1));
    assert_eq!((status.as_str(), i64::from(created)), ("partial_success", before));
    let done: Value = shop.client().query_one(APPLY, &[]).unwrap().get(0);
    assert_eq!(done["created"], RECORDS - before, "{done}");
    assert_eq!(local(shop.db), RECORDS);
    let distinct = shop.db.psql("SELECT count(DISTINCT email) FROM sync_customers");
    assert_eq!(distinct, RECORDS.to_string());
    assert_eq!(
        shop.db
            .psql("SELECT count(*) FROM sync_record WHERE change IS NOT NULL"),
        "0"
    );
    shop.assert_nothing_lost();
}

#[test]
fn a_crash_of_the_server_leaves_whole_batches_and_a_history_that_says_so() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::with_customers(&db, RECORDS as u32);
    shop.pull();
    db.psql("CHECKPOINT");
    let call = Call::start(shop.client(), APPLY);
    wait_until(PATIENCE, || call.is_over() || local(&db) > 0);
    server.restart(true);
    let _ = call.finish();
    completes(&shop);
}

#[test]
fn an_apply_whose_worker_was_terminated_goes_on_with_the_next() {
    let db = TestDb::new();
    let shop = ConnectedShop::with_customers(&db, RECORDS as u32);
    shop.pull();
    let call = Call::start(shop.client(), APPLY);
    wait_until(PATIENCE, || call.is_over() || local(&db) > 0);
    db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'sync_ext worker'");
    assert!(call.finish().is_err());
    wait_for_workers(&db, 0);
    completes(&shop);
}

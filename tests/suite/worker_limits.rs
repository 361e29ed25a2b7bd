//! What a call needs before it starts, and what stands in its way.

use postgres::NoTls;
use serde_json::json;
use sync_ext_tests::{wait_until, Server, TestDb};

use crate::worker_shop::*;

#[test]
fn a_transaction_that_keeps_its_snapshot_is_refused_before_anything_is_asked() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        for statement in [
            CUSTOMERS,
            "SELECT sync_preview('woocommerce', 'customers')",
            "SELECT sync_test_connection('woocommerce')",
        ] {
            client
                .batch_execute(&format!("BEGIN ISOLATION LEVEL {level}"))
                .unwrap();
            let told = refused(client.batch_execute(statement), "25001");
            assert!(told.contains("READ COMMITTED"), "{told}");
            client.batch_execute("ROLLBACK").unwrap();
        }
    }
    assert_eq!(shop.sandbox.stats().requests, 0);
    assert_eq!(db.psql("SELECT count(*) FROM sync_run"), "0");
}

#[test]
fn a_connector_of_the_same_uncommitted_transaction_is_not_there_yet_and_the_hint_says_so() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    client
        .batch_execute("SELECT sync_disconnect('woocommerce')")
        .unwrap();
    client
        .batch_execute(&format!("BEGIN; {}", shop.connect_sql()))
        .unwrap();
    let told = refused(client.batch_execute(CUSTOMERS), "42704");
    assert!(told.contains("must be committed first"), "{told}");
    client.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn an_extension_of_the_same_uncommitted_transaction_is_not_there_yet() {
    let db = TestDb::new();
    let mut client = db.client();
    client.batch_execute("DROP EXTENSION sync_ext").unwrap();
    client.batch_execute("BEGIN; CREATE EXTENSION sync_ext").unwrap();
    client
        .batch_execute(&format!("SET app.current_org_id = '{}'", db.org()))
        .unwrap();
    let told = refused(client.batch_execute(CUSTOMERS), "42704");
    assert!(told.contains("commit first"), "{told}");
}

#[test]
fn a_caller_whose_own_changes_are_in_the_way_is_told_instead_of_waiting_for_ever() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    shop.pull();
    let mut client = shop.client();
    // a local row that is linked to a record of the shop, which then changes there
    let id: String = client
        .query_one(
            "WITH first AS (SELECT external_id, match_key FROM sync_record WHERE match_key IS NOT NULL ORDER BY id LIMIT 1),
                  linked AS (INSERT INTO sync_customers (email) SELECT match_key FROM first)
             SELECT external_id FROM first",
            &[],
        )
        .unwrap()
        .get(0);
    shop.sandbox
        .mutate_json(&json!({"op": "edit", "entity": "customers", "id": id.parse::<u64>().unwrap(), "set": {"first_name": "Another"}}))
        .unwrap();
    client
        .batch_execute("BEGIN; UPDATE sync_customers SET first_name = 'Somebody else'")
        .unwrap();
    let told = refused(
        client.batch_execute("SELECT sync_pull('woocommerce', 'customers', 'full')"),
        "55P03",
    );
    assert!(told.contains("commit it first"), "{told}");
    client.batch_execute("ROLLBACK").unwrap();
    wait_for_workers(&db, 0);
    client.batch_execute(CUSTOMERS).unwrap();
}

#[test]
fn a_caller_that_has_written_to_the_activity_log_can_pull_in_the_same_transaction() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    client
        .batch_execute(
            "BEGIN; INSERT INTO sync_activity_log (activity_type, status) VALUES ('nightly', 'started')",
        )
        .unwrap();
    client.batch_execute(CUSTOMERS).unwrap();
    client.batch_execute("COMMIT").unwrap();
}

#[test]
fn without_a_free_worker_process_the_call_says_so() {
    let server = Server::separate_with("max_worker_processes = 2\n");
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    // one slot is the server's own (logical replication)
    let call = shop.hanging_pull();
    let told = refused(
        shop.client()
            .batch_execute("SELECT sync_pull('woocommerce', 'orders')"),
        "53400",
    );
    assert!(told.contains("max_worker_processes"), "{told}");
    shop.recover();
    call.finish().unwrap();
    shop.pull_of("orders", "incremental");
}

#[test]
fn the_workers_of_a_database_are_limited() {
    let db = TestDb::new();
    db.set("sync_ext.max_workers", "1");
    let (shop, other) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let call = shop.hanging_pull();
    let told = refused(other.client().batch_execute(CUSTOMERS), "53400");
    assert!(told.contains("Try again"), "{told}");
    shop.recover();
    call.finish().unwrap();
    other.pull();
}

#[test]
fn the_runs_of_an_organisation_are_limited_and_leave_room_for_others() {
    let db = TestDb::new();
    db.set("sync_ext.max_runs_per_org", "1");
    let (shop, other) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let call = shop.hanging_pull();
    let orders = "SELECT sync_pull('woocommerce', 'orders')";
    let told = refused(shop.client().batch_execute(orders), "53400");
    assert!(told.contains("Try again"), "{told}");
    other.pull();
    shop.recover();
    call.finish().unwrap();
    shop.client().batch_execute(orders).unwrap();
}

#[test]
fn a_cancelled_run_gives_its_place_back() {
    let db = TestDb::new();
    db.set("sync_ext.max_workers", "1");
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    call.token.cancel_query(NoTls).unwrap();
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    shop.recover();
    shop.pull();
}

#[test]
fn two_databases_pull_side_by_side() {
    let (one, two) = (TestDb::new(), TestDb::new());
    let (first, second) = (ConnectedShop::new(&one), ConnectedShop::with_customers(&two, 120));
    let (mine, yours) = (first.hanging_pull(), second.hanging_pull());
    assert_eq!((workers(&one), workers(&two)), (1, 1));
    second.recover();
    assert!(yours.finish().unwrap().contains("\"records\": 120"));
    assert!(!mine.is_over());
    first.recover();
    assert!(mine.finish().unwrap().contains("\"records\": 250"));
    wait_until(PATIENCE, || workers(&one) + workers(&two) == 0);
}

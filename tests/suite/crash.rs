//! Crashes of the server, and what is dropped while somebody works with it.

use postgres::NoTls;
use sync_ext_tests::{server, wait_until, Server, TestDb};

use crate::worker_shop::*;

#[test]
fn a_pull_goes_on_from_its_checkpoint_after_a_crash_of_the_server() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::with_customers(&db, 2000);
    let call = shop.pull_stopped_short(1800);
    // pages are written without waiting for the disk: this makes sure that they are there
    db.psql("CHECKPOINT");
    server.restart(true);
    assert!(call.finish().is_err());

    shop.recover();
    shop.sandbox.reset_stats();
    let resumed = shop.pull();
    assert_eq!(resumed["resumed"], true, "{resumed}");
    assert_eq!(resumed["records"], 2000, "{resumed}");
    let requests = shop.sandbox.stats().requests;
    assert!(
        requests <= 8,
        "what was read before is not read again: {requests} requests"
    );
    let left = db.psql("SELECT string_agg(DISTINCT status, ' ' ORDER BY status) FROM sync_run");
    assert_eq!(left, "done interrupted");
    shop.assert_nothing_lost();
}

#[test]
fn a_crash_at_any_moment_of_a_pull_loses_nothing() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::with_customers(&db, 1500);
    for requests in [1, 3, 6, 9, 12] {
        shop.sandbox.reset_stats();
        let call = Call::start(shop.client(), CUSTOMERS);
        wait_until(PATIENCE, || {
            call.is_over() || shop.sandbox.stats().requests >= requests
        });
        server.restart(true);
        let _ = call.finish();
    }
    assert_eq!(shop.pull()["records"], 1500);
    shop.assert_nothing_lost();
}

#[test]
fn the_extension_can_be_dropped_during_a_pull() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let (mark, postmaster) = (db.server().log_mark(), db.server().pid());
    let call = shop.hanging_pull();
    let dropped = Call::start(db.client(), "DROP EXTENSION sync_ext CASCADE");
    dropped.finish().unwrap();
    shop.recover();
    call.finish().expect_err("there is nothing to write to any more");
    wait_for_workers(&db, 0);
    assert_no_crash(&db, mark);
    assert_eq!(db.server().pid(), postmaster);
}

#[test]
fn dropping_the_extension_during_a_preview_ends_one_way_or_the_other() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mark = db.server().log_mark();
    shop.hang();
    let call = Call::start(
        shop.client(),
        "SELECT sync_preview('woocommerce', 'customers', true)",
    );
    shop.wait_for_request();
    // the preview's transaction holds locks until its end; the drop queues behind them, and the worker behind it
    let dropped = Call::start(db.client(), "DROP EXTENSION sync_ext CASCADE");
    wait_until(PATIENCE, || {
        dropped.is_over()
            || db.psql("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
                != "0"
    });
    shop.recover();
    let _ = call.finish();
    dropped.finish().unwrap();
    wait_for_workers(&db, 0);
    assert_no_crash(&db, mark);
}

#[test]
fn the_database_can_be_dropped_by_force_during_a_pull() {
    let mark = server().log_mark();
    let postmaster = server().pid();
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    let drop_database = format!("DROP DATABASE {} WITH (FORCE)", db.name());
    let dropped = Call::start(server().client("postgres"), &drop_database);
    dropped.finish().unwrap();
    assert!(call.finish().is_err());
    let other = TestDb::new();
    assert_no_crash(&other, mark);
    assert_eq!(server().pid(), postmaster);
}

#[test]
fn a_database_with_a_pull_cannot_be_dropped_without_force() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    let dropped = server()
        .client("postgres")
        .batch_execute(&format!("DROP DATABASE {}", db.name()));
    refused(dropped, "55006");
    call.token.cancel_query(NoTls).unwrap();
    refused(call.finish(), "57014");
}

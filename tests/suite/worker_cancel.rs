//! However a call ends early, its worker ends too, and the next call works.

use sync_ext_tests::TestDb;

use crate::contract_app::text;
use crate::worker_shop::*;

#[test]
fn cancelling_the_backend_ends_the_pull_and_its_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    assert_eq!(workers(&db), 1);
    db.psql(&format!("SELECT pg_cancel_backend({})", call.pid));
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    shop.recover();
    assert_eq!(shop.pull()["status"], "success");
}

#[test]
fn the_clients_cancel_request_ends_the_pull_and_its_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    call.token.cancel_query(postgres::NoTls).unwrap();
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    shop.recover();
    assert_eq!(shop.pull()["status"], "success");
}

#[test]
fn the_statement_timeout_ends_the_pull_and_its_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    shop.hang();
    let mut client = shop.client();
    client.batch_execute("SET statement_timeout = '300ms'").unwrap();
    refused(client.batch_execute(CUSTOMERS), "57014");
    wait_for_workers(&db, 0);
    shop.recover();
    client.batch_execute("SET statement_timeout = 0").unwrap();
    client.batch_execute(CUSTOMERS).unwrap();
}

#[test]
fn terminating_the_backend_ends_the_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    db.psql(&format!("SELECT pg_terminate_backend({})", call.pid));
    assert!(call.finish().is_err());
    wait_for_workers(&db, 0);
    shop.recover();
    assert_eq!(shop.pull()["status"], "success");
}

#[test]
fn a_client_that_is_gone_leaves_no_worker() {
    let db = TestDb::new();
    db.set("client_connection_check_interval", "100ms");
    let shop = ConnectedShop::new(&db);
    shop.hang();
    let mut psql = db.server().program("psql", db.name());
    psql.env("PGUSER", &shop.admin)
        .env("PGOPTIONS", format!("-c app.current_org_id={}", shop.org))
        .args(["-XAtq", "-c", CUSTOMERS]);
    let mut psql = psql.spawn().unwrap();
    shop.wait_for_request();
    psql.kill().unwrap();
    psql.wait().unwrap();
    wait_for_workers(&db, 0);
    shop.recover();
    assert_eq!(shop.pull()["status"], "success");
}

#[test]
fn a_cancelled_pull_is_not_shown_as_running_by_the_next() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    call.token.cancel_query(postgres::NoTls).unwrap();
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    shop.recover();
    shop.pull();
    let mut client = shop.client();
    let still: i64 = client
        .query_one("SELECT count(*) FROM sync_workers", &[])
        .unwrap()
        .get(0);
    assert_eq!(still, 0);
    let open: i64 = client
        .query_one(
            "SELECT count(*) FROM sync_progress WHERE completed_at IS NULL",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(open, 0);
}

#[test]
fn a_terminated_worker_is_told_to_the_caller_and_the_next_pull_goes_on_from_the_checkpoint() {
    let db = TestDb::new();
    let shop = ConnectedShop::with_customers(&db, 2000);
    let call = shop.pull_stopped_short(1800);
    db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()");
    let told = refused(call.finish(), "57P01");
    assert!(told.contains("administrator command"), "{told}");
    assert!(told.contains("goes on from the last checkpoint"), "{told}");
    wait_for_workers(&db, 0);

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
    shop.assert_nothing_lost();
}

/// Status of the log's row and of progress, how many rows the log has, and the state of the entity type.
const ENDED: &str = "SELECT concat_ws(' ', l.status, p.status, l.error_message, l.sync_id = p.sync_id, (SELECT count(*) FROM sync_activity_log),
                            (SELECT status FROM sync_state WHERE entity_type = 'customers'))
                     FROM sync_activity_log l, sync_progress p";

#[test]
fn a_run_that_its_caller_has_left_is_logged_with_the_reason() {
    let db = TestDb::new();
    for (ends, told) in [
        (
            "SET statement_timeout = '500ms'",
            "timeout timeout the time of the call was over t 1 interrupted",
        ),
        (
            "cancel",
            "cancelled cancelled the call was cancelled t 1 interrupted",
        ),
        (
            "terminate",
            "cancelled cancelled the call was cancelled t 1 interrupted",
        ),
    ] {
        let shop = ConnectedShop::new(&db);
        shop.hang();
        let mut client = shop.client();
        if ends.starts_with("SET") {
            client.batch_execute(ends).unwrap();
        }
        let call = Call::start(client, CUSTOMERS);
        shop.wait_for_request();
        if !ends.starts_with("SET") {
            db.psql(&format!("SELECT pg_{ends}_backend({})", call.pid));
        }
        assert!(call.finish().is_err());
        wait_for_workers(&db, 0);
        assert_eq!(text(&mut shop.client(), ENDED), told, "{ends}");
        shop.recover();
        assert_eq!(shop.pull()["status"], "success");
        let rows = "SELECT string_agg(status, ' ' ORDER BY created_at) FROM sync_activity_log";
        assert_eq!(
            text(&mut shop.client(), rows),
            format!("{} completed", told.split(' ').next().unwrap())
        );
    }
}

#[test]
fn a_run_whose_worker_was_cancelled_is_logged_as_cancelled() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    db.psql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()");
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    let told = text(&mut shop.client(), ENDED);
    assert!(told.starts_with("cancelled cancelled "), "{told}");
    shop.recover();
}

#[test]
fn a_worker_that_could_note_nothing_is_logged_by_the_next() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()");
    refused(call.finish(), "57P01");
    wait_for_workers(&db, 0);
    shop.recover();
    db.psql("SELECT sync_maintain()");
    db.psql("SELECT sync_maintain()");
    assert_eq!(
        text(&mut shop.client(), ENDED),
        "failed interrupted the worker ended before the run was done t 1 failed"
    );
}

#[test]
fn a_list_run_that_was_left_notes_what_it_had_done() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    client
        .batch_execute("INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce', '1')")
        .unwrap();
    shop.hang();
    let call = Call::start(client, "SELECT sync_delta()");
    shop.wait_for_request();
    call.token.cancel_query(postgres::NoTls).unwrap();
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    let ended = "SELECT concat_ws(' ', l.activity_type, l.status, p.status, (SELECT count(*) FROM sync_activity_log)) FROM sync_activity_log l, sync_progress p";
    assert_eq!(text(&mut shop.client(), ended), "delta cancelled cancelled 1");
    shop.recover();
}

#[test]
fn a_second_caller_waits_for_the_first_and_can_be_cancelled_alone() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let first = shop.hanging_pull();
    let second = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 1);
    assert_eq!(workers(&db), 1);
    second.token.cancel_query(postgres::NoTls).unwrap();
    refused(second.finish(), "57014");
    wait_for_workers(&db, 1);
    assert!(!first.is_over());
    shop.recover();
    assert!(first.finish().unwrap().contains("success"));
}

#[test]
fn two_callers_share_one_reading_of_the_shop() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let first = shop.hanging_pull();
    let second = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 1);
    shop.recover();
    assert!(!first.finish().unwrap().contains("shared"));
    assert!(second.finish().unwrap().contains("\"shared\": true"));
}

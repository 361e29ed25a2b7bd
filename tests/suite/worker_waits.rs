//! Calls that wait for others take no worker: neither those who ask for the same, nor those behind another kind of run.

use postgres::{Client, NoTls};
use serde_json::json;
use sync_ext_tests::{wait_until, Server, TestDb};

use crate::contract_app::text;
use crate::webhook::{headers, SECRET};
use crate::worker_shop::*;

const PREVIEW: &str = "SELECT sync_preview('woocommerce', 'customers') #>> '{meta,requestId}'";

/// A server with processes for a single worker: whoever tries to start a second one is refused.
fn one_worker() -> Server {
    // the other one is the server's own (logical replication)
    Server::separate_with("max_worker_processes = 2\n")
}

/// Takes the lock that runs of customers take, until the transaction ends.
const HOLD: &str =
    "BEGIN; SELECT sync_hold(format('sync_ext:run:%s:%s:customers', org_id, number)) FROM integration_connector";

#[test]
fn ten_callers_of_one_preview_take_one_worker_and_all_get_their_answer() {
    let server = one_worker();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    shop.hang();
    let mut calls = vec![Call::start(shop.client(), PREVIEW)];
    shop.wait_for_request();
    calls.extend((0..9).map(|_| Call::start(shop.client(), PREVIEW)));
    wait_for_callers(&db, 9);
    assert_eq!(workers(&db), 1);
    shop.recover();
    let told: Vec<String> = calls.into_iter().map(|call| call.finish().unwrap()).collect();
    // one preview, for all of them
    assert!(!told[0].is_empty());
    assert_eq!(told, vec![told[0].clone(); 10]);
    assert_eq!(db.psql("SELECT count(*) FROM sync_run"), "1");
}

#[test]
fn callers_from_the_first_moment_on_never_take_more_than_one_worker() {
    let server = one_worker();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let clients: Vec<Client> = (0..12).map(|_| shop.client()).collect();
    let begin = |client| Call::start(client, CUSTOMERS);
    let calls: Vec<Call> = clients.into_iter().map(begin).collect();
    for call in calls {
        call.finish().unwrap();
    }
}

#[test]
fn a_caller_that_waits_ends_at_once_and_leaves_the_others_alone() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let first = shop.hanging_pull();
    let cancelled = Call::start(shop.client(), CUSTOMERS);
    let terminated = Call::start(shop.client(), CUSTOMERS);
    let patient = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 3);
    cancelled.token.cancel_query(NoTls).unwrap();
    refused(cancelled.finish(), "57014");
    db.psql(&format!("SELECT pg_terminate_backend({})", terminated.pid));
    assert!(terminated.finish().is_err());
    let mut hurried = shop.client();
    hurried.batch_execute("SET statement_timeout = '100ms'").unwrap();
    refused(hurried.batch_execute(CUSTOMERS), "57014");
    wait_for_callers(&db, 1);
    assert_eq!(workers(&db), 1);
    assert!(!first.is_over() && !patient.is_over());
    shop.recover();
    first.finish().unwrap();
    assert!(patient.finish().unwrap().contains("\"shared\": true"));
    // and nothing of theirs is left in the way
    hurried.batch_execute("SET statement_timeout = 0").unwrap();
    hurried.batch_execute(CUSTOMERS).unwrap();
}

#[test]
fn who_waits_for_the_first_goes_on_when_that_is_cancelled() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let first = shop.hanging_pull();
    let second = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 1);
    first.token.cancel_query(NoTls).unwrap();
    refused(first.finish(), "57014");
    shop.recover();
    let told = second.finish().unwrap();
    assert!(told.contains("success") && !told.contains("\"shared\""), "{told}");
}

/// A transaction of the app that is at the customers.
fn mapping(shop: &ConnectedShop) -> Client {
    let mut app = shop.client();
    app.batch_execute("BEGIN; SELECT sync_map('woocommerce', 'customers', 'phone', compared => false)")
        .unwrap();
    app
}

/// `lock_timeout` is meant for rows and tables; a pull may take its time.
#[test]
fn a_lock_timeout_of_the_session_does_not_end_the_wait() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let first = shop.hanging_pull();
    let mut client = shop.client();
    client.batch_execute("SET lock_timeout = '1ms'").unwrap();
    let second = Call::start(client, CUSTOMERS);
    wait_for_callers(&db, 1);
    let mut observer = db.client();
    let for_long = format!(
        "SELECT now() > query_start + interval '100 ms' FROM pg_stat_activity WHERE pid = {}",
        second.pid
    );
    wait_until(PATIENCE, || text(&mut observer, &for_long) == "t");
    assert!(!second.is_over());
    shop.recover();
    first.finish().unwrap();
    second.finish().unwrap();
}

#[test]
fn behind_a_transaction_of_the_app_a_call_waits_without_a_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut app = mapping(&shop);
    let call = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 1);
    wait_for_workers(&db, 0);
    assert!(!call.is_over());
    app.batch_execute("COMMIT").unwrap();
    assert!(call.finish().unwrap().contains("success"));
}

/// Two who wait for each other: Postgres ends one of them, instead of both waiting for ever.
#[test]
fn behind_a_caller_who_waits_for_this_transaction_the_deadlock_is_told() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut app = mapping(&shop);
    let call = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 1);
    let told = refused(app.batch_execute(CUSTOMERS), "55P03");
    assert!(told.to_lowercase().contains("commit it first"), "{told}");
    app.batch_execute("ROLLBACK").unwrap();
    if let Err(error) = call.finish() {
        refused(Err::<(), _>(error), "55P03");
    }
    wait_for_workers(&db, 0);
    app.batch_execute(CUSTOMERS).unwrap();
}

/// As when webhooks come one after the other: else each of them could go before the pull.
#[test]
fn who_is_overtaken_queues_up_in_a_place_among_the_workers() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let (mut holder, mut overtaker) = (db.client(), db.client());
    holder.batch_execute(HOLD).unwrap();
    let pull = Call::start(shop.client(), CUSTOMERS);
    wait_for_callers(&db, 1);
    // first come, first served: it gets the lock when the caller has seen that it is free
    let overtaking = std::thread::spawn(move || {
        overtaker.batch_execute(HOLD).unwrap();
        overtaker
    });
    wait_for_callers(&db, 2);
    holder.batch_execute("COMMIT").unwrap();
    let mut overtaker = overtaking.join().unwrap();
    let mut observer = db.client();
    wait_until(PATIENCE, || waiting(&mut observer, "sync_ext worker") == 1);
    assert!(!pull.is_over());
    overtaker.batch_execute("COMMIT").unwrap();
    assert!(pull.finish().unwrap().contains("success"));
}

#[test]
fn a_second_run_of_a_list_waits_without_a_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let id = shop.sandbox.truth("customers").unwrap()[0].to_string();
    let insert =
        "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce', $1)";
    shop.client().execute(insert, &[&id]).unwrap();
    shop.hang();
    let calls: Vec<Call> = (0..3)
        .map(|_| Call::start(shop.client(), "SELECT sync_delta() ->> 'status'"))
        .collect();
    shop.wait_for_request();
    wait_for_callers(&db, 2);
    assert_eq!(workers(&db), 1);
    shop.recover();
    for call in calls {
        assert_eq!(call.finish().unwrap(), "completed");
    }
}

#[test]
fn webhooks_behind_a_pull_are_noted_and_hold_no_workers() {
    let server = Server::separate_with("max_worker_processes = 4\n");
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let connect = "SELECT sync_connect('woocommerce', $1, $2)";
    let credentials =
        json!({ "consumer_key": "ck_rw", "consumer_secret": "cs_rw", "webhook_secret": SECRET });
    shop.client()
        .query_one(connect, &[&shop.sandbox.url(), &credentials])
        .unwrap();
    let ids = shop.sandbox.truth("customers").unwrap();
    let deliver = |id: &u64| {
        let body = json!({ "id": id }).to_string();
        let headers = headers("customer.updated", &body, &format!("d{id}"));
        let call = format!("SELECT sync_ingest_webhook('woocommerce', '{headers}', '{body}') ->> 'status'");
        Call::start(shop.client(), &call)
    };
    let pull = shop.hanging_pull();
    let calls: Vec<Call> = ids[..12].iter().map(deliver).collect();
    let told: Vec<String> = calls.into_iter().map(|call| call.finish().unwrap()).collect();
    assert_eq!(told, vec!["noted"; 12]);
    assert!(!pull.is_over());
    shop.recover();
    pull.finish().unwrap();
}

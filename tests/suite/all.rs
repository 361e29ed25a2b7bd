//! `sync_all`: every entity type of a connector, a few at a time.

use postgres::Client;
use serde_json::{json, Value};
use sync_ext_tests::{wait_until, TestDb};
use sync_sandbox::{Fault, Rule, When};

use crate::worker_shop::*;

const ALL: &str = "SELECT sync_all('woocommerce')";
const ORDERS: &str = "/wp-json/wc/v3/orders";
const TYPES: [&str; 4] = ["categories", "products", "customers", "orders"];

/// A database in which repetitions don't wait.
fn quick() -> TestDb<'static> {
    let db = TestDb::new();
    db.set("sync_ext.retry_backoff", "1ms");
    db.set("sync_ext.retry_backoff_max", "2ms");
    db
}

#[track_caller]
fn all(client: &mut Client) -> Value {
    let row = client.query_one(ALL, &[]);
    row.unwrap_or_else(|error| panic!("{error:?}")).get(0)
}

fn statuses(reply: &Value) -> Vec<&str> {
    TYPES
        .map(|name| reply["entityTypes"][name]["status"].as_str().unwrap_or("none"))
        .to_vec()
}

/// What `sync_state` says of an entity type.
#[track_caller]
fn state(client: &mut Client, entity: &str) -> String {
    let sql = "SELECT status FROM sync_state WHERE sync_type = 'woocommerce' AND entity_type = $1";
    client.query_one(sql, &[&entity]).unwrap().get(0)
}

/// What the table itself says.
#[track_caller]
fn metadata(client: &mut Client, entity: &str) -> (String, Option<String>, bool, bool, i32) {
    let sql = "SELECT sync_status, error_message, checkpoint IS NOT NULL, last_sync_timestamp IS NOT NULL, last_sync_count
               FROM sync_metadata WHERE sync_type = 'woocommerce' AND data_type = $1";
    let row = client.query_one(sql, &[&entity]).unwrap();
    (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))
}

#[test]
fn every_entity_type_is_pulled_and_reported() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    assert_eq!(TYPES.map(|name| state(&mut client, name)), ["pending"; 4]);
    let reply = all(&mut client);
    assert_eq!(
        (&reply["syncType"], &reply["status"]),
        (&json!("woocommerce"), &json!("completed"))
    );
    let named: Vec<&String> = reply["entityTypes"].as_object().unwrap().keys().collect();
    assert_eq!(named.len(), TYPES.len(), "{named:?}");
    assert_eq!(statuses(&reply), ["success"; 4], "{reply}");
    assert!(reply["startedAt"].is_string() && reply["durationMs"].is_number());
    let customers = &reply["entityTypes"]["customers"];
    for (field, value) in [
        ("inserted", 250),
        ("updated", 0),
        ("unchanged", 0),
        ("deleted", 0),
        ("attempts", 1),
        ("records", 250),
    ] {
        // neighbouring windows share a record, which is met twice
        if field != "unchanged" {
            assert_eq!(customers[field], value, "{field}: {customers}");
        }
    }
    for name in TYPES {
        let (status, error, resumable, stamped, count) = metadata(&mut client, name);
        assert_eq!(
            (status.as_str(), error, resumable, stamped),
            ("success", None, false, true)
        );
        assert_eq!(reply["entityTypes"][name]["records"], count);
        assert_eq!(state(&mut client, name), "success");
    }
    let again = all(&mut client);
    assert_eq!(again["status"], "completed");
    for name in TYPES {
        let pulled = &again["entityTypes"][name];
        assert_eq!(
            (&pulled["inserted"], &pulled["updated"]),
            (&json!(0), &json!(0)),
            "{name}"
        );
    }
    wait_for_workers(&db, 0);
}

#[test]
fn three_types_are_under_way_at_once_and_show_it_to_others() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    shop.hang();
    let call = Call::start(shop.client(), ALL);
    let mut observer = shop.client();
    let first = ["categories", "products", "customers"];
    wait_until(PATIENCE, || shop.sandbox.stats().running == 3);
    assert_eq!(first.map(|name| state(&mut observer, name)), ["in_progress"; 3]);
    assert_eq!(
        first.map(|name| metadata(&mut observer, name).0),
        ["in_progress"; 3]
    );
    assert_eq!(state(&mut observer, "orders"), "pending");
    assert_eq!(workers(&db), 3);
    shop.recover();
    assert!(call.finish().unwrap().contains("\"status\": \"completed\""));
    assert_eq!(state(&mut observer, "orders"), "success");
}

#[test]
fn one_failure_leaves_the_others_alone_and_is_told_in_full() {
    let db = quick();
    db.set("sync_ext.max_retries", "1");
    let shop = ConnectedShop::new(&db);
    shop.sandbox.fault(Rule::new(ORDERS, When::All, Fault::HtmlPage));
    let mut client = shop.client();
    let reply = all(&mut client);
    assert_eq!(reply["status"], "partial");
    assert_eq!(
        statuses(&reply),
        ["success", "success", "success", "failed"],
        "{reply}"
    );
    let orders = &reply["entityTypes"]["orders"];
    assert_eq!(
        (&orders["attempts"], &orders["error"]["sqlstate"]),
        (&json!(2), &json!("08P01"))
    );
    assert!(orders["error"]["hint"].is_string(), "{orders}");
    let (status, error, ..) = metadata(&mut client, "orders");
    assert_eq!(
        (status.as_str(), error.as_deref()),
        ("failed", orders["error"]["message"].as_str())
    );
    let health: Value = client.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "degraded");

    shop.recover();
    let reply = all(&mut client);
    assert_eq!(reply["status"], "completed", "{reply}");
    assert_eq!(metadata(&mut client, "orders").0, "success");
}

#[test]
fn a_failure_that_passes_is_repeated() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    // nonsense is no matter for the HTTP client's own repetitions
    shop.sandbox
        .fault(Rule::new(ORDERS, When::Next(2), Fault::HtmlPage));
    let reply = all(&mut shop.client());
    assert_eq!(reply["status"], "completed", "{reply}");
    assert_eq!(reply["entityTypes"]["orders"]["attempts"], 3);
    let failed =
        db.psql("SELECT count(*) FROM sync_activity_log WHERE status = 'failed' AND entity_type = 'orders'");
    assert_eq!(failed, "2");
}

#[test]
fn what_stays_wrong_is_not_repeated_and_nothing_is_raised() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    client
        .batch_execute(&shop.connect_sql().replace("ck_rw", "ck_nobody"))
        .unwrap();
    fails_once(&mut client, "28P01");
}

/// Every entity type fails so, and is not tried again.
#[track_caller]
fn fails_once(client: &mut Client, sqlstate: &str) {
    let reply = all(client);
    assert_eq!(reply["status"], "failed");
    for name in TYPES {
        let failed = &reply["entityTypes"][name];
        assert_eq!(
            (&failed["attempts"], &failed["error"]["sqlstate"]),
            (&json!(1), &json!(sqlstate)),
            "{failed}"
        );
    }
}

#[test]
fn an_address_or_a_certificate_that_is_refused_is_not_tried_again() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    let moved = Fault::Redirect {
        to: "http://169.254.169.254/".into(),
        status: 301,
    };
    shop.sandbox.fault(Rule::new("/", When::All, moved));
    fails_once(&mut shop.client(), "08001");
    shop.recover();

    let config = sync_sandbox::Config {
        https: true,
        ..sync_sandbox::Config::default()
    };
    let secure = sync_sandbox::Sandbox::start(config).unwrap();
    let connect = shop
        .connect_sql()
        .replace(&shop.sandbox.url(), &secure.https_url().unwrap())
        .replace("settings", "same_system => true, settings");
    shop.client().batch_execute(&connect).unwrap();
    fails_once(&mut shop.client(), "08001");

    db.set("sync_ext.allowed_hosts", "");
    fails_once(&mut shop.client(), "08001");
}

#[test]
fn a_call_that_can_t_begin_is_refused_at_once() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    refused(client.batch_execute("SELECT sync_all('nobody')"), "42704");
    refused(
        client.batch_execute("SELECT sync_all('woocommerce', 'sideways')"),
        "22023",
    );
    let mut reader = db.connect_as(&db.role("read", shop.org), shop.org);
    refused(reader.batch_execute(ALL), "42501");
    db.psql("UPDATE integration_connector SET is_active = false");
    refused(client.batch_execute(ALL), "55000");
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        .unwrap();
    refused(client.batch_execute(ALL), "25001");
    assert_eq!(shop.sandbox.stats().requests, 0);
}

#[test]
fn where_places_are_scarce_the_types_wait_for_one_another() {
    let db = quick();
    for (setting, value) in [("sync_ext.max_workers", "1"), ("sync_ext.max_runs_per_org", "2")] {
        db.set(setting, value);
        let shop = ConnectedShop::new(&db);
        let reply = all(&mut shop.client());
        assert_eq!(reply["status"], "completed", "{reply}");
        db.set("sync_ext.max_workers", "4");
    }
}

#[test]
fn somebody_elses_run_is_waited_for() {
    let db = quick();
    db.set("sync_ext.max_workers", "1");
    let (shop, other) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let busy = other.hanging_pull();
    let call = Call::start(shop.client(), ALL);
    // it has looked for a place at least once, and was not refused
    wait_until(PATIENCE, || {
        db.psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT sync_all%' AND wait_event = 'Extension'") == "1"
    });
    assert!(!call.is_over());
    other.recover();
    busy.finish().unwrap();
    assert!(call.finish().unwrap().contains("\"status\": \"completed\""));
}

#[test]
fn however_the_call_ends_early_all_its_workers_end() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    let begin = || {
        shop.hang();
        let call = Call::start(shop.client(), ALL);
        wait_for_workers(&db, 3);
        call
    };

    let call = begin();
    call.token.cancel_query(postgres::NoTls).unwrap();
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);

    let call = begin();
    db.psql(&format!("SELECT pg_terminate_backend({})", call.pid));
    assert!(call.finish().is_err());
    wait_for_workers(&db, 0);

    let mut client = shop.client();
    client.batch_execute("SET statement_timeout = '500ms'").unwrap();
    refused(client.batch_execute(ALL), "57014");
    wait_for_workers(&db, 0);

    shop.recover();
    assert_eq!(all(&mut shop.client())["status"], "completed");
}

#[test]
fn a_wait_between_repetitions_can_be_cancelled() {
    let db = TestDb::new();
    db.set("sync_ext.retry_backoff", "1min");
    db.set("sync_ext.retry_backoff_max", "1min");
    let shop = ConnectedShop::new(&db);
    shop.sandbox.fault(Rule::new("/", When::All, Fault::HtmlPage));
    let call = Call::start(shop.client(), ALL);
    wait_until(PATIENCE, || {
        db.psql("SELECT count(*) FROM sync_run WHERE status = 'failed'") == "4"
    });
    wait_for_workers(&db, 0);
    assert!(!call.is_over());
    call.token.cancel_query(postgres::NoTls).unwrap();
    refused(call.finish(), "57014");
}

#[test]
fn what_was_interrupted_is_shown_and_taken_up_by_the_next() {
    let db = quick();
    let shop = ConnectedShop::with_customers(&db, 2000);
    let hang = Rule {
        query: Some("offset=495".into()),
        ..Rule::new("/", When::All, Fault::Hang)
    };
    shop.sandbox.fault(hang);
    let call = Call::start(shop.client(), ALL);
    let mut observer = db.client();
    wait_until(PATIENCE, || {
        let sql = "SELECT count(*) FROM sync_record WHERE entity = 1";
        observer.query_one(sql, &[]).unwrap().get::<_, i64>(0) >= 1800
    });
    shop.wait_for_request();
    db.psql(&format!("SELECT pg_terminate_backend({})", call.pid));
    assert!(call.finish().is_err());
    wait_for_workers(&db, 0);

    let mut client = shop.client();
    assert_eq!(state(&mut client, "customers"), "interrupted");
    let health: Value = client.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "degraded");
    let types = health["entityTypes"].as_array().unwrap();
    let customers = types.iter().find(|t| t["entityType"] == "customers").unwrap();
    assert_eq!(
        (&customers["status"], &customers["resumable"]),
        (&json!("interrupted"), &json!(true))
    );

    // whatever runs next notes in the tables what is no longer under way
    shop.recover();
    shop.pull_of("categories", "incremental");
    let (status, error, resumable, ..) = metadata(&mut client, "customers");
    assert_eq!((status.as_str(), resumable), ("failed", true));
    assert!(error.unwrap().contains("goes on from its checkpoint"));

    let reply = all(&mut client);
    assert_eq!(reply["status"], "completed", "{reply}");
    let customers = &reply["entityTypes"]["customers"];
    assert_eq!(
        (&customers["resumed"], &customers["records"]),
        (&json!(true), &json!(2000)),
        "{customers}"
    );
    assert_eq!(state(&mut client, "customers"), "success");
}

#[test]
fn two_calls_at_once_share_their_readings() {
    let db = quick();
    // one of them is never an organisation's
    db.set("sync_ext.max_workers", "5");
    let shop = ConnectedShop::new(&db);
    shop.hang();
    let first = Call::start(shop.client(), ALL);
    wait_for_workers(&db, 3);
    let second = Call::start(shop.client(), ALL);
    // it begins with what the first has left, and looks again and again whether it is its turn with the rest
    wait_for_workers(&db, 4);
    shop.recover();
    let first = first.finish().unwrap();
    assert!(first.contains("\"status\": \"completed\""), "{first}");
    let second = second.finish().unwrap();
    assert!(
        second.contains("\"status\": \"completed\"") && second.contains("\"shared\": true"),
        "{second}"
    );
}

#[test]
fn what_was_pulled_is_applied_by_the_same_call() {
    let db = quick();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    shop.sandbox.fault(Rule::new(ORDERS, When::All, Fault::HtmlPage));
    let call = "SELECT sync_all('woocommerce', apply => true)";
    let first: Value = client.query_one(call, &[]).unwrap().get(0);
    assert_eq!(first["status"], "partial", "{first}");
    let applied = |reply: &Value, name: &str| reply["entityTypes"][name]["apply"].clone();
    for name in ["categories", "products", "customers"] {
        let told = applied(&first, name);
        assert_eq!(told["status"], "completed", "{name}: {first}");
        assert_eq!(
            told["created"], first["entityTypes"][name]["records"],
            "{name}: {told}"
        );
    }
    assert_eq!(applied(&first, "orders"), Value::Null);
    shop.sandbox.clear_faults(None);
    // a type whose deletions would be too many is held back alone
    let customers = shop.sandbox.truth("customers").unwrap();
    let most = json!({ "op": "delete", "entity": "customers", "ids": customers[..200] });
    shop.sandbox.mutate_json(&most).unwrap();
    client
        .batch_execute("SELECT sync_select('customers', include_deleted => true)")
        .unwrap();
    let second: Value = client.query_one(call, &[]).unwrap().get(0);
    assert_eq!(second["status"], "partial", "{second}");
    assert_eq!(applied(&second, "orders")["status"], "completed");
    assert_eq!(
        applied(&second, "customers")["error"]["sqlstate"],
        "23514",
        "{second}"
    );
    assert_eq!(
        crate::contract_app::text(&mut client, "SELECT count(*) FROM sync_customers"),
        "250"
    );
    // nothing is left to do for the others
    let third: Value = client.query_one(call, &[]).unwrap().get(0);
    assert_eq!(applied(&third, "orders")["created"], 0, "{third}");
}

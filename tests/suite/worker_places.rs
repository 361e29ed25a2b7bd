//! Places among the workers: whoever finds none is the next to get one, and nobody keeps one for ever.

use serde_json::json;
use sync_ext_tests::{wait_until, TestDb};

use crate::bound::{plain, Bound};
use crate::worker_shop::*;

/// Waits until so many runs have their places.
fn wait_for_runs(db: &TestDb, number: i64) {
    let running = "SELECT count(*) FROM sync_run WHERE status = 'running'";
    wait_until(PATIENCE, || db.psql(running) == number.to_string());
}

/// A slow machine takes longer between two calls than whoever was refused may take to ask again.
fn keep_the_line(db: &TestDb) {
    db.psql("UPDATE sync_waiting SET until = until + interval '1 hour'");
}

#[test]
fn no_organisations_keep_all_places_among_themselves() {
    let db = TestDb::new();
    db.set("sync_ext.max_workers", "2");
    let shops: [ConnectedShop; 4] = std::array::from_fn(|_| ConnectedShop::new(&db));
    let [first, second, third, fourth] = &shops;
    let (one, two) = (first.hanging_pull(), second.hanging_pull());
    for late in [third, fourth] {
        let told = refused(late.client().batch_execute(CUSTOMERS), "53400");
        assert!(told.contains("busy") && told.contains("Try again"), "{told}");
        keep_the_line(&db);
    }
    first.recover();
    one.finish().unwrap();
    // the free place is the third's: neither the one that had it nor who came later gets it
    for other in [first, fourth] {
        let told = refused(other.client().batch_execute(CUSTOMERS), "53400");
        assert!(told.contains("came before"), "{told}");
        keep_the_line(&db);
    }
    let three = third.hanging_pull();
    second.recover();
    two.finish().unwrap();
    for other in [second, first] {
        let told = refused(other.client().batch_execute(CUSTOMERS), "53400");
        assert!(told.contains("came before"), "{told}");
        keep_the_line(&db);
    }
    fourth.pull();
    // then those who have come meanwhile, in their order
    let told = refused(second.client().batch_execute(CUSTOMERS), "53400");
    assert!(told.contains("came before"), "{told}");
    keep_the_line(&db);
    first.pull();
    second.pull();
    third.recover();
    three.finish().unwrap();
    assert_eq!(db.psql("SELECT count(*) FROM sync_waiting"), "0");
}

#[test]
fn of_four_places_three_organisations_get_theirs_in_turn() {
    let db = TestDb::new();
    let shops: [ConnectedShop; 3] = std::array::from_fn(|_| ConnectedShop::new(&db));
    let [greedy, second, late] = &shops;
    greedy.hang();
    let calls: Vec<Call> = ["customers", "products", "orders"]
        .map(|entity| {
            Call::start(
                greedy.client(),
                &format!("SELECT sync_pull('woocommerce', '{entity}')"),
            )
        })
        .into();
    wait_for_runs(&db, 3);
    let two = second.hanging_pull();
    refused(late.client().batch_execute(CUSTOMERS), "53400");
    keep_the_line(&db);
    // whichever of them ends a run, and begins another one at once
    greedy.recover();
    for call in calls {
        call.finish().unwrap();
    }
    second.recover();
    two.finish().unwrap();
    greedy.hang();
    let calls: Vec<Call> = ["customers", "products", "orders"]
        .map(|entity| {
            Call::start(
                greedy.client(),
                &format!("SELECT sync_pull('woocommerce', '{entity}')"),
            )
        })
        .into();
    wait_for_runs(&db, 3);
    refused(second.client().batch_execute(CUSTOMERS), "53400");
    late.pull();
    greedy.recover();
    for call in calls {
        call.finish().unwrap();
    }
}

#[test]
fn who_does_not_come_back_is_not_waited_for() {
    let db = TestDb::new();
    db.set("sync_ext.max_workers", "1");
    let (shop, other) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let call = shop.hanging_pull();
    refused(other.client().batch_execute(CUSTOMERS), "53400");
    keep_the_line(&db);
    shop.recover();
    call.finish().unwrap();
    refused(shop.client().batch_execute(CUSTOMERS), "53400");
    db.psql(&format!(
        "UPDATE sync_waiting SET until = clock_timestamp() WHERE org_id = '{}'",
        other.org
    ));
    shop.pull();
    assert_eq!(db.psql("SELECT count(*) FROM sync_waiting"), "0");
}

#[test]
fn a_run_has_no_more_than_its_time_and_the_next_goes_on() {
    let db = TestDb::new();
    db.set("sync_ext.max_run_time", "4s");
    let shop = ConnectedShop::with_customers(&db, 600);
    let call = shop.pull_stopped_short(300);
    let told = refused(call.finish(), "57014");
    assert!(told.contains("sync_ext.max_run_time (4 s)"), "{told}");
    wait_for_workers(&db, 0);
    assert_eq!(
        db.psql("SELECT r.status, l.status, m.checkpoint IS NOT NULL FROM sync_run r, sync_activity_log l, sync_metadata m WHERE l.sync_id = r.sync_id"),
        "interrupted|timeout|t"
    );
    shop.recover();
    let requests = shop.sandbox.stats().requests;
    let pulled = shop.pull();
    assert_eq!(pulled["status"], "success", "{pulled}");
    assert!(shop.sandbox.stats().requests - requests < 10, "{pulled}");
    shop.assert_nothing_lost();
    // nobody gives himself more
    let mut client = shop.client();
    client.batch_execute("SELECT sync_health()").unwrap();
    refused(client.batch_execute("SET sync_ext.max_run_time = '1h'"), "42501");
}

#[test]
fn code_of_the_app_that_catches_its_end_is_ended_all_the_same() {
    let mut app = Bound::new(
        "CREATE TABLE contacts (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, mail text);
         CREATE FUNCTION sleepless() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;
         CREATE TRIGGER sleepless BEFORE INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION sleepless()",
    );
    app.run("SELECT sync_bind('customers', 'contacts', '{\"email\": \"mail\"}', '{id}')");
    app.remote(&json!([{"id": "1", "email": "a@example.com"}]));
    app.db.set("sync_ext.max_run_time", "1s");
    let mut sql = app.db.connect_as(&app.role, app.org);
    let error = sql
        .batch_execute("SELECT sync_apply('woocommerce', 'customers')")
        .unwrap_err();
    assert_eq!(
        error.code().map(|code| code.code()),
        Some("57P01"),
        "{}",
        plain(&error)
    );
    wait_for_workers(&app.db, 0);
}

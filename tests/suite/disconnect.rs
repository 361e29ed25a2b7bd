//! Removing a connector while somebody else is at the same local rows.

use std::thread;

use sync_ext_tests::{sqlstate, wait_until};
use sync_sandbox::{Fault, Rule, Version, When};

use crate::bound::{connect, text, Bound};
use crate::shop::Shop;
use crate::worker_shop::{waiting, Call, PATIENCE};

const CONTACTS: &str = "CREATE TABLE crm.contacts (id int PRIMARY KEY, mail text);
    SELECT sync_bind('customers', 'contacts', '{\"email\": \"mail\"}', '{id}')";
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
/// Local rows in ledgers whose connector is gone.
const ORPHANS: &str = "SELECT count(*) FROM sync_record r
    WHERE NOT EXISTS (SELECT FROM integration_connector c WHERE c.org_id = r.org_id AND c.number = r.connector)";

/// Another session of the app carries out `sql` and waits for a lock that the test's own transaction holds.
fn meanwhile(app: &mut Bound, begun: &str, waits: &str) {
    let (role, org) = (app.role.clone(), app.org);
    let mut other = app.db.connect_as(&role, org);
    app.run(&format!("BEGIN; {begun}"));
    let waits = waits.to_owned();
    let call = thread::spawn(move || {
        other
            .batch_execute(&waits)
            .map_err(|error| format!("{waits}: {error:?}"))
    });
    wait_until(PATIENCE, || {
        call.is_finished() || text(&mut app.root, WAITING) != "0"
    });
    app.run("COMMIT");
    call.join().unwrap().unwrap();
}

#[test]
fn two_connectors_of_one_bound_table_are_removed_at_once() {
    let mut app = Bound::new(CONTACTS);
    connect(&mut app.root, app.org, "outlet", "woocommerce");
    app.run("INSERT INTO contacts VALUES (1, 'a@example.com')");
    meanwhile(
        &mut app,
        "SELECT sync_disconnect('woocommerce')",
        "SELECT sync_disconnect('outlet')",
    );
    assert_eq!(app.text("SELECT count(*) FROM sync_connectors"), "0");
    app.run("INSERT INTO contacts VALUES (2, 'b@example.com')");
    assert_eq!(text(&mut app.root, "SELECT count(*) FROM sync_record"), "0");
}

#[test]
fn rows_written_while_a_connector_goes_leave_nothing_in_its_ledger() {
    for (begun, waits) in [
        (
            "INSERT INTO contacts VALUES (1, 'a@example.com')",
            "SELECT sync_disconnect('woocommerce')",
        ),
        (
            "SELECT sync_disconnect('woocommerce')",
            "INSERT INTO contacts VALUES (1, 'a@example.com')",
        ),
    ] {
        let mut app = Bound::new(CONTACTS);
        meanwhile(&mut app, begun, waits);
        assert_eq!(text(&mut app.root, ORPHANS), "0", "{begun}");
        assert_eq!(app.text("SELECT count(*) FROM contacts"), "1");
    }
}

#[test]
fn a_pull_under_way_keeps_its_connector() {
    let mut shop = Shop::new(Version::V11);
    let path = "/wp-json/wc/v3/customers";
    shop.sandbox.fault(Rule::new(path, When::Next(1), Fault::Hang));
    let role = shop.db.role("operate", shop.org);
    let mut other = shop.db.connect_as(&role, shop.org);
    let pull = thread::spawn(move || {
        other
            .batch_execute("SELECT sync_pull('woocommerce', 'customers')")
            .unwrap()
    });
    wait_until(PATIENCE, || shop.sandbox.stats().running == 1);
    let disconnect = "SELECT sync_disconnect('woocommerce')";
    assert_eq!(sqlstate(shop.sql.batch_execute(disconnect)), "55006");
    shop.sandbox.release();
    pull.join().unwrap();
    shop.sql.batch_execute(disconnect).unwrap();
    assert_eq!(text(&mut shop.root, ORPHANS), "0");
    assert_eq!(text(&mut shop.root, "SELECT count(*) FROM sync_sweep"), "0");
}

/// What it writes to a remote that is gone would be noted in a ledger of nobody's, and as the target of an item that may be
/// written to another shop of that name.
#[test]
fn a_list_run_under_way_keeps_the_connectors_that_it_has_opened() {
    let mut shop = Shop::new(Version::V11);
    shop.sql
        .batch_execute(
            "INSERT INTO sync_products (sku, name, price) VALUES ('HERE-1', 'From here', 12.5);
             INSERT INTO sync_list (item_type, source_platform, target_platform, source_id)
             SELECT 'product', 'local', 'woocommerce', id::text FROM sync_products",
        )
        .unwrap();
    shop.sandbox.fault(Rule {
        method: Some("POST".into()),
        ..Rule::new("/wp-json/wc/v3/products", When::Next(1), Fault::Hang)
    });
    let role = shop.db.role("operate", shop.org);
    let run = Call::start(shop.db.connect_as(&role, shop.org), "SELECT sync_full()");
    wait_until(PATIENCE, || {
        let seen = shop.sandbox.requests();
        seen.iter().any(|seen| seen.method == "POST")
    });
    let removed = shop.sql.batch_execute("SELECT sync_disconnect('woocommerce')");
    shop.sandbox.release();
    let told = run.finish().unwrap();
    assert_eq!(text(&mut shop.root, ORPHANS), "0", "{told}");
    assert_eq!(sqlstate(removed), "55006");
    assert!(told.contains("\"status\": \"completed\""), "{told}");
    shop.sql
        .batch_execute("SELECT sync_disconnect('woocommerce')")
        .unwrap();
    assert_eq!(text(&mut shop.root, ORPHANS), "0");
}

#[test]
fn a_list_run_behind_a_removal_finds_no_connector() {
    let mut shop = Shop::new(Version::V11);
    let id = shop.listed("customers")[0].to_string();
    let item = "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce', $1) RETURNING id::text";
    let item: String = shop.sql.query_one(item, &[&id]).unwrap().get(0);
    shop.sql
        .batch_execute("BEGIN; SELECT sync_disconnect('woocommerce')")
        .unwrap();
    let role = shop.db.role("operate", shop.org);
    let run = Call::start(shop.db.connect_as(&role, shop.org), "SELECT sync_full()");
    // for the removal itself, with its item in hand: before, there would be nothing left to do
    wait_until(PATIENCE, || waiting(&mut shop.root, "sync_ext worker") == 1);
    shop.sql.batch_execute("COMMIT").unwrap();
    let told = run.finish().unwrap();
    assert!(told.contains("woocommerce"), "{told}");
    assert_eq!(text(&mut shop.root, ORPHANS), "0", "{told}");
    let status = format!("SELECT last_sync_status FROM sync_list WHERE id = '{item}'");
    assert_eq!(text(&mut shop.root, &status), "failed");
    wait_until(PATIENCE, || shop.sandbox.stats().running == 0);
}

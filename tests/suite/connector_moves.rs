//! Connectors that are pointed at another address: at the same system, or at another one.

use serde_json::json;
use sync_ext_tests::sqlstate;
use sync_sandbox::odoo::Version;
use sync_sandbox::{Config, Sandbox};

use crate::erp::Erp;
use crate::list_remote::Shops;

fn connect_as(name: &str, url: &str, more: &str) -> String {
    format!(
        "SELECT sync_connect('woocommerce', '{url}', '{{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}}', '{name}'{more})"
    )
}

#[test]
fn another_shop_is_refused_under_the_same_name_and_the_same_one_may_move() {
    let mut shops = Shops::new();
    shops.one("SELECT sync_pull('main', 'customers')");
    let held = shops.one("SELECT last_sync_timestamp FROM sync_metadata");
    let elsewhere = connect_as("main", &shops.outlet.url(), "");
    let refused = shops.sql.batch_execute(&elsewhere).unwrap_err();
    let told = refused.as_db_error().unwrap();
    assert_eq!(
        (told.code().code(), told.message()),
        ("22023", "connector \"main\" is that of another system")
    );
    let here = shops.main.url();
    assert_eq!(
        shops.one("SELECT base_url FROM sync_connectors WHERE sync_type = 'main'"),
        here
    );

    // the same place, however it is written
    shops
        .sql
        .batch_execute(&connect_as(
            "main",
            &format!("{}/", here.to_uppercase().replace("HTTP", "http")),
            "",
        ))
        .unwrap();
    let moved = connect_as("main", &shops.outlet.url(), ", same_system => true");
    shops.sql.batch_execute(&moved).unwrap();
    assert_eq!(shops.one("SELECT last_sync_timestamp FROM sync_metadata"), held);
    // from now on, that is where it is
    assert_eq!(
        sqlstate(shops.sql.batch_execute(&connect_as("main", &here, ""))),
        "22023"
    );
}

#[test]
fn an_odoo_database_is_a_system_of_its_own() {
    let mut erp = Erp::new(Version::V19);
    let connect = |erp: &mut Erp, database: &str| {
        let credentials = json!({ "database": database, "login": "apiuser", "api_key": "key_apiuser" });
        erp.connect(&credentials, &json!({}))
    };
    // it has never answered: a slip of the pen
    connect(&mut erp, "lib").unwrap();
    connect(&mut erp, "lab").unwrap();
    erp.pull("warehouses");
    assert_eq!(sqlstate(connect(&mut erp, "staging")), "22023");
    connect(&mut erp, "lab").unwrap();
}

/// A run notes at its end which connectors have answered; one that is killed doesn't come to it.
#[test]
fn a_shop_that_was_written_to_has_been_used_though_it_is_not_noted_that_it_answered() {
    let mut shops = Shops::new();
    let ids = shops.products(1);
    shops.list("products", &ids);
    assert_eq!(shops.delta()["itemsCreated"], 1);
    let elsewhere = connect_as("outlet", &shops.main.url(), "");
    for forgotten in [
        "",
        "DELETE FROM sync_record WHERE external_id IS NOT NULL",
        "DELETE FROM sync_idempotency_log",
    ] {
        shops.db.psql(&format!(
            "UPDATE integration_connector SET last_ok_at = NULL; {forgotten}"
        ));
        let is_known = forgotten != "DELETE FROM sync_idempotency_log";
        let told = shops.sql.batch_execute(&elsewhere);
        assert_eq!(told.is_err(), is_known, "{forgotten}: {told:?}");
    }
}

#[test]
fn items_of_a_removed_shop_are_written_anew_to_the_next_one() {
    let mut shops = Shops::new();
    let ids = shops.products(3);
    for id in &ids {
        shops.edit("products", *id, json!({ "sku": format!("ONLY-HERE-{id}") }));
    }
    shops.list("products", &ids);
    assert_eq!(shops.delta()["itemsCreated"], 3);

    // another shop, with records of its own under the ids of the first
    let next = Sandbox::start(Config {
        customers: 10,
        products: 40,
        orders: 0,
        seed: 9,
        ..Config::default()
    })
    .unwrap();
    let there = |sandbox: &Sandbox| {
        sandbox
            .truth("products")
            .unwrap()
            .into_iter()
            .map(|id| sandbox.record("products", id).unwrap().unwrap()["name"].clone())
            .collect::<Vec<_>>()
    };
    let before = there(&next);
    shops
        .sql
        .batch_execute("SELECT sync_disconnect('outlet')")
        .unwrap();
    shops.connect("outlet", &next.url(), "rw");
    shops.one("UPDATE sync_list SET is_active = true; SELECT 1");
    let again = shops.delta();
    assert_eq!(again["itemsFailed"], 0, "{again}");
    assert_eq!(again["itemsCreated"], 3, "{again}");
    let after = there(&next);
    assert_eq!(after.len(), before.len() + 3);
    assert!(
        before.iter().all(|name| after.contains(name)),
        "none was written over"
    );
}

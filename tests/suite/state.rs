//! How far every entity type is: `sync_state`, `sync_health`, `sync_reset`.

use serde_json::{json, Value};
use sync_ext_tests::sqlstate;
use sync_sandbox::Version;

use crate::shop::Shop;
use crate::worker_shop::ConnectedShop;
use sync_ext_tests::TestDb;

type Row = (String, String, [i64; 5], bool);

/// Entity type, status, records and open changes, resumable.
fn states(shop: &mut Shop) -> Vec<Row> {
    let rows = shop.sql.query(
        "SELECT entity_type, status, records, new, updated, deleted, ambiguous, resumable FROM sync_state",
        &[],
    );
    let numbers = |row: &postgres::Row| [2, 3, 4, 5, 6].map(|at| i64::from(row.get::<_, i32>(at)));
    rows.unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), numbers(row), row.get(7)))
        .collect()
}

#[test]
fn every_entity_type_of_a_connector_is_listed_before_anything_was_pulled() {
    let mut shop = Shop::new(Version::V11);
    let names: Vec<String> = states(&mut shop).into_iter().map(|row| row.0).collect();
    assert_eq!(names, ["categories", "products", "customers", "orders"]);
    for (_, status, numbers, resumable) in states(&mut shop) {
        assert_eq!((status.as_str(), numbers, resumable), ("pending", [0; 5], false));
    }
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(health["entityTypes"].as_array().unwrap().len(), 4);
}

#[test]
fn open_changes_are_counted_by_their_kind() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    let all = shop.truth("customers").len() as i64;
    shop.fill("customers");
    let ids = shop.listed("customers");
    shop.change(json!({ "op": "edit", "entity": "customers", "id": ids[3], "set": { "first_name": "Zoë" } }));
    shop.change(json!({ "op": "delete", "entity": "customers", "ids": [ids[5], ids[6]] }));
    shop.change(json!({ "op": "create", "entity": "customers", "count": 3 }));
    shop.pull("customers");
    let customers = states(&mut shop)
        .into_iter()
        .find(|row| row.0 == "customers")
        .unwrap();
    assert_eq!(customers.1, "success");
    assert_eq!(customers.2, [all + 1, 3, 1, 2, 0]);
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    let types = health["entityTypes"].as_array().unwrap();
    let told = types.iter().find(|t| t["entityType"] == "customers").unwrap();
    assert_eq!(
        told["changes"],
        json!({ "new": 3, "updated": 1, "deleted": 2, "ambiguous": 0 })
    );
    let due: bool = shop
        .sql
        .query_one(
            "SELECT next_full_at = last_full_at + interval '1 day' FROM sync_state WHERE entity_type = 'customers'",
            &[],
        )
        .unwrap()
        .get(0);
    assert!(due);
}

#[test]
fn a_reset_without_an_entity_type_is_for_all() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    shop.pull("orders");
    let reset: Value = shop
        .sql
        .query_one("SELECT sync_reset('woocommerce')", &[])
        .unwrap()
        .get(0);
    assert_eq!(
        reset,
        json!({ "syncType": "woocommerce", "entityType": "all", "status": "pending",
                "entityTypes": ["categories", "products", "customers", "orders"] })
    );
    assert!(states(&mut shop).iter().all(|row| row.1 == "pending"));
    for entity in ["customers", "orders"] {
        let again = shop.pull(entity);
        assert_eq!((&again["pass"], &again["inserted"]), (&json!("full"), &json!(0)));
    }
}

#[test]
fn a_reset_of_what_the_connector_does_not_have_is_refused() {
    let mut shop = Shop::new(Version::V11);
    for wrong in ["unicorns", "warehouses"] {
        let call = shop
            .sql
            .query_one("SELECT sync_reset('woocommerce', $1)", &[&wrong]);
        assert_eq!(sqlstate(call), "22023");
    }
    shop.ask("SELECT sync_reset($1, $2)", "customer");
}

#[test]
fn a_reset_waits_for_no_pull_that_is_under_way() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    let mut client = shop.client();
    for reset in [
        "SELECT sync_reset('woocommerce')",
        "SELECT sync_reset('woocommerce', 'customers')",
    ] {
        assert_eq!(sqlstate(client.batch_execute(reset)), "55006");
    }
    client
        .batch_execute("SELECT sync_reset('woocommerce', 'orders')")
        .unwrap();
    shop.recover();
    call.finish().unwrap();
    client.batch_execute("SELECT sync_reset('woocommerce')").unwrap();
}

/// Postgres shows a transaction the processes that were there when it looked first.
#[test]
fn a_reset_sees_a_pull_that_began_in_the_middle_of_its_transaction() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    client
        .batch_execute("BEGIN; SELECT FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        .unwrap();
    let call = shop.hanging_pull();
    assert_eq!(
        sqlstate(client.batch_execute("SELECT sync_reset('woocommerce', 'customers')")),
        "55006"
    );
    shop.recover();
    call.finish().unwrap();
}

#[test]
fn an_apply_says_nothing_of_the_last_pull_and_reads_no_hint() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    let org = shop.org;
    shop.root
        .execute(
            "INSERT INTO sync_webhook_delivery (org_id, connector, delivery, topic, entity, external_id, status, received_at)
             SELECT $1, number, 'd1', 'customer.updated', 1, '7', 'noted', now() - interval '1 minute' FROM integration_connector WHERE org_id = $1",
            &[&org],
        )
        .unwrap();
    let of_customers = |shop: &mut Shop| -> (String, i32) {
        let row = shop.sql.query_one(
            "SELECT status, hints FROM sync_state WHERE entity_type = 'customers'",
            &[],
        );
        let row = row.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(of_customers(&mut shop), ("success".to_owned(), 1));
    for (call, code) in [
        (
            "sync_apply('woocommerce', 'customers', preview_id => gen_random_uuid())",
            Some("40001"),
        ),
        ("sync_apply('woocommerce', 'customers')", None),
    ] {
        let done = shop.sql.batch_execute(&format!("SELECT {call}"));
        assert_eq!(
            done.err()
                .and_then(|e| e.code().map(|c| c.code().to_owned()))
                .as_deref(),
            code
        );
        assert_eq!(of_customers(&mut shop), ("success".to_owned(), 1), "{call}");
    }
    shop.pull("customers");
    assert_eq!(of_customers(&mut shop), ("success".to_owned(), 0));
}

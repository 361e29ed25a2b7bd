//! An error says what Postgres or the app's own code has said, wherever it was raised: in a worker, or on its way through Rust.

use postgres::error::DbError;
use serde_json::Value;
use sync_sandbox::Version;

use crate::shop::Shop;
use crate::worker_shop::{refused, wait_for_workers, ConnectedShop};
use sync_ext_tests::{schema, TestDb};

/// A view that fails as `crm.trouble` says, a table whose trigger does, and a role that owns both.
const TABLES: &str = "
    CREATE TABLE crm.trouble (state text, at text);
    CREATE FUNCTION crm.fail(place text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        wanted text := (SELECT t.state FROM crm.trouble t WHERE t.at = place);
    BEGIN
        IF wanted = 'zero' THEN
            PERFORM 1 / 0;
        ELSIF wanted IS NOT NULL THEN
            RAISE EXCEPTION 'the app says no' USING ERRCODE = wanted, DETAIL = 'It is Sunday.', HINT = 'Come back tomorrow.';
        END IF;
        RETURN 'fine';
    END $$;
    CREATE FUNCTION crm.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM crm.fail('write');
        RETURN coalesce(NEW, OLD);
    END $$;
    CREATE TABLE crm.people (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), mail text, label text);
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON crm.people FOR EACH ROW EXECUTE FUNCTION crm.refuse();
    CREATE TABLE crm.words (id int PRIMARY KEY, slug text, label text);
    INSERT INTO crm.words VALUES (1, 'uncategorized', 'Other');
    CREATE VIEW crm.shown AS SELECT id, slug, label, crm.fail('read') AS fine FROM crm.words WHERE crm.fail('read') = 'fine'";

/// What says nothing of a record, of Postgres' list and of the app's own.
const STATES: [&str; 12] = [
    "08006", "28P01", "42883", "53100", "53200", "53400", "54001", "55000", "55MY1", "57P01", "58030",
    "XX777",
];

fn troubled() -> Shop {
    let mut shop = Shop::new(Version::V11);
    shop.db.set("sync_ext.preview_rate", "10000");
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!(
            "CREATE SCHEMA crm AUTHORIZATION {role}; SET ROLE {role}; {TABLES}; RESET ROLE"
        ))
        .unwrap();
    shop.sql
        .batch_execute(
            r#"SELECT sync_bind('customers', 'crm.people', '{"email": "mail", "first_name": "label"}', '{id}');
               SELECT sync_bind('categories', 'crm.shown', '{"slug": "slug", "name": "label"}', '{id}', tracking => 'scan')"#,
        )
        .unwrap();
    // sees the settings
    let fresh = shop.db.connect_as(&role, shop.org);
    shop.sql = fresh;
    shop.preview("categories");
    shop.pull("customers");
    shop
}

#[track_caller]
fn fails(shop: &mut Shop, at: &str, state: &str, call: &str) -> DbError {
    shop.root
        .batch_execute(&format!(
            "TRUNCATE crm.trouble; INSERT INTO crm.trouble VALUES ('{state}', '{at}')"
        ))
        .unwrap();
    let error = shop.sql.batch_execute(call).expect_err(call);
    error
        .as_db_error()
        .unwrap_or_else(|| panic!("{call}: {error:?}"))
        .clone()
}

#[track_caller]
fn assert_says(error: &DbError, state: &str) {
    assert_eq!(error.code().code(), state, "{error:?}");
    // what the worker's run is known by stands behind it
    let detail = error
        .detail()
        .map(|detail| detail.split("\nrequestId: ").next().unwrap_or_default());
    assert_eq!(
        (error.message(), detail, error.hint()),
        (
            "the app says no",
            Some("It is Sunday."),
            Some("Come back tomorrow.")
        ),
        "{error:?}"
    );
}

#[track_caller]
fn assert_nobody_else_is_blamed(shop: &mut Shop) {
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["connectors"][0]["lastError"], Value::Null, "{health}");
}

#[test]
fn what_a_view_raises_in_a_worker_keeps_its_code_message_detail_and_hint() {
    let mut shop = troubled();
    let preview = "SELECT sync_preview('woocommerce', 'categories', force_refresh => true)";
    for state in STATES.into_iter().chain(["MY001", "P0001", "22012", "22003"]) {
        let error = fails(&mut shop, "read", state, preview);
        assert_says(&error, state);
        assert_eq!((error.schema(), error.table()), (Some("crm"), Some("shown")));
    }
    let error = fails(&mut shop, "read", "zero", preview);
    assert_eq!(
        (error.code().code(), error.message(), error.table()),
        ("22012", "division by zero", Some("shown"))
    );
    assert_nobody_else_is_blamed(&mut shop);
    // and in the caller's own backend
    for call in [
        "SELECT sync_verify('woocommerce', 'categories')",
        r#"SELECT sync_bind('categories', 'crm.shown', '{"slug": "slug"}', '{id}', tracking => 'scan')"#,
    ] {
        for (state, told) in [("MY001", "MY001"), ("zero", "22012")] {
            let error = fails(&mut shop, "read", state, call);
            assert_eq!(error.code().code(), told, "{call}");
            assert_eq!(
                (error.schema(), error.table()),
                (Some("crm"), Some("shown")),
                "{call}"
            );
        }
    }
}

#[test]
fn what_a_trigger_raises_keeps_its_code_message_detail_and_hint() {
    let mut shop = troubled();
    let apply = "SELECT sync_apply('woocommerce', 'customers')";
    for state in STATES {
        let error = fails(&mut shop, "write", state, apply);
        assert_says(&error, state);
        assert_eq!((error.schema(), error.table()), (Some("crm"), Some("people")));
    }
    assert_nobody_else_is_blamed(&mut shop);
    let told =
        "SELECT string_agg(metadata #>> '{error,sqlstate}', ' ' ORDER BY created_at) FROM sync_history";
    let told: String = shop.sql.query_one(told, &[]).unwrap().get(0);
    assert_eq!(told, STATES.join(" "));

    // and so does what an undo meets
    shop.root.batch_execute("TRUNCATE crm.trouble").unwrap();
    shop.sql.batch_execute(apply).unwrap();
    let undo = "SELECT sync_undo(id) FROM sync_history ORDER BY created_at DESC LIMIT 1";
    for state in ["MY001", "55MY1", "53100"] {
        assert_says(&fails(&mut shop, "write", state, undo), state);
    }
    shop.root.batch_execute("TRUNCATE crm.trouble").unwrap();
    shop.sql.batch_execute(undo).unwrap();
}

#[test]
fn a_constraint_is_told_with_its_relation() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    db.psql("ALTER TABLE sync_run ADD CONSTRAINT never CHECK (kind <> 'pull')");
    let error = shop
        .client()
        .batch_execute("SELECT sync_pull('woocommerce', 'customers')")
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "23514", "{error:?}");
    assert_eq!(
        (error.schema(), error.table(), error.constraint()),
        (Some(schema().as_str()), Some("sync_run"), Some("never"))
    );
}

#[test]
fn a_worker_that_is_cancelled_says_so_and_leaves_no_run_open() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let call = shop.hanging_pull();
    db.psql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker' AND datname = current_database()");
    refused(call.finish(), "57014");
    wait_for_workers(&db, 0);
    assert_eq!(
        db.psql("SELECT status FROM sync_run WHERE kind = 'pull'"),
        "interrupted"
    );
    assert_eq!(
        db.psql("SELECT count(*) FROM integration_connector WHERE last_error IS NOT NULL"),
        "0"
    );
}

#[test]
fn a_worker_that_can_not_connect_says_why() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    let allow = |allowed: bool| {
        let alter = format!("ALTER DATABASE {} ALLOW_CONNECTIONS {allowed}", db.name());
        db.server().psql("postgres", &alter);
    };
    allow(false);
    let told = refused(
        client.batch_execute("SELECT sync_pull('woocommerce', 'customers')"),
        "55000",
    );
    allow(true);
    assert!(told.contains("not currently accepting connections"), "{told}");
}

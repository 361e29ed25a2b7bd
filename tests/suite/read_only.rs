//! In a READ ONLY transaction and on a standby nothing is written, and no worker does it instead.

use std::collections::BTreeSet;

use postgres::Client;
use sync_ext_tests::{Server, TestDb};

use crate::worker_shop::*;

/// A call of every function that reads, and of nothing else.
const READS: [(&str, &str); 30] = [
    ("sync_current_org", ""),
    ("sync_writable_org", ""),
    ("sync_worker_alive", "1"),
    ("sync_count", "1"),
    ("sync_known_kinds", ""),
    ("sync_kind_entities", "'woocommerce'"),
    ("sync_connector_entities", "'woocommerce', '{}'"),
    ("sync_binding_problem", "1::smallint"),
    ("sync_health", ""),
    ("sync_verify", "'woocommerce', 'customers'"),
    ("sync_fingerprint", "'customers', '{}'"),
    ("sync_row_fingerprint", "'customers', 'email', '{a@example.com}'"),
    ("sync_match_key", "'customers', '{}'"),
    ("sync_row_match_key", "'customers', 'email', '{a@example.com}'"),
    ("sync_diff", "'customers', '{}', '{}'"),
    ("sync_fields", "'customers'"),
    ("sync_plain", "'A'"),
    ("sync_item_entity", "'inventory'"),
    ("sync_item_is_stock", "'inventory'"),
    ("sync_own_rows", "'read'"),
    ("sync_depth", "'{}'"),
    ("sync_preview", "'woocommerce', 'customers'"),
    ("compute_delta", "'woocommerce', 'customers'"),
    ("sync_delta_stream", "'woocommerce', 'customers'"),
    ("sync_count_open", "'$org', 1, 1::smallint, 'new'"),
    ("detect_customer_delta", "'woocommerce'"),
    ("detect_product_delta", "'woocommerce'"),
    ("detect_order_delta", "'woocommerce'"),
    ("sync_category_tree", "'woocommerce'"),
    ("sync_pattern_preview", "'$pattern', 'woocommerce', 'customers'"),
];

/// The same for those that write or start a worker. `$org`, `$role` and `$pattern` stand for those of the test.
const WRITES: [(&str, &str); 30] = [
    ("sync_preview", "'woocommerce', 'customers', force_refresh => true"),
    ("sync_preview", "'woocommerce', 'orders'"),
    ("sync_verify", "'woocommerce', 'customers', repair => true"),
    ("sync_pull", "'woocommerce', 'customers'"),
    ("sync_all", "'woocommerce'"),
    ("sync_refresh_preview", "'woocommerce', 'customers'"),
    ("sync_test_connection", "'woocommerce'"),
    ("sync_reset", "'woocommerce'"),
    ("sync_maintain", ""),
    ("sync_invalidate_preview", ""),
    ("auto_cleanup_preview_cache", ""),
    ("sync_select", "'customers'"),
    ("sync_list_add_from_pattern", "'$pattern', 'woocommerce', 'customers'"),
    ("sync_delta", ""),
    ("sync_full", ""),
    ("sync_scheduled", ""),
    ("sync_settle_creation", "gen_random_uuid()"),
    ("sync_ingest_webhook", "'woocommerce', '{}', '{}'"),
    ("sync_apply", "'woocommerce', 'customers'"),
    ("sync_apply", "'woocommerce', 'all', dry_run => true"),
    ("sync_undo", "gen_random_uuid()"),
    (
        "sync_connect",
        "'woocommerce', 'http://127.0.0.1:9', '{\"consumer_key\": \"ck_1\", \"consumer_secret\": \"cs_1\"}', name => 'other'",
    ),
    ("sync_disconnect", "'woocommerce'"),
    ("sync_disconnect", "'nobody'"),
    ("sync_grant", "'$role', '$org', 'read'"),
    ("sync_revoke", "'$role', '$org'"),
    ("sync_bind", "'categories', 'sync_categories', '{}', '{id}'"),
    ("sync_unbind", "'categories'"),
    ("sync_map", "'woocommerce', 'customers', 'note', 'note'"),
    ("sync_unmap", "'woocommerce', 'customers', 'note'"),
];

struct Calls {
    reads: Vec<String>,
    writes: Vec<String>,
}

/// An organisation with customers in the ledger, a cached preview, and a pattern.
#[track_caller]
fn prepared(shop: &ConnectedShop) -> Calls {
    let mut client = shop.client();
    client
        .batch_execute("SELECT sync_preview('woocommerce', 'customers')")
        .unwrap();
    let pattern = first_value(
        &mut client,
        "INSERT INTO saved_search_patterns (name, direction, filter_config) VALUES ('all', 'pull', '{}') RETURNING id",
    )
    .unwrap();
    let call = |(name, arguments): &(&str, &str)| {
        let arguments = arguments
            .replace("$org", &shop.org.to_string())
            .replace("$role", &shop.admin)
            .replace("$pattern", &pattern);
        format!("SELECT * FROM {name}({arguments})")
    };
    Calls {
        reads: READS.iter().map(call).collect(),
        writes: WRITES.iter().map(call).collect(),
    }
}

#[track_caller]
fn assert_only_reads(client: &mut Client, calls: &Calls, before: &str) {
    let mut tried = |call: &str| {
        client.batch_execute(before).unwrap();
        let outcome = client.batch_execute(call);
        client.batch_execute("ROLLBACK").unwrap();
        outcome
    };
    for call in &calls.writes {
        let error = tried(call).expect_err(call);
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "25006", "{call}: {error:?}");
    }
    for call in &calls.reads {
        tried(call).unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
}

#[test]
fn every_function_is_known_to_read_or_to_write() {
    let db = TestDb::new();
    let known: BTreeSet<&str> = READS.iter().chain(&WRITES).map(|(name, _)| *name).collect();
    let granted = db.psql("SELECT DISTINCT object_name FROM sync_privilege WHERE object_kind = 'function'");
    let granted: BTreeSet<&str> = granted.lines().collect();
    assert_eq!(known, granted);
}

#[test]
fn a_read_only_transaction_writes_nothing_and_starts_no_worker() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let calls = prepared(&shop);
    let count = "SELECT (SELECT count(*) FROM sync_run), (SELECT count(*) FROM sync_activity_log), (SELECT count(*) FROM sync_access)";
    let (requests, rows) = (shop.sandbox.stats().requests, db.psql(count));
    let mut client = shop.client();
    assert_only_reads(&mut client, &calls, "BEGIN READ ONLY");
    client
        .batch_execute("SET default_transaction_read_only = on")
        .unwrap();
    assert_only_reads(&mut client, &calls, "BEGIN");
    let told = refused(client.batch_execute(CUSTOMERS), "25006");
    assert!(told.contains("READ WRITE"), "{told}");
    assert_eq!((shop.sandbox.stats().requests, db.psql(count)), (requests, rows));
}

#[test]
fn a_standby_answers_what_it_can_at_once_and_runs_nothing_when_it_is_promoted() {
    let server = Server::separate();
    let db = TestDb::on(&server);
    let shop = ConnectedShop::new(&db);
    let calls = prepared(&shop);
    let tables = db.psql(
        "SELECT object_name FROM sync_privilege WHERE object_kind = 'table' AND privilege = 'SELECT' AND level = 'read'",
    );
    let standby = server.standby();
    let mut client = standby
        .config(db.name())
        .user(&shop.admin)
        .options(&format!(
            "-c app.current_org_id={} -c statement_timeout=20s",
            shop.org
        ))
        .connect(postgres::NoTls)
        .unwrap();
    let (requests, runs) = (
        shop.sandbox.stats().requests,
        standby.psql(db.name(), "SELECT count(*) FROM sync_run"),
    );
    assert_only_reads(&mut client, &calls, "BEGIN");
    let told = refused(client.batch_execute(CUSTOMERS), "25006");
    assert!(told.contains("standby"), "{told}");
    for table in tables.lines() {
        client.batch_execute(&format!("SELECT * FROM {table}")).unwrap();
    }
    assert_eq!(standby.psql("postgres", "SELECT pg_promote()"), "t");
    let left = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'sync_ext worker'";
    assert_eq!(standby.psql("postgres", left), "0");
    assert_eq!(shop.sandbox.stats().requests, requests);
    assert_eq!(standby.psql(db.name(), "SELECT count(*) FROM sync_run"), runs);
    // it is a server like any other from now on
    client.batch_execute(CUSTOMERS).unwrap();
}

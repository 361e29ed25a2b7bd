//! What calls are given wrongly: nothing is taken for something else, and nobody else is blamed for it.

use serde_json::Value;
use sync_ext_tests::sqlstate;
use sync_sandbox::Version;

use crate::shop::Shop;

#[test]
fn a_null_where_there_is_no_default_is_refused_by_name() {
    let mut shop = Shop::new(Version::V11);
    for (call, argument) in [
        ("sync_connect(NULL, 'https://shop.example.com', '{}')", "kind"),
        ("sync_connect('woocommerce', NULL, '{}')", "base_url"),
        (
            "sync_connect('woocommerce', 'https://shop.example.com', NULL)",
            "credentials",
        ),
        ("sync_test_connection(NULL)", "sync_type"),
        ("sync_pull(NULL, 'customers')", "sync_type"),
        ("sync_pull('woocommerce', NULL)", "entity_type"),
        ("sync_pull('woocommerce', 'customers', NULL)", "mode"),
        ("sync_preview(NULL, 'customers')", "sync_type"),
        ("sync_preview('woocommerce', NULL)", "entity_type"),
        ("compute_delta(NULL, 'customers')", "sync_type"),
        ("compute_delta('woocommerce', NULL)", "entity_type"),
        ("sync_map('woocommerce', NULL, 'vip', 'vip')", "entity_type"),
        ("sync_all(NULL)", "sync_type"),
        ("sync_apply(NULL, 'customers')", "sync_type"),
        ("sync_apply('woocommerce', NULL)", "entity_type"),
        (
            "sync_apply('woocommerce', 'customers', dry_run => NULL)",
            "dry_run",
        ),
        (
            "sync_apply('woocommerce', 'customers', allow_mass_delete => NULL)",
            "allow_mass_delete",
        ),
        ("sync_ingest_webhook('woocommerce', NULL, '')", "headers"),
        ("sync_ingest_webhook('woocommerce', '{}', NULL)", "body"),
        ("sync_diff(NULL, '{}', '{}')", "entity_type"),
    ] {
        let error = shop.sql.batch_execute(&format!("SELECT {call}")).expect_err(call);
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "22023", "{call}: {error:?}");
        assert_eq!(error.message(), format!("{argument} must not be NULL"), "{call}");
    }
    shop.root
        .batch_execute("CREATE TABLE app (id int PRIMARY KEY, mail text); GRANT ALL ON app TO PUBLIC")
        .unwrap();
    let bind = "SELECT sync_bind('customers', 'app', '{\"email\": \"mail\"}', '{id}', tracking => NULL)";
    assert_eq!(sqlstate(shop.sql.batch_execute(bind)), "22023");
}

#[test]
fn a_connector_can_not_have_the_name_of_this_database() {
    let mut shop = Shop::new(Version::V11);
    let connect = "SELECT sync_connect('woocommerce', 'https://shop.example.com',
                                       '{\"consumer_key\": \"ck_1\", \"consumer_secret\": \"cs_1\"}', name => 'local')";
    assert_eq!(sqlstate(shop.sql.batch_execute(connect)), "22023");
}

#[test]
fn a_callers_mistake_is_no_error_of_the_connector() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    for (call, code) in [
        (
            "sync_apply('woocommerce', 'customers', preview_id => gen_random_uuid())",
            "40001",
        ),
        ("sync_pull('woocommerce', 'warehouses')", "22023"),
    ] {
        assert_eq!(sqlstate(shop.sql.batch_execute(&format!("SELECT {call}"))), code);
        let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
        assert_eq!(health["status"], "ok", "{call}: {health}");
        assert_eq!(health["connectors"][0]["lastError"], Value::Null, "{health}");
    }
}

#[test]
fn a_worker_writes_whatever_the_databases_default_is() {
    let mut shop = Shop::new(Version::V11);
    shop.db.set("default_transaction_isolation", "serializable");
    shop.db.set("default_transaction_read_only", "on");
    shop.pull("customers");
    shop.assert_mirrored("customers");
}

/// Said nothing about it, a call takes what is cached.
#[test]
fn a_preview_is_not_made_anew_for_a_null() {
    let mut shop = Shop::new(Version::V11);
    let mut preview = |force: &str| -> Value {
        let call = format!("SELECT sync_preview('woocommerce', 'customers', force_refresh => {force})");
        let row = shop.sql.query_one(&call, &[]).unwrap();
        row.get::<_, Value>(0)["cacheHit"].clone()
    };
    assert_eq!(preview("false"), false);
    assert_eq!(preview("NULL"), true);
    assert_eq!(preview("true"), false);
}

/// The connector's own rate is a limit of ours: it says nothing of the shop.
#[test]
fn a_rate_that_is_used_up_is_no_failure_of_the_connector() {
    let mut shop = Shop::new(Version::V11);
    shop.pull("customers");
    shop.root
        .batch_execute(
            "UPDATE integration_connector SET settings = settings || '{\"requests_per_second\": 0.01}', tokens = 0, tokens_at = now()",
        )
        .unwrap();
    let error = shop.try_pull("customers").unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "53400", "{error}");
    assert!(error.hint().unwrap().contains("requests_per_second"), "{error:?}");
    let health: Value = shop.sql.query_one("SELECT sync_health()", &[]).unwrap().get(0);
    assert_eq!(health["connectors"][0]["lastError"], Value::Null, "{health}");
    // what the shop has asked for is the shop's
    shop.root
        .batch_execute("UPDATE integration_connector SET blocked_until = now() + interval '10 minutes'")
        .unwrap();
    let error = shop.try_pull("customers").unwrap_err();
    assert!(
        error
            .as_db_error()
            .unwrap()
            .message()
            .contains("the remote asked"),
        "{error:?}"
    );
}

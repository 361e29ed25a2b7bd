//! The extension in a schema of its own, which nobody has in the search path.

use sync_ext_tests::{schema, sqlstate, TestDb};
use sync_sandbox::{Config, Sandbox};

use crate::worker_shop::*;

fn works_in(schema: &str) {
    let db = TestDb::new();
    db.psql("DROP EXTENSION sync_ext");
    db.psql(&format!("CREATE SCHEMA {schema}"));
    db.psql(&format!("CREATE EXTENSION sync_ext SCHEMA {schema}"));
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let (org, admin, reader) = (db.org(), db.login_role(), db.login_role());
    db.psql(&format!(
        "SELECT {schema}.sync_grant('{admin}', '{org}', 'admin')"
    ));

    let mut client = db.connect_as(&admin, org);
    assert_eq!(sqlstate(client.batch_execute("SELECT sync_health()")), "42883");
    let mut value = |sql: &str| first_value(&mut client, &sql.replace("S.", &format!("{schema}."))).unwrap();
    value(&format!(
        "SELECT S.sync_connect('woocommerce', '{}', '{{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}}')",
        sandbox.url()
    ));
    assert!(value("SELECT S.sync_test_connection('woocommerce')").contains("ok"));
    assert!(value("SELECT S.sync_pull('woocommerce', 'customers')").contains("\"records\": 300"));
    assert!(value("SELECT S.sync_preview('woocommerce', 'customers')").contains("\"count\": 300"));

    // the triggers of the local table carry a new row to the ledger, and link it
    value("INSERT INTO S.sync_customers (email) SELECT match_key FROM S.sync_record WHERE match_key IS NOT NULL LIMIT 1");
    assert_eq!(
        value("SELECT count(*) FROM S.sync_changes WHERE change = 'new'"),
        "299"
    );
    assert_eq!(
        value("SELECT count(*) FROM S.compute_delta('woocommerce', 'customers')"),
        "300"
    );
    value("DELETE FROM S.sync_customers");
    assert_eq!(
        value("SELECT count(*) FROM S.sync_changes WHERE change = 'new'"),
        "300"
    );
    assert_eq!(
        value("SELECT count(*) FROM S.sync_verify('woocommerce', 'customers')"),
        "0"
    );

    value("INSERT INTO S.sync_progress (sync_id, entity_type, total_items, processed_count) VALUES ('x', 'customer', 4, 1)");
    assert_eq!(
        value("SELECT percent_complete FROM S.sync_progress WHERE sync_id = 'x'"),
        "25"
    );
    assert!(value("SELECT S.sync_health()").contains("\"status\": \"ok\""));
    value("SELECT S.sync_maintain()");
    value("SELECT S.sync_select('customers')");
    value("SELECT S.sync_invalidate_preview()");
    value("SELECT S.sync_reset('woocommerce', 'customers')");

    value(&format!("SELECT S.sync_grant('{reader}', '{org}', 'read')"));
    let count = format!("SELECT count(*) FROM {schema}.sync_connectors");
    assert_eq!(
        first_value(&mut db.connect_as(&reader, org), &count).unwrap(),
        "1"
    );
    value(&format!("SELECT S.sync_revoke('{reader}', '{org}')"));
    refused(first_value(&mut db.connect_as(&reader, org), &count), "42501");
    value("SELECT S.sync_disconnect('woocommerce')");
    db.psql("DROP EXTENSION sync_ext CASCADE");
}

#[test]
fn the_extension_works_in_a_schema_outside_the_search_path() {
    works_in("shop");
}

#[test]
fn the_extension_works_in_a_schema_whose_name_must_be_quoted() {
    works_in("\"My Shop, 2\"");
}

#[test]
fn a_schema_that_everybody_may_write_is_warned_of() {
    let db = TestDb::new();
    db.psql("DROP EXTENSION sync_ext");
    let warned = |schema: &str| {
        let mark = db.server().log_mark();
        db.psql(&format!("CREATE EXTENSION sync_ext SCHEMA {schema}"));
        db.psql("DROP EXTENSION sync_ext");
        let warning = format!("everybody may create functions in schema {schema}");
        db.server().log_since(mark).contains(&warning)
    };
    db.psql("CREATE SCHEMA closed_one");
    assert!(!warned("closed_one"));
    db.psql("CREATE SCHEMA open_one");
    db.psql("GRANT CREATE ON SCHEMA open_one TO PUBLIC");
    assert!(warned("open_one"));
}

/// Every function that a level may call, by its full name, in an order in which each has something to do.
const CALLS: &[&str] = &[
    "S.sync_current_org()",
    "S.sync_writable_org()",
    "S.sync_own_rows('read')",
    "S.sync_item_entity('inventory')",
    "S.sync_item_is_stock('inventory')",
    "S.sync_worker_alive(1)",
    "S.sync_known_kinds()",
    "S.sync_kind_entities('woocommerce')",
    "S.sync_connector_entities('woocommerce', '{}')",
    "S.sync_fields('customers')",
    "S.sync_plain('<b>x</b>')",
    "S.sync_depth('{}')",
    "S.sync_count(1)",
    "S.sync_fingerprint('customers', '{\"email\": \"a@example.com\"}')",
    "S.sync_row_fingerprint('customers:email', 'email', '{a@example.com}')",
    "S.sync_match_key('customers', '{\"email\": \"a@example.com\"}')",
    "S.sync_row_match_key('customers:email', 'email', '{a@example.com}')",
    "S.sync_diff('customers:email', '{\"email\": \"a\"}', '{\"email\": \"b\"}')",
    "S.sync_connect('woocommerce', 'URL', '{\"consumer_key\": \"ck_rw\", \"consumer_secret\": \"cs_rw\"}', settings => '{\"requests_per_second\": 1000}')",
    "S.sync_test_connection('woocommerce')",
    "S.sync_bind('customers', 'app.people', '{\"email\": \"mail\"}', '{id}')",
    "S.sync_binding_problem(1::int2)",
    "S.sync_map('woocommerce', 'customers', 'vat', 'meta_data.vat')",
    "S.sync_unmap('woocommerce', 'customers', 'vat')",
    "S.sync_select('customers')",
    "S.sync_pull('woocommerce', 'customers')",
    "S.sync_preview('woocommerce', 'customers')",
    "S.sync_refresh_preview('woocommerce', 'customers')",
    "S.compute_delta('woocommerce', 'customers')",
    "S.sync_delta_stream('woocommerce', 'customers')",
    "S.sync_count_open('ORG', 1, 1::int2, 'new')",
    "S.detect_customer_delta('woocommerce')",
    "S.detect_product_delta('woocommerce')",
    "S.detect_order_delta('woocommerce')",
    "S.sync_apply('woocommerce', 'customers')",
    "S.sync_verify('woocommerce', 'customers')",
    "S.sync_undo((SELECT id FROM S.sync_history LIMIT 1))",
    "S.sync_unbind('customers')",
    "S.sync_all('woocommerce')",
    "S.sync_category_tree('woocommerce')",
    "S.sync_pattern_preview((SELECT id FROM S.saved_search_patterns), 'woocommerce', 'customers')",
    "S.sync_list_add_from_pattern((SELECT id FROM S.saved_search_patterns), 'woocommerce', 'customers')",
    "S.sync_delta()",
    "S.sync_full()",
    "S.sync_scheduled()",
    "S.sync_health()",
    "S.sync_invalidate_preview()",
    "S.auto_cleanup_preview_cache()",
    "S.sync_reset('woocommerce', 'customers')",
    "S.sync_maintain()",
    "S.sync_grant('OTHER', 'ORG', 'read')",
    "S.sync_revoke('OTHER', 'ORG')",
    "S.sync_disconnect('woocommerce')",
];

/// What would be called instead, if any of them looked where the session says.
const TRAPS: &str = "
CREATE FUNCTION evil.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap'; END $$;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap'; END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap'; END $$;
CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap'; END $$;
CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = text, RIGHTARG = text);
CREATE TABLE evil.sync_record (trap int); CREATE TABLE evil.sync_layout (trap int); CREATE TABLE evil.integration_connector (trap int);
CREATE TABLE evil.sync_access (trap int)";

#[test]
fn every_function_works_by_its_full_name_whatever_the_search_path() {
    let db = TestDb::new();
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let (org, other) = (db.org(), db.login_role());
    let admin = db.role("admin", org);
    let functions = db.psql("SELECT DISTINCT object_name FROM sync_privilege WHERE object_kind = 'function'");
    // these two need a signed delivery, and a creation whose answer was lost
    let needy = ["sync_ingest_webhook", "sync_settle_creation"];
    for function in functions.lines().filter(|name| !needy.contains(name)) {
        let call = format!("S.{function}(");
        assert!(
            CALLS.iter().any(|line| line.starts_with(&call)),
            "{function} is missing here"
        );
    }
    db.psql(&format!(
        "CREATE SCHEMA app AUTHORIZATION {admin}; CREATE SCHEMA evil AUTHORIZATION {admin}; SET ROLE {admin};
         CREATE TABLE app.people (id bigserial PRIMARY KEY, mail text); {TRAPS}"
    ));
    let mut client = db.connect_as(&admin, org);
    client
        .batch_execute(
            "INSERT INTO saved_search_patterns (name) VALUES ('all'); SET search_path = evil, pg_catalog",
        )
        .unwrap();
    for line in CALLS {
        let call = line
            .replace("S.", &format!("{}.", schema()))
            .replace("URL", &sandbox.url())
            .replace("OTHER", &other)
            .replace("ORG", &org.to_string());
        client
            .batch_execute(&format!("SELECT * FROM {call}"))
            .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    }
}

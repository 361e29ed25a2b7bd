//! The extension in a schema of its own, which nobody has in the search path.

use sync_ext_tests::{sqlstate, TestDb};
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
        "25.00"
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

//! Two organisations in one database: neither learns anything of the other.

use postgres::fallible_iterator::FallibleIterator;
use postgres::Client;
use sync_ext_tests::TestDb;
use uuid::Uuid;

use crate::worker_shop::*;

/// In every text that belongs to the second organisation.
const THEIRS: &str = "belongs-to-b";

/// Every table and view of the extension, partitions too.
/// All but the view of what the extension itself can connect.
const RELATIONS: &str = "SELECT quote_ident(relname) FROM pg_class
    WHERE relnamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'sync_ext') AND relkind IN ('r', 'p', 'v')
      AND relname <> 'sync_kinds'
    ORDER BY 1";

/// One call of each function that asks which organisation it works for.
const CALLS: &[&str] = &[
    "sync_binding_problem(1::smallint)",
    "sync_pull('mine', 'customers')",
    "sync_all('mine')",
    "sync_ingest_webhook('mine', '{}', 'webhook_id=1')",
    "sync_refresh_preview('mine', 'customers')",
    "sync_preview('mine', 'customers')",
    "sync_preview('mine', 'customers', true)",
    "sync_test_connection('mine')",
    "compute_delta('mine', 'customers')",
    "sync_delta_stream('mine', 'customers')",
    "sync_category_tree('mine')",
    "detect_customer_delta('mine')",
    "detect_product_delta('mine')",
    "detect_order_delta('mine')",
    "sync_health()",
    "sync_verify('mine', 'customers')",
    "sync_invalidate_preview()",
    "sync_select('customers')",
    "sync_reset('mine', 'customers')",
    "sync_delta()",
    "sync_full()",
    "sync_settle_creation('00000000-0000-4000-8000-000000000000')",
    "sync_pattern_preview('00000000-0000-4000-8000-000000000000', 'mine', 'customers')",
    "sync_list_add_from_pattern('00000000-0000-4000-8000-000000000000', 'mine', 'customers')",
    "sync_bind('customers', 'sync_customers', '{\"email\": \"email\"}', '{id}')",
    "sync_unbind('customers')",
    "sync_apply('mine', 'customers')",
    "sync_undo('00000000-0000-4000-8000-000000000000')",
    "sync_map('mine', 'customers', 'vat', 'meta_data.vat')",
    "sync_unmap('mine', 'customers', 'vat')",
    "sync_connect('woocommerce', 'https://shop.example.com', '{\"consumer_key\": \"ck_x\", \"consumer_secret\": \"cs_x\"}', 'mine')",
    "sync_disconnect('mine')",
];

/// Two shops, `a` and `b`; b has rows in every table, with a mark in each.
fn two_shops<'a>(db: &'a TestDb<'a>) -> (ConnectedShop<'a>, ConnectedShop<'a>) {
    let (a, b) = (ConnectedShop::new(db), ConnectedShop::new(db));
    let named = |shop: &ConnectedShop, name: &str| {
        let connect = shop
            .connect_sql()
            .replace("settings =>", &format!("name => '{name}', settings =>"));
        shop.client()
            .batch_execute(&format!("SELECT sync_disconnect('woocommerce'); {connect}"))
            .unwrap();
    };
    named(&a, "mine");
    named(&b, THEIRS);
    a.client()
        .batch_execute("SELECT sync_pull('mine', 'customers')")
        .unwrap();
    b.client()
        .batch_execute(&format!(
            "INSERT INTO sync_customers (email, first_name) VALUES ('{THEIRS}@example.com', '{THEIRS}');
             INSERT INTO sync_products (sku, name) VALUES ('{THEIRS}', '{THEIRS}');
             INSERT INTO sync_progress (sync_id, entity_type, total_items) VALUES ('{THEIRS}', 'customer', 10);
             INSERT INTO sync_activity_log (activity_type, details) VALUES ('{THEIRS}', '{{\"of\": \"{THEIRS}\"}}');
             SELECT sync_select('customers');
             INSERT INTO saved_search_patterns (name) VALUES ('{THEIRS}');
             INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customers', '{THEIRS}', '{THEIRS}');
             SELECT sync_preview('{THEIRS}', 'customers');
             SELECT sync_pull('{THEIRS}', 'categories')",
        ))
        .unwrap();
    let _ = b
        .client()
        .batch_execute(&format!("SELECT sync_pull('{THEIRS}', 'warehouses')"));
    (a, b)
}

fn relations(db: &TestDb) -> Vec<String> {
    let rows = db.client().query(RELATIONS, &[]).unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// All rows of a relation as text; none where it may not be read.
fn rows_of(client: &mut Client, relation: &str) -> Vec<String> {
    match client.query(&format!("SELECT t::text FROM {relation} t"), &[]) {
        Ok(rows) => rows.iter().map(|row| row.get(0)).collect(),
        Err(error) => {
            assert_eq!(error.code().unwrap().code(), "42501", "{relation}: {error:?}");
            Vec::new()
        }
    }
}

#[test]
fn no_table_and_no_view_shows_the_other_organisations_rows() {
    let db = TestDb::new();
    let (a, b) = two_shops(&db);
    let theirs = b.org.to_string();
    let mut superuser = db.client();
    let mut shown = 0;
    for relation in relations(&db) {
        for level in ["read", "operate", "admin"] {
            let mut client = db.connect_as(&db.role(level, a.org), a.org);
            for row in rows_of(&mut client, &relation) {
                assert!(
                    !row.contains(&theirs) && !row.contains(THEIRS),
                    "{relation}: {row}"
                );
            }
        }
        shown += i32::from(
            rows_of(&mut superuser, &relation)
                .iter()
                .any(|row| row.contains(&theirs)),
        );
    }
    assert!(
        shown >= 9,
        "the other organisation has rows to hide in {shown} tables"
    );
}

#[test]
fn a_function_in_the_query_sees_no_row_before_the_policies_do() {
    let db = TestDb::new();
    let (a, b) = two_shops(&db);
    let mut client = a.client();
    client
        .batch_execute(&format!(
            "CREATE FUNCTION pg_temp.peek(row_text text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
             BEGIN
                 IF row_text LIKE '%{0}%' OR row_text LIKE '%{THEIRS}%' THEN RAISE EXCEPTION 'seen: %', row_text; END IF;
                 RETURN true;
             END $$",
            b.org
        ))
        .unwrap();
    for relation in relations(&db) {
        let peek = format!("SELECT count(*) FROM {relation} t WHERE pg_temp.peek(t::text)");
        if let Err(error) = client.batch_execute(&peek) {
            assert_eq!(error.code().unwrap().code(), "42501", "{relation}: {error:?}");
        }
    }
    db.client().batch_execute("ANALYZE").unwrap();
    let guesses: i64 = client
        .query_one("SELECT count(*) FROM pg_stats WHERE tablename LIKE 'sync%'", &[])
        .unwrap()
        .get(0);
    assert_eq!(
        guesses, 0,
        "the planner's statistics hold samples of everybody's rows"
    );
}

#[test]
fn naming_another_organisation_gains_an_ungranted_role_nothing() {
    let db = TestDb::new();
    let (a, b) = two_shops(&db);
    for level in ["read", "operate", "admin"] {
        let mut intruder = db.connect_as(&db.role(level, a.org), b.org);
        for relation in relations(&db) {
            assert!(rows_of(&mut intruder, &relation).is_empty(), "{relation}");
        }
        for call in CALLS {
            let told = refused(intruder.batch_execute(&format!("SELECT {call}")), "42501");
            assert!(!told.contains(THEIRS), "{told}");
        }
    }
    assert_eq!(b.pull_named(THEIRS), 250);
}

#[test]
fn without_an_organisation_there_are_no_rows_and_calls_say_28000() {
    let db = TestDb::new();
    let (_a, _b) = two_shops(&db);
    let anybody = db.role("admin", None);
    for unset in ["RESET app.current_org_id", "SET app.current_org_id = ''"] {
        let mut client = db.connect_as(&anybody, None);
        client.batch_execute(unset).unwrap();
        for relation in relations(&db) {
            assert!(rows_of(&mut client, &relation).is_empty(), "{relation}");
        }
        for call in CALLS {
            let told = refused(client.batch_execute(&format!("SELECT {call}")), "28000");
            assert!(told.contains("app.current_org_id"), "{told}");
        }
    }
}

#[test]
fn an_organisation_that_is_no_uuid_is_refused() {
    let db = TestDb::new();
    let anybody = db.role("admin", None);
    let mut client = db.connect_as(&anybody, None);
    for garbage in ["1", "' OR true --", "00000000-0000-0000-0000-00000000000", "é"] {
        let set = format!(
            "SELECT set_config('app.current_org_id', {}, false)",
            literal(garbage)
        );
        client.batch_execute(&set).unwrap();
        for call in CALLS {
            refused(client.batch_execute(&format!("SELECT {call}")), "22023");
        }
        refused(client.batch_execute("SELECT * FROM sync_customers"), "22023");
    }
}

#[test]
fn the_calls_above_are_all_that_there_are() {
    let db = TestDb::new();
    let without_organisation = [
        "sync_current_org",
        "sync_writable_org",
        "sync_raw_org",
        "sync_caller",
        "sync_role_has",
        "sync_level_rank",
        "sync_worker_alive",
        "sync_count",
        "sync_fingerprint",
        "sync_row_fingerprint",
        "sync_match_key",
        "sync_row_match_key",
        "sync_fields",
        "sync_diff",
        "sync_known_kinds",
        "sync_kind_entities",
        "sync_connector_entities",
        "sync_plain",
        "sync_depth",
        // with the caller's own rights on the ledger
        "sync_count_open",
        "sync_item_entity",
        "sync_item_is_stock",
        "sync_own_rows",
        "sync_scheduled",
        "auto_cleanup_preview_cache",
        "sync_maintain",
        "sync_grant",
        "sync_revoke",
    ];
    let names = db.psql("SELECT DISTINCT object_name FROM sync_privilege WHERE object_kind = 'function'");
    for name in names.lines().filter(|name| !without_organisation.contains(name)) {
        assert!(
            CALLS.iter().any(|call| call.starts_with(&format!("{name}("))),
            "{name} is not called"
        );
    }
}

#[test]
fn nobody_writes_into_another_organisation() {
    let db = TestDb::new();
    let (a, b) = two_shops(&db);
    let before = db.psql(&format!(
        "SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM sync_customers c WHERE org_id = '{}'",
        b.org
    ));
    let mut client = a.client();
    client
        .batch_execute("INSERT INTO sync_customers (first_name) VALUES ('mine')")
        .unwrap();
    for intrusion in [
        format!(
            "INSERT INTO sync_customers (org_id, first_name) VALUES ('{}', 'intruder')",
            b.org
        ),
        format!("UPDATE sync_customers SET org_id = '{}'", b.org),
        format!(
            "INSERT INTO sync_progress (org_id, sync_id, entity_type) VALUES ('{}', 'x', 'customer')",
            b.org
        ),
        format!(
            "INSERT INTO sync_activity_log (org_id, activity_type) VALUES ('{}', 'x')",
            b.org
        ),
        format!(
            "INSERT INTO sync_preview_cache (org_id, sync_type, delta_data) VALUES ('{}', 'x', '{{}}')",
            b.org
        ),
        "TRUNCATE sync_customers".to_string(),
        "UPDATE sync_record SET remote = NULL".to_string(),
        "DELETE FROM sync_run".to_string(),
        "UPDATE integration_connector SET base_url = 'https://evil.example.com'".to_string(),
    ] {
        refused(client.batch_execute(&intrusion), "42501");
    }
    for harmless in [
        "UPDATE sync_customers SET first_name = 'all'",
        "DELETE FROM sync_customers",
        "SELECT auto_cleanup_preview_cache()",
    ] {
        client.batch_execute(harmless).unwrap();
    }
    let after = db.psql(&format!(
        "SELECT md5(string_agg(c::text, '' ORDER BY id)) FROM sync_customers c WHERE org_id = '{}'",
        b.org
    ));
    assert_eq!(before, after);
}

#[test]
fn a_name_of_the_others_connector_is_as_unknown_as_any() {
    let db = TestDb::new();
    let (a, _b) = two_shops(&db);
    let mut client = a.client();
    for call in CALLS
        .iter()
        .filter(|call| call.contains("'mine'") && !call.starts_with("sync_connect"))
    {
        let theirs = refused(
            client.batch_execute(&format!("SELECT {}", call.replace("mine", THEIRS))),
            "42704",
        );
        let unknown = refused(
            client.batch_execute(&format!("SELECT {}", call.replace("mine", "nobodys"))),
            "42704",
        );
        // but for the ids of the two requests
        let said = |answer: &str| -> Vec<String> {
            let lines = answer.lines().filter(|line| !line.starts_with("requestId: "));
            lines.map(|line| line.replace(THEIRS, "nobodys")).collect()
        };
        assert_eq!(said(&theirs), said(&unknown));
    }
}

#[test]
fn an_expired_preview_is_cleaned_up_only_where_the_caller_may() {
    let db = TestDb::new();
    let (a, b) = two_shops(&db);
    db.psql("UPDATE sync_preview_cache SET expires_at = now() - interval '1 hour'");
    let cleaned = |client: &mut Client| first_value(client, "SELECT auto_cleanup_preview_cache()").unwrap();
    assert_eq!(cleaned(&mut a.client()), "0");
    assert_eq!(cleaned(&mut b.client()), "1");
}

#[test]
fn notifications_carry_ids_and_nothing_else() {
    let db = TestDb::new();
    let (a, b) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let mut listener = a.client();
    listener.batch_execute("LISTEN sync_progress").unwrap();
    b.pull();
    let mut notifications = listener.notifications();
    let mut heard = notifications.timeout_iter(PATIENCE);
    let first = heard.next().unwrap().expect("a pull is announced");
    let payload: serde_json::Value = serde_json::from_str(first.payload()).unwrap();
    let keys: Vec<_> = payload.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["org_id", "sync_id"]);
}

#[test]
fn a_trusted_backend_works_for_any_organisation_but_one_at_a_time() {
    let db = TestDb::new();
    let (a, b) = (ConnectedShop::new(&db), ConnectedShop::new(&db));
    let backend = db.role("operate", None);
    for shop in [&a, &b] {
        let mut client = db.connect_as(&backend, shop.org);
        client.batch_execute(CUSTOMERS).unwrap();
        let orgs: Vec<Uuid> = client
            .query("SELECT DISTINCT org_id FROM sync_record", &[])
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(orgs, [shop.org]);
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl ConnectedShop<'_> {
    fn pull_named(&self, name: &str) -> i64 {
        let row = self.client().query_one(
            "SELECT (sync_pull($1, 'customers') ->> 'records')::bigint",
            &[&name],
        );
        row.unwrap().get(0)
    }
}

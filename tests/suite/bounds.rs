//! What is out of bounds is refused when it is written, by name of the bound, and stops nobody else.

use sync_ext_tests::TestDb;
use sync_sandbox::Version;

use crate::shop::Shop;
use crate::worker_shop::{first_value, refused, ConnectedShop, CUSTOMERS};

#[test]
fn columns_that_an_app_writes_have_bounds() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    let item = |columns: &str, values: &str| {
        format!(
            "INSERT INTO sync_list (item_type, source_platform, source_id, {columns}) VALUES ('customer', 'woocommerce', '1', {values})"
        )
    };
    let progress = |columns: &str, values: &str| {
        format!("INSERT INTO sync_progress (entity_type, {columns}) VALUES ('customer', {values})")
    };
    let log = |column: &str, value: &str| {
        format!("INSERT INTO sync_activity_log (activity_type, {column}) VALUES ('a', {value})")
    };
    let history = |column: &str, value: &str| {
        format!(
            "INSERT INTO sync_history (sync_type, status, {column}) VALUES ('manual', 'completed', {value})"
        )
    };
    let preview = |expires: &str| {
        format!("INSERT INTO sync_preview_cache (sync_type, delta_data, expires_at) VALUES ('mine', '{{}}', {expires})")
    };
    let pattern = |filter: &str| {
        format!("INSERT INTO saved_search_patterns (name, filter_config) VALUES ('p', {filter})")
    };
    for (statement, code, told) in [
        (item("source_modified_at", "'infinity'"), "23514", "source_modified_at_in_years_1_to_9999"),
        (item("source_modified_at", "'10000-01-01'"), "23514", "source_modified_at_in_years_1_to_9999"),
        (item("source_modified_at", "'4000-01-01 BC'"), "23514", "source_modified_at_in_years_1_to_9999"),
        (item("fields", "'{{email,name}}'"), "23514", "fields_is_one_list_of_up_to_1000"),
        (item("fields", "array_fill('email'::text, ARRAY[1001])"), "23514", "fields_is_one_list_of_up_to_1000"),
        (item("business_days", "'{{1,2}}'"), "23514", "business_days_is_one_list_of_up_to_1000"),
        (item("next_due_at", "'-infinity'"), "23514", "next_due_at_in_years_1_to_9999"),
        (item("schedule_interval", "'170000000 years'"), "23514", "schedule_interval_up_to_10_years"),
        (item("target_id", "repeat('1', 100000)"), "23514", "target_id_up_to_255_characters"),
        (item("user_id", "repeat('u', 256)"), "23514", "user_id_up_to_255_characters"),
        (item("business_days", "array_fill(1, ARRAY[1000])"), "23514", "business_days_up_to_7"),
        (
            "INSERT INTO sync_list (item_type, source_platform, source_id) VALUES ('customer', 'woocommerce', repeat('1', 100000))".into(),
            "23514",
            "source_id_up_to_255_characters",
        ),
        (progress("sync_id", "repeat('x', 9000)"), "22023", "up to 255 characters"),
        (progress("sync_id, current_item", "'a', repeat('x', 10001)"), "22023", "current_item 10,000"),
        (progress("sync_id, total_items, skipped_count", "'a', 2147483647, 2147483648"), "22003", "out of range"),
        (
            progress(
                "sync_id, total_items, processed_count, failed_count",
                "'a', 2147483647, 2147483647, 2147483647",
            ),
            "23514",
            "sync_progress_counts",
        ),
        (progress("sync_id, started_at", "'a', '-infinity'"), "22023", "times are finite"),
        (progress("sync_id, completed_at", "'a', 'infinity'"), "22023", "times are finite"),
        (
            "INSERT INTO sync_activity_log (activity_type, sync_id) VALUES ('a', repeat('x', 9000))".into(),
            "23514",
            "sync_id_up_to_255_characters",
        ),
        (
            "INSERT INTO sync_preview_cache (sync_type, delta_data, cache_key) VALUES ('a', '{}', repeat('x', 9000))".into(),
            "23514",
            "cache_key_up_to_255_characters",
        ),
        (
            "INSERT INTO sync_selective_config (entity_type, config) VALUES ('customers', '{\"includeNew\": \"perhaps\"}')".into(),
            "22023",
            "\"includeNew\" of customers must be true or false",
        ),
        (item("metadata", "(repeat('[', 65) || repeat(']', 65))::jsonb"), "23514", "metadata_up_to_64_levels"),
        (
            "INSERT INTO sync_activity_log (activity_type, details) VALUES ('a', (repeat('[', 5000) || repeat(']', 5000))::jsonb)".into(),
            "23514",
            "details_up_to_64_levels",
        ),
        (log("created_at", "'infinity'"), "23514", "created_at_in_years_1_to_9999"),
        (log("created_at", "'-infinity'"), "23514", "created_at_in_years_1_to_9999"),
        (log("created_at", "'294276-12-31'"), "23514", "created_at_in_years_1_to_9999"),
        (log("duration_seconds", "'NaN'"), "23514", "duration_seconds_is_finite"),
        (log("duration_seconds", "'-infinity'"), "23514", "duration_seconds_is_finite"),
        (history("created_at", "'infinity'"), "23514", "created_at_in_years_1_to_9999"),
        (history("created_at", "'4713-01-01 BC'"), "23514", "created_at_in_years_1_to_9999"),
        (history("user_id", "repeat('u', 256)"), "23514", "user_id_up_to_255_characters"),
        (history("metadata", "(repeat('[', 65) || repeat(']', 65))::jsonb"), "23514", "metadata_up_to_64_levels"),
        (preview("'-infinity'"), "23514", "expires_at_in_years_1_to_9999_or_infinity"),
        (preview("'10000-01-01 00:00+00'"), "23514", "expires_at_in_years_1_to_9999_or_infinity"),
        (pattern("jsonb_build_object('text', repeat('word ', 100000))"), "22023", "at most 1,000 characters"),
        (pattern("jsonb_build_object('text', repeat('a ', 51))"), "22023", "at most 50 words"),
        (pattern("jsonb_build_object('sku', to_jsonb(array_fill('a'::text, ARRAY[101])))"), "22023", "at most 100 texts"),
        (pattern("jsonb_build_object('ids', to_jsonb(array_fill('a'::text, ARRAY[10001])))"), "22023", "at most 10000 texts"),
        (pattern("jsonb_build_object('email', repeat('a', 256))"), "22023", "at most 255 characters"),
    ] {
        let answer = refused(client.batch_execute(&statement), code);
        assert!(answer.contains(told), "{statement}: {answer}");
    }
    // what is at the bound is taken
    for statement in [
        item("schedule_interval, user_id, metadata", "'10 years', repeat('u', 255), (repeat('[', 64) || repeat(']', 64))::jsonb"),
        progress("sync_id, total_items, processed_count", "repeat('x', 255), 2147483647, 2147483647"),
        log("created_at", "'9999-12-31'"),
        history("created_at, user_id, metadata", "'0001-01-02', repeat('u', 255), (repeat('[', 64) || repeat(']', 64))::jsonb"),
        preview("'infinity'"),
        pattern("jsonb_build_object('text', repeat('a ', 50), 'sku', to_jsonb(array_fill('a'::text, ARRAY[100])))"),
    ] {
        client.batch_execute(&statement).unwrap();
    }
    // what is kept for good is kept, and what an app has entered long ago is old
    client
        .batch_execute("SELECT auto_cleanup_preview_cache(), sync_maintain()")
        .unwrap();
    let left = "SELECT concat_ws(' ', (SELECT count(*) FROM sync_preview_cache), (SELECT count(*) FROM sync_history))";
    assert_eq!(first_value(&mut client, left).unwrap(), "1 0");
}

#[test]
fn settings_of_a_connector_have_bounds() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    let connect = |name: &str, settings: &str| {
        format!(
            r#"SELECT sync_connect('woocommerce', 'http://127.0.0.1:9', '{{"consumer_key": "ck_1", "consumer_secret": "cs_1"}}',
                                   name => {name}, settings => {settings})"#
        )
    };
    for (settings, told) in [
        (r#"'{"requests_per_second": 1e-300}'"#, "0.01 to 10000"),
        (r#"'{"requests_per_second": 1e308}'"#, "0.01 to 10000"),
        (r#"'{"requests_per_second": 0.009}'"#, "0.01 to 10000"),
        (r#"'{"timeout": 1e-300}'"#, "0.1 to 600"),
        (r#"'{"timeout": 601}'"#, "0.1 to 600"),
        (r#"'{"compare_limit": 18446744073709551615}'"#, "0 to 1000000000"),
        (
            "jsonb_build_object('customer_role', repeat('x', 70000))",
            "65536 are the most",
        ),
    ] {
        let answer = refused(client.batch_execute(&connect("'other'", settings)), "22023");
        assert!(answer.contains(told), "{settings}: {answer}");
    }
    for settings in [
        r#"'{"requests_per_second": 0.01, "timeout": 0.1}'"#,
        r#"'{"requests_per_second": 10000}'"#,
    ] {
        client.batch_execute(&connect("'other'", settings)).unwrap();
    }
    let answer = refused(
        client.batch_execute(&connect("repeat('x', 1000000)", "'{}'")),
        "22023",
    );
    assert!(answer.contains("100 are the most"), "{answer}");
    client
        .batch_execute(&connect("repeat('é', 100)", "'{}'"))
        .unwrap();
    for call in [
        "SELECT sync_pull(repeat('x', 1000000), 'customers')",
        "SELECT sync_test_connection(repeat('x', 101))",
        "SELECT sync_all(repeat('x', 101))",
    ] {
        refused(client.batch_execute(call), "42704");
    }
    let superuser = "LOAD 'sync_ext'; SET sync_ext.activity_retention = '170000000 years'";
    refused(db.client().batch_execute(superuser), "22023");
    // nobody was kept from anything
    client.batch_execute(CUSTOMERS).unwrap();
}

#[test]
fn a_call_takes_so_much_and_no_more() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut client = shop.client();
    let objects = |n: u32| {
        format!(
            "jsonb_build_object('custom', (SELECT jsonb_agg('{{}}'::jsonb) FROM generate_series(1, {n})))"
        )
    };
    for function in [
        "sync_fingerprint('customers', RECORD)",
        "sync_match_key('customers', RECORD)",
        "sync_diff('customers', RECORD, '{}')",
    ] {
        let call = |n| format!("SELECT {}", function.replace("RECORD", &objects(n)));
        let answer = refused(client.batch_execute(&call(100_000)), "54000");
        assert!(answer.contains("more than 100000 values"), "{answer}");
        client.batch_execute(&call(99_998)).unwrap();
    }
    for path in [
        "repeat('a.', 99999) || 'a'",
        "repeat('a.', 16) || 'a'",
        "repeat('a', 256)",
    ] {
        let map = format!("SELECT sync_map('woocommerce', 'customers', 'vat', {path})");
        let answer = refused(client.batch_execute(&map), "22023");
        assert!(answer.contains("up to 16 parts"), "{answer}");
    }
    let map = "SELECT sync_map('woocommerce', 'customers', 'vat', repeat('a.', 15) || 'a')";
    client.batch_execute(map).unwrap();
}

#[test]
fn a_role_that_is_not_there_is_named_and_none_of_our_sql() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let grant = format!("SELECT sync_grant('1234567890'::regrole, '{}', 'read')", shop.org);
    let told = refused(shop.client().batch_execute(&grant), "42704");
    assert!(told.contains("1234567890"), "{told}");
    // what a role had that was dropped can be taken back
    let gone = format!(
        "INSERT INTO sync_access VALUES ('1234567890'::regrole, '{}', 'read')",
        shop.org
    );
    db.psql(&gone);
    let revoke = format!("SELECT sync_revoke('1234567890'::regrole, '{}')", shop.org);
    shop.client().batch_execute(&revoke).unwrap();
}

#[test]
fn an_error_of_any_length_comes_back_from_a_worker() {
    let mut shop = Shop::new(Version::V11);
    let role: String = shop
        .sql
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    shop.root
        .batch_execute(&format!(
            "CREATE SCHEMA crm AUTHORIZATION {role}; SET ROLE {role};
             CREATE TABLE crm.said (id int PRIMARY KEY, slug text);
             CREATE FUNCTION crm.talk(slug text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
                 RAISE EXCEPTION USING ERRCODE = 'MY001', MESSAGE = repeat('m', 1000000), DETAIL = repeat('d', 1000000); END $$;
             CREATE VIEW crm.talking AS SELECT id, crm.talk(slug) AS slug FROM crm.said"
        ))
        .unwrap();
    shop.sql
        .batch_execute(
            r#"SELECT sync_bind('categories', 'crm.talking', '{"slug": "slug"}', '{id}', tracking => 'scan');
               INSERT INTO crm.said VALUES (1, 'a')"#,
        )
        .unwrap();
    let told = refused(
        shop.sql
            .batch_execute("SELECT sync_preview('woocommerce', 'categories')"),
        "MY001",
    );
    assert!(told.starts_with("mmm") && told.len() < 10_000, "{}", told.len());
}

//! What apps are promised: names, columns, defaults, and statements as they are written down.

use postgres::types::Type;
use sync_ext_tests::{schema, sqlstate, TestDb};
use uuid::Uuid;

use crate::contract_app::text;
use crate::worker_shop::ConnectedShop;

/// Tables and what has to be in them, in the order of the design.
const COLUMNS: &[(&str, &str)] = &[
    ("integration_connector", "id org_id name kind base_url settings credentials is_active last_ok_at last_error created_at updated_at"),
    ("sync_record", "org_id connector entity external_id match_key local_id remote remote_fingerprint local_fingerprint agreed_fingerprint change remote_modified_at seen_at"),
    ("sync_preview_cache", "id org_id sync_type entity_type delta_data computed_by cache_key computed_at expires_at created_at updated_at"),
    ("sync_selective_config", "id org_id entity_type config created_at updated_at"),
    ("sync_activity_log", "id org_id sync_id entity_type activity_type status details error_message record_count duration_seconds user_id created_at"),
    ("sync_progress", "id org_id sync_id entity_type source_system status phase total_items processed_count failed_count skipped_count current_item initiated_by started_at updated_at completed_at elapsed_seconds speed_items_per_min eta_seconds percent_complete"),
    ("sync_metadata", "org_id sync_type data_type last_sync_timestamp last_sync_count sync_status error_message checkpoint created_at updated_at"),
    ("saved_search_patterns", "id org_id user_id name description direction filter_config created_at updated_at"),
    ("sync_list", "id org_id user_id item_type source_platform target_platform source_id target_id sync_mode is_active priority last_synced_at last_sync_status error_message filter_config metadata created_at updated_at"),
    ("sync_idempotency_log", "org_id idempotency_key state result created_at"),
    ("sync_history", "id org_id user_id sync_type status items_processed items_created items_updated items_deleted items_failed duration_ms metadata created_at"),
    ("sync_customers", "id org_id email name custom"),
    ("sync_products", "id org_id sku name price custom"),
    ("sync_orders", "id org_id number status total lines custom"),
    ("sync_categories", "id org_id name slug custom"),
];

const FUNCTIONS: &[(&str, &str)] = &[
    ("sync_connect", "kind,base_url,credentials,name,settings,same_system"),
    ("sync_test_connection", "sync_type"),
    ("sync_disconnect", "sync_type"),
    ("sync_preview", "sync_type,entity_type,force_refresh"),
    (
        "compute_delta",
        "sync_type,entity_type,change,external_id,local_id,match_key,changed_fields,remote,local",
    ),
    ("detect_customer_delta", "sync_type"),
    ("detect_product_delta", "sync_type"),
    ("detect_order_delta", "sync_type"),
    ("sync_invalidate_preview", "sync_type,entity_type"),
    ("auto_cleanup_preview_cache", ""),
    (
        "sync_select",
        "entity_type,include_new,include_updated,include_deleted",
    ),
    ("sync_pull", "sync_type,entity_type,mode"),
    ("sync_reset", "sync_type,entity_type"),
    ("sync_health", ""),
    ("sync_all", "sync_type,mode,apply"),
    ("sync_ingest_webhook", "sync_type,headers,body"),
    (
        "sync_verify",
        "sync_type,entity_type,repair,problem,external_id,local_id,stored,actual",
    ),
    ("sync_fingerprint", "entity_type,record"),
    (
        "sync_bind",
        "entity_type,relation,columns,key_columns,tracking,org_column,deleted_column",
    ),
    ("sync_unbind", "entity_type"),
    (
        "sync_apply",
        "sync_type,entity_type,include_new,include_updated,include_deleted,preview_id,allow_mass_delete,dry_run,allow_mass_update",
    ),
    ("sync_undo", "history_id"),
    ("sync_map", "sync_type,entity_type,field,path,type,compared"),
    ("sync_unmap", "sync_type,entity_type,field"),
    ("sync_grant", "role,org_id,level,own_rows"),
    ("sync_revoke", "role,org_id"),
    ("sync_maintain", ""),
    ("sync_delta", "sync_list_ids,item_type"),
    ("sync_full", "sync_list_ids,item_type"),
    ("sync_scheduled", ""),
    ("sync_pattern_preview", "pattern_id,sync_type,entity_type"),
    ("sync_category_tree", "sync_type,id,parent_id,name,path,depth"),
    (
        "sync_list_add_from_pattern",
        "pattern_id,sync_type,entity_type,target_platform,sync_mode,priority,schedule_interval",
    ),
];

#[test]
fn tables_have_the_columns_that_apps_use() {
    let db = TestDb::new();
    for (table, columns) in COLUMNS {
        for column in columns.split_whitespace() {
            let found = db.psql(&format!(
                "SELECT format_type(atttypid, -1) FROM pg_attribute
                 WHERE attrelid = '{table}'::regclass AND attname = '{column}' AND NOT attisdropped"
            ));
            let expected = match column {
                "org_id" => "uuid",
                "computed_by" | "user_id" | "initiated_by" => "text",
                "settings" | "delta_data" | "filter_config" | "metadata" | "config" | "details"
                | "checkpoint" | "remote" | "custom" | "lines" => "jsonb",
                _ => &found,
            };
            assert!(!found.is_empty(), "{table}.{column} is missing");
            assert_eq!(found, expected, "{table}.{column}");
        }
    }
}

/// Drivers of JavaScript hand bigint and numeric over as text. What is exact stays so: money, quantities, ids of the ledger.
#[test]
fn what_clients_count_with_comes_as_numbers() {
    let db = TestDb::new();
    let texts = db.psql(
        "SELECT c.oid::regclass || '.' || a.attname || ' ' || format_type(a.atttypid, -1)
         FROM (SELECT DISTINCT object_name FROM sync_privilege WHERE object_kind = 'table') v
         JOIN pg_class c ON c.relname = v.object_name AND c.relnamespace = 'schema'::regnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE a.atttypid IN ('bigint'::regtype, 'numeric'::regtype)
           AND c.relname NOT IN (SELECT e.local_table FROM sync_entity e)
         UNION ALL
         SELECT p.proname || ' ' || format_type(t.type, -1)
         FROM (SELECT DISTINCT object_name FROM sync_privilege WHERE object_kind = 'function') v
         JOIN pg_proc p ON p.proname = v.object_name AND p.pronamespace = 'schema'::regnamespace,
         LATERAL (SELECT p.prorettype AS type UNION ALL
                  SELECT x.type FROM unnest(p.proallargtypes, p.proargmodes) AS x (type, mode) WHERE x.mode IN ('o', 'b', 't')) t
         WHERE t.type IN ('bigint'::regtype, 'numeric'::regtype)
         ORDER BY 1"
            .replace("schema", &schema())
            .as_str(),
    );
    assert_eq!(texts, "sync_apply_failure.id bigint\nsync_record.id bigint");
}

/// A count has no end, but a column has: it stands still there.
#[test]
fn a_count_beyond_an_int_is_the_greatest_int() {
    let db = TestDb::new();
    let counts = "SELECT array_agg(sync_count(n)) FROM unnest('{0,2147483647,2147483648,9223372036854775807,NULL}'::bigint[]) n";
    assert_eq!(db.psql(counts), "{0,2147483647,2147483647,2147483647,NULL}");
}

#[test]
fn every_key_of_an_organisations_table_holds_the_organisation() {
    let db = TestDb::new();
    db.psql("SELECT sync_maintain()");
    let without = db.psql(
        "SELECT i.indexrelid::regclass FROM pg_index i
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'org_id'
         WHERE i.indisunique AND i.indrelid::regclass::text ~ '^(sync_|integration_)'
           AND i.indrelid <> 'sync_access'::regclass AND NOT a.attnum = ANY (i.indkey)",
    );
    assert_eq!(without, "");
    let keyless = db.psql(
        "SELECT c.oid::regclass FROM pg_class c
         WHERE c.relkind = 'r' AND c.relname ~ '^sync_|^integration_' AND c.relname <> 'sync_access'
           AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)",
    );
    assert_eq!(keyless, "");
}

#[test]
fn functions_have_the_names_and_arguments_that_callers_use() {
    let db = TestDb::new();
    for (function, arguments) in FUNCTIONS {
        let found = db.psql(&format!(
            "SELECT coalesce(array_to_string(proargnames, ','), '') FROM pg_proc WHERE proname = '{function}'"
        ));
        assert_eq!(&found, arguments, "{function}");
    }
}

#[test]
fn the_statements_of_the_design_run_as_they_are_printed() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.execute(
        "INSERT INTO sync_progress (id, org_id, sync_id, entity_type, total_items, initiated_by, source_system) VALUES (gen_random_uuid(), $1, $2, 'customer', 5000, $3, 'woocommerce');",
        &[&org, &"run-1", &"user-7"],
    )
    .unwrap();
    let updated = app
        .query_one(
            "UPDATE sync_progress SET processed_count = $1, failed_count = $2, current_item = $3, updated_at = NOW() WHERE org_id = $4 AND sync_id = $5 RETURNING *;",
            &[&2500i32, &10i32, &"Ada", &org, &"run-1"],
        )
        .unwrap();
    assert_eq!(updated.get::<_, i32>("processed_count"), 2500);
    assert_eq!(updated.get::<_, &str>("status"), "running");
    assert_eq!(updated.get::<_, &str>("initiated_by"), "user-7");

    let cache = "INSERT INTO sync_preview_cache (org_id, sync_type, delta_data, computed_by, cache_key, expires_at) VALUES ($1, $2, $3, $4, $5, NOW() + INTERVAL '1 hour')
      ON CONFLICT (org_id, sync_type, entity_type) DO UPDATE SET delta_data = EXCLUDED.delta_data, computed_at = NOW(), expires_at = EXCLUDED.expires_at;";
    for n in [1, 2] {
        let delta = serde_json::json!({ "n": n });
        let written = app
            .execute(cache, &[&org, &"woocommerce", &delta, &"user-7", &"key"])
            .unwrap();
        assert_eq!(written, 1);
    }
    let row = app
        .query_one("SELECT entity_type, delta_data FROM sync_preview_cache", &[])
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "all");
    assert_eq!(row.get::<_, serde_json::Value>(1)["n"], 2);

    let log = app
        .prepare_typed(
            "INSERT INTO sync_activity_log (org_id, sync_id, entity_type, activity_type, status, details, user_id) VALUES ($1, $2, 'customer', 'batch_process', 'completed_with_errors', $3::jsonb, $4);",
            &[Type::UUID, Type::TEXT, Type::JSONB, Type::TEXT],
        )
        .unwrap();
    let details = serde_json::json!({ "batch": 1 });
    assert_eq!(
        app.execute(&log, &[&org, &"run-1", &details, &"user-7"]).unwrap(),
        1
    );
}

#[test]
fn what_an_app_leaves_out_has_a_default() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute(
        "SET app.current_user_id = 'user-7';
         INSERT INTO sync_progress (sync_id, entity_type) VALUES ('run-1', 'customers');
         INSERT INTO sync_activity_log (activity_type) VALUES ('note');
         INSERT INTO sync_preview_cache (sync_type, delta_data) VALUES ('woocommerce', '{}');
         INSERT INTO sync_selective_config (entity_type, config) VALUES ('customers', '{\"includeNew\": true}');
         INSERT INTO sync_customers (email) VALUES ('a@b.example')",
    )
    .unwrap();
    for table in [
        "sync_progress",
        "sync_activity_log",
        "sync_preview_cache",
        "sync_selective_config",
        "sync_customers",
    ] {
        let found: Uuid = app
            .query_one(&format!("SELECT org_id FROM {table} WHERE id IS NOT NULL"), &[])
            .unwrap()
            .get(0);
        assert_eq!(found, org, "{table}");
    }
    let who = text(
        &mut app,
        "SELECT concat_ws(' ', p.initiated_by, p.status, p.total_items, p.processed_count, l.user_id, l.details, c.computed_by, c.entity_type,
                          c.expires_at - c.computed_at)
         FROM sync_progress p, sync_activity_log l, sync_preview_cache c",
    );
    assert_eq!(who, "user-7 running 0 0 user-7 {} user-7 all 01:00:00");
}

#[test]
fn what_an_app_chooses_for_an_entity_type_is_checked_when_it_is_written() {
    let db = TestDb::new();
    let org = db.org();
    let mut app = db.connect_as(&db.role("operate", org), org);
    let upsert = |entity: &str, config: &str| {
        format!(
            "INSERT INTO sync_selective_config (entity_type, config) VALUES ('{entity}', '{config}')
             ON CONFLICT (org_id, entity_type) DO UPDATE SET config = EXCLUDED.config"
        )
    };
    app.batch_execute(&upsert("orders", r#"{"includeDeleted": true}"#))
        .unwrap();
    app.batch_execute(&upsert(
        " Order",
        r#"{"includeNew": false, "includeDeleted": null}"#,
    ))
    .unwrap();
    let stored = "SELECT entity_type || ' ' || config FROM sync_selective_config";
    assert_eq!(
        text(&mut app, stored),
        r#"orders {"includeNew": false, "includeDeleted": null}"#
    );
    for (entity, config) in [
        ("unicorns", "{}"),
        ("all", "{}"),
        ("orders", r#"{"includeNew": "maybe"}"#),
        ("orders", r#"{"includeNew": 1}"#),
        ("orders", r#"{"includeDelete": true}"#),
        ("orders", "[]"),
        ("orders", "\"includeNew\""),
        ("orders", "null"),
    ] {
        let written = app.batch_execute(&upsert(entity, config));
        assert_eq!(sqlstate(written), "22023", "{entity} {config}");
    }
    let update = "UPDATE sync_selective_config SET config = '{\"includeNew\": \"no\"}'";
    assert_eq!(sqlstate(app.batch_execute(update)), "22023");
}

#[test]
fn nothing_said_as_null_is_an_empty_object() {
    let db = TestDb::new();
    let shop = ConnectedShop::new(&db);
    let mut app = shop.client();
    app.batch_execute(
        "INSERT INTO sync_list (item_type, source_platform, source_id, metadata) VALUES ('customers', 'woocommerce', '1', NULL);
         UPDATE sync_list SET metadata = NULL",
    )
    .unwrap();
    assert_eq!(text(&mut app, "SELECT metadata FROM sync_list"), "{}");
    db.client()
        .execute(
            "INSERT INTO sync_history (org_id, sync_type, status, metadata) VALUES ($1, 'manual', 'completed', NULL)",
            &[&shop.org],
        )
        .unwrap();
    assert_eq!(text(&mut app, "SELECT metadata FROM sync_history"), "{}");
}

#[test]
fn an_app_writes_only_its_own_organisation() {
    let db = TestDb::new();
    let (org, other) = (db.org(), db.org());
    let mut app = db.connect_as(&db.role("operate", org), org);
    let write = "INSERT INTO sync_activity_log (org_id, activity_type) VALUES ($1, 'note')";
    assert_eq!(sqlstate(app.execute(write, &[&other])), "42501");
    let mut reader = db.connect_as(&db.role("read", org), org);
    assert_eq!(sqlstate(reader.execute(write, &[&org])), "42501");
}

#[test]
fn every_object_says_what_it_is() {
    let db = TestDb::new();
    db.psql("SELECT sync_maintain()");
    let silent = db.psql(
        "SELECT pg_describe_object(d.classid, d.objid, 0)
         FROM pg_depend d
         JOIN pg_extension x ON x.oid = d.refobjid AND x.extname = 'sync_ext'
         LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
         WHERE d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
           AND c.relkind IS DISTINCT FROM 'S'
           -- the types that come with each table, and arrays, are members since Postgres 18
           AND NOT (d.classid = 'pg_type'::regclass AND NOT EXISTS (
               SELECT FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid
               WHERE t.oid = d.objid AND t.typcategory <> 'A' AND coalesce(r.relkind = 'c', true)))
           AND obj_description(d.objid, d.classid::regclass::name) IS NULL
         UNION ALL
         SELECT h.inhrelid::regclass::text FROM pg_inherits h
         WHERE h.inhparent = 'sync_activity_log'::regclass AND obj_description(h.inhrelid, 'pg_class') IS NULL",
    );
    assert_eq!(silent, "", "these have no COMMENT");
}

#[test]
fn dropping_the_extension_leaves_nothing() {
    let db = TestDb::new();
    let org = db.org();
    let count = "SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'schema'::regnamespace)
                     || ',' || (SELECT count(*) FROM pg_proc WHERE pronamespace = 'schema'::regnamespace)
                     || ',' || (SELECT count(*) FROM pg_type WHERE typnamespace = 'schema'::regnamespace)
                     || ',' || (SELECT count(*) FROM pg_policy)"
        .replace("schema", &schema());
    db.psql("SELECT sync_maintain()");
    assert_ne!(db.psql(&count), "0,0,0,0");
    let mut app = db.connect_as(&db.role("operate", org), org);
    app.batch_execute("INSERT INTO sync_customers (email) VALUES ('a@b.example')")
        .unwrap();
    db.psql("DROP EXTENSION sync_ext");
    assert_eq!(db.psql(&count), "0,0,0,0");
    db.psql("CREATE EXTENSION sync_ext");
    assert_eq!(db.psql("SELECT count(*) FROM sync_customers"), "0");
}

//! A dump of a database, restored into another one, is the same.

use std::process::Command;

use serde_json::json;

use crate::contract_app::{text, App};
use sync_ext_tests::server;

const TABLES: &str = "integration_connector sync_record sync_metadata sync_sweep sync_run sync_access sync_given sync_customers sync_products \
                      sync_preview_cache sync_selective_config sync_progress sync_activity_log \
                      sync_webhook_delivery saved_search_patterns sync_list sync_history";

/// Runs a program of Postgres, which has nothing to complain of.
#[track_caller]
pub fn finish(mut command: Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && error.is_empty(),
        "{command:?}: {error}"
    );
}

/// Rows as text in an order that doesn't depend on where they are stored.
fn contents(app: &App, db: &str, table: &str) -> String {
    let query = format!("SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM {table} t");
    text(&mut app.db.server().client(db), &query)
}

#[test]
fn a_dump_is_restored_as_it_was() {
    let mut app = App::new(150);
    for entity in ["customers", "products"] {
        app.one(&format!(
            "SELECT sync_preview('woocommerce', '{entity}') ->> 'syncType'"
        ));
    }
    // linked ones, changed ones, one that is gone there, one that only we have, an app's own progress
    app.sql
        .batch_execute(
            "INSERT INTO sync_customers SELECT c.* FROM compute_delta('woocommerce', 'customers') d,
                jsonb_populate_record(NULL::sync_customers, d.remote
                    || jsonb_build_object('id', gen_random_uuid(), 'org_id', sync_current_org(), 'updated_at', now())) c
             ORDER BY d.external_id LIMIT 100;
             UPDATE sync_customers SET phone = '0' WHERE id IN (SELECT id FROM sync_customers LIMIT 5);
             INSERT INTO sync_customers (email) VALUES ('only.here@example.com');
             INSERT INTO sync_products (sku) VALUES ('ONLY-HERE');
             SELECT sync_select('customers', include_deleted => true);
             INSERT INTO sync_progress (sync_id, entity_type, total_items) VALUES ('app', 'orders', 3);
             UPDATE sync_progress SET processed_count = 3 WHERE sync_id = 'app';
             INSERT INTO sync_progress (sync_id, entity_type, total_items) VALUES ('open', 'orders', 3);
             INSERT INTO sync_activity_log (activity_type, created_at) VALUES ('old', '2001-01-01');
             INSERT INTO saved_search_patterns (name) VALUES ('all');
             SELECT sync_list_add_from_pattern(id, 'woocommerce', 'products') FROM saved_search_patterns",
        )
        .unwrap();
    app.db
        .client()
        .execute(
            "INSERT INTO sync_history (org_id, sync_type, status) VALUES ($1, 'manual', 'completed')",
            &[&app.org],
        )
        .unwrap();
    let linked: Vec<u64> = app
        .sql
        .query("SELECT external_id FROM sync_record WHERE entity = 1 AND local_id IS NOT NULL AND external_id IS NOT NULL LIMIT 3", &[])
        .unwrap()
        .iter()
        .map(|row| row.get::<_, String>(0).parse().unwrap())
        .collect();
    app.shop
        .mutate_json(&json!({ "op": "delete", "entity": "customers", "ids": linked }))
        .unwrap();
    app.one("SELECT sync_pull('woocommerce', 'customers') ->> 'deleted'");
    let changes = "SELECT string_agg(entity_type || ' ' || change || ' ' || n, ', ' ORDER BY 1) FROM (SELECT entity_type, change, count(*) n FROM sync_changes GROUP BY 1, 2) c";
    let before = app.one(
        changes
            .replace("ORDER BY 1", "ORDER BY entity_type, change")
            .as_str(),
    );
    assert!(before.contains("customers deleted 3"), "{before}");

    let source = app.db.name().to_owned();
    let dump = std::env::temp_dir().join(format!("sync_ext-dump-{}-{source}", std::process::id()));
    let mut pg_dump = server().program("pg_dump", &source);
    pg_dump.args(["-Fc", "-f"]).arg(&dump);
    finish(pg_dump);

    for (name, options) in [
        ("single", &["--single-transaction"][..]),
        ("parallel", &["-j", "4"][..]),
    ] {
        let target = format!("{source}_{name}");
        let mut root = app.db.server().client("postgres");
        root.batch_execute(&format!("CREATE DATABASE {target}")).unwrap();
        let mut pg_restore = server().program("pg_restore", &target);
        pg_restore
            .args(["--exit-on-error", "-d", &target])
            .args(options)
            .arg(&dump);
        finish(pg_restore);

        for table in TABLES.split(' ') {
            assert_eq!(
                contents(&app, &target, table),
                contents(&app, &source, table),
                "{name}: {table}"
            );
        }
        // and it goes on: grants, triggers, identities, credentials, partitions
        let mut config = app.db.server().config(&target);
        config.user(&app.role);
        config.options(&format!("-c app.current_org_id={}", app.org));
        let mut sql = config.connect(postgres::NoTls).unwrap();
        for entity in ["customers", "products"] {
            assert_eq!(
                text(
                    &mut sql,
                    &format!("SELECT count(*) FROM sync_verify('woocommerce', '{entity}')")
                ),
                "0",
                "{name}"
            );
        }
        assert_eq!(
            text(
                &mut sql,
                changes
                    .replace("ORDER BY 1", "ORDER BY entity_type, change")
                    .as_str()
            ),
            before,
            "{name}"
        );
        sql.batch_execute(
            "INSERT INTO sync_customers (email) VALUES ('after@example.com');
             UPDATE sync_progress SET processed_count = 3 WHERE sync_id = 'open'",
        )
        .unwrap();
        assert_eq!(text(&mut sql, "SELECT sync_maintain() ->> 'partitionsMade'"), "0");
        assert_eq!(
            text(
                &mut sql,
                "SELECT count(*) FROM sync_activity_log WHERE sync_id = 'open'"
            ),
            "1"
        );
        assert_eq!(
            text(
                &mut sql,
                "SELECT sync_pull('woocommerce', 'customers') ->> 'status'"
            ),
            "success",
            "{name}"
        );
        assert_eq!(
            text(
                &mut sql,
                "SELECT count(*) FROM sync_verify('woocommerce', 'customers')"
            ),
            "0",
            "{name}"
        );
        drop(sql);
        root.batch_execute(&format!("DROP DATABASE {target} WITH (FORCE)"))
            .unwrap();
    }
    let _ = std::fs::remove_file(dump);
}
